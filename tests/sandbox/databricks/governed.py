"""A fleet with policies, pools, libraries and grants: `dev`, where the bot is an administrator, and `limited`."""

import json
from collections.abc import Callable
from typing import Any

from databricks.sdk import WorkspaceClient

Json = dict[str, Any]
ById = Callable[[str], str]
JobById = Callable[[str], int]
OLD, NEW, ML = "13.3.x-scala2.12", "17.3.x-scala2.13", "13.3.x-cpu-ml-scala2.12"
STANDARD: Json = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 2, "data_security_mode": "NONE"}
POOL = {"instance_pool_id": "pool-1", "instance_pool_name": "first", "node_type_id": "i3.2xlarge"}


def policy(policy_id: str, **rules: Json) -> Json:
    """A policy of the fleet; `__` in the names of rules stands for a dot."""
    named = {path.replace("__", "."): rule for path, rule in rules.items()}
    return {"policy_id": policy_id, "name": policy_id.lower(), "definition": json.dumps(named)}


POLICIES = [
    policy("FIXED", spark_version={"type": "fixed", "value": OLD}, custom_tags__team={"type": "unlimited"}),
    policy("BOTH", spark_version={"type": "allowlist", "values": [OLD, NEW], "defaultValue": NEW}),
    {"policy_id": "BROKEN", "name": "broken", "definition": '[{"spark_version": 1}]'},
    {"policy_id": "DEFAULT", "name": "Job Compute", "policy_family_id": "job-cluster", "is_default": True},
]
FLEET: Json = {
    "seed": 5,
    "templates": {"clusters": {"standard": STANDARD}, "job_clusters": {"small": STANDARD}},
    "workspaces": {
        "dev": {
            "policies": POLICIES,
            "pools": [
                {**POOL, "min_idle_instances": 2, "preloaded_spark_versions": [OLD]},
                {"instance_pool_id": "pool-2", "instance_pool_name": "second", "node_type_id": "i3.xlarge"},
            ],
            "libraries_for_all_clusters": [{"pypi": {"package": "everywhere"}}],
            "clusters": [
                {"name": "free", "like": "standard", "state": "RUNNING"},
                {"name": "stopped", "like": "standard"},
                {"name": "fixed", "like": "standard", "policy_id": "FIXED", "custom_tags": {"team": "a"}},
                {
                    "name": "fixed-running",
                    "like": "standard",
                    "policy_id": "FIXED",
                    "custom_tags": {"team": "a"},
                    "state": "RUNNING",
                },
                {
                    "name": "silent",
                    "like": "standard",
                    "spark_version": None,
                    "policy_id": "FIXED",
                    "custom_tags": {"team": "a"},
                },
                {"name": "both", "like": "standard", "policy_id": "BOTH", "state": "RUNNING"},
                {"name": "astray", "like": "standard", "policy_id": "BOTH", "spark_version": "15.4.x-scala2.12"},
                {
                    "name": "astray-running",
                    "like": "standard",
                    "policy_id": "BOTH",
                    "state": "RUNNING",
                    "spark_version": "15.4.x-scala2.12",
                },
                {
                    "name": "astray-growing",
                    "like": "standard",
                    "policy_id": "BOTH",
                    "state": "RESIZING",
                    "spark_version": "15.4.x-scala2.12",
                },
                {"name": "pooled", "like": "standard", "node_type_id": None, "instance_pool_id": "pool-1"},
                {
                    "name": "pooled-running",
                    "like": "standard",
                    "node_type_id": None,
                    "instance_pool_id": "pool-1",
                    "driver_instance_pool_id": "pool-2",
                    "state": "RUNNING",
                },
                {"name": "broken", "like": "standard", "policy_id": "BROKEN"},
                {"name": "late", "like": "standard", "state": "RUNNING", "restarts_late": 20},
                {
                    "name": "with-libraries",
                    "like": "standard",
                    "state": "RUNNING",
                    "libraries": [{"pypi": {"package": "a==1"}}, {"maven": {"coordinates": "com.example:b_2.12:1.0"}}],
                },
                {
                    "name": "pipeline-made",
                    "state": "RUNNING",
                    "source": "PIPELINE",
                    "spark_version": "dlt:17.3.4-delta",
                    "node_type_id": "i3.xlarge",
                    "num_workers": 1,
                    "policy_id": "BOTH",
                },
            ],
            "jobs": [
                {"name": "plain", "compute": "small", "minutes": 5, "failure": 0},
                {
                    "name": "silent",
                    "compute": "small",
                    "failure": 0,
                    "with": {"spark_version": None, "policy_id": "FIXED", "custom_tags": {"team": "a"}},
                },
                {
                    "name": "astray",
                    "compute": "small",
                    "failure": 0,
                    "with": {"policy_id": "BOTH", "spark_version": "15.4.x-scala2.12"},
                },
                {"name": "broken", "compute": "small", "failure": 0, "with": {"policy_id": "BROKEN"}},
                {
                    "name": "pooled",
                    "compute": "small",
                    "failure": 0,
                    "with": {"node_type_id": None, "instance_pool_id": "pool-1"},
                },
                {"name": "on-pooled", "compute": "@pooled", "failure": 0},
                {
                    "name": "granted",
                    "compute": "small",
                    "acl": [{"group_name": "desk", "permission_level": "CAN_MANAGE_RUN"}],
                },
            ],
        },
        "limited": {
            "admin": False,
            "policies": [
                {**policy("CLOSED", spark_version={"type": "fixed", "value": OLD}), "acl": []},
                policy("BOTH", spark_version={"type": "allowlist", "values": [OLD, NEW]}),
            ],
            "pools": [POOL],
            "clusters": [
                {"name": "ours", "like": "standard", "state": "RUNNING"},
                {"name": "restartable", "like": "standard", "state": "RUNNING", "permission": "CAN_RESTART"},
                {
                    "name": "by-group",
                    "like": "standard",
                    "permission": "CAN_ATTACH_TO",
                    "acl": [{"group_name": "platform-automation", "permission_level": "CAN_MANAGE"}],
                },
                {
                    "name": "astray",
                    "like": "standard",
                    "policy_id": "BOTH",
                    "state": "RUNNING",
                    "spark_version": "15.4.x-scala2.12",
                },
            ],
            "jobs": [
                {"name": "ours", "compute": "small"},
                {"name": "view-only", "compute": "small", "permission": "CAN_VIEW"},
            ],
        },
    },
}


def ask(w: WorkspaceClient, path: str, **query: Any) -> Any:
    """A raw GET."""
    return w.api_client.do("GET", path, query=query)


def send(w: WorkspaceClient, path: str, **body: Any) -> Any:
    """A raw POST."""
    return w.api_client.do("POST", path, body=body)


def shown(w: WorkspaceClient, cluster_id: str) -> Any:
    """The raw JSON of a cluster."""
    return ask(w, "/api/2.1/clusters/get", cluster_id=cluster_id)


def settings(w: WorkspaceClient, job_id: int) -> Any:
    """The raw settings of a job."""
    return ask(w, "/api/2.2/jobs/get", job_id=job_id)["settings"]
