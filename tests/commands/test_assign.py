"""Items are given to people with a day, in place; whoever they wait for sees them, and what is overdue is called so."""

from datetime import date, timedelta

import pytest

from commands.reply import Buttons, FieldErrors, Form, Paragraph, Reply
from rollout.states import ItemState
from storage.models import Assignment, Item
from tests.commands.world import PEOPLE, World

KEY = "runbooks"  # ticked by devops or on-call


def form_of(reply: Reply) -> Form:
    assert reply.form is not None, reply.text
    return reply.form


def dialog(world: World, person: str, key: str = KEY) -> Form:
    return form_of(world.press(person, "item", {"rollout": world.rollout_id, "item": key}))


def assigned(world: World, key: str = KEY) -> Assignment | None:
    with world.database.read() as session:
        return session.query(Assignment).filter(Assignment.key == key).one_or_none()


def state(world: World, key: str = KEY) -> ItemState | None:
    with world.database.read() as session:
        found = session.query(Item).filter(Item.key == key).one_or_none()
        return found.state if found is not None else None


def test_the_dialog_assigns_and_ticks_in_one_act(world: World) -> None:
    form = dialog(world, "devops")
    done = world.submit("devops", form, state="done", comment="https://wiki", owner=PEOPLE["on-call"], due="2026-03-05")
    assert done.refused is None
    found = assigned(world)
    assert found is not None
    assert (found.owner, found.due, found.by) == (PEOPLE["on-call"], date(2026, 3, 5), PEOPLE["devops"])
    assert state(world) is ItemState.DONE
    assert [e.data["owner"] for e in world.events("assign")] == [PEOPLE["on-call"]]


def test_when_one_half_is_refused_neither_happens(world: World) -> None:
    form = dialog(world, "devops")
    refused = world.submit("devops", form, state="done", owner=PEOPLE["qa"])
    assert refused.refused == "owner_unfit"
    assert "DevOps/Platform or On-Call" in refused.text
    assert (state(world), assigned(world)) == (None, None)


def test_nothing_said_changes_nothing(world: World) -> None:
    world.submit("devops", dialog(world, "devops"))
    world.submit("devops", dialog(world, "devops"), owner=PEOPLE["devops"])
    world.submit("devops", dialog(world, "devops"))  # the owner stands in the form
    assert len(world.events("assign")) == 1
    assert state(world) is None


def test_an_item_can_be_nobodys_again(world: World) -> None:
    world.submit("devops", dialog(world, "devops"), owner=PEOPLE["devops"], due="2026-03-05")
    world.submit("devops", dialog(world, "devops"), owner="", due="")
    assert assigned(world) is None
    assert "nobody" in world.events("assign")[-1].sentence


def test_who_holds_no_role_assigns_nothing(world: World) -> None:
    arguments = {"rollout": world.rollout_id, "item": KEY, "owner": PEOPLE["devops"], "submitted": True}
    assert world.press("nobody", "item", arguments).refused == "not_a_role_holder"
    assert world.press("nobody", "assign", {**arguments, "items": [KEY]}).refused == "not_a_role_holder"
    assert assigned(world) is None


def test_one_who_may_not_tick_may_still_assign_but_not_tick(world: World) -> None:
    form = dialog(world, "qa")
    assert "state" not in {i.key for i in form.inputs}
    arguments = {**form.arguments, "state": "done", "submitted": True}
    assert world.press("qa", "item", arguments).refused == "not_permitted"
    assert world.submit("qa", form, owner=PEOPLE["devops"]).refused is None


def test_people_who_left_get_nothing(world: World) -> None:
    world.forget_people("on-call")
    assert world.submit("devops", dialog(world, "devops"), owner=PEOPLE["on-call"]).refused == "owner_unfit"


def test_what_the_bot_does_is_nobodys(world: World) -> None:
    key = next(i.key for i in world.plan.checklist if i.by == "action")
    assert world.press("devops", "item", {"rollout": world.rollout_id, "item": key}).refused == "not_attestable"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"due": "soon", "owner": "U0SAND0004"}, "due"),
        ({"due": "2026-03-05", "owner": ""}, "due"),
        ({"state": "not_applicable", "comment": " "}, "comment"),
        ({"state": "finished"}, "state"),
    ],
)
def test_wrong_fields_are_named(world: World, values: dict[str, str], field: str) -> None:
    form = dialog(world, "devops")
    with pytest.raises(FieldErrors) as caught:
        world.submit("devops", form, **values)
    assert set(caught.value.errors) == {field}


def test_a_day_that_has_passed_is_refused(world: World) -> None:
    assert (
        world.submit("devops", dialog(world, "devops"), owner=PEOPLE["devops"], due="2026-03-01").refused
        == "time_passed"
    )


def test_several_are_assigned_at_once_all_or_none(world: World) -> None:
    form = form_of(world.press("devops", "assign", {"rollout": world.rollout_id}))
    assert (
        world.submit("devops", form, items=[KEY, "quality-validated"], owner=PEOPLE["devops"]).refused == "owner_unfit"
    )
    assert assigned(world) is None
    assert world.submit("devops", form, items=[KEY, "change-management"], owner=PEOPLE["devops"]).refused is None
    with pytest.raises(FieldErrors):
        world.submit("devops", form, items=[], owner=PEOPLE["devops"])


def shown(reply: Reply) -> str:
    return str([b for b in reply.blocks if isinstance(b, Paragraph)])


def test_what_is_overdue_is_marked_in_the_checklist_and_at_home(world: World) -> None:
    world.submit("devops", dialog(world, "devops"), owner=PEOPLE["devops"], due="2026-03-02")
    assert "due 2026-03-02" in shown(world.say("devops", "/rollout checklist canary"))
    assert "overdue" not in shown(world.say("devops", "/rollout checklist canary"))
    world.now += timedelta(days=1)
    assert "overdue since 2026-03-02" in shown(world.say("devops", "/rollout checklist canary"))
    home = world.door.home(world.actor("devops"))
    assert "overdue since 2026-03-02" in shown(home)
    buttons = [b.button for b in home.blocks if isinstance(b, Paragraph) and b.button]
    assert [b.verb for b in buttons] == ["item"]
    assert "overdue" not in shown(world.door.home(world.actor("on-call")))
    world.submit("devops", dialog(world, "devops"), state="done")
    assert "overdue" not in shown(world.door.home(world.actor("devops")))


def test_issues_of_mine_are_at_home_with_their_button(world: World) -> None:
    arguments = {"rollout": world.rollout_id, "title": "Late", "owner": PEOPLE["nobody"], "submitted": True}
    assert world.press("qa", "issue", arguments).refused is None
    home = world.door.home(world.actor("nobody"))
    assert [b.button.label for b in home.blocks if isinstance(b, Paragraph) and b.button] == ["Issue #1"]
    assert "Nothing waits" not in shown(home)


def test_each_line_of_the_checklist_opens_in_place_for_those_with_a_role(world: World) -> None:
    reply = world.say("devops", "/rollout checklist")
    assert {b.button.verb for b in reply.blocks if isinstance(b, Paragraph) and b.button} == {"item"}
    assert "Assign…" in [b.label for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons]
    assert not [b for b in world.say("nobody", "/rollout checklist").blocks if isinstance(b, Paragraph) and b.button]
