"""What survives a restart: all workspaces as one JSON file, replaced atomically."""

from __future__ import annotations

import dataclasses
import itertools
import json
import operator
import os
from pathlib import Path

from sandbox.databricks.errors import Json
from sandbox.databricks.model import Attempt, Cluster, Habit, Job, Leg, Run
from sandbox.databricks.shape import Shape
from sandbox.databricks.workspace import Workspace

VERSION = 2
FILE = "databricks.json"
PLAIN = (
    "number",
    "seed",
    "token",
    "client_id",
    "client_secret",
    "now",
    "shelves",
    "admin",
    "granted",
    "run_number",
)
RUN = (
    "run_id",
    "job_id",
    "trigger",
    "start",
    "begin",
    "ready",
    "end",
    "code",
    "error",
    "cancelled",
    "closed",
    "repair_id",
    "parameters",
)
ATTEMPT = tuple(field.name for field in dataclasses.fields(Attempt))
LEG = ("repair_id", "begin", "ready", "end", "code", "error", "cancelled")
JOB = ("job_id", "creator", "run_as", "created", "turn", "dues", "count", "ok", "failed", "submitted")


def save(path: Path, workspaces: list[Workspace]) -> None:
    """Write everything; a reader sees the old file or the new one, never a half."""
    content = {"version": VERSION, "workspaces": [_dump(ws) for ws in workspaces]}
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fresh.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    os.replace(fresh, path)


def load(path: Path) -> list[Workspace]:
    """What `save` wrote. Raises ValueError when the file is of another version."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("version") != VERSION:
        raise ValueError(f"{path} was written by another version of the sandbox: remove it to start afresh")
    return [_restore(raw) for raw in content["workspaces"]]


def _dump(ws: Workspace) -> Json:
    shapes: dict[int, int] = {}
    settings: list[Json] = []

    def index(shape: Shape) -> int:
        if id(shape) not in shapes:
            shapes[id(shape)] = len(settings)
            settings.append(shape.settings)
        return shapes[id(shape)]

    jobs = [
        {
            **{name: getattr(job, name) for name in JOB},
            "habit": _flat(job.habit),
            "shape": index(job.shape),
        }
        for job in (*ws.jobs.values(), *ws.submitted.values())
    ]
    run_of, attempt_of, leg_of = operator.attrgetter(*RUN), operator.attrgetter(*ATTEMPT), operator.attrgetter(*LEG)
    runs = [
        [
            *run_of(run),
            index(run.shape),
            list(run.only),
            run.attempts and [attempt_of(attempt) for attempt in run.attempts],
            run.legs and [[*leg_of(leg), index(leg.shape)] for leg in run.legs],
        ]
        for run in ws.log
        if run.run_id in ws.runs
    ]
    return {
        "key": ws.key,
        **{name: getattr(ws, name) for name in PLAIN},
        "clusters": [{**_flat(cluster), "active": sorted(cluster.active)} for cluster in ws.clusters.values()],
        "jobs": jobs,
        "runs": runs,
        "settings": settings,
        "plans": sorted(ws.plans),
    }


def _flat(thing: Cluster | Habit) -> Json:
    """The fields as they are: `dataclasses.asdict` would copy every configuration, for nothing."""
    return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}


def _restore(raw: Json) -> Workspace:
    ws = Workspace(raw["key"], *(raw[name] for name in ("number", "seed", "token", "client_id", "client_secret")))
    for name in PLAIN:
        setattr(ws, name, raw[name])
    shapes = [Shape(settings) for settings in raw["settings"]]
    for entry in raw["clusters"]:
        cluster = Cluster(**{**entry, "active": set(entry["active"])})
        ws.clusters[cluster.cluster_id] = cluster
    for entry in raw["jobs"]:
        shape = shapes[entry["shape"]]
        plain = {name: entry[name] for name in JOB}
        job = Job(**plain, settings=shape.settings, habit=Habit(**entry["habit"]), shape=shape)
        (ws.submitted if job.submitted else ws.jobs)[job.job_id] = job
    for row in raw["runs"]:
        *values, shape, only, attempts, legs = row
        run = Run(**dict(zip(RUN, values, strict=True)), shape=shapes[shape], only=tuple(only))
        run.attempts = [Attempt(*attempt) for attempt in attempts] if attempts is not None else None
        run.legs = [Leg(**dict(zip(LEG, leg, strict=True)), shape=shapes[of]) for *leg, of in legs] if legs else None
        ws.runs[run.run_id] = run
        ws.log.append(run)
        owner = ws.owner(run)
        if owner is not None:
            owner.runs.append(run)
            if not run.closed and run.begin:
                owner.active[run.run_id] = run
            elif not run.closed:
                owner.waiting.append(run)
    ws.plans = [(at, order, what, whom, turn) for at, order, what, whom, turn in raw["plans"]]
    ws.order = itertools.count(max((plan[1] for plan in ws.plans), default=0) + 1)
    return ws
