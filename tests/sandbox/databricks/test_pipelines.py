"""Pipelines: what they say of themselves, full replacement, updates, events, and jobs that update them."""

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, ResourceConflict
from databricks.sdk.service import pipelines
from databricks.sdk.service.pipelines import PipelineState, UpdateInfoState

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace
from sandbox.fleets import short_form

NODES = [{"label": "default", "node_type_id": "i3.xlarge", "num_workers": 2}]
FLEET: dict[str, Any] = {
    "workspaces": {
        "dev": {
            "pipelines": [
                {"name": "nightly", "clusters": NODES, "minutes": 10, "spread": 0, "failure": 0, "channel": "PREVIEW"},
                {"name": "live", "clusters": NODES, "continuous": True, "failure": 0, "tables": ["a", "b"]},
                {"name": "shaky", "serverless": True, "failure": 1},
            ],
            "jobs": [
                {"name": "refresh", "minutes": 12, "failure": 0, "tasks": [{"key": "update", "pipeline": "nightly"}]}
            ],
        }
    }
}
NIGHTLY, LIVE, SHAKY = (short_form.pipeline_id("dev", name) for name in ("nightly", "live", "shaky"))
REFRESH = short_form.job_id("dev", "refresh")
HOUR = 3600


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    """One workspace with three pipelines."""
    with running(FLEET) as found:
        yield found


def shown(w: WorkspaceClient, pipeline_id: str) -> Any:
    return w.api_client.do("GET", f"/api/2.0/pipelines/{pipeline_id}")


def put(w: WorkspaceClient, pipeline_id: str, **spec: Any) -> None:
    w.api_client.do("PUT", f"/api/2.0/pipelines/{pipeline_id}", body=spec)


@pytest.mark.conforms("pipeline-channel-instead-of-version", "pipeline-list-get")
def test_a_pipeline_names_a_channel_and_its_cluster_a_runtime_that_nobody_chose(
    w: WorkspaceClient, databricks: Databricks
) -> None:
    live = w.pipelines.get(LIVE)
    assert (live.state, live.spec and live.spec.channel) == (PipelineState.RUNNING, "CURRENT")
    cluster = w.clusters.get(str(live.cluster_id))
    assert str(cluster.spark_version).startswith("dlt:")
    assert (cluster.cluster_source and cluster.cluster_source.value) == "PIPELINE"
    assert "spark_version" not in shown(w, LIVE)["spec"]["clusters"][0]
    with pytest.raises(InvalidParameterValue, match="spark_version"):
        put(w, LIVE, name="live", clusters=[{**NODES[0], "spark_version": "17.3.x-scala2.13"}])
    with pytest.raises(InvalidParameterValue, match="created by Pipelines"):
        w.clusters.edit(str(live.cluster_id), "17.3.x-scala2.13", num_workers=1, node_type_id="i3.xlarge")


@pytest.mark.conforms("pipeline-list-get")
def test_the_list_is_paged_and_filtered_by_name(w: WorkspaceClient) -> None:
    assert [p.name for p in w.pipelines.list_pipelines(max_results=2)] == ["live", "nightly", "shaky"]
    assert [p.name for p in w.pipelines.list_pipelines(filter="name LIKE 'n%'")] == ["nightly"]
    (live,) = w.pipelines.list_pipelines(filter="name LIKE 'live'")
    assert (live.latest_updates or [])[0].state == pipelines.UpdateStateInfoState.RUNNING
    with pytest.raises(InvalidParameterValue, match="filter"):
        list(w.pipelines.list_pipelines(filter="owner = 'x'"))
    with pytest.raises(NotFound, match="not found"):
        w.pipelines.get("none")


@pytest.mark.conforms("pipeline-update-replaces-all")
def test_an_update_of_the_settings_replaces_all_of_them(w: WorkspaceClient) -> None:
    put(w, NIGHTLY, name="nightly", id=NIGHTLY, future={"x": []}, configuration={"a": "b"})
    spec = shown(w, NIGHTLY)["spec"]
    assert (spec["future"], spec["channel"], spec["id"], spec.get("clusters")) == ({"x": []}, "CURRENT", NIGHTLY, None)


