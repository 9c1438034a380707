"""API families `/api/2.0/policies/{clusters,jobs}/*-compliance`: does what a policy governs still obey it, and make it.

Enforcement puts the fixed and default values of the policy in the place of what it refuses; a rule that has neither
cannot be enforced, and the request is refused as an edit would be.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from sandbox.databricks import cluster_config, cluster_life, governance, job_settings, jobs, policy_rules
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import Json, denied, invalid, wrong_state
from sandbox.databricks.model import Cluster, Job
from sandbox.databricks.paging import page, whole
from sandbox.databricks.workspace import Workspace

MOST = 200
"""How many violations are told."""
MODES = ("ENFORCE_IMMEDIATELY", "WAIT_FOR_TERMINATION")


def cluster_compliance(ws: Workspace, call: Call) -> Json:
    """GET clusters/get-compliance."""
    return _of_cluster(ws, ws.cluster(call.text("cluster_id") or None))


def clusters_compliance(ws: Workspace, call: Call) -> Json:
    """GET clusters/list-compliance: all clusters of a policy, not those that jobs and pipelines make."""
    policy_id = _listed_policy(ws, call)
    found = [
        cluster
        for cluster in ws.clusters.values()
        if cluster.spec.get("policy_id") == policy_id and cluster.source not in cluster_config.SOURCES_NOT_EDITABLE
    ]
    size = whole(call.number("page_size", 20), 1, 100, "page_size", clamp=True)
    part, tokens = page(found, size, call.text("page_token"))
    return {"clusters": [{"cluster_id": c.cluster_id, **_of_cluster(ws, c)} for c in part], **tokens}


def enforce_cluster(ws: Workspace, call: Call) -> Json:
    """POST clusters/enforce-compliance: now, at the next end or restart, or (validate_only) not at all."""
    cluster = ws.cluster(call.body.get("cluster_id"))
    if cluster.source in cluster_config.SOURCES_NOT_EDITABLE:
        maker = cluster_config.SOURCES_NOT_EDITABLE[cluster.source]
        raise invalid(f"Cannot enforce policy compliance on cluster {cluster.cluster_id} created by {maker}")
    if ws.may(f"clusters/{cluster.cluster_id}") != "CAN_MANAGE":
        raise denied(f"{ws.client_id} does not have Manage permissions on cluster {cluster.cluster_id}")
    mode = call.body.get("enforce_mode") or MODES[0]
    if mode not in MODES:
        raise invalid(f"Invalid value for enforce_mode: {mode}")
    if mode == "WAIT_FOR_TERMINATION" and not ws.admin:
        raise denied(f"Only administrators can use {mode}: {ws.client_id} is not one.")
    spec = _repaired(ws, cluster.spec, "all-purpose")
    changes = policy_rules.changes(cluster.spec, spec)
    answer: Json = {"has_changes": bool(changes), "changes": changes}
    if call.body.get("validate_only"):
        return answer
    if not changes:
        return {**answer, "enforce_result": "NO_CHANGES"}
    asked = None if cluster.asked is None else _repaired(ws, cluster.asked, "all-purpose")
    if mode == "WAIT_FOR_TERMINATION" and cluster.state != "TERMINATED":
        _defer(ws, cluster, spec, asked, changes)
        return {**answer, "enforce_result": "DEFERRED"}
    if cluster.state not in ("RUNNING", "TERMINATED"):
        raise wrong_state(
            f"Cluster {cluster.cluster_id} is in state {cluster.state}: it must be RUNNING or TERMINATED for the "
            "enforcement of its policy."
        )
    cluster_config.check(spec, ws.client_id)
    cluster_life.edit(ws, cluster, spec, asked, ws.now, ws.client_id)
    return {**answer, "enforce_result": "APPLIED"}


def cancel_pending(ws: Workspace, call: Call) -> Json:
    """POST clusters:cancelPendingClusterEnforcement: for administrators, and not while the cluster is terminating."""
    cluster = ws.cluster(call.body.get("cluster_id"))
    if not ws.admin:
        raise denied(f"Only administrators can cancel pending enforcements: {ws.client_id} is not one.")
    if cluster.pending is None:
        if call.body.get("allow_missing"):
            return {}
        raise invalid(f"There is no pending enforcement for cluster {cluster.cluster_id}")
    if cluster.state == "TERMINATING":
        raise wrong_state(f"Cluster {cluster.cluster_id} is in state TERMINATING: its enforcement cannot be canceled.")
    cluster.pending = None
    ws.changes += 1
    return {}


def job_compliance(ws: Workspace, call: Call) -> Json:
    """GET jobs/get-compliance."""
    return _of_job(ws, ws.job(call.number("job_id")))


def jobs_compliance(ws: Workspace, call: Call) -> Json:
    """GET jobs/list-compliance: all jobs of which at least one own cluster names the policy."""
    policy_id = _listed_policy(ws, call)
    found = [
        job
        for job in ws.jobs.values()
        if any(cluster.get("policy_id") == policy_id for cluster in job_settings.new_clusters(job.settings))
    ]
    size = whole(call.number("page_size", 20), 1, 100, "page_size", clamp=True)
    part, tokens = page(found, size, call.text("page_token"))
    return {"jobs": [{"job_id": job.job_id, **_of_job(ws, job)} for job in part], **tokens}


def enforce_job(ws: Workspace, call: Call) -> Json:
    """POST jobs/enforce-compliance: the job's own clusters, for its next runs; shared clusters are not touched."""
    job = jobs.writable(ws, call)
    settings = copy.deepcopy(job.settings)
    changes: list[Json] = []
    for key, cluster in job_settings.named_clusters(settings):
        if not cluster.get("policy_id"):
            continue
        spec = _repaired(ws, cluster, "job")
        found = policy_rules.changes(cluster, spec)
        changes += [{**change, "field": f"{key}.{change['field']}"} for change in found]
        cluster.clear()
        cluster.update(spec)
    if changes and not call.body.get("validate_only"):
        jobs.settle(ws, job, settings, job.run_as)
    return {"has_changes": bool(changes), "job_cluster_changes": changes, "settings": settings}


