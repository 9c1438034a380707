"""A run as the API shows it: its state follows from its instants and from now, its tasks from its settings."""

from __future__ import annotations

from sandbox.databricks import job_clusters, job_settings, outcome
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Run
from sandbox.databricks.shape import TaskShape
from sandbox.databricks.workspace import Workspace

RESULTS = {
    "SUCCESS": "SUCCESS",
    "USER_CANCELED": "CANCELED",
    "TIMEDOUT": "TIMEDOUT",
    "MAX_CONCURRENT_RUNS_EXCEEDED": "MAXIMUM_CONCURRENT_RUNS_REACHED",
}
"""state.result_state by code; all others are FAILED."""

TASK_KINDS = (
    "notebook_task",
    "spark_python_task",
    "python_wheel_task",
    "spark_jar_task",
    "sql_task",
    "dbt_task",
    "pipeline_task",
    "run_job_task",
    "condition_task",
)
COPIED = (
    "depends_on",
    "existing_cluster_id",
    "job_cluster_key",
    "new_cluster",
    "environment_key",
    "libraries",
    "description",
)


def listed(ws: Workspace, run: Run, expand: bool) -> Json:
    """In a list: tasks and clusters only on request, the first hundred."""
    answer = _head(ws, run)
    if expand:
        shown, more = job_settings.paged(_parts(ws, run), "")
        answer.update(shown)
        answer["has_more"] = bool(more)
    return answer


def full(ws: Workspace, run: Run, task: int, token: str) -> Json:
    """Alone: a run with a page of its tasks, or the run of one task."""
    if task >= 0:
        shown = _task(ws, run, task)
        return {
            **{name: value for name, value in _head(ws, run).items() if name not in shown},
            **shown,
            "tasks": [shown],
            "job_run_id": run.run_id,
        }
    shown, more = job_settings.paged(_parts(ws, run), token)
    answer = {**_head(ws, run), **shown, "has_more": bool(more)}
    if more:
        answer["next_page_token"] = more
    return answer


def output(ws: Workspace, run: Run, task: int) -> Json:
    """What a task left behind: its result, or its error."""
    answer: Json = {"metadata": full(ws, run, task, "")}
    result = answer["metadata"]["state"].get("result_state")
    if result == "SUCCESS":
        answer["notebook_output"] = {"result": "OK", "truncated": False}
    elif result in ("FAILED", "TIMEDOUT"):
        answer["error"] = run.error
        answer["error_trace"] = (
            f"Py4JJavaError: An error occurred while running {run.shape.tasks[task].key}\n{run.error}"
        )
    return answer


def _head(ws: Workspace, run: Run) -> Json:
    job = ws.jobs.get(run.job_id)
    settings = run.shape.settings
    single = len(run.shape.tasks) == 1
    begun = bool(run.begin)
    answer: Json = {
        "job_id": run.job_id,
        "run_id": run.run_id,
        "job_run_id": run.run_id,
        "number_in_job": run.run_id,
        "original_attempt_run_id": run.run_id,
        "attempt_number": 0,
        "run_name": settings.get("name", "Untitled"),
        "run_type": "JOB_RUN",
        "format": "MULTI_TASK",
        "trigger": run.trigger,
        "creator_user_name": job.creator if job else "unknown",
        "run_page_url": f"{ws.host}/?o={ws.number}#job/{run.job_id}/run/{run.run_id}",
        "start_time": run.start,
        "queue_duration": max(0, (run.begin if begun else ws.now) - run.start),
        "setup_duration": min(run.ready, ws.now) - run.begin if single and begun else 0,
        "execution_duration": max(0, min(run.end, ws.now) - run.ready) if single and begun else 0,
        "cleanup_duration": 0,
        "end_time": run.end if run.closed else 0,
        **state(run, ws.now),
    }
    if run.closed:
        answer["run_duration"] = run.end - run.start
    for name in ("schedule", "git_source"):
        if name in settings:
            answer[name] = settings[name]
    if run.parameters:
        answer["job_parameters"] = [{"name": name, "value": value} for name, value in run.parameters.items()]
    if single and run.shape.tasks[0].spark_version:
        answer["cluster_spec"] = {"new_cluster": _spec_of(run, 0)}
    elif single and run.shape.tasks[0].cluster_id:
        answer["cluster_spec"] = {"existing_cluster_id": run.shape.tasks[0].cluster_id}
    return answer


