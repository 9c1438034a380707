"""What an attacker or bad luck sends to the door: wrong types, hostile text, old buttons, and errors on the way."""

import time
from typing import Any

import pytest
from sqlalchemy import insert

from bot.render.blocks import value_of
from commands.plaintext import render
from commands.reply import Buttons, Reply, Request, Surface
from rollout.states import ActionKind, StageState
from storage import intents_signing
from storage.models import Target
from tests.commands.world import PEOPLE, World

S = StageState
WRONG: dict[str, list[Any]] = {
    "rollout": ["1", 1.0, True, [1], {}, 10**30],
    "target_id": ["1", 1.5, True, [1], 10**30, -(10**30)],
    "version": ["1", True, [], 10**30],
    "generation": ["1", 1.0, {}],
    "page": ["1", 1.5, [1]],
    "stage": [1, ["dev"], {"dev": 1}, True],
    "target": [1, ["dev etl 0"]],
    "words": [1, ["dev"], {}],
    "reason": [1, ["x"], {}],
    "role": [1, ["qa"]],
    "confirm": [1, []],
    "state": [["done"], {"done": 1}, 5],
    "stages": ["dev", [["dev"]], [1], {"dev": 1}, []],
    "items": [1, [["x"]], {"x": 1}, [1]],
    "arguments": ["x", [1], {"stage": 1}, {"arguments": {}}],
    "submitted": ["yes", 1, []],
}


@pytest.mark.parametrize("name", WRONG)
def test_an_argument_of_the_wrong_type_is_refused_and_nothing_else_is_meant_instead(world: World, name: str) -> None:
    world.started("dev", S.UPGRADING)
    for value in WRONG[name]:
        for verb in ("rollback", "start", "approve", "mark", "status", "share"):
            reply = world.press("devops", verb, {"submitted": True, name: value})
            assert reply.refused == "malformed_request", (verb, value, reply.text)
            assert world.events()[-1].reason_code == "malformed_request"
    assert world.stage("dev").state is S.UPGRADING


@pytest.mark.parametrize("text", ["odd \x00 bytes", "half \ud83d of a pair", "\x00", "\ud800"])
def test_text_that_no_database_takes_is_cleaned(world: World, text: str) -> None:
    assert world.press("qa", "pause", {"reason": text}).refused is None
    said = world.events("pause")[-1].sentence
    assert "\x00" not in said
    said.encode()
    assert world.door.handle(Request(world.actor("qa"), text, {}, Surface.SLASH)).refused == "unknown_verb"


def _buttons(reply: Reply) -> list[Any]:
    return [button for block in reply.blocks if isinstance(block, Buttons) for button in block.buttons]


def test_an_old_resume_button_does_not_lift_another_pause(world: World) -> None:
    world.started("dev", S.UPGRADING)
    world.say("qa", "pause first")
    old = next(b for b in _buttons(world.say("on-call", "status")) if b.verb == "resume")
    world.say("qa", "resume")
    world.say("qa", "pause the data is wrong")
    assert world.press("on-call", old.verb, old.arguments).refused == "stale_view"
    assert "the data is wrong" in render(world.say("qa", "status"))
    new = next(b for b in _buttons(world.say("on-call", "status")) if b.verb == "resume")
    assert world.press("on-call", new.verb, new.arguments).refused is None


def test_the_resume_button_under_a_pause_and_under_a_refusal_lift_that_pause(world: World) -> None:
    under_pause = next(b for b in _buttons(world.say("qa", "pause one")) if b.verb == "resume")
    assert world.press("on-call", "resume", under_pause.arguments).refused is None
    assert world.press("on-call", "resume", under_pause.arguments).refused == "not_paused"
    world.say("qa", "pause two")
    under_refusal = next(b for b in _buttons(world.say("devops", "pause")) if b.verb == "resume")
    assert world.press("devops", "resume", under_refusal.arguments).refused is None


def test_who_signed_before_a_colleague_rejected_may_sign_again(world: World) -> None:
    world.passed("dev", "test", "staging", "canary")
    world.started("full", S.REVIEW, by="tech-lead")
    world.confirm("devops", "approve full")
    world.confirm("devops-2", "reject full the orders are wrong")
    assert world.say("devops", "approve full").form is not None
    done = intents_signing.approve(world.database, world.who("devops"), world.now, world.rollout_id, "full")
    assert isinstance(done, intents_signing.Signed)
    assert world.say("devops", "approve full").refused == "already_signed"
    assert "rejected by" not in render(world.say("qa", "status full"))


def test_a_long_reason_leaves_the_buttons_of_a_pick_usable(world: World) -> None:
    world.alter(Target, name="nightly")
    reason = 'because "everything" \\ is on fire ' * 400
    for reply in (world.say("devops", f"status nightly {reason}"), world.say("devops", f"rollback nightly {reason}")):
        assert reply.refused == "ambiguous_target"
        assert all(len(value_of(b.verb, b.arguments)) < 2000 for b in _buttons(reply))


def test_many_words_and_many_targets_do_not_take_long(world: World) -> None:
    with world.database.write() as session:
        rows = [World._target(world.rollout_id, "full", "prod", 10 + n) for n in range(2000)]
        session.execute(insert(Target), rows)
    began = time.process_time()
    assert world.say("devops", "rollback dev etl 0 " + "word " * 3000).refused == "nothing_to_roll_back"
    assert time.process_time() - began < 1.0


def test_a_page_past_the_end_shows_the_last_one(world: World) -> None:
    for verb in ("status", "plan", "checklist", "audit"):
        shown = render(world.press("qa", verb, {"page": 2_000_000_000}))
        assert shown == render(world.press("qa", verb, {"page": 2_000_000}))
    assert "dev ·" in render(world.press("qa", "status", {"page": 7}))


def test_an_error_of_the_bot_is_on_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.started("dev", S.UPGRADING)
    monkeypatch.setattr("storage.intents.post", lambda *_, **__: 1 / 0)
    reply = world.say("qa", "pause look at this")
    assert reply.error_id
    event = world.events()[-1]
    assert (event.kind, event.outcome, event.reason_code, event.actor) == (
        "pause",
        "failed",
        "internal_error",
        PEOPLE["qa"],
    )
    assert event.data["error_id"] == reply.error_id
    assert "pause failed" in render(world.say("qa", "audit"))


def test_a_refused_wish_leaves_no_trace_but_its_event(world: World) -> None:
    world.started("dev", S.REVIEW)
    form = world.say("developer", "approve dev").form
    plan = world.plan.model_copy(
        update={
            "roles": {
                **world.plan.roles,
                "developer": world.plan.roles["developer"].model_copy(update={"members": ("U0SAND0099",)}),
            }
        }
    )
    world.adopt(plan)
    assert world.submit("developer", form).refused == "not_a_role_holder"
    assert world.stage("dev").state is S.REVIEW
    assert world.actions("dev", ActionKind.REVERT) == []
