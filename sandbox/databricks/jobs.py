"""API family `/api/2.2/jobs/*` without the runs."""

from __future__ import annotations

import copy

from sandbox.databricks import governance, job_settings, permissions, run_life
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.encoded import Listing, encode
from sandbox.databricks.errors import ApiError, Json, denied, invalid
from sandbox.databricks.model import Habit, Job
from sandbox.databricks.paging import page, whole
from sandbox.databricks.shape import Shape
from sandbox.databricks.workspace import Workspace

MOST_JOBS = 10_000
"""Saved jobs per workspace."""


def list_(ws: Workspace, call: Call) -> Json:
    """GET list: newest first; tasks and clusters only on request, and then the first hundred."""
    size = whole(call.number("limit", 20), 1, 100, "limit")
    name, expand = call.text("name").lower(), call.flag("expand_tasks")
    order = _newest_first(ws)
    if name:
        order = [job_id for job_id in order if ws.jobs[job_id].name.lower() == name]
    part, tokens = page(order, size, call.text("page_token"), call.number("offset", 0))
    rest: Json = {"has_more": "next_page_token" in tokens, **tokens}
    return Listing("jobs", (_listed(ws.jobs[job_id], bool(expand)) for job_id in part), rest)


def _newest_first(ws: Workspace) -> list[int]:
    """The ids of all jobs in the order of the list, sorted again only when there are others."""
    key = (len(ws.jobs), next(reversed(ws.jobs), 0))
    if ws.order_of_jobs[0] != key:
        found = sorted(ws.jobs.values(), key=lambda job: (job.created, job.job_id), reverse=True)
        ws.order_of_jobs = key, [job.job_id for job in found]
    return ws.order_of_jobs[1]


def _listed(job: Job, expand: bool) -> bytes:
    """An entry of the list, encoded; made once for each version of the settings."""
    known = job.shape.listed.get(expand)
    if known is None:
        shown, more = job_settings.paged(job.settings, "")
        if not expand:
            for name in job_settings.PAGED:
                shown.pop(name, None)
        known = encode({**_head(job), "settings": shown, "has_more": bool(more)})
        job.shape.listed[expand] = known
    return known


def _head(job: Job) -> Json:
    return {"job_id": job.job_id, "creator_user_name": job.creator, "created_time": job.created}


def get(ws: Workspace, call: Call) -> Json:
    """GET get: a hundred entries of each array at a time."""
    job = ws.job(call.number("job_id"))
    shown, more = job_settings.paged(job.settings, call.text("page_token"))
    answer: Json = {**_head(job), "run_as_user_name": job.run_as, "settings": shown, "has_more": bool(more)}
    if more:
        answer["next_page_token"] = more
    return answer


def create(ws: Workspace, call: Call) -> Json:
    """POST create."""
    if len(ws.jobs) >= MOST_JOBS:
        message = f"The quota for the number of jobs has been reached. The current quota is {MOST_JOBS}."
        raise ApiError(400, "QUOTA_EXCEEDED", message)
    given = {
        name: value for name, value in call.body.items() if name not in ("access_control_list", "idempotency_token")
    }
    permissions.checked("jobs", call.body.get("access_control_list"))
    job = add(ws, new_job_id(ws), governed(ws, given), ws.client_id, run_as(given, ws.client_id), ws.now)
    permissions.at_birth(ws, "jobs", str(job.job_id), call.body.get("access_control_list"))
    return {"job_id": job.job_id}


def governed(ws: Workspace, given: Json) -> Json:
    """The settings with what their policies fill in; refused where a policy or pool refuses one of their clusters."""
    job_settings.check_types(given)
    settings = copy.deepcopy(given)
    for cluster in job_settings.new_clusters(settings):
        spec = dict(governance.govern(ws, cluster, "job"))
        cluster.clear()
        cluster.update(spec)
    return settings


def new_job_id(ws: Workspace) -> int:
    """An id that is not taken: a large number, as the real ones."""
    salt = len(ws.jobs)
    while True:
        number = 10**14 + int(ws.chance("job", ws.now, salt) * 8 * 10**14)
        if number not in ws.jobs and number not in ws.submitted:
            return number
        salt += 1


def add(ws: Workspace, job_id: int, given: Json, creator: str, run_as: str, at: int, habit: Habit | None = None) -> Job:
    """A new job with these settings, checked, and its schedule running."""
    job_settings.check(given, creator)
    settings = job_settings.complete(given)
    job = Job(job_id, settings, creator, run_as, at, habit or Habit(), Shape(settings))
    ws.jobs[job_id] = job
    run_life.schedule(ws, job, ws.now)
    ws.changes += 1
    return job


def update(ws: Workspace, call: Call) -> Json:
    """POST update: merge, remove."""
    job = writable(ws, call)
    change, remove = call.body.get("new_settings") or {}, call.body.get("fields_to_remove") or []
    if not isinstance(change, dict) or not isinstance(remove, list) or not all(isinstance(f, str) for f in remove):
        raise invalid("new_settings must be an object and fields_to_remove a list of names")
    settle(ws, job, job_settings.merged(job.settings, change, remove), run_as(change, job.run_as))
    return {}


def reset(ws: Workspace, call: Call) -> Json:
    """POST reset: all settings anew; only run_as is kept when it is not sent."""
    job = writable(ws, call)
    settings = call.body.get("new_settings")
    if not isinstance(settings, dict):
        raise invalid("Missing required field: new_settings")
    settle(ws, job, settings, run_as(settings, job.run_as))
    return {}


def settle(ws: Workspace, job: Job, given: Json, run_as: str) -> None:
    """Give a job other settings, from its next run on; raises ApiError where they are refused."""
    given = governed(ws, given)
    job_settings.check(given, ws.client_id)
    settings = job_settings.complete(given)
    before = job.shape
    job.settings, job.shape, job.run_as = settings, Shape(settings), run_as
    if job.shape.timeout != before.timeout:
        for run in list(job.active.values()):
            run_life.limit(ws, job, run)
    run_life.schedule(ws, job, ws.now)
    ws.changes += 1


def delete(ws: Workspace, call: Call) -> Json:
    """POST delete: no schedule any more, active runs are cancelled."""
    run_life.drop_job(ws, writable(ws, call), ws.now)
    return {}


def writable(ws: Workspace, call: Call) -> Job:
    """The job that a request wants to change, or the refusal."""
    job_id = call.number("job_id")
    if ws.may(f"jobs/{job_id}") not in ("CAN_MANAGE", "IS_OWNER"):
        # Before existence: who may not, does not learn whether the job is still there.
        raise denied(f"User {ws.client_id} does not have Manage or Owner permissions on job {job_id}")
    return ws.job(job_id)


def run_as(settings: Json, missing: str) -> str:
    """Whom a job runs as by these settings, `missing` where they say nothing."""
    found = settings.get("run_as")
    given = found if isinstance(found, dict) else {}
    return str(given.get("user_name") or given.get("service_principal_name") or given.get("group_name") or missing)


ROUTES: Routes = {
    ("GET", "/api/2.2/jobs/list"): list_,
    ("GET", "/api/2.2/jobs/get"): get,
    ("POST", "/api/2.2/jobs/create"): create,
    ("POST", "/api/2.2/jobs/update"): update,
    ("POST", "/api/2.2/jobs/reset"): reset,
    ("POST", "/api/2.2/jobs/delete"): delete,
}