def state(run: Run, now: int) -> Json:
    """`state` and `status` of the whole run."""
    if not run.begin:
        reason = "Queued due to reaching maximum concurrent runs of 1."
        details = {"code": "MAX_CONCURRENT_RUNS_REACHED", "message": reason}
        return {
            "state": {"life_cycle_state": "QUEUED", "state_message": "", "queue_reason": reason},
            "status": {"state": "QUEUED", "queue_details": details},
        }
    if not run.closed:
        word = "TERMINATING" if run.cancelled else "RUNNING" if now >= run.ready else "PENDING"
        return {"state": {"life_cycle_state": word, "state_message": _waiting(word)}, "status": {"state": word}}
    life = "SKIPPED" if run.code == "MAX_CONCURRENT_RUNS_EXCEEDED" else "TERMINATED"
    return _ended(run.code, run.error, life, run.cancelled or run.code == "TIMEDOUT")


def _waiting(word: str) -> str:
    return {"PENDING": "Waiting for cluster", "RUNNING": "In run", "TERMINATING": "Terminating the run"}[word]


def _ended(code: str, error: str, life: str, stopped: bool) -> Json:
    known = {"TIMEDOUT": "RUN_EXECUTION_ERROR"}.get(code, code)
    return {
        "state": {
            "life_cycle_state": life,
            "result_state": RESULTS.get(code, "FAILED"),
            "state_message": error,
            "user_cancelled_or_timedout": stopped,
        },
        "status": {
            "state": "TERMINATED",
            "termination_details": {
                "code": known,
                "type": outcome.KINDS.get(code, "CLIENT_ERROR"),
                "message": error,
            },
        },
    }


def _parts(ws: Workspace, run: Run) -> Json:
    chosen = _chosen(run)
    answer: Json = {
        "tasks": [_task(ws, run, i) for i in range(len(run.shape.tasks)) if run.shape.tasks[i].key in chosen]
    }
    if run.shape.settings.get("job_clusters"):
        answer["job_clusters"] = run.shape.settings["job_clusters"]
    return answer


def _chosen(run: Run) -> set[str]:
    return {key.strip("+") for key in run.only} or {task.key for task in run.shape.tasks}


def _spec_of(run: Run, index: int) -> Json:
    task = run.shape.settings["tasks"][index]
    inner = (task.get("for_each_task") or {}).get("task") or task
    if inner.get("new_cluster"):
        own: Json = inner["new_cluster"]
        return own
    clusters = {c["job_cluster_key"]: c.get("new_cluster") or {} for c in run.shape.settings.get("job_clusters") or []}
    return clusters.get(inner.get("job_cluster_key"), {})


def _task(ws: Workspace, run: Run, index: int) -> Json:
    task, raw = run.shape.tasks[index], run.shape.settings["tasks"][index]
    begin, end = _span(run, task)
    answer: Json = {
        "run_id": run.run_id + 1 + index,
        "task_key": task.key,
        "attempt_number": 0,
        "run_if": raw.get("run_if", "ALL_SUCCESS"),
        "run_page_url": f"{ws.host}/?o={ws.number}#job/{run.job_id}/run/{run.run_id + 1 + index}",
        "start_time": begin if begin and begin <= ws.now else 0,
        "setup_duration": 0,
        "execution_duration": 0,
        "cleanup_duration": 0,
        "end_time": 0,
    }
    answer.update({name: raw[name] for name in (*COPIED, *TASK_KINDS) if name in raw})
    if "for_each_task" in raw:
        answer["for_each_task"] = {**raw["for_each_task"], "stats": _iterations(run, raw["for_each_task"])}
    if begin and begin <= ws.now:
        setup = run.ready - run.begin if task.level == 0 else 0
        answer["setup_duration"] = min(setup, ws.now - begin)
        answer["execution_duration"] = max(0, min(end, ws.now) - begin - setup)
        answer["cluster_instance"] = _instance(run, index)
        if answer["cluster_instance"] is None:
            del answer["cluster_instance"]
    answer.update(_task_state(ws, run, task, index, begin, end))
    if answer["state"].get("result_state") and begin:
        answer["end_time"] = end
        answer["run_duration"] = max(0, end - begin)
    return answer


