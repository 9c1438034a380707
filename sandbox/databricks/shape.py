"""What follows from a job's settings for its runs: order of tasks, compute per task, limits. Made once per settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.databricks import cron
from sandbox.databricks.errors import Json

OLD_SCALA = re.compile(r"_2\.1[12]([:.\-]|$)")


@dataclass(frozen=True, slots=True)
class TaskShape:
    """One task: where it stands in the order, and on what it runs."""

    key: str
    level: int
    spark_version: str
    cluster_id: str
    """The shared cluster it runs on; empty when it has one of its own."""
    serverless: bool
    ansi_off: bool
    library: str
    """A library built for Scala 2.12 or older, if any."""
    child: int
    """The job it runs, if it is a run_job task."""


class Shape:
    """Derived from one version of the settings, which must not be changed afterwards."""

    def __init__(self, settings: Json) -> None:
        self.settings = settings
        raw = settings.get("tasks") or []
        levels = _levels(raw)
        clusters = {c.get("job_cluster_key"): c.get("new_cluster") or {} for c in settings.get("job_clusters") or []}
        self.tasks = [_task(task, levels[task["task_key"]], clusters) for task in raw]
        self.depth = max((task.level for task in self.tasks), default=0) + 1
        self.cluster_ids = {task.cluster_id for task in self.tasks if task.cluster_id}
        self.own_compute = any(task.spark_version for task in self.tasks)
        self.children = [(task.level, task.child) for task in self.tasks if task.child]
        self.max_concurrent = int(settings.get("max_concurrent_runs") or 1)
        self.queues = bool((settings.get("queue") or {"enabled": True}).get("enabled", True))
        self.timeout = int(settings.get("timeout_seconds") or 0) * 1000
        self.continuous = "continuous" in settings

    def paused(self) -> bool:
        """Whether its schedule, trigger or continuous mode is paused."""
        for kind in ("schedule", "trigger", "continuous"):
            if kind in self.settings:
                return (self.settings[kind] or {}).get("pause_status") == "PAUSED"
        return False

    def next_due(self, after: int, chance: Callable[[], float]) -> int:
        """When the schedule starts the job next (ms), 0 for never. `chance` (0..1) spreads the arrival of files."""
        if self.paused():
            return 0
        schedule = self.settings.get("schedule")
        if schedule:
            found = cron.parse(schedule["quartz_cron_expression"], schedule.get("timezone_id", "UTC")).next(
                after / 1000
            )
            return found * 1000 if found else 0
        trigger = self.settings.get("trigger") or {}
        if "periodic" in trigger:
            unit = {"HOURS": 3_600_000, "DAYS": 86_400_000, "WEEKS": 604_800_000}
            every = int(trigger["periodic"]["interval"]) * unit.get(trigger["periodic"].get("unit", "HOURS"), 3_600_000)
            return (after // every + 1) * every
        if "file_arrival" in trigger:
            return after + int((0.5 + 5 * chance()) * 3_600_000)
        if self.continuous:
            return after + 20_000 + int(chance() * 40_000)
        return 0


def _levels(tasks: list[Json]) -> dict[str, int]:
    """How many tasks must come before each; cycles and unknown names are refused before this is asked."""
    before = {t["task_key"]: [d["task_key"] for d in t.get("depends_on") or []] for t in tasks}
    levels: dict[str, int] = {}
    pending = list(before)
    while pending:
        left = []
        for key in pending:
            needs = [n for n in before[key] if n in before]
            if all(need in levels for need in needs):
                levels[key] = max((levels[need] + 1 for need in needs), default=0)
            else:
                left.append(key)
        if len(left) == len(pending):
            levels.update(dict.fromkeys(left, 0))
            break
        pending = left
    return levels


def _task(task: Json, level: int, clusters: dict[str, Json]) -> TaskShape:
    inner = (task.get("for_each_task") or {}).get("task") or task
    own = inner.get("new_cluster") or clusters.get(inner.get("job_cluster_key", "")) or {}
    libraries = [*(inner.get("libraries") or []), *(task.get("libraries") or [])]
    old = next((name for name in map(_coordinates, libraries) if OLD_SCALA.search(name)), "")
    return TaskShape(
        key=task["task_key"],
        level=level,
        spark_version=str(own.get("spark_version", "")),
        cluster_id=str(inner.get("existing_cluster_id", "")),
        serverless=not own and "existing_cluster_id" not in inner,
        ansi_off=str((own.get("spark_conf") or {}).get("spark.sql.ansi.enabled", "")).lower() == "false",
        library=old,
        child=int((task.get("run_job_task") or {}).get("job_id") or 0),
    )


def _coordinates(library: Json) -> str:
    maven = library.get("maven")
    return str(maven.get("coordinates", "")) if maven else str(library.get("jar", ""))
