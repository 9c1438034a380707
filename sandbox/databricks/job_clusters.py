"""Clusters that live for one run only (source JOB). They follow from the runs and are not kept anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.databricks.errors import Json
from sandbox.databricks.model import Cluster, Run, draw

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_id(ws: Workspace, at: int, salt: object) -> str:
    """An id of the usual form: month and day, time, eight letters."""
    chosen = draw(ws.seed, ws.key, "cluster", at, salt)
    stamp = datetime.fromtimestamp(at / 1000, UTC).strftime("%m%d-%H%M%S")
    return f"{stamp}-{''.join(chosen.choices(LETTERS, k=8))}"


def id_of(run: Run, position: int) -> str:
    """The id of the job cluster at a position of a run; the run can be found from it."""
    stamp = datetime.fromtimestamp(run.begin / 1000, UTC).strftime("%m%d-%H%M%S")
    return f"{stamp}-r{run.run_id // 1000:x}{position:02d}"


def specs(run: Run) -> list[tuple[str, Json]]:
    """The compute that the run brought along: key (job cluster or task) and configuration."""
    settings = run.shape.settings
    found = [
        (c["job_cluster_key"], c["new_cluster"]) for c in settings.get("job_clusters") or [] if c.get("new_cluster")
    ]
    for task in settings.get("tasks") or []:
        inner = (task.get("for_each_task") or {}).get("task") or task
        if inner.get("new_cluster"):
            found.append((task["task_key"], inner["new_cluster"]))
    return found


def active(ws: Workspace) -> Iterator[Cluster]:
    """The clusters of the runs that run now."""
    for job in ws.jobs.values():
        for run in job.active.values():
            if run.begin:
                for position in range(len(specs(run))):
                    yield _cluster(ws, run, position)


def find(ws: Workspace, cluster_id: object) -> Cluster | None:
    """The cluster of a remembered run."""
    tail = str(cluster_id).rpartition("-")[2]
    if not tail.startswith("r") or len(tail) < 4 or cluster_id in ws.clusters:
        return None
    try:
        run = ws.runs.get(int(tail[1:-2], 16) * 1000)
        position = int(tail[-2:])
    except ValueError:
        return None
    if run is None or not run.begin or position >= len(specs(run)) or id_of(run, position) != cluster_id:
        return None
    return _cluster(ws, run, position)


def _cluster(ws: Workspace, run: Run, position: int) -> Cluster:
    key, spec = specs(run)[position]
    job = ws.jobs.get(run.job_id)
    cluster_id = id_of(run, position)
    named = {"cluster_name": f"job-{run.job_id}-run-{run.run_id}-{key}", **spec}
    cluster = Cluster(cluster_id, named, job.creator if job else "unknown", run.begin, "JOB")
    cluster.restarted = run.begin
    if run.closed:
        cluster.state, cluster.terminated = "TERMINATED", run.end
        cluster.reason = {"code": "JOB_FINISHED", "type": "SUCCESS", "parameters": {}}
    else:
        cluster.state = "RUNNING" if ws.now >= run.ready else "PENDING"
    return cluster
