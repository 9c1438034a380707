"""A running cluster is not restarted under somebody's run: it waits, or people are asked, as the plan says."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.claimed import BUSY_FOR
from rollout.states import ActionKind, ActionState, StageState
from storage import facts
from storage.models import PlanRevision, Rollout
from tests.engine.desk import NEW, OLD, Desk, desk
from tests.engine.harness import World, world

RUNS = "2 runs are under way on it."
SPEC = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        yield made


def busy(bench: Desk, how: str = "wait") -> int:
    """A running cluster with runs under way on it, whose change waits to be made; returns the action."""
    with bench.database.write() as session:
        revision = session.execute(select(PlanRevision)).scalar_one()
        revision.text = revision.text.replace('"busy":"wait"', f'"busy":"{how}"')
    target = bench.backed_up("a", state="RUNNING")
    bench.kind.users["a"] = RUNS
    bench.put(StageState.UPGRADING)
    return bench.action(target, ActionKind.CHANGE)


def test_it_waits_for_the_end_of_the_runs_says_so_and_goes_on_by_itself(bench: Desk) -> None:
    action = busy(bench)
    bench.work(seconds=1)
    waiting = bench.get(action)
    assert (waiting.state, waiting.reason_code) == (ActionState.PENDING, "cluster_busy")
    assert waiting.sentence == f"{RUNS} It waits for their end."
    assert bench.kind.writes == []
    assert bench.claim() == [], "it is not looked at again at once"
    with bench.database.read() as session:
        rollout = session.execute(select(Rollout)).scalar_one()
        assert facts.standing(session, rollout).stage("first").waiting_for_runs == ("a",)
    assert bench.advance() is StageState.UPGRADING
    del bench.kind.users["a"]
    bench.database.push(5)
    bench.work()
    assert bench.kind.writes == ["a"]
    assert bench.get(action).reason_code is None
    with bench.database.read() as session:
        rollout = session.execute(select(Rollout)).scalar_one()
        assert facts.standing(session, rollout).stage("first").waiting_for_runs == ()


def test_where_the_plan_says_so_people_are_asked_and_a_retry_is_their_answer(bench: Desk) -> None:
    action = busy(bench, "ask")
    bench.work()
    asked = bench.get(action)
    assert (asked.state, asked.reason_code) == (ActionState.FAILED, "cluster_busy")
    assert "A retry restarts it all the same" in (asked.sentence or "")
    assert bench.kind.writes == []
    assert bench.advance() is StageState.BLOCKED
    bench.put(StageState.UPGRADING)
    bench.action(asked.target_id, ActionKind.CHANGE, attempt=2)
    bench.work()
    assert bench.kind.writes == ["a"]


def test_who_has_waited_for_half_a_day_is_asked_about(bench: Desk) -> None:
    action = busy(bench)
    bench.work()
    bench.now += BUSY_FOR + timedelta(minutes=1)
    bench.work(rounds=2)
    assert (bench.get(action).state, bench.get(action).reason_code) == (ActionState.FAILED, "cluster_busy")
    assert bench.kind.writes == []


def test_a_plan_may_accept_that_runs_are_ended(bench: Desk) -> None:
    busy(bench, "restart")
    bench.work()
    assert bench.kind.writes == ["a"]


def test_a_retry_for_another_reason_asks_no_less(bench: Desk) -> None:
    action = bench.get(busy(bench))
    with bench.database.write() as session:
        row = session.get_one(type(action), action.id)
        row.state, row.reason_code = ActionState.FAILED, "cluster_error"
    again = bench.action(action.target_id, ActionKind.CHANGE, attempt=2)
    bench.work()
    assert bench.get(again).reason_code == "cluster_busy"
    assert bench.kind.writes == []


@pytest.fixture
def shared(migrated_sqlite_url: str, tmp_path: Path) -> Iterator[World]:
    """A cluster on which a job has just begun a run of an hour."""
    cluster: dict[str, Any] = {"name": "shared", "state": "RUNNING", "autotermination_minutes": 0, **SPEC}
    job = {"name": "hourly", "compute": "@shared", "tasks": ["main"], "minutes": 60}
    fleet = {"seed": 3, "workspaces": {"dev": {"clusters": [cluster], "jobs": [job]}, "prod": {}}}
    with world(migrated_sqlite_url, tmp_path, fleet) as made:
        job_id = made.raw("dev", "job", "hourly")["job_id"]
        made.client("dev").write("/api/2.2/jobs/run-now", {"job_id": job_id})
        made.step(60)
        yield made


def test_a_run_on_a_shared_cluster_ends_well_and_then_the_cluster_is_restarted(shared: World) -> None:
    shared.engine()
    shared.looked()
    shared.start("first")
    shared.wait(lambda: shared.actions("first")[-1].reason_code == "cluster_busy", "the change to wait")
    assert "1 run is under way on it" in (shared.actions("first")[-1].sentence or "")
    assert shared.raw("dev", "cluster", "shared")["spark_version"] == OLD
    shared.until("first", StageState.REVIEW, seconds=120)
    assert shared.raw("dev", "cluster", "shared")["spark_version"] == NEW
    (run,) = shared.client("dev").get("/api/2.2/jobs/runs/list", {"limit": 24})["runs"]
    assert run["state"]["result_state"] == "SUCCESS"
