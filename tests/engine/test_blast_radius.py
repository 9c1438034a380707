"""What may go wrong before a stage stops; windows, freezes and pauses hold what goes on."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from engine import runwatch
from engine.execute import execute
from rollout.gates import Refuse
from rollout.plan import Plan
from rollout.planfile import canonical
from rollout.states import ActionKind, ActionState, StageState
from storage import facts, intents, intents_rollback, runfailures, runs
from storage.models import Action, Outbox, PlanRevision, Rollout, Stage, Target
from storage.runs import Seen
from tests.engine.desk import NEW, NOW, OLD, Desk, desk
from tests.engine.harness import OPS, World, plan_of_two, world
from tests.engine.test_faults import FLEET, UPDATE
from tests.engine.test_replicas import replica
from workspace.errors import Incomplete, Refused, WorkspaceError
from workspace.runs import RunSeen


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        made.put(StageState.UPGRADING)
        yield made


def ruled(bench: Desk, first: dict[str, Any] | None = None, **plan: Any) -> None:
    """The rollout follows a new revision, which says this of its first stage and of itself."""
    raw = plan_of_two().model_dump(by_alias=True)
    raw["stages"] = [{**raw["stages"][0], **(first or {})}, *raw["stages"][1:]]
    with bench.database.write() as session:
        text = canonical(Plan.model_validate({**raw, **plan}))
        number = session.execute(select(func.max(PlanRevision.revision))).scalar_one() + 1
        made = PlanRevision(plan_key="test", revision=number, digest=f"{number:064}", text=text, created_at=NOW)
        session.add(made)
        session.flush()
        session.execute(update(Rollout).values(revision_id=made.id))


# -- failed targets ----------------------------------------------------------------------------------------------------


def test_a_per_cent_of_failures_is_of_the_whole_change_set(bench: Desk) -> None:
    ruled(bench, {"max_failures": "20%", "max_parallel": 100})
    for n in range(10):
        target = bench.target(f"c{n}")
        bench.action(target, ActionKind.BACKUP, ActionState.DONE)
        bench.action(target, ActionKind.CHANGE, ActionState.FAILED if n == 0 else ActionState.PENDING)
    assert len(bench.claim()) == 9, "one of ten is less than a fifth"
    with bench.database.write() as session:
        session.execute(update(Action).where(Action.state == ActionState.RUNNING).values(state=ActionState.PENDING))
    second = bench.of(2, ActionKind.CHANGE)[0].id
    with bench.database.write() as session:
        session.execute(update(Action).where(Action.id == second).values(state=ActionState.FAILED, lease_until=None))
    assert bench.claim() == []
    assert bench.advance() is StageState.BLOCKED
    assert bench.stage().block_code == "max_failures"


# -- failed runs -------------------------------------------------------------------------------------------------------


def changed(bench: Desk, name: str, kind: str = "cluster") -> int:
    target = bench.backed_up(name)
    bench.kind.raws[name]["spark_version"] = NEW
    bench.action(target, ActionKind.CHANGE, ActionState.DONE, ended_at=NOW)
    with bench.database.write() as session:
        session.execute(update(Target).where(Target.id == target).values(kind=kind))
    return target


def ran(
    number: int,
    job: str = "7",
    result: str = "failed",
    after: float = 60,
    release: str | None = "17.3",
    clusters: tuple[str, ...] = (),
) -> Seen:
    started = NOW + timedelta(seconds=after)
    return Seen(job, f"{job}:{number}:0", release, result, started, started + timedelta(seconds=9), 9.0, clusters)


COUNTS = [
    (ran(1), True),
    (ran(1, result="timedout"), True),
    (ran(1, release=None), True),  # it does not tell, and began after the change
    (ran(1, job="99", release=None, clusters=("shared",)), True),  # a foreign job on a cluster that was changed
    (ran(1, release="13.3 + 17.3"), True),
    (ran(1, result="platform"), False),
    (ran(1, result="canceled"), False),
    (ran(1, result="skipped"), False),
    (ran(1, result="success"), False),
    (ran(1, release="13.3"), False),
    (ran(1, after=-60), False),
    (ran(1, job="99"), False),
    (ran(1, job="99", release=None, clusters=("other",)), False),
]


@pytest.mark.parametrize(("run", "counts"), COUNTS)
def test_which_runs_count_against_the_new_runtime(bench: Desk, run: Seen, counts: bool) -> None:
    ruled(bench, {"max_run_failures": 1})
    changed(bench, "7", "job")
    changed(bench, "shared")
    runs.store(bench.database, "dev", [run])
    with bench.database.read() as session:
        stage = session.execute(select(Stage).where(Stage.key == "first")).scalar_one()
        assert bool(runfailures.failed(session, stage)) is counts
        assert runfailures.spent(session, stage) is counts


@pytest.mark.parametrize("state", [StageState.UPGRADING, StageState.VALIDATING, StageState.BAKING])
def test_a_stage_stops_when_its_failed_runs_are_spent_and_counts_anew_after_a_person_let_it_go_on(
    bench: Desk, state: StageState
) -> None:
    ruled(bench, {"max_run_failures": 2})
    changed(bench, "7", "job")
    bench.action(bench.target("next"), ActionKind.CHANGE)
    bench.put(state, bake_until=NOW + timedelta(days=1))
    runs.store(bench.database, "dev", [ran(1)])
    assert runwatch.stop(bench.parts, bench.stage().id) is False
    runs.store(bench.database, "dev", [ran(2)])
    assert bench.claim() == [], "nothing new is begun from then on"
    assert runwatch.stop(bench.parts, bench.stage().id) is True
    stage = bench.stage()
    assert (stage.state, stage.left_state, stage.block_code) == (StageState.BLOCKED, state, "max_run_failures")
    assert stage.block_sentence == "2 runs failed on the new runtime, of 1 target."
    with bench.database.read() as session:
        assert "stage_blocked" in session.execute(select(Outbox.kind)).scalars().all()
    bench.now += timedelta(hours=1)
    assert not isinstance(intents.retry(bench.database, OPS, bench.now, 1, "first"), Refuse)
    assert runwatch.stop(bench.parts, bench.stage().id) is False
    runs.store(bench.database, "dev", [ran(3, after=3700), ran(4, after=3700)])
    assert runwatch.stop(bench.parts, bench.stage().id) is True


def test_a_per_cent_of_run_failures_is_of_the_runs_on_the_new_runtime(bench: Desk) -> None:
    ruled(bench, {"max_run_failures": "20%"})
    changed(bench, "7", "job")
    runs.store(bench.database, "dev", [ran(0), *(ran(n, result="success") for n in range(1, 9))])
    assert runwatch.stop(bench.parts, bench.stage().id) is False, "one of nine"
    runs.store(bench.database, "dev", [ran(9)])
    assert runwatch.stop(bench.parts, bench.stage().id) is True, "two of ten"


def test_without_a_limit_failed_runs_stop_nothing(bench: Desk) -> None:
    changed(bench, "7", "job")
    runs.store(bench.database, "dev", [ran(n) for n in range(50)])
    assert runwatch.stop(bench.parts, bench.stage().id) is False


def listed(number: int, job: int, started: datetime, result: str = "failed", clusters: tuple[str, ...] = ()) -> RunSeen:
    ended = None if result == "active" else started + timedelta(seconds=30)
    return RunSeen(number, job, started, ended, result, 30.0, 0, None if clusters else "17.3", clusters)


def test_runs_are_read_by_listing_what_is_new_and_again_what_went_on(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruled(bench, {"max_run_failures": 5})
    changed(bench, "7", "job")
    changed(bench, "shared")
    asked: list[datetime] = []
    long = NOW + timedelta(minutes=1)
    answers: list[list[RunSeen]] = [
        [listed(1, 7, NOW + timedelta(minutes=5)), listed(2, 9, long, "active", ("shared",)), listed(3, 8, NOW)],
        [listed(2, 9, long, "failed", ("shared",))],
    ]

    def since(_client: Any, jobs: Any, begin: datetime, active: bool) -> Iterator[RunSeen]:
        assert jobs is None, "one listing, not a call for each job"
        assert active
        asked.append(begin)
        yield from answers.pop(0)

    monkeypatch.setattr(runwatch, "runs_since", since)
    watch = runwatch.RunWatch(bench.parts)
    bench.now = NOW + timedelta(hours=1)
    assert watch.due() == ["dev"]
    assert watch.look("dev") is True
    assert watch.due() == [], "not at once again"
    bench.now += runwatch.EVERY
    assert watch.due() == [], "not while the machine's clock stands, however fast the calendar runs"
    bench.database.push(10)
    assert watch.due() == ["dev"]
    assert watch.look("dev") is True
    assert asked == [NOW, long], "from the oldest run on that had not ended"
    with bench.database.read() as session:
        stage = session.execute(select(Stage).where(Stage.key == "first")).scalar_one()
        assert [r.target for r in runfailures.failed(session, stage)] == ["7", "shared"]


def test_only_one_replica_reads_the_runs_of_a_workspace(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ruled(bench, {"max_run_failures": 5})
    changed(bench, "7", "job")
    looks: list[str] = []
    monkeypatch.setattr(runwatch, "runs_since", lambda *_a, **_k: looks.append("look") or iter(()))
    for owner in ("one", "two"):
        runwatch.RunWatch(bench.replica(owner)).look("dev")
    assert len(looks) == 1


@pytest.mark.parametrize("error", [Incomplete("more"), WorkspaceError("no answer")])
def test_what_could_not_be_read_is_asked_for_again(
    bench: Desk, monkeypatch: pytest.MonkeyPatch, error: WorkspaceError
) -> None:
    ruled(bench, {"max_run_failures": 5})
    changed(bench, "7", "job")
    asked: list[datetime] = []

    def since(_client: Any, _jobs: Any, begin: datetime, active: bool) -> Iterator[RunSeen]:
        asked.append(begin)
        yield listed(len(asked), 7, NOW + timedelta(minutes=5))
        raise error

    monkeypatch.setattr(runwatch, "runs_since", since)
    watch = runwatch.RunWatch(bench.parts)
    bench.now = NOW + timedelta(hours=1)
    for _ in range(2):
        watch.look("dev")
    assert asked == [NOW, NOW]


# -- pin what failed ---------------------------------------------------------------------------------------------------


def pin(bench: Desk, reason: str = "flaky library") -> intents_rollback.PinnedFailed:
    done = intents_rollback.pin_failed(bench.database, OPS, bench.now, 1, "first", reason, bench.stage().version)
    assert isinstance(done, intents_rollback.PinnedFailed), done
    return done


def test_pin_failed_puts_back_the_targets_whose_runs_failed_and_the_stage_goes_on_without_them(bench: Desk) -> None:
    ruled(bench, {"max_run_failures": 1})
    bad, good = changed(bench, "bad"), changed(bench, "good")
    runs.store(bench.database, "dev", [ran(1, job="99", release=None, clusters=("bad",))])
    assert runwatch.stop(bench.parts, bench.stage().id)
    done = pin(bench)
    assert (done.pinned, done.reverting, done.left) == (("bad",), 1, ())
    bench.work(rounds=4)
    assert (bench.kind.raws["bad"]["spark_version"], bench.kind.raws["good"]["spark_version"]) == (OLD, NEW)
    with bench.database.read() as session:
        rows = {t.id: (t.pinned_reason, t.pinned_by) for t in session.execute(select(Target)).scalars()}
    assert rows == {bad: ("flaky library", OPS.user_id), good: (None, None)}
    assert bench.stage().state is StageState.BLOCKED
    assert not isinstance(intents.retry(bench.database, OPS, bench.now, 1, "first"), Refuse)
    assert runwatch.stop(bench.parts, bench.stage().id) is False


def test_pin_failed_pins_what_failed_and_nothing_else(bench: Desk) -> None:
    def refuse(name: str) -> None:
        if name != "good":
            raise Refused("no")

    bench.kind.on_apply = refuse
    for name in ("a", "b", "c", "good"):
        bench.action(bench.backed_up(name), ActionKind.CHANGE)
    bench.put(StageState.UPGRADING)
    bench.work(rounds=3)
    assert bench.advance() is StageState.BLOCKED
    bench.kind.on_apply = lambda _: None
    assert set(pin(bench).pinned) == {"a", "b", "c"}
    assert not isinstance(intents.retry(bench.database, OPS, bench.now, 1, "first"), Refuse)
    for _ in range(12):
        bench.work()
        if bench.advance() is StageState.REVIEW:
            break
    assert bench.stage().state is StageState.REVIEW
    assert {n: r["spark_version"] for n, r in bench.kind.raws.items()} == {"a": OLD, "b": OLD, "c": OLD, "good": NEW}


def test_pin_failed_is_refused_to_whoever_may_not_roll_back_and_of_a_stage_that_goes_on(bench: Desk) -> None:
    lead = OPS.__class__("U0LEAD0001", "T0TEST")
    done = intents_rollback.pin_failed(bench.database, lead, bench.now, 1, "first", "x", None)
    assert isinstance(done, Refuse)
    assert [r.code for r in done.reasons] == ["not_permitted", "nothing_to_retry"]


# -- windows and freezes -----------------------------------------------------------------------------------------------


def freeze(bench: Desk, hours: int) -> dict[str, Any]:
    return {"from": NOW.replace(tzinfo=None), "to": (NOW + timedelta(hours=hours)).replace(tzinfo=None), "reason": "x"}


def test_a_freeze_holds_changes_but_neither_backups_nor_reverts(bench: Desk) -> None:
    target = bench.backed_up("c")
    bench.put(StageState.UPGRADING)
    bench.action(target, ActionKind.CHANGE)
    ruled(bench, freezes=[freeze(bench, 2)])
    assert bench.claim() == []
    bench.now += timedelta(hours=2)
    assert [c.kind for c in bench.claim()] == [ActionKind.CHANGE]


@pytest.mark.parametrize("what", ["window", "freeze"])
def test_a_window_that_closes_between_claim_and_write_holds_the_write(bench: Desk, what: str) -> None:
    target = bench.backed_up("c")
    bench.put(StageState.UPGRADING)
    action = bench.action(target, ActionKind.CHANGE)
    (claim,) = bench.claim()
    if what == "freeze":
        ruled(bench, freezes=[freeze(bench, 2)])
    else:
        ruled(bench, {"windows": [{"days": ["tue"], "start": "01:00", "end": "02:00"}]})
    execute(bench.parts, claim)
    assert (bench.kind.writes, bench.get(action).state) == ([], ActionState.PENDING)
    bench.now = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
    bench.work(rounds=3)
    assert bench.kind.writes == ["c"]


def test_a_running_cluster_that_people_work_on_waits_for_the_shared_window(bench: Desk) -> None:
    ruled(bench, shared_window={"days": ["mon"], "start": "20:00", "end": "23:00"})
    names = {"used": "RUNNING", "stopped": "TERMINATED", "jobs": "RUNNING"}
    for name, state in names.items():
        target = bench.backed_up(name, state=state, interactive=name != "jobs")
        bench.kind.raws[name]["cluster_source"] = "API" if name == "jobs" else "UI"
        with bench.database.write() as session:
            session.execute(update(Target).where(Target.id == target).values(state=state))
        bench.action(target, ActionKind.CHANGE)
    bench.put(StageState.UPGRADING)
    assert {c.target_name for c in bench.claim()} == {"stopped", "jobs"}
    with bench.database.read() as session:
        standing = facts.standing(session, session.get_one(Rollout, 1))
    assert standing.stage("first").shared == 1
    bench.now = NOW.replace(hour=20)
    assert [c.target_name for c in bench.claim()] == ["used"]


def test_a_shared_cluster_that_was_started_since_it_was_last_seen_is_not_restarted_under_its_people(
    bench: Desk,
) -> None:
    ruled(bench, shared_window={"days": ["mon"], "start": "20:00", "end": "23:00"})
    target = bench.backed_up("c", interactive=True)
    action = bench.action(target, ActionKind.CHANGE)
    bench.put(StageState.UPGRADING)
    bench.kind.raws["c"].update(state="RUNNING", cluster_source="UI")
    bench.work(rounds=3)
    assert (bench.kind.writes, bench.get(action).state) == ([], ActionState.PENDING)
    assert bench.claim() == [], "and is not looked at over and over"
    bench.now = NOW.replace(hour=20)
    bench.work(rounds=1)
    assert bench.kind.writes == ["c"]


# -- pause -------------------------------------------------------------------------------------------------------------


def test_a_pause_asked_of_one_replica_holds_the_claims_of_both_within_a_tick(
    migrated_postgresql_url: str, tmp_path: Path
) -> None:
    with world(migrated_postgresql_url, tmp_path, FLEET) as made:
        for owner in ("one", "two"):
            replica(made, owner)[0].start()
        made.looked()
        made.databricks.faults.add(UPDATE, "slow", seconds=0.3)
        made.start("first")
        made.wait(lambda: any(a.intent_at for a in made.actions("first")), "the first write to be on its way")
        assert not isinstance(intents.pause(made.database, OPS, made.calendar(), made.rollout_id(), "hold"), Refuse)
        # Each claim reads the pause under its locks, so nothing is begun from here on, by nobody.
        begun = {a.id for a in made.actions("first") if a.started_at is not None}
        intended = {a.id for a in made.actions("first") if a.intent_at is not None}
        _passes(made, 6)
        after = made.actions("first")
        assert {a.id for a in after if a.started_at is not None} <= begun
        assert {a.id for a in after if a.intent_at is not None} <= intended
        assert any(a.kind is ActionKind.CHANGE and a.state is ActionState.PENDING for a in after)
        assert not isinstance(intents.resume(made.database, OPS, made.calendar(), made.rollout_id()), Refuse)
        made.until("first", StageState.REVIEW, seconds=90)


def _passes(made: World, number: int) -> None:
    """Let both engines make some passes each."""
    for engine in made.engines:
        done = threading.Semaphore(0)
        real = engine.pass_once

        def counted(real: Any = real, done: threading.Semaphore = done) -> None:
            real()
            done.release()

        engine.pass_once = counted  # type: ignore[method-assign]
        for _ in range(number):
            engine.wake()
            assert done.acquire(timeout=60)


def test_resume_needs_the_role_that_the_plan_names(bench: Desk) -> None:
    raw = plan_of_two().model_dump(by_alias=True)
    ruled(bench, capabilities={**raw["capabilities"], "resume": ["lead"]})
    lead = OPS.__class__("U0LEAD0001", "T0TEST")
    assert not isinstance(intents.pause(bench.database, OPS, bench.now, 1, "hold"), Refuse)
    refused = intents.resume(bench.database, OPS, bench.now, 1)
    assert isinstance(refused, Refuse)
    assert [r.code for r in refused.reasons] == ["not_permitted"]
    assert isinstance(intents.pause(bench.database, lead, bench.now, 1, "x"), Refuse)
    assert not isinstance(intents.resume(bench.database, lead, bench.now, 1), Refuse)
