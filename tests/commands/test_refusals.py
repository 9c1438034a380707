"""Each refusal that a command can give, provoked once: the rule first, then what is missing and the next step."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from commands.plaintext import render
from commands.reply import Actor, FieldErrors, Note, Reply, Request, Surface
from rollout.states import ActionKind, ActionState, StageState
from storage.base import Base
from storage.models import Rollout, Stage, Target, Workspace
from storage.record import event
from tests.commands.world import PEOPLE, TEAM, World

S = StageState


def _stranger(problem: str) -> Callable[[World], Reply]:
    def ask(w: World) -> Reply:
        actor = Actor("T0PARTNER1", "U0SAND0008", problem=problem)
        return w.door.handle(Request(actor, "status", {}, Surface.SLASH, w.plan.channel))

    return ask


def test_a_rate_limit_of_slack_says_when_to_try_again(world: World) -> None:
    actor = Actor(TEAM, PEOPLE["qa"], problem="slack_rate_limited", again_in=40)
    said = world.door.handle(Request(actor, "status", {}, Surface.SLASH, world.plan.channel))
    assert "limiting" in said.text
    assert "Try again in 40 s." in said.text
    assert "Try again in 40 s." in world.door.home(actor).text


def _started(w: World) -> Reply:
    w.confirm("devops", "start dev")
    return w.say("devops", "start dev")


def _started_by_you(w: World) -> Reply:
    w.passed("dev", "test", "staging", "canary")
    w.started("full", S.REVIEW, by="devops")
    return w.say("devops", "approve full")


def _already_signed(w: World) -> Reply:
    w.passed("dev", "test")
    w.started("staging", S.REVIEW)
    w.confirm("qa", "approve staging")
    return w.say("qa", "approve staging")


def _role_filled(w: World) -> Reply:
    w.passed("dev", "test", "staging", "canary")
    w.started("full", S.REVIEW, by="tech-lead")
    w.confirm("devops", "approve full")
    return w.say("devops-2", "approve full")


def _stale(w: World) -> Reply:
    w.started("dev", S.REVIEW)
    form = w.say("developer", "approve dev").form
    w.confirm("devops", "rollback dev it broke")
    return w.submit("developer", form)


def _locked(w: World) -> Reply:
    w.started("dev", S.ROLLED_BACK)
    w.set_stage("dev", locked=True, locked_reason="it broke")
    return w.say("devops", "start dev")


def _paused(w: World) -> Reply:
    w.say("qa", "pause we look at something")
    return w.say("devops", "start dev")


def _twice_paused(w: World) -> Reply:
    w.say("qa", "pause")
    return w.say("on-call", "stop")


def _no_targets(w: World) -> Reply:
    w.alter(Target, stage_key="full")
    return w.say("devops", "start dev")


def _never_looked(w: World) -> Reply:
    w.alter(Workspace, looked_at=None)
    return w.say("devops", "start dev")


def _old_look(w: World) -> Reply:
    w.now += timedelta(hours=25)
    return w.say("devops", "start dev")


def _unreachable(w: World) -> Reply:
    w.alter(Workspace, error="403 Forbidden")
    return w.say("devops", "start dev")


def _changed(w: World) -> Reply:
    form = w.say("devops", "start dev").form
    w.alter(Target, pinned_reason="x", stage_key="dev")
    with w.database.write() as session:
        session.execute(update(Target).where(Target.name.like("dev etl%")).values(pinned_reason=None))
    return w.submit("devops", form)


def _later_started(w: World) -> Reply:
    w.passed("dev")
    w.started("test", S.UPGRADING)
    return w.say("on-call", "rollback dev")


def _in_flight(w: World) -> Reply:
    w.started("dev", S.UPGRADING)
    w.carry_out("dev", ActionKind.CHANGE, ActionState.RUNNING)
    return w.say("devops", "rollback dev etl 0")


def _ambiguous(w: World) -> Reply:
    with w.database.write() as session:
        session.execute(update(Target).where(Target.name.like("% nightly 1")).values(name="nightly"))
    return w.say("devops", "status nightly")


def _several(w: World) -> Reply:
    with w.database.write() as session:
        first = session.get_one(Rollout, w.rollout_id)
        session.add(
            Rollout(plan_key="other", revision_id=first.revision_id, channel="C0OTHER001", opened_at=first.opened_at)
        )
    return w.say("devops", "status", channel="C0GENERAL1")


def _none_open(w: World) -> Reply:
    w.alter(Rollout, open=False)
    return w.say("devops", "status")


def _rolling(w: World) -> Reply:
    w.started("dev", S.UPGRADING)
    w.confirm("devops", "rollback dev")
    return w.say("devops", "rollback dev")


def _mark(person: str, **values: object) -> Callable[[World], Reply]:
    def ask(w: World) -> Reply:
        form = w.say("devops", "mark").form
        assert form is not None
        return w.submit(person, replace(form, verb="mark"), **{"state": "done", **values})

    return ask


def _racing_retry(w: World) -> Reply:
    w.started("dev", S.BLOCKED, bad=1)
    form = w.say("devops", "start dev").form
    assert form is not None
    w.submit("devops", form)
    w.set_stage("dev", state=S.READY)
    return w.press("devops", "start", {"stage": "dev", "version": -1})


CASES: dict[str, Callable[[World], Reply]] = {
    "other_team": _stranger("other_team"),
    "guest_account": _stranger("guest_account"),
    "bot_account": _stranger("bot_account"),
    "deactivated_account": _stranger("deactivated_account"),
    "identity_unknown": _stranger("identity_unknown"),
    "slack_rate_limited": _stranger("slack_rate_limited"),
    "shared_channel": lambda w: w.say("devops", "start dev", channel="C0PARTNER1", shared_channel=True),
    "not_permitted": lambda w: w.say("qa", "start dev"),
    "not_a_role_holder": lambda w: w.say("on-call", "approve dev"),
    "started_by_you": _started_by_you,
    "already_signed": _already_signed,
    "role_filled": _role_filled,
    "unknown_verb": lambda w: w.say("qa", "statsu"),
    "unknown_stage": lambda w: w.say("devops", "start stagin"),
    "unknown_target": lambda w: w.say("devops", "status no-such-job"),
    "ambiguous_target": _ambiguous,
    "missing_argument": lambda w: w.say("devops", "start"),
    "malformed_request": lambda w: w.press("devops", "rollback", {"target_id": "1", "submitted": True}),
    "no_open_rollout": _none_open,
    "several_rollouts": _several,
    "unknown_item": _mark("devops", items=["no-such-item"]),
    "not_attestable": _mark("devops", items=["configurations-saved"]),
    "stale_view": _stale,
    "predecessor_not_passed": lambda w: w.say("devops", "start test"),
    "items_open": lambda w: (w.passed("dev", "test", "staging"), w.say("devops", "start canary"))[1],
    "stage_busy": _started,
    "stage_locked": _locked,
    "stage_passed": lambda w: (w.passed("dev"), w.say("devops", "start dev"))[1],
    "rollout_paused": _paused,
    "already_paused": _twice_paused,
    "not_paused": lambda w: w.say("qa", "resume"),
    "no_targets": _no_targets,
    "no_discovery": _never_looked,
    "discovery_stale": _old_look,
    "workspace_unreachable": _unreachable,
    "starter_needed_as_signer": lambda w: (w.passed("dev", "test"), w.say("tech-lead", "start staging"))[1],
    "roles_unfilled": lambda w: (w.forget_people("developer"), w.say("devops", "start dev"))[1],
    "change_set_changed": _changed,
    "nothing_to_approve": lambda w: w.say("developer", "approve dev"),
    "nothing_to_roll_back": lambda w: w.say("on-call", "rollback"),
    "later_stage_started": _later_started,
    "rollback_running": _rolling,
    "not_locked": lambda w: w.say("devops", "unlock dev"),
    "actions_in_flight": _in_flight,
}


@pytest.mark.parametrize("code", CASES)
def test_a_refusal_names_the_rule_and_the_next_step_and_is_on_record(world: World, code: str) -> None:
    reply = CASES[code](world)
    assert reply.refused == code, reply.text
    assert reply.text.startswith(f"Refused ({code})")
    assert reply.form is None
    said = render(reply)
    assert said.startswith(f"Refused ({code}) ")
    assert "Next: " in said
    assert reply.error_id
    assert isinstance(reply.blocks[-1], Note)
    assert reply.error_id in said
    event = world.events()[-1]
    assert (event.outcome, event.reason_code, event.data["error_id"]) == ("refused", code, reply.error_id)


def _everything(world: World) -> dict[str, list[Any]]:
    """Every row of every table but the record of who asked for what."""
    with world.database.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
            if table.name != "event"
        }


@pytest.mark.parametrize("code", CASES)
def test_nothing_is_changed_by_a_refused_command(world: World, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    really, changed, refused = world.door.handle, [], []

    def handle(request: Request) -> Reply:
        before, events = _everything(world), len(world.events())
        reply = really(request)
        if reply.refused == code:
            refused.append(request.verb)
            after = _everything(world)
            changed.extend(name for name in before if before[name] != after[name])
            assert len(world.events()) == events + 1, "only that it was refused is written down"
        return reply

    monkeypatch.setattr(world.door, "handle", handle)
    CASES[code](world)
    assert refused
    assert changed == []


def test_a_person_who_may_not_enter_sees_the_refusal_only(world: World) -> None:
    said = render(_stranger("other_team")(world))
    assert "dev" not in said.replace("developer", "")


def test_a_look_works_in_a_shared_channel_because_it_is_private(world: World) -> None:
    assert world.say("devops", "status", channel="C0PARTNER1", shared_channel=True).refused is None


def test_all_reasons_come_at_once(world: World) -> None:
    world.alter(Workspace, error="no answer")
    world.say("qa", "pause")
    said = render(world.say("qa", "start canary"))
    for code in ("not_permitted", "predecessor_not_passed", "rollout_paused", "items_open", "workspace_unreachable"):
        assert f"({code})" in said


def test_a_stale_button_is_told_what_happened_since(world: World) -> None:
    said = render(_stale(world))
    assert "What happened since" in said
    assert f"@{PEOPLE['devops']}" in said
    assert "it broke" in said
    assert world.stage("dev").state is S.ROLLING_BACK


def test_what_was_before_the_dialog_did_not_happen_since(world: World) -> None:
    world.say("qa", "pause before anybody looked")
    world.press("qa", "resume", {})
    world.started("dev", S.REVIEW)
    world.confirm("developer", "reject dev", reason="Too slow, said before.")
    form = world.say("developer", "approve dev").form
    world.confirm("devops", "rollback dev it broke")
    said = render(world.submit("developer", form)).split("What happened since", 1)[1]
    assert "it broke" in said
    assert "said before" not in said


def test_a_button_that_does_not_know_when_it_was_drawn_says_only_how_it_stands(world: World) -> None:
    world.started("dev", S.REVIEW)
    version = world.stage("dev").version
    world.confirm("devops", "rollback dev it broke")
    said = render(world.press("developer", "approve", {"stage": "dev", "version": version - 1}))
    assert "Refused (stale_view)" in said
    assert "What happened since" not in said
    assert "Now dev is rolling back" in said


def test_a_retry_of_an_older_view_does_nothing(world: World) -> None:
    assert _racing_retry(world).refused == "stale_view"


def test_a_missing_reason_is_a_field_error(world: World) -> None:
    world.started("dev", S.REVIEW)
    form = world.say("developer", "reject dev").form
    assert form is not None
    request = Request(
        world.actor("developer"), form.verb, {**form.arguments, "reason": " ", "submitted": True}, Surface.MODAL
    )
    with pytest.raises(FieldErrors) as caught:
        world.door.check_form(request)
    assert set(caught.value.errors) == {"reason"}
    with pytest.raises(FieldErrors):
        world.door.handle(request)


def test_to_set_an_item_aside_needs_a_comment(world: World) -> None:
    arguments = {"items": ["runbooks"], "state": "not_applicable", "comment": "", "submitted": True}
    request = Request(world.actor("devops"), "mark", arguments, Surface.MODAL, world.plan.channel)
    with pytest.raises(FieldErrors) as caught:
        world.door.check_form(request)
    assert set(caught.value.errors) == {"comment"}


def test_an_error_of_the_bot_is_answered_with_its_id_and_logged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[dict[str, object]] = []

    class Log:
        def info(self, event: str, **values: object) -> None: ...
        def exception(self, event: str, **values: object) -> None:
            logged.append(values)

    monkeypatch.setattr(world.door, "_log", Log())
    monkeypatch.setattr("commands.find.facts.standing", lambda *_: 1 / 0, raising=False)
    monkeypatch.setattr("commands.door.facts.standing", lambda *_: 1 / 0)
    reply = world.say("devops", "status")
    assert reply.error_id is not None
    assert reply.error_id in reply.text
    assert logged[0]["error_id"] == reply.error_id
    assert reply.refused is None


def test_an_account_of_nobody_may_look_but_not_act(world: World) -> None:
    actor = Actor(TEAM, PEOPLE["nobody"])
    status = world.door.handle(Request(actor, "status", {}, Surface.SLASH, world.plan.channel))
    assert status.refused is None
    for text in ("start", "pause", "rollback"):
        assert world.door.handle(
            Request(actor, text, {"words": "dev"} if text != "pause" else {}, Surface.SLASH, world.plan.channel)
        ).refused in {"not_permitted"}


def test_who_proposed_what_is_named_as_a_person_also_in_what_happened_since(world: World) -> None:
    world.started("dev", S.REVIEW)
    with world.database.write() as session:
        said = f"accepted the change of the plan that {PEOPLE['devops']} proposed"
        data = {"proposed_by": PEOPLE["devops"]}
        stage = session.get_one(Stage, world.stage("dev").id)
        event(session, world.now, world.who("qa").by, "plan_amended", said, stage=stage, data=data)
    version = world.stage("dev").version - 1
    arguments = {"rollout": world.rollout_id, "stage": "dev", "version": version, "submitted": True, "seen": 0}
    assert f"that @{PEOPLE['devops']} proposed" in render(world.press("developer", "approve", arguments))
