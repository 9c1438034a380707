"""Repairs: failed tasks run again as part of the same run, by what the job says now."""

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, InvalidState, NotImplemented, PermissionDenied
from databricks.sdk.service import jobs

from sandbox.databricks import acl
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace
from sandbox.fleets import short_form

OLD = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
NEW = {**OLD, "spark_version": "17.3.x-scala2.13"}
CASTS = {"from": 17, "error": "CAST_INVALID_INPUT", "task": "convert"}
HOUR = 3600
JOB = short_form.job_id("dev", "rates")


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    """A job on 17.3 whose middle task fails there."""
    entry = {
        "name": "rates",
        "compute": "new",
        "minutes": 20,
        "failure": 0,
        "breaks": CASTS,
        "tasks": ["fetch", "convert", "publish"],
    }
    content = {"templates": {"job_clusters": {"new": NEW}}, "workspaces": {"dev": {"jobs": [entry]}}}
    with running(content) as found:
        yield found


@pytest.fixture
def failed(w: WorkspaceClient, databricks: Databricks) -> int:
    """A run that failed."""
    run_id = w.jobs.run_now(JOB).run_id
    databricks.step(2 * HOUR)
    assert results(w.jobs.get_run(run_id)) == {"fetch": "SUCCESS", "convert": "FAILED", "publish": "UPSTREAM_FAILED"}
    return int(run_id)


def results(run: jobs.Run) -> dict[str, str | None]:
    """The result of the latest attempt at each task."""
    newest = sorted(run.tasks or [], key=lambda t: t.attempt_number or 0)
    return {t.task_key: t.state.result_state.value if t.state and t.state.result_state else None for t in newest}


def revert(w: WorkspaceClient) -> None:
    old = {"job_cluster_key": "main", "new_cluster": OLD}
    body = {"job_id": JOB, "new_settings": {"job_clusters": [old]}}
    w.api_client.do("POST", "/api/2.2/jobs/update", body=body)


def repaired(w: WorkspaceClient, run_id: int, **more: Any) -> int:
    answer: Any = w.api_client.do("POST", "/api/2.2/jobs/runs/repair", body={"run_id": run_id, **more})
    return int(answer["repair_id"])


@pytest.mark.conforms("repair-uses-current-settings")
def test_a_repair_after_the_job_was_put_back_runs_on_the_old_runtime(
    w: WorkspaceClient, databricks: Databricks, failed: int
) -> None:
    revert(w)
    repaired(w, failed, rerun_all_failed_tasks=True)
    databricks.step(2 * HOUR)
    run = w.jobs.get_run(failed)
    assert results(run) == {"fetch": "SUCCESS", "convert": "SUCCESS", "publish": "SUCCESS"}
    assert run.state is not None
    assert run.state.result_state == jobs.RunResultState.SUCCESS
    assert [(t.task_key, t.attempt_number) for t in run.tasks or []] == [
        ("fetch", 0),
        ("convert", 0),
        ("publish", 0),
        ("convert", 1),
        ("publish", 1),
    ]
    versions = [
        w.clusters.get(str(t.cluster_instance.cluster_id)).spark_version for t in run.tasks or [] if t.cluster_instance
    ]
    assert versions == [NEW["spark_version"]] * 2 + [OLD["spark_version"]] * 2


@pytest.mark.conforms("repair-uses-current-settings")
def test_a_repair_of_a_job_that_was_not_put_back_fails_again(
    w: WorkspaceClient, databricks: Databricks, failed: int
) -> None:
    repaired(w, failed, rerun_all_failed_tasks=True)
    databricks.step(2 * HOUR)
    assert results(w.jobs.get_run(failed)) == {"fetch": "SUCCESS", "convert": "FAILED", "publish": "UPSTREAM_FAILED"}


@pytest.mark.conforms("repair-needs-latest-id")
def test_from_the_second_repair_on_the_latest_id_is_needed(
    w: WorkspaceClient, databricks: Databricks, failed: int
) -> None:
    first = repaired(w, failed, rerun_all_failed_tasks=True)
    databricks.step(2 * HOUR)
    with pytest.raises(InvalidParameterValue, match="The latest repair ID needs to be provided"):
        repaired(w, failed, rerun_all_failed_tasks=True)
    with pytest.raises(InvalidParameterValue, match="not the latest repair"):
        repaired(w, failed, rerun_all_failed_tasks=True, latest_repair_id=first + 1)
    revert(w)
    second = repaired(w, failed, rerun_all_failed_tasks=True, latest_repair_id=first)
    assert second != first
    databricks.step(2 * HOUR)
    assert results(w.jobs.get_run(failed))["publish"] == "SUCCESS"


