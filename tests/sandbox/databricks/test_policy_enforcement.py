"""What policies do to every write of a cluster or a job: filling in, refusing, and what happens when they change."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue
from databricks.sdk.service import jobs as sdk_jobs

from sandbox.databricks import versions
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from tests.sandbox.databricks.governed import FLEET, ML, NEW, OLD, STANDARD, ById, JobById, ask, send, settings, shown

WRONG = 'Cluster validation error: Validation failed for spark_version, the value must be 13.3.x-scala2.12 \\(is "17.3'


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running(FLEET) as found:
        yield found


def make(w: WorkspaceClient, **rules: Any) -> str:
    """A new policy; `__` in the names of rules stands for a dot."""
    named = {path.replace("__", "."): rule for path, rule in rules.items()}
    body = {"name": f"p{len(list(w.cluster_policies.list()))}", "definition": json.dumps(named)}
    return str(send(w, "/api/2.0/policies/clusters/create", **body)["policy_id"])


def rewrite(w: WorkspaceClient, policy_id: str, definition: Any) -> None:
    body = {"policy_id": policy_id, "name": policy_id.lower(), "definition": json.dumps(definition)}
    send(w, "/api/2.0/policies/clusters/edit", **body)


def create(w: WorkspaceClient, policy_id: str, **change: Any) -> Any:
    """The cluster that is made, or the refusal; None in a change removes a field."""
    spec = {**STANDARD, "policy_id": policy_id, "cluster_name": "made", **change}
    body = {name: value for name, value in spec.items() if value is not None}
    return shown(w, send(w, "/api/2.1/clusters/create", **body)["cluster_id"])


def job_of(where: str, spec: Any) -> Any:
    """Settings with this cluster in one of the three places."""
    if where == "job_clusters":
        return {
            "tasks": [{"task_key": "t", "job_cluster_key": "main"}],
            "job_clusters": [{"job_cluster_key": "main", "new_cluster": spec}],
        }
    if where == "task":
        return {"tasks": [{"task_key": "t", "new_cluster": spec}]}
    inner = {"task_key": "i", "new_cluster": spec}
    return {"tasks": [{"task_key": "t", "for_each_task": {"inputs": "[1]", "task": inner}}]}


@pytest.mark.conforms("policy-refuses-cluster-writes")
def test_create_edit_and_update_of_a_cluster_are_refused_when_its_policy_refuses_them(
    w: WorkspaceClient, cluster: ById
) -> None:
    target = cluster("fixed")
    before = shown(w, target)
    with pytest.raises(InvalidParameterValue, match=WRONG):
        create(w, "FIXED", spark_version=NEW, custom_tags={"team": "a"})
    with pytest.raises(InvalidParameterValue, match=WRONG):
        send(w, "/api/2.1/clusters/edit", cluster_id=target, **{**before["spec"], "spark_version": NEW})
    for mask in ("spark_version", "*"):
        change = {**before["spec"], "spark_version": NEW}
        with pytest.raises(InvalidParameterValue, match=WRONG):
            send(w, "/api/2.1/clusters/update", cluster_id=target, update_mask=mask, cluster=change)
    assert shown(w, target) == before
    size = {"cluster_id": target, "update_mask": "num_workers", "cluster": {"num_workers": 7}}
    send(w, "/api/2.1/clusters/update", **size)
    assert shown(w, target)["num_workers"] == 7


@pytest.mark.conforms("policy-refuses-job-writes")
@pytest.mark.parametrize("where", ["job_clusters", "task", "for_each"])
def test_create_update_and_reset_of_a_job_are_refused_wherever_its_cluster_stands(
    w: WorkspaceClient, job: JobById, where: str
) -> None:
    tagged = {**STANDARD, "policy_id": "FIXED", "custom_tags": {"team": "a"}}
    bad, good = job_of(where, {**tagged, "spark_version": NEW}), job_of(where, tagged)
    target = job("plain")
    before = settings(w, target)
    with pytest.raises(InvalidParameterValue, match=WRONG):
        send(w, "/api/2.2/jobs/create", **bad)
    for verb in ("update", "reset"):
        with pytest.raises(InvalidParameterValue, match=WRONG):
            send(w, f"/api/2.2/jobs/{verb}", job_id=target, new_settings=bad)
    assert settings(w, target) == before
    made = send(w, "/api/2.2/jobs/create", **good)["job_id"]
    with pytest.raises(InvalidParameterValue, match=WRONG):
        send(w, "/api/2.2/jobs/update", job_id=made, new_settings=bad)


@pytest.mark.conforms("policy-refuses-all-at-once")
def test_every_violation_is_told_at_once(w: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue) as refused:
        create(w, "FIXED", spark_version=NEW)
    assert str(refused.value) == (
        'Cluster validation error: Validation failed for spark_version, the value must be 13.3.x-scala2.12 (is "'
        f'{NEW}"); Validation failed for custom_tags, team must be present'
    )


@pytest.mark.conforms("policy-fixed-fills-in")
def test_a_fixed_value_fills_a_field_that_is_omitted_whatever_was_said_of_defaults(w: WorkspaceClient) -> None:
    tags = {"team": "a"}
    for more in ({}, {"apply_policy_default_values": False}):
        found = create(w, "FIXED", spark_version=None, custom_tags=tags, **more)
        assert found["spark_version"] == OLD
        assert "spark_version" not in found["spec"]
    spec = {**STANDARD, "policy_id": "FIXED", "custom_tags": tags}
    del spec["spark_version"]
    made = send(w, "/api/2.2/jobs/create", **job_of("task", spec))["job_id"]
    assert settings(w, made)["tasks"][0]["new_cluster"]["spark_version"] == OLD


@pytest.mark.conforms("policy-defaults-on-request", "cluster-get-shows-policy-defaults-flag-under-spec")
def test_default_values_are_filled_in_on_request_only(w: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="spark_version, the value must be present"):
        create(w, "BOTH", spark_version=None)
    found = create(w, "BOTH", spark_version=None, apply_policy_default_values=True)
    assert found["spark_version"] == NEW
    assert "apply_policy_default_values" not in found
    assert found["spec"]["apply_policy_default_values"] is True
    assert "spark_version" not in found["spec"]
    typed = w.clusters.get(found["cluster_id"])
    assert typed.spec is not None
    assert (typed.spark_version, typed.spec.apply_policy_default_values) == (NEW, True)


@pytest.mark.conforms("policy-defaults-are-snapshots", "job-get-hides-policy-defaults-flag")
def test_default_values_are_those_of_the_moment_until_they_are_applied_again(w: WorkspaceClient) -> None:
    spec = {**STANDARD, "policy_id": "BOTH", "apply_policy_default_values": True}
    del spec["spark_version"]
    made = send(w, "/api/2.2/jobs/create", **job_of("job_clusters", spec))["job_id"]
    rewrite(w, "BOTH", {"spark_version": {"type": "allowlist", "values": [OLD, NEW], "defaultValue": OLD}})

    def runtime() -> Any:
        stored = settings(w, made)["job_clusters"][0]["new_cluster"]
        assert "apply_policy_default_values" not in stored
        return stored["spark_version"]

    assert runtime() == NEW
    w.jobs.update(made, new_settings=sdk_jobs.JobSettings(name="renamed"))
    assert runtime() == NEW
    send(w, "/api/2.2/jobs/reset", job_id=made, new_settings=job_of("job_clusters", spec))
    assert runtime() == OLD


@pytest.mark.conforms("policy-fixed-to-allowlist-loses-the-value")
def test_what_a_fixed_rule_filled_in_is_lost_when_it_becomes_an_allowlist(
    w: WorkspaceClient, cluster: ById, job: JobById
) -> None:
    assert shown(w, cluster("silent"))["spark_version"] == OLD
    rewrite(w, "FIXED", {"spark_version": {"type": "allowlist", "values": [OLD, NEW]}})
    assert shown(w, cluster("silent"))["spark_version"] == OLD
    size = {"cluster_id": cluster("silent"), "update_mask": "num_workers", "cluster": {"num_workers": 3}}
    with pytest.raises(InvalidParameterValue, match="spark_version, the value must be present"):
        send(w, "/api/2.1/clusters/update", **size)
    stored = settings(w, job("silent"))
    omitting = {**stored["job_clusters"][0]["new_cluster"]}
    del omitting["spark_version"]
    with pytest.raises(InvalidParameterValue, match="spark_version, the value must be present"):
        send(w, "/api/2.2/jobs/reset", job_id=job("silent"), new_settings=job_of("job_clusters", omitting))


@pytest.mark.parametrize(
    ("rules", "change", "message"),
    [
        ({"spark_version": {"type": "blocklist", "values": [OLD]}}, {}, "must not be one of [13.3.x-scala2.12]"),
        ({"spark_version": {"type": "regex", "pattern": r"13\.3\.x-scala.*"}}, {"spark_version": ML}, "match the patt"),
        ({"num_workers": {"type": "range", "maxValue": 4}}, {"num_workers": 5}, "must be at most 4"),
        ({"num_workers": {"type": "range", "minValue": 3}}, {}, "must be at least 3"),
        (
            {"autoscale__max_workers": {"type": "range", "maxValue": 4}},
            {"num_workers": None, "autoscale": {"min_workers": 1, "max_workers": 9}},
            "autoscale.max_workers, the value",
        ),
        (
            {"spark_conf__spark.x": {"type": "fixed", "value": "true"}},
            {"spark_conf": {"spark.x": "no"}},
            "spark_conf.spark.x, the value must be true",
        ),
        ({"custom_tags__team": {"type": "unlimited"}}, {"custom_tags": {"env": "x"}}, "custom_tags, team must be pres"),
        ({"custom_tags__team": {"type": "regex", "pattern": "[a-z]+"}}, {"custom_tags": {"team": "A1"}}, "[a-z]+"),
        (
            {"aws_attributes__zone_id": {"type": "allowlist", "values": ["auto"]}},
            {"aws_attributes": {"zone_id": "us-east-1a"}},
            "aws_attributes.zone_id, the value must be one of [auto]",
        ),
        (
            {"init_scripts__*__workspace__destination": {"type": "regex", "pattern": "/Shared/.*"}},
            {"init_scripts": [{"workspace": {"destination": "/Shared/a"}}, {"workspace": {"destination": "/Users/b"}}]},
            "init_scripts.1.workspace.destination",
        ),
        ({"docker_image__url": {"type": "forbidden"}}, {"docker_image": {"url": "x/y:1"}}, "must not be present"),
        ({"runtime_engine": {"type": "fixed", "value": "PHOTON"}}, {"runtime_engine": "STANDARD"}, "must be PHOTON"),
        ({"instance_pool_id": {"type": "forbidden"}}, {"instance_pool_id": "pool-1", "node_type_id": None}, "pool_id"),
        ({"driver_node_type_id": {"type": "allowlist", "values": ["m5d.large"]}}, {}, "driver_node_type_id"),
        ({"cluster_type": {"type": "fixed", "value": "job"}}, {}, 'must be job (is "all-purpose")'),
        ({"autotermination_minutes": {"type": "unlimited"}}, {}, "autotermination_minutes, the value must be present"),
        (
            {"cluster_log_conf__type": {"type": "fixed", "value": "S3"}},
            {"cluster_log_conf": {"dbfs": {"destination": "dbfs:/x"}}},
            "cluster_log_conf.type, the value must be S3",
        ),
        ({"data_security_mode": {"type": "fixed", "value": "SINGLE_USER"}}, {}, "must be SINGLE_USER"),
    ],
)
@pytest.mark.conforms("policy-rule-types", "policy-attribute-paths")
def test_each_type_of_rule_refuses_on_each_kind_of_path(
    w: WorkspaceClient, rules: Any, change: Any, message: str
) -> None:
    with pytest.raises(InvalidParameterValue) as refused:
        create(w, make(w, **rules), **change)
    assert str(refused.value).startswith("Cluster validation error: Validation failed for ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("rules", "change"),
    [
        ({"spark_version": {"type": "regex", "pattern": r"13\.3\.x-(cpu-ml-)?scala.*"}}, {"spark_version": ML}),
        ({"spark_version": {"type": "blocklist", "values": [NEW]}}, {}),
        ({"num_workers": {"type": "range", "minValue": 2, "maxValue": 2}}, {}),
        ({"autoscale__max_workers": {"type": "range", "maxValue": 4}}, {}),
        ({"custom_tags__team": {"type": "unlimited", "isOptional": True}}, {}),
        ({"docker_image__url": {"type": "forbidden"}}, {}),
        ({"init_scripts__*__workspace__destination": {"type": "regex", "pattern": "/Shared/.*"}}, {}),
        (
            {
                "init_scripts__0__workspace__destination": {"type": "fixed", "value": "/a"},
                "init_scripts__*__workspace__destination": {"type": "forbidden"},
            },
            {},
        ),
        ({"spark_conf__spark.x": {"type": "fixed", "value": True}}, {"spark_conf": {"spark.x": "true"}}),
        (
            {"data_security_mode": {"type": "fixed", "value": "USER_ISOLATION"}},
            {"data_security_mode": "DATA_SECURITY_MODE_STANDARD"},
        ),
        ({"cluster_type": {"type": "fixed", "value": "all-purpose"}}, {}),
        ({"driver_node_type_id": {"type": "allowlist", "values": ["i3.xlarge"]}}, {}),
        ({"cluster_log_conf__path": {"type": "unlimited", "isOptional": True}}, {}),
    ],
)
@pytest.mark.conforms("policy-rule-types")
def test_what_obeys_the_rules_is_accepted(w: WorkspaceClient, rules: Any, change: Any) -> None:
    assert create(w, make(w, **rules), **change)["state"] == "PENDING"


@pytest.mark.conforms("policy-attribute-paths")
def test_fixed_and_default_values_reach_maps_lists_and_nested_fields(w: WorkspaceClient) -> None:
    policy_id = make(
        w,
        spark_conf__spark__x={"type": "fixed", "value": "1"},
        custom_tags__env={"type": "fixed", "value": "dev"},
        init_scripts__0__workspace__destination={"type": "fixed", "value": "/Shared/a"},
        aws_attributes__zone_id={"type": "unlimited", "defaultValue": "auto"},
        cluster_log_conf__type={"type": "fixed", "value": "S3"},
        cluster_log_conf__path={"type": "fixed", "value": "s3://logs"},
        autoscale__min_workers={"type": "unlimited", "defaultValue": 1, "isOptional": True},
        autoscale__max_workers={"type": "unlimited", "defaultValue": 6, "isOptional": True},
    )
    found = create(w, policy_id, num_workers=None, apply_policy_default_values=True, custom_tags={"team": "a"})
    assert found["spark_conf"] == {"spark.x": "1"}
    assert found["custom_tags"] == {"team": "a", "env": "dev"}
    assert found["init_scripts"] == [{"workspace": {"destination": "/Shared/a"}}]
    assert found["aws_attributes"]["zone_id"] == "auto"
    assert found["cluster_log_conf"] == {"s3": {"destination": "s3://logs"}}
    assert found["autoscale"] == {"min_workers": 1, "max_workers": 6}
    sized = create(w, policy_id, num_workers=3, apply_policy_default_values=True)
    assert (sized["num_workers"], "autoscale" in sized) == (3, False)


@pytest.mark.conforms("policy-special-runtimes")
@pytest.mark.parametrize(
    ("value", "node", "key"),
    [
        ("auto:latest", "i3.xlarge", "18.x-scala2.13"),
        ("auto:latest-lts", "i3.xlarge", "18.x-scala2.13"),
        ("auto:latest-lts-ml", "i3.xlarge", "18.x-cpu-ml-scala2.13"),
        ("auto:latest-lts-ml", "g5.2xlarge", "18.x-gpu-ml-scala2.13"),
        ("auto:prev-lts", "i3.xlarge", NEW),
        ("auto:prev-major-ml", "i3.xlarge", "17.3.x-cpu-ml-scala2.13"),
    ],
)
def test_special_values_are_resolved_in_the_policy(w: WorkspaceClient, value: str, node: str, key: str) -> None:
    fixed = make(w, spark_version={"type": "fixed", "value": value})
    assert create(w, fixed, spark_version=None, node_type_id=node)["spark_version"] == key
    assert create(w, fixed, spark_version=key, node_type_id=node)["spark_version"] == key
    default = make(w, spark_version={"type": "unlimited", "defaultValue": value})
    more = {"spark_version": None, "node_type_id": node, "apply_policy_default_values": True}
    assert create(w, default, **more)["spark_version"] == key
    with pytest.raises(InvalidParameterValue, match=f"Invalid spark version {value}"):
        create(w, default, spark_version=value)
    with pytest.raises(InvalidParameterValue, match=f"Invalid spark version {value}"):
        send(w, "/api/2.2/jobs/create", **job_of("task", {**STANDARD, "policy_id": default, "spark_version": value}))
    versions.check(key)


@pytest.mark.conforms("policy-unknown-is-refused")
def test_an_unknown_policy_is_refused(w: WorkspaceClient, cluster: ById) -> None:
    with pytest.raises(InvalidParameterValue, match="Can't find a cluster policy with id: NONE"):
        create(w, "NONE")
    change = {"cluster_id": cluster("free"), "update_mask": "policy_id", "cluster": {"policy_id": "NONE"}}
    with pytest.raises(InvalidParameterValue, match="Can't find a cluster policy"):
        send(w, "/api/2.1/clusters/update", **change)
    with pytest.raises(InvalidParameterValue, match="Can't find a cluster policy"):
        send(w, "/api/2.2/jobs/create", **job_of("task", {**STANDARD, "policy_id": "NONE"}))


@pytest.mark.conforms("policy-edit-leaves-what-it-governs", "policy-order-of-widening")
def test_an_edited_policy_touches_nothing_and_refuses_the_next_edit_until_it_is_widened(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, job: JobById
) -> None:
    target = cluster("fixed-running")
    before, stored = shown(w, target), settings(w, job("silent"))
    rewrite(w, "FIXED", {"spark_version": {"type": "fixed", "value": NEW}})
    assert shown(w, target) == before
    assert settings(w, job("silent")) == stored
    run = w.jobs.run_now(job("silent")).response
    databricks.step(3600)
    assert w.jobs.get_run(run.run_id).state.result_state == sdk_jobs.RunResultState.SUCCESS  # type: ignore[union-attr]
    resize = {"cluster_id": target, "update_mask": "num_workers", "cluster": {"num_workers": 3}}
    with pytest.raises(InvalidParameterValue, match=r"the value must be 17\.3"):
        send(w, "/api/2.1/clusters/update", **resize)
    with pytest.raises(InvalidParameterValue, match=r"the value must be 17\.3"):
        w.jobs.update(job("silent"), new_settings=sdk_jobs.JobSettings(name="renamed"))
    w.clusters.restart(target)
    rewrite(w, "FIXED", {"spark_version": {"type": "allowlist", "values": [OLD, NEW], "defaultValue": NEW}})
    databricks.step(600)
    send(w, "/api/2.1/clusters/update", **resize)
    w.jobs.update(job("silent"), new_settings=sdk_jobs.JobSettings(name="renamed"))


@pytest.mark.conforms("policy-delete-leaves-referents-without-edits")
def test_what_a_deleted_policy_governed_still_runs_and_cannot_be_edited(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, job: JobById
) -> None:
    w.cluster_policies.delete("FIXED")
    w.clusters.start(cluster("fixed"))
    w.clusters.restart(cluster("fixed-running"))
    run = w.jobs.run_now(job("silent")).response
    databricks.step(3600)
    assert w.clusters.get(cluster("fixed")).state.value == "RUNNING"  # type: ignore[union-attr]
    assert w.jobs.get_run(run.run_id).state.result_state == sdk_jobs.RunResultState.SUCCESS  # type: ignore[union-attr]
    size = {"cluster_id": cluster("fixed"), "update_mask": "num_workers", "cluster": {"num_workers": 3}}
    with pytest.raises(InvalidParameterValue, match="Can't find a cluster policy with id: FIXED"):
        send(w, "/api/2.1/clusters/update", **size)
    with pytest.raises(InvalidParameterValue, match="Can't find a cluster policy with id: FIXED"):
        w.jobs.update(job("silent"), new_settings=sdk_jobs.JobSettings(name="renamed"))
    free = {"cluster_id": cluster("fixed"), "update_mask": "policy_id", "cluster": {}}
    send(w, "/api/2.1/clusters/update", **free)
    assert "policy_id" not in shown(w, cluster("fixed"))


MALFORMED = "cannot be satisfied due to the malformed policy definition"


@pytest.mark.conforms("policy-malformed-fails-at-launch")
@pytest.mark.parametrize(
    "definition",
    [
        [{"spark_version": 1}],
        "text",
        {"spark_version": "fixed"},
        {"spark_version": {"type": "pinned", "value": OLD}},
        {"spark_version": {"type": "fixed"}},
        {"spark_version": {"type": "allowlist", "values": OLD}},
        {"spark_version": {"type": "regex", "pattern": "("}},
        {"num_workers": {"type": "range", "maxValue": "4"}},
        {"colour": {"type": "fixed", "value": "red"}},
    ],
)
def test_a_malformed_policy_is_accepted_and_fails_when_something_is_launched(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, job: JobById, definition: Any
) -> None:
    rewrite(w, "FIXED", definition)
    assert json.loads(w.cluster_policies.get("FIXED").definition or "") == definition
    made = send(w, "/api/2.2/jobs/create", **job_of("task", {**STANDARD, "policy_id": "FIXED"}))["job_id"]
    run = w.jobs.run_now(made).response
    databricks.step(3600)
    found: Any = ask(w, "/api/2.2/jobs/runs/get", run_id=run.run_id)
    assert found["status"]["termination_details"]["code"] == "INVALID_CLUSTER_REQUEST"
    assert MALFORMED in found["status"]["termination_details"]["message"]
    with pytest.raises(InvalidParameterValue, match=MALFORMED):
        create(w, "FIXED")
    with pytest.raises(InvalidParameterValue, match=MALFORMED):
        w.clusters.start(cluster("fixed"))
    assert w.clusters.get(cluster("fixed-running")).state.value == "RUNNING"  # type: ignore[union-attr]


def test_a_cluster_that_a_job_starts_under_a_malformed_policy_does_not_come_up(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, job: JobById
) -> None:
    made = send(
        w, "/api/2.2/jobs/create", tasks=[{"task_key": "t", "existing_cluster_id": cluster("broken")}], name="x"
    )["job_id"]
    w.jobs.run_now(made)
    databricks.step(1200)
    found = shown(w, cluster("broken"))
    assert (found["state"], found["termination_reason"]["code"]) == ("TERMINATED", "INVALID_ARGUMENT")
    assert MALFORMED in found["termination_reason"]["parameters"]["databricks_error_message"]
    (run,) = w.jobs.list_runs(job_id=made)
    assert run.state is not None
    assert run.state.result_state == sdk_jobs.RunResultState.FAILED


def test_a_policy_that_fills_in_the_wrong_type_does_not_break_the_server(w: WorkspaceClient) -> None:
    with pytest.raises(BadRequest, match="spark_conf must be an object"):
        create(w, make(w, spark_conf={"type": "fixed", "value": "x"}))


@pytest.mark.conforms("policy-libraries-come-at-the-next-start")
def test_libraries_of_a_policy_come_with_the_next_start(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    library = {"pypi": {"package": "observability==1.0"}}
    definition = w.cluster_policies.get("BOTH").definition
    body = {"policy_id": "BOTH", "name": "both", "definition": definition, "libraries": [library]}
    send(w, "/api/2.0/policies/clusters/edit", **body)

    def on(cluster_id: str) -> list[Any]:
        found = ask(w, "/api/2.0/libraries/cluster-status", cluster_id=cluster_id)["library_statuses"]
        return [(line["library"], line["status"]) for line in found if not line["is_library_for_all_clusters"]]

    assert on(cluster("both")) == []
    w.clusters.restart(cluster("both"))
    databricks.step(900)
    assert on(cluster("both")) == [(library, "INSTALLED")]