@pytest.mark.conforms("pipeline-expected-last-modified")
def test_settings_that_changed_since_are_not_overwritten(w: WorkspaceClient) -> None:
    seen = w.pipelines.get(NIGHTLY).last_modified
    w.pipelines.update(NIGHTLY, name="nightly", channel="CURRENT", expected_last_modified=seen)
    with pytest.raises(ResourceConflict, match="modified after"):
        w.pipelines.update(NIGHTLY, name="nightly", channel="PREVIEW", expected_last_modified=seen)
    assert shown(w, NIGHTLY)["spec"]["channel"] == "CURRENT"
    with pytest.raises(ResourceConflict, match="already used"):
        w.pipelines.update(NIGHTLY, name="live")
    w.pipelines.update(NIGHTLY, name="live", allow_duplicate_names=True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "name"),
        ({"name": "x", "channel": "OLD"}, "channel"),
        ({"name": "x", "clusters": "many"}, "clusters"),
        ({"name": "x", "continuous": "yes"}, "continuous"),
        ({"name": "x", "serverless": True, "clusters": NODES}, "serverless"),
    ],
)
def test_settings_that_cannot_be_are_refused_and_change_nothing(
    w: WorkspaceClient, spec: dict[str, Any], message: str
) -> None:
    before = shown(w, NIGHTLY)
    with pytest.raises(BadRequest, match=message):
        put(w, NIGHTLY, **spec)
    assert shown(w, NIGHTLY) == before


@pytest.mark.conforms("pipeline-start-update", "pipeline-one-update-at-a-time")
def test_an_update_goes_through_its_states_and_only_one_runs_at_a_time(
    w: WorkspaceClient, databricks: Databricks
) -> None:
    update_id = str(w.pipelines.start_update(NIGHTLY).update_id)

    def state() -> UpdateInfoState | None:
        update = w.pipelines.get_update(NIGHTLY, update_id).update
        assert update is not None
        return update.state

    assert state() == UpdateInfoState.CREATED
    assert w.pipelines.get(NIGHTLY).state == PipelineState.STARTING
    with pytest.raises(ResourceConflict, match=f"active update {update_id} already exists"):
        w.pipelines.start_update(NIGHTLY)
    seen = []
    for _ in range(60):
        databricks.step(20)
        seen.append(state())
    assert (
        list(dict.fromkeys(seen))
        == [
            UpdateInfoState.WAITING_FOR_RESOURCES,
            UpdateInfoState.INITIALIZING,
            UpdateInfoState.SETTING_UP_TABLES,
            UpdateInfoState.RUNNING,
            UpdateInfoState.COMPLETED,
        ][: len(set(seen))]
    )
    databricks.step(HOUR)
    assert state() == UpdateInfoState.COMPLETED
    idle = w.pipelines.get(NIGHTLY)
    assert (idle.state, idle.cluster_id) == (PipelineState.IDLE, None)
    listed = w.pipelines.list_updates(NIGHTLY).updates or []
    assert [u.update_id for u in listed] == [update_id]
    config = listed[0].config
    assert config is not None
    assert config.channel == "PREVIEW"
    w.pipelines.start_update(NIGHTLY, full_refresh=True)


@pytest.mark.conforms("pipeline-full-refresh-resets")
def test_a_full_refresh_resets_the_tables_first(w: WorkspaceClient, databricks: Databricks) -> None:
    update_id = str(w.pipelines.start_update(NIGHTLY, full_refresh=True).update_id)
    seen = set()
    for _ in range(80):
        databricks.step(10)
        update = w.pipelines.get_update(NIGHTLY, update_id).update
        assert update is not None
        assert update.full_refresh
        seen.add(update.state)
    assert UpdateInfoState.RESETTING in seen


@pytest.mark.conforms("pipeline-stop")
def test_stop_cancels_the_update_under_way_and_its_cluster_goes(
    w: WorkspaceClient, databricks: Databricks, dev: Workspace
) -> None:
    (cluster_id,) = (c for c, cluster in dev.clusters.items() if cluster.state == "RUNNING")
    w.api_client.do("POST", f"/api/2.0/pipelines/{LIVE}/stop")
    assert w.pipelines.get(LIVE).state == PipelineState.STOPPING
    databricks.step(300)
    assert w.pipelines.get(LIVE).state == PipelineState.IDLE
    assert (w.pipelines.list_updates(LIVE).updates or [])[0].state == UpdateInfoState.CANCELED
    assert dev.clusters[cluster_id].state == "TERMINATED"
    w.api_client.do("POST", f"/api/2.0/pipelines/{LIVE}/stop")
    w.pipelines.start_update(LIVE)
    databricks.step(30 * 24 * HOUR)
    assert w.pipelines.get(LIVE).state == PipelineState.RUNNING


