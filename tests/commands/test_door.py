"""The door: finding the rollout, sharing, groups, and acts that are repeated or raced through it."""

import threading
from typing import Any

from sqlalchemy import update

from commands.plaintext import render
from commands.reply import Actor, Buttons, Request, Surface
from rollout.states import ActionKind, ItemState, StageState
from storage import facts
from storage.models import Rollout, Target
from tests.commands.world import TEAM, World

S = StageState


def test_the_channel_says_which_rollout_is_meant_else_a_button_does(world: World) -> None:
    with world.database.write() as session:
        first = session.get_one(Rollout, world.rollout_id)
        session.add(
            Rollout(plan_key="other", revision_id=first.revision_id, channel="C0OTHER001", opened_at=first.opened_at)
        )
    assert world.say("qa", "status").refused is None
    asked = world.say("qa", "status dev", channel="C0GENERAL1")
    assert asked.refused == "several_rollouts"
    buttons = next(b for b in asked.blocks if isinstance(b, Buttons)).buttons
    chosen = next(b for b in buttons if b.arguments["rollout"] == world.rollout_id)
    assert "dev · Development" in render(world.press("qa", chosen.verb, chosen.arguments))


def test_the_only_open_rollout_is_meant_everywhere(world: World) -> None:
    assert world.say("qa", "status", channel="C0GENERAL1").refused is None


def test_a_double_submission_starts_once_and_the_second_is_told(world: World) -> None:
    form = world.say("devops", "start dev").form
    assert world.submit("devops", form).refused is None
    assert world.submit("devops", form).refused == "stale_view"
    assert len(world.actions("dev", ActionKind.BACKUP)) == 3


