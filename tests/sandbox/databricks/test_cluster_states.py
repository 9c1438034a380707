"""The state machine of clusters on the calendar, and what their events tell of it."""

from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidState
from databricks.sdk.service import compute

from sandbox.databricks.databricks import Databricks

ById = Callable[[str], str]
Kinds = Callable[[str], list[str]]
MINUTE = 60


def change(w: WorkspaceClient, cluster_id: str, runtime: str = "17.3.x-scala2.13") -> None:
    w.clusters.update(cluster_id, "spark_version", cluster=compute.UpdateClusterResource(spark_version=runtime))


def state(w: WorkspaceClient, cluster_id: str) -> str:
    found = w.clusters.get(cluster_id).state
    assert found is not None
    return found.value


@pytest.mark.conforms("cluster-edit-restarts-running")
@pytest.mark.conforms("cluster-edit-is-seen-in-events")
def test_an_edit_restarts_a_running_cluster(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, kinds: Kinds
) -> None:
    target = cluster("running")
    before, now = w.clusters.get(target), databricks.now()
    change(w, target)
    during = w.clusters.get(target)
    assert during.state == compute.State.RESTARTING
    assert during.spark_version == "17.3.x-scala2.13"
    assert during.last_restarted_time == now
    assert during.start_time == before.start_time
    databricks.step(6 * MINUTE)
    assert state(w, target) == "RUNNING"
    assert kinds(target)[3:] == ["EDITED", "RESTARTING", "RUNNING", "DRIVER_HEALTHY"]


def test_a_restart_takes_two_to_six_minutes(w: WorkspaceClient, databricks: Databricks, cluster: ById) -> None:
    change(w, cluster("running"))
    databricks.step(2 * MINUTE - 1)
    assert state(w, cluster("running")) == "RESTARTING"
    databricks.step(4 * MINUTE + 1)
    assert state(w, cluster("running")) == "RUNNING"


@pytest.mark.conforms("cluster-edit-leaves-terminated")
def test_an_edit_leaves_a_terminated_cluster_terminated_until_it_is_started(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, kinds: Kinds
) -> None:
    target = cluster("stopped")
    change(w, target)
    databricks.step(60 * MINUTE)
    assert state(w, target) == "TERMINATED"
    assert w.clusters.get(target).spark_version == "17.3.x-scala2.13"
    assert kinds(target)[-1] == "EDITED"
    w.clusters.start(target)
    assert state(w, target) == "PENDING"
    databricks.step(6 * MINUTE)
    assert state(w, target) == "RUNNING"
    assert kinds(target)[-3:] == ["STARTING", "RUNNING", "DRIVER_HEALTHY"]


@pytest.mark.parametrize("name", ["arriving", "growing", "coming-back", "leaving"])
@pytest.mark.conforms("cluster-edit-invalid-state")
def test_in_every_other_state_an_edit_is_an_invalid_state(w: WorkspaceClient, cluster: ById, name: str) -> None:
    with pytest.raises(InvalidState, match="RUNNING or TERMINATED"):
        change(w, cluster(name))
    with pytest.raises(InvalidState):
        w.clusters.edit(cluster(name), "17.3.x-scala2.13", num_workers=1, node_type_id="i3.xlarge")
    assert w.clusters.get(cluster(name)).spark_version == "13.3.x-scala2.12"


@pytest.mark.parametrize(
    ("name", "end"),
    [("arriving", "RUNNING"), ("growing", "RUNNING"), ("coming-back", "RUNNING"), ("leaving", "TERMINATED")],
)
@pytest.mark.conforms("cluster-edit-invalid-state")
def test_passing_states_end_by_themselves_and_then_an_edit_is_accepted(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, name: str, end: str
) -> None:
    databricks.step(3 * MINUTE)
    assert state(w, cluster(name)) == end
    change(w, cluster(name))


@pytest.mark.conforms("cluster-waiter-trap")
def test_the_waiter_of_an_edit_fails_on_a_terminated_cluster_although_the_edit_worked(
    w: WorkspaceClient, cluster: ById
) -> None:
    from databricks.sdk.errors import OperationFailed

    wait = w.clusters.update(cluster("stopped"), "num_workers", cluster=compute.UpdateClusterResource(num_workers=5))
    with pytest.raises(OperationFailed, match=r"got State\.TERMINATED"):
        wait.result()
    assert w.clusters.get(cluster("stopped")).num_workers == 5


