"""The pace at which all replicas together ask one workspace: its rate, its holds, and how many targets at once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from engine.execute import execute
from engine.pace import Pace
from rollout.plan import Plan
from rollout.planfile import canonical
from rollout.states import ActionKind, ActionState, StageState
from storage import facts, rates
from storage.database import Database
from storage.models import PlanRevision, Rate, Rollout, Workspace
from storage.opening import open_rollouts
from tests.engine.desk import NOW, Desk, desk
from tests.engine.harness import plan_of_two
from workspace.errors import Held, Throttled

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


class Simulated(Database):
    """A database whose machine time stands where the test puts it."""

    instant = START

    def machine_now(self, session: Session) -> datetime:
        return self.instant

    def machine(self) -> datetime:
        return self.instant


def limited(**limits: Any) -> Plan:
    return Plan.model_validate({**plan_of_two().model_dump(by_alias=True), "limits": {"dev": limits}})


@pytest.fixture
def clocked(migrated_url: str) -> Iterator[Simulated]:
    database = Simulated(migrated_url)
    open_rollouts(database, [limited(calls_per_second=20)], NOW)
    yield database
    database.close()


class Replica:
    """One that calls again as soon as its permit lets it, or after a rest."""

    def __init__(self, database: Simulated, rest: float = 0.0) -> None:
        self.database, self.rest, self.free = database, rest, START
        self.waited = 0.0
        self.calls: list[datetime] = []
        self.pace = Pace(database, "dev", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.waited = seconds

    def call(self) -> None:
        self.database.instant, self.waited = self.free, 0.0
        try:
            self.pace.permit(20)
        except Held as held:
            self.free += timedelta(seconds=held.retry_after)
            return
        self.calls.append(self.free + timedelta(seconds=self.waited))
        self.free = self.calls[-1] + timedelta(seconds=self.rest)


def run(replicas: list[Replica], seconds: float) -> list[float]:
    """Let the one that is free first call, until the time has come; when calls were sent, in seconds."""
    while (first := min(replicas, key=lambda r: r.free)).free < START + timedelta(seconds=seconds):
        first.call()
    return sorted((c - START).total_seconds() for r in replicas for c in r.calls)


def most_within(calls: list[float], window: float) -> int:
    return max(sum(start <= c < start + window for c in calls) for start in calls)


@pytest.mark.parametrize("rests", [(0.0, 0.0), (0.0, 0.03), (0.11, 0.07), (0.0, 1.3)])
def test_two_replicas_together_never_exceed_the_rate(clocked: Simulated, rests: tuple[float, float]) -> None:
    statements: list[str] = []
    event.listen(clocked.engine, "commit", lambda _c: statements.append("commit"))
    calls = run([Replica(clocked, rest) for rest in rests], 20)
    assert len(calls) <= 20 * 20 + 2
    # A turn may be used a piece late, so that much more may fall into any one second.
    assert most_within(calls, 1.0) <= 20 * (1 + 2 * rates.PIECE) + 1
    assert most_within(calls, 5.0) <= 20 * (5 + 2 * rates.PIECE) + 1
    if rests == (0.0, 0.0):
        assert len(calls) >= 20 * 20 - 10, "what the rate allows is used"
        assert len(statements) <= len(calls) / 4 + 4, "a call costs no write of its own"


def test_a_call_that_would_wait_too_long_is_not_made_and_takes_no_turn(clocked: Simulated) -> None:
    with clocked.write() as session:
        rates.slow_down(session, START, "dev", START, 30)
    waited: list[float] = []
    pace = Pace(clocked, "dev", waited.append)
    with pytest.raises(Held) as held:
        pace.permit(5)
    assert held.value.retry_after == pytest.approx(30)
    pace.permit(40)
    assert waited == [pytest.approx(30)]


def test_retry_after_is_honoured_by_the_replica_that_was_not_told(clocked: Simulated) -> None:
    told, other = Replica(clocked), Replica(clocked)
    run([told, other], 2)
    hold_from = max(told.free, other.free)
    clocked.instant = hold_from
    told.pace.throttled(5)
    calls = run([told, other], 12)
    begin = (hold_from - START).total_seconds()
    assert not [c for c in calls if begin + 2 * rates.PIECE < c < begin + 5]
    assert [c for c in calls if c > begin + 5]


def ceiling(database: Database) -> int | None:
    with database.read() as session:
        return session.execute(select(Rate.ceiling).where(Rate.workspace == "dev")).scalar_one_or_none()


def test_a_wave_of_429_halves_once_and_the_next_wave_once_more(migrated_url: str) -> None:
    database = Simulated(migrated_url)
    open_rollouts(database, [limited(max_parallel=16)], NOW)
    paces = [Pace(database, "dev", lambda _: None) for _ in range(2)]
    for expected in (8, 4, 2, 1, 1):
        for pace in paces:
            pace.permit(99)
        sent = database.instant
        for n in range(6):  # answers to what was sent before the first of them arrived
            database.instant = sent + timedelta(seconds=0.1 * (n + 1))
            paces[n % 2].throttled(1)
        assert ceiling(database) == expected
        database.instant += timedelta(seconds=3)
    database.close()


def test_what_was_halved_grows_back_one_by_one_and_no_further_than_the_plan(clocked: Simulated) -> None:
    with clocked.write() as session:
        session.execute(update(PlanRevision).values(text=canonical(limited(max_parallel=6))))
    with clocked.write() as session:
        rates.slow_down(session, START, "dev", START, 5)
        row = session.execute(select(Workspace).where(Workspace.key == "dev")).scalar_one()
        rate = session.execute(select(Rate)).scalar_one()
        grown = [
            rates.at_once(rate, row.hold_until, START + timedelta(seconds=5 + rates.GROW_EVERY * n), 6)
            for n in range(6)
        ]
    assert grown == [3, 4, 5, 6, 6, 6]


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        made.put(StageState.UPGRADING)
        yield made


def test_the_claim_keeps_to_what_is_left_after_a_429_and_status_says_so(bench: Desk) -> None:
    for n in range(9):
        bench.action(bench.target(f"c{n}"), ActionKind.CHANGE)
    with bench.database.write() as session:
        rates.slow_down(session, bench.database.machine_now(session), "dev", bench.database.machine(), 3)
    assert bench.claim() == [], "nothing is asked while it holds us"
    with bench.database.read() as session:
        standing = facts.standing(session, session.get_one(Rollout, 1))
    assert 0 < standing.workspaces["dev"].slow_for <= 3
    assert standing.workspaces["dev"].at_once == 2
    bench.database.push(4)
    assert len(bench.claim()) == 2
    bench.database.push(rates.GROW_EVERY)
    assert len(bench.claim()) == 1


def test_stages_in_one_workspace_are_held_together_and_a_rollback_does_not_wait_for_them(bench: Desk) -> None:
    bench.put(StageState.UPGRADING, "second")
    for n in range(4):
        bench.action(bench.target(f"a{n}"), ActionKind.CHANGE)
        bench.action(bench.target(f"b{n}", "second"), ActionKind.CHANGE, workspace="dev")
    bench.action(bench.target("back", "second"), ActionKind.REVERT, workspace="dev")
    both = [*bench.wants("second"), *bench.wants("first")]
    both.sort(key=lambda w: w.forward)
    bench.wants = lambda key="first": both  # type: ignore[method-assign]
    claims = bench.claim()
    assert [c.target_name for c in claims if c.kind is ActionKind.REVERT] == ["back"]
    assert len(claims) == 4, "the workspace takes four at once, whichever stage they are of"


def test_a_target_whose_turn_has_not_come_is_not_called_unreachable(bench: Desk) -> None:
    target = bench.backed_up("c")
    bench.put(StageState.UPGRADING)
    action = bench.action(target, ActionKind.CHANGE)

    def held(_name: str) -> None:
        raise Held(0.1)

    bench.kind.on_apply = held
    bench.work(rounds=30)
    assert (bench.get(action).state, bench.get(action).looks, bench.get(action).intent_at) == (
        ActionState.RUNNING,
        0,
        None,
    )
    bench.kind.on_apply = lambda _: None
    bench.work(rounds=3)
    assert (bench.get(action).state, bench.kind.writes) == (ActionState.DONE, ["c"])


def test_a_429_of_one_target_halves_the_whole_workspace_once(bench: Desk) -> None:
    for n in range(4):
        bench.action(bench.backed_up(f"c{n}"), ActionKind.CHANGE)
    bench.put(StageState.UPGRADING)

    def throttled(_name: str) -> None:
        raise Throttled("slow down", 2)

    bench.kind.on_apply = throttled
    execute(bench.parts, bench.claim()[0])
    assert ceiling(bench.database) == 2
    assert bench.claim() == []