def test_two_people_who_start_at_once_are_told_apart(world: World) -> None:
    form = world.say("devops", "start dev").form
    replies: list[Any] = []
    threads = [
        threading.Thread(target=lambda p=person: replies.append(world.submit(p, form)))  # type: ignore[misc]
        for person in ("devops", "devops-2")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted((r.refused or "started") for r in replies) in (["stage_busy", "started"], ["stale_view", "started"])


def test_roles_come_from_groups_too_as_they_are_at_the_press(world: World) -> None:
    plan = world.plan
    role = plan.roles["developer"].model_copy(update={"members": (), "groups": ("S0DEVS0001",)})
    changed = plan.model_copy(update={"roles": {**plan.roles, "developer": role}, "key": "grouped"})
    world.close()
    grouped = World(str(world.database.url) + ".grouped", plan=changed)
    grouped.add_to_group("S0DEVS0001", "nobody")
    grouped.started("dev", S.REVIEW)
    inside = Actor(TEAM, "U0SAND0099", frozenset({"S0DEVS0001"}))
    outside = Actor(TEAM, "U0SAND0099")
    ask = {"stage": "dev"}
    assert grouped.door.handle(Request(outside, "approve", ask, Surface.BUTTON)).refused == "not_a_role_holder"
    assert grouped.door.handle(Request(inside, "approve", ask, Surface.BUTTON)).form is not None
    grouped.close()


def test_a_person_with_several_roles_chooses_and_the_best_one_is_chosen_first(world: World) -> None:
    plan = world.plan
    lead = plan.roles["tech-lead"].model_copy(update={"members": ("U0SAND0003", "U0SAND0002")})
    changed = plan.model_copy(update={"roles": {**plan.roles, "tech-lead": lead}})
    both = World(str(world.database.url) + ".both", plan=changed)
    both.passed("dev", "test")
    both.started("staging", S.REVIEW)
    form = both.say("qa", "approve staging").form
    assert form is not None
    choice = form.inputs[0]
    assert dict(getattr(choice, "options", ())) == {"qa": "QA", "tech-lead": "Tech Lead"}
    assert getattr(choice, "initial", ()) == ("qa",)  # nobody else could sign as QA
    assert both.submit("qa", form, role="tech-lead").refused is None
    both.close()


def test_an_aborting_person_gets_the_rollback_form_at_once(world: World) -> None:
    world.started("dev", S.UPGRADING)
    for word in ("undo", "revert", "abort", "rollback"):
        form = world.say("on-call", word).form
        assert form is not None
        assert form.submit == "Roll back dev"


def test_stop_pauses_at_once(world: World) -> None:
    world.say("developer", "stop something is odd")
    assert "something is odd" in render(world.say("qa", "status"))
    assert world.say("on-call", "resume").refused is None


def test_a_start_of_a_blocked_stage_retries_it(world: World) -> None:
    world.started("dev", S.BLOCKED, bad=1)
    done = world.confirm("tech-lead", "start dev")
    assert "1 target again" in done.text
    assert world.stage("dev").state is S.UPGRADING


def test_the_unlocked_stage_tells_what_comes_next(world: World) -> None:
    world.started("dev", S.ROLLED_BACK)
    world.set_stage("dev", locked=True, locked_reason="it broke")
    done = world.confirm("devops", "unlock dev the library is fixed")
    assert "/rollout start dev" in render(done)
    assert world.stage("dev").generation == 2


def test_canary_starts_once_its_items_are_ticked(world: World) -> None:
    world.passed("dev", "test", "staging")
    assert world.say("devops", "start canary").refused == "items_open"
    world.tick_all()
    assert world.confirm("devops", "start canary").refused is None


def test_an_item_that_is_open_again_blocks_again(world: World) -> None:
    world.passed("dev", "test", "staging")
    world.tick_all()
    world.press("devops", "unmark", {"items": ["runbooks"], "submitted": True})
    with world.database.read() as session:
        standing = facts.standing(session, session.get_one(Rollout, world.rollout_id))
    assert standing.items["runbooks"].state is ItemState.OPEN
    assert world.say("devops", "start canary").refused == "items_open"


def test_the_home_tab_of_an_outsider_shows_the_refusal_only(world: World) -> None:
    reply = world.door.home(Actor("T0PARTNER1", "U0SAND0008", problem="other_team"))
    assert reply.refused == "other_team"
    assert "canary" not in render(reply)


def test_what_a_stranger_tried_is_in_the_audit(world: World) -> None:
    stranger = Actor("T0PARTNER1", "U0SAND0008", problem="other_team")
    world.door.handle(Request(stranger, "rollback", {"words": "dev"}, Surface.SLASH, world.plan.channel))
    assert "@U0SAND0008 · [!] rollback refused (other_team)" in render(world.say("qa", "audit"))


def test_a_target_that_was_not_named_whole_is_said_to_be_guessed(world: World) -> None:
    said = render(world.say("qa", "status test-2"))
    assert "only target" not in said, "by its id"
    with world.database.write() as session:
        session.execute(update(Target).where(Target.id == world.targets("dev")[0].id).values(name="ingest-debug"))
    assert "This is ingest-debug, the only target whose name contains “debug”." in render(
        world.say("qa", "status debug")
    )
    assert "only target" not in render(world.say("qa", "status ingest-debug"))
    form = world.say("devops", "pin ingest").form
    assert form is not None
    assert "begins with “ingest”" in str(form.body[0])


def test_an_act_offers_near_names_of_stages_and_targets(world: World) -> None:
    with world.database.write() as session:
        session.execute(update(Target).where(Target.id == world.targets("dev")[0].id).values(name="ingest-debug"))
    for verb in ("rollback", "pin"):
        said = world.say("devops", f"{verb} debug it is slow")
        assert said.refused == "unknown_target"
        assert "Did you mean ingest-debug?" in said.text
    said = world.say("devops", "rollback cnary")
    assert "Did you mean canary?" in said.text
    pressed = [b for block in said.blocks if isinstance(block, Buttons) for b in block.buttons]
    assert ("Rollback canary", {"rollout": world.rollout_id, "reason": "", "stage": "canary"}) in [
        (b.label, b.arguments) for b in pressed
    ]
    assert "Did you mean" not in world.say("devops", "rollback zzzzqqqq").text
