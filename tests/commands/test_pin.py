"""Pin failed: the button of a blocked stage, the confirmation that says what it does, and what it leaves."""

import pytest

from commands.reply import Buttons, FieldErrors, Reply
from rollout.states import ActionKind, StageState
from tests.commands.world import PEOPLE, World


def verbs(reply: Reply) -> list[str]:
    return [b.verb for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons]


def blocked(world: World) -> World:
    world.started("dev", StageState.BLOCKED, bad=2)
    return world


def test_card_message_and_status_of_a_blocked_stage_offer_retry_pin_and_rollback(world: World) -> None:
    blocked(world)
    stage = world.stage("dev")
    message = world.door.document("stage_blocked", world.rollout_id, stage.id, {})
    for reply in (world.door.card(stage.id), message, world.say("devops", "status dev")):
        assert reply is not None
        assert [v for v in verbs(reply) if v in {"start", "pin", "rollback"}] == ["start", "pin", "rollback"]
    assert "pin" not in verbs(world.say("qa", "status dev"))


def test_the_confirmation_says_what_will_be_done_and_to_which_targets(world: World) -> None:
    form = world.press("on-call", "pin", {"stage": "dev"}).form
    assert form is None, "not blocked"
    blocked(world)
    reply = world.press("on-call", "pin", {"stage": "dev", "version": world.stage("dev").version})
    assert reply.form is not None
    said = repr(reply.form.body)
    for name in (t.name for t in world.targets("dev")[:2]):
        assert name in said
    assert world.targets("dev")[2].name not in said
    assert "put back from its backup" in said
    assert "you as the owner" in said
    done = world.submit("on-call", reply.form, reason="needs a new library")
    assert done.refused is None
    pinned = [(t.pinned_reason, t.pinned_by) for t in world.targets("dev")]
    assert pinned == [("needs a new library", PEOPLE["on-call"])] * 2 + [(None, None)]
    assert len(world.actions("dev", ActionKind.REVERT)) == 2
    shown = world.door.document(
        "pinned_failed",
        world.rollout_id,
        world.stage("dev").id,
        {"names": ["a"], "number": 2, "reason": "needs a new library", "by": PEOPLE["on-call"]},
    )
    assert shown is not None
    assert "2 targets of dev stay on the old runtime" in shown.text
    again = world.press("on-call", "pin", {"stage": "dev"})
    assert again.refused == "nothing_to_retry", "nothing is left to pin"


def test_one_word_pins_what_failed_in_a_stage_or_one_target(world: World) -> None:
    blocked(world)
    stage, target = world.say("devops", "pin dev").form, world.say("devops", "pin test nightly 1").form
    assert stage is not None
    assert target is not None
    assert (stage.title, target.title) == ("Pin failed dev", "Pin target")
    assert [i.key for i in stage.inputs] == ["reason"], "who asks for it owns what is pinned"
    assert [i.key for i in target.inputs] == ["reason", "owner"]
    with pytest.raises(FieldErrors):
        world.submit("devops", stage, reason=" ")
    with pytest.raises(FieldErrors):
        world.submit("devops", target, reason="needs a port", owner="")
    assert world.submit("devops", stage, reason="needs a new library").refused is None
    assert world.submit("devops", target, reason="needs a port", owner=PEOPLE["qa"]).refused is None
    owners = [t.pinned_owner for key in ("dev", "test") for t in world.targets(key) if t.pinned_reason]
    assert owners == [PEOPLE["devops"]] * 2 + [PEOPLE["qa"]]
    assert len(world.events("pin")) == 1
    assert world.say("devops", "pin").refused == "missing_argument"


def test_an_old_button_and_a_person_without_the_right_pin_nothing(world: World) -> None:
    blocked(world)
    version = world.stage("dev").version
    assert world.press("qa", "pin", {"stage": "dev", "version": version}).refused == "not_permitted"
    world.set_stage("dev")
    assert world.press("devops", "pin", {"stage": "dev", "version": version}).refused == "stale_view"
    assert {t.pinned_reason for t in world.targets("dev")} == {None}
