"""API family `/api/2.1/clusters/*`."""

from __future__ import annotations

from sandbox.databricks import (
    acl,
    cluster_config,
    cluster_life,
    governance,
    job_clusters,
    library_life,
    offered,
    versions,
)
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.encoded import Listing, encode
from sandbox.databricks.errors import Json, denied, invalid, wrong_state
from sandbox.databricks.model import Cluster
from sandbox.databricks.paging import page, whole
from sandbox.databricks.workspace import Workspace

LISTED_FOR = 30 * 86_400_000
"""How long a terminated cluster that is not pinned stays in the list."""


def list_(ws: Workspace, call: Call) -> Json:
    """GET list: pinned, active and recently terminated clusters, also those that jobs made for their runs."""
    wanted = {name: set(call.many(f"filter_by.{name}")) for name in ("cluster_sources", "cluster_states")}
    pinned, policy = call.flag("filter_by.is_pinned"), call.text("filter_by.policy_id")
    found: list[Cluster] = []
    for cluster in [*ws.clusters.values(), *job_clusters.active(ws)]:
        if cluster.state == "TERMINATED" and not cluster.pinned and cluster.terminated < ws.now - LISTED_FOR:
            continue
        if wanted["cluster_sources"] and cluster.source not in wanted["cluster_sources"]:
            continue
        if wanted["cluster_states"] and cluster.state not in wanted["cluster_states"]:
            continue
        if pinned is not None and cluster.pinned != pinned:
            continue
        if policy and cluster.spec.get("policy_id") != policy:
            continue
        found.append(cluster)
    if call.text("sort_by.field") == "CLUSTER_NAME":
        found.sort(key=lambda c: (c.name, c.cluster_id), reverse=call.text("sort_by.direction") == "DESC")
    else:
        found.sort(key=lambda c: (c.state == "TERMINATED", not c.pinned, c.name, c.cluster_id))
    size = whole(call.number("page_size", 20), 1, 100, "page_size", clamp=True)
    part, tokens = page(found, size, call.text("page_token"))
    return Listing("clusters", (_listed(ws, cluster) for cluster in part), tokens)


def _listed(ws: Workspace, cluster: Cluster) -> bytes:
    """An entry of the list, encoded; made again only when something that it shows has changed."""
    state = (cluster.state, cluster.message, cluster.pinned, cluster.restarted, cluster.terminated, cluster.reason)
    pools = [ws.shelf("pools").get(str(cluster.spec.get(f"{of}instance_pool_id"))) for of in ("", "driver_")]
    made_for = (cluster.spec, cluster.asked, pools, cluster.created, cluster.creator, cluster.source, *state)
    known = ws.views.get(cluster.cluster_id)
    if known is None or known[0] != made_for:
        if len(ws.views) > 2 * len(ws.clusters) + 1000:
            ws.views.clear()  # mostly clusters of jobs that are long gone
        known = made_for, encode(cluster_config.view(cluster, ws.shelf("pools")))
        ws.views[cluster.cluster_id] = known
    return known[1]


def get(ws: Workspace, call: Call) -> Json:
    """GET get."""
    return cluster_config.view(_any(ws, call), ws.shelf("pools"))


def create(ws: Workspace, call: Call) -> Json:
    """POST create: PENDING, then RUNNING."""
    token = call.body.get("idempotency_token")
    if token and f"cluster/{token}" in ws.granted:
        number = ws.granted[f"cluster/{token}"]
        return {"cluster_id": next(c.cluster_id for c in ws.clusters.values() if c.created == number)}
    spec, asked = _written(ws, cluster_config.configuration(call.body))
    cluster_id = job_clusters.new_id(ws, ws.now, len(ws.clusters))
    cluster = Cluster(cluster_id, spec, ws.client_id, ws.now, "API", asked=asked)
    ws.clusters[cluster.cluster_id] = cluster
    if token:
        ws.granted[f"cluster/{token}"] = ws.now
    cluster_life.start(ws, cluster, ws.now, ws.client_id, "CREATING")
    return {"cluster_id": cluster.cluster_id}


def edit(ws: Workspace, call: Call) -> Json:
    """POST edit: the whole configuration anew; what is not sent is gone."""
    cluster = _editable(ws, call)
    _apply(ws, cluster, cluster_config.configuration(call.body))
    return {}