def _span(run: Run, task: TaskShape) -> tuple[int, int]:
    """When a task begins and ends; (0, 0) if it never does. Each level of tasks gets the same share of the time."""
    if not run.begin or run.code == "MAX_CONCURRENT_RUNS_EXCEEDED":
        return 0, 0
    last = run.shape.tasks[run.failing].level if run.failing >= 0 and run.shape.tasks else run.shape.depth - 1
    share = (run.end - run.ready) // (last + 1)
    begin = run.ready + task.level * share if task.level else run.begin
    return begin, run.end if task.level >= last else run.ready + (task.level + 1) * share


def _task_state(ws: Workspace, run: Run, task: TaskShape, index: int, begin: int, end: int) -> Json:
    if not begin or (run.closed and run.begin == run.end and run.code != "SUCCESS"):
        if not run.closed:
            return {"state": {"life_cycle_state": "BLOCKED", "state_message": ""}, "status": {"state": "BLOCKED"}}
        return _ended(run.code, run.error, "SKIPPED", run.cancelled)
    failing = run.shape.tasks[run.failing] if run.failing >= 0 else None
    if failing is not None and task.level > failing.level and (run.closed or ws.now >= run.end):
        return _upstream(failing.key)
    if run.closed and run.cancelled and begin >= run.end and task.level:
        return _ended("USER_CANCELED", "Run cancelled.", "TERMINATED", True)
    if ws.now < begin:
        return {"state": {"life_cycle_state": "BLOCKED", "state_message": ""}, "status": {"state": "BLOCKED"}}
    if not run.closed and (ws.now < end or end == run.end):
        word = "TERMINATING" if run.cancelled else "RUNNING" if ws.now >= max(run.ready, begin) else "PENDING"
        return {"state": {"life_cycle_state": word, "state_message": _waiting(word)}, "status": {"state": word}}
    stopped = run.code in ("USER_CANCELED", "TIMEDOUT") and end == run.end
    if stopped or (failing is not None and index == run.failing):
        return _ended(run.code, run.error, "TERMINATED", stopped)
    return _ended("SUCCESS", "", "TERMINATED", False)


def _upstream(key: str) -> Json:
    message = f"Task was not run because of the failure of an upstream task: {key}"
    found = _ended("RUN_EXECUTION_ERROR", message, "TERMINATED", False)
    found["state"]["result_state"] = "UPSTREAM_FAILED"
    return found


def _instance(run: Run, index: int) -> Json | None:
    task = run.shape.tasks[index]
    if task.cluster_id:
        return {"cluster_id": task.cluster_id, "spark_context_id": str(run.run_id * 31 % 10**18)}
    if not task.spark_version:
        return None
    raw = run.shape.settings["tasks"][index]
    inner = (raw.get("for_each_task") or {}).get("task") or raw
    keys = [key for key, _ in job_clusters.specs(run)]
    key = task.key if inner.get("new_cluster") else inner.get("job_cluster_key")
    return {"cluster_id": job_clusters.id_of(run, keys.index(key)), "spark_context_id": str(run.run_id * 31 % 10**18)}


def _iterations(run: Run, for_each: Json) -> Json:
    total = max(1, str(for_each.get("inputs", "")).count(",") + 1)
    done = total if run.closed and run.code == "SUCCESS" else 0
    return {
        "task_run_stats": {
            "total_iterations": total,
            "scheduled_iterations": total,
            "completed_iterations": done,
            "succeeded_iterations": done,
            "failed_iterations": 0,
            "active_iterations": 0 if run.closed else 1,
        }
    }
