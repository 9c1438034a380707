"""What follows from a job's settings for its runs: order of tasks, compute per task, limits. Made once per settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.databricks import cron, versions
from sandbox.databricks.errors import Json

OLD_SCALA = re.compile(r"_2\.1[12]([:.\-]|$)")
HOUR = 3_600_000
UNITS = {"HOURS": HOUR, "DAYS": 24 * HOUR, "WEEKS": 168 * HOUR}
EVENTS = ("file_arrival", "table_update", "model")
"""Triggers that wait for something outside."""
CAUSES = {"file_arrival": "FILE_ARRIVAL", "table_update": "TABLE", "model": "TABLE", "continuous": "CONTINUOUS"}
KINDS = ("schedule", "periodic", "continuous", *EVENTS)
HANDLES_FAILURE = ("AT_LEAST_ONE_FAILED", "ALL_FAILED")


@dataclass(frozen=True, slots=True)
class TaskShape:
    """One task: where it stands in the order, on what it runs, and what is done when it fails."""

    key: str
    level: int
    needs: tuple[int, ...]
    """The tasks before it, by their places."""
    run_if: str
    spark_version: str
    cluster_id: str
    """The shared cluster it runs on; empty when it has one of its own."""
    serverless: bool
    ansi_off: bool
    library: str
    """A library built for Scala 2.12 or older, if any."""
    child: int
    """The job it runs, if it is a run_job task."""
    pipeline: str
    """The pipeline it updates, if it is a pipeline task."""
    retries: int
    """How often it is tried again; -1 for ever."""
    pause: int
    """Milliseconds between the end of an attempt and the next."""
    retry_on_timeout: bool
    timeout: int
    """Milliseconds that one attempt may take; 0 for no limit."""
    disabled: bool


class Shape:
    """Derived from one version of the settings, which must not be changed afterwards."""

    def __init__(self, settings: Json) -> None:
        self.settings = settings
        raw = settings.get("tasks") or []
        places = {task["task_key"]: place for place, task in enumerate(raw)}
        levels = _levels(raw)
        clusters = {c.get("job_cluster_key"): c.get("new_cluster") or {} for c in settings.get("job_clusters") or []}
        self.tasks = [_task(task, levels[task["task_key"]], places, clusters) for task in raw]
        self.depth = max((task.level for task in self.tasks), default=0) + 1
        self.cluster_ids = {task.cluster_id for task in self.tasks if task.cluster_id}
        self.own_compute = any(task.spark_version for task in self.tasks)
        self.starts_others = any(task.child or task.pipeline for task in self.tasks)
        self.plain = not any(t.timeout or t.disabled or t.run_if in HANDLES_FAILURE for t in self.tasks)
        """Whether all tasks simply run in their order as long as nothing fails."""
        self.max_concurrent = int(settings.get("max_concurrent_runs") or 1)
        self.queues = bool((settings.get("queue") or {"enabled": True}).get("enabled", True))
        self.timeout = int(settings.get("timeout_seconds") or 0) * 1000
        self.newest = max((versions.major(task.spark_version) for task in self.tasks), default=0)
        """The newest runtime under tasks with compute of their own."""
        self.lasting: dict[int, tuple[str, str]] | None = None
        """Kept by outcome.py, where it does not depend on shared clusters: the tasks that always fail."""
        self.described: list[Json] | None = None
        """Kept by outcome.py: every cluster that the settings describe."""
        self.listed: dict[bool, bytes] = {}
        """Kept by jobs.py: the entry of the job in lists, without its tasks and with them."""
        self.triggers = list(_triggers(settings))
        self.continuous = any(kind == "continuous" for kind, _, _ in self.triggers)

    def paused(self) -> bool:
        """Whether everything that would start it by itself is paused."""
        return bool(self.triggers) and all(paused for _, _, paused in self.triggers)

    def next_due(self, trigger: int, after: int, chance: Callable[[], float]) -> int:
        """When that trigger starts the job next (ms), 0 for never. `chance` (0..1) spreads what comes from outside."""
        kind, config, paused = self.triggers[trigger]
        return 0 if paused else _next(kind, config, after, chance)

    def cause(self, trigger: int) -> str:
        """What a run is said to be started by when that trigger did it."""
        return CAUSES.get(self.triggers[trigger][0], "PERIODIC")

    def place(self, key: str) -> int:
        """Where the task with this key stands; -1 where there is none."""
        return next((place for place, task in enumerate(self.tasks) if task.key == key), -1)


def _triggers(settings: Json) -> Iterator[tuple[str, Json, bool]]:
    """What starts the job by itself: kind, configuration and whether it is paused."""
    entries = [settings.get("trigger") or {}, *(settings.get("triggers") or [])]
    for kind in ("schedule", "continuous"):
        if settings.get(kind) is not None:
            entries.append({kind: settings[kind], "pause_status": settings[kind].get("pause_status")})
    for entry in entries:
        for kind in KINDS:
            if entry.get(kind) is not None:
                yield kind, entry[kind], entry.get("pause_status") == "PAUSED"


def _next(kind: str, config: Json, after: int, chance: Callable[[], float]) -> int:
    if kind == "schedule":
        found = cron.parse(config["quartz_cron_expression"], config.get("timezone_id", "UTC")).next(after / 1000)
        return found * 1000 if found else 0
    if kind == "periodic":
        every = int(config["interval"]) * UNITS[config.get("unit", "HOURS")]
        return (after // every + 1) * every
    if kind == "continuous":
        return after + 20_000 + int(chance() * 40_000)
    return after + int((0.5 + 5 * chance()) * HOUR)


def _levels(tasks: list[Json]) -> dict[str, int]:
    """How many tasks must come before each; cycles and unknown names are refused before this is asked."""
    before = {t["task_key"]: [d["task_key"] for d in t.get("depends_on") or []] for t in tasks}
    levels: dict[str, int] = {}
    pending = list(before)
    while pending:
        left = []
        for key in pending:
            needs = before[key]
            if all(need in levels for need in needs):
                levels[key] = max((levels[need] + 1 for need in needs), default=0)
            else:
                left.append(key)
        if len(left) == len(pending):
            raise ValueError(f"the tasks {', '.join(left)} wait for each other")
        pending = left
    return levels


def _task(task: Json, level: int, places: dict[str, int], clusters: dict[str, Json]) -> TaskShape:
    inner = (task.get("for_each_task") or {}).get("task") or task
    own = inner.get("new_cluster") or clusters.get(inner.get("job_cluster_key", "")) or {}
    libraries = [*(inner.get("libraries") or []), *(task.get("libraries") or [])]
    old = next((name for name in map(_coordinates, libraries) if OLD_SCALA.search(name)), "") if libraries else ""
    return TaskShape(
        key=task["task_key"],
        level=level,
        needs=tuple(places[need["task_key"]] for need in task.get("depends_on") or ()),
        run_if=task.get("run_if") or "ALL_SUCCESS",
        spark_version=str(own.get("spark_version", "")),
        cluster_id=str(inner.get("existing_cluster_id") or ""),
        serverless=not own and "existing_cluster_id" not in inner,
        ansi_off=str((own.get("spark_conf") or {}).get("spark.sql.ansi.enabled", "")).lower() == "false",
        library=old,
        child=int((task.get("run_job_task") or {}).get("job_id") or 0),
        pipeline=str((task.get("pipeline_task") or {}).get("pipeline_id") or ""),
        retries=int(task.get("max_retries") or 0),
        pause=int(task.get("min_retry_interval_millis") or 0),
        retry_on_timeout=bool(task.get("retry_on_timeout")),
        timeout=int(task.get("timeout_seconds") or 0) * 1000,
        disabled=bool(task.get("disabled")),
    )


def _coordinates(library: Json) -> str:
    maven = library.get("maven")
    return str(maven.get("coordinates", "")) if maven else str(library.get("jar", ""))