def update(ws: Workspace, call: Call) -> Json:
    """POST update: only what the mask names."""
    cluster = _editable(ws, call)
    change = call.body.get("cluster") or {}
    if not isinstance(change, dict):
        raise invalid("cluster must be an object")
    before = cluster.spec if cluster.asked is None else cluster.asked
    _apply(ws, cluster, cluster_config.masked(before, change, call.body.get("update_mask", "")))
    return {}


def _written(ws: Workspace, asked: Json) -> tuple[Json, Json | None]:
    """The configuration that counts, and what was asked for where a policy filled in more; raises ApiError."""
    cluster_config.claim(asked, ws.client_id)
    spec = governance.govern(ws, asked, "all-purpose")
    cluster_config.check(spec, ws.client_id)
    offered.check(ws, spec)
    return spec, None if spec == asked else asked


def _apply(ws: Workspace, cluster: Cluster, given: Json) -> None:
    spec, asked = _written(ws, given)
    cluster_life.edit(ws, cluster, spec, asked, ws.now, ws.client_id)


def start(ws: Workspace, call: Call) -> Json:
    """POST start: only a TERMINATED cluster starts."""
    cluster = _own(ws, call, "started")
    if cluster.state != "TERMINATED":
        raise wrong_state(f"Cluster {cluster.cluster_id} is in unexpected state {cluster.state.capitalize()}.")
    _check_launch(ws, cluster)
    cluster_life.start(ws, cluster, ws.now, ws.client_id)
    return {}


def restart(ws: Workspace, call: Call) -> Json:
    """POST restart: does nothing to a cluster that is not RUNNING."""
    cluster = _own(ws, call, "restarted")
    if cluster.state == "RUNNING":
        _check_launch(ws, cluster)
        cluster_life.restart(ws, cluster, ws.now, ws.client_id)
    return {}


def _check_launch(ws: Workspace, cluster: Cluster) -> None:
    problem = governance.launch_problem(ws, cluster.spec)
    if problem:
        raise problem


def delete(ws: Workspace, call: Call) -> Json:
    """POST delete: terminates; does nothing to one that is terminated or about to be."""
    cluster = _own(ws, call, "terminated")
    if cluster.state not in ("TERMINATED", "TERMINATING"):
        cluster_life.terminate(ws, cluster, ws.now, "USER_REQUEST", ws.client_id)
    return {}


def permanent_delete(ws: Workspace, call: Call) -> Json:
    """POST permanent-delete: gone, with what runs on it."""
    cluster = _own(ws, call, "deleted")
    if cluster.state not in ("TERMINATED", "TERMINATING"):
        cluster_life.terminate(ws, cluster, ws.now, "USER_REQUEST", ws.client_id)
    del ws.clusters[cluster.cluster_id]
    acl.forget(ws, "clusters", cluster.cluster_id)
    library_life.forget(ws, cluster.cluster_id)
    ws.changes += 1
    return {}


def pin(ws: Workspace, call: Call) -> Json:
    """POST pin: stays in the list for ever; for administrators."""
    return _pinned(ws, call, True)


def unpin(ws: Workspace, call: Call) -> Json:
    """POST unpin."""
    return _pinned(ws, call, False)


def _pinned(ws: Workspace, call: Call, pinned: bool) -> Json:
    cluster = _administered(ws, call, "pin" if pinned else "unpin")
    if cluster.pinned != pinned:
        cluster.pinned = pinned
        cluster_life.note(ws, cluster, "PINNED" if pinned else "UNPINNED", ws.now, {"user": ws.client_id})
    return {}


def change_owner(ws: Workspace, call: Call) -> Json:
    """POST change-owner: of a terminated cluster; for administrators."""
    cluster = _administered(ws, call, "change the owner of")
    owner = call.body.get("owner_username")
    if not isinstance(owner, str) or not owner:
        raise invalid("Missing required field: owner_username")
    if cluster.state != "TERMINATED":
        raise wrong_state(f"Cluster {cluster.cluster_id} must be terminated to change its owner.")
    cluster.creator = owner
    ws.changes += 1
    return {}


def _administered(ws: Workspace, call: Call, what: str) -> Cluster:
    cluster = ws.cluster(call.body.get("cluster_id"))
    if not ws.admin:
        raise denied(f"Only administrators can {what} a cluster: {ws.client_id} is not one.")
    return cluster


