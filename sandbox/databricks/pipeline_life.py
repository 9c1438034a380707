"""The life of pipelines on the calendar: updates that start, run and end, and the clusters under them.

What is kept of an update is its instants; its state follows from them and from now.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.databricks import cluster_life, job_clusters, outcome, run_life
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Cluster, draw
from sandbox.databricks.workspace import HAPPENINGS, Workspace

SECOND = 1000
MINUTE = 60 * SECOND
NEVER = 1 << 53
KEPT = 200
"""Updates that are remembered of one pipeline."""
VERSIONS = {
    "CURRENT": "dlt:17.3.4-delta-pipelines-dlt-release-2026.44-rc0-commit-5c1f2ab-image-8e1d4f0",
    "PREVIEW": "dlt:18.1.0-delta-pipelines-dlt-release-2026.46-rc2-commit-91ad0be-image-2c77e13",
}
"""What the clusters of each channel show as their runtime."""
STATES = {
    "CREATED": "STARTING",
    "WAITING_FOR_RESOURCES": "STARTING",
    "INITIALIZING": "STARTING",
    "RESETTING": "RESETTING",
}
"""The state of a pipeline by that of its update, where it is not the same or RUNNING."""


def shelf(ws: Workspace) -> dict[str, Json]:
    """The pipelines of a workspace by their ids."""
    return ws.shelf("pipelines")


def active(ws: Workspace, pipeline: Json) -> Json | None:
    """The update that is under way."""
    follow(ws, pipeline)
    last: Json | None = pipeline["updates"][-1] if pipeline["updates"] else None
    return last if last and last["end"] > ws.now else None


def state_of(ws: Workspace, update: Json) -> str:
    """The state of an update now."""
    if update["end"] <= ws.now:
        return str(update["outcome"])
    if update["stopping"]:
        return "STOPPING"
    since = ws.now - update["creation_time"]
    if since < 5 * SECOND:
        return "CREATED"
    if ws.now < update["ready"]:
        return "WAITING_FOR_RESOURCES"
    since = ws.now - update["ready"]
    steps = ["INITIALIZING", *(["RESETTING"] if update["full_refresh"] else []), "SETTING_UP_TABLES"]
    return steps[since // (20 * SECOND)] if since < 20 * SECOND * len(steps) else "RUNNING"


def state(ws: Workspace, pipeline: Json) -> str:
    """The state of a pipeline now."""
    running = active(ws, pipeline)
    if running is None:
        failed = pipeline["updates"] and pipeline["updates"][-1]["outcome"] == "FAILED"
        return "FAILED" if failed and pipeline["spec"].get("continuous") else "IDLE"
    word = state_of(ws, running)
    return STATES.get(word, "STOPPING" if word == "STOPPING" else "RUNNING")


def start(ws: Workspace, pipeline: Json, at: int, cause: str, chosen: Json, lasts: int = 0) -> Json:
    """A new update (`lasts` ms, or as long as is usual here), on the cluster of the pipeline."""
    luck = draw(ws.seed, ws.key, pipeline["pipeline_id"], at)
    habit, spec = pipeline["habit"], pipeline["spec"]
    cluster = None if spec.get("serverless") else _cluster(ws, pipeline, at)
    ready = at + 15 * SECOND
    if cluster is not None and not ws.rehearsing:
        if cluster.state == "TERMINATED":
            cluster_life.start(ws, cluster, at, "pipelines", cause="PIPELINE")
        ready = max(ready, cluster.until)
    minutes = float(habit.get("minutes", 10)) * luck.lognormvariate(0.0, float(habit.get("spread", 0.2)))
    failed = luck.random() < float(habit.get("failure", 0.01))
    end = at + lasts if lasts else ready + MINUTE + int(minutes * MINUTE * (luck.random() if failed else 1))
    if spec.get("continuous") and not lasts and not failed and not chosen.get("validate_only"):
        end = NEVER
    update: Json = {
        "update_id": _uuid(ws, pipeline["pipeline_id"], at),
        "creation_time": at,
        "ready": ready,
        "end": end,
        "outcome": "FAILED" if failed and not lasts else "COMPLETED",
        "stopping": 0,
        "cause": cause,
        "full_refresh": False,
        "mode": "CONTINUOUS" if spec.get("continuous") else "DEFAULT",
        "config": spec,
        **chosen,
    }
    if cluster is not None:
        update["cluster_id"] = cluster.cluster_id
    pipeline["updates"].append(update)
    del pipeline["updates"][:-KEPT]
    if end < NEVER:
        ws.plan(end, "pipeline end", pipeline["pipeline_id"], 0)
    ws.changes += 1
    return update


def stop(ws: Workspace, pipeline: Json, at: int) -> None:
    """Cancel the update under way."""
    running = active(ws, pipeline)
    if running is None or running["stopping"]:
        return
    running.update(stopping=at, outcome="CANCELED", end=min(running["end"], at + 20 * SECOND))
    ws.plan(running["end"], "pipeline end", pipeline["pipeline_id"], 0)
    ws.changes += 1


def follow(ws: Workspace, pipeline: Json) -> None:
    """An update that a job asked for ends with the task that asked, however that ends."""
    last = pipeline["updates"][-1] if pipeline["updates"] else None
    if not last or "run" not in last:
        return
    run_id, position = last["run"]
    run = ws.runs.get(run_id)
    if run is None or run.attempts is None or position >= len(run.attempts):
        return
    attempt = run.attempts[position]
    if attempt.end < last["end"]:
        last["end"] = attempt.end
        ws.plan(max(attempt.end, ws.now), "pipeline end", pipeline["pipeline_id"], 0)
    outcomes = {"SUCCESS": "COMPLETED", "USER_CANCELED": "CANCELED", "TIMEDOUT": "CANCELED"}
    last["outcome"] = outcomes.get(attempt.code, "FAILED")


def end(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """The planned end of an update: its cluster goes, unless the next one is on it already."""
    pipeline = shelf(ws).get(whom)
    if pipeline is None or active(ws, pipeline):
        return
    cluster = ws.clusters.get(pipeline["cluster_id"])
    if cluster is not None and cluster.state in ("RUNNING", "PENDING") and not ws.rehearsing:
        cluster_life.terminate(ws, cluster, at, "JOB_FINISHED")


def asked_by_task(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """A pipeline task of a run begins: it starts an update, or fails where that is not possible."""
    run_id, _, position = whom.partition("/")
    run = ws.runs.get(int(run_id))
    if run is None or run.closed or run.cancelled:
        return
    attempt = outcome.attempts(run)[int(position)]
    if attempt.end <= at:
        return
    wanted = run.shape_of(attempt).tasks[attempt.task].pipeline
    pipeline = shelf(ws).get(wanted)
    running = active(ws, pipeline) if pipeline else None
    if pipeline is None:
        message = f"The specified pipeline {wanted} was not found."
        run_life.fail(ws, run, at, {attempt.task}, "RESOURCE_NOT_FOUND", message)
    elif running is not None:
        message = f"An active update {running['update_id']} already exists."
        run_life.fail(ws, run, at, {attempt.task}, "RUN_EXECUTION_ERROR", message)
    else:
        raw = run.shape_of(attempt).settings["tasks"][attempt.task]["pipeline_task"]
        chosen: Json = {"full_refresh": bool(raw.get("full_refresh")), "run": [run.run_id, int(position)]}
        run.attempts = outcome.attempts(run)
        start(ws, pipeline, at, "JOB_TASK", chosen, attempt.end - at)


def _cluster(ws: Workspace, pipeline: Json, at: int) -> Cluster:
    """The cluster under a pipeline, by its present specification; it has no runtime that could be chosen."""
    spec = pipeline["spec"]
    first: Json = next((c for c in spec.get("clusters") or [] if c.get("label") in (None, "default")), {})
    given = {name: value for name, value in first.items() if name != "label"}
    if "autoscale" not in given:
        given.setdefault("num_workers", 1)
    if "instance_pool_id" not in given:
        given.setdefault("node_type_id", "i3.xlarge")
    given["spark_version"] = VERSIONS[spec.get("channel") or "CURRENT"]
    given["cluster_name"] = f"dlt-execution-{pipeline['pipeline_id']}"
    given["custom_tags"] = {**(given.get("custom_tags") or {}), "PipelineId": pipeline["pipeline_id"]}
    cluster = ws.clusters.get(pipeline["cluster_id"])
    if cluster is None:
        pipeline["cluster_id"] = job_clusters.new_id(ws, at, pipeline["pipeline_id"])
        cluster = Cluster(pipeline["cluster_id"], given, pipeline["creator"], at, "PIPELINE")
        ws.clusters[cluster.cluster_id] = cluster
        cluster.terminated = at
        cluster_life.note(ws, cluster, "CREATING", at, {"user": pipeline["creator"]})
    elif cluster.state == "TERMINATED":
        cluster.spec = {**given, "cluster_name": cluster.name}
    return cluster


def iso(at: int) -> str:
    """An instant as pipelines write it."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _uuid(ws: Workspace, *parts: object) -> str:
    digits = f"{draw(ws.seed, ws.key, 'update', *parts).getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


HAPPENINGS["pipeline task"] = asked_by_task
HAPPENINGS["pipeline end"] = end
