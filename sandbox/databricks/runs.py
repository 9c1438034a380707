"""API family `/api/2.2/jobs/run-now` and `/api/2.2/jobs/runs/*`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from sandbox.databricks import one_off, outcome, run_life, run_view
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.encoded import Listing, encode
from sandbox.databricks.errors import ApiError, Json, denied, invalid, malformed, wrong_state
from sandbox.databricks.model import Job, Run
from sandbox.databricks.paging import seal, unseal, whole
from sandbox.databricks.workspace import Workspace

MOST = 24
"""runs/list: the limit must be under 25."""


VIEWS_KEPT = 5_000
"""Encoded entries of lists of runs that are kept."""
RACE = 10_000
"""How close (ms) to the automatic start of a continuous job a start by hand runs into it."""


def run_now(ws: Workspace, call: Call) -> Json:
    """POST run-now: a token that was used gives the run it gave before."""
    job_id = call.number("job_id")
    token = _token(call)
    if ws.may(f"jobs/{job_id}") not in ("CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"):
        # Before existence: who may not, does not learn whether the job is still there.
        raise denied(f"User {ws.client_id} does not have Manage Run permissions on job {job_id}")
    job = ws.job(job_id)
    only = names(call.body, "only")
    for key in only:
        if job.shape.place(key.strip("+")) < 0:
            raise invalid(f"Task '{key}' is not a task of job {job_id}")
    parameters = _parameters(call)
    known = granted(ws, "run", token)
    if known:
        return {"run_id": known, "number_in_job": known}
    if job.shape.continuous:
        if not job.active and job.due and job.due - ws.now <= RACE:
            raise ApiError(409, "RESOURCE_CONFLICT", f"A run of the continuous job {job_id} is being started already.")
        for run in list(job.active.values()):
            run_life.stop_now(ws, run, ws.now)
    run = run_life.launch(ws, job, ws.now, "ONE_TIME", tuple(only), parameters)
    _grant(ws, "run", token, run)
    return {"run_id": run.run_id, "number_in_job": run.run_id}


def submit(ws: Workspace, call: Call) -> Json:
    """POST runs/submit: one run with settings of its own."""
    token = _token(call)
    known = granted(ws, "submit", token)
    if known:
        return {"run_id": known}
    run = one_off.submit(ws, call.body, ws.client_id, ws.now)
    _grant(ws, "submit", token, run)
    return {"run_id": run.run_id}


def repair(ws: Workspace, call: Call) -> Json:
    """POST runs/repair: run tasks of a finished run again, by the present settings of its job."""
    run, task = ws.run(call.number("run_id"))
    if task >= 0:
        raise invalid(f"Run {run.run_id + 1 + task} is the run of a task. Only runs of jobs can be repaired.")
    if ws.may(f"jobs/{run.job_id}") not in ("CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"):
        raise denied(f"User {ws.client_id} does not have Manage Run permissions on job {run.job_id}")
    if run.job_id in ws.submitted:
        message = "the local Databricks does not model the repair of submitted runs"
        raise ApiError(501, "NOT_IMPLEMENTED", message)
    job = ws.job(run.job_id)
    if not run.closed:
        raise wrong_state(f"Run {run.run_id} is active and cannot be repaired.")
    if run.begin == run.end:
        raise wrong_state(f"Run {run.run_id} was skipped and cannot be repaired.")
    latest = call.number("latest_repair_id", 0)
    if run.repair_id and not latest:
        raise invalid("The latest repair ID needs to be provided in order to create a new repair")
    if latest != run.repair_id:
        raise invalid(f"The repair {latest} is not the latest repair of run {run.run_id}.")
    chosen = _chosen(job, run, call)
    parameters = _parameters(call)
    if parameters:
        run.parameters = {**(run.parameters or {}), **parameters}
    ws.changes += 1
    return {"repair_id": run_life.repair(ws, job, run, ws.now, chosen)}


def _chosen(job: Job, run: Run, call: Call) -> set[int]:
    """The places of the tasks to run again, among those of the present settings."""
    wanted = names(call.body, "rerun_tasks")
    everything, dependent = (call.body.get(name) for name in ("rerun_all_failed_tasks", "rerun_dependent_tasks"))
    if not wanted and not everything:
        raise invalid("Either rerun_tasks or rerun_all_failed_tasks must be specified")
    for key in wanted:
        if job.shape.place(key) < 0:
            raise invalid(f"Task '{key}' is not a task of job {job.job_id}")
    if everything:
        bad = (key for key, attempt in outcome.latest(run).items() if attempt.code not in outcome.FINE)
        wanted = [*wanted, *bad]
    chosen = {place for key in wanted if (place := job.shape.place(key)) >= 0}
    if not chosen:
        raise invalid(f"Run {run.run_id} has no failed tasks to repair.")
    for place in sorted(range(len(job.shape.tasks)), key=lambda p: job.shape.tasks[p].level):
        if dependent and set(job.shape.tasks[place].needs) & chosen:
            chosen.add(place)
    return chosen


def _token(call: Call) -> str:
    token = str(call.body.get("idempotency_token") or "")
    if len(token) > 64:
        raise invalid("idempotency_token must have at most 64 characters")
    return token


def granted(ws: Workspace, family: str, token: str) -> int:
    """The run that this idempotency token gave before; 0 for none, refused if that run was deleted."""
    known = ws.granted.get(f"{family}/{token}", 0) if token else 0
    if known and known not in ws.runs:
        raise invalid(f"The run that was started with idempotency token {token} was deleted")
    return known


def _grant(ws: Workspace, family: str, token: str, run: Run) -> None:
    if token:
        ws.granted[f"{family}/{token}"] = run.run_id
    ws.changes += 1


def names(body: Json, field: str) -> list[str]:
    """A list of names in a body; none when it is not there."""
    found = body.get(field) or []
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise malformed(f"Could not parse request object: {field} must be a list of strings")
    return found


def _parameters(call: Call) -> Json | None:
    found = call.body.get("job_parameters")
    if found is not None and not isinstance(found, dict):
        raise malformed("Could not parse request object: job_parameters must be an object")
    return found


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
    submitted = kind == "SUBMIT_RUN"
    if kind == "WORKFLOW_RUN":
        runs = []  # made by dbutils.notebook.run, which is not modelled
    elif active:
        owners = (ws.submitted if submitted else ws.jobs).values()
        live = [run for job in owners for run in (*job.active.values(), *job.waiting)]
        runs = sorted((run for run in live if job_id in (0, run.job_id)), key=_place, reverse=True)
    elif job_id:
        job = ws.submitted.get(job_id) if submitted else ws.jobs.get(job_id)
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
        if (run.job_id in ws.submitted) != submitted or run.run_id not in ws.runs:
            continue
        if run.start > last or (active and run.closed) or (completed and not run.closed):
            continue
        found.append(run)
        if len(found) > limit + call.number("offset", 0):
            break
    found = list(islice(found, call.number("offset", 0), None))
    rest: Json = {"has_more": len(found) > limit}
    if len(found) > limit:
        rest["next_page_token"] = seal(found[limit - 1].start, found[limit - 1].run_id)
    expand = bool(call.flag("expand_tasks"))
    return Listing("runs", (_listed(ws, run, expand) for run in found[:limit]), rest)


def _listed(ws: Workspace, run: Run, expand: bool) -> bytes:
    """An entry of the list, encoded; of a run that is over it is made once."""
    if not run.closed:
        return encode(run_view.listed(ws, run, expand))
    key = run.run_id, run.repair_id, expand, ws.owner(run) is None
    known = ws.run_views.get(key)
    if known is None:
        if len(ws.run_views) > VIEWS_KEPT:
            ws.run_views.clear()
        known = ws.run_views[key] = encode(run_view.listed(ws, run, expand))
    return known


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
    run, position = ws.run(call.number("run_id"))
    if position >= 0:
        return run_view.of_task(ws, run, position)
    return run_view.full(ws, run, call.text("page_token"), bool(call.flag("include_history")))


def get_output(ws: Workspace, call: Call) -> Json:
    """GET runs/get-output: of the run of one task; of a whole run only if it has a single task."""
    run, position = ws.run(call.number("run_id"))
    if position < 0 and len(run.shape.tasks) > 1:
        raise invalid(
            "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the output of each "
            "individual task run instead."
        )
    found = outcome.attempts(run)
    if not found:
        raise invalid(f"Run {run.run_id} has no tasks.")
    shown = [place for place, attempt in enumerate(found) if attempt.since <= ws.now]
    return run_view.output(ws, run, position if position >= 0 else max(shown))


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
    everyone = [*ws.jobs.values(), *ws.submitted.values()]
    for job in [ws.job(job_id)] if job_id else everyone:
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
    job = ws.owner(run)
    if job is not None and run in job.runs:
        job.runs.remove(run)
    ws.forget(run)
    ws.changes += 1
    return {}


ROUTES: Routes = {
    ("POST", "/api/2.2/jobs/runs/submit"): submit,
    ("POST", "/api/2.2/jobs/runs/repair"): repair,
    ("POST", "/api/2.2/jobs/run-now"): run_now,
    ("GET", "/api/2.2/jobs/runs/list"): list_,
    ("GET", "/api/2.2/jobs/runs/get"): get,
    ("GET", "/api/2.2/jobs/runs/get-output"): get_output,
    ("POST", "/api/2.2/jobs/runs/cancel"): cancel,
    ("POST", "/api/2.2/jobs/runs/cancel-all"): cancel_all,
    ("POST", "/api/2.2/jobs/runs/delete"): delete,
}