def events(ws: Workspace, call: Call) -> Json:
    """POST events: newest first unless asked otherwise; `next_page` is the request for the next page."""
    cluster = ws.cluster(call.body.get("cluster_id"))
    order = call.body.get("order") or "DESC"
    if order not in ("ASC", "DESC"):
        raise invalid(f"Invalid value for order: {order}")
    kinds = call.body.get("event_types") or []
    first, last = call.number("start_time", 0), call.number("end_time", 0) or 1 << 60
    found = [
        event
        for event in cluster.events
        if (not kinds or event["type"] in kinds)
        and first <= event["timestamp"] <= last
        and event["timestamp"] <= ws.now
    ]
    found.sort(key=lambda event: int(event["timestamp"]))
    if order == "DESC":
        found.reverse()
    size = whole(call.number("page_size", 0) or call.number("limit", 50), 1, 500, "page_size", clamp=True)
    part, tokens = page(found, size, str(call.body.get("page_token") or ""), call.number("offset", 0))
    answer: Json = {"events": part, "total_count": len(found), **tokens}
    if "next_page_token" in tokens:
        again = {name: value for name, value in call.body.items() if name not in ("page_token", "offset")}
        answer["next_page"] = {**again, "order": order, "page_token": tokens["next_page_token"]}
    return answer


def spark_versions(ws: Workspace, call: Call) -> Json:
    """GET spark-versions."""
    return {"versions": versions.listed()}


def list_node_types(ws: Workspace, call: Call) -> Json:
    """GET list-node-types."""
    return {"node_types": offered.listed(ws)}


def _any(ws: Workspace, call: Call) -> Cluster:
    """The cluster that the request names, be it one that lives for a run only."""
    cluster_id = call.body.get("cluster_id") or call.text("cluster_id")
    return job_clusters.find(ws, cluster_id) or ws.cluster(cluster_id)


def _own(ws: Workspace, call: Call, done: str) -> Cluster:
    cluster = _any(ws, call)
    if cluster.source in cluster_config.SOURCES_NOT_EDITABLE:
        maker = cluster_config.SOURCES_NOT_EDITABLE[cluster.source]
        raise invalid(f"Cluster {cluster.cluster_id} created by {maker} cannot be {done}")
    if ws.may(f"clusters/{cluster.cluster_id}") not in ("CAN_RESTART", "CAN_MANAGE"):
        raise denied(f"{ws.client_id} does not have Restart permissions on cluster {cluster.cluster_id}")
    return cluster


def _editable(ws: Workspace, call: Call) -> Cluster:
    cluster = _any(ws, call)
    if cluster.source in cluster_config.SOURCES_NOT_EDITABLE:
        maker = cluster_config.SOURCES_NOT_EDITABLE[cluster.source]
        raise invalid(f"Cannot edit cluster {cluster.cluster_id} created by {maker}")
    if ws.may(f"clusters/{cluster.cluster_id}") != "CAN_MANAGE":
        raise denied(f"{ws.client_id} does not have Manage permissions on cluster {cluster.cluster_id}")
    if cluster.state not in ("RUNNING", "TERMINATED"):
        raise wrong_state(
            f"Cluster {cluster.cluster_id} is in state {cluster.state}: it must be RUNNING or TERMINATED to be edited."
        )
    return cluster


ROUTES: Routes = {
    ("GET", "/api/2.1/clusters/list"): list_,
    ("GET", "/api/2.1/clusters/get"): get,
    ("POST", "/api/2.1/clusters/create"): create,
    ("POST", "/api/2.1/clusters/edit"): edit,
    ("POST", "/api/2.1/clusters/update"): update,
    ("POST", "/api/2.1/clusters/start"): start,
    ("POST", "/api/2.1/clusters/restart"): restart,
    ("POST", "/api/2.1/clusters/delete"): delete,
    ("POST", "/api/2.1/clusters/permanent-delete"): permanent_delete,
    ("POST", "/api/2.1/clusters/pin"): pin,
    ("POST", "/api/2.1/clusters/unpin"): unpin,
    ("POST", "/api/2.1/clusters/change-owner"): change_owner,
    ("POST", "/api/2.1/clusters/events"): events,
    ("GET", "/api/2.1/clusters/spark-versions"): spark_versions,
    ("GET", "/api/2.1/clusters/list-node-types"): list_node_types,
}
