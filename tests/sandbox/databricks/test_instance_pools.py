"""Instance pools: what can be written, what a pool shows of its machines, and what names a pool that is gone."""

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service import jobs as sdk_jobs

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from tests.sandbox.databricks.governed import FLEET, NEW, OLD, POOL, ById, JobById, ask, send, settings, shown

POOLS = "/api/2.0/instance-pools"
GONE = "Can't find an instance pool with id: pool-1"


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running(FLEET) as found:
        yield found


@pytest.fixture
def limited(databricks: Databricks) -> WorkspaceClient:
    ws = databricks.workspaces["limited"]
    return WorkspaceClient(host=ws.host, token=ws.token)


@pytest.mark.conforms("pool-shapes")
def test_a_pool_is_made_read_listed_and_deleted(w: WorkspaceClient) -> None:
    made = w.instance_pools.create("mine", "i3.xlarge", min_idle_instances=1, preloaded_spark_versions=[NEW])
    pool_id = str(made.instance_pool_id)
    found = w.instance_pools.get(pool_id)
    assert (found.instance_pool_name, found.node_type_id, found.preloaded_spark_versions) == (
        "mine",
        "i3.xlarge",
        [NEW],
    )
    assert found.state is not None
    assert (found.state.value, (found.default_tags or {})["Vendor"]) == ("ACTIVE", "Databricks")
    assert {p.instance_pool_id for p in w.instance_pools.list()} == {"pool-1", "pool-2", pool_id}
    w.instance_pools.delete(pool_id)
    for missing in (w.instance_pools.get, w.instance_pools.delete):
        with pytest.raises(ResourceDoesNotExist, match="Can't find an instance pool"):
            missing(pool_id)


