"""A run as the API shows it: its state follows from its instants and from now, its tasks from its attempts."""

from __future__ import annotations

from sandbox.databricks import job_clusters, job_settings, outcome, run_state
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Attempt, Leg, Run
from sandbox.databricks.workspace import Workspace

TASK_KINDS = (
    "notebook_task",
    "spark_python_task",
    "python_wheel_task",
    "spark_jar_task",
    "spark_submit_task",
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
    "max_retries",
    "min_retry_interval_millis",
    "retry_on_timeout",
    "timeout_seconds",
)
LARGEST_OUTPUT = 5 * 1024 * 1024
"""What runs/get-output gives back at most of the result of a task."""


def listed(ws: Workspace, run: Run, expand: bool) -> Json:
    """In a list: tasks and clusters only on request, the first hundred."""
    answer = _head(ws, run)
    if expand:
        shown, more = job_settings.paged(_parts(ws, run), "")
        answer.update(shown)
        answer["has_more"] = bool(more)
    return answer


def full(ws: Workspace, run: Run, token: str, history: bool) -> Json:
    """A run alone: a page of its tasks, and on request what it was before its repairs."""
    shown, more = job_settings.paged(_parts(ws, run), token)
    answer = {**_head(ws, run), **shown, "has_more": bool(more)}
    if history:
        answer["repair_history"] = [_leg(ws, run, number) for number in range(run.leg + 1)]
    if more:
        answer["next_page_token"] = more
    return answer


def of_task(ws: Workspace, run: Run, position: int) -> Json:
    """The run of one task: the attempt at that place."""
    shown = _task(ws, run, position, outcome.attempts(run)[position])
    return {
        **{name: value for name, value in _head(ws, run).items() if name not in shown},
        **shown,
        "tasks": [shown],
        "job_run_id": run.run_id,
    }


def output(ws: Workspace, run: Run, position: int) -> Json:
    """What a task left behind: its result, or its error."""
    answer: Json = {"metadata": of_task(ws, run, position)}
    attempt = outcome.attempts(run)[position]
    result = answer["metadata"]["state"].get("result_state")
    raw = run.shape_of(attempt).settings["tasks"][attempt.task]
    if result == "SUCCESS":
        answer.update(_result(ws, run, raw))
    elif result in ("FAILED", "TIMEDOUT"):
        answer["error"] = attempt.error
        if attempt.code == "RUN_EXECUTION_ERROR":
            answer["error_trace"] = f"Py4JJavaError: An error occurred while running {raw['task_key']}\n{attempt.error}"
    return answer


def _result(ws: Workspace, run: Run, raw: Json) -> Json:
    if "run_job_task" in raw or "pipeline_task" in raw:
        return {}
    job = ws.owner(run)
    size = job.habit.output if job else 0
    text = "x" * min(size, LARGEST_OUTPUT) if size else "OK"
    if "notebook_task" in raw:
        return {"notebook_output": {"result": text, "truncated": size > LARGEST_OUTPUT}}
    return {"logs": text, "logs_truncated": size > LARGEST_OUTPUT}


def _head(ws: Workspace, run: Run) -> Json:
    job = ws.owner(run)
    settings = run.shape.settings
    single = len(run.shape.tasks) == 1
    begun = bool(run.begin)
    first = run.legs[0].begin if run.legs else run.begin
    answer: Json = {
        "job_id": run.job_id,
        "run_id": run.run_id,
        "job_run_id": run.run_id,
        "number_in_job": run.run_id,
        "original_attempt_run_id": run.run_id,
        "attempt_number": 0,
        "run_name": settings.get("name", "Untitled"),
        "run_type": "SUBMIT_RUN" if job and job.submitted else "JOB_RUN",
        "format": "MULTI_TASK",
        "trigger": run.trigger,
        "creator_user_name": job.creator if job else "unknown",
        "run_page_url": f"{ws.host}/?o={ws.number}#job/{run.job_id}/run/{run.run_id}",
        "start_time": run.start,
        "queue_duration": max(0, (first if begun else ws.now) - run.start),
        "setup_duration": min(run.ready, ws.now) - run.begin if single and begun else 0,
        "execution_duration": max(0, min(run.end, ws.now) - run.ready) if single and begun else 0,
        "cleanup_duration": 0,
        "end_time": run.end if run.closed else 0,
        **run_state.of_run(run, ws.now),
    }
    if run.closed:
        legs = run.legs or []
        repaired = run.end - run.begin + sum(leg.end - leg.begin for leg in legs[1:])
        answer["run_duration"] = legs[0].end - run.start + repaired if legs else run.end - run.start
    for name in ("schedule", "git_source"):
        if name in settings:
            answer[name] = settings[name]
    if run.parameters:
        answer["job_parameters"] = [{"name": name, "value": value} for name, value in run.parameters.items()]
    if single and run.shape.tasks[0].spark_version:
        answer["cluster_spec"] = {"new_cluster": _spec_of(run)}
    elif single and run.shape.tasks[0].cluster_id:
        answer["cluster_spec"] = {"existing_cluster_id": run.shape.tasks[0].cluster_id}
    return answer


