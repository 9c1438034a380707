"""Runs that were submitted on their own (runs/submit), by the API or by a fleet's `submits` as schedulers outside do.

Each has an unseen job of its own: no list of jobs shows it, and it is forgotten with its run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.databricks import job_settings, jobs, run_life
from sandbox.databricks.cron import parse
from sandbox.databricks.errors import Json, invalid, malformed
from sandbox.databricks.model import Habit, Job, Run
from sandbox.databricks.shape import Shape
from sandbox.databricks.workspace import HAPPENINGS, Workspace

CONTROLS = ("access_control_list", "idempotency_token", "run_name")
SHELF = "submits"


def submit(ws: Workspace, body: Json, creator: str, at: int, habit: Habit | None = None) -> Run:
    """Check what was submitted and run it. Raises ApiError as the API does."""
    given = {name: value for name, value in body.items() if name not in CONTROLS}
    name = body.get("run_name")
    if name is not None and not isinstance(name, str):
        raise malformed("Could not parse request object: run_name must be a string")
    tasks = given.get("tasks")
    if not tasks:
        raise invalid("Missing required field: tasks")
    for setting in job_settings.TRIGGERS:
        if given.get(setting) is not None:
            raise invalid(f"A submitted run cannot have a {setting}")
    if given.get("job_clusters") or _shared(tasks):
        raise invalid("Shared job cluster feature is not supported in runs/submit API.")
    given["name"] = name or "Untitled"
    job_settings.check(given, creator)
    settings = job_settings.complete(given)
    run_as = jobs.run_as(given, creator)
    job = Job(jobs.new_job_id(ws), settings, creator, run_as, at, habit or Habit(), Shape(settings), submitted=True)
    ws.submitted[job.job_id] = job
    return run_life.launch(ws, job, at, "ONE_TIME")


def _shared(tasks: Any) -> bool:
    if not isinstance(tasks, list):
        return False
    return any(isinstance(task, dict) and task.get("job_cluster_key") for task in tasks)


def furnish(ws: Workspace, content: Mapping[str, Any], now: int) -> None:
    """Put the schedulers of a fleet in place: `submits` with name, cron, zone, owner, habit and settings."""
    for entry in content.get("submits", []):
        ws.shelf(SHELF)[entry["name"]] = dict(entry)
        _expect(ws, entry["name"], ws.now)


def due(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """A scheduler outside submits its run."""
    entry = ws.shelf(SHELF).get(whom)
    if entry is None:
        return
    submit(ws, entry["settings"], entry["owner"], at, Habit(**entry["habit"]))
    _expect(ws, whom, at)


def _expect(ws: Workspace, name: str, after: int) -> None:
    entry = ws.shelf(SHELF)[name]
    found = parse(entry["cron"], entry.get("zone", "UTC")).next(after / 1000)
    if found:
        ws.plan(found * 1000, "submit", name, 0)


HAPPENINGS["submit"] = due
