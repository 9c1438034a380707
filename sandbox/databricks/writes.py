"""What runs wrote: noted when they succeed, put into the tables when somebody next looks at these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.databricks import versions
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Job, Run

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

KEPT = 100
"""Writes of a table that nobody looks at; of more, the oldest are forgotten."""


def note(ws: Workspace, job: Job, run: Run, at: int) -> None:
    """A run of the job has succeeded."""
    for table in job.habit.writes:
        runs = ws.shelf("writes").setdefault(table, {"runs": []})["runs"]
        runs.append([at, run.run_id, job.job_id, _runtime(ws, run)])
        del runs[:-KEPT]


def _runtime(ws: Workspace, run: Run) -> str:
    """The newest runtime under its tasks: the one that could add a table feature."""
    found = []
    for task in run.shape.tasks:
        cluster = ws.clusters.get(task.cluster_id)
        found.append(str(cluster.spec.get("spark_version", "")) if cluster else task.spark_version)
    return max(found, key=versions.major, default="")


def waiting(ws: Workspace) -> dict[str, list[tuple[int, int, int, str]]]:
    """What is not in the tables yet, by table; what is there by now is dropped."""
    found = {}
    noted: dict[str, Json] = ws.shelf("writes")
    for name, entry in noted.items():
        table = ws.lake.tables.get(name)
        if table is not None:
            entry["runs"] = [run for run in entry["runs"] if (run[0], run[1]) > table.written]
            found[name] = [(at, run, job, runtime) for at, run, job, runtime in entry["runs"]]
    return found
