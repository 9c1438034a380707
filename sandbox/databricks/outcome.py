"""How a run ends and how long it takes: the job's habit, the runtimes under its tasks, and chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.databricks import governance, job_settings, versions
from sandbox.databricks.model import Job, Run, draw
from sandbox.databricks.shape import TaskShape

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

MINUTE = 60_000

ERRORS = {
    "CAST_INVALID_INPUT": (
        '[CAST_INVALID_INPUT] The value \'N/A\' of the type "STRING" cannot be cast to "DOUBLE" because it is '
        "malformed. Correct the value as per the syntax, or change its target type. Use `try_cast` to tolerate "
        "malformed input and return NULL instead. SQLSTATE: 22018"
    ),
    "DIVIDE_BY_ZERO": (
        "[DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead. "
        "SQLSTATE: 22012"
    ),
}
ACCIDENTS = [
    # code, weight, message
    ("RUN_EXECUTION_ERROR", 70, "Job aborted due to stage failure: Task 17 in stage 42.0 failed 4 times"),
    ("DRIVER_ERROR", 12, "The spark driver has stopped unexpectedly and is restarting."),
    ("CLOUD_FAILURE", 18, "Cloud provider launch failure: insufficient instance capacity in the zone"),
]
KINDS = {
    "SUCCESS": "SUCCESS",
    "CLOUD_FAILURE": "CLOUD_FAILURE",
    "INTERNAL_ERROR": "INTERNAL_ERROR",
    "DRIVER_ERROR": "INTERNAL_ERROR",
}
"""termination_details.type by code; what is not here is the client's fault."""


def decide(ws: Workspace, job: Job, run: Run, at: int, wait: int) -> None:
    """Fill in when its compute is up, when it ends, and how."""
    luck = draw(ws.seed, ws.key, job.job_id, job.count, run.start)
    shape, habit = run.shape, job.habit
    runtimes = [_runtime(ws, task) for task in shape.tasks]
    run.ready = at + wait + (int(luck.uniform(2, 6) * MINUTE) if shape.own_compute else int(luck.uniform(5, 20) * 1000))
    minutes = habit.minutes * luck.lognormvariate(0.0, habit.spread)
    newest = max(map(versions.major, runtimes), default=0)
    if habit.slower and newest >= int(habit.slower["from"]):
        minutes *= float(habit.slower["times"])
    work = max(5_000, int(minutes * MINUTE))
    run.end = run.ready + work
    code, error, failing = _trouble(ws, job, run, runtimes, luck.random(), luck.random())
    if code in ("LIBRARY_INSTALLATION_ERROR", "INVALID_CLUSTER_REQUEST"):
        run.end = run.ready + 30_000
    elif code:
        level = shape.tasks[failing].level if shape.tasks else 0
        run.end = run.ready + max(2_000, int(work * (level + 0.2 + 0.7 * luck.random()) / shape.depth))
    if shape.timeout and run.end - at > shape.timeout:
        run.end, code, error = at + shape.timeout, "TIMEDOUT", f"Run timed out after {shape.timeout // 1000} seconds."
        run.ready, failing = min(run.ready, run.end), max(failing, 0)
    run.code, run.error, run.failing = code or "SUCCESS", error, failing


def _runtime(ws: Workspace, task: TaskShape) -> str:
    if task.cluster_id:
        cluster = ws.clusters.get(task.cluster_id)
        return str(cluster.spec.get("spark_version", "")) if cluster else ""
    return task.spark_version


def _trouble(
    ws: Workspace, job: Job, run: Run, runtimes: list[str], accident: float, which: float
) -> tuple[str, str, int]:
    """Code, message and failing task; an empty code when all goes well."""
    refusal = next(
        filter(None, (governance.launch_problem(ws, c) for c in job_settings.new_clusters(run.shape.settings))), None
    )
    if refusal:
        return "INVALID_CLUSTER_REQUEST", refusal.message, 0
    for index, (task, runtime) in enumerate(zip(run.shape.tasks, runtimes, strict=True)):
        if task.cluster_id and task.cluster_id not in ws.clusters:
            return "CLUSTER_ERROR", f"Cluster {task.cluster_id} does not exist", index
        if task.library and versions.scala(runtime) == "2.13":
            return (
                "LIBRARY_INSTALLATION_ERROR",
                f"Library installation failed for library {task.library}: it is built for Scala 2.12 and this cluster "
                "runs Scala 2.13. Error code: DRIVER_LIBRARY_INSTALLATION_FAILURE",
                index,
            )
    breaks = job.habit.breaks
    if breaks:
        for index, (task, runtime) in enumerate(zip(run.shape.tasks, runtimes, strict=True)):
            if versions.major(runtime) >= int(breaks["from"]) and not _ansi_off(ws, task):
                error = str(breaks.get("error", "CAST_INVALID_INPUT"))
                return "RUN_EXECUTION_ERROR", ERRORS.get(error, error), index
    if accident < job.habit.failure:
        index = int(which * 997) % max(1, len(run.shape.tasks))
        mark = which * sum(weight for _, weight, _ in ACCIDENTS)
        for code, weight, message in ACCIDENTS:
            mark -= weight
            if mark <= 0:
                return code, message, index
    return "", "", -1


def _ansi_off(ws: Workspace, task: TaskShape) -> bool:
    if not task.cluster_id:
        return task.ansi_off
    conf = ws.clusters[task.cluster_id].spec.get("spark_conf") or {}
    return str(conf.get("spark.sql.ansi.enabled", "")).lower() == "false"
