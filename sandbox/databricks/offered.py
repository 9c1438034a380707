"""The machine types that one workspace offers: all that there are, but for what its fleet says of some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.databricks import versions
from sandbox.databricks.errors import Json, invalid
from sandbox.databricks.workspace import Workspace

SHELF = "node_types"
FIELDS = ("is_deprecated", "is_hidden", "node_info", "photon_driver_capable", "photon_worker_capable")
"""What a fleet may say of a machine type; null in the place of it: the workspace does not offer that type."""
STATUSES = ("NotAvailableInRegion", "NotEnabledOnSubscription")
_ASKED = ("node_type_id", "driver_node_type_id")
_GONE = "gone"


def furnish(ws: Workspace, content: Mapping[str, Any], now: int) -> None:
    """What a fleet says of machine types: `node_types: {m5d.large: {is_deprecated: true}, g5.2xlarge: null}`."""
    known = {node["node_type_id"] for node in versions.node_types()}
    for node_id, said in (content.get("node_types") or {}).items():
        if node_id not in known:
            raise ValueError(f"node_types: there is no machine type {node_id}")
        if unknown := set(said or {}) - set(FIELDS):
            raise ValueError(f"node_types: {node_id} has no {', '.join(sorted(unknown))}")
        if unknown := set(((said or {}).get("node_info") or {}).get("status") or ()) - set(STATUSES):
            raise ValueError(f"node_types: {node_id} has no status {', '.join(sorted(unknown))}")
        ws.shelf(SHELF)[node_id] = {_GONE: True} if said is None else dict(said)


def listed(ws: Workspace) -> list[Json]:
    """What `clusters/list-node-types` answers."""
    own = ws.shelf(SHELF)
    said = [(node, own.get(node["node_type_id"], {})) for node in versions.node_types()]
    return [{**node, **more} for node, more in said if not more.get(_GONE)]


def check(ws: Workspace, spec: Json) -> None:
    """Refuses a configuration with a machine type that the workspace does not list."""
    asked = [str(spec[name]) for name in _ASKED if spec.get(name)]
    if not asked:
        return
    names = [node["node_type_id"] for node in listed(ws)]
    for name in asked:
        if name not in names:
            raise invalid(f"Node type {name} is not supported. Supported node types: {', '.join(names)}")
