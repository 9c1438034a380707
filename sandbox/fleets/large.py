"""A large fleet by a seed: plain clusters and jobs in believable proportions, to measure with."""

from __future__ import annotations

import json
import random
from typing import Any

from sandbox.fleets.short_form import cluster_id, job_id

Json = dict[str, Any]

SHARES = {"dev": 0.10, "test": 0.15, "staging": 0.25, "prod": 0.50}
CLUSTERS = 0.3
"""The part of the targets that are clusters."""
TEAMS = (
    "orders",
    "billing",
    "ingest",
    "clickstream",
    "inventory",
    "pricing",
    "marketing",
    "fraud",
    "logistics",
    "payments",
    "search",
    "catalog",
)
THINGS = (
    "events",
    "sessions",
    "invoices",
    "prices",
    "stock",
    "returns",
    "carts",
    "customers",
    "vendors",
    "shipments",
    "refunds",
    "campaigns",
)
DOINGS = (
    "daily",
    "rollup",
    "sync",
    "export",
    "merge",
    "clean",
    "score",
    "snapshot",
    "publish",
    "compact",
    "quality",
    "features",
)
RUNTIMES = [
    # spark_version, node, engine, weight
    ("13.3.x-scala2.12", "i3.xlarge", "STANDARD", 52),
    ("13.3.x-scala2.12", "i3.2xlarge", "PHOTON", 20),
    ("13.3.x-photon-scala2.12", "i3.xlarge", "", 8),
    ("13.3.x-cpu-ml-scala2.12", "r5d.2xlarge", "", 8),
    ("13.3.x-gpu-ml-scala2.12", "g4dn.xlarge", "", 2),
    ("13.3.x-aarch64-scala2.12", "m6gd.xlarge", "", 3),
    ("15.4.x-scala2.12", "i3.xlarge", "STANDARD", 4),
    ("17.3.x-scala2.13", "i3.xlarge", "STANDARD", 3),
]


BOTH = ["13.3.x-scala2.12", "17.3.x-scala2.13"]
POLICIES: list[tuple[str, Json, str, Json]] = [
    # name, what it allows as a filter on specs here (empty for all), kind it is for (empty for both), definition
    ("frozen", {"spark_version": BOTH[:1]}, "", {"spark_version": {"type": "fixed", "value": BOTH[0]}}),
    (
        "two-runtimes",
        {"spark_version": BOTH},
        "",
        {"spark_version": {"type": "allowlist", "values": BOTH, "defaultValue": BOTH[0]}},
    ),
    ("lts", {}, "", {"spark_version": {"type": "regex", "pattern": r"1[357]\.[34]\.x-.*"}}),
    (
        "governed",
        {},
        "",
        {
            "num_workers": {"type": "range", "minValue": 1, "maxValue": 16, "isOptional": True},
            "autoscale.max_workers": {"type": "range", "maxValue": 16, "isOptional": True},
            "custom_tags.cost-center": {"type": "regex", "pattern": "cc-[0-9]{3}"},
        },
    ),
    ("jobs", {}, "job", {"num_workers": {"type": "range", "minValue": 1, "maxValue": 16, "isOptional": True}}),
]
"""The last one is derived from a family of the platform."""
GOVERNED, POOLED = 0.3, 0.1
"""The parts of the clusters and jobs with a policy and on a pool."""
POOLS = ("i3.xlarge", "r5d.2xlarge")


def generate(targets: int = 2000, seed: int = 1, part: float = CLUSTERS) -> Json:
    """An expanded fleet of so many clusters and jobs in four workspaces; `part` of them are clusters."""
    chosen = random.Random(seed)
    found: Json = {"seed": seed, "workspaces": {}}
    left = targets
    for key, share in SHARES.items():
        count = left if key == "prod" else round(targets * share)
        left -= count
        clusters = round(count * part)
        found["workspaces"][key] = {
            "clusters": [_cluster(key, number, chosen) for number in range(clusters)],
            "jobs": [_job(key, number, chosen) for number in range(count - clusters)],
        }
        _govern(key, found["workspaces"][key], random.Random(f"{seed}/{key}/governance"))
    return found


