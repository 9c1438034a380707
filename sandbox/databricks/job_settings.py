"""Settings of jobs: what is refused in them, what the server fills in, how `update` merges, how they are paged."""

from __future__ import annotations

import copy
from typing import Any

from sandbox.databricks import cluster_config, cron
from sandbox.databricks.errors import Json, invalid, malformed
from sandbox.databricks.paging import seal, unseal
from sandbox.databricks.shape import KINDS as TRIGGER_KINDS
from sandbox.databricks.shape import UNITS

PAGED = ("tasks", "job_clusters", "parameters", "environments")
"""Arrays that are shown a hundred at a time."""
PAGE = 100
KEYS = {"tasks": "task_key", "job_clusters": "job_cluster_key", "parameters": "name", "environments": "environment_key"}
"""Arrays that `update` merges, and by what."""
MAX_TASKS = 1000
KINDS: dict[str, type] = {"an object": dict, "a list of objects": list, "a string": str, "a number": int}
SETTING_TYPES = {
    "name": "a string",
    "tasks": "a list of objects",
    "job_clusters": "a list of objects",
    "parameters": "a list of objects",
    "environments": "a list of objects",
    "schedule": "an object",
    "trigger": "an object",
    "continuous": "an object",
    "triggers": "a list of objects",
    "queue": "an object",
    "tags": "an object",
    "run_as": "an object",
    "git_source": "an object",
    "timeout_seconds": "a number",
    "max_concurrent_runs": "a number",
}
TASK_TYPES = {
    "depends_on": "a list of objects",
    "libraries": "a list of objects",
    "new_cluster": "an object",
    "for_each_task": "an object",
    "run_job_task": "an object",
    "pipeline_task": "an object",
    "existing_cluster_id": "a string",
    "job_cluster_key": "a string",
    "environment_key": "a string",
    "run_if": "a string",
    "max_retries": "a number",
    "min_retry_interval_millis": "a number",
    "timeout_seconds": "a number",
}
TRIGGERS = ("schedule", "trigger", "continuous", "triggers")
TRIGGER_TYPES = dict.fromkeys(TRIGGER_KINDS, "an object")
RUN_IF = ("ALL_SUCCESS", "ALL_DONE", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_FAILED", "AT_LEAST_ONE_FAILED")


def complete(settings: Json) -> Json:
    """The settings with what the server fills in, which they are given to keep: nobody else may hold them.

    `run_as` is not part of them: it is written, never read.
    """
    full = {name: value for name, value in settings.items() if name != "run_as"}
    full.setdefault("name", "Untitled")
    full.setdefault("email_notifications", {})
    full.setdefault("webhook_notifications", {})
    full.setdefault("timeout_seconds", 0)
    full.setdefault("max_concurrent_runs", 1)
    full.setdefault("queue", {"enabled": True})
    full["format"] = "MULTI_TASK"
    for name in ("schedule", "trigger", "continuous"):
        if isinstance(full.get(name), dict):
            full[name].setdefault("pause_status", "UNPAUSED")
    for trigger in full.get("triggers") or []:
        trigger.setdefault("pause_status", "UNPAUSED")
    for task in full.get("tasks") or []:
        task.setdefault("run_if", "ALL_SUCCESS")
        task.setdefault("timeout_seconds", 0)
        task.setdefault("email_notifications", {})
    for cluster in new_clusters(full):
        cluster.pop("apply_policy_default_values", None)
        if "instance_pool_id" not in cluster:
            cluster.setdefault("enable_elastic_disk", True)
        cluster.setdefault("data_security_mode", "SINGLE_USER")
    return full


def new_clusters(settings: Json) -> list[Json]:
    """Every place in the settings where a cluster is described."""
    return [cluster for _, cluster in named_clusters(settings)]


def named_clusters(settings: Json) -> list[tuple[str, Json]]:
    """The same, each with the key of its job cluster or task."""
    found = [(str(c.get("job_cluster_key")), c.get("new_cluster")) for c in settings.get("job_clusters") or []]
    for task in settings.get("tasks") or []:
        inner = (task.get("for_each_task") or {}).get("task") or {}
        found.append((str(task.get("task_key")), task.get("new_cluster")))
        found.append((str(inner.get("task_key")), inner.get("new_cluster")))
    return [(key, cluster) for key, cluster in found if cluster]


def check_types(settings: Json) -> None:
    """Refuse a field that is not of the kind that the API expects there."""
    _check_types(settings, SETTING_TYPES)
    for task in settings.get("tasks") or []:
        _check_task(task)
        if task.get("for_each_task"):
            _check_types(task["for_each_task"], {"task": "an object"})
            _check_task(task["for_each_task"].get("task") or {})
    for cluster in settings.get("job_clusters") or []:
        _check_types(cluster, {"new_cluster": "an object"})


def check(settings: Json, caller: str) -> None:
    """Refuse what the real API refuses, whatever policies say."""
    check_types(settings)
    _check_keys(settings)
    _check_order(settings.get("tasks") or [])
    _check_triggers(settings)
    for cluster in new_clusters(settings):
        cluster_config.check(cluster, caller, all_purpose=False)
    runs = settings.get("max_concurrent_runs")
    if runs is not None and not 0 <= runs <= 1000:
        raise invalid(f"Invalid value for max_concurrent_runs: {runs}")


def _check_types(entry: Json, types: dict[str, str]) -> None:
    for name, kind in types.items():
        value = entry.get(name)
        if value is None:
            continue
        whole = all(isinstance(part, dict) for part in value) if isinstance(value, list) else True
        if not isinstance(value, KINDS[kind]) or isinstance(value, bool) or not whole:
            raise malformed(f"Could not parse request object: {name} must be {kind}")


def _check_task(task: Json) -> None:
    _check_types(task, TASK_TYPES)
    if task.get("run_if") not in (None, *RUN_IF):
        raise invalid(f"Invalid value for run_if: {task['run_if']}")
    if (task.get("max_retries") or 0) < -1:
        raise invalid(f"Invalid value for max_retries: {task['max_retries']}")
    if (task.get("min_retry_interval_millis") or 0) < 0 or (task.get("timeout_seconds") or 0) < 0:
        raise invalid("min_retry_interval_millis and timeout_seconds cannot be negative")
    _check_types(task.get("run_job_task") or {}, {"job_id": "a number"})
    _check_types(task.get("pipeline_task") or {}, {"pipeline_id": "a string"})
    for library in task.get("libraries") or []:
        _check_types(library, {"maven": "an object", "jar": "a string"})


def _check_keys(settings: Json) -> None:
    tasks = settings.get("tasks") or []
    if len(tasks) > MAX_TASKS:
        raise invalid(f"A job can have at most {MAX_TASKS} tasks, but {len(tasks)} were given")
    clusters = [c.get("job_cluster_key") for c in settings.get("job_clusters") or []]
    keys = [task.get("task_key") for task in tasks]
    for name, found in (("task_key", keys), ("job_cluster_key", clusters)):
        if not all(isinstance(key, str) and key for key in found):
            raise invalid(f"Missing required field: {name}")
        double = next((key for key in found if found.count(key) > 1), None) if len(set(found)) < len(found) else None
        if double:
            raise invalid(f"Duplicate {name}: {double}")
    for name in ("parameters", "environments"):
        if not all(isinstance(entry.get(KEYS[name]), str) for entry in settings.get(name) or []):
            raise invalid(f"Missing required field: {name}.{KEYS[name]}")
    for task in tasks:
        inner = (task.get("for_each_task") or {}).get("task") or task
        places = [p for p in ("new_cluster", "existing_cluster_id", "job_cluster_key") if inner.get(p)]
        if len(places) > 1:
            raise invalid(f"Task '{task['task_key']}' names more than one compute: {', '.join(places)}")
        if inner.get("job_cluster_key") and inner["job_cluster_key"] not in clusters:
            raise invalid(f"Job cluster '{inner['job_cluster_key']}' is not defined in field 'job_clusters'.")


def _check_order(tasks: list[Json]) -> None:
    """Every task must wait for tasks of the job only, and none for itself."""
    left = {task["task_key"]: [need.get("task_key") for need in task.get("depends_on") or []] for task in tasks}
    for key, needs in left.items():
        for need in needs:
            if not isinstance(need, str) or need not in left:
                raise invalid(f"Task '{key}' depends on '{need}', which is not a task of the job")
    while left:
        free = [key for key, needs in left.items() if not any(need in left for need in needs)]
        if not free:
            raise invalid(f"The tasks {', '.join(sorted(left))} depend on each other in a circle")
        for key in free:
            del left[key]


def _check_triggers(settings: Json) -> None:
    given = [name for name in TRIGGERS if settings.get(name) is not None]
    if len(given) > 1:
        raise invalid(f"Only one of {', '.join(given)} may be specified")
    for name in given:
        entries = settings[name] if name == "triggers" else [settings[name]]
        for entry in entries:
            if entry.get("pause_status") not in (None, "PAUSED", "UNPAUSED"):
                raise invalid(f"Invalid value for {name}.pause_status: {entry['pause_status']}")
            if name in ("trigger", "triggers"):
                _check_trigger(entry, name)
    if settings.get("schedule") is not None:
        _check_cron(settings["schedule"])


def _check_trigger(entry: Json, name: str) -> None:
    _check_types(entry, TRIGGER_TYPES)
    kinds = [kind for kind in TRIGGER_TYPES if entry.get(kind) is not None]
    if name == "trigger" and {"schedule", "continuous"} & set(kinds):
        raise invalid(f"Invalid value for trigger: {kinds[0]} is a field of the job")
    if len(kinds) != 1:
        raise invalid(f"Exactly one type of trigger must be set in each of {name}, not {len(kinds)}")
    if entry.get("schedule"):
        _check_cron(entry["schedule"])
    if entry.get("periodic") is not None:
        interval, unit = entry["periodic"].get("interval"), entry["periodic"].get("unit", "HOURS")
        if not isinstance(interval, int) or isinstance(interval, bool) or interval < 1 or unit not in list(UNITS):
            raise invalid(f"Invalid value for {name}.periodic: {interval} {unit}")


def _check_cron(schedule: Json) -> None:
    expression, zone = schedule.get("quartz_cron_expression"), schedule.get("timezone_id")
    if not expression or not zone:
        raise invalid("Missing required field: schedule.quartz_cron_expression and schedule.timezone_id")
    try:
        cron.parse(str(expression), str(zone))
    except ValueError as error:
        raise invalid(f"Invalid cron expression: {error}") from error


def merged(settings: Json, change: Json, remove: list[str]) -> Json:
    """The settings after `update`: top-level fields are replaced, keyed arrays are merged entry by entry.

    An entry that matches by key is replaced whole; entries that are not sent stay. `remove` names top-level fields or
    entries such as `tasks/extract`.
    """
    _check_types(change, SETTING_TYPES)
    for name, key in KEYS.items():
        if not all(isinstance(entry.get(key), str) for entry in change.get(name) or []):
            raise invalid(f"Missing required field: {key}")
    result = copy.deepcopy(settings)
    for path in remove:
        name, _, key = path.partition("/")
        if not key:
            result.pop(name, None)
        elif name in ("tasks", "job_clusters"):
            result[name] = [entry for entry in result.get(name, []) if entry.get(KEYS[name]) != key]
        else:
            raise invalid(f"Removing nested fields is not supported: {path}")
    for name, value in change.items():
        key = KEYS.get(name, "")
        if not key or not isinstance(value, list):
            result[name] = copy.deepcopy(value)
            continue
        entries = {entry.get(key): entry for entry in result.get(name) or []}
        entries.update({entry.get(key): copy.deepcopy(entry) for entry in value})
        result[name] = list(entries.values())
    return result


def paged(holder: Json, token: str) -> tuple[Json, str]:
    """One page of a job's or run's arrays (the first without a token), and the token of the next page or nothing."""
    start = int(unseal(token, 1)[0]) if token else 0
    shown = dict(holder)
    more = False
    for name in PAGED:
        if name not in holder:
            continue
        entries: list[Any] = holder[name] or []
        shown[name] = entries[start : start + PAGE]
        more = more or len(entries) > start + PAGE
    return shown, seal(start + PAGE) if more else ""
