"""The life of a cluster on the calendar: which states follow which, how long they take, and what is left in its events.

TERMINATED -> PENDING -> RUNNING -> (RESTARTING | RESIZING -> RUNNING)* -> TERMINATING -> TERMINATED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.databricks import cron, governance, library_life, run_life, versions
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Cluster

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

MINUTE = 60_000
HOUR = 60 * MINUTE
EVENTS_KEPT = 500
OFFICE_HOURS = (7, 18)
MORNINGS = cron.parse("0 30 7 ? * MON-FRI", "UTC")


def note(ws: Workspace, cluster: Cluster, kind: str, at: int, details: Json | None = None) -> None:
    """Write an event of the cluster's log."""
    cluster.events.append(
        {
            "cluster_id": cluster.cluster_id,
            "timestamp": at,
            "type": kind,
            "details": details or {"cause": "USER_REQUEST"},
        }
    )
    if len(cluster.events) > EVENTS_KEPT:
        del cluster.events[0]
    ws.changes += 1


def enter(ws: Workspace, cluster: Cluster, state: str, at: int, lasts: int = 0, message: str = "") -> None:
    """Put it into a state, for a while or (0) until something else happens."""
    cluster.turn += 1
    cluster.state = state
    cluster.message = message
    cluster.until = at + lasts if lasts else 0
    if lasts:
        ws.plan(cluster.until, "settle", cluster.cluster_id, cluster.turn)


def startup(ws: Workspace, cluster: Cluster) -> int:
    """How long this start takes: 2 to 6 minutes, less from a pool, least where the pool has the runtime loaded."""
    chance = ws.chance(cluster.cluster_id, "start", cluster.turn)
    pool = ws.shelf("pools").get(str(cluster.spec.get("instance_pool_id")))
    if pool is not None:
        loaded = cluster.spec.get("spark_version") in (pool.get("preloaded_spark_versions") or [])
        return int((0.7 + chance) * MINUTE) if loaded else int((1.2 + 2 * chance) * MINUTE)
    return int((2 + 4 * chance) * MINUTE)


def start(
    ws: Workspace, cluster: Cluster, at: int, user: str, kind: str = "STARTING", cause: str = "USER_REQUEST"
) -> None:
    """TERMINATED -> PENDING."""
    library_life.adopt(ws, cluster)
    note(ws, cluster, kind, at, {"cause": cause, "user": user, "cluster_size": size_of(cluster)})
    cluster.restarted = at
    cluster.terminated, cluster.reason = 0, None
    enter(ws, cluster, "PENDING", at, startup(ws, cluster), "Finding instances for new nodes, acquiring more instances")


def restart(ws: Workspace, cluster: Cluster, at: int, user: str) -> None:
    """RUNNING -> RESTARTING. Whatever runs on it dies."""
    _enforce_pending(ws, cluster, at)
    note(ws, cluster, "RESTARTING", at, {"cause": "USER_REQUEST", "user": user})
    library_life.stop(ws, cluster, at)
    library_life.adopt(ws, cluster)
    run_life.lose_cluster(ws, cluster, at, "restarted")
    cluster.restarted = at
    enter(ws, cluster, "RESTARTING", at, startup(ws, cluster), "Restarting")


def edit(ws: Workspace, cluster: Cluster, spec: Json, asked: Json | None, at: int, user: str) -> None:
    """Give it another configuration; where it runs, it restarts, at once or a little later."""
    _reconfigure(ws, cluster, spec, asked, at, user)
    cluster.pending = None
    if cluster.state != "RUNNING":
        return
    if cluster.restarts_late:
        ws.plan(at + cluster.restarts_late * 1000, "restart", cluster.cluster_id, cluster.turn)
    else:
        restart(ws, cluster, at, user)


