"""Claims: ended actions stay ended, and two replicas never wait for each other in a circle."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from rollout.states import ActionKind, ActionState, StageState
from storage import actions, claiming
from storage.transitions import lock_stage
from tests.engine.desk import Desk, desk


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        made.put(StageState.UPGRADING)
        yield made


def test_an_action_that_ended_while_it_was_being_claimed_stays_ended(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = bench.action(bench.target("late"), ActionKind.CHANGE)
    (claim,) = bench.claim()
    bench.action(bench.target("next"), ActionKind.CHANGE)
    bench.database.push(bench.parts.lease_seconds + 1)
    real = claiming.fresh

    def fresh(session: Any, *arguments: Any) -> list[int]:
        # Between the choice and the claim the former owner commits its end after all.
        actions.end(session, claim, ActionState.DONE, bench.now)
        monkeypatch.setattr(claiming, "fresh", real)
        return real(session, *arguments)

    monkeypatch.setattr(claiming, "fresh", fresh)
    claimed = bench.claim()
    assert [c.target_name for c in claimed] == ["next"]
    assert bench.get(late).state is ActionState.DONE


def test_a_late_answer_after_the_lease_was_taken_over_changes_nothing(bench: Desk) -> None:
    action = bench.action(bench.target("c"), ActionKind.CHANGE)
    (old,) = bench.claim(parts=bench.replica("old"))
    bench.database.push(bench.parts.lease_seconds + 1)
    (new,) = bench.claim(parts=bench.replica("new"))
    assert new.epoch == old.epoch + 1
    with pytest.raises(actions.LeaseLost), bench.database.write() as session:
        actions.end(session, old, ActionState.FAILED, bench.now, "stuck", "late")
    assert bench.get(action).owner == "new"
    assert bench.get(action).state is ActionState.RUNNING


def test_claims_lock_stages_in_the_order_in_which_people_lock_them(
    migrated_postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(migrated_postgresql_url, monkeypatch) as bench:
        for key in ("first", "second"):
            bench.put(StageState.ROLLING_BACK, key)
        bench.action(bench.target("a"), ActionKind.REVERT)
        bench.action(bench.target("b", "second"), ActionKind.REVERT, workspace="dev")
        first, second = bench.stage("first").id, bench.stage("second").id
        wants = [
            claiming.Want(stage, 1, ActionKind.REVERT, None, 4, None)
            for stage in (second, first)  # later stages first
        ]
        claimed: list[Any] = []

        def claim() -> None:
            with bench.database.write() as session:
                now = bench.database.machine_now(session)
                claimed.extend(claiming.claim(session, now, bench.now, ["dev"], "other", wants, 60, 8))

        other = threading.Thread(target=claim)
        with bench.database.write() as session:
            lock_stage(session, first)
            other.start()
            _somebody_waits(migrated_postgresql_url)
            lock_stage(session, second)  # a deadlock if the claim held it already
        other.join(60)
        assert [c.target_name for c in claimed] == ["b", "a"]


def _somebody_waits(url: str) -> None:
    until = time.monotonic() + 60
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert time.monotonic() < until, "the claim does not wait for the stage"
            time.sleep(0.02)


def test_failures_stop_new_claims_until_they_are_repeated(bench: Desk) -> None:
    for n in range(3):
        bench.action(bench.target(f"bad{n}"), ActionKind.CHANGE, ActionState.FAILED, ended_at=bench.now)
    good = bench.target("good")
    bench.action(good, ActionKind.CHANGE)
    assert bench.claim() == []
    bench.action(bench.of(good, ActionKind.CHANGE)[0].target_id - 1, ActionKind.CHANGE, attempt=2)
    assert len(bench.claim()) == 2


def test_at_most_so_many_targets_are_in_flight_per_workspace(bench: Desk) -> None:
    for n in range(7):
        bench.action(bench.target(f"c{n}"), ActionKind.CHANGE)
    assert len(bench.claim()) == 4
    assert bench.claim() == []
    bench.database.push(timedelta(hours=1).total_seconds())
    assert len(bench.claim()) == 4, "the same four, taken over"
