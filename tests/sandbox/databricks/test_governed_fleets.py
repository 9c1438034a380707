"""The sample and the large fleet under policies: every case is there, and the fleets obey the policies they bring."""

import json
from typing import Any

import pytest

from sandbox import fleets
from sandbox.databricks import compliance, job_settings
from sandbox.databricks.call import Call
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace

SAMPLE = fleets.sample()["workspaces"]
POLICIES = [policy for content in SAMPLE.values() for policy in content.get("policies", [])]
SPECS = [c["spec"] for content in SAMPLE.values() for c in content["clusters"]]
NEW_CLUSTERS = [
    c for content in SAMPLE.values() for j in content["jobs"] for c in job_settings.new_clusters(j["settings"])
]


def rules(policy: Any) -> Any:
    definition = policy.get("definition", "{}")
    return json.loads(definition) if isinstance(definition, str) else definition


def types_of_runtime_rules() -> list[str]:
    return [rules(p)["spark_version"]["type"] for p in POLICIES if "spark_version" in rules(p)]


def everything(ws: Workspace) -> list[tuple[str, bool]]:
    """Name and compliance of all that a policy governs."""

    def ask(answer: Any, **query: Any) -> bool:
        found = answer(ws, Call("GET", "", {name: [str(value)] for name, value in query.items()}))
        return bool(found["is_compliant"])

    clusters = [c for c in ws.clusters.values() if c.spec.get("policy_id")]
    jobs = [j for j in ws.jobs.values() if any(c.get("policy_id") for c in job_settings.new_clusters(j.settings))]
    return [(c.name, ask(compliance.cluster_compliance, cluster_id=c.cluster_id)) for c in clusters] + [
        (j.name, ask(compliance.job_compliance, job_id=j.job_id)) for j in jobs
    ]


@pytest.mark.parametrize(
    ("case", "found"),
    [
        ("fixed", "fixed" in types_of_runtime_rules()),
        ("allowlist", "allowlist" in types_of_runtime_rules()),
        ("regex", "regex" in types_of_runtime_rules()),
        ("family", [p for p in POLICIES if p.get("policy_family_id") and not p.get("is_default")]),
        ("default", [p for p in POLICIES if p.get("is_default")]),
        ("libraries of a policy", [p for p in POLICIES if p.get("libraries")]),
        ("grants on a policy", [p for p in POLICIES if p.get("acl")]),
        ("job that leaves its runtime to its policy", [c for c in NEW_CLUSTERS if "spark_version" not in c]),
        ("job on a pool", [c for c in NEW_CLUSTERS if "instance_pool_id" in c]),
        ("cluster on a pool", [c for c in SPECS if "driver_instance_pool_id" in c]),
        ("libraries", [c for content in SAMPLE.values() for c in content["clusters"] if c.get("libraries")]),
        ("grants", [c for content in SAMPLE.values() for c in content["clusters"] if c.get("acl")]),
    ],
)
def test_the_sample_has_every_case_of_governance(case: str, found: Any) -> None:
    assert found, case


def test_nobody_uses_the_malformed_policy_of_the_sample() -> None:
    (broken,) = [p["policy_id"] for p in POLICIES if not isinstance(rules(p), dict)]
    assert broken not in {spec.get("policy_id") for spec in [*SPECS, *NEW_CLUSTERS]}


def test_the_sample_obeys_its_policies_but_for_the_one_cluster_whose_policy_was_narrowed() -> None:
    with running("sample") as databricks:
        found = [entry for ws in databricks.workspaces.values() for entry in everything(ws)]
        assert len(found) >= 8
        assert [name for name, compliant in found if not compliant] == ["catalog-staging"]
        reconcile = next(j for j in databricks.workspaces["test"].jobs.values() if j.name == "orders-reconcile-test")
        assert job_settings.new_clusters(reconcile.settings)[0]["spark_version"] == "13.3.x-scala2.12"


def test_the_large_fleet_is_partly_governed_and_obeys() -> None:
    large = fleets.load("large")["workspaces"]
    assert sum(len(content["policies"]) for content in large.values()) == 20
    assert len({p["policy_id"] for content in large.values() for p in content["policies"]}) == 20
    with running("large:200") as databricks:
        found = [entry for ws in databricks.workspaces.values() for entry in everything(ws)]
        assert 30 < len(found) < 90
        assert all(compliant for _, compliant in found)
        pooled = [
            c for ws in databricks.workspaces.values() for c in ws.clusters.values() if "instance_pool_id" in c.spec
        ]
        assert pooled