def late_restart(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """The restart that follows an edit, where it does not come at once."""
    cluster = ws.clusters.get(whom)
    if cluster is not None and cluster.turn == turn and cluster.state == "RUNNING":
        restart(ws, cluster, at, ws.client_id)


def _reconfigure(ws: Workspace, cluster: Cluster, spec: Json, asked: Json | None, at: int, user: str) -> None:
    before, size = attributes(cluster), size_of(cluster)
    cluster.spec, cluster.asked = spec, asked
    details = {
        "user": user,
        "attributes": attributes(cluster),
        "previous_attributes": before,
        "cluster_size": size_of(cluster),
        "previous_cluster_size": size,
    }
    note(ws, cluster, "EDITED", at, details)


def _enforce_pending(ws: Workspace, cluster: Cluster, at: int) -> None:
    """What an enforcement of its policy waited for has come."""
    if cluster.pending is not None:
        todo, cluster.pending = cluster.pending, None
        _reconfigure(ws, cluster, todo["spec"], todo["asked"], at, todo["shown"]["initiator_user"])


def terminate(ws: Workspace, cluster: Cluster, at: int, code: str, user: str = "", problem: str = "") -> None:
    """Any living state -> TERMINATING. Whatever runs on it dies. `problem`: why it could not be started."""
    cluster.reason = {"code": code, "type": "SUCCESS", "parameters": {"username": user} if user else {}}
    if problem:
        cluster.reason = {"code": code, "type": "CLIENT_ERROR", "parameters": {"databricks_error_message": problem}}
    if code == "INACTIVITY":
        minutes = str(cluster.spec.get("autotermination_minutes", 0))
        cluster.reason["parameters"] = {"inactivity_duration_min": minutes}
    note(ws, cluster, "TERMINATING", at, {"reason": cluster.reason, **({"user": user} if user else {})})
    library_life.stop(ws, cluster, at)
    run_life.lose_cluster(ws, cluster, at, "terminated")
    lasts = int((0.5 + ws.chance(cluster.cluster_id, "stop", cluster.turn)) * MINUTE)
    enter(ws, cluster, "TERMINATING", at, lasts, "Terminating")


def settle(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """The end of a state that lasts a while."""
    cluster = ws.clusters.get(whom)
    if cluster is None or cluster.turn != turn:
        return
    if cluster.state == "TERMINATING":
        cluster.terminated = at
        enter(ws, cluster, "TERMINATED", at, 0, _farewell(cluster.reason or {}))
        cluster.running_since = 0
        _enforce_pending(ws, cluster, at)
    elif cluster.state in ("PENDING", "RESTARTING"):
        problem = governance.launch_problem(ws, cluster.spec)
        if problem:
            code = "INSTANCE_POOL_NOT_FOUND" if "instance pool" in problem.message else "INVALID_ARGUMENT"
            terminate(ws, cluster, at, code, problem=problem.message)
            return
        if cluster.spec.get("init_scripts"):
            note(ws, cluster, "INIT_SCRIPTS_STARTED", at - MINUTE // 2, {"cluster_size": size_of(cluster)})
            note(ws, cluster, "INIT_SCRIPTS_FINISHED", at - MINUTE // 4, {"cluster_size": size_of(cluster)})
        run_now(ws, cluster, at)
        note(ws, cluster, "RUNNING", at, {"current_num_workers": workers(cluster), "attributes": attributes(cluster)})
        note(ws, cluster, "DRIVER_HEALTHY", at + 5_000, {})
    elif cluster.state == "RESIZING":
        enter(ws, cluster, "RUNNING", at)
        note(ws, cluster, "UPSIZE_COMPLETED", at, {"current_num_workers": workers(cluster)})
        _follow(ws, cluster, at)


def _farewell(reason: Json) -> str:
    if reason.get("type") == "CLIENT_ERROR":
        return str(reason["parameters"]["databricks_error_message"])
    return "Inactive cluster terminated" if reason.get("code") == "INACTIVITY" else "Terminated by user"


def run_now(ws: Workspace, cluster: Cluster, at: int) -> None:
    """Make it RUNNING, install its libraries, and watch for idleness and resizes from now on."""
    enter(ws, cluster, "RUNNING", at)
    library_life.begin(ws, cluster, at)
    cluster.running_since = at
    cluster.last_used = max(cluster.last_used, at)
    _follow(ws, cluster, at)


def _follow(ws: Workspace, cluster: Cluster, at: int) -> None:
    if cluster.spec.get("autotermination_minutes"):
        ws.plan(at + int(cluster.spec["autotermination_minutes"]) * MINUTE, "idle", cluster.cluster_id, cluster.turn)
    if cluster.resizes and cluster.spec.get("autoscale"):
        early = int(cluster.resizes * MINUTE * (0.5 + ws.chance(cluster.cluster_id, "resize", cluster.turn)))
        ws.plan(at + early, "resize", cluster.cluster_id, cluster.turn)


def idle(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """Looks whether nobody has used it for as long as its owner allowed."""
    cluster = ws.clusters.get(whom)
    if cluster is None or cluster.turn != turn:
        return
    minutes = int(cluster.spec.get("autotermination_minutes") or 0)
    if not minutes:
        return
    if cluster.active or (cluster.office and _in_office(at)):
        cluster.last_used = at
    if at - cluster.last_used >= minutes * MINUTE:
        terminate(ws, cluster, at, "INACTIVITY")
    else:
        ws.plan(cluster.last_used + minutes * MINUTE, "idle", whom, turn)


def morning(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """Somebody comes to work and starts the cluster, if it is off."""
    cluster = ws.clusters.get(whom)
    if cluster is None or not cluster.office:
        return
    if cluster.state == "TERMINATED":
        start(ws, cluster, at, cluster.creator)
    expect_morning(ws, cluster, at)


def expect_morning(ws: Workspace, cluster: Cluster, after: int) -> None:
    """Plan the next morning at which somebody comes to work on it."""
    found = MORNINGS.next(after / 1000)
    if found:
        ws.plan(
            found * 1000 + int(ws.chance(cluster.cluster_id, "morning") * 20 * MINUTE), "morning", cluster.cluster_id, 0
        )


def resize(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """The autoscaler adds or removes workers: for some minutes the cluster cannot be edited."""
    cluster = ws.clusters.get(whom)
    if cluster is None or cluster.turn != turn or cluster.state != "RUNNING":
        return
    note(ws, cluster, "RESIZING", at, {"cause": "AUTOSCALE", "current_num_workers": workers(cluster)})
    enter(ws, cluster, "RESIZING", at, int((1 + 3 * ws.chance(whom, "resizing", turn)) * MINUTE), "Resizing")


def workers(cluster: Cluster) -> int:
    """How many workers it has."""
    if "autoscale" in cluster.spec:
        return int((cluster.spec["autoscale"] or {}).get("min_workers", 1))
    return int(cluster.spec.get("num_workers") or 0)


def size_of(cluster: Cluster) -> Json:
    """Its size as events tell it."""
    if "autoscale" in cluster.spec:
        return {"autoscale": cluster.spec["autoscale"]}
    return {"num_workers": workers(cluster)}


def attributes(cluster: Cluster) -> Json:
    """Its attributes as events tell them: the configuration, and which maintenance release it really is."""
    key = str(cluster.spec.get("spark_version", ""))
    return {
        **{name: value for name, value in cluster.spec.items() if name not in ("autoscale", "num_workers")},
        "cluster_id": cluster.cluster_id,
        "effective_spark_version": key,
        "release_version": versions.release(key),
    }


def _in_office(at: int) -> bool:
    day, rest = divmod(at, 24 * HOUR)
    return (day + 3) % 7 < 5 and OFFICE_HOURS[0] * HOUR <= rest < OFFICE_HOURS[1] * HOUR
