"""Clusters: what is planned, what they hold, when they have settled. Pure."""

import dataclasses
from typing import Any

import pytest

from rollout import policy
from rollout.change import Change, FieldChange, Holds, Skip, Upgrade, compare
from rollout.policy import Policy
from rollout.reasons import CODES
from tests.workspace.raws import NEW, OLD, UP, cluster
from workspace import clusters
from workspace.settling import Settled

VERSION = FieldChange(("spark_version",), OLD, NEW)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (cluster(), (VERSION,)),
        (cluster(runtime_engine="PHOTON"), (VERSION,)),
        (cluster(runtime_engine="STANDARD"), (VERSION,)),
        (cluster(cluster_source="API"), (VERSION,)),
        (
            cluster("13.3.x-photon-scala2.12"),
            (
                FieldChange(("spark_version",), "13.3.x-photon-scala2.12", NEW),
                FieldChange(("runtime_engine",), None, "PHOTON"),
            ),
        ),
        (
            cluster("13.3.x-photon-scala2.12", runtime_engine="NULL"),
            (
                FieldChange(("spark_version",), "13.3.x-photon-scala2.12", NEW),
                FieldChange(("runtime_engine",), None, "PHOTON"),
            ),
        ),
        (
            cluster("13.3.x-photon-scala2.12", runtime_engine="PHOTON"),
            (FieldChange(("spark_version",), "13.3.x-photon-scala2.12", NEW),),
        ),
        (cluster(data_security_mode="NONE"), (VERSION,)),
        (cluster(data_security_mode="SINGLE_USER", single_user_name="a"), (VERSION,)),
        (cluster(spark_conf={"spark.databricks.passthrough.enabled": "false"}), (VERSION,)),
    ],
)
def test_only_the_runtime_fields_change(raw: dict[str, Any], fields: tuple[FieldChange, ...]) -> None:
    change = clusters.plan(raw, UP)
    assert isinstance(change, Change)
    assert change.fields == fields
    assert compare(change, clusters.values(raw, change)) is Holds.BEFORE


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (cluster(NEW), "already_target"),
        (cluster("15.4.x-scala2.12"), "other_runtime"),
        (cluster(None), "no_runtime"),
        (cluster("custom:x"), "custom_image"),
        (cluster("13.3.x-gpu-ml-scala2.12"), "runtime_not_offered"),
        (cluster("13.3.x-hls-scala2.12"), "runtime_variant"),
        (cluster(docker_image={"url": "x"}), "custom_image"),
        (cluster(NEW, docker_image={"url": "x"}), "already_target"),
        (cluster("13.3.x-hls-scala2.12", docker_image={"url": "x"}), "custom_image"),
        (cluster(data_security_mode="LEGACY_TABLE_ACL"), "legacy_access_mode"),
        (cluster(data_security_mode="LEGACY_SINGLE_USER_STANDARD"), "legacy_access_mode"),
        (cluster(spark_conf={"spark.databricks.passthrough.enabled": "true"}), "legacy_access_mode"),
        (cluster(cluster_source="PIPELINE"), "managed_pipeline"),
        (cluster("dlt:13.3", cluster_source="PIPELINE_MAINTENANCE"), "managed_pipeline"),
        (cluster("dlt:13.3"), "managed_pipeline"),
        (cluster(cluster_source="JOB"), "job_created"),
        (cluster(cluster_source="MODELS"), "job_created"),
        (cluster(state="ERROR"), "cluster_error"),
    ],
)
def test_what_is_left_alone_says_why(raw: dict[str, Any], code: str) -> None:
    skip = clusters.plan(raw, UP)
    assert isinstance(skip, Skip)
    assert skip.code == code
    assert skip.code in CODES


@pytest.mark.parametrize(
    ("state", "restarts", "note", "editable"),
    [
        ("RUNNING", True, "restarts the running cluster", True),
        ("RESIZING", True, "is RESIZING now", False),
        ("RESTARTING", True, "is RESTARTING now", False),
        ("PENDING", True, "is PENDING now", False),
        ("TERMINATED", False, "takes effect at the next start", True),
        ("TERMINATING", False, "takes effect at the next start", False),
        ("UNKNOWN", False, "takes effect at the next start", False),
    ],
)
def test_the_state_decides_what_it_means_for_people(state: str, restarts: bool, note: str, editable: bool) -> None:
    raw = cluster(state=state)
    change = clusters.plan(raw, UP)
    assert isinstance(change, Change)
    assert change.restarts is restarts
    assert change.notes[0].startswith(note)
    assert clusters.editable(raw) is editable


def test_no_state_is_not_editable() -> None:
    assert clusters.editable({}) is False
    assert clusters.editable(cluster(state="ERROR")) is False


def reason(code: str, kind: str | None = None) -> dict[str, Any]:
    return {"termination_reason": {"code": code, **({"type": kind} if kind else {})}}


LOST = reason("CLOUD_PROVIDER_SHUTDOWN", "CLOUD_FAILURE")
CRASH = reason("INIT_SCRIPT_FAILURE", "CLIENT_ERROR")