@pytest.mark.conforms("pool-one-preloaded-version")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preloaded_spark_versions": [OLD, NEW]}, "At most one"),
        ({"preloaded_spark_versions": ["17.3.x-scala2.12"]}, "Invalid spark version"),
        ({"instance_pool_name": "first"}, "`first` already exists"),
        ({"instance_pool_name": ""}, "between 1 and 100"),
        ({"node_type_id": None}, "node_type_id"),
        ({"min_idle_instances": -1}, "min_idle_instances"),
        ({"min_idle_instances": 5, "max_capacity": 4}, "max_capacity"),
        ({"idle_instance_autotermination_minutes": 10_001}, "between 0 and 10000"),
        ({"custom_tags": {str(n): "x" for n in range(46)}}, "at most 45"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(w: WorkspaceClient, change: Any, message: str) -> None:
    body = {**POOL, "instance_pool_name": "new", **change}
    with pytest.raises(InvalidParameterValue, match=message):
        send(w, f"{POOLS}/create", **{name: value for name, value in body.items() if value is not None})
    assert len(list(w.instance_pools.list())) == 2


@pytest.mark.conforms("pool-immutable-fields")
@pytest.mark.parametrize(
    "change",
    [
        {"node_type_id": "i3.xlarge"},
        {"preloaded_spark_versions": [NEW]},
        {"preloaded_docker_images": [{"url": "x/y:1"}]},
        {"aws_attributes": {"zone_id": "auto"}},
        {"disk_spec": {"disk_count": 1}},
        {"enable_elastic_disk": False},
    ],
)
def test_what_a_pool_is_made_of_cannot_be_changed(w: WorkspaceClient, change: Any) -> None:
    before = ask(w, f"{POOLS}/get", instance_pool_id="pool-1")
    with pytest.raises(InvalidParameterValue, match=f"'{next(iter(change))}' of an instance pool cannot be changed"):
        send(w, f"{POOLS}/edit", **{**POOL, "instance_pool_name": "renamed", **change})
    assert ask(w, f"{POOLS}/get", instance_pool_id="pool-1") == before


@pytest.mark.conforms("pool-immutable-fields")
def test_name_sizes_timeout_and_tags_of_a_pool_can_be_changed(w: WorkspaceClient) -> None:
    w.instance_pools.edit("pool-1", "renamed", "i3.2xlarge", min_idle_instances=1, custom_tags={"a": "b"})
    found = w.instance_pools.get("pool-1")
    assert (found.instance_pool_name, found.min_idle_instances, found.custom_tags) == ("renamed", 1, {"a": "b"})
    assert found.preloaded_spark_versions == [OLD]
    with pytest.raises(InvalidParameterValue, match="node_type_id"):
        send(w, f"{POOLS}/edit", instance_pool_id="pool-1", instance_pool_name="renamed")


@pytest.mark.conforms("pool-stats-follow-clusters")
def test_the_machines_of_a_pool_follow_from_the_clusters_that_use_it(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, job: JobById
) -> None:
    def counts(pool_id: str) -> tuple[Any, ...]:
        stats = w.instance_pools.get(pool_id).stats
        assert stats is not None
        return stats.used_count, stats.pending_used_count, stats.idle_count

    assert (counts("pool-1"), counts("pool-2")) == ((2, 0, 2), (1, 0, 0))
    w.clusters.start(cluster("pooled"))
    assert counts("pool-1") == (2, 3, 2)
    databricks.step(600)
    assert counts("pool-1") == (5, 0, 2)
    w.jobs.run_now(job("pooled"))
    databricks.step(600)
    assert counts("pool-1") == (8, 0, 2)
    w.instance_pools.edit("pool-1", "first", "i3.2xlarge", min_idle_instances=2, max_capacity=9)
    assert counts("pool-1") == (8, 0, 1)
    listed = {p.instance_pool_id: p.stats.used_count for p in w.instance_pools.list() if p.stats}
    assert listed == {"pool-1": 8, "pool-2": 1}


@pytest.mark.conforms("pool-preloaded-starts-faster")
def test_a_start_from_a_pool_is_quicker_and_quickest_with_the_runtime_that_it_has_loaded(
    w: WorkspaceClient, databricks: Databricks
) -> None:
    def took(**spec: Any) -> int:
        body = {"cluster_name": "x", "spark_version": OLD, "num_workers": 1, **spec}
        cluster_id = send(w, "/api/2.1/clusters/create", **body)["cluster_id"]
        ws = databricks.workspaces["dev"]
        return ws.clusters[cluster_id].until - databricks.now()

    loaded = [took(instance_pool_id="pool-1") for _ in range(5)]
    other = [took(instance_pool_id="pool-1", spark_version=NEW) for _ in range(5)]
    fresh = [took(node_type_id="i3.xlarge") for _ in range(5)]
    assert sum(loaded) < sum(other) < sum(fresh)


@pytest.mark.conforms("pool-unknown-is-refused")
def test_a_pool_that_there_is_not_is_refused_by_clusters_and_jobs(w: WorkspaceClient, job: JobById) -> None:
    spec = {"spark_version": OLD, "num_workers": 1}
    for pools in ({"instance_pool_id": "none"}, {"instance_pool_id": "pool-1", "driver_instance_pool_id": "none"}):
        with pytest.raises(InvalidParameterValue, match="Can't find an instance pool with id: none"):
            send(w, "/api/2.1/clusters/create", **spec, **pools)
        task = {"task_key": "t", "new_cluster": {**spec, **pools}}
        with pytest.raises(InvalidParameterValue, match="Can't find an instance pool with id: none"):
            send(w, "/api/2.2/jobs/reset", job_id=job("plain"), new_settings={"tasks": [task]})
    with pytest.raises(InvalidParameterValue, match="'instance_pool_id' must be supplied"):
        send(w, "/api/2.1/clusters/create", **spec, node_type_id="i3.xlarge", driver_instance_pool_id="pool-1")


@pytest.mark.conforms("pool-delete-breaks-referents")
def test_what_names_a_deleted_pool_runs_on_and_can_be_neither_started_nor_edited(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, job: JobById
) -> None:
    w.instance_pools.delete("pool-1")
    assert shown(w, cluster("pooled-running"))["state"] == "RUNNING"
    for attempt in (
        lambda: w.clusters.start(cluster("pooled")),
        lambda: w.clusters.restart(cluster("pooled-running")),
        lambda: send(
            w,
            "/api/2.1/clusters/update",
            cluster_id=cluster("pooled"),
            update_mask="num_workers",
            cluster={"num_workers": 3},
        ),
        lambda: w.jobs.update(job("pooled"), new_settings=sdk_jobs.JobSettings(name="renamed")),
    ):
        with pytest.raises(InvalidParameterValue, match=GONE):
            attempt()
    own, shared = w.jobs.run_now(job("pooled")).response, w.jobs.run_now(job("on-pooled")).response
    databricks.step(1200)
    codes = {
        run.run_id: ask(w, "/api/2.2/jobs/runs/get", run_id=run.run_id)["status"]["termination_details"]["code"]
        for run in (own, shared)
    }
    assert codes == {own.run_id: "INVALID_CLUSTER_REQUEST", shared.run_id: "CLUSTER_ERROR"}
    reason = shown(w, cluster("pooled"))["termination_reason"]
    assert (reason["code"], reason["type"]) == ("INSTANCE_POOL_NOT_FOUND", "CLIENT_ERROR")
    moved = {
        "cluster_id": cluster("pooled"),
        "update_mask": "instance_pool_id",
        "cluster": {"instance_pool_id": "pool-2"},
    }
    send(w, "/api/2.1/clusters/update", **moved)
    w.clusters.start(cluster("pooled"))


@pytest.mark.conforms("cluster-driver-pool-moves-too")
def test_the_driver_stays_on_the_old_pool_unless_it_is_moved_too(w: WorkspaceClient, cluster: ById) -> None:
    assert shown(w, cluster("pooled"))["driver_instance_pool_id"] == "pool-1"
    assert "driver_instance_pool_id" not in shown(w, cluster("pooled"))["spec"]
    target = cluster("pooled-running")
    moved = {"cluster_id": target, "update_mask": "instance_pool_id", "cluster": {"instance_pool_id": "pool-2"}}
    send(w, "/api/2.1/clusters/update", **moved)
    whole = shown(w, cluster("pooled"))
    names = ("spark_version", "num_workers", "cluster_name", "driver_instance_pool_id")
    body = {name: whole[name] for name in names}
    send(w, "/api/2.1/clusters/edit", cluster_id=cluster("pooled"), instance_pool_id="pool-2", **body)
    found = shown(w, cluster("pooled"))
    assert (found["instance_pool_id"], found["driver_instance_pool_id"]) == ("pool-2", "pool-1")
    w.instance_pools.delete("pool-1")
    with pytest.raises(InvalidParameterValue, match=GONE):
        w.clusters.start(cluster("pooled"))


@pytest.mark.conforms("pool-rights")
def test_making_a_pool_is_for_administrators_and_changing_one_for_those_who_may_manage_it(
    limited: WorkspaceClient, databricks: Databricks
) -> None:
    assert [p.instance_pool_id for p in limited.instance_pools.list()] == ["pool-1"]
    with pytest.raises(PermissionDenied):
        limited.instance_pools.create("mine", "i3.xlarge")
    limited.instance_pools.edit("pool-1", "ours", "i3.2xlarge")
    weak = {"group_name": "users", "permission_level": "CAN_ATTACH_TO"}
    databricks.workspaces["limited"].shelf("permissions")["instance-pools/pool-1"] = {"entries": [weak]}
    with pytest.raises(PermissionDenied):
        limited.instance_pools.edit("pool-1", "theirs", "i3.2xlarge")
    with pytest.raises(PermissionDenied):
        limited.instance_pools.delete("pool-1")


def test_a_job_keeps_its_pool_and_needs_no_machine_type(w: WorkspaceClient, job: JobById) -> None:
    stored = settings(w, job("pooled"))["job_clusters"][0]["new_cluster"]
    assert (stored["instance_pool_id"], "node_type_id" in stored) == ("pool-1", False)
    w.jobs.update(job("pooled"), new_settings=sdk_jobs.JobSettings(name="renamed"))