def _of_cluster(ws: Workspace, cluster: Cluster) -> Json:
    found = _violations(ws, cluster.spec, "all-purpose")
    answer: Json = {"is_compliant": not found}
    if found:
        answer["violations"] = dict(list(found.items())[:MOST])
    if cluster.pending is not None:
        answer["pending_enforcement"] = cluster.pending["shown"]
    return answer


def _of_job(ws: Workspace, job: Job) -> Json:
    found = {
        f"{key}.{path}": message
        for key, cluster in job_settings.named_clusters(job.settings)
        for path, message in _violations(ws, cluster, "job").items()
    }
    return {"is_compliant": False, "violations": dict(list(found.items())[:MOST])} if found else {"is_compliant": True}


def _violations(ws: Workspace, spec: Json, kind: str) -> dict[str, str]:
    if not spec.get("policy_id"):
        return {}
    return policy_rules.violations(spec, governance.rules_of(ws, spec["policy_id"]), kind)


def _repaired(ws: Workspace, spec: Json, kind: str) -> Json:
    if not spec.get("policy_id"):
        raise invalid("The cluster has no policy that could be enforced")
    rules = governance.rules_of(ws, spec["policy_id"])
    result = policy_rules.repaired(spec, rules, kind)
    left = policy_rules.violations(result, rules, kind)
    if left:
        raise invalid(f"Cluster validation error: {'; '.join(left.values())}")
    return result


def _defer(ws: Workspace, cluster: Cluster, spec: Json, asked: Json | None, changes: list[Json]) -> None:
    shown: Json = {
        "enforcement_status": "ACTIVE",
        "initiate_time": datetime.fromtimestamp(ws.now / 1000, UTC).isoformat().replace("+00:00", "Z"),
        "initiator_user": ws.client_id,
        "target_changes": changes,
        "target_spec": spec,
    }
    cluster.pending = {"shown": shown, "spec": spec, "asked": asked}
    cluster_life.note(ws, cluster, "DEFERRED_POLICY_ENFORCEMENT_SCHEDULED", ws.now, {"user": ws.client_id})


def _listed_policy(ws: Workspace, call: Call) -> str:
    policy_id = call.text("policy_id")
    if not policy_id:
        raise invalid("Missing required field: policy_id")
    governance.rules_of(ws, policy_id)
    return policy_id


ROUTES: Routes = {
    ("GET", "/api/2.0/policies/clusters/get-compliance"): cluster_compliance,
    ("GET", "/api/2.0/policies/clusters/list-compliance"): clusters_compliance,
    ("POST", "/api/2.0/policies/clusters/enforce-compliance"): enforce_cluster,
    ("POST", "/api/2.0/policies/clusters:cancelPendingClusterEnforcement"): cancel_pending,
    ("GET", "/api/2.0/policies/jobs/get-compliance"): job_compliance,
    ("GET", "/api/2.0/policies/jobs/list-compliance"): jobs_compliance,
    ("POST", "/api/2.0/policies/jobs/enforce-compliance"): enforce_job,
}