@pytest.mark.parametrize(
    ("now", "before", "settled"),
    [
        (cluster(state="RUNNING", last_restarted_time=2000), cluster(state="RUNNING"), Settled.YES),
        (cluster(state="RUNNING"), cluster(state="RUNNING"), Settled.NOT_YET),  # the restart is not seen yet
        (cluster(state="RUNNING", last_restarted_time=None), cluster(state="RUNNING"), Settled.YES),
        (cluster(state="RUNNING"), cluster(state="TERMINATED"), Settled.YES),
        (cluster(state="RESTARTING"), cluster(state="RUNNING"), Settled.NOT_YET),
        (cluster(state="PENDING"), cluster(state="RUNNING"), Settled.NOT_YET),
        (cluster(state="RESIZING"), cluster(state="RUNNING"), Settled.NOT_YET),
        (cluster(state="TERMINATING"), cluster(state="RUNNING"), Settled.NOT_YET),
        (cluster(state="UNKNOWN"), cluster(state="RUNNING"), Settled.NOT_YET),
        ({}, cluster(state="RUNNING"), Settled.NOT_YET),
        (cluster(state="ERROR"), cluster(state="TERMINATED"), Settled.FAILED),
        (cluster(state="TERMINATED"), cluster(state="TERMINATED"), Settled.YES),
        (cluster(state="TERMINATED", **CRASH), cluster(state="TERMINATED", **CRASH), Settled.YES),
        (cluster(state="TERMINATED", **CRASH), cluster(state="RUNNING"), Settled.FAILED),
        (cluster(state="TERMINATED", **CRASH), cluster(state="PENDING"), Settled.FAILED),
        (cluster(state="TERMINATED"), cluster(state="RUNNING"), Settled.FAILED),  # no reason is no good reason
        (
            cluster(state="TERMINATED", **LOST),
            cluster(state="RUNNING"),
            Settled.FAILED,
        ),
        (cluster(state="TERMINATED", **reason("INACTIVITY", "SUCCESS")), cluster(state="RUNNING"), Settled.YES),
        (cluster(state="TERMINATED", **reason("USER_REQUEST")), cluster(state="RUNNING"), Settled.YES),
    ],
)
def test_when_a_write_has_settled(now: dict[str, Any], before: dict[str, Any], settled: Settled) -> None:
    answer = clusters.settled(now, before)
    assert answer.settled is settled
    assert answer.sentence.endswith(".")


def test_a_failure_names_the_code_and_not_the_servers_prose() -> None:
    now = cluster(state="TERMINATED", state_message="password=hunter2", **CRASH)
    assert clusters.settled(now, cluster(state="RUNNING")).sentence == (
        "It was running and did not come up again. Reason: INIT_SCRIPT_FAILURE."
    )


def test_values_release_and_backup() -> None:
    raw = cluster("13.3.x-photon-scala2.12")
    change = clusters.plan(raw, UP)
    assert isinstance(change, Change)
    assert clusters.values(raw, change) == ["13.3.x-photon-scala2.12", None]
    assert clusters.values(cluster(NEW, runtime_engine="NULL"), change) == [NEW, None]
    assert clusters.release_of(raw) == "13.3"
    assert clusters.release_of(cluster(None)) == "-"
    backup = clusters.backup_of(raw)
    raw["unknown_field"]["a"].append(1)
    assert backup["unknown_field"] == {"a": []}
    assert clusters.url("https://h", "1") == "https://h/compute/clusters/1"


ONLY_OLD = policy.read("etl-13.3", '{"spark_version": {"type": "fixed", "value": "13.3.x-scala2.12"}}')
BOTH = policy.read(
    "etl", '{"spark_version": {"type": "allowlist", "values": ["13.3.x-scala2.12", "17.3.x-scala2.13"]}}'
)
STANDARD_ONLY = policy.read("plain", '{"runtime_engine": {"type": "fixed", "value": "STANDARD"}}')


def governed(**policies: Policy) -> Upgrade:
    return dataclasses.replace(UP, policies=policies)


def test_a_cluster_whose_policy_refuses_the_runtime_is_left_alone() -> None:
    skip = clusters.plan(cluster(policy_id="p1"), governed(p1=ONLY_OLD))
    assert isinstance(skip, Skip)
    assert skip.code == "policy_refuses"
    assert skip.sentence == "Its policy etl-13.3 takes only 13.3.x-scala2.12."
    assert NEW in skip.next_step


def test_a_cluster_whose_policy_takes_both_runtimes_is_changed() -> None:
    assert isinstance(clusters.plan(cluster(policy_id="p1"), governed(p1=BOTH)), Change)


def test_a_policy_may_refuse_the_engine_that_comes_with_the_runtime() -> None:
    raw = cluster("13.3.x-photon-scala2.12", policy_id="p1")
    skip = clusters.plan(raw, governed(p1=STANDARD_ONLY))
    assert isinstance(skip, Skip)
    assert (skip.code, skip.sentence) == ("policy_refuses", "Its policy plain takes only STANDARD.")


def test_a_policy_that_cannot_be_seen_is_not_taken_for_one_that_allows() -> None:
    skip = clusters.plan(cluster(policy_id="gone"), governed(p1=BOTH))
    assert isinstance(skip, Skip)
    assert skip.code == "policy_unknown"
    assert "gone" in skip.sentence
    assert {"policy_refuses", "policy_unknown"} <= set(CODES)


def test_what_is_on_another_runtime_is_not_asked_for_its_policy() -> None:
    skip = clusters.plan(cluster(NEW, policy_id="gone"), governed())
    assert isinstance(skip, Skip)
    assert skip.code == "already_target"
