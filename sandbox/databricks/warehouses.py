"""SQL warehouses: listed, got, started, stopped. A statement starts a stopped one by itself."""

from __future__ import annotations

from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import Json, denied, missing, wrong_state
from sandbox.databricks.paging import page, whole
from sandbox.databricks.workspace import Workspace

MINUTE = 60_000
CLASSIC_START, SERVERLESS_START, STOP = 4 * MINUTE, 6_000, 20_000
PAGE = 100


def look(ws: Workspace, entry: Json) -> Json:
    """A warehouse with its state as of now: starting and stopping end, idle ones stop."""
    if entry["until"] and ws.now >= entry["until"]:
        entry["state"] = {"STARTING": "RUNNING", "STOPPING": "STOPPED"}[entry["state"]]
        entry["used"], entry["until"] = entry["until"], 0
    idle = entry["auto_stop_mins"] * MINUTE
    if entry["state"] == "RUNNING" and idle and ws.now >= entry["used"] + idle:
        entry["state"] = "STOPPED"
    return entry


def wake(ws: Workspace, entry: Json) -> int:
    """Have it running for a statement; returns when it will be."""
    look(ws, entry)
    if entry["state"] == "STOPPING":
        begin = entry["until"]
    else:
        begin = ws.now
    if entry["state"] in ("STOPPED", "STOPPING"):
        entry["state"] = "STARTING"
        entry["until"] = begin + (SERVERLESS_START if entry["serverless"] else CLASSIC_START)
    entry["used"] = max(ws.now, entry["until"])
    ws.changes += 1
    return int(entry["used"])


def usable(ws: Workspace, entry: Json) -> bool:
    """Whether the bot may run statements on it."""
    return ws.may(f"warehouses/{entry['id']}") in ("CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER")


def view(ws: Workspace, entry: Json) -> Json:
    """As the API shows it."""
    look(ws, entry)
    host = ws.host.partition("//")[2].partition(":")[0]
    path = f"/sql/1.0/warehouses/{entry['id']}"
    running = entry["state"] == "RUNNING"
    return {
        "id": entry["id"],
        "name": entry["name"],
        "size": entry["size"],
        "cluster_size": entry["size"],
        "min_num_clusters": 1,
        "max_num_clusters": 1,
        "auto_stop_mins": entry["auto_stop_mins"],
        "auto_resume": True,
        "creator_name": entry["owner"],
        "spot_instance_policy": "COST_OPTIMIZED",
        "enable_photon": True,
        "channel": {"name": "CHANNEL_NAME_CURRENT"},
        "enable_serverless_compute": entry["serverless"],
        "warehouse_type": "PRO",
        "num_clusters": 1 if running else 0,
        "num_active_sessions": 0,
        "state": entry["state"],
        "jdbc_url": f"jdbc:spark://{host}:443/default;transportMode=http;ssl=1;AuthMech=3;httpPath={path};",
        "odbc_params": {"hostname": host, "path": path, "protocol": "https", "port": 443},
        "health": {"status": "HEALTHY"} if running else {},
        "tags": {},
    }


def listed(ws: Workspace, call: Call) -> Json:
    """GET warehouses: those that the caller may use at all."""
    size = whole(call.number("page_size", PAGE), 1, PAGE, "page_size", clamp=True)
    shown = [view(ws, entry) for entry in ws.shelf("warehouses").values() if usable(ws, entry)]
    found, tokens = page(shown, size, call.text("page_token"))
    return {"warehouses": list(found), "next_page_token": tokens.get("next_page_token", "")}


def get(ws: Workspace, call: Call) -> Json:
    """GET one warehouse."""
    return view(ws, _found(ws, call))


def start(ws: Workspace, call: Call) -> Json:
    """POST start: of a running one nothing."""
    entry = _found(ws, call)
    if look(ws, entry)["state"] == "STOPPING":
        raise wrong_state(f"Warehouse {entry['id']} is stopping; it can be started once it is stopped.")
    wake(ws, entry)
    return {}


def stop(ws: Workspace, call: Call) -> Json:
    """POST stop: of a stopped one nothing."""
    entry = _found(ws, call)
    if look(ws, entry)["state"] in ("RUNNING", "STARTING"):
        entry["state"], entry["until"] = "STOPPING", ws.now + STOP
        ws.changes += 1
    return {}


def _found(ws: Workspace, call: Call) -> Json:
    entry = ws.shelf("warehouses").get(call.named["id"])
    if entry is None:
        raise missing(f"SQL warehouse {call.named['id']} does not exist.")
    if not usable(ws, entry):
        raise denied(f"You do not have permission to access SQL warehouse {entry['id']}.")
    return entry


ROUTES: Routes = {
    ("GET", "/api/2.0/sql/warehouses"): listed,
    ("GET", "/api/2.0/sql/warehouses/{id}"): get,
    ("POST", "/api/2.0/sql/warehouses/{id}/start"): start,
    ("POST", "/api/2.0/sql/warehouses/{id}/stop"): stop,
}
