"""Runs: starting, reading, cancelling, what they say about how they ended."""

from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, InvalidState, NotFound
from databricks.sdk.service import jobs

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.workspace import Workspace

ById = Callable[[str], int]
CLUSTER = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
HOUR = 3600


def life(run: jobs.Run) -> tuple[str, str | None]:
    assert run.state is not None
    assert run.state.life_cycle_state is not None
    return run.state.life_cycle_state.value, run.state.result_state.value if run.state.result_state else None


def make(w: WorkspaceClient, **more: Any) -> int:
    body = {"name": "made", "tasks": [{"task_key": "a", "new_cluster": CLUSTER}], **more}
    answer: Any = w.api_client.do("POST", "/api/2.2/jobs/create", body=body)
    return int(answer["job_id"])


def test_a_run_is_pending_then_running_then_ended(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    run_id = w.jobs.run_now(job("manual")).run_id
    assert life(w.jobs.get_run(run_id)) == ("PENDING", None)
    databricks.step(6 * 60)
    running = w.jobs.get_run(run_id)
    assert life(running) == ("RUNNING", None)
    assert running.status is not None
    assert running.status.state == jobs.RunLifecycleStateV2State.RUNNING
    databricks.step(HOUR)
    ended = w.jobs.get_run(run_id)
    assert life(ended) == ("TERMINATED", "SUCCESS")
    assert ended.status is not None
    assert ended.status.termination_details is not None
    assert ended.status.termination_details.code == jobs.TerminationCodeCode.SUCCESS
    assert ended.end_time == (ended.start_time or 0) + (ended.run_duration or 0)
    assert ended.run_duration == (ended.setup_duration or 0) + (ended.execution_duration or 0)
    assert 120_000 <= (ended.setup_duration or 0) <= 360_000
    assert (ended.run_type, ended.trigger) == (jobs.RunType.JOB_RUN, jobs.TriggerType.ONE_TIME)


@pytest.mark.conforms("idempotency-token")
def test_the_same_token_gives_the_same_run(w: WorkspaceClient, job: ById) -> None:
    first: Any = w.jobs.run_now(job("manual"), idempotency_token="t").run_id
    assert w.jobs.run_now(job("manual"), idempotency_token="t").run_id == first
    assert w.jobs.run_now(job("manual"), idempotency_token="u").run_id != first
    with pytest.raises(InvalidParameterValue, match="64 characters"):
        w.jobs.run_now(job("manual"), idempotency_token="x" * 65)


@pytest.mark.conforms("idempotency-token")
def test_the_token_of_a_deleted_run_is_an_error(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    run_id = w.jobs.run_now(job("manual"), idempotency_token="t").run_id
    with pytest.raises(InvalidState, match="active"):
        w.jobs.delete_run(run_id)
    databricks.step(2 * HOUR)
    w.jobs.delete_run(run_id)
    with pytest.raises(NotFound):
        w.jobs.get_run(run_id)
    with pytest.raises(InvalidParameterValue, match="deleted"):
        w.jobs.run_now(job("manual"), idempotency_token="t")


def test_the_run_of_each_task_shows_the_runtime_it_ran_on(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    run_id = w.jobs.run_now(job("manual")).run_id
    databricks.step(2 * HOUR)
    run: Any = w.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})
    assert run["cluster_spec"]["new_cluster"]["spark_version"] == "13.3.x-scala2.12"
    assert run["job_clusters"][0]["new_cluster"]["spark_version"] == "13.3.x-scala2.12"
    task = run["tasks"][0]
    assert task["job_cluster_key"] == "main"
    own = w.clusters.get(task["cluster_instance"]["cluster_id"])
    assert (own.spark_version, own.cluster_source and own.cluster_source.value) == ("13.3.x-scala2.12", "JOB")
    of_task = w.jobs.get_run(task["run_id"])
    assert of_task.job_run_id == run_id
    assert [t.task_key for t in of_task.tasks or []] == ["only"]


def test_a_job_made_cluster_is_listed_while_it_runs_and_cannot_be_edited(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    w.jobs.run_now(job("manual"))
    databricks.step(6 * 60)
    made = [c for c in w.clusters.list() if c.cluster_source and c.cluster_source.value == "JOB"]
    (own,) = [c for c in made if str(job("manual")) in str(c.cluster_name)]
    with pytest.raises(InvalidParameterValue, match=r"Cannot edit cluster .* created by JobLauncher"):
        w.clusters.edit(str(own.cluster_id), "17.3.x-scala2.13", num_workers=1, node_type_id="i3.xlarge")
    databricks.step(2 * HOUR)
    assert str(own.cluster_id) not in {c.cluster_id for c in w.clusters.list()}


@pytest.mark.conforms("only-timeout-reaches-active-runs")
def test_an_edited_job_runs_on_the_new_runtime_from_its_next_run_on(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    old = w.jobs.run_now(job("manual")).run_id
    moved: Any = {"job_cluster_key": "main", "new_cluster": {**CLUSTER, "spark_version": "17.3.x-scala2.13"}}
    body = {"job_id": job("manual"), "new_settings": {"job_clusters": [moved]}}
    w.api_client.do("POST", "/api/2.2/jobs/update", body=body)
    databricks.step(2 * HOUR)
    new = w.jobs.run_now(job("manual")).run_id

    def version(run_id: int) -> str | None:
        clusters = w.jobs.get_run(run_id).job_clusters or []
        return clusters[0].new_cluster.spark_version if clusters[0].new_cluster else None

    assert (version(old), version(new)) == ("13.3.x-scala2.12", "17.3.x-scala2.13")


def test_tasks_follow_each_other(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    run_id = w.jobs.run_now(job("hourly")).run_id
    databricks.step(6 * 60)
    one, two = w.jobs.get_run(run_id).tasks or []
    assert (one.state and one.state.life_cycle_state) == jobs.RunLifeCycleState.RUNNING
    assert (two.state and two.state.life_cycle_state) == jobs.RunLifeCycleState.BLOCKED
    databricks.step(2 * HOUR)
    one, two = w.jobs.get_run(run_id).tasks or []
    assert (one.end_time or 0) <= (two.start_time or 0)
    assert w.jobs.get_run(run_id).execution_duration == 0


@pytest.mark.conforms("run-now-options")
def test_only_chosen_tasks_run(w: WorkspaceClient, job: ById) -> None:
    run = w.jobs.get_run(w.jobs.run_now(job("hourly"), only=["two"]).run_id)
    assert [t.task_key for t in run.tasks or []] == ["two"]
    with pytest.raises(InvalidParameterValue, match="'three'"):
        w.jobs.run_now(job("hourly"), only=["three"])


@pytest.mark.conforms("runs-get-pages")
def test_a_run_with_many_tasks_is_paged_by_a_hundred(w: WorkspaceClient, databricks: Databricks) -> None:
    tasks = [{"task_key": f"t{n}", "existing_cluster_id": "gone"} for n in range(130)]
    run_id = w.jobs.run_now(make(w, tasks=tasks)).run_id
    first: Any = w.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})
    assert (len(first["tasks"]), first["has_more"]) == (100, True)
    assert len(w.jobs.get_run(run_id).tasks or []) == 130
    (listed,) = [r for r in w.jobs.list_runs(expand_tasks=True) if r.run_id == run_id]
    assert len(listed.tasks or []) == 130


@pytest.mark.conforms("output-per-task")
def test_output_is_of_one_task(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    run_id = w.jobs.run_now(job("hourly")).run_id
    databricks.step(2 * HOUR)
    with pytest.raises(InvalidParameterValue, match="multiple tasks"):
        w.jobs.get_run_output(run_id)
    task = (w.jobs.get_run(run_id).tasks or [])[0]
    output = w.jobs.get_run_output(task.run_id or 0)
    assert output.notebook_output is not None
    assert output.metadata is not None
    assert output.metadata.run_id == task.run_id


@pytest.mark.conforms("cancel-is-asynchronous", "results-other-than-success")
def test_cancel_ends_a_run_within_seconds_and_leaves_ended_ones_alone(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    run_id = w.jobs.run_now(job("manual")).run_id
    databricks.step(6 * 60)
    w.jobs.cancel_run(run_id)
    assert life(w.jobs.get_run(run_id)) == ("TERMINATING", None)
    databricks.step(20)
    ended = w.jobs.get_run(run_id)
    assert life(ended) == ("TERMINATED", "CANCELED")
    assert ended.state is not None
    assert ended.state.user_cancelled_or_timedout
    w.jobs.cancel_run(run_id)
    assert w.jobs.get_run(run_id).end_time == ended.end_time


def test_cancel_all_takes_active_and_queued_runs_of_one_job(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    ids = [w.jobs.run_now(job("manual")).run_id for _ in range(3)]
    other = w.jobs.run_now(job("hourly")).run_id
    w.jobs.cancel_all_runs(job_id=job("manual"))
    databricks.step(30)
    assert {life(w.jobs.get_run(i))[1] for i in ids} == {"CANCELED"}
    assert life(w.jobs.get_run(other))[1] is None
    with pytest.raises(InvalidParameterValue, match="job_id"):
        w.jobs.cancel_all_runs()


@pytest.mark.conforms("skipped-at-maximum")
def test_a_second_run_waits_in_the_queue(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    first, second = (w.jobs.run_now(job("manual")).run_id for _ in range(2))
    waiting = w.jobs.get_run(second)
    assert life(waiting) == ("QUEUED", None)
    assert waiting.status is not None
    assert waiting.status.queue_details is not None
    assert waiting.status.queue_details.code == jobs.QueueDetailsCodeCode.MAX_CONCURRENT_RUNS_REACHED
    databricks.step(3 * HOUR)
    a, b = w.jobs.get_run(first), w.jobs.get_run(second)
    assert life(b) == ("TERMINATED", "SUCCESS")
    assert (b.start_time or 0) + (b.queue_duration or 0) == a.end_time


@pytest.mark.conforms("skipped-at-maximum")
def test_a_job_that_does_not_queue_skips_a_second_run(w: WorkspaceClient) -> None:
    job_id = make(w, queue={"enabled": False})
    w.jobs.run_now(job_id)
    run = w.jobs.get_run(w.jobs.run_now(job_id).run_id)
    assert life(run) == ("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED")


@pytest.mark.conforms("only-timeout-reaches-active-runs", "results-other-than-success")
def test_a_timeout_ends_a_run_and_reaches_active_ones(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    run_id = w.jobs.run_now(job("manual")).run_id
    databricks.step(6 * 60)
    w.jobs.update(job("manual"), new_settings=jobs.JobSettings(timeout_seconds=420))
    databricks.step(61)
    assert life(w.jobs.get_run(run_id)) == ("TERMINATED", "TIMEDOUT")
    again = w.jobs.run_now(job("manual")).run_id
    databricks.step(HOUR)
    assert w.jobs.get_run(again).run_duration == 420_000


def test_a_restart_of_the_shared_cluster_kills_the_runs_on_it(
    w: WorkspaceClient, databricks: Databricks, job: ById, cluster: Callable[[str], str]
) -> None:
    run_id = w.jobs.run_now(job("on-shared")).run_id
    databricks.step(120)
    assert life(w.jobs.get_run(run_id)) == ("RUNNING", None)
    w.clusters.restart(cluster("shared"))
    ended = w.jobs.get_run(run_id)
    assert life(ended) == ("INTERNAL_ERROR", "FAILED")
    assert ended.status is not None
    assert ended.status.termination_details is not None
    assert ended.status.termination_details.code == jobs.TerminationCodeCode.CLUSTER_ERROR


def test_a_run_starts_its_terminated_shared_cluster_and_waits_for_it(
    w: WorkspaceClient, databricks: Databricks, cluster: Callable[[str], str]
) -> None:
    job_id = make(w, tasks=[{"task_key": "a", "existing_cluster_id": cluster("stopped")}])
    run_id = w.jobs.run_now(job_id).run_id
    started = w.clusters.get(cluster("stopped"))
    assert started.state is not None
    assert started.state.value == "PENDING"
    databricks.step(2 * HOUR)
    assert (w.jobs.get_run(run_id).setup_duration or 0) >= 120_000


def test_a_run_on_a_cluster_that_is_gone_fails(w: WorkspaceClient, databricks: Databricks) -> None:
    run_id = w.jobs.run_now(make(w, tasks=[{"task_key": "a", "existing_cluster_id": "gone"}])).run_id
    databricks.step(HOUR)
    assert life(w.jobs.get_run(run_id)) == ("INTERNAL_ERROR", "FAILED")


@pytest.mark.conforms("jobs-missing-is-invalid-but-for-get")
def test_an_unknown_run_is_not_found(w: WorkspaceClient) -> None:
    with pytest.raises(NotFound):
        w.jobs.get_run(77)
    with pytest.raises(NotFound):
        w.jobs.get_run_output(77)
    with pytest.raises(InvalidParameterValue):
        w.jobs.cancel_run(77)


def test_list_runs_filters_by_job_time_and_state(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    databricks.step(3 * HOUR)
    active = w.jobs.run_now(job("manual")).run_id
    queued = w.jobs.run_now(job("manual")).run_id
    assert [r.run_id for r in w.jobs.list_runs(active_only=True)] == [queued, active]
    assert {r.job_id for r in w.jobs.list_runs(job_id=job("hourly"))} == {job("hourly")}
    done = list(w.jobs.list_runs(completed_only=True, job_id=job("hourly")))
    assert all(r.end_time for r in done)
    assert [r.start_time for r in done] == sorted((r.start_time or 0 for r in done), reverse=True)
    since = databricks.now() - 2 * HOUR * 1000
    recent = list(w.jobs.list_runs(job_id=job("hourly"), start_time_from=since, start_time_to=since + HOUR * 1000))
    assert [since <= (r.start_time or 0) <= since + HOUR * 1000 for r in recent] == [True]
    assert list(w.jobs.list_runs(run_type=jobs.RunType.SUBMIT_RUN)) == []
    assert list(w.jobs.list_runs(job_id=job("hourly"), run_type=jobs.RunType.JOB_RUN)) != []


def test_list_runs_gives_each_run_once_while_new_ones_start(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    before = [r.run_id for r in w.jobs.list_runs(job_id=job("hourly"), limit=24)]
    seen: list[int] = []
    query: dict[str, Any] = {"job_id": job("hourly"), "limit": 10}
    while True:
        page: Any = w.api_client.do("GET", "/api/2.2/jobs/runs/list", query=query)
        seen += [run["run_id"] for run in page["runs"]]
        databricks.step(HOUR)
        if "next_page_token" not in page:
            break
        query["page_token"] = page["next_page_token"]
    assert seen == before


@pytest.mark.conforms("list-limits")
@pytest.mark.parametrize("limit", [25, 26, -1])
def test_a_limit_of_twenty_five_or_more_is_refused(w: WorkspaceClient, limit: int) -> None:
    with pytest.raises(InvalidParameterValue, match="limit"):
        list(w.jobs.list_runs(limit=limit))


def test_a_limit_of_zero_means_the_most(w: WorkspaceClient) -> None:
    page: Any = w.api_client.do("GET", "/api/2.2/jobs/runs/list", query={"limit": 0})
    assert len(page["runs"]) == 24


def test_active_and_completed_together_are_refused(w: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="cannot both"):
        list(w.jobs.list_runs(active_only=True, completed_only=True))


def test_only_the_latest_runs_of_a_job_are_remembered(
    w: WorkspaceClient, databricks: Databricks, dev: Workspace
) -> None:
    from sandbox.databricks.model import RUNS_KEPT

    job_id = make(
        w, schedule={"quartz_cron_expression": "0 0/15 * * * ?", "timezone_id": "UTC"}, max_concurrent_runs=10
    )
    databricks.step(5 * 86_400)
    databricks.advance()
    assert dev.jobs[job_id].count == 480
    assert len(dev.jobs[job_id].runs) == RUNS_KEPT
    assert len([r for r in dev.runs.values() if r.job_id == job_id]) == RUNS_KEPT


@pytest.mark.conforms("cancel-all-does-not-pause", "cancel-all-queued-everywhere")
def test_cancel_all_stops_no_later_run_and_all_queued_means_every_job(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    begin = databricks.now()
    w.jobs.cancel_all_runs(job_id=job("hourly"))
    databricks.step(2 * HOUR)
    assert len(list(w.jobs.list_runs(job_id=job("hourly"), start_time_from=begin))) == 2
    active, waiting = [w.jobs.run_now(job("manual")).run_id for _ in range(2)]
    other = [w.jobs.run_now(job("hourly")).run_id for _ in range(2)]
    w.jobs.cancel_all_runs(all_queued_runs=True)
    databricks.step(30)
    assert [life(w.jobs.get_run(run_id))[1] for run_id in (waiting, other[1])] == ["CANCELED", "CANCELED"]
    assert life(w.jobs.get_run(active))[1] is None
