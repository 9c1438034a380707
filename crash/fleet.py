"""The crash fleet, every kind of target once, and the plan of its one stage."""

from typing import Any, Final

from rollout.plan import Plan

WORKSPACE: Final = "dev"
STAGE: Final = "fleet"
OPERATOR: Final = "U0CRASH001"
LEAD: Final = "U0CRASH002"
OLD: Final = "13.3.x-scala2.12"
_POOL: Final = "0118-070000-crash1-pool-i3xlarge"
_POLICY: Final = "00C0A5E000000001"
#: Written as people write: a way back that parses it and writes it anew would not leave the very same text.
_DEFINITION: Final = (
    '{ "spark_version":  {"type":"fixed", "value":"13.3.x-scala2.12"},\n'
    ' "custom_tags.team": {"type": "unlimited", "isOptional": true} }'
)
_PLAIN: Final[dict[str, Any]] = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}
_UP: Final[dict[str, Any]] = {"state": "RUNNING", "autotermination_minutes": 0}
_DOWN: Final[dict[str, Any]] = {"state": "TERMINATED"}

FLEET: Final[dict[str, Any]] = {
    "seed": 23,
    "templates": {
        "job_clusters": {
            "plain": _PLAIN,
            "governed": {**_PLAIN, "policy_id": _POLICY},
            "photon": {**_PLAIN, "runtime_engine": "PHOTON"},
        }
    },
    "workspaces": {
        WORKSPACE: {
            "policies": [
                {"policy_id": _POLICY, "name": "etl", "definition": _DEFINITION, "max_clusters_per_user": 9},
                {"policy_id": "00C0A5E000000002", "name": "of-nobody", "definition": _DEFINITION},
            ],
            "pools": [
                {
                    "instance_pool_id": _POOL,
                    "instance_pool_name": "warm",
                    "node_type_id": "i3.xlarge",
                    "min_idle_instances": 1,
                    "preloaded_spark_versions": [OLD],
                }
            ],
            "clusters": [
                # Shows itself as RUNNING for some seconds after an edit, before it restarts.
                {"name": "running", **_PLAIN, **_UP, "restarts_late": 20},
                {"name": "terminated", **_PLAIN, **_DOWN},
                {
                    "name": "autoscaling",
                    **_PLAIN,
                    **_UP,
                    "num_workers": None,
                    "autoscale": {"min_workers": 1, "max_workers": 4},
                },
                {"name": "pooled", **_PLAIN, **_UP, "node_type_id": None, "instance_pool_id": _POOL},
                {"name": "photon-infix", **_PLAIN, **_DOWN, "spark_version": "13.3.x-photon-scala2.12"},
                {"name": "ml", **_PLAIN, **_DOWN, "spark_version": "13.3.x-cpu-ml-scala2.12"},
                {"name": "governed", **_PLAIN, **_DOWN, "policy_id": _POLICY},
            ],
            "jobs": [
                {"name": "governed-job", "compute": "governed"},
                {"name": "job-cluster", "compute": "photon", "tasks": ["fetch", "load"]},
                {"name": "task-cluster", "compute": "plain", "inline": True},
                {
                    "name": "for-each",
                    "compute": "plain",
                    "inline": True,
                    "tasks": ["collect", {"key": "price", "for_each": '["DE","FR"]'}],
                },
                {"name": "many-tasks", "compute": "plain", "inline": True, "tasks": {"count": 130, "width": 13}},
                {
                    "name": "continuous",
                    "compute": "plain",
                    "minutes": 400,
                    "spread": 0,
                    "settings": {"continuous": {"pause_status": "UNPAUSED"}},
                },
                {"name": "paused", "compute": "plain", "cron": "0 0 3 * * ?", "paused": True},
            ],
        }
    },
}


def plan() -> Plan:
    """One stage with every target of the fleet, watched for two hours after its changes."""
    return Plan.model_validate(
        {
            "key": "crash",
            "title": "Every kind of target once",
            "runtimes": {"source": "13.3", "target": "17.3"},
            "workspaces": [WORKSPACE],
            "channel": "C0CRASH001",
            "roles": {
                "devops": {"title": "DevOps", "members": [OPERATOR]},
                "lead": {"title": "Lead", "members": [LEAD]},
            },
            "capabilities": {"start": ["devops"], "rollback": ["devops"], "pause": ["devops"]},
            "stages": [
                {
                    "key": STAGE,
                    "title": "The crash fleet",
                    "targets": {"workspaces": [WORKSPACE]},
                    "sign_offs": {"lead": 1},
                    "bake": 7200,
                    "max_parallel": 6,
                    "criteria": [
                        {"key": "on", "title": "On", "source": "x", "by": "check", "check": "targets_on_target_runtime"}
                    ],
                }
            ],
        }
    )
