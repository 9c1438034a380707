"""What may come from a repository is said before the start, by what speaks for it, and is changed all the same."""

from collections.abc import Iterator

import pytest

from commands.reply import Reply
from storage.models import Workspace
from tests.commands.test_pins import said, set_target, target
from tests.commands.world import World

HINT = "Terraform: terraform-prod@example.com made it"


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url, targets=12)
    try:
        yield made
    finally:
        made.close()


def texts(world: World) -> list[str]:
    form = said(Reply("", form=world.say("devops", "start dev").form))
    return [form, said(world.say("devops", "plan dev")), said(world.say("devops", "plan"))]


def test_a_hint_names_the_targets_and_leaves_them_in_the_change_set(world: World) -> None:
    before = texts(world)
    assert not any("perhaps managed" in text for text in before)
    set_target(world, "dev etl 0", about={"creator": "terraform-prod@example.com", "hint": HINT})
    for text in texts(world):
        assert f"1 target perhaps managed by {HINT}. Look before the start: dev etl 0 (cluster, " in text
    assert "12 targets will be changed" in texts(world)[0]
    assert "perhaps managed" not in said(world.say("devops", "plan test"))


def test_many_targets_and_many_hints_are_counted(world: World) -> None:
    for one in world.targets("dev"):
        number = int(one.name.rsplit(" ", 1)[1])
        set_target(world, one.name, about={"hint": HINT if number < 7 else f"a deployment: ci-{number} made it"})
    for text in texts(world):
        assert f"7 targets perhaps managed by {HINT}" in text
        assert "and 4 more." in text
        assert "and 2 targets more that something else may have deployed" in text


def test_what_is_left_alone_or_known_to_be_managed_needs_no_hint(world: World) -> None:
    left = {"skip_code": "managed_by_bundle", "skip_sentence": "x", "skip_next": "y", "change": None}
    set_target(world, "dev etl 0", about={"hint": HINT}, **left)
    set_target(world, "dev nightly 1", about={"hint": HINT}, managed_by="bundle", repository="git/x")
    set_target(world, "dev etl 2", about={"tags": {"hint": HINT}})
    assert not any("perhaps managed" in text for text in texts(world))


def test_the_audit_log_says_more_than_a_name(world: World) -> None:
    one = target(world, "dev etl 0")
    set_target(world, "dev etl 0", about={"hint": HINT})
    world.alter(Workspace, deployers={f"cluster/{one.object_id}": "a bundle", "job/none": "Terraform"})
    for text in texts(world):
        assert "1 target perhaps managed by a bundle: by the audit log it made the last change. Look before" in text
        assert HINT not in text
