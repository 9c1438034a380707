"""API family `/api/2.0/instance-pools/*`. The machines in a pool follow from the clusters that use it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.databricks import acl, cluster_config, job_clusters, offered, versions
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import ApiError, Json, denied, invalid
from sandbox.databricks.model import Cluster
from sandbox.databricks.workspace import Workspace

EDITABLE = (
    "instance_pool_name",
    "min_idle_instances",
    "max_capacity",
    "idle_instance_autotermination_minutes",
    "custom_tags",
    "remote_disk_throughput",
    "total_initial_remote_disk_size",
)
FOR_EVER = (
    "node_type_id",
    "preloaded_spark_versions",
    "preloaded_docker_images",
    "aws_attributes",
    "azure_attributes",
    "gcp_attributes",
    "disk_spec",
    "enable_elastic_disk",
    "node_type_flexibility",
)
"""What is decided when the pool is made."""


def list_(ws: Workspace, call: Call) -> Json:
    """GET list: all pools with their machines; no pages."""
    users = list(_users(ws))
    return {"instance_pools": [_view(pool, users) for pool in ws.shelf("pools").values()]}


def get(ws: Workspace, call: Call) -> Json:
    """GET get."""
    return _view(_pool(ws, call.text("instance_pool_id")), list(_users(ws)))


def create(ws: Workspace, call: Call) -> Json:
    """POST create."""
    if not ws.admin:
        raise denied(f"{ws.client_id} does not have permission to create instance pools.")
    pool = {name: copy.deepcopy(call.body[name]) for name in (*EDITABLE, *FOR_EVER) if call.body.get(name) is not None}
    _check(ws, pool, "")
    if not pool.get("node_type_id"):
        raise invalid("Missing required field: node_type_id")
    offered.check(ws, pool)
    loaded = pool.get("preloaded_spark_versions") or []
    if not isinstance(loaded, list) or len(loaded) > 1:
        raise invalid("At most one preloaded Spark version can be specified for an instance pool.")
    for key in loaded:
        versions.check(key)
    pool_id = f"{job_clusters.new_id(ws, ws.now, len(ws.shelf('pools')))[:11]}-pool-{_letters(ws)}"
    ws.shelf("pools")[pool_id] = {"instance_pool_id": pool_id, "creator_user_name": ws.client_id, **pool}
    ws.changes += 1
    return {"instance_pool_id": pool_id}


def edit(ws: Workspace, call: Call) -> Json:
    """POST edit: name, sizes, timeout and tags anew; what is decided for ever may only be sent as it is."""
    pool = _manageable(ws, call)
    if not call.body.get("node_type_id"):
        raise invalid("Missing required field: node_type_id")
    for name in FOR_EVER:
        if call.body.get(name) is not None and call.body[name] != pool.get(name):
            raise invalid(f"The field '{name}' of an instance pool cannot be changed.")
    written = {name: copy.deepcopy(call.body[name]) for name in EDITABLE if call.body.get(name) is not None}
    _check(ws, written, pool["instance_pool_id"])
    kept = {name: value for name, value in pool.items() if name not in EDITABLE}
    ws.shelf("pools")[pool["instance_pool_id"]] = {**kept, **written}
    ws.changes += 1
    return {}


def delete(ws: Workspace, call: Call) -> Json:
    """POST delete: also one that is in use; what names it cannot be started or edited any more."""
    pool = _manageable(ws, call)
    del ws.shelf("pools")[pool["instance_pool_id"]]
    acl.forget(ws, "instance-pools", pool["instance_pool_id"])
    ws.changes += 1
    return {}


def put_in_place(ws: Workspace, entry: Mapping[str, Any]) -> None:
    """A pool of the fleet: any fields that `create` takes, its id, and `acl` as grants."""
    ws.shelf("pools")[entry["instance_pool_id"]] = {
        "instance_pool_name": entry["instance_pool_id"],
        "creator_user_name": "platform-team@example.com",
        **{name: value for name, value in entry.items() if name not in ("acl", "state")},
    }


def _pool(ws: Workspace, pool_id: object) -> Json:
    if not pool_id:
        raise invalid("Missing required field: instance_pool_id")
    pool = ws.shelf("pools").get(str(pool_id))
    if pool is None:
        raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Can't find an instance pool with id: {pool_id}.")
    return pool


def _manageable(ws: Workspace, call: Call) -> Json:
    pool = _pool(ws, call.body.get("instance_pool_id"))
    if ws.may(f"instance-pools/{pool['instance_pool_id']}") != "CAN_MANAGE":
        raise denied(f"{ws.client_id} does not have Manage permissions on instance pool {pool['instance_pool_id']}")
    return pool


def _check(ws: Workspace, written: Json, pool_id: str) -> None:
    name = written.get("instance_pool_name")
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise invalid("Instance pool name must have between 1 and 100 characters")
    others = [p for p in ws.shelf("pools").values() if p["instance_pool_id"] != pool_id]
    if any(p.get("instance_pool_name") == name for p in others):
        raise invalid(f"Instance pool with name `{name}` already exists")
    for field in ("min_idle_instances", "max_capacity", "idle_instance_autotermination_minutes"):
        value = written.get(field, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise invalid(f"Invalid value for {field}: {value}")
    if written.get("idle_instance_autotermination_minutes", 0) > 10_000:
        raise invalid("idle_instance_autotermination_minutes must be between 0 and 10000")
    if "max_capacity" in written and written.get("min_idle_instances", 0) > written["max_capacity"]:
        raise invalid("min_idle_instances must not be larger than max_capacity")
    tags = written.get("custom_tags", {})
    if not isinstance(tags, dict) or len(tags) > 45:
        raise invalid("custom_tags must be an object of at most 45 tags")


def _users(ws: Workspace) -> Iterable[Cluster]:
    """The clusters that take machines from any pool now."""
    for cluster in [*ws.clusters.values(), *job_clusters.active(ws)]:
        pooled = cluster.spec.get("instance_pool_id") or cluster.spec.get("driver_instance_pool_id")
        if pooled and cluster.state not in ("TERMINATED", "TERMINATING"):
            yield cluster


def _view(pool: Json, users: list[Cluster]) -> Json:
    pool_id = pool["instance_pool_id"]
    used = pending = 0
    for cluster in users:
        spec = cluster.spec
        machines = cluster_config.size_of(spec) if spec.get("instance_pool_id") == pool_id else 0
        machines += (spec.get("driver_instance_pool_id") or spec.get("instance_pool_id")) == pool_id
        if cluster.state in ("PENDING", "RESTARTING"):
            pending += machines
        else:
            used += machines
    idle = int(pool.get("min_idle_instances") or 0)
    if pool.get("max_capacity") is not None:
        idle = max(0, min(idle, int(pool["max_capacity"]) - used - pending))
    shown = {name: value for name, value in pool.items() if name != "creator_user_name"}
    return {
        "min_idle_instances": 0,
        "idle_instance_autotermination_minutes": 60,
        "enable_elastic_disk": True,
        **shown,
        "default_tags": {
            "Vendor": "Databricks",
            "DatabricksInstancePoolCreatorId": str(pool["creator_user_name"]),
            "DatabricksInstancePoolId": pool_id,
        },
        "state": "ACTIVE",
        "stats": {"used_count": used, "idle_count": idle, "pending_used_count": pending, "pending_idle_count": 0},
        "status": {},
    }


def _letters(ws: Workspace) -> str:
    return job_clusters.new_id(ws, ws.now, f"pool {len(ws.shelf('pools'))}").rpartition("-")[2]


ROUTES: Routes = {
    ("GET", "/api/2.0/instance-pools/list"): list_,
    ("GET", "/api/2.0/instance-pools/get"): get,
    ("POST", "/api/2.0/instance-pools/create"): create,
    ("POST", "/api/2.0/instance-pools/edit"): edit,
    ("POST", "/api/2.0/instance-pools/delete"): delete,
}
