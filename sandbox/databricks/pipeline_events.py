"""The event log of a pipeline: it follows from the updates and is not kept anywhere."""

from __future__ import annotations

import re

from sandbox.databricks import pipeline_life
from sandbox.databricks.errors import Json, invalid
from sandbox.databricks.model import draw
from sandbox.databricks.pipeline_life import MINUTE, SECOND, iso
from sandbox.databricks.workspace import Workspace

EVERY = 10 * MINUTE
"""How often a flow reports while it runs."""
REPORTS = 50
"""How many reports of one update are shown, the latest."""
LEVELS = ("INFO", "WARN", "ERROR", "METRICS")
_TERM = re.compile(
    r"(?:level\s*=\s*'(?P<level>\w+)'|level\s+in\s*\((?P<levels>[^)]*)\)|id\s*=\s*'(?P<id>[^']*)'"
    r"|timestamp\s*(?P<sign>>=|<=|>|<|=)\s*'(?P<timestamp>[^']*)')",
    re.IGNORECASE,
)


def all_of(ws: Workspace, pipeline: Json) -> list[Json]:
    """What happened so far, oldest first."""
    found: list[Json] = []
    for update in pipeline["updates"]:
        found += [event for event in _of_update(ws, pipeline, update) if event["timestamp"] <= iso(ws.now)]
    found.sort(key=lambda event: str(event["timestamp"]))
    return found


def chosen(events: list[Json], wanted: str) -> list[Json]:
    """Those that a filter in the API's own small language selects; refused when it cannot be read."""
    for term in re.split(r"\s+and\s+", wanted.strip(), flags=re.IGNORECASE) if wanted.strip() else []:
        found = _TERM.fullmatch(term.strip())
        if not found:
            raise invalid(f"Invalid value for filter: {wanted}")
        events = [event for event in events if _fits(event, found)]
    return events


def _fits(event: Json, term: re.Match[str]) -> bool:
    if term["level"] or term["levels"]:
        return event["level"] in re.findall(r"\w+", term["level"] or term["levels"])
    if term["id"] is not None:
        return bool(event["id"] == term["id"])
    left, right = str(event["timestamp"]), term["timestamp"]
    signs = {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right, "=": left == right}
    return signs[term["sign"]]


def _of_update(ws: Workspace, pipeline: Json, update: Json) -> list[Json]:
    at, ready, over = update["creation_time"], update["ready"], min(update["end"], ws.now + 1)
    flows = [str(name) for name in pipeline["habit"].get("tables", ["main"])]

    def event(instant: int, kind: str, message: str, details: Json, level: str = "INFO", flow: str = "") -> Json:
        chance = draw(ws.seed, update["update_id"], kind, instant, flow)
        origin: Json = {
            "cloud": "AWS",
            "org_id": ws.number,
            "pipeline_id": pipeline["pipeline_id"],
            "pipeline_name": pipeline["spec"].get("name", ""),
            "update_id": update["update_id"],
        }
        if "cluster_id" in update:
            origin["cluster_id"] = update["cluster_id"]
        if flow:
            origin.update(flow_name=flow, dataset_name=flow)
        return {
            "id": f"{chance.getrandbits(128):032x}",
            "sequence": {"control_plane_seq_no": instant * 1000},
            "origin": origin,
            "timestamp": iso(instant),
            "message": message,
            "level": level,
            "maturity_level": "STABLE",
            "event_type": kind,
            "details": {kind: details},
        }

    def progress(instant: int, state: str, level: str = "INFO") -> Json:
        message = f"Update {update['update_id'][:6]} is {state}."
        return event(instant, "update_progress", message, {"state": state}, level)

    found = [event(at, "create_update", f"Update {update['update_id'][:6]} started by {update['cause']}.", {})]
    found += [progress(at + 5 * SECOND, "WAITING_FOR_RESOURCES"), progress(ready, "INITIALIZING")]
    found += [progress(ready + 20 * SECOND, "SETTING_UP_TABLES"), progress(ready + 40 * SECOND, "RUNNING")]
    found = [entry for entry in found if entry["timestamp"] <= iso(over)]
    first = ready + MINUTE
    for report in range(max(0, (over - first) // EVERY - REPORTS), max(0, (over - first - 1) // EVERY + 1)):
        for flow in flows:
            chance = draw(ws.seed, pipeline["pipeline_id"], flow, report)
            rows = int(chance.lognormvariate(9, 1))
            metrics = {"num_output_rows": rows, "backlog_bytes": int(rows * 200 * chance.random())}
            details = {"status": "RUNNING", "metrics": metrics}
            message = f"Flow '{flow}' is RUNNING."
            found.append(event(first + report * EVERY, "flow_progress", message, details, "METRICS", flow))
    if update["end"] <= ws.now:
        word = pipeline_life.state_of(ws, update)
        if word == "FAILED":
            found.append(
                event(over - 1, "flow_progress", f"Flow '{flows[0]}' FAILED.", {"status": "FAILED"}, "ERROR", flows[0])
            )
        found.append(progress(update["end"], word, "ERROR" if word == "FAILED" else "INFO"))
    return found
