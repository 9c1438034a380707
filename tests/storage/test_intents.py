"""Acts of people, on both databases: each decides again under its locks, and happens once."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from rollout.change import Change
from rollout.gates import Refuse
from rollout.states import ActionKind, ActionState, Decision, ItemState, StageState
from storage import dryrun, facts, intents, intents_items, intents_rollback, intents_signing
from storage.acting import Who
from storage.intents import Retried, Started
from storage.intents_rollback import Pinned, RollingBack, Unlocked
from storage.intents_signing import Signed
from storage.models import Action, Rollout, SignOff, Target, Workspace
from storage.record import ENGINE, event
from storage.transitions import lock_stage
from tests.commands.world import PEOPLE, TEAM, World

S = StageState


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url)
    yield made
    made.close()


def who(person: str) -> Who:
    return Who(PEOPLE[person], TEAM, surface="slash")


def digest(w: World, stage: str) -> str:
    with w.database.read() as session:
        return dryrun.digest_of(dryrun.change_set(session, w.rollout_id, stage))


def start(w: World, stage: str = "dev", person: str = "devops", confirm: str | None = None, **more: Any) -> Any:
    confirm = digest(w, stage) if confirm is None else confirm
    return intents.start(w.database, who(person), w.now, w.rollout_id, stage, confirm, **more)


def approve(w: World, stage: str, person: str, **more: Any) -> Any:
    return intents_signing.approve(w.database, who(person), w.now, w.rollout_id, stage, **more)


def reject(w: World, stage: str, person: str, reason: str = "no") -> Any:
    return intents_signing.reject(w.database, who(person), w.now, w.rollout_id, stage, reason)


def roll_back(w: World, *stages: str, person: str = "on-call", **more: Any) -> Any:
    return intents_rollback.roll_back(w.database, who(person), w.now, w.rollout_id, stages, "it broke", **more)


def codes(done: object) -> list[str]:
    assert isinstance(done, Refuse), done
    return [r.code for r in done.reasons]


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run the acts in threads that begin together."""
    barrier, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(index: int, act: Callable[[], Any]) -> None:
        barrier.wait()
        results[index] = act()

    threads = [threading.Thread(target=run, args=(i, a)) for i, a in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


# -- start -----------------------------------------------------------------------------------------------------------


def test_a_start_prepares_a_backup_for_every_target_with_its_frozen_change(world: World) -> None:
    assert start(world) == Started("dev", 3)
    stage = world.stage("dev")
    assert (stage.state, stage.started_by, stage.change_set_digest) == (
        S.PREPARING,
        PEOPLE["devops"],
        digest(world, "dev"),
    )
    actions = world.actions("dev", ActionKind.BACKUP)
    assert [(a.state, a.attempt, a.generation) for a in actions] == [(ActionState.PENDING, 1, 1)] * 3
    planned = {t.id: Change.from_json(t.change or {}) for t in world.targets("dev")}
    assert {a.target_id: Change.from_json(a.change or {}) for a in actions} == planned
    assert [e.kind for e in world.events()] == ["start", "stage_preparing"]


def test_what_was_confirmed_is_what_starts_or_nothing_does(world: World) -> None:
    shown = digest(world, "dev")
    with world.database.write() as session:
        session.execute(update(Target).where(Target.name == "dev etl 0").values(gone=True))
    assert codes(start(world, confirm=shown)) == ["change_set_changed"]
    assert codes(start(world, confirm="")) == ["change_set_changed"]
    assert world.stage("dev").state is S.READY
    assert world.actions("dev", ActionKind.BACKUP) == []
    assert start(world) == Started("dev", 2)


def test_pinned_and_skipped_targets_are_in_no_change_set(world: World) -> None:
    first, second, _ = world.targets("dev")
    with world.database.write() as session:
        session.execute(update(Target).where(Target.id == first.id).values(pinned_reason="keep"))
        session.execute(update(Target).where(Target.id == second.id).values(change=None, skip_code="custom_image"))
    assert start(world) == Started("dev", 1)


def test_two_starts_at_once_start_the_stage_once(world: World) -> None:
    shown = digest(world, "dev")
    done = at_once(
        lambda: start(world, confirm=shown),
        lambda: start(world, person="devops-2", confirm=shown),
        lambda: start(world, person="tech-lead", confirm=shown),
    )
    assert [type(d) for d in done].count(Started) == 1
    assert all(codes(d) == ["stage_busy"] for d in done if isinstance(d, Refuse))
    assert len(world.actions("dev", ActionKind.BACKUP)) == 3


def test_a_start_drawn_from_an_older_state_is_stale(world: World) -> None:
    version = world.stage("dev").version
    world.set_stage("dev", locked_reason=None)
    assert codes(start(world, version=version)) == ["stale_view"]
    assert start(world, version=version + 1) == Started("dev", 3)


def test_a_predecessor_counts_by_its_sign_offs_not_by_its_state(world: World) -> None:
    world.passed("dev")
    with world.database.write() as session:
        session.execute(update(SignOff).values(revoked_at=world.now))
    assert codes(start(world, "test")) == ["predecessor_not_passed"]


def test_a_sign_off_by_the_starter_or_on_other_evidence_does_not_count(world: World) -> None:
    world.passed("dev")
    frozen = world.stage("dev").evidence_digest
    world.set_stage("dev", evidence_digest="f" * 64)
    assert codes(start(world, "test")) == ["predecessor_not_passed"]
    world.set_stage("dev", evidence_digest=frozen, started_by=PEOPLE["developer"])
    assert codes(start(world, "test")) == ["predecessor_not_passed"]
    world.set_stage("dev", started_by=PEOPLE["devops"])
    assert start(world, "test") == Started("test", 3)


def test_an_act_and_the_engine_at_the_same_stage_do_not_deadlock(world: World) -> None:
    shown, stage_id = digest(world, "dev"), world.stage("dev").id
    holds_stage = threading.Event()

    def engine() -> str:
        with world.database.write() as session:
            stage = lock_stage(session, stage_id)
            holds_stage.set()
            time.sleep(0.5)  # the act has the rollout by now, and waits for the stage
            event(session, world.now, ENGINE, "look", "looked at it", stage=stage)
        return "done"

    def person() -> Any:
        holds_stage.wait(60)
        return start(world, confirm=shown)

    assert at_once(engine, person) == ["done", Started("dev", 3)]


# -- retry -----------------------------------------------------------------------------------------------------------


def test_a_retry_is_a_new_attempt_for_what_failed_and_nothing_else(world: World) -> None:
    world.started("dev", S.BLOCKED, bad=2)
    assert intents.retry(world.database, who("devops"), world.now, world.rollout_id, "dev") == Retried("dev", 2)
    actions = world.actions("dev", ActionKind.CHANGE)
    assert [(a.attempt, a.state) for a in actions] == [
        (1, ActionState.FAILED),
        (1, ActionState.FAILED),
        (1, ActionState.DONE),
        (2, ActionState.PENDING),
        (2, ActionState.PENDING),
    ]
    stage = world.stage("dev")
    assert (stage.state, stage.left_state, stage.block_code) == (S.UPGRADING, None, None)
    assert codes(intents.retry(world.database, who("devops"), world.now, world.rollout_id, "dev")) == [
        "nothing_to_retry"
    ]


def test_what_was_pinned_is_not_tried_again(world: World) -> None:
    world.started("dev", S.BLOCKED, bad=1)
    failed = world.targets("dev")[0]
    done = intents_rollback.roll_back_target(
        world.database, who("on-call"), world.now, world.rollout_id, failed.id, "flaky"
    )
    assert done == Pinned(failed.name, "dev", True)
    assert intents.retry(world.database, who("devops"), world.now, world.rollout_id, "dev") == Retried("dev", 0)
    assert world.stage("dev").state is S.UPGRADING


# -- sign-offs -------------------------------------------------------------------------------------------------------


def test_the_last_sign_off_passes_the_stage_and_opens_the_next(world: World) -> None:
    world.started("dev", S.REVIEW)
    assert approve(world, "dev", "developer") == Signed("dev", "developer", True, {}, ("test",))
    assert (world.stage("dev").state, world.stage("test").state) == (S.PASSED, S.READY)
    assert world.stage("staging").state is S.WAITING
    assert world.outbox() == ["stage_passed"]


def test_two_last_sign_offs_at_once_pass_the_stage_exactly_once(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.REVIEW)
    done = at_once(lambda: approve(world, "staging", "qa"), lambda: approve(world, "staging", "tech-lead"))
    assert sorted(d.passed for d in done) == [False, True]
    assert world.stage("staging").state is S.PASSED
    assert [e.kind for e in world.events()].count("stage_passed") == 1
    assert world.outbox().count("stage_passed") == 1


def test_two_people_of_one_role_at_once_fill_it_once(world: World) -> None:
    world.passed("dev", "test", "staging", "canary")
    world.started("full", S.REVIEW, by="tech-lead")
    done = at_once(lambda: approve(world, "full", "devops"), lambda: approve(world, "full", "devops-2"))
    assert sorted(type(d).__name__ for d in done) == ["Refuse", "Signed"]
    assert [codes(d) for d in done if isinstance(d, Refuse)] == [["role_filled"]]


def test_one_person_who_presses_twice_signs_once(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.REVIEW)
    done = at_once(*[lambda: approve(world, "staging", "qa")] * 3)
    assert [type(d).__name__ for d in done].count("Signed") == 1
    with world.database.read() as session:
        stage = world.stage("staging")
        found = session.execute(select(SignOff).where(SignOff.stage_id == stage.id)).scalars().all()
    assert len(found) == 1


def test_a_rejection_holds_until_the_same_role_approves(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.REVIEW)
    assert isinstance(reject(world, "staging", "qa", "orders are wrong"), Signed)
    done = approve(world, "staging", "tech-lead")
    assert (done.passed, done.lacking) == (False, {"qa": 1})
    assert codes(reject(world, "staging", "qa")) == ["already_signed"]
    assert approve(world, "staging", "qa").passed
    with world.database.read() as session:
        rows = session.execute(
            select(SignOff.decision, SignOff.revoked_at).where(SignOff.stage_id == world.stage("staging").id)
        ).all()
    assert sorted((d, r is None) for d, r in rows) == [
        (Decision.GRANTED, True),
        (Decision.GRANTED, True),
        (Decision.REJECTED, False),
    ]


def test_another_of_the_same_role_lifts_a_rejection(world: World) -> None:
    world.passed("dev", "test", "staging", "canary")
    world.started("full", S.REVIEW, by="tech-lead")
    reject(world, "full", "devops")
    assert isinstance(approve(world, "full", "devops-2"), Signed)
    with world.database.read() as session:
        standing = facts.standing(session, session.get_one(Rollout, world.rollout_id))
    assert standing.stage("full").rejections == ()


def test_who_approved_may_still_say_no_before_it_passes(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.REVIEW)
    approve(world, "staging", "qa")
    assert reject(world, "staging", "qa").lacking == {"qa": 1, "tech-lead": 1}


def test_a_rejection_needs_a_reason(world: World) -> None:
    world.started("dev", S.REVIEW)
    assert codes(reject(world, "dev", "developer", " ")) == ["reason_required"]


def test_a_role_that_is_not_ones_own_is_refused(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.REVIEW)
    assert codes(approve(world, "staging", "qa", role="tech-lead")) == ["not_a_role_holder"]


# -- back ------------------------------------------------------------------------------------------------------------


def test_a_rollback_locks_the_stage_skips_what_had_not_begun_and_closes_the_gates_after_it(world: World) -> None:
    world.passed("dev")
    world.carry_out("dev", ActionKind.VALIDATE, ActionState.PENDING)
    assert world.stage("test").state is S.READY
    assert roll_back(world, "dev") == RollingBack(("dev",))
    stage = world.stage("dev")
    assert (stage.state, stage.locked, stage.locked_reason, stage.locked_by) == (
        S.ROLLING_BACK,
        True,
        "it broke",
        PEOPLE["on-call"],
    )
    assert {a.state for a in world.actions("dev", ActionKind.VALIDATE)} == {ActionState.SKIPPED}
    assert world.stage("test").state is S.WAITING
    assert world.outbox() == ["rollback_started"]
    assert codes(roll_back(world, "dev")) == ["rollback_running"]


def test_a_later_stage_with_changes_goes_first_or_all_go_together(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.UPGRADING)
    assert codes(roll_back(world, "dev")) == ["later_stage_started"]
    assert roll_back(world, "dev", "test", "staging") == RollingBack(("staging", "test", "dev"))
    assert {world.stage(k).state for k in ("dev", "test", "staging")} == {S.ROLLING_BACK}
    assert world.outbox().count("rollback_started") == 3


def test_a_paused_rollout_can_be_rolled_back(world: World) -> None:
    world.started("dev", S.UPGRADING)
    assert not isinstance(intents.pause(world.database, who("qa"), world.now, world.rollout_id, "look"), Refuse)
    assert roll_back(world, "dev") == RollingBack(("dev",))


def test_what_could_not_be_put_back_is_tried_again(world: World) -> None:
    world.started("dev", S.UPGRADING)
    roll_back(world, "dev")
    world.carry_out("dev", ActionKind.REVERT, bad=1)
    world.set_stage("dev", state=S.ROLLED_BACK, block_code="actions_failed", block_sentence="One is left.")
    assert roll_back(world, "dev") == RollingBack(("dev",))
    reverts = world.actions("dev", ActionKind.REVERT)
    assert [(a.attempt, a.state) for a in reverts][-1] == (2, ActionState.PENDING)
    assert len(reverts) == 4
    assert world.stage("dev").block_code is None


def test_a_rollback_of_another_generation_is_stale(world: World) -> None:
    world.started("dev", S.UPGRADING)
    assert codes(roll_back(world, "dev", generation=2)) == ["stale_view"]


def test_an_unlocked_stage_is_new_and_waits_for_its_predecessors(world: World) -> None:
    world.passed("dev")
    world.started("test", S.UPGRADING)
    roll_back(world, "dev", "test")
    for key in ("dev", "test"):
        world.set_stage(key, state=S.ROLLED_BACK)
    unlock = intents_rollback.unlock
    assert codes(unlock(world.database, who("devops"), world.now, world.rollout_id, "test", "")) == ["reason_required"]
    done = unlock(world.database, who("devops"), world.now, world.rollout_id, "test", "fixed")
    assert done == Unlocked("test", False)
    assert world.stage("test").state is S.WAITING
    assert unlock(world.database, who("devops"), world.now, world.rollout_id, "dev", "fixed") == Unlocked("dev", True)
    stage = world.stage("dev")
    assert (stage.state, stage.generation, stage.locked, stage.started_by, stage.evidence_digest) == (
        S.READY,
        2,
        False,
        None,
        None,
    )
    assert start(world) == Started("dev", 3)
    assert {a.generation for a in world.actions("dev", ActionKind.BACKUP)} == {1, 2}


def test_one_target_is_put_back_and_pinned(world: World) -> None:
    world.started("dev", S.BAKING)
    target = world.targets("dev")[1]
    back = intents_rollback.roll_back_target
    assert back(world.database, who("on-call"), world.now, world.rollout_id, target.id, "slow") == Pinned(
        target.name, "dev", True
    )
    revert = world.actions("dev", ActionKind.REVERT)[0]
    assert (revert.target_id, revert.state, revert.change) == (target.id, ActionState.PENDING, target.change)
    pinned = world.targets("dev")[1]
    assert (pinned.pinned_reason, pinned.pinned_by) == ("slow", PEOPLE["on-call"])
    assert world.outbox() == ["pinned"]
    assert codes(back(world.database, who("on-call"), world.now, world.rollout_id, target.id, "")) == [
        "actions_in_flight"
    ]


def test_a_target_whose_change_had_not_begun_is_only_pinned(world: World) -> None:
    world.started("dev", S.UPGRADING)
    world.carry_out("dev", ActionKind.CHANGE, ActionState.PENDING)
    target = world.targets("dev")[0]
    done = intents_rollback.roll_back_target(world.database, who("devops"), world.now, world.rollout_id, target.id, "")
    assert done == Pinned(target.name, "dev", False)
    assert world.actions("dev", ActionKind.REVERT) == []
    assert world.actions("dev", ActionKind.CHANGE)[0].state is ActionState.SKIPPED


def test_what_an_earlier_attempt_wrote_is_put_back_though_its_retry_has_not_begun(world: World) -> None:
    world.started("dev", S.BLOCKED, bad=1)
    failed = world.targets("dev")[0]
    assert intents.retry(world.database, who("devops"), world.now, world.rollout_id, "dev") == Retried("dev", 1)
    done = intents_rollback.roll_back_target(world.database, who("devops"), world.now, world.rollout_id, failed.id, "")
    assert done == Pinned(failed.name, "dev", True)
    assert [a.target_id for a in world.actions("dev", ActionKind.REVERT)] == [failed.id]


def test_a_target_that_could_not_be_put_back_by_itself_is_tried_again_with_its_stage(world: World) -> None:
    world.started("dev", S.BAKING)
    target = world.targets("dev")[0]
    back = intents_rollback.roll_back_target
    back(world.database, who("on-call"), world.now, world.rollout_id, target.id, "slow")
    with world.database.write() as session:
        for revert in session.query(Action).filter(Action.kind == ActionKind.REVERT):
            revert.state, revert.ended_at = ActionState.FAILED, world.now
    intents_rollback.roll_back(world.database, who("on-call"), world.now, world.rollout_id, ["dev"], "")
    reverts = [a for a in world.actions("dev", ActionKind.REVERT) if a.target_id == target.id]
    assert [(a.attempt, a.state) for a in reverts] == [(1, ActionState.FAILED), (2, ActionState.PENDING)]


# -- flags, looks and items ------------------------------------------------------------------------------------------


def test_pause_and_resume_are_recorded_and_posted(world: World) -> None:
    args = (world.database, who("qa"), world.now, world.rollout_id)
    assert not isinstance(intents.pause(*args, "numbers look odd"), Refuse)
    assert codes(intents.pause(*args, "")) == ["already_paused"]
    assert not isinstance(intents.resume(*args), Refuse)
    assert codes(intents.resume(*args)) == ["not_paused"]
    assert world.outbox() == ["paused", "resumed"]
    assert [e.kind for e in world.events()] == ["pause", "resume"]


def test_a_fresh_look_is_asked_of_all_workspaces_of_the_plan(world: World) -> None:
    assert intents.look_again(world.database, who("qa"), world.now, world.rollout_id) == 4
    with world.database.read() as session:
        assert set(session.execute(select(Workspace.look_wanted_at)).scalars()) == {world.now}


def test_a_look_is_shared_once_by_a_double_press(world: World) -> None:
    args = (world.database, who("qa"), world.now, world.rollout_id, "status", {"stage": "dev"})
    assert [intents.share(*args), intents.share(*args)] == [True, False]
    assert world.outbox() == ["shared"]


def test_items_are_ticked_together_and_un_ticked(world: World) -> None:
    def attest(person: str, keys: list[str], state: ItemState, comment: str = "") -> Any:
        return intents_items.attest(world.database, who(person), world.now, world.rollout_id, keys, state, comment)

    assert len(attest("devops", ["runbooks", "cluster-setup"], ItemState.DONE).titles) == 2
    assert len(attest("devops", ["runbooks"], ItemState.OPEN).titles) == 1
    assert codes(attest("developer", ["runbooks"], ItemState.DONE)) == ["not_permitted"]
    assert codes(attest("devops", ["runbooks"], ItemState.NOT_APPLICABLE)) == ["reason_required"]
    assert codes(attest("devops", ["runbooks", "x"], ItemState.DONE)) == ["unknown_item"]
    with world.database.read() as session:
        standing = facts.standing(session, session.get_one(Rollout, world.rollout_id))
    assert standing.is_open("runbooks")
    assert not standing.is_open("cluster-setup")