@pytest.mark.parametrize("name", ["running", "arriving", "growing", "coming-back", "leaving"])
@pytest.mark.conforms("cluster-start-from-terminated")
def test_only_a_terminated_cluster_can_be_started(w: WorkspaceClient, cluster: ById, name: str) -> None:
    with pytest.raises(InvalidState, match="unexpected state"):
        w.clusters.start(cluster(name))


@pytest.mark.parametrize("name", ["stopped", "arriving", "growing", "coming-back", "leaving"])
@pytest.mark.conforms("cluster-restart-not-running")
def test_restart_of_what_is_not_running_does_nothing(
    w: WorkspaceClient, cluster: ById, kinds: Kinds, name: str
) -> None:
    before, events = state(w, cluster(name)), kinds(cluster(name))
    w.clusters.restart(cluster(name))
    assert (state(w, cluster(name)), kinds(cluster(name))) == (before, events)


@pytest.mark.conforms("cluster-restart-not-running")
def test_restart_of_a_running_cluster_is_one_restarting_event(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, kinds: Kinds
) -> None:
    w.clusters.restart(cluster("running"))
    assert state(w, cluster("running")) == "RESTARTING"
    databricks.step(6 * MINUTE)
    assert kinds(cluster("running")).count("RESTARTING") == 1
    assert state(w, cluster("running")) == "RUNNING"


@pytest.mark.conforms("cluster-delete-terminates")
def test_delete_terminates_and_a_second_one_does_nothing(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, kinds: Kinds
) -> None:
    target = cluster("running")
    w.clusters.delete(target)
    assert state(w, target) == "TERMINATING"
    w.clusters.delete(target)
    databricks.step(2 * MINUTE)
    w.clusters.delete(target)
    found = w.clusters.get(target)
    assert found.state == compute.State.TERMINATED
    assert found.termination_reason is not None
    assert found.termination_reason.code == compute.TerminationReasonCode.USER_REQUEST
    assert databricks.now() - 120_000 <= (found.terminated_time or 0) <= databricks.now()
    assert kinds(target).count("TERMINATING") == 1


@pytest.mark.conforms("cluster-autotermination")
def test_an_idle_cluster_ends_after_its_minutes_on_the_calendar(
    w: WorkspaceClient, databricks: Databricks, cluster: ById
) -> None:
    databricks.step(19 * MINUTE)
    assert state(w, cluster("idle")) == "RUNNING"
    databricks.step(13 * MINUTE)
    found = w.clusters.get(cluster("idle"))
    assert found.state == compute.State.TERMINATED
    assert found.termination_reason is not None
    assert found.termination_reason.code == compute.TerminationReasonCode.INACTIVITY
    assert state(w, cluster("running")) == "RUNNING"


def test_a_restart_counts_as_use(w: WorkspaceClient, databricks: Databricks, cluster: ById) -> None:
    databricks.step(15 * MINUTE)
    w.clusters.restart(cluster("idle"))
    databricks.step(25 * MINUTE)
    assert state(w, cluster("idle")) == "RUNNING"


def test_one_big_step_leaves_the_same_events_as_many_small_ones(databricks: Databricks, tiny: dict[str, Any]) -> None:
    from sandbox.databricks.server import running

    with running(tiny) as other:
        for one in (databricks, other):
            ws = one.workspaces["dev"]
            client = WorkspaceClient(host=ws.host, token=ws.token)
            change(client, next(c.cluster_id for c in ws.clusters.values() if c.name == "running"))
        for _ in range(48):
            other.step(30 * MINUTE)
            other.advance()
        databricks.step(24 * 60 * MINUTE)
        databricks.advance()
        ours, theirs = databricks.workspaces["dev"], other.workspaces["dev"]
        assert {k: [e["type"] for e in c.events] for k, c in ours.clusters.items()} == {
            k: [e["type"] for e in c.events] for k, c in theirs.clusters.items()
        }
        assert [(r.run_id, r.start, r.end, r.code) for r in ours.log] == [
            (r.run_id, r.start, r.end, r.code) for r in theirs.log
        ]


@pytest.mark.conforms("cluster-resizing-blocks-edits")
def test_the_autoscaler_resizes_and_the_cluster_comes_back(databricks: Databricks, cluster: ById) -> None:
    ws = databricks.workspaces["dev"]
    growing = ws.clusters[cluster("running")]
    growing.spec = {**growing.spec, "autoscale": {"min_workers": 1, "max_workers": 4}}
    growing.resizes = 60
    from sandbox.databricks import cluster_life

    cluster_life.run_now(ws, growing, ws.now)
    seen = set()
    for _ in range(120):
        databricks.step(MINUTE)
        databricks.advance()
        seen.add(growing.state)
    assert seen == {"RUNNING", "RESIZING"}


