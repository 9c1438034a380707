"""System tables, made from what the workspace knows when a statement asks for them. They are late, as the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sandbox.databricks import audit, job_clusters
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Run, draw

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

Rows = Sequence[Sequence[Any]]

MINUTE, HOUR = 60_000, 3_600_000
TIMELINE_LATE = 15 * MINUTE
BILLING_LATE = 12 * HOUR
ACCOUNT = "0d26daa6-5e44-4c97-a497-ef015f91254a"
RESULTS = {
    "SUCCESS": "SUCCEEDED",
    "USER_CANCELED": "CANCELLED",
    "TIMEDOUT": "TIMED_OUT",
    "MAX_CONCURRENT_RUNS_EXCEEDED": "SKIPPED",
}
"""result_state by the code of a run; all others are FAILED."""
TRIGGERS = {"PERIODIC": "CRON", "ONE_TIME": "ONETIME", "CONTINUOUS": "CONTINUOUS", "FILE_ARRIVAL": "FILE_ARRIVAL"}
DBU_PER_CORE_HOUR = 0.15
CORRECTED = 0.06
"""Share of the hours whose usage is taken back and stated anew."""


def asked(ws: Workspace, text: str, now: int) -> dict[str, tuple[Mapping[str, str], Rows]]:
    """The system tables that a statement names: columns with their types, and rows."""
    said = text.lower().replace("`", "")
    return {
        name: (columns, make(ws, now)) for name, (columns, make) in TABLES.items() if name in said and there(ws, name)
    }


def there(ws: Workspace, name: str) -> bool:
    """Whether a system table is there for the bot to read."""
    return name in TABLES and (name != "system.access.audit" or audit.enabled(ws))


def described(ws: Workspace, name: str) -> Json:
    """A system table as the catalog shows it."""
    catalog, schema, table = name.split(".")
    columns = [
        {"name": column, "position": place, "type_text": kind, "type_name": kind.upper(), "nullable": True}
        for place, (column, kind) in enumerate(TABLES[name][0].items())
    ]
    return {
        "name": table,
        "catalog_name": catalog,
        "schema_name": schema,
        "full_name": name,
        "table_type": "MANAGED",
        "columns": columns,
        "owner": "System user",
    }


def changes(ws: Workspace, now: int) -> Rows:
    """Who changed jobs and clusters, and with which tool."""
    return [
        [
            ACCOUNT,
            str(ws.number),
            "2.0",
            entry["at"],
            entry["at"],
            "10.0.0.7",
            entry["user_agent"],
            entry["by"],
            entry["service"],
            entry["action"],
            entry["id"] if entry["service"] == "jobs" else None,
            entry["id"] if entry["service"] == "clusters" else None,
            entry["status"],
            "WORKSPACE_LEVEL",
            event_id,
        ]
        for event_id, entry in audit.rows(ws)
        if entry["at"] <= now - TIMELINE_LATE
    ]


def timeline(ws: Workspace, now: int) -> Rows:
    """One row per run and hour of it; the result stands in the last one only."""
    found = []
    for run in ws.log:
        if run.run_id not in ws.runs or not run.begin:
            continue
        job, kind = ws.owner(run), "SUBMIT_RUN" if run.job_id in ws.submitted else "JOB_RUN"
        for start, end, last in slices(run, now - TIMELINE_LATE):
            clusters = [job_clusters.id_of(run, run.leg, place) for place in range(len(job_clusters.specs(run.shape)))]
            found.append(
                [
                    ACCOUNT,
                    str(ws.number),
                    str(run.job_id),
                    str(run.run_id),
                    start,
                    end,
                    TRIGGERS.get(run.trigger, run.trigger),
                    kind,
                    job.name if job else None,
                    ",".join(clusters) or None,
                    RESULTS.get(run.code, "FAILED") if last else None,
                    run.code if last else None,
                ]
            )
    return found


def slices(run: Run, until: int) -> list[tuple[int, int, bool]]:
    """The hours of a run that are over by an instant: from, to, and whether it is the last one."""
    found = []
    start = run.start
    while start < min(run.end, until):
        end = min(run.end, (start // HOUR + 1) * HOUR)
        if end <= until:
            found.append((start, end, run.closed and end == run.end))
        start = end
    if run.start == run.end <= until:
        found.append((run.start, run.end, True))
    return found


def usage(ws: Workspace, now: int) -> Rows:
    """DBUs of the clusters that runs brought along, per run and hour; some are corrected later."""
    found: list[list[Any]] = []
    for run in ws.log:
        specs = job_clusters.specs(run.shape)
        if run.run_id not in ws.runs or not run.begin or not specs:
            continue
        for start, end, _ in slices(run, now - BILLING_LATE):
            for place, (_, spec) in enumerate(specs):
                luck = draw(ws.seed, ws.key, run.run_id, start, place)
                workers = spec.get("num_workers", (spec.get("autoscale") or {}).get("min_workers", 1))
                quantity = round((end - start) / HOUR * (1 + int(workers or 0)) * 4 * DBU_PER_CORE_HOUR, 6)
                row = _usage(ws, run, job_clusters.id_of(run, run.leg, place), start, end, quantity)
                found.append([f"{run.run_id}-{start}-{place}", "ORIGINAL", *row])
                if luck.random() < CORRECTED:
                    taken = _usage(ws, run, job_clusters.id_of(run, run.leg, place), start, end, -quantity)
                    again = _usage(
                        ws, run, job_clusters.id_of(run, run.leg, place), start, end, round(quantity * 0.9, 6)
                    )
                    found.append([f"{run.run_id}-{start}-{place}-r", "RETRACTION", *taken])
                    found.append([f"{run.run_id}-{start}-{place}-s", "RESTATEMENT", *again])
    return found


def _usage(ws: Workspace, run: Run, cluster_id: str, start: int, end: int, quantity: float) -> list[Any]:
    return [
        ACCOUNT,
        str(ws.number),
        "PREMIUM_JOBS_COMPUTE",
        "AWS",
        start,
        end,
        start,
        "DBU",
        quantity,
        "JOBS",
        cluster_id,
        str(run.job_id),
        str(run.run_id),
    ]


def jobs(ws: Workspace, now: int) -> Rows:
    """The jobs as they are: of older settings the workspace knows nothing."""
    return [
        [ACCOUNT, str(ws.number), str(job.job_id), job.name, job.creator, job.run_as, job.created, None]
        for job in ws.jobs.values()
    ]


def clusters(ws: Workspace, now: int) -> Rows:
    """All-purpose clusters as they are, and those of runs: of older settings the workspace knows nothing."""
    found = []
    for cluster in ws.clusters.values():
        edits = [event["timestamp"] for event in cluster.events if event["type"] == "EDITED"]
        changed = max([cluster.created, *edits])
        found.append(
            _cluster(ws, cluster.cluster_id, cluster.name, cluster.creator, cluster.source, cluster.spec, changed)
        )
    for run in ws.log:
        if run.run_id in ws.runs and run.begin:
            for place, (key, spec) in enumerate(job_clusters.specs(run.shape)):
                name = f"job-{run.job_id}-run-{run.run_id}-{key}"
                row = _cluster(ws, job_clusters.id_of(run, run.leg, place), name, "", "JOB", spec, run.begin)
                found.append([*row[:-1], run.end if run.closed else None])
    return found


def _cluster(ws: Workspace, name: str, title: str, owner: str, source: str, spec: Json, at: int) -> list[Any]:
    node, workers = spec.get("node_type_id"), spec.get("num_workers")
    return [
        ACCOUNT,
        str(ws.number),
        name,
        title,
        owner or None,
        node,
        workers,
        source,
        spec.get("spark_version"),
        spec.get("policy_id"),
        at,
        None,
    ]


_PLACE = {"account_id": "string", "workspace_id": "string"}
TABLES: dict[str, tuple[Mapping[str, str], Callable[[Workspace, int], Rows]]] = {
    "system.lakeflow.job_run_timeline": (
        {
            **_PLACE,
            "job_id": "string",
            "run_id": "string",
            "period_start_time": "timestamp",
            "period_end_time": "timestamp",
            "trigger_type": "string",
            "run_type": "string",
            "run_name": "string",
            "compute_ids": "array",
            "result_state": "string",
            "termination_code": "string",
        },
        timeline,
    ),
    "system.access.audit": (
        {
            **_PLACE,
            "version": "string",
            "event_time": "timestamp",
            "event_date": "date",
            "source_ip_address": "string",
            "user_agent": "string",
            "user_identity.email": "string",
            "service_name": "string",
            "action_name": "string",
            "request_params.job_id": "string",
            "request_params.cluster_id": "string",
            "response.status_code": "long",
            "audit_level": "string",
            "event_id": "string",
        },
        changes,
    ),
    "system.billing.usage": (
        {
            "record_id": "string",
            "record_type": "string",
            **_PLACE,
            "sku_name": "string",
            "cloud": "string",
            "usage_start_time": "timestamp",
            "usage_end_time": "timestamp",
            "usage_date": "date",
            "usage_unit": "string",
            "usage_quantity": "double",
            "billing_origin_product": "string",
            "usage_metadata.cluster_id": "string",
            "usage_metadata.job_id": "string",
            "usage_metadata.job_run_id": "string",
        },
        usage,
    ),
    "system.lakeflow.jobs": (
        {
            **_PLACE,
            "job_id": "string",
            "name": "string",
            "creator_id": "string",
            "run_as": "string",
            "change_time": "timestamp",
            "delete_time": "timestamp",
        },
        jobs,
    ),
    "system.compute.clusters": (
        {
            **_PLACE,
            "cluster_id": "string",
            "cluster_name": "string",
            "owned_by": "string",
            "worker_node_type": "string",
            "worker_count": "long",
            "cluster_source": "string",
            "dbr_version": "string",
            "policy_id": "string",
            "change_time": "timestamp",
            "delete_time": "timestamp",
        },
        clusters,
    ),
}
