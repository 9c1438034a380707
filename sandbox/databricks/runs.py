"""API family `/api/2.2/jobs/run-now` and `/api/2.2/jobs/runs/*`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from sandbox.databricks import run_life, run_view
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import Json, denied, invalid, wrong_state
from sandbox.databricks.model import Run
from sandbox.databricks.paging import seal, unseal, whole
from sandbox.databricks.workspace import Workspace

MOST = 24
"""runs/list: the limit must be under 25."""


def run_now(ws: Workspace, call: Call) -> Json:
    """POST run-now: a token that was used gives the run it gave before."""
    job_id = call.number("job_id")
    token = str(call.body.get("idempotency_token") or "")
    if len(token) > 64:
        raise invalid("idempotency_token must have at most 64 characters")
    job = ws.job(job_id)
    if ws.may(f"jobs/{job_id}") not in ("CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"):
        raise denied(f"User {ws.client_id} does not have Manage Run permissions on job {job_id}")
    only = call.body.get("only") or []
    for key in only:
        if key.strip("+") not in {task.key for task in job.shape.tasks}:
            raise invalid(f"Task '{key}' is not a task of job {job_id}")
    if token:
        known = ws.granted.get(f"run/{token}")
        if known is not None:
            if known not in ws.runs:
                raise invalid(f"The run that was started with idempotency token {token} was deleted")
            return {"run_id": known, "number_in_job": known}
    if job.shape.continuous:
        for run in list(job.active.values()):
            run_life.stop_now(ws, run, ws.now)
    run = run_life.launch(ws, job, ws.now, "ONE_TIME", tuple(only), call.body.get("job_parameters"))
    if token:
        ws.granted[f"run/{token}"] = run.run_id
    ws.changes += 1
    return {"run_id": run.run_id, "number_in_job": run.run_id}


def list_(ws: Workspace, call: Call) -> Json:
    """GET runs/list: newest start first; the token is the last one shown, so that new runs do not shift the pages."""
    active, completed = bool(call.flag("active_only")), bool(call.flag("completed_only"))
    if active and completed:
        raise invalid("active_only and completed_only cannot both be true")
    limit = whole(call.number("limit", 20), 0, MOST, "limit") or MOST
    first, last = call.number("start_time_from", 0), call.number("start_time_to", 1 << 60)
    kind = call.text("run_type") or "JOB_RUN"
    if kind not in ("JOB_RUN", "WORKFLOW_RUN", "SUBMIT_RUN"):
        raise invalid(f"Invalid value for run_type: {kind}")
    job_id = call.number("job_id", 0)
    runs: Iterable[Run]
    if kind != "JOB_RUN":
        runs = []
    elif active:
        live = [run for job in ws.jobs.values() for run in (*job.active.values(), *job.waiting)]
        runs = sorted((run for run in live if job_id in (0, run.job_id)), key=_place, reverse=True)
    elif job_id:
        job = ws.jobs.get(job_id)
        runs = reversed(job.runs) if job else (run for run in ws.newest_runs() if run.job_id == job_id)
    else:
        runs = ws.newest_runs()
    if call.text("page_token"):
        start, run_id = map(int, unseal(call.text("page_token"), 2))
        runs = _after(runs, start, run_id)
    found = []
    for run in runs:
        if run.start < first:
            break
        if run.start > last or (active and run.closed) or (completed and not run.closed):
            continue
        found.append(run)
        if len(found) > limit + call.number("offset", 0):
            break
    found = list(islice(found, call.number("offset", 0), None))
    answer: Json = {"has_more": len(found) > limit}
    if found:
        expand = bool(call.flag("expand_tasks"))
        answer["runs"] = [run_view.listed(ws, run, expand) for run in found[:limit]]
    if len(found) > limit:
        answer["next_page_token"] = seal(found[limit - 1].start, found[limit - 1].run_id)
    return answer


def _after(runs: Iterable[Run], start: int, run_id: int) -> Iterable[Run]:
    passed = False
    for run in runs:
        if passed or run.start < start:
            yield run
        elif run.run_id == run_id:
            passed = True


def _place(run: Run) -> tuple[int, int]:
    return run.start, run.run_id


def get(ws: Workspace, call: Call) -> Json:
    """GET runs/get: of a run, or of the run of one task."""
    run, task = ws.run(call.number("run_id"))
    return run_view.full(ws, run, task, call.text("page_token"))


def get_output(ws: Workspace, call: Call) -> Json:
    """GET runs/get-output: of the run of one task; of a whole run only if it has a single task."""
    run, task = ws.run(call.number("run_id"))
    if task < 0 and len(run.shape.tasks) > 1:
        raise invalid(
            "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the output of each "
            "individual task run instead."
        )
    return run_view.output(ws, run, max(task, 0))


def cancel(ws: Workspace, call: Call) -> Json:
    """POST runs/cancel: the run ends within seconds; a finished one stays as it is."""
    run, _ = ws.run(call.number("run_id"))
    run_life.cancel(ws, run, ws.now)
    ws.changes += 1
    return {}


def cancel_all(ws: Workspace, call: Call) -> Json:
    """POST runs/cancel-all: of one job, or every queued run of the workspace."""
    job_id = call.number("job_id", 0)
    if not job_id and not call.body.get("all_queued_runs"):
        raise invalid("Missing required field: job_id")
    for job in [ws.job(job_id)] if job_id else list(ws.jobs.values()):
        queued = list(job.waiting)
        for run in queued if call.body.get("all_queued_runs") else [*queued, *job.active.values()]:
            run_life.cancel(ws, run, ws.now)
    ws.changes += 1
    return {}


def delete(ws: Workspace, call: Call) -> Json:
    """POST runs/delete: only of a finished run."""
    run, _ = ws.run(call.number("run_id"))
    if not run.closed:
        raise wrong_state(f"Run {run.run_id} is active and cannot be deleted.")
    job = ws.jobs.get(run.job_id)
    if job is not None and run in job.runs:
        job.runs.remove(run)
    ws.forget(run)
    ws.changes += 1
    return {}


ROUTES: Routes = {
    ("POST", "/api/2.2/jobs/run-now"): run_now,
    ("GET", "/api/2.2/jobs/runs/list"): list_,
    ("GET", "/api/2.2/jobs/runs/get"): get,
    ("GET", "/api/2.2/jobs/runs/get-output"): get_output,
    ("POST", "/api/2.2/jobs/runs/cancel"): cancel,
    ("POST", "/api/2.2/jobs/runs/cancel-all"): cancel_all,
    ("POST", "/api/2.2/jobs/runs/delete"): delete,
}