def _govern(workspace: str, content: Json, chosen: random.Random) -> None:
    """Policies and pools, and some of the compute under them; as their policies allow it."""
    prefix = f"{sum(map(ord, workspace)):06X}"
    content["policies"] = [
        {
            "policy_id": f"{prefix}{number:010X}",
            "name": f"{workspace}-{name}",
            **(
                {"policy_family_id": "job-cluster", "policy_family_definition_overrides": json.dumps(definition)}
                if only
                else {"definition": json.dumps(definition)}
            ),
        }
        for number, (name, _, only, definition) in enumerate(POLICIES)
    ]
    content["pools"] = [
        {
            "instance_pool_id": f"0118-070000-{workspace}-pool-{node.replace('.', '')}",
            "instance_pool_name": f"{workspace}-{node}",
            "node_type_id": node,
            "min_idle_instances": 2,
            "preloaded_spark_versions": BOTH[:1],
        }
        for node in POOLS
    ]
    specs = [("all-purpose", cluster["spec"]) for cluster in content["clusters"]]
    specs += [("job", job["settings"]["job_clusters"][0]["new_cluster"]) for job in content["jobs"]]
    for kind, spec in specs:
        if chosen.random() < GOVERNED:
            fitting = [
                policy["policy_id"]
                for policy, (_, allowed, only, _) in zip(content["policies"], POLICIES, strict=True)
                if only in ("", kind) and all(spec[name] in values for name, values in allowed.items())
            ]
            spec["policy_id"] = chosen.choice(fitting)
        if chosen.random() < POOLED and spec["node_type_id"] in POOLS:
            pool = content["pools"][POOLS.index(spec.pop("node_type_id"))]
            spec["instance_pool_id"] = pool["instance_pool_id"]


def _name(number: int, chosen: random.Random) -> tuple[str, str]:
    team = chosen.choice(TEAMS)
    return team, f"{team}-{chosen.choice(THINGS)}-{chosen.choice(DOINGS)}-{number:04d}"


def _compute(chosen: random.Random) -> Json:
    key, node, engine, _ = chosen.choices(RUNTIMES, weights=[runtime[3] for runtime in RUNTIMES])[0]
    spec: Json = {"spark_version": key, "node_type_id": node, "data_security_mode": "USER_ISOLATION"}
    if engine:
        spec["runtime_engine"] = engine
    if chosen.random() < 0.5:
        spec["autoscale"] = {"min_workers": 1, "max_workers": chosen.choice((4, 8, 16))}
    else:
        spec["num_workers"] = chosen.choice((1, 2, 4, 8))
    spec["custom_tags"] = {"cost-center": f"cc-{chosen.randrange(100, 140)}"}
    return spec


def _cluster(workspace: str, number: int, chosen: random.Random) -> Json:
    team, name = _name(number, chosen)
    running = chosen.random() < 0.4
    spec = {"cluster_name": name, **_compute(chosen), "autotermination_minutes": 0 if running else 60}
    return {
        "id": cluster_id(workspace, name),
        "spec": spec,
        "owner": f"{team}-team@example.com",
        "state": "RUNNING" if running else "TERMINATED",
        "age_days": chosen.randrange(20, 500),
    }


def _job(workspace: str, number: int, chosen: random.Random) -> Json:
    team, name = _name(number, chosen)
    often = chosen.random()
    minute, hour = chosen.randrange(60), chosen.randrange(24)
    cron = f"0 {minute} * * * ?" if often < 0.02 else f"0 {minute} {hour} ? * {'*' if often < 0.85 else 'MON'}"
    keys = ["extract", "transform", "load"][: chosen.choice((1, 1, 2, 3))]
    tasks = [
        {
            "task_key": key,
            "job_cluster_key": "main",
            "notebook_task": {"notebook_path": f"/Workspace/Shared/{name}/{key}", "source": "WORKSPACE"},
            **({"depends_on": [{"task_key": keys[place - 1]}]} if place else {}),
        }
        for place, key in enumerate(keys)
    ]
    return {
        "id": job_id(workspace, name),
        "settings": {
            "name": name,
            "schedule": {"quartz_cron_expression": cron, "timezone_id": "UTC"},
            "job_clusters": [{"job_cluster_key": "main", "new_cluster": _compute(chosen)}],
            "tasks": tasks,
            "tags": {"team": team},
        },
        "habit": {"minutes": round(chosen.lognormvariate(2.3, 0.7), 1), "failure": 0.01},
        "owner": f"{team}-team@example.com",
    }