def _leg(ws: Workspace, run: Run, number: int) -> Json:
    leg: Run | Leg = run.legs[number] if run.legs and number < run.leg else run
    closed = leg is not run or run.closed
    entry: Json = {
        "type": "REPAIR" if number else "ORIGINAL",
        "start_time": leg.begin if number else run.start,
        "end_time": leg.end if closed else 0,
        **(run_state.ended(leg.code, leg.error, leg.cancelled) if closed else run_state.of_run(run, ws.now)),
        "task_run_ids": [
            run.run_id + 1 + position
            for position, attempt in enumerate(outcome.attempts(run))
            if attempt.leg == number and attempt.since <= ws.now
        ],
    }
    if number:
        entry["id"] = leg.repair_id
    return entry


def _parts(ws: Workspace, run: Run) -> Json:
    answer: Json = {
        "tasks": [
            _task(ws, run, position, attempt)
            for position, attempt in enumerate(outcome.attempts(run))
            if attempt.since <= ws.now
        ]
    }
    if run.shape.settings.get("job_clusters"):
        answer["job_clusters"] = run.shape.settings["job_clusters"]
    return answer


def _spec_of(run: Run) -> Json:
    task = run.shape.settings["tasks"][0]
    inner = (task.get("for_each_task") or {}).get("task") or task
    if inner.get("new_cluster"):
        found: Json = inner["new_cluster"]
        return found
    clusters = {c.get("job_cluster_key"): c.get("new_cluster") or {} for c in run.shape.settings["job_clusters"]}
    return clusters.get(inner.get("job_cluster_key"), {})


def _task(ws: Workspace, run: Run, position: int, attempt: Attempt) -> Json:
    shape = run.shape_of(attempt)
    task, raw = shape.tasks[attempt.task], shape.settings["tasks"][attempt.task]
    run_id = run.run_id + 1 + position
    begun = 0 < attempt.begin <= ws.now
    answer: Json = {
        "run_id": run_id,
        "task_key": task.key,
        "attempt_number": attempt.number,
        "run_if": raw.get("run_if", "ALL_SUCCESS"),
        "run_page_url": f"{ws.host}/?o={ws.number}#job/{run.job_id}/run/{run_id}",
        "start_time": attempt.begin if begun else 0,
        "setup_duration": 0,
        "execution_duration": 0,
        "cleanup_duration": 0,
        "end_time": 0,
    }
    answer.update({name: raw[name] for name in (*COPIED, *TASK_KINDS) if name in raw})
    if "for_each_task" in raw:
        answer["for_each_task"] = {**raw["for_each_task"], "stats": _iterations(ws, attempt, raw["for_each_task"])}
    if begun:
        answer["setup_duration"] = min(attempt.ready, ws.now) - attempt.begin
        answer["execution_duration"] = max(0, min(attempt.end, ws.now) - attempt.ready)
        instance = _instance(run, attempt)
        if instance:
            answer["cluster_instance"] = instance
    answer.update(run_state.of_attempt(run, attempt, ws.now))
    if answer["state"].get("result_state") and begun:
        answer["end_time"] = attempt.end
        answer["run_duration"] = max(0, attempt.end - attempt.begin)
    return answer


def _instance(run: Run, attempt: Attempt) -> Json | None:
    shape = run.shape_of(attempt)
    task = shape.tasks[attempt.task]
    context = {"spark_context_id": str(run.run_id * 31 % 10**18)}
    if task.cluster_id:
        return {"cluster_id": task.cluster_id, **context}
    if not task.spark_version:
        return None
    raw = shape.settings["tasks"][attempt.task]
    inner = (raw.get("for_each_task") or {}).get("task") or raw
    keys = [key for key, _ in job_clusters.specs(shape)]
    key = task.key if inner.get("new_cluster") else inner.get("job_cluster_key")
    return {"cluster_id": job_clusters.id_of(run, attempt.leg, keys.index(key)), **context}


def _iterations(ws: Workspace, attempt: Attempt, for_each: Json) -> Json:
    total = max(1, str(for_each.get("inputs", "")).count(",") + 1)
    over = attempt.end <= ws.now
    done = total if over and attempt.code == "SUCCESS" else 0
    return {
        "task_run_stats": {
            "total_iterations": total,
            "scheduled_iterations": total,
            "completed_iterations": done,
            "succeeded_iterations": done,
            "failed_iterations": 0,
            "active_iterations": 0 if over else 1,
        }
    }
