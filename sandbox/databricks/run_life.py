"""The life of a run: started by a schedule, a person or another run; queued, run, and ended on the calendar.

Duration and outcome are drawn when it starts (repeatably, by job and number) from the job's habit and the runtimes that
its tasks get; an edited job therefore behaves differently from its next run on, as in reality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.databricks import cluster_life, outcome, writes
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Cluster, Job, Run

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace


def schedule(ws: Workspace, job: Job, after: int) -> None:
    """Plan its next start; an older plan for it is void from now on."""
    job.turn += 1
    job.due = job.shape.next_due(after, lambda: ws.chance(job.job_id, "due", job.count))
    if job.due and not (job.shape.continuous and job.active):
        ws.plan(job.due, "due", str(job.job_id), job.turn)


def due(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """Its schedule starts the job."""
    job = ws.jobs.get(int(whom))
    if job is None or job.turn != turn:
        return
    if job.shape.continuous:
        if not job.active:
            launch(ws, job, at, "CONTINUOUS")
        return
    launch(ws, job, at, "FILE_ARRIVAL" if "file_arrival" in (job.settings.get("trigger") or {}) else "PERIODIC")
    schedule(ws, job, at)


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
    return run


def _begin(ws: Workspace, job: Job, run: Run, at: int) -> None:
    run.begin = at
    job.active[run.run_id] = run
    setup = _compute(ws, run, at)
    outcome.decide(ws, job, run, at, setup)
    ws.plan(run.end, "finish", str(run.run_id), 0)
    if not ws.rehearsing:
        share = (run.end - run.ready) // run.shape.depth
        for level, child in run.shape.children:
            ws.plan(run.ready + level * share, "child", str(child), 0)


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
    job = ws.jobs.get(run.job_id)
    if job is None:
        return
    job.active.pop(run.run_id, None)
    if run.code == "SUCCESS":
        job.ok += 1
        writes.note(ws, job, run, at)
    elif not run.cancelled:
        job.failed += 1
    while job.waiting and len(job.active) < job.shape.max_concurrent:
        _begin(ws, job, job.waiting.popleft(), at)
    if job.shape.continuous and not job.active and not job.waiting:
        schedule(ws, job, at)


def cancel(ws: Workspace, run: Run, at: int) -> None:
    """Asked to stop: it does within seconds, or at once while it still waits in the queue."""
    if run.closed or run.cancelled:
        return
    job = ws.jobs.get(run.job_id)
    run.cancelled = True
    run.code, run.error, run.failing = "USER_CANCELED", "Run cancelled.", -1
    if run.begin == 0:
        if job is not None and run in job.waiting:
            job.waiting.remove(run)
        run.begin = run.ready = run.end = at
        close(ws, run, at)
        return
    run.end = min(run.end, at + 5_000 + int(ws.chance(run.run_id, "cancel") * 15_000))
    run.ready = min(run.ready, run.end)
    ws.plan(run.end, "finish", str(run.run_id), 0)


def stop_now(ws: Workspace, run: Run, at: int) -> None:
    """Cancelled and over at once: what starting a continuous job by hand does to its active run."""
    run.cancelled = True
    run.code, run.error, run.failing = "USER_CANCELED", "Run cancelled.", -1
    run.end, run.ready = at, min(run.ready, at)
    close(ws, run, at)


def lose_cluster(ws: Workspace, cluster: Cluster, at: int, how: str) -> None:
    """The cluster under these runs is gone: they fail now."""
    for run_id in sorted(cluster.active):
        run = ws.runs.get(run_id)
        if run is None or run.closed:
            continue
        run.code = "CLUSTER_ERROR"
        run.error = f"Cluster {cluster.cluster_id} was {how} during the run."
        run.failing = next((i for i, t in enumerate(run.shape.tasks) if t.cluster_id == cluster.cluster_id), 0)
        run.end, run.ready = at, min(run.ready, at)
        close(ws, run, at)
    cluster.active.clear()


def drop_job(ws: Workspace, job: Job, at: int) -> None:
    """The job is deleted: its active runs are cancelled, its schedule ends; its runs stay readable."""
    for run in [*job.waiting, *job.active.values()]:
        cancel(ws, run, at)
    job.turn += 1
    ws.jobs.pop(job.job_id, None)
