"""The run of a continuous job goes on by its old settings: it is ended and begun anew, once, and so on the way back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout.states import StageState
from tests.engine.harness import World, world

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
SPEC = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}


def fleet(pause: str) -> dict[str, Any]:
    stream = {
        "name": "stream",
        "compute": "small",
        "tasks": ["main"],
        "minutes": 100_000,
        "settings": {"continuous": {"pause_status": pause}, "max_concurrent_runs": 1},
    }
    templates = {"job_clusters": {"small": SPEC}}
    return {"seed": 3, "templates": templates, "workspaces": {"dev": {"jobs": [stream]}, "prod": {}}}


@pytest.fixture
def made(migrated_sqlite_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    with world(migrated_sqlite_url, tmp_path, fleet(getattr(request, "param", "UNPAUSED"))) as found:
        found.step(600)
        yield found


def under_way(made: World) -> list[dict[str, Any]]:
    query = {"active_only": True, "expand_tasks": True, "limit": 24}
    return list(made.client("dev").get("/api/2.2/jobs/runs/list", query).get("runs") or ())


def runtime(run: dict[str, Any]) -> str:
    return str(run["job_clusters"][0]["new_cluster"]["spark_version"])


def restarts(made: World) -> int:
    """How often it was begun by hand, whatever became of the answer."""
    return sum(c.path == "/api/2.2/jobs/run-now" and c.status == 200 for c in made.databricks.calls)


def upgraded(made: World) -> None:
    made.engine()
    made.looked()
    made.start("first")
    made.until("first", StageState.REVIEW)


def test_its_run_is_ended_and_begun_anew_once_and_on_the_way_back_again(made: World) -> None:
    (before,) = under_way(made)
    assert runtime(before) == OLD
    upgraded(made)
    (after,) = under_way(made)
    assert (runtime(after), restarts(made)) == (NEW, 1)
    assert after["run_id"] != before["run_id"]
    made.roll_back("first")
    made.until("first", StageState.ROLLED_BACK)
    (back,) = under_way(made)
    assert (runtime(back), restarts(made)) == (OLD, 2)


@pytest.mark.parametrize("kind", ["lost-answer", "500", "429"])
def test_a_restart_whose_answer_is_lost_or_that_fails_happens_once(made: World, kind: str) -> None:
    made.databricks.faults.add("/api/2.2/jobs/run-now", kind, times=1)
    upgraded(made)
    (after,) = under_way(made)
    assert runtime(after) == NEW
    # That one and the one before it: nothing was begun twice.
    runs = made.client("dev").get("/api/2.2/jobs/runs/list", {"limit": 24})["runs"]
    assert len(runs) == 2


@pytest.mark.parametrize("made", ["PAUSED"], indirect=True)
def test_one_that_is_paused_stays_so_and_nothing_is_begun(made: World) -> None:
    upgraded(made)
    assert under_way(made) == []
    assert restarts(made) == 0
    job = made.raw("dev", "job", "stream")
    assert job["settings"]["continuous"]["pause_status"] == "PAUSED"
    assert job["settings"]["job_clusters"][0]["new_cluster"]["spark_version"] == NEW