@pytest.mark.conforms("pipeline-events")
def test_events_tell_progress_and_backlog_and_can_be_selected(w: WorkspaceClient, databricks: Databricks) -> None:
    path = f"/api/2.0/pipelines/{LIVE}/events"

    def events(**query: Any) -> list[Any]:
        answer: Any = w.api_client.do("GET", path, query={"max_results": 250, **query})
        return list(answer.get("events", []))

    metrics = events(filter="level='METRICS'")
    assert {e["origin"]["flow_name"] for e in metrics} == {"a", "b"}
    assert all(e["details"]["flow_progress"]["metrics"]["backlog_bytes"] >= 0 for e in metrics)
    stamps = [e["timestamp"] for e in events()]
    assert stamps == sorted(stamps, reverse=True)
    middle = stamps[len(stamps) // 2]
    later = events(filter=f"timestamp > '{middle}' AND level in ('METRICS', 'INFO')", order_by="timestamp asc")
    assert 0 < len(later) < len(stamps)
    assert all(e["timestamp"] > middle for e in later)
    typed = list(w.pipelines.list_pipeline_events(LIVE, max_results=10))
    assert len(typed) == len(stamps)
    with pytest.raises(InvalidParameterValue, match="filter"):
        events(filter="colour = 'red'")


def test_a_failed_update_is_told_by_health_and_events(w: WorkspaceClient, databricks: Databricks) -> None:
    w.pipelines.start_update(SHAKY)
    databricks.step(2 * HOUR)
    found = w.pipelines.get(SHAKY)
    assert (found.health, found.cluster_id) == (pipelines.GetPipelineResponseHealth.UNHEALTHY, None)
    errors = list(w.pipelines.list_pipeline_events(SHAKY, filter="level='ERROR'"))
    assert {e.event_type for e in errors} == {"flow_progress", "update_progress"}


@pytest.mark.conforms("pipeline-task-starts-update")
def test_a_pipeline_task_starts_an_update_that_ends_with_it(w: WorkspaceClient, databricks: Databricks) -> None:
    run_id = w.jobs.run_now(REFRESH).run_id
    databricks.step(120)
    update = (w.pipelines.list_updates(NIGHTLY).updates or [])[0]
    assert (update.cause, update.state == UpdateInfoState.COMPLETED) == (pipelines.UpdateInfoCause.JOB_TASK, False)
    databricks.step(HOUR)
    assert w.jobs.get_run(run_id).state.result_state.value == "SUCCESS"  # type: ignore[union-attr]
    assert (w.pipelines.list_updates(NIGHTLY).updates or [])[0].state == UpdateInfoState.COMPLETED


@pytest.mark.conforms("pipeline-task-starts-update", "pipeline-one-update-at-a-time")
def test_a_pipeline_task_fails_while_another_update_runs(w: WorkspaceClient, databricks: Databricks) -> None:
    w.pipelines.start_update(NIGHTLY)
    run_id = w.jobs.run_now(REFRESH).run_id
    databricks.step(60)
    run = w.jobs.get_run(run_id)
    assert run.state is not None
    assert run.state.result_state is not None
    assert run.state.result_state.value == "FAILED"
    task = (run.tasks or [])[0]
    assert "already exists" in str(w.jobs.get_run_output(task.run_id or 0).error)


def test_cancelling_the_run_cancels_the_update_of_its_task(w: WorkspaceClient, databricks: Databricks) -> None:
    run_id = w.jobs.run_now(REFRESH).run_id
    databricks.step(120)
    w.jobs.cancel_run(run_id)
    databricks.step(60)
    assert (w.pipelines.list_updates(NIGHTLY).updates or [])[0].state == UpdateInfoState.CANCELED
    assert w.pipelines.get(NIGHTLY).state == PipelineState.IDLE
