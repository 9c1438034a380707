"""Workspaces from a fleet: things are put in place a week ago, the week is played, and then the doors open."""

from __future__ import annotations

import copy
import secrets
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.databricks import (
    acl,
    audit,
    cluster_config,
    cluster_life,
    files,
    governance,
    instance_pools,
    job_settings,
    jobs,
    libraries,
    library_life,
    offered,
    one_off,
    pipeline_fleet,
    policies,
    unity_fleet,
)
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Cluster, Habit
from sandbox.databricks.workspace import Workspace


def _govern(ws: Workspace, content: Mapping[str, Any], now: int) -> None:
    """Who the bot is there, the policies, the pools, and the libraries that are meant for all clusters."""
    restricted = any(
        "permission" in entry for kind in ("clusters", "jobs", "warehouses") for entry in content.get(kind, [])
    )
    ws.admin = bool(content.get("admin", not restricted))
    for entry in content.get("policies", []):
        policies.put_in_place(ws, entry, now)
        acl.grant(ws, "cluster-policies", entry["policy_id"], entry)
    for entry in content.get("pools", []):
        instance_pools.put_in_place(ws, entry)
        acl.grant(ws, "instance-pools", entry["instance_pool_id"], entry)
    for number, library in enumerate(content.get("libraries_for_all_clusters", [])):
        ws.shelf(libraries.EVERYWHERE)[str(number)] = dict(library)


FURNISH: tuple[Callable[[Workspace, Mapping[str, Any], int], None], ...] = (
    _govern,
    offered.furnish,
    audit.furnish,
    unity_fleet.furnish,
    one_off.furnish,
    pipeline_fleet.furnish,
    files.furnish,
)
"""What other API families put into a workspace from the fleet (its content, now), before the clusters and jobs."""

DAY = 86_400_000
HISTORY = 7 * DAY
MINUTE = 60_000


def workspaces(fleet: Mapping[str, Any], now: int) -> list[Workspace]:
    """All workspaces of an expanded fleet (sandbox.fleets.load), with their history up to `now` (ms)."""
    found = []
    for key, content in fleet["workspaces"].items():
        number = 10**14 + zlib.crc32(f"workspace/{key}".encode())
        token = content.get("token") or f"dapi{secrets.token_hex(16)}"
        client_id = content.get("client_id") or _client_id(key)
        ws = Workspace(key, number, int(fleet.get("seed", 1)), token, client_id, f"dose{secrets.token_hex(16)}")
        fill(ws, content, now)
        found.append(ws)
    return found


def fill(ws: Workspace, content: Mapping[str, Any], now: int) -> None:
    """Put the fleet's clusters and jobs into a workspace and play the week before `now`."""
    ws.now = now - HISTORY
    for put in FURNISH:
        put(ws, content, now)
    for entry in content.get("clusters", []):
        _cluster(ws, entry, now)
    ws.plan(ws.now + DAY, "purge", "", 0)
    ws.rehearsing = True
    for entry in content.get("jobs", []):
        age = int((20 + 380 * ws.chance("age", entry["id"])) * DAY)
        habit = Habit(**entry.get("habit", {}))
        owner = entry["owner"]
        settings = _settled(ws, entry["settings"])
        job = jobs.add(ws, entry["id"], settings, owner, entry.get("run_as") or owner, now - age, habit)
        acl.grant(ws, "jobs", str(job.job_id), entry)
    ws.advance(now - 1)
    ws.rehearsing = False
    ws.now = now
    for job in (*ws.jobs.values(), *ws.submitted.values()):
        for run in job.active.values():
            for shared in run.shape.cluster_ids & ws.clusters.keys():
                ws.clusters[shared].active.add(run.run_id)
    for entry in content.get("clusters", []):
        _open(ws, ws.clusters[entry["id"]], entry, now)
    pipeline_fleet.open_(ws, now)


def _cluster(ws: Workspace, entry: Mapping[str, Any], now: int) -> None:
    asked: Json = dict(entry["spec"])
    spec = governance.settled(ws, asked)
    if entry.get("source", "UI") in ("UI", "API"):
        cluster_config.check(spec, entry["owner"])
    made = now - int(entry.get("age_days", 60)) * DAY
    cluster = Cluster(entry["id"], spec, entry["owner"], made, entry.get("source", "UI"))
    cluster.asked = None if spec == asked else asked
    cluster.pinned, cluster.office = bool(entry.get("pinned")), bool(entry.get("office"))
    cluster.resizes, cluster.restarts_late = int(entry.get("resizes", 0)), int(entry.get("restarts_late", 0))
    cluster.restarted = now - int((2 + 60 * ws.chance(cluster.cluster_id, "up")) * 60 * MINUTE)
    ws.clusters[cluster.cluster_id] = cluster
    acl.grant(ws, "clusters", cluster.cluster_id, entry)
    for library in entry.get("libraries", []):
        library_life.add(ws, cluster, library, ws.now)


def _settled(ws: Workspace, settings: Json) -> Json:
    """The settings of a job with what its policies filled in when it was made; nothing is refused."""
    if not any(cluster.get("policy_id") for cluster in job_settings.new_clusters(settings)):
        return settings
    result = copy.deepcopy(settings)
    for cluster in job_settings.new_clusters(result):
        spec = dict(governance.settled(ws, cluster))
        cluster.clear()
        cluster.update(spec)
    return result


def _open(ws: Workspace, cluster: Cluster, entry: Mapping[str, Any], now: int) -> None:
    """Give it its first state and a past in its events."""
    state = entry.get("state", "TERMINATED")
    cluster_life.note(ws, cluster, "CREATING", cluster.created, {"user": cluster.creator})
    since = cluster.restarted
    cluster_life.note(ws, cluster, "STARTING", since - 4 * MINUTE, {"user": cluster.creator})
    cluster_life.note(ws, cluster, "RUNNING", since, {"attributes": cluster_life.attributes(cluster)})
    if state == "RUNNING" or cluster.active:
        cluster.last_used = now - int(ws.chance(cluster.cluster_id, "used") * 10 * MINUTE)
        cluster_life.run_now(ws, cluster, now)
        library_life.begin(ws, cluster, since)
        cluster.running_since = since
    elif state == "TERMINATED":
        library_life.begin(ws, cluster, since)
        library_life.stop(ws, cluster, now)
        since = max(since, now - 29 * DAY)
        cluster.reason = {"code": "INACTIVITY", "type": "SUCCESS", "parameters": {"inactivity_duration_min": "60"}}
        cluster.terminated = since + int((now - since) * (0.2 + 0.7 * ws.chance(cluster.cluster_id, "down")))
        cluster_life.note(ws, cluster, "TERMINATING", cluster.terminated - MINUTE, {"reason": cluster.reason})
        cluster_life.enter(ws, cluster, "TERMINATED", cluster.terminated, 0, "Inactive cluster terminated")
    else:
        cluster_life.enter(ws, cluster, state, now, 3 * MINUTE, state.capitalize())
    if cluster.office:
        cluster_life.expect_morning(ws, cluster, now)


def _client_id(key: str) -> str:
    digest = f"{zlib.crc32(f'client/{key}'.encode()):08x}"
    return f"{digest}-5a4d-4b0c-9e0f-{digest}{digest[:4]}"
