"""API family `/api/2.0/pipelines`: pipelines and their updates. Making, cloning and deleting them is not modelled.

A pipeline names no runtime: its `channel` does, and its clusters show a `dlt:` version that nobody can choose.
"""

from __future__ import annotations

import re
from typing import Any

from sandbox.databricks import cluster_config, pipeline_events, pipeline_life
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import ApiError, Json, invalid, malformed, missing
from sandbox.databricks.paging import page, whole
from sandbox.databricks.pipeline_life import iso, shelf
from sandbox.databricks.workspace import Workspace

CONTROLS = ("allow_duplicate_names", "expected_last_modified", "id", "pipeline_id", "run_as")
TYPES: dict[str, tuple[type, str]] = {
    "name": (str, "a string"),
    "channel": (str, "a string"),
    "continuous": (bool, "a boolean"),
    "development": (bool, "a boolean"),
    "serverless": (bool, "a boolean"),
    "photon": (bool, "a boolean"),
    "configuration": (dict, "an object"),
    "clusters": (list, "a list"),
    "libraries": (list, "a list"),
}
CHANNELS = ("CURRENT", "PREVIEW")
LATEST = 5
"""How many updates a pipeline shows of itself."""
_FILTER = re.compile(r"\s*(name|notebook)\s+LIKE\s+'([^']*)'\s*|\s*notebook\s*=\s*'([^']*)'\s*", re.IGNORECASE)


def list_(ws: Workspace, call: Call) -> Json:
    """GET pipelines: by name, a page of 25 unless asked otherwise."""
    size = whole(call.number("max_results", 25), 1, 100, "max_results")
    found = [pipeline for pipeline in shelf(ws).values() if _matches(pipeline, call.text("filter"))]
    order = call.text("order_by") or "name asc"
    if order not in ("name", "name asc", "name desc", "id", "id asc", "id desc"):
        raise invalid(f"Invalid value for order_by: {order}")
    field = "pipeline_id" if order.startswith("id") else "name"
    found.sort(key=lambda pipeline: _head(ws, pipeline)[field], reverse=order.endswith("desc"))
    part, tokens = page(found, size, call.text("page_token"))
    answer: Json = {"statuses": [_head(ws, pipeline) for pipeline in part]} if part else {}
    if "next_page_token" in tokens:
        answer["next_page_token"] = tokens["next_page_token"]
    return answer


def _matches(pipeline: Json, wanted: str) -> bool:
    if not wanted:
        return True
    found = _FILTER.fullmatch(wanted)
    if not found or (found[1] or "").lower() == "notebook":
        raise invalid(f"Invalid value for filter: {wanted}")
    if found[3] is not None:
        libraries = pipeline["spec"].get("libraries") or []
        return any((library.get("notebook") or {}).get("path") == found[3] for library in libraries)
    pattern = ".*".join(re.escape(part) for part in found[2].split("%"))
    return re.fullmatch(pattern, str(pipeline["spec"].get("name", "")), re.DOTALL) is not None


def _head(ws: Workspace, pipeline: Json) -> Json:
    pipeline_life.follow(ws, pipeline)
    updates = pipeline["updates"]
    answer: Json = {
        "pipeline_id": pipeline["pipeline_id"],
        "name": pipeline["spec"].get("name", ""),
        "state": pipeline_life.state(ws, pipeline),
        "creator_user_name": pipeline["creator"],
        "run_as_user_name": pipeline["run_as"],
        "health": "UNHEALTHY"
        if updates and updates[-1]["outcome"] == "FAILED" and updates[-1]["end"] <= ws.now
        else "HEALTHY",
    }
    if updates:
        answer["latest_updates"] = [
            {
                "update_id": u["update_id"],
                "state": pipeline_life.state_of(ws, u),
                "creation_time": iso(u["creation_time"]),
            }
            for u in updates[: -LATEST - 1 : -1]
        ]
    if pipeline_life.active(ws, pipeline) and pipeline["cluster_id"]:
        answer["cluster_id"] = pipeline["cluster_id"]
    return answer


def get(ws: Workspace, call: Call) -> Json:
    """GET one: its specification and how it is."""
    pipeline = _named(ws, call)
    answer = {**_head(ws, pipeline), "spec": {**pipeline["spec"], "id": pipeline["pipeline_id"]}}
    answer["last_modified"] = pipeline["last_modified"]
    return answer


def update(ws: Workspace, call: Call) -> Json:
    """PUT: the whole specification anew. Takes effect at the next update."""
    pipeline = _named(ws, call)
    expected = call.body.get("expected_last_modified")
    if expected is not None and expected != pipeline["last_modified"]:
        message = f"The settings of pipeline {pipeline['pipeline_id']} were modified after {expected}."
        raise ApiError(409, "RESOURCE_CONFLICT", message)
    spec = {name: value for name, value in call.body.items() if name not in CONTROLS}
    check(spec)
    name = spec.get("name")
    taken = any(other["spec"].get("name") == name for other in shelf(ws).values() if other is not pipeline)
    if taken and name != pipeline["spec"].get("name") and not call.body.get("allow_duplicate_names"):
        raise ApiError(409, "RESOURCE_CONFLICT", f"The pipeline name '{name}' is already used by another pipeline.")
    pipeline["spec"] = complete(spec)
    given = call.body.get("run_as")
    if isinstance(given, dict):
        pipeline["run_as"] = given.get("user_name") or given.get("service_principal_name") or pipeline["run_as"]
    pipeline["last_modified"] = max(ws.now, pipeline["last_modified"] + 1)
    ws.changes += 1
    return {}


