"""Compliance with policies: what is told of clusters and jobs, and what enforcement changes, now or later."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, InvalidState, NotFound, PermissionDenied
from databricks.sdk.service import compute

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.fleets import short_form
from tests.sandbox.databricks.governed import FLEET, NEW, OLD, ById, JobById, ask, send, settings, shown

Mode = compute.EnforcePolicyComplianceForClusterEnforceMode
Result = compute.EnforcePolicyComplianceForClusterResponseEnforceResult
TOLD = (
    "Validation failed for spark_version, the value must be one of [13.3.x-scala2.12, 17.3.x-scala2.13] "
    '(is "15.4.x-scala2.12")'
)
CHANGE = {"field": "spark_version", "previous_value": "15.4.x-scala2.12", "new_value": NEW}


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running(FLEET) as found:
        yield found


@pytest.fixture
def limited(databricks: Databricks) -> WorkspaceClient:
    ws = databricks.workspaces["limited"]
    return WorkspaceClient(host=ws.host, token=ws.token)


def enforce(w: WorkspaceClient, cluster_id: str, **more: Any) -> Any:
    return send(w, "/api/2.0/policies/clusters/enforce-compliance", cluster_id=cluster_id, **more)


@pytest.mark.conforms("compliance-is-told")
def test_compliance_of_a_cluster_and_of_a_job_names_path_and_reason(
    w: WorkspaceClient, cluster: ById, job: JobById
) -> None:
    found = w.policy_compliance_for_clusters.get_compliance(cluster("astray"))
    assert (found.is_compliant, found.violations) == (False, {"spark_version": TOLD})
    good = w.policy_compliance_for_clusters.get_compliance(cluster("both"))
    assert (good.is_compliant, good.violations) == (True, None)
    assert w.policy_compliance_for_clusters.get_compliance(cluster("free")).is_compliant is True
    of_job = w.policy_compliance_for_jobs.get_compliance(job("astray"))
    assert (of_job.is_compliant, of_job.violations) == (False, {"main.spark_version": TOLD})
    assert w.policy_compliance_for_jobs.get_compliance(job("silent")).is_compliant is True


@pytest.mark.conforms("compliance-lists-by-policy")
def test_compliance_is_listed_by_policy_page_by_page_without_clusters_of_pipelines(
    w: WorkspaceClient, cluster: ById, job: JobById
) -> None:
    found = {
        c.cluster_id: c.is_compliant for c in w.policy_compliance_for_clusters.list_compliance("BOTH", page_size=1)
    }
    astray = dict.fromkeys(map(cluster, ("astray", "astray-running", "astray-growing")), False)
    assert found == {cluster("both"): True, **astray}
    assert [j.job_id for j in w.policy_compliance_for_jobs.list_compliance("BOTH")] == [job("astray")]
    for listing in (w.policy_compliance_for_clusters.list_compliance, w.policy_compliance_for_jobs.list_compliance):
        with pytest.raises(NotFound):
            list(listing("NONE"))


@pytest.mark.conforms("compliance-preview-changes-nothing")
def test_a_preview_tells_the_changes_and_makes_none(w: WorkspaceClient, cluster: ById, job: JobById) -> None:
    before = shown(w, cluster("astray-running"))
    assert enforce(w, cluster("astray-running"), validate_only=True) == {"has_changes": True, "changes": [CHANGE]}
    assert shown(w, cluster("astray-running")) == before
    preview = enforce(w, cluster("astray-growing"), validate_only=True)
    assert preview["has_changes"] is True
    stored = settings(w, job("astray"))
    found = w.policy_compliance_for_jobs.enforce_compliance(job("astray"), validate_only=True)
    assert found.job_cluster_changes is not None
    assert [c.as_dict() for c in found.job_cluster_changes] == [{**CHANGE, "field": "main.spark_version"}]
    assert found.settings is not None
    assert found.settings.job_clusters is not None
    assert found.settings.job_clusters[0].new_cluster is not None
    assert found.settings.job_clusters[0].new_cluster.spark_version == NEW
    assert settings(w, job("astray")) == stored


@pytest.mark.conforms("compliance-enforced-at-once")
def test_enforcement_edits_a_terminated_cluster_restarts_a_running_one_and_refuses_all_others(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    done = w.policy_compliance_for_clusters.enforce_compliance(cluster("astray"))
    assert (done.enforce_result, done.has_changes) == (Result.APPLIED, True)
    assert (shown(w, cluster("astray"))["state"], shown(w, cluster("astray"))["spark_version"]) == ("TERMINATED", NEW)
    enforce(w, cluster("astray-running"))
    found = shown(w, cluster("astray-running"))
    assert (found["state"], found["spark_version"]) == ("RESTARTING", NEW)
    with pytest.raises(InvalidState, match="RESTARTING"):
        send(w, "/api/2.1/clusters/edit", **{**found["spec"], "cluster_id": cluster("astray-running")})
    with pytest.raises(InvalidState, match="RESIZING"):
        enforce(w, cluster("astray-growing"), enforce_mode="ENFORCE_IMMEDIATELY")
    again = w.policy_compliance_for_clusters.enforce_compliance(cluster("astray"))
    assert (again.enforce_result, again.has_changes, again.changes) == (Result.NO_CHANGES, False, [])
    databricks.step(900)
    assert shown(w, cluster("astray-running"))["state"] == "RUNNING"


@pytest.mark.conforms("compliance-enforced-at-the-end")
@pytest.mark.parametrize("end", ["delete", "restart"])
def test_a_deferred_enforcement_waits_for_the_end_or_a_restart(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, end: str
) -> None:
    target = cluster("astray-running")
    done = w.policy_compliance_for_clusters.enforce_compliance(target, enforce_mode=Mode.WAIT_FOR_TERMINATION)
    assert done.enforce_result == Result.DEFERRED
    pending = w.policy_compliance_for_clusters.get_compliance(target).pending_enforcement
    assert pending is not None
    assert pending.target_changes is not None
    assert [c.as_dict() for c in pending.target_changes] == [CHANGE]
    assert pending.initiator_user == w.current_user.me().user_name
    databricks.step(3600)
    assert shown(w, target)["spark_version"] == "15.4.x-scala2.12"
    kinds = [e.type for e in w.clusters.events(target)]
    assert compute.EventType.DEFERRED_POLICY_ENFORCEMENT_SCHEDULED in kinds
    if end == "delete":
        w.clusters.delete(target)
        with pytest.raises(InvalidState):
            w.policy_compliance_for_clusters.cancel_pending_cluster_enforcement(target)
    else:
        w.clusters.restart(target)
    databricks.step(900)
    assert shown(w, target)["spark_version"] == NEW
    assert w.policy_compliance_for_clusters.get_compliance(target).pending_enforcement is None


@pytest.mark.conforms("compliance-enforced-at-the-end")
def test_a_deferred_enforcement_can_be_cancelled(w: WorkspaceClient, databricks: Databricks, cluster: ById) -> None:
    target = cluster("astray-running")
    cancel = w.policy_compliance_for_clusters.cancel_pending_cluster_enforcement
    with pytest.raises(InvalidParameterValue, match="no pending enforcement"):
        cancel(target)
    cancel(target, allow_missing=True)
    enforce(w, target, enforce_mode="WAIT_FOR_TERMINATION")
    cancel(target)
    w.clusters.restart(target)
    assert shown(w, target)["spark_version"] == "15.4.x-scala2.12"


@pytest.mark.conforms("compliance-enforced-at-the-end")
def test_only_an_administrator_defers_and_cancels(limited: WorkspaceClient) -> None:
    target = short_form.cluster_id("limited", "astray")
    with pytest.raises(PermissionDenied, match="WAIT_FOR_TERMINATION"):
        enforce(limited, target, enforce_mode="WAIT_FOR_TERMINATION")
    with pytest.raises(PermissionDenied, match="cancel"):
        limited.policy_compliance_for_clusters.cancel_pending_cluster_enforcement(target)


def test_a_rule_without_a_default_cannot_be_enforced(limited: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="Validation failed for spark_version"):
        enforce(limited, short_form.cluster_id("limited", "astray"))


def test_what_has_no_policy_or_is_made_by_a_pipeline_cannot_be_enforced(w: WorkspaceClient, cluster: ById) -> None:
    with pytest.raises(InvalidParameterValue, match="no policy"):
        enforce(w, cluster("free"))
    with pytest.raises(InvalidParameterValue, match="created by Pipelines"):
        enforce(w, cluster("pipeline-made"))
    with pytest.raises(InvalidParameterValue, match="enforce_mode"):
        enforce(w, cluster("both"), enforce_mode="SOON")


@pytest.mark.conforms("compliance-of-jobs-leaves-shared-clusters")
def test_enforcement_of_a_job_changes_its_own_clusters_only(w: WorkspaceClient, cluster: ById, job: JobById) -> None:
    shared = {"task_key": "shared", "existing_cluster_id": cluster("astray")}
    stored = settings(w, job("astray"))
    with pytest.raises(InvalidParameterValue, match="Validation failed for spark_version"):
        send(w, "/api/2.2/jobs/update", job_id=job("astray"), new_settings={"tasks": [*stored["tasks"], shared]})
    done = w.policy_compliance_for_jobs.enforce_compliance(job("astray"))
    assert done.has_changes is True
    assert settings(w, job("astray"))["job_clusters"][0]["new_cluster"]["spark_version"] == NEW
    send(w, "/api/2.2/jobs/update", job_id=job("astray"), new_settings={"tasks": [*stored["tasks"], shared]})
    again = w.policy_compliance_for_jobs.enforce_compliance(job("astray"))
    assert (again.has_changes, again.job_cluster_changes) == (False, [])
    assert shown(w, cluster("astray"))["spark_version"] == "15.4.x-scala2.12"


def test_enforcement_removes_what_is_forbidden_and_sets_what_is_fixed(w: WorkspaceClient, cluster: ById) -> None:
    rules = {
        "spark_version": {"type": "fixed", "value": NEW},
        "custom_tags.team": {"type": "forbidden"},
        "num_workers": {"type": "fixed", "value": 1},
        "spark_conf.a": {"type": "fixed", "value": "b"},
    }
    send(w, "/api/2.0/policies/clusters/edit", policy_id="FIXED", name="fixed", definition=json.dumps(rules))
    found = {c["field"]: (c.get("previous_value"), c.get("new_value")) for c in enforce(w, cluster("fixed"))["changes"]}
    assert found == {
        "spark_version": (OLD, NEW),
        "custom_tags.team": ("a", None),
        "num_workers": ("2", "1"),
        "spark_conf.a": (None, "b"),
    }
    assert ask(w, "/api/2.0/policies/clusters/get-compliance", cluster_id=cluster("fixed")) == {"is_compliant": True}
