"""Machine types: how they are read from a workspace, and what they mean for clusters, jobs and pools."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rollout import policy
from rollout.change import Change, Found, Skip, Upgrade
from rollout.machine import Machine
from rollout.pool import Pool
from tests.workspace.raws import OLD, UP, cluster, job, spec, task
from tests.workspace.scripted import Answer, Script
from workspace import clusters, jobs, machines, pools
from workspace.client import Client
from workspace.discovery import discover
from workspace.errors import Unavailable

NODES = "/api/2.1/clusters/list-node-types"
OFFERED = {
    "i3.xlarge": Machine(arm=False, gpus=0, photon=True),
    "m5d.large": Machine(deprecated=True, arm=False, gpus=0),
    "m6gd.xlarge": Machine(arm=True, gpus=0),
}


def up(**offered: Machine) -> Upgrade:
    return replace(UP, machines={**OFFERED, **offered})


def planned(kind: Any, raw: dict[str, Any], upgrade: Upgrade | None = None) -> Change | Skip:
    found = kind.plan(raw, upgrade or up())
    assert isinstance(found, Change | Skip)
    return found


def test_the_list_is_read_in_one_call(script: Script, client: Client) -> None:
    said = [
        {"node_type_id": "i3.xlarge", "is_graviton": False, "num_gpus": 0, "photon_worker_capable": True},
        {
            "node_type_id": "m5d.large",
            "is_deprecated": True,
            "photon_worker_capable": True,
            "photon_driver_capable": False,
        },
        {"node_type_id": "DS3", "is_hidden": True, "node_info": {"status": ["NotAvailableInRegion"]}},
        {"description": "has no id"},
    ]
    script.on(NODES, Answer(body={"node_types": said}))
    assert machines.offered(client) == {
        "i3.xlarge": Machine(arm=False, gpus=0, photon=True),
        "m5d.large": Machine(deprecated=True, photon=False),
        "DS3": Machine(hidden=True, unavailable=("NotAvailableInRegion",)),
    }
    assert client.calls == 1


@pytest.mark.parametrize("answer", [Answer(403, {"error_code": "PERMISSION_DENIED", "message": "no"}), Answer(body={})])
def test_a_workspace_that_does_not_say_leaves_them_unknown_and_unknown_holds_nothing(
    script: Script, client: Client, answer: Answer
) -> None:
    script.on(NODES, answer)
    assert machines.offered(client) is None
    assert isinstance(planned(clusters, cluster(node_type_id="gone"), replace(UP, machines=None)), Change)


def test_a_workspace_that_does_not_answer_for_them_was_not_looked_at(script: Script, client: Client) -> None:
    script.on("/api/2.1/clusters/spark-versions", Answer(body={"versions": [{"key": OLD}]}))
    script.on(NODES, Answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}))
    with pytest.raises(Unavailable):
        discover(client)


@pytest.mark.parametrize("more", [{"node_type_id": "gone"}, {"driver_node_type_id": "gone"}])
def test_a_cluster_on_machines_that_are_not_offered_is_left_alone(more: dict[str, str]) -> None:
    found = planned(clusters, cluster(state="RUNNING", **more))
    assert isinstance(found, Skip)
    assert (
        found.code,
        found.sentence.endswith("machine type gone is not in the workspace's list of machine types."),
    ) == (
        "machine_not_offered",
        True,
    )
    assert found.next_step == "Choose another machine type there, then look again."


def test_what_is_only_to_be_looked_at_is_noted_on_the_change() -> None:
    found = planned(clusters, cluster(node_type_id="m5d.large"))
    assert isinstance(found, Change)
    assert found.notes[0] == (
        "its machine type m5d.large is deprecated (machine_deprecated): choose another one before it goes away"
    )


def test_a_runtime_for_arm_needs_arm() -> None:
    arm = "13.3.x-aarch64-scala2.12"
    upgrade = replace(up(), versions=UP.versions | {"17.3.x-aarch64-scala2.13"})
    on_x86, on_arm = (planned(clusters, cluster(arm, node_type_id=n), upgrade) for n in ("i3.xlarge", "m6gd.xlarge"))
    assert isinstance(on_x86, Skip)
    assert on_x86.code == "machine_mismatch"
    assert isinstance(on_arm, Change)
    assert not any("machine_" in note for note in on_arm.notes)


def test_one_job_cluster_on_machines_that_are_not_offered_holds_the_whole_job_and_is_named() -> None:
    shared = {"good": spec(), "bad": spec(node_type_id="gone")}
    found = planned(jobs, job(task("a", job_cluster_key="good"), task("b", job_cluster_key="bad"), clusters=shared))
    assert isinstance(found, Skip)
    assert (found.code, found.sentence.split(": ")[0]) == ("machine_not_offered", "Job cluster bad")


def test_a_job_cluster_on_another_runtime_is_not_asked_for_its_machines() -> None:
    shared = {"good": spec(), "other": spec("15.4.x-scala2.12", node_type_id="gone")}
    found = planned(jobs, job(task("a", job_cluster_key="good"), task("b", job_cluster_key="other"), clusters=shared))
    assert isinstance(found, Change)


def test_a_job_is_told_which_of_its_places_has_machines_to_look_at() -> None:
    inside = {
        "for_each_task": {"inputs": "[]", "task": {"task_key": "in", "new_cluster": spec(node_type_id="m5d.large")}}
    }
    found = planned(jobs, job({"task_key": "each", **inside}))
    assert isinstance(found, Change)
    assert any(n.startswith("for-each task each: its machine type m5d.large is deprecated") for n in found.notes)


@pytest.mark.parametrize(
    ("rule", "more", "held"),
    [
        ({"type": "fixed", "value": "gone"}, {}, True),
        ({"type": "fixed", "value": "gone"}, {"node_type_id": None}, True),
        ({"type": "unlimited", "defaultValue": "gone"}, {}, False),
        ({"type": "unlimited", "defaultValue": "gone"}, {"node_type_id": None}, False),
        ({"type": "unlimited", "defaultValue": "gone"}, {"apply_policy_default_values": True}, False),
        (
            {"type": "unlimited", "defaultValue": "gone"},
            {"node_type_id": None, "apply_policy_default_values": True},
            True,
        ),
        ({"type": "allowlist", "values": ["gone", "i3.xlarge"]}, {}, False),
    ],
)
def test_machines_that_a_policy_supplies_are_those_of_the_compute_under_it(
    rule: dict[str, Any], more: dict[str, Any], held: bool
) -> None:
    policies = {"P1": policy.read("small", json.dumps({"node_type_id": rule, "spark_version": {"type": "unlimited"}}))}
    raw = {k: v for k, v in cluster(policy_id="P1", **more).items() if v is not None}
    found = planned(clusters, raw, replace(up(), policies=policies))
    assert isinstance(found, Skip) is held
    if isinstance(found, Skip):
        assert found.code == "machine_not_offered"
        assert "its machine type (from its policy small) gone" in found.sentence.lower()


def test_machines_of_a_pool_are_those_of_the_compute_in_it() -> None:
    upgrade = replace(up(), pools={"p1": Pool("warm", machine="gone")})
    inside = cluster(node_type_id=None, instance_pool_id="p1")
    found = planned(clusters, inside, upgrade)
    assert isinstance(found, Skip)
    assert "its machine type (from its pool warm) gone" in found.sentence.replace("Its", "its")


@pytest.mark.parametrize(("node", "code"), [("gone", "machine_not_offered"), ("m5d.large", "")])
def test_no_new_pool_is_made_of_machines_that_are_not_offered(node: str, code: str) -> None:
    raw = {
        "instance_pool_id": "p1",
        "instance_pool_name": "warm",
        "node_type_id": node,
        "preloaded_spark_versions": [OLD],
    }
    found = Found("pool", "p1", "warm", None, (), "ACTIVE", raw)
    upgrade = replace(up(), pools=pools.known([found], up()))
    assert (upgrade.pools["p1"].code, upgrade.pools["p1"].machine) == (code, node)
    planned_pool = planned(pools, raw, upgrade)
    if code:
        assert isinstance(planned_pool, Skip)
        assert planned_pool.code == code
    else:
        assert isinstance(planned_pool, Change)
        assert "machine_deprecated" in planned_pool.notes[0]


def test_what_a_change_leaves_as_it_is_are_machine_types_and_spot_settings_as_people_set_them() -> None:
    aws = {"availability": "SPOT", "first_on_demand": 0, "zone_id": "auto", "instance_profile_arn": "arn:secret"}
    asked = spec(aws_attributes=aws)
    assert clusters.kept(cluster(aws_attributes={"spot_bid_price_percent": 100}, spec=asked)) == {
        "node_type_id": "i3.xlarge",
        "aws_attributes.availability": "SPOT",
        "aws_attributes.first_on_demand": 0,
    }
    azure, gcp = {"spot_bid_max_price": -1}, {"availability": "PREEMPTIBLE_GCP"}
    two = {"a": spec(azure_attributes=azure), "b": spec(gcp_attributes=gcp, node_type_id=None)}
    assert jobs.kept(job(task("t", job_cluster_key="a"), clusters=two)) == {
        "node_type_id of job cluster a": "i3.xlarge",
        "azure_attributes.spot_bid_max_price of job cluster a": -1,
        "gcp_attributes.availability of job cluster b": "PREEMPTIBLE_GCP",
    }