def check(spec: Json) -> None:
    """Refuse what the real API refuses in a specification."""
    for name, (kind, words) in TYPES.items():
        if spec.get(name) is not None and not isinstance(spec[name], kind):
            raise malformed(f"Could not parse request object: {name} must be {words}")
    if not spec.get("name"):
        raise invalid("Missing required field: name")
    if spec.get("channel") not in (None, *CHANNELS):
        raise invalid(f"Invalid value for channel: {spec['channel']}")
    for cluster in spec.get("clusters") or []:
        if not isinstance(cluster, dict):
            raise malformed("Could not parse request object: clusters must be a list of objects")
        cluster_config.check_types(cluster)
        if not isinstance(cluster.get("num_workers", 0), int):
            raise malformed("Could not parse request object: num_workers must be a number")
        if cluster.get("spark_version"):
            raise invalid("The field 'spark_version' cannot be set in the clusters of a pipeline: its channel decides.")
    for library in spec.get("libraries") or []:
        if not isinstance(library, dict) or not isinstance(library.get("notebook") or {}, dict):
            raise malformed("Could not parse request object: libraries must be a list of objects")
    if spec.get("serverless") and spec.get("clusters"):
        raise invalid("You cannot provide cluster settings when using serverless compute.")


def complete(spec: Json) -> Json:
    """The specification with what the server fills in."""
    defaults = {"channel": "CURRENT", "continuous": False, "development": False, "edition": "ADVANCED", "photon": False}
    return {**defaults, **{name: value for name, value in spec.items() if value is not None}}


def start(ws: Workspace, call: Call) -> Json:
    """POST updates: start one, unless one is under way."""
    pipeline = _named(ws, call)
    chosen: Json = {}
    for name in ("full_refresh", "validate_only"):
        chosen[name] = bool(call.body.get(name))
    for name in ("refresh_selection", "full_refresh_selection"):
        if call.body.get(name):
            if not isinstance(call.body[name], list):
                raise malformed(f"Could not parse request object: {name} must be a list of strings")
            chosen[name] = call.body[name]
    running = pipeline_life.active(ws, pipeline)
    if running:
        raise ApiError(409, "RESOURCE_CONFLICT", f"An active update {running['update_id']} already exists.")
    return {"update_id": pipeline_life.start(ws, pipeline, ws.now, "API_CALL", chosen)["update_id"]}


def stop(ws: Workspace, call: Call) -> Json:
    """POST stop: the update under way is cancelled within seconds; without one nothing happens."""
    pipeline_life.stop(ws, _named(ws, call), ws.now)
    return {}


def list_updates(ws: Workspace, call: Call) -> Json:
    """GET updates: newest first."""
    pipeline = _named(ws, call)
    size = whole(call.number("max_results", 25), 1, 100, "max_results")
    found = pipeline["updates"][::-1]
    until = call.text("until_update_id")
    if until:
        place = next((i for i, entry in enumerate(found) if entry["update_id"] == until), len(found))
        found = found[: place + 1]
    part, tokens = page(found, size, call.text("page_token"))
    return {"updates": [_update(ws, pipeline, entry) for entry in part], **tokens}


def get_update(ws: Workspace, call: Call) -> Json:
    """GET one update."""
    pipeline = _named(ws, call)
    wanted = call.named["update_id"]
    for entry in pipeline["updates"]:
        if entry["update_id"] == wanted:
            return {"update": _update(ws, pipeline, entry)}
    raise missing(f"The specified update {wanted} was not found.")


def _update(ws: Workspace, pipeline: Json, entry: Json) -> Json:
    hidden = ("ready", "end", "outcome", "stopping", "run")
    shown = {name: value for name, value in entry.items() if name not in hidden}
    shown.update(pipeline_id=pipeline["pipeline_id"], state=pipeline_life.state_of(ws, entry))
    return shown


def events(ws: Workspace, call: Call) -> Json:
    """GET events: newest first unless asked otherwise, selected by level, id and time."""
    pipeline = _named(ws, call)
    size = whole(call.number("max_results", 25), 1, 250, "max_results")
    found = pipeline_events.chosen(pipeline_events.all_of(ws, pipeline), call.text("filter"))
    order = call.text("order_by") or "timestamp desc"
    if order not in ("timestamp asc", "timestamp desc"):
        raise invalid(f"Invalid value for order_by: {order}")
    part, tokens = page(found if order.endswith("asc") else found[::-1], size, call.text("page_token"))
    answer: dict[str, Any] = {"events": part} if part else {}
    return {**answer, **tokens}


def _named(ws: Workspace, call: Call) -> Json:
    wanted = call.named["pipeline_id"]
    found = shelf(ws).get(wanted)
    if found is None:
        raise missing(f"The specified pipeline {wanted} was not found.")
    pipeline_life.follow(ws, found)
    return found


ROUTES: Routes = {
    ("GET", "/api/2.0/pipelines"): list_,
    ("GET", "/api/2.0/pipelines/{pipeline_id}"): get,
    ("PUT", "/api/2.0/pipelines/{pipeline_id}"): update,
    ("POST", "/api/2.0/pipelines/{pipeline_id}/updates"): start,
    ("GET", "/api/2.0/pipelines/{pipeline_id}/updates"): list_updates,
    ("GET", "/api/2.0/pipelines/{pipeline_id}/updates/{update_id}"): get_update,
    ("POST", "/api/2.0/pipelines/{pipeline_id}/stop"): stop,
    ("GET", "/api/2.0/pipelines/{pipeline_id}/events"): events,
}
