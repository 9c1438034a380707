"""What is said of machine types before a start: by reason code, with names, and what is not known."""

from collections.abc import Iterator
from typing import Any

import pytest

from commands.reply import Reply
from storage.models import Workspace
from tests.commands.test_pins import said, set_target, target
from tests.commands.world import World

NOTE = "its machine type m5d.large is deprecated (machine_deprecated): choose another one before it goes away"
GONE = "Its machine type i3.xlarge is not in the workspace's list of machine types."
NEXT = "Choose another machine type there, then look again."


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url)
    made.alter(Workspace, machines={"i3.xlarge": {}})
    try:
        yield made
    finally:
        made.close()


def noted(world: World, name: str, *notes: str) -> None:
    set_target(world, name, change={**(target(world, name).change or {}), "notes": list(notes)})


def left_alone(world: World, name: str, **more: Any) -> None:
    values = {"skip_code": "machine_not_offered", "skip_sentence": GONE, "skip_next": NEXT, "change": None}
    set_target(world, name, **{**values, **more})


def start_form(world: World) -> str:
    return said(Reply("", form=world.say("devops", "start dev").form))


def test_a_plan_and_a_start_name_what_is_left_alone_and_what_to_look_at(world: World) -> None:
    left_alone(world, "dev etl 0")
    noted(world, "dev nightly 1", "something else", NOTE)
    for text in (said(world.say("devops", "plan dev")), said(world.say("devops", "plan")), start_form(world)):
        assert "1 target left alone for the machine type (machine_not_offered): dev etl 0" in text
        assert f"{GONE} {NEXT}" in text
        assert "1 target with a machine type to look at (machine_deprecated): dev nightly 1" in text
        assert NOTE[1:] in text
    assert "machine_" not in said(world.say("devops", "plan test"))


def test_many_are_counted_and_three_are_named(world: World) -> None:
    for one in world.targets("dev"):
        noted(world, one.name, NOTE)
    number = len(world.targets("dev"))
    text = said(world.say("devops", "plan dev"))
    assert f"{number} targets with a machine type to look at (machine_deprecated): dev etl 0" in text


def test_a_pool_is_named_where_a_target_of_the_stage_uses_it(world: World) -> None:
    one = target(world, "dev nightly 1")
    pool = {"kind": "pool", "object_id": "p1", "stage_key": None}
    left_alone(world, "dev etl 0", **pool)
    assert "dev etl 0 (pool" not in said(world.say("devops", "plan dev"))
    set_target(world, one.name, about={"uses": [["pool", "p1"]]})
    assert "1 target or pool left alone for the machine type (machine_not_offered): dev etl 0 (pool" in said(
        world.say("devops", "plan dev")
    )


def test_pinned_and_gone_targets_are_not_named(world: World) -> None:
    left_alone(world, "dev etl 0", pinned_reason="stays")
    left_alone(world, "dev nightly 1", gone=True)
    assert "machine type" not in said(world.say("devops", "plan dev"))


def test_a_workspace_that_does_not_say_what_it_offers_is_named(world: World) -> None:
    world.alter(Workspace, machines={})
    assert "is not known: nothing is said of any" in said(world.say("devops", "plan dev"))
    assert "is not known: nothing is said of any" in start_form(world)