@pytest.mark.conforms("repair-history")
def test_the_history_tells_the_original_and_every_repair(
    w: WorkspaceClient, databricks: Databricks, failed: int
) -> None:
    begun = databricks.now()
    ended = w.jobs.get_run(failed).end_time
    repair_id = repaired(w, failed, rerun_all_failed_tasks=True)
    active = w.jobs.get_run(failed, include_history=True)
    assert (active.end_time, active.state and active.state.result_state) == (0, None)
    revert(w)
    databricks.step(2 * HOUR)
    run = w.jobs.get_run(failed, include_history=True)
    original, repair = run.repair_history or []
    assert (original.type, original.end_time) == (jobs.RepairHistoryItemType.ORIGINAL, ended)
    assert original.state is not None
    assert original.state.result_state == jobs.RunResultState.FAILED
    assert (repair.type, repair.id, repair.start_time) == (jobs.RepairHistoryItemType.REPAIR, repair_id, begun)
    assert original.task_run_ids == [t.run_id for t in (run.tasks or [])[:3]]
    assert repair.task_run_ids == [t.run_id for t in (run.tasks or [])[3:]]
    assert run.run_duration == sum((i.end_time or 0) - (i.start_time or 0) for i in (original, repair))
    assert not w.jobs.get_run(failed).repair_history


@pytest.mark.conforms("repair-refuses-active")
def test_an_active_run_cannot_be_repaired_nor_one_without_failures(w: WorkspaceClient, databricks: Databricks) -> None:
    revert(w)
    run_id = w.jobs.run_now(JOB).run_id
    with pytest.raises(InvalidState, match="active"):
        repaired(w, run_id, rerun_all_failed_tasks=True)
    databricks.step(2 * HOUR)
    with pytest.raises(InvalidParameterValue, match="no failed tasks"):
        repaired(w, run_id, rerun_all_failed_tasks=True)


def test_chosen_tasks_run_again_with_or_without_what_depends_on_them(
    w: WorkspaceClient, databricks: Databricks, failed: int
) -> None:
    revert(w)
    first = repaired(w, failed, rerun_tasks=["convert"])
    databricks.step(2 * HOUR)
    run = w.jobs.get_run(failed)
    assert results(run) == {"fetch": "SUCCESS", "convert": "SUCCESS", "publish": "UPSTREAM_FAILED"}
    repaired(w, failed, rerun_tasks=["fetch"], rerun_dependent_tasks=True, latest_repair_id=first)
    databricks.step(2 * HOUR)
    newest = {t.task_key: t.attempt_number for t in w.jobs.get_run(failed).tasks or []}
    assert newest == {"fetch": 1, "convert": 2, "publish": 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [({}, "rerun_tasks or rerun_all_failed_tasks"), ({"rerun_tasks": ["none"]}, "'none' is not a task")],
)
def test_a_repair_of_nothing_is_refused(w: WorkspaceClient, failed: int, body: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterValue, match=message):
        repaired(w, failed, **body)
    assert len(w.jobs.get_run(failed).tasks or []) == 3


def test_who_may_not_run_the_job_may_not_repair_its_runs(w: WorkspaceClient, dev: Workspace, failed: int) -> None:
    dev.admin = False
    acl.write(dev, "jobs", str(JOB), [{"service_principal_name": dev.client_id, "permission_level": "CAN_VIEW"}])
    with pytest.raises(PermissionDenied, match="Manage Run"):
        repaired(w, failed, rerun_all_failed_tasks=True)


def test_a_repair_can_be_cancelled(w: WorkspaceClient, databricks: Databricks, failed: int) -> None:
    repaired(w, failed, rerun_all_failed_tasks=True)
    w.jobs.cancel_run(failed)
    databricks.step(60)
    run = w.jobs.get_run(failed)
    assert run.state is not None
    assert run.state.result_state == jobs.RunResultState.CANCELED
    assert results(run)["fetch"] == "SUCCESS"


def test_the_run_of_a_task_and_a_submitted_run_cannot_be_repaired(
    w: WorkspaceClient, databricks: Databricks, failed: int
) -> None:
    task = (w.jobs.get_run(failed).tasks or [])[0]
    with pytest.raises(InvalidParameterValue, match="run of a task"):
        repaired(w, task.run_id or 0, rerun_all_failed_tasks=True)
    body = {"tasks": [{"task_key": "a", "new_cluster": OLD}]}
    submitted: Any = w.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)
    with pytest.raises(NotImplemented):
        repaired(w, submitted["run_id"], rerun_all_failed_tasks=True)
