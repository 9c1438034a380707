"""API family `/api/2.0/policy-families`: definitions that come with the platform, to derive policies from."""

from __future__ import annotations

import json

from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import Json, missing
from sandbox.databricks.paging import page, whole
from sandbox.databricks.workspace import Workspace

_NO_POOLS: Json = {
    "instance_pool_id": {"type": "forbidden", "hidden": True},
    "driver_instance_pool_id": {"type": "forbidden", "hidden": True},
}
_SINGLE_NODE: Json = {
    "num_workers": {"type": "fixed", "value": 0, "hidden": True},
    "spark_conf.spark.databricks.cluster.profile": {"type": "fixed", "value": "singleNode", "hidden": True},
    "spark_conf.spark.master": {"type": "fixed", "value": "local[*]", "hidden": True},
    "custom_tags.ResourceClass": {"type": "fixed", "value": "SingleNode", "hidden": True},
}
_FAMILIES: dict[str, tuple[str, str, Json]] = {
    "personal-vm": (
        "Personal Compute",
        "Use with small-to-medium data or libraries like pandas and scikit-learn. Spark runs in local mode.",
        {
            "spark_version": {"type": "unlimited", "defaultValue": "auto:latest-lts-ml"},
            "node_type_id": {
                "type": "allowlist",
                "values": ["i3.xlarge", "i3.2xlarge", "m5d.large", "m5d.xlarge", "r5d.2xlarge"],
                "defaultValue": "i3.xlarge",
            },
            "runtime_engine": {"type": "fixed", "value": "STANDARD", "hidden": True},
            "data_security_mode": {
                "type": "allowlist",
                "values": ["SINGLE_USER", "LEGACY_SINGLE_USER", "LEGACY_SINGLE_USER_STANDARD"],
                "defaultValue": "SINGLE_USER",
                "hidden": True,
            },
            "autotermination_minutes": {"type": "unlimited", "defaultValue": 4320, "isOptional": True},
            "cluster_type": {"type": "fixed", "value": "all-purpose"},
            **_SINGLE_NODE,
            **_NO_POOLS,
        },
    ),
    "power-user": (
        "Power User Compute",
        "Use for larger data and distributed computing.",
        {
            "spark_version": {"type": "unlimited", "defaultValue": "auto:latest-lts"},
            "node_type_id": {"type": "unlimited", "defaultValue": "i3.xlarge", "isOptional": True},
            "autoscale.min_workers": {"type": "unlimited", "defaultValue": 2, "isOptional": True},
            "autoscale.max_workers": {"type": "unlimited", "defaultValue": 8, "isOptional": True},
            "data_security_mode": {
                "type": "allowlist",
                "values": ["SINGLE_USER", "LEGACY_SINGLE_USER", "LEGACY_SINGLE_USER_STANDARD"],
                "defaultValue": "SINGLE_USER",
            },
            "autotermination_minutes": {"type": "range", "minValue": 10, "maxValue": 1440, "defaultValue": 120},
            "cluster_type": {"type": "fixed", "value": "all-purpose"},
        },
    ),
    "shared-compute": (
        "Shared Compute",
        "Share compute resources with others in standard access mode.",
        {
            "spark_version": {"type": "unlimited", "defaultValue": "auto:latest-lts"},
            "node_type_id": {"type": "unlimited", "defaultValue": "i3.xlarge", "isOptional": True},
            "data_security_mode": {"type": "fixed", "value": "USER_ISOLATION", "hidden": True},
            "autotermination_minutes": {"type": "unlimited", "defaultValue": 120, "isOptional": True},
            "cluster_type": {"type": "fixed", "value": "all-purpose"},
        },
    ),
    "job-cluster": (
        "Job Compute",
        "Use for automated jobs.",
        {
            "spark_version": {"type": "unlimited", "defaultValue": "auto:latest-lts"},
            "node_type_id": {"type": "unlimited", "defaultValue": "i3.xlarge", "isOptional": True},
            "num_workers": {"type": "unlimited", "defaultValue": 4, "isOptional": True},
            "cluster_type": {"type": "fixed", "value": "job"},
        },
    ),
}
"""Id, name, description, rules."""


def list_(ws: Workspace, call: Call) -> Json:
    """GET list."""
    size = whole(call.number("max_results", 20), 1, 100, "max_results", clamp=True)
    part, tokens = page(list(_FAMILIES), size, call.text("page_token"))
    tokens.pop("prev_page_token", None)
    return {"policy_families": [_view(family_id) for family_id in part], **tokens}


def get(ws: Workspace, call: Call) -> Json:
    """GET one."""
    family_id = call.named["id"]
    if family_id not in _FAMILIES:
        raise missing(f"Policy family {family_id} does not exist.")
    return _view(family_id)


def known(family_id: object) -> bool:
    """Whether there is such a family."""
    return family_id in _FAMILIES


def definition(family_id: str, overrides: object) -> str:
    """The definition of a policy of this family: its rules, and over them those of `overrides` (JSON text or nothing).

    Overrides that are no object of rules make a definition that is malformed as a whole.
    """
    over = json.loads(str(overrides)) if overrides else {}
    return json.dumps({**_FAMILIES[family_id][2], **over} if isinstance(over, dict) else over)


def _view(family_id: str) -> Json:
    name, description, rules = _FAMILIES[family_id]
    return {
        "policy_family_id": family_id,
        "name": name,
        "description": description,
        "definition": json.dumps(rules),
    }


ROUTES: Routes = {
    ("GET", "/api/2.0/policy-families"): list_,
    ("GET", "/api/2.0/policy-families/{id}"): get,
}
