"""Clusters that live for one run only (source JOB). They follow from the runs and are not kept anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.databricks.errors import Json
from sandbox.databricks.model import APART, Cluster, Leg, Run, draw
from sandbox.databricks.shape import Shape

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

_ID = re.compile(r"\d{4}-\d{6}-r([0-9a-f]+?)(\d\d)(\d\d)")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_id(ws: Workspace, at: int, salt: object) -> str:
    """An id of the usual form: month and day, time, eight letters."""
    chosen = draw(ws.seed, ws.key, "cluster", at, salt)
    stamp = datetime.fromtimestamp(at / 1000, UTC).strftime("%m%d-%H%M%S")
    return f"{stamp}-{''.join(chosen.choices(LETTERS, k=8))}"


def id_of(run: Run, leg: int, position: int) -> str:
    """The id of the job cluster at a position of a run or of one of its repairs; they can be found from it."""
    stamp = datetime.fromtimestamp(_of(run, leg).begin / 1000, UTC).strftime("%m%d-%H%M%S")
    return f"{stamp}-r{run.run_id // APART:x}{leg:02d}{position:02d}"


def _of(run: Run, leg: int) -> Run | Leg:
    return run.legs[leg] if run.legs and leg < len(run.legs) else run


def specs(shape: Shape) -> list[tuple[str, Json]]:
    """The compute that runs by these settings bring along: key (job cluster or task) and configuration."""
    settings = shape.settings
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
    for job in (*ws.jobs.values(), *ws.submitted.values()):
        for run in job.active.values():
            if run.begin:
                for position in range(len(specs(run.shape))):
                    yield _cluster(ws, run, run.leg, position)


def find(ws: Workspace, cluster_id: object) -> Cluster | None:
    """The cluster of a remembered run."""
    found = _ID.fullmatch(str(cluster_id))
    if not found or cluster_id in ws.clusters:
        return None
    run = ws.runs.get(int(found[1], 16) * APART)
    leg, position = int(found[2]), int(found[3])
    if run is None or not run.begin or leg > run.leg or position >= len(specs(_of(run, leg).shape)):
        return None
    return _cluster(ws, run, leg, position) if id_of(run, leg, position) == cluster_id else None


def _cluster(ws: Workspace, run: Run, leg: int, position: int) -> Cluster:
    of = _of(run, leg)
    key, spec = specs(of.shape)[position]
    job = ws.owner(run)
    named = {"cluster_name": f"job-{run.job_id}-run-{run.run_id}-{key}", **spec}
    cluster = Cluster(id_of(run, leg, position), named, job.creator if job else "unknown", of.begin, "JOB")
    cluster.restarted = of.begin
    if leg < run.leg or run.closed:
        cluster.state, cluster.terminated = "TERMINATED", of.end
        cluster.reason = {"code": "JOB_FINISHED", "type": "SUCCESS", "parameters": {}}
    else:
        cluster.state = "RUNNING" if ws.now >= of.ready else "PENDING"
    return cluster
