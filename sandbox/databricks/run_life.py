"""The life of a run: started by a trigger, a person or another run; queued, run, repaired, and ended on the calendar.

Durations and outcomes are drawn when it starts (repeatably, by job and number) from the job's habit and the runtimes
that its tasks get; an edited job therefore behaves differently from its next run on, as in reality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.databricks import cluster_life, outcome, writes
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Cluster, Job, Leg, Run

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

DAY = 86_400_000
FORGOTTEN = 60 * DAY
"""Runs are gone after 60 days."""


def schedule(ws: Workspace, job: Job, after: int) -> None:
    """Plan its next starts; older plans for it are void from now on."""
    job.turn += 1
    job.dues = [0] * len(job.shape.triggers)
    for trigger in range(len(job.shape.triggers)):
        _expect(ws, job, trigger, after)


def _expect(ws: Workspace, job: Job, trigger: int, after: int) -> None:
    due_at = job.shape.next_due(trigger, after, lambda: ws.chance(job.job_id, "due", job.count))
    job.dues[trigger] = due_at
    if due_at and not (job.active and job.shape.triggers[trigger][0] == "continuous"):
        ws.plan(due_at, "due", f"{job.job_id}/{trigger}", job.turn)


def due(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """One of its triggers starts the job."""
    job_id, _, number = whom.partition("/")
    job, trigger = ws.jobs.get(int(job_id)), int(number)
    if job is None or job.turn != turn:
        return
    if job.shape.triggers[trigger][0] == "continuous":
        if not job.active:
            launch(ws, job, at, "CONTINUOUS")
        return
    launch(ws, job, at, job.shape.cause(trigger))
    _expect(ws, job, trigger, at)


def child_due(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """A run_job task of another job starts this one."""
    job = ws.jobs.get(int(whom))
    if job is not None:
        launch(ws, job, at, "RUN_JOB_TASK")


def launch(
    ws: Workspace, job: Job, at: int, trigger: str, only: tuple[str, ...] = (), parameters: Json | None = None
) -> Run:
    """A new run: it begins, waits in the queue, or is skipped where the job does not queue."""
    run = Run(ws.new_run_id(), job.job_id, job.shape, trigger, at, only=only, parameters=parameters)
    job.count += 1
    ws.remember(job, run)
    if len(job.active) < job.shape.max_concurrent:
        _begin(ws, job, run, at)
    elif job.shape.queues:
        job.waiting.append(run)
    else:
        run.code, run.closed, run.begin, run.ready, run.end = "MAX_CONCURRENT_RUNS_EXCEEDED", True, at, at, at
        run.error = f"The maximum number of concurrent runs of {job.shape.max_concurrent} was reached."
    return run


def _begin(ws: Workspace, job: Job, run: Run, at: int, chosen: set[int] | None = None) -> None:
    run.begin = at
    job.active[run.run_id] = run
    setup = _compute(ws, run, at)
    outcome.plan(ws, job, run, at, setup, chosen)
    ws.plan(run.end, "finish", str(run.run_id), 0)
    if run.shape.starts_others:
        for position, attempt in enumerate(outcome.attempts(run)):
            if attempt.leg == run.leg and attempt.begin:
                task = run.shape.tasks[attempt.task]
                if task.child and not ws.rehearsing:
                    ws.plan(attempt.ready, "child", str(task.child), 0)
                elif task.pipeline:
                    ws.plan(attempt.ready, "pipeline task", f"{run.run_id}/{position}", 0)


def repair(ws: Workspace, job: Job, run: Run, at: int, chosen: set[int]) -> int:
    """Run some of its tasks again, by the present settings of the job; returns the id of the repair."""
    run.attempts = outcome.attempts(run)
    leg = Leg(run.repair_id, run.shape, run.begin, run.ready, run.end, run.code, run.error, run.cancelled)
    run.legs = [*(run.legs or []), leg]
    _count(job, run, -1)
    run.repair_id = ws.new_run_id()
    run.shape, run.closed, run.cancelled = job.shape, False, False
    job.count += 1
    _begin(ws, job, run, at, chosen)
    return run.repair_id


def _compute(ws: Workspace, run: Run, at: int) -> int:
    """Get the shared clusters that it needs going; returns how long it has to wait for them."""
    wait = 0
    for cluster_id in run.shape.cluster_ids:
        cluster = ws.clusters.get(cluster_id)
        if cluster is None or ws.rehearsing:
            continue
        if cluster.state == "TERMINATED":
            cluster_life.start(ws, cluster, at, "job-scheduler", cause="JOB")
        if cluster.state in ("PENDING", "RESTARTING"):
            wait = max(wait, cluster.until - at)
        cluster.active.add(run.run_id)
        cluster.last_used = at
    return wait


def finish(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """The planned end of a run."""
    run = ws.runs.get(int(whom))
    if run is not None and not run.closed and run.end == at:
        close(ws, run, at)


def close(ws: Workspace, run: Run, at: int) -> None:
    """It is over: count it, free its compute, let the next one begin."""
    run.closed = True
    for cluster_id in run.shape.cluster_ids:
        cluster = ws.clusters.get(cluster_id)
        if cluster is not None:
            cluster.active.discard(run.run_id)
            cluster.last_used = max(cluster.last_used, at)
    job = ws.owner(run)
    if job is None:
        return
    job.active.pop(run.run_id, None)
    _count(job, run, 1)
    if run.code == "SUCCESS":
        writes.note(ws, job, run, at)
    while job.waiting and len(job.active) < job.shape.max_concurrent:
        _begin(ws, job, job.waiting.popleft(), at)
    if job.shape.continuous and not job.active and not job.waiting:
        schedule(ws, job, at)


def _count(job: Job, run: Run, one: int) -> None:
    if run.code in ("SUCCESS", "SUCCESS_WITH_FAILURES"):
        job.ok += one
    elif not run.cancelled:
        job.failed += one


def cancel(ws: Workspace, run: Run, at: int) -> None:
    """Asked to stop: it does within seconds, or at once while it still waits in the queue."""
    if run.closed or run.cancelled:
        return
    job = ws.owner(run)
    run.cancelled = True
    if run.begin == 0:
        if job is not None and run in job.waiting:
            job.waiting.remove(run)
        run.begin = run.ready = run.end = at
        run.code, run.error = "USER_CANCELED", "Run cancelled."
        close(ws, run, at)
        return
    end = min(run.end, at + 5_000 + int(ws.chance(run.run_id, "cancel") * 15_000))
    outcome.cut(run, at, end, "USER_CANCELED", "Run cancelled.")
    ws.plan(run.end, "finish", str(run.run_id), 0)


def stop_now(ws: Workspace, run: Run, at: int) -> None:
    """Cancelled and over at once: what starting a continuous job by hand does to its active run."""
    run.cancelled = True
    outcome.cut(run, at, at, "USER_CANCELED", "Run cancelled.")
    close(ws, run, at)


def limit(ws: Workspace, job: Job, run: Run) -> None:
    """Apply a changed timeout of the job to a run under way: the one setting that reaches it."""
    end = max(run.begin + job.shape.timeout, ws.now)
    if job.shape.timeout and run.end > end:
        outcome.cut(run, end, end, "TIMEDOUT", f"Run timed out after {job.shape.timeout // 1000} seconds.")
        ws.plan(run.end, "finish", str(run.run_id), 0)


def fail(ws: Workspace, run: Run, at: int, places: set[int], code: str, error: str) -> None:
    """The attempts under way at these tasks fail; they are retried where their settings say so."""
    job = ws.owner(run)
    if job is None:
        outcome.cut(run, at, at, code, error)
    else:
        outcome.mend(ws, job, run, at, places, code, error)
    if run.end <= at:
        close(ws, run, at)
        return
    ws.plan(run.end, "finish", str(run.run_id), 0)
    for attempt in outcome.attempts(run):
        if attempt.begin > at and attempt.task in places:
            ws.plan(attempt.begin, "compute", str(run.run_id), 0)


def lose_cluster(ws: Workspace, cluster: Cluster, at: int, how: str) -> None:
    """The cluster under these runs is gone: their tasks on it fail now."""
    error = f"Cluster {cluster.cluster_id} was {how} during the run."
    for run_id in sorted(cluster.active):
        run = ws.runs.get(run_id)
        if run is not None and not run.closed:
            places = {p for p, task in enumerate(run.shape.tasks) if task.cluster_id == cluster.cluster_id}
            fail(ws, run, at, places, "CLUSTER_ERROR", error)
    cluster.active = {run_id for run_id in cluster.active if run_id in ws.runs and not ws.runs[run_id].closed}


def drop_job(ws: Workspace, job: Job, at: int) -> None:
    """The job is deleted: its active runs are cancelled, its schedule ends; its runs stay readable."""
    for run in [*job.waiting, *job.active.values()]:
        cancel(ws, run, at)
    job.turn += 1
    ws.jobs.pop(job.job_id, None)


def compute(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """A task is tried again: its shared cluster has to come up for it."""
    run = ws.runs.get(int(whom))
    if run is not None and not run.closed:
        _compute(ws, run, at)


def purge(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """Once a day: runs that ended more than 60 days ago are gone."""
    gone = [run for run in ws.runs.values() if run.closed and run.end < at - FORGOTTEN]
    for run in gone:
        job = ws.owner(run)
        if job is not None:
            job.runs.remove(run)
        ws.forget(run)
    ws.plan(at + DAY, "purge", "", 0)