@pytest.mark.conforms("cluster-events")
def test_events_are_paged_newest_first_and_filtered(w: WorkspaceClient, databricks: Databricks, cluster: ById) -> None:
    target = cluster("running")
    for _ in range(4):
        w.clusters.restart(target)
        databricks.step(10 * MINUTE)
    every = list(w.clusters.events(target, page_size=3))
    assert [e.timestamp for e in every] == sorted((e.timestamp or 0 for e in every), reverse=True)
    assert len(every) == len(databricks.workspaces["dev"].clusters[target].events)
    only = list(w.clusters.events(target, event_types=[compute.EventType.RESTARTING], order=compute.GetEventsOrder.ASC))
    assert [e.type for e in only] == [compute.EventType.RESTARTING] * 4
    late = list(w.clusters.events(target, start_time=only[2].timestamp, event_types=[compute.EventType.RESTARTING]))
    assert len(late) == 2
    page: Any = w.api_client.do("POST", "/api/2.1/clusters/events", body={"cluster_id": target, "page_size": 2})
    assert page["total_count"] == len(every)
    assert page["next_page"]["page_token"] == page["next_page_token"]


@pytest.mark.conforms("cluster-edit-is-seen-in-events")
def test_an_edited_event_tells_before_after_and_who(w: WorkspaceClient, cluster: ById) -> None:
    change(w, cluster("stopped"))
    event = next(iter(w.clusters.events(cluster("stopped"), event_types=[compute.EventType.EDITED])))
    assert event.details is not None
    assert event.details.attributes is not None
    assert event.details.previous_attributes is not None
    assert event.details.attributes.spark_version == "17.3.x-scala2.13"
    assert event.details.previous_attributes.spark_version == "13.3.x-scala2.12"
    assert event.details.user == w.current_user.me().user_name


@pytest.mark.conforms("cluster-edit-may-still-show-running")
def test_a_look_right_after_an_edit_may_still_see_the_cluster_running_before_it_restarts(tiny: dict[str, Any]) -> None:
    from sandbox.databricks.server import running
    from sandbox.fleets import short_form

    late = {"name": "late", "like": "standard", "state": "RUNNING", "restarts_late": 20}
    with running({**tiny, "workspaces": {"dev": {"clusters": [late]}}}) as databricks:
        ws = databricks.workspaces["dev"]
        w, target = WorkspaceClient(host=ws.host, token=ws.token), short_form.cluster_id("dev", "late")
        before = w.clusters.get(target).last_restarted_time
        change(w, target)
        found = w.clusters.get(target)
        assert (found.state, found.spark_version) == (compute.State.RUNNING, "17.3.x-scala2.13")
        assert found.last_restarted_time == before
        assert next(iter(w.clusters.events(target))).type == compute.EventType.EDITED
        databricks.step(19)
        change(w, target, "16.4.x-scala2.12")
        databricks.step(1)
        found = w.clusters.get(target)
        assert (found.state, found.last_restarted_time) == (compute.State.RESTARTING, databricks.now())
        databricks.step(10 * MINUTE)
        assert state(w, target) == "RUNNING"
        assert ws.restarts_of(target) == 1


@pytest.mark.conforms("cluster-edit-kills-what-runs-on-it")
def test_an_edit_of_a_running_cluster_kills_the_runs_on_it(
    w: WorkspaceClient, databricks: Databricks, cluster: ById, job: Callable[[str], int]
) -> None:
    run: Any = w.jobs.run_now(job("on-shared")).response
    databricks.step(MINUTE)
    change(w, cluster("shared"))
    databricks.step(MINUTE)
    found = w.jobs.get_run(run.run_id)
    assert found.status is not None
    assert found.status.termination_details is not None
    assert str(found.status.termination_details.code).endswith("CLUSTER_ERROR")


@pytest.mark.conforms("no-optimistic-lock")
def test_two_edits_of_which_one_does_not_know_the_other_are_both_accepted(w: WorkspaceClient, cluster: ById) -> None:
    whole = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge"}
    w.clusters.edit(cluster("stopped"), num_workers=5, spark_conf={"mine": "1"}, **whole)
    w.clusters.edit(cluster("stopped"), num_workers=6, **whole)
    found = w.clusters.get(cluster("stopped"))
    assert (found.num_workers, found.spark_conf) == (6, None)
