"""`/sandbox/*` on the first workspace's port: for the page, the terminal commands and tests. No part of Databricks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.databricks.call import Call
from sandbox.databricks.cluster_config import view
from sandbox.databricks.errors import ApiError, Json
from sandbox.databricks.model import Cluster, Job
from sandbox.databricks.run_state import of_run
from sandbox.databricks.workspace import Workspace

if TYPE_CHECKING:
    from sandbox.databricks.databricks import Databricks


def answer(databricks: Databricks, call: Call) -> Json:
    """Dispatch by method and path; raises ApiError with a plain sentence."""
    where = (call.method, call.path)
    if where == ("GET", "/sandbox/fleet"):
        return fleet(databricks, bool(call.text("raw") not in ("", "0", "false")))
    if where == ("GET", "/sandbox/next"):
        return {"next": iso(databricks.next_plan()), "now": iso(databricks.now())}
    if where == ("GET", "/sandbox/calls"):
        since = call.number("since", 0)
        return {"calls": [entry.as_json() for entry in databricks.calls.since(since)], "next": databricks.calls.next}
    if where == ("GET", "/sandbox/faults"):
        return {"faults": [fault.as_json() for fault in databricks.faults.rules]}
    if where in (("POST", "/sandbox/faults"), ("DELETE", "/sandbox/faults")):
        return set_faults(databricks, call)
    raise ApiError(404, "NOT_FOUND", f"the sandbox has no {call.method} {call.path}")


def set_faults(databricks: Databricks, call: Call) -> Json:
    """One rule, several under `faults`, {"clear": true} or {"clear": NUMBER}."""
    clear = call.body.get("clear")
    rules = call.body.get("faults", [call.body] if "kind" in call.body else [])
    try:
        if call.method == "DELETE" or clear:
            databricks.faults.clear(clear if isinstance(clear, int) and clear is not True else 0)
            if not databricks.faults.rules:
                databricks.lag.clear()
        for rule in rules:
            fields = {name: value for name, value in rule.items() if name != "clear"}
            databricks.faults.add(str(fields.pop("path", "*")), str(fields.pop("kind", "")), **fields)
    except (ValueError, TypeError, AttributeError) as error:
        raise ApiError(400, "BAD_REQUEST", str(error)) from error
    return {"faults": [fault.as_json() for fault in databricks.faults.rules]}


def fleet(databricks: Databricks, raw: bool) -> Json:
    """Every cluster and job, with its runtime and its state."""
    found = [
        {
            "key": ws.key,
            "host": ws.host,
            "targets": [
                *(_cluster(ws, cluster, raw) for cluster in ws.clusters.values()),
                *(_job(ws, job, raw) for job in ws.jobs.values()),
            ],
        }
        for ws in databricks.workspaces.values()
    ]
    return {"now": iso(databricks.now()), "workspaces": found}


def _cluster(ws: Workspace, cluster: Cluster, raw: bool) -> Json:
    entry: Json = {
        "workspace": ws.key,
        "kind": "cluster",
        "id": cluster.cluster_id,
        "name": cluster.name,
        "source": cluster.source,
        "runtime": str(cluster.spec.get("spark_version", "")),
        "state": cluster.state,
        "restarts": ws.restarts_of(cluster.cluster_id),
        "runs": {"active": len(cluster.active), "ok": 0, "failed": 0, "last": None},
    }
    if raw:
        entry["configuration"] = view(cluster, ws.shelf("pools"))
    return entry


def _job(ws: Workspace, job: Job, raw: bool) -> Json:
    running = [run for run in job.active.values() if run.begin]
    if running:
        word = "RUNNING" if ws.now >= running[-1].ready else "PENDING"
    elif job.shape.paused():
        word = "PAUSED"
    else:
        word = "SCHEDULED" if job.due else "IDLE"
    last = None
    if job.runs:
        run = job.runs[-1]
        shown = of_run(run, ws.now)["state"]
        last = {
            "run_id": run.run_id,
            "start": iso(run.start),
            "state": shown["life_cycle_state"],
            "result": shown.get("result_state"),
            "minutes": round((run.end - run.start) / 60_000, 1) if run.closed else None,
        }
    entry: Json = {
        "workspace": ws.key,
        "kind": "job",
        "id": str(job.job_id),
        "name": job.name,
        "runtime": _runtime(ws, job),
        "state": word,
        "next": iso(job.due) if job.due else None,
        "runs": {"active": len(job.active), "ok": job.ok, "failed": job.failed, "last": last},
    }
    if raw:
        entry["configuration"] = {"job_id": job.job_id, "run_as_user_name": job.run_as, "settings": job.settings}
    return entry


def _runtime(ws: Workspace, job: Job) -> str:
    """All runtimes under its tasks, of shared clusters too; `serverless` where it has none of its own."""
    keys = set()
    for task in job.shape.tasks:
        if task.cluster_id:
            cluster = ws.clusters.get(task.cluster_id)
            keys.add(str(cluster.spec.get("spark_version", "")) if cluster else "missing cluster")
        elif task.spark_version:
            keys.add(task.spark_version)
        elif task.serverless and not task.child:
            keys.add("serverless")
    return " + ".join(sorted(keys)) or "none"


def iso(milliseconds: int) -> str | None:
    """An instant as text; None for none."""
    if not milliseconds:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
