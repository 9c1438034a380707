"""Clusters: what is listed and shown, what may be written, what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service import compute

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.workspace import Workspace

ById = Callable[[str], str]
NEW = {"cluster_name": "new", "spark_version": "17.3.x-scala2.13", "node_type_id": "i3.xlarge", "num_workers": 1}


def raw(w: WorkspaceClient, verb: str, **body: Any) -> Any:
    return w.api_client.do("POST", f"/api/2.1/clusters/{verb}", body=body)


def shown(w: WorkspaceClient, cluster_id: str) -> Any:
    return w.api_client.do("GET", "/api/2.1/clusters/get", query={"cluster_id": cluster_id})


@pytest.mark.conforms("cluster-list-is-paged")
def test_list_gives_every_cluster_page_by_page(w: WorkspaceClient, dev: Workspace) -> None:
    assert {c.cluster_id for c in w.clusters.list(page_size=2)} == set(dev.clusters)
    first: Any = w.api_client.do("GET", "/api/2.1/clusters/list", query={"page_size": 5})
    assert len(first["clusters"]) == 5
    assert "prev_page_token" not in first
    second: Any = w.api_client.do(
        "GET", "/api/2.1/clusters/list", query={"page_size": 5, "page_token": first["next_page_token"]}
    )
    assert not {c["cluster_id"] for c in first["clusters"]} & {c["cluster_id"] for c in second["clusters"]}
    assert "prev_page_token" in second


@pytest.mark.conforms("cluster-list-filters")
def test_list_filters_by_state_source_and_policy(w: WorkspaceClient) -> None:
    def names(**by: Any) -> set[str | None]:
        return {c.cluster_name for c in w.clusters.list(filter_by=compute.ListClustersFilterBy(**by))}

    assert names(cluster_states=[compute.State.RESIZING, compute.State.RESTARTING]) == {"growing", "coming-back"}
    assert names(cluster_sources=[compute.ClusterSource.PIPELINE]) == {"made-by-pipeline"}
    assert "made-by-pipeline" not in names(cluster_sources=[compute.ClusterSource.UI, compute.ClusterSource.API])
    assert names(policy_id="none") == set()
    assert names(is_pinned=True) == set()


@pytest.mark.conforms("cluster-list-forgets-after-thirty-days")
def test_a_cluster_terminated_over_thirty_days_ago_leaves_the_list_and_can_still_be_read(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    databricks.step(31 * 86_400)
    assert "stopped" not in {c.cluster_name for c in w.clusters.list()}
    assert w.clusters.get(cluster("stopped")).cluster_name == "stopped"


@pytest.mark.conforms("cluster-list-filters")
def test_list_sorts_by_name_on_request(w: WorkspaceClient) -> None:
    by = compute.ListClustersSortBy(
        field=compute.ListClustersSortByField.CLUSTER_NAME, direction=compute.ListClustersSortByDirection.DESC
    )
    names = [str(c.cluster_name) for c in w.clusters.list(sort_by=by)]
    assert names == sorted(names, reverse=True)


def test_a_page_token_that_we_did_not_give_is_refused(w: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="page token"):
        w.api_client.do("GET", "/api/2.1/clusters/list", query={"page_token": "made-up"})


@pytest.mark.conforms("cluster-get-effective-and-spec", "runtime-maintenance-release")
def test_get_shows_the_effective_configuration_and_under_spec_what_was_asked_for(
    w: WorkspaceClient, cluster: ById
) -> None:
    found = shown(w, cluster("running"))
    assert found["driver_node_type_id"] == "i3.xlarge"
    assert found["release_version"] == "13.3.41"
    assert "driver_node_type_id" not in found["spec"]
    assert found["spec"]["spark_conf"] == {"a": "b"}
    assert found["last_restarted_time"] < 1795420800000
    typed = w.clusters.get(cluster("running"))
    assert typed.spec is not None
    assert typed.spec.spark_version == "13.3.x-scala2.12"


@pytest.mark.conforms("cluster-pool-backed")
def test_a_pool_backed_cluster_shows_the_machine_type_of_its_pool(w: WorkspaceClient, cluster: ById) -> None:
    found = shown(w, cluster("pooled"))
    assert found["node_type_id"] == "i3.2xlarge"
    assert "node_type_id" not in found["spec"]


@pytest.mark.conforms("errors-unknown-object")
def test_an_unknown_cluster_is_not_found_by_get_and_invalid_for_all_others(w: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        w.clusters.get("0000-000000-nothere1")
    for verb in ("start", "restart", "delete", "permanent-delete", "events", "edit", "update"):
        with pytest.raises(InvalidParameterValue, match="Cluster 0000-000000-nothere1 does not exist"):
            raw(w, verb, cluster_id="0000-000000-nothere1", spark_version="x", update_mask="x")


@pytest.mark.conforms("raw-round-trip")
def test_create_keeps_every_field_also_unknown_ones(w: WorkspaceClient) -> None:
    made = raw(w, "create", **NEW, future_option={"mode": ["x", {}], "empty": {}}, custom_tags={})
    found = shown(w, made["cluster_id"])
    assert found["spec"] == {**NEW, "future_option": {"mode": ["x", {}], "empty": {}}, "custom_tags": {}}
    assert found["future_option"] == {"mode": ["x", {}], "empty": {}}
    assert found["cluster_source"] == "API"


@pytest.mark.conforms("cluster-create-token")
def test_create_with_the_same_token_makes_one_cluster(w: WorkspaceClient) -> None:
    assert raw(w, "create", **NEW, idempotency_token="t1") == raw(w, "create", **NEW, idempotency_token="t1")
    assert raw(w, "create", **NEW, idempotency_token="t2") != raw(w, "create", **NEW, idempotency_token="t1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spark_version": "17.4.x-scala2.13"}, "Invalid spark version 17.4.x-scala2.13"),
        ({"spark_version": "17.3.x-scala2.12"}, "Invalid spark version"),
        ({"spark_version": "auto:latest-lts"}, "Invalid spark version auto:latest-lts"),
        ({"spark_version": None}, "Invalid spark version"),
        ({"spark_version": "13.3.x-photon-scala2.12", "runtime_engine": "PHOTON"}, "not compatible"),
        ({"spark_version": "13.3.x-photon-scala2.12", "runtime_engine": "STANDARD"}, "not compatible"),
        ({"runtime_engine": "TURBO"}, "runtime_engine"),
        ({"num_workers": None}, "Missing required field: size"),
        ({"num_workers": -1}, "num_workers"),
        ({"autoscale": {"min_workers": 1, "max_workers": 2}}, "Only one of"),
        ({"num_workers": None, "autoscale": {"min_workers": 3, "max_workers": 2}}, "min_workers"),
        ({"node_type_id": None}, "node_type_id"),
        ({"instance_pool_id": "pool-1"}, "'node_type_id' cannot be supplied when an instance pool ID"),
        (
            {"instance_pool_id": "pool-1", "node_type_id": None, "aws_attributes": {"zone_id": "auto"}},
            "aws_attributes.zone_id",
        ),
    ],
)
@pytest.mark.conforms(
    "runtime-keys-are-checked",
    "runtime-auto-literal-is-refused",
    "runtime-photon-key-and-engine",
    "cluster-size-is-explicit",
    "cluster-pool-backed",
)
def test_a_configuration_that_cannot_be_is_refused_by_create_and_edit(
    w: WorkspaceClient, cluster: ById, change: dict[str, Any], message: str
) -> None:
    body = {name: value for name, value in {**NEW, **change}.items() if value is not None}
    for verb, more in (("create", {}), ("edit", {"cluster_id": cluster("stopped")})):
        with pytest.raises(InvalidParameterValue, match=message):
            raw(w, verb, **body, **more)
    assert shown(w, cluster("stopped"))["spark_version"] == "13.3.x-scala2.12"


@pytest.mark.parametrize("change", [{"spark_conf": "x"}, {"autoscale": 3}, {"custom_tags": ["x"]}])
def test_a_field_of_the_wrong_type_is_malformed(w: WorkspaceClient, change: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="Could not parse request object"):
        raw(w, "create", **{**NEW, **change})


@pytest.mark.conforms("runtime-past-support")
def test_a_runtime_past_its_support_is_not_offered_but_still_accepted(w: WorkspaceClient) -> None:
    offered = {v.key for v in w.clusters.spark_versions().versions or []}
    assert "12.2.x-scala2.12" not in offered
    assert raw(w, "create", **{**NEW, "spark_version": "12.2.x-scala2.12"})["cluster_id"]


@pytest.mark.conforms("cluster-edit-resets")
def test_edit_resets_what_is_not_sent(w: WorkspaceClient, cluster: ById) -> None:
    raw(w, "edit", cluster_id=cluster("running"), **NEW)
    assert "spark_conf" not in shown(w, cluster("running"))["spec"]
    assert shown(w, cluster("running"))["spec"] == NEW


@pytest.mark.conforms("cluster-update-mask")
def test_update_touches_only_what_the_mask_names(w: WorkspaceClient, cluster: ById) -> None:
    before = shown(w, cluster("stopped"))["spec"]
    w.clusters.update(
        cluster("stopped"),
        "spark_version,runtime_engine",
        cluster=compute.UpdateClusterResource(
            spark_version="17.3.x-scala2.13", runtime_engine=compute.RuntimeEngine.PHOTON, num_workers=99
        ),
    )
    after = shown(w, cluster("stopped"))["spec"]
    assert after == {**before, "spark_version": "17.3.x-scala2.13", "runtime_engine": "PHOTON"}


@pytest.mark.conforms("cluster-update-mask")
def test_a_field_named_in_the_mask_and_not_sent_is_removed(w: WorkspaceClient, cluster: ById) -> None:
    raw(w, "update", cluster_id=cluster("running"), update_mask="spark_conf", cluster={})
    assert "spark_conf" not in shown(w, cluster("running"))["spec"]


@pytest.mark.conforms("cluster-update-mask")
def test_update_reaches_into_objects_but_not_into_maps(w: WorkspaceClient, cluster: ById) -> None:
    target = cluster("stopped")
    change = {"autoscale": {"min_workers": 2, "max_workers": 6}}
    raw(w, "update", cluster_id=target, update_mask="autoscale", cluster=change)
    assert "num_workers" not in shown(w, target)["spec"]
    change["autoscale"] = {"max_workers": 9}
    raw(w, "update", cluster_id=target, update_mask="autoscale.max_workers", cluster=change)
    assert shown(w, target)["spec"]["autoscale"] == {"min_workers": 2, "max_workers": 9}
    with pytest.raises(InvalidParameterValue, match="spark_conf"):
        raw(w, "update", cluster_id=target, update_mask="spark_conf.a", cluster={"spark_conf": {"a": "c"}})


@pytest.mark.parametrize("mask", ["", "spark_version, num_workers", "cluster_id", "state", "no_such_field"])
@pytest.mark.conforms("cluster-update-mask")
def test_a_mask_that_names_no_field_is_refused(w: WorkspaceClient, cluster: ById, mask: str) -> None:
    with pytest.raises(InvalidParameterValue, match="update_mask"):
        raw(w, "update", cluster_id=cluster("stopped"), update_mask=mask, cluster={"num_workers": 2})


@pytest.mark.conforms("cluster-update-star")
def test_a_star_mask_replaces_everything(w: WorkspaceClient, cluster: ById) -> None:
    raw(w, "update", cluster_id=cluster("running"), update_mask="*", cluster=NEW)
    assert shown(w, cluster("running"))["spec"] == NEW


@pytest.mark.conforms("runtime-photon-key-and-engine")
def test_update_may_not_leave_photon_key_and_engine_side_by_side(w: WorkspaceClient, cluster: ById) -> None:
    with pytest.raises(InvalidParameterValue, match="not compatible"):
        raw(
            w,
            "update",
            cluster_id=cluster("photon"),
            update_mask="runtime_engine",
            cluster={"runtime_engine": "PHOTON"},
        )
    change = {"runtime_engine": "PHOTON", "spark_version": "17.3.x-scala2.13"}
    raw(w, "update", cluster_id=cluster("photon"), update_mask="runtime_engine,spark_version", cluster=change)
    assert shown(w, cluster("photon"))["spec"]["runtime_engine"] == "PHOTON"


@pytest.mark.conforms("cluster-pool-backed")
def test_update_of_a_pool_backed_cluster_needs_no_machine_types_and_a_full_edit_from_get_is_refused(
    w: WorkspaceClient, cluster: ById
) -> None:
    target = cluster("pooled")
    whole = shown(w, target)
    names = ("spark_version", "node_type_id", "num_workers", "instance_pool_id", "cluster_name")
    with pytest.raises(InvalidParameterValue, match="instance pool ID"):
        raw(w, "edit", cluster_id=target, **{name: whole[name] for name in names})
    raw(w, "update", cluster_id=target, update_mask="spark_version", cluster={"spark_version": "17.3.x-scala2.13"})
    assert shown(w, target)["spec"]["instance_pool_id"] == "pool-1"


@pytest.mark.conforms("cluster-single-user-caller")
def test_a_dedicated_cluster_written_without_its_user_becomes_the_callers(
    w: WorkspaceClient, dev: Workspace, cluster: ById
) -> None:
    raw(w, "edit", cluster_id=cluster("stopped"), **NEW, data_security_mode="SINGLE_USER")
    assert shown(w, cluster("stopped"))["spec"]["single_user_name"] == dev.client_id


@pytest.mark.conforms("cluster-of-services-cannot-be-edited")
def test_a_cluster_made_by_a_pipeline_cannot_be_written(w: WorkspaceClient, cluster: ById) -> None:
    target = cluster("made-by-pipeline")
    with pytest.raises(InvalidParameterValue, match=r"Cannot edit cluster .* created by Pipelines"):
        raw(w, "edit", cluster_id=target, **NEW)
    with pytest.raises(InvalidParameterValue, match=r"Cannot edit cluster .* created by Pipelines"):
        raw(w, "update", cluster_id=target, update_mask="num_workers", cluster={"num_workers": 3})
    with pytest.raises(InvalidParameterValue, match="cannot be restarted"):
        raw(w, "restart", cluster_id=target)


@pytest.mark.conforms("cluster-rights")
def test_without_the_right_a_cluster_can_be_seen_but_not_changed(w: WorkspaceClient, cluster: ById) -> None:
    assert w.clusters.get(cluster("view-only")).cluster_name == "view-only"
    with pytest.raises(PermissionDenied, match="Manage"):
        raw(w, "edit", cluster_id=cluster("view-only"), **NEW)
    with pytest.raises(PermissionDenied, match="Restart"):
        raw(w, "restart", cluster_id=cluster("view-only"))


@pytest.mark.conforms("runtime-list", "runtime-select-defaults", "runtime-scala")
def test_the_sdk_picks_versions_and_machines_from_the_lists(w: WorkspaceClient) -> None:
    assert w.clusters.select_spark_version(long_term_support=True) == "16.4.x-scala2.12"
    assert w.clusters.select_spark_version(long_term_support=True, scala="2.13") == "18.x-scala2.13"
    assert w.clusters.select_node_type(min_gpus=1) == "g4dn.xlarge"
    assert w.clusters.select_node_type(graviton=True, min_cores=8) == "r6gd.2xlarge"
    keys = {v.key for v in w.clusters.spark_versions().versions or []}
    assert {
        "13.3.x-cpu-ml-scala2.12",
        "16.4.x-scala2.13",
        "17.3.x-gpu-ml-scala2.13",
        "17.3.x-aarch64-scala2.13",
    } <= keys
    assert "17.3.x-scala2.12" not in keys


@pytest.mark.conforms("cluster-permanent-delete")
def test_permanently_deleted_is_gone(w: WorkspaceClient, cluster: ById) -> None:
    target = cluster("running")
    w.clusters.permanent_delete(target)
    with pytest.raises(NotFound):
        w.clusters.get(target)
    assert target not in {c.cluster_id for c in w.clusters.list()}


@pytest.mark.conforms("cluster-access-mode-aliases")
@pytest.mark.parametrize(
    ("more", "read"),
    [
        ({"data_security_mode": "DATA_SECURITY_MODE_STANDARD"}, "USER_ISOLATION"),
        ({"data_security_mode": "DATA_SECURITY_MODE_DEDICATED"}, "SINGLE_USER"),
        ({"data_security_mode": "DATA_SECURITY_MODE_AUTO"}, "USER_ISOLATION"),
        ({"data_security_mode": "DATA_SECURITY_MODE_AUTO", "single_user_name": "a@example.com"}, "SINGLE_USER"),
        ({"data_security_mode": "DATA_SECURITY_MODE_AUTO", "spark_version": "17.3.x-cpu-ml-scala2.13"}, "SINGLE_USER"),
        ({"data_security_mode": "LEGACY_TABLE_ACL"}, "LEGACY_TABLE_ACL"),
    ],
)
def test_an_access_mode_is_read_under_the_one_of_its_names_that_counts(
    w: WorkspaceClient, more: dict[str, Any], read: str
) -> None:
    found = shown(w, raw(w, "create", **{**NEW, **more})["cluster_id"])
    assert found["data_security_mode"] == read
    assert found["spec"]["data_security_mode"] == more["data_security_mode"]


@pytest.mark.conforms("runtime-simple-form")
def test_a_cluster_of_the_simple_form_keeps_the_plain_key_and_starts_the_ml_image(w: WorkspaceClient) -> None:
    def keys(**more: Any) -> tuple[str, str]:
        found = shown(w, raw(w, "create", **{**NEW, "kind": "CLASSIC_PREVIEW", **more})["cluster_id"])
        return found["spark_version"], found["effective_spark_version"]

    plain = "17.3.x-scala2.13"
    assert keys() == (plain, plain)
    assert keys(use_ml_runtime=True) == (plain, "17.3.x-cpu-ml-scala2.13")
    assert keys(use_ml_runtime=True, node_type_id="g5.2xlarge") == (plain, "17.3.x-gpu-ml-scala2.13")


@pytest.mark.conforms("cluster-size-is-explicit")
def test_a_single_node_needs_its_zero_workers_said(w: WorkspaceClient) -> None:
    without = {name: value for name, value in NEW.items() if name != "num_workers"}
    with pytest.raises(InvalidParameterValue, match="Missing required field: size"):
        raw(w, "create", **without)
    assert shown(w, raw(w, "create", **without, num_workers=0)["cluster_id"])["num_workers"] == 0


@pytest.mark.conforms("cluster-attributes-are-defaults")
def test_attributes_of_the_cloud_are_shown_that_nobody_asked_for(w: WorkspaceClient, cluster: ById) -> None:
    found = shown(w, cluster("stopped"))
    assert found["aws_attributes"]["availability"] == "SPOT_WITH_FALLBACK"
    assert "aws_attributes" not in found["spec"]
