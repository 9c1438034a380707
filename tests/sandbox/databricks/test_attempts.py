"""Tasks that fail: retries, run conditions, and what becomes of the whole run."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, OperationFailed
from databricks.sdk.service import jobs

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace
from sandbox.fleets import short_form

OLD = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
NEW = {**OLD, "spark_version": "17.3.x-scala2.13"}
CASTS = {"from": 17, "error": "CAST_INVALID_INPUT"}
HOUR = 3600
JOB = short_form.job_id("dev", "job")
Served = Callable[..., tuple[Databricks, WorkspaceClient]]


@pytest.fixture
def served() -> Iterator[Served]:
    """Serves a workspace with one job of these tasks, on 17.3, where `bad` fails for ever."""
    with ExitStack() as stack:

        def make(*tasks: dict[str, Any], **more: Any) -> tuple[Databricks, WorkspaceClient]:
            entry = {
                "name": "job",
                "compute": "new",
                "minutes": 20,
                "spread": 0,
                "failure": 0,
                "breaks": {**CASTS, "task": "bad"},
                "tasks": [{"after": [], **task} for task in tasks],
                **more,
            }
            content = {"templates": {"job_clusters": {"new": NEW}}, "workspaces": {"dev": {"jobs": [entry]}}}
            databricks = stack.enter_context(running(content))
            ws = databricks.workspaces["dev"]
            return databricks, WorkspaceClient(host=ws.host, token=ws.token)

        yield make


def finished(databricks: Databricks, w: WorkspaceClient) -> jobs.Run:
    """A run of the job, two days later."""
    run_id = w.jobs.run_now(JOB).run_id
    databricks.step(48 * HOUR)
    return w.jobs.get_run(run_id, include_history=True)


def results(run: jobs.Run) -> dict[str, str | None]:
    """The result of the latest attempt at each task."""
    return {
        t.task_key: t.state.result_state.value if t.state and t.state.result_state else None for t in run.tasks or []
    }


def of(run: jobs.Run | jobs.RunTask) -> tuple[str | None, str | None]:
    assert run.state is not None
    assert run.status is not None
    details = run.status.termination_details
    return (
        run.state.result_state.value if run.state.result_state else None,
        details.code.value if details and details.code else None,
    )


@pytest.mark.conforms("retries-are-attempts-of-the-task")
def test_a_task_is_tried_again_and_every_attempt_is_shown(served: Served) -> None:
    databricks, w = served({"key": "bad", "max_retries": 2, "min_retry_interval_millis": 60_000})
    run = finished(databricks, w)
    assert [t.attempt_number for t in run.tasks or []] == [0, 1, 2]
    assert len({t.run_id for t in run.tasks or []}) == 3
    assert of(run) == ("FAILED", "RUN_EXECUTION_ERROR")
    first, second, _ = run.tasks or []
    assert second.start_time == (first.end_time or 0) + 60_000
    assert "[CAST_INVALID_INPUT]" in str(w.jobs.get_run_output(second.run_id or 0).error)
    assert "CAST" not in str(second.state and second.state.state_message)


@pytest.mark.conforms("retries-hide-first-failures")
def test_the_last_attempt_decides_so_that_a_retry_hides_the_first_failure(served: Served) -> None:
    databricks, w = served({"key": "lucky", "max_retries": 3}, failure=0.5, cron="0 0 0/2 * * ?")
    databricks.step(7 * 24 * HOUR)
    runs = list(w.jobs.list_runs(job_id=JOB, completed_only=True, expand_tasks=True))
    hidden = [r for r in runs if len(r.tasks or []) > 1 and of(r)[0] == "SUCCESS"]  # type: ignore[arg-type]
    assert len(hidden) > 20
    for run in hidden:
        *failed, last = run.tasks or []
        assert {of(t)[0] for t in failed} == {"FAILED"}
        assert of(last)[0] == "SUCCESS"
    assert all(len(r.tasks or []) <= 4 for r in runs)


def test_between_two_attempts_the_task_waits_for_its_retry(served: Served) -> None:
    databricks, w = served({"key": "bad", "max_retries": 1, "min_retry_interval_millis": HOUR * 1000})
    run_id = w.jobs.run_now(JOB).run_id
    databricks.step(50 * 60)
    run: Any = w.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})
    assert [t["state"]["life_cycle_state"] for t in run["tasks"]] == ["TERMINATED", "WAITING_FOR_RETRY"]
    assert (run["state"]["life_cycle_state"], run["tasks"][1]["status"]["state"]) == ("RUNNING", "WAITING")


@pytest.mark.parametrize(("again", "count"), [(False, 1), (True, 3)])
def test_a_task_that_takes_too_long_is_tried_again_only_if_it_says_so(served: Served, again: bool, count: int) -> None:
    databricks, w = served({"key": "slow", "timeout_seconds": 600, "max_retries": 2, "retry_on_timeout": again})
    run = finished(databricks, w)
    assert [of(t) for t in run.tasks or []] == [("TIMEDOUT", "CANCELED")] * count


def test_a_task_that_is_retried_for_ever_keeps_the_run_going(served: Served) -> None:
    databricks, w = served({"key": "bad", "max_retries": -1, "min_retry_interval_millis": 0})
    run_id = w.jobs.run_now(JOB).run_id
    databricks.step(3 * HOUR)
    run = w.jobs.get_run(run_id)
    assert of(run)[0] is None
    assert len(run.tasks or []) > 5
    w.jobs.cancel_run(run_id)
    databricks.step(60)
    assert of(w.jobs.get_run(run_id))[0] == "CANCELED"


def test_a_retry_gets_the_cluster_that_was_lost_under_it(
    w: WorkspaceClient, databricks: Databricks, cluster: Callable[[str], str]
) -> None:
    task = {"task_key": "a", "existing_cluster_id": cluster("shared"), "max_retries": 1}
    body = {"name": "made", "tasks": [{**task, "min_retry_interval_millis": 120_000}]}
    made: Any = w.api_client.do("POST", "/api/2.2/jobs/create", body=body)
    run_id = w.jobs.run_now(made["job_id"]).run_id
    databricks.step(60)
    w.clusters.delete(cluster("shared"))
    databricks.step(3 * HOUR)
    run = w.jobs.get_run(run_id)
    assert [of(t) for t in run.tasks or []] == [("FAILED", "CLUSTER_ERROR"), ("SUCCESS", "SUCCESS")]
    assert of(run)[0] == "SUCCESS"
    assert w.clusters.get(cluster("shared")).state.value == "RUNNING"  # type: ignore[union-attr]


@pytest.mark.conforms("results-other-than-success")
@pytest.mark.parametrize(
    ("condition", "result"),
    [
        ("ALL_SUCCESS", "UPSTREAM_FAILED"),
        ("NONE_FAILED", "UPSTREAM_FAILED"),
        ("AT_LEAST_ONE_SUCCESS", "SUCCESS"),
        ("ALL_DONE", "SUCCESS"),
        ("AT_LEAST_ONE_FAILED", "SUCCESS"),
        ("ALL_FAILED", "EXCLUDED"),
    ],
)
def test_a_run_condition_decides_what_follows_on_one_good_and_one_bad_task(
    served: Served, condition: str, result: str
) -> None:
    then = {"key": "then", "after": ["good", "bad"], "run_if": condition}
    databricks, w = served({"key": "good"}, {"key": "bad"}, then)
    run = finished(databricks, w)
    assert results(run) == {"good": "SUCCESS", "bad": "FAILED", "then": result}
    skipped = {"EXCLUDED": "SKIPPED", "UPSTREAM_FAILED": "SKIPPED"}
    assert of((run.tasks or [])[-1])[1] == skipped.get(result, result)


@pytest.mark.conforms("results-other-than-success")
def test_a_run_whose_last_tasks_are_good_is_a_success_with_failures(served: Served) -> None:
    databricks, w = served({"key": "bad"}, {"key": "clean-up", "after": ["bad"], "run_if": "ALL_DONE"})
    assert of(finished(databricks, w)) == ("SUCCESS_WITH_FAILURES", "SUCCESS_WITH_FAILURES")


def test_a_task_for_failures_only_is_excluded_when_all_went_well_and_so_is_what_waits_for_it_alone(
    served: Served,
) -> None:
    alarm = {"key": "alarm", "after": ["good"], "run_if": "AT_LEAST_ONE_FAILED"}
    databricks, w = served({"key": "good"}, alarm, {"key": "after-alarm", "after": ["alarm"]})
    run = finished(databricks, w)
    assert results(run) == {"good": "SUCCESS", "alarm": "EXCLUDED", "after-alarm": "EXCLUDED"}
    assert of(run)[0] == "SUCCESS"


@pytest.mark.conforms("results-other-than-success")
def test_the_failure_of_one_branch_leaves_the_other_alone(served: Served) -> None:
    tasks = [{"key": "bad"}, {"key": "good"}, {"key": "after-bad", "after": ["bad"]}, {"key": "end", "after": ["good"]}]
    databricks, w = served(*tasks)
    run = finished(databricks, w)
    assert results(run) == {"bad": "FAILED", "good": "SUCCESS", "after-bad": "UPSTREAM_FAILED", "end": "SUCCESS"}
    assert run.state is not None
    assert run.state.state_message == (
        "Task bad failed with message: Workload failed, see run output for details. "
        "This caused all downstream tasks to get skipped."
    )


def test_cancelling_leaves_what_had_ended_and_cancels_the_rest(served: Served) -> None:
    databricks, w = served(
        {"key": "first"}, {"key": "second", "after": ["first"]}, {"key": "third", "after": ["second"]}
    )
    run_id = w.jobs.run_now(JOB).run_id
    databricks.step(15 * 60)
    w.jobs.cancel_run(run_id)
    databricks.step(60)
    assert results(w.jobs.get_run(run_id)) == {"first": "SUCCESS", "second": "CANCELED", "third": "CANCELED"}


@pytest.mark.conforms("waiter-raises-on-internal-error")
def test_the_waiter_raises_for_internal_errors_only(served: Served) -> None:
    databricks, w = served({"key": "bad"})
    run = finished(databricks, w)
    assert w.jobs.wait_get_run_job_terminated_or_skipped(run.run_id or 0).run_id == run.run_id
    library = [{"maven": {"coordinates": "com.example:x_2.12:1"}}]
    databricks, w = served({"key": "old", "libraries": library})
    run = finished(databricks, w)
    assert of(run) == ("FAILED", "LIBRARY_INSTALLATION_ERROR")
    with pytest.raises(OperationFailed, match="INTERNAL_ERROR"):
        w.jobs.wait_get_run_job_terminated_or_skipped(run.run_id or 0)


@pytest.mark.conforms("termination-codes")
def test_termination_details_tell_whose_fault_it_was(served: Served) -> None:
    databricks, w = served({"key": "shaky"}, failure=0.9, cron="0 0 * * * ?")
    databricks.step(7 * 24 * HOUR)
    found = set()
    for run in w.jobs.list_runs(job_id=JOB, completed_only=True):
        assert run.status is not None
        details = run.status.termination_details
        assert details is not None
        assert details.code is not None
        assert details.type is not None
        found.add((details.code.value, details.type.value))
    assert found == {
        ("SUCCESS", "SUCCESS"),
        ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
        ("DRIVER_ERROR", "INTERNAL_ERROR"),
        ("CLOUD_FAILURE", "CLOUD_FAILURE"),
    }


@pytest.mark.conforms("termination-codes")
def test_a_breaking_change_of_spark_has_a_code_of_its_own(served: Served) -> None:
    databricks, w = served({"key": "bad"}, breaks={**CASTS, "code": "BREAKING_CHANGE"})
    assert of(finished(databricks, w)) == ("FAILED", "BREAKING_CHANGE")


@pytest.mark.conforms("output-first-5-mb")
@pytest.mark.parametrize(("size", "cut"), [(1000, False), (5 * 2**20, False), (5 * 2**20 + 1, True)])
def test_the_output_of_a_task_is_cut_after_five_megabytes(served: Served, size: int, cut: bool) -> None:
    databricks, w = served({"key": "talks"}, output=size)
    run = finished(databricks, w)
    output = w.jobs.get_run_output((run.tasks or [])[0].run_id or 0).notebook_output
    assert output is not None
    assert (len(output.result or ""), output.truncated) == (min(size, 5 * 2**20), cut)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"run_if": "SOMETIMES"}, "run_if"),
        ({"max_retries": -2}, "max_retries"),
        ({"max_retries": "many"}, "max_retries"),
        ({"timeout_seconds": -1}, "timeout_seconds"),
        ({"depends_on": [{"task_key": "b"}]}, "circle"),
    ],
)
def test_tasks_that_cannot_be_are_refused(
    w: WorkspaceClient, dev: Workspace, task: dict[str, Any], message: str
) -> None:
    tasks = [{"task_key": "a", **task}, {"task_key": "b", "depends_on": [{"task_key": "a"}]}]
    with pytest.raises(BadRequest, match=message):
        w.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "x", "tasks": tasks})
    assert not [job for job in dev.jobs.values() if job.name == "x"]


def test_a_disabled_task_is_not_run_and_holds_nothing_up(w: WorkspaceClient, databricks: Databricks) -> None:
    tasks = [{"task_key": "a", "disabled": True}, {"task_key": "b", "depends_on": [{"task_key": "a"}]}]
    made: Any = w.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "x", "tasks": tasks})
    run_id = w.jobs.run_now(made["job_id"]).run_id
    databricks.step(HOUR)
    assert results(w.jobs.get_run(run_id)) == {"a": "DISABLED", "b": "SUCCESS"}
