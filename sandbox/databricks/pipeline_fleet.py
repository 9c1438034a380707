"""Pipelines that a fleet puts into a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.databricks import cluster_life, pipeline_life, pipelines
from sandbox.databricks.workspace import HAPPENINGS, Workspace

DAY = 86_400_000


def furnish(ws: Workspace, content: Mapping[str, Any], now: int) -> None:
    """`pipelines`: pipeline_id, owner, spec, habit, and `cluster_id` where its cluster is one of the fleet.

    Continuous ones have been running for some days.
    """
    for entry in content.get("pipelines", []):
        pipelines.check(entry["spec"])
        pipeline = {
            "pipeline_id": entry["pipeline_id"],
            "spec": pipelines.complete(entry["spec"]),
            "creator": entry["owner"],
            "run_as": entry.get("run_as") or entry["owner"],
            "last_modified": now - int((10 + 200 * ws.chance("pipeline", entry["pipeline_id"])) * DAY),
            "cluster_id": entry.get("cluster_id", ""),
            "habit": dict(entry.get("habit", {})),
            "updates": [],
        }
        pipeline_life.shelf(ws)[pipeline["pipeline_id"]] = pipeline
        if pipeline["spec"]["continuous"]:
            days = 1 + 5 * ws.chance("began", pipeline["pipeline_id"])
            ws.plan(ws.now + int(days * DAY), "pipeline begin", pipeline["pipeline_id"], 0)


def begin(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """A continuous pipeline was started some days before the doors open."""
    pipeline_life.start(ws, pipeline_life.shelf(ws)[whom], at, "USER_ACTION", {})


def open_(ws: Workspace, now: int) -> None:
    """When the doors open, the clusters under updates that are under way run."""
    for pipeline in pipeline_life.shelf(ws).values():
        cluster = ws.clusters.get(pipeline["cluster_id"])
        if cluster is not None and cluster.state == "TERMINATED" and pipeline_life.active(ws, pipeline):
            cluster.restarted, cluster.terminated = pipeline["updates"][-1]["creation_time"], 0
            cluster_life.run_now(ws, cluster, now)


HAPPENINGS["pipeline begin"] = begin
