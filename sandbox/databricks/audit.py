"""What `system.access.audit` tells of: who changed jobs and clusters, and with which tool (its user agent)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.databricks.errors import Json

if TYPE_CHECKING:
    from sandbox.databricks.call import Call
    from sandbox.databricks.workspace import Workspace

SHELF = "audit"
ENABLED = "enabled"
KEPT = 50_000
DAY = 86_400_000
ACTIONS = {
    "/api/2.2/jobs/update": ("jobs", "update"),
    "/api/2.2/jobs/reset": ("jobs", "reset"),
    "/api/2.2/jobs/delete": ("jobs", "delete"),
    "/api/2.1/clusters/edit": ("clusters", "edit"),
    "/api/2.1/clusters/update": ("clusters", "edit"),
    "/api/2.1/clusters/start": ("clusters", "start"),
    "/api/2.1/clusters/restart": ("clusters", "restart"),
    "/api/2.1/clusters/delete": ("clusters", "delete"),
}
"""The calls that are told of: service and action."""
_IDS = {"jobs": "job_id", "clusters": "cluster_id"}


def furnish(ws: Workspace, content: Mapping[str, Any], now: int) -> None:
    """A fleet with `audit: [...]` has the schema system.access enabled. An entry tells of one change before the start:
    `{job: NAME | cluster: NAME, user_agent: ..., by: ..., days_ago: 3}`. Raises ValueError for an unknown name.
    """
    if "audit" not in content:
        return
    ws.shelf(SHELF)[ENABLED] = {}
    for entry in content["audit"] or ():
        kind = "job" if "job" in entry else "cluster"
        names = {
            "job": {job["settings"].get("name"): job["id"] for job in content.get("jobs", [])},
            "cluster": {one["spec"].get("cluster_name"): one["id"] for one in content.get("clusters", [])},
        }[kind]
        if entry[kind] not in names:
            raise ValueError(f"audit: there is no {kind} {entry[kind]}")
        service = f"{kind}s"
        at = now - int(float(entry.get("days_ago", 3)) * DAY)
        action = "reset" if kind == "job" else "edit"
        by = str(entry.get("by", "owner@example.com"))
        _add(ws, at, service, action, str(names[entry[kind]]), entry["user_agent"], by, 200)


def note(ws: Workspace, call: Call, status: int, user_agent: str) -> None:
    """A call was answered: keep it if it is one that is told of."""
    told = ACTIONS.get(call.path) if call.method == "POST" else None
    if told is None or ENABLED not in ws.shelf(SHELF):
        return
    service, action = told
    named = str(call.body.get(_IDS[service]) or "")
    _add(ws, ws.now, service, action, named, user_agent, ws.client_id, status)


def _add(ws: Workspace, at: int, service: str, action: str, named: str, agent: str, by: str, status: int) -> None:
    shelf = ws.shelf(SHELF)
    if len(shelf) > KEPT:
        for oldest in [key for key in shelf if key != ENABLED][: KEPT // 10]:
            del shelf[oldest]
    shelf[str(uuid.uuid4())] = {
        "at": at,
        "user_agent": agent,
        "by": by,
        "service": service,
        "action": action,
        "id": named,
        "status": status,
    }
    ws.changes += 1


def rows(ws: Workspace) -> list[tuple[str, Json]]:
    """Event ids and what was kept of each."""
    return [(key, entry) for key, entry in ws.shelf(SHELF).items() if key != ENABLED]


def enabled(ws: Workspace) -> bool:
    """Whether the schema is enabled for the workspace's metastore, and the bot may read it."""
    return ENABLED in ws.shelf(SHELF)
