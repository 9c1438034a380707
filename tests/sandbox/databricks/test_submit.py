"""One-off runs with settings of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound
from databricks.sdk.service import jobs

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace

NEW = {"spark_version": "17.3.x-scala2.13", "node_type_id": "i3.xlarge", "num_workers": 1}
TASK = {"task_key": "a", "new_cluster": NEW, "notebook_task": {"notebook_path": "/Shared/x"}}
HOUR = 3600


def submitted(w: WorkspaceClient, **more: Any) -> int:
    answer: Any = w.api_client.do("POST", "/api/2.2/jobs/runs/submit", body={"tasks": [TASK], **more})
    return int(answer["run_id"])


def found(w: WorkspaceClient, **more: Any) -> list[int | None]:
    return [r.run_id for r in w.jobs.list_runs(**more)]


@pytest.mark.conforms("submit-is-a-run-without-a-job")
def test_a_submitted_run_is_in_no_list_but_that_of_submitted_runs(
    w: WorkspaceClient, databricks: Databricks, dev: Workspace
) -> None:
    before = {j.job_id for j in w.jobs.list()}
    run_id = submitted(w, run_name="smoke")
    run = w.jobs.get_run(run_id)
    assert (run.run_name, run.run_type, run.creator_user_name) == ("smoke", jobs.RunType.SUBMIT_RUN, dev.client_id)
    assert found(w, run_type=jobs.RunType.SUBMIT_RUN) == [run_id]
    assert found(w, run_type=jobs.RunType.SUBMIT_RUN, active_only=True) == [run_id]
    assert run_id not in found(w) + found(w, active_only=True) + found(w, run_type=jobs.RunType.JOB_RUN)
    assert {j.job_id for j in w.jobs.list()} == before
    with pytest.raises(NotFound):
        w.jobs.get(run.job_id or 0)
    databricks.step(2 * HOUR)
    assert found(w, run_type=jobs.RunType.SUBMIT_RUN, completed_only=True) == [run_id]
    task = (w.jobs.get_run(run_id).tasks or [])[0]
    assert task.cluster_instance is not None
    assert w.clusters.get(str(task.cluster_instance.cluster_id)).spark_version == NEW["spark_version"]


def test_it_may_use_a_shared_cluster(w: WorkspaceClient, databricks: Databricks, cluster: Callable[[str], str]) -> None:
    task = {"task_key": "a", "existing_cluster_id": cluster("shared")}
    run_id = submitted(w, tasks=[task])
    databricks.step(HOUR)
    run = w.jobs.get_run(run_id)
    assert run.state is not None
    assert run.state.result_state == jobs.RunResultState.SUCCESS
    w.jobs.delete_run(run_id)
    with pytest.raises(NotFound):
        w.jobs.get_run(run_id)


@pytest.mark.conforms("idempotency-token")
def test_the_same_token_gives_the_same_run_and_that_of_a_deleted_one_is_an_error(
    w: WorkspaceClient, databricks: Databricks, job: Callable[[str], int]
) -> None:
    run_id = submitted(w, idempotency_token="t")
    assert submitted(w, idempotency_token="t") == run_id != submitted(w, idempotency_token="u")
    assert w.jobs.run_now(job("manual"), idempotency_token="t").run_id != run_id
    databricks.step(2 * HOUR)
    w.jobs.delete_run(run_id)
    with pytest.raises(InvalidParameterValue, match="deleted"):
        submitted(w, idempotency_token="t")
    with pytest.raises(InvalidParameterValue, match="64"):
        submitted(w, idempotency_token="x" * 65)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tasks": []}, "tasks"),
        ({"tasks": [{"task_key": "a", "job_cluster_key": "x"}]}, "Shared job cluster feature is not supported"),
        ({"job_clusters": [{"job_cluster_key": "x", "new_cluster": NEW}]}, "Shared job cluster feature"),
        ({"tasks": [{"task_key": "a", "new_cluster": {**NEW, "spark_version": "9"}}]}, "Invalid spark version 9"),
        ({"schedule": {"quartz_cron_expression": "0 0 1 * * ?", "timezone_id": "UTC"}}, "cannot have a schedule"),
        ({"tasks": "x"}, "tasks"),
        ({"run_name": 3}, "run_name"),
    ],
)
def test_what_cannot_be_submitted_is_refused_and_nothing_runs(
    w: WorkspaceClient, body: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        submitted(w, **body)
    assert found(w, run_type=jobs.RunType.SUBMIT_RUN) == []


@pytest.mark.conforms("submit-from-outside")
def test_schedulers_outside_submit_runs_in_the_sample_by_themselves() -> None:
    with running("sample") as databricks:
        ws = databricks.workspaces["prod"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        before = set(found(w, run_type=jobs.RunType.SUBMIT_RUN))
        assert len(before) > 40
        databricks.step(24 * HOUR)
        new = [
            r for r in w.jobs.list_runs(run_type=jobs.RunType.SUBMIT_RUN, expand_tasks=True) if r.run_id not in before
        ]
        assert {r.run_name for r in new} == {"airflow-exports", "airflow-adhoc-quality"}
        assert len(new) == 7
        versions = {t.new_cluster.spark_version for r in new for t in r.tasks or [] if t.new_cluster}
        assert versions == {"13.3.x-scala2.12"}


def test_a_restart_keeps_submitted_and_repaired_runs_files_and_pipelines(tmp_path: Path) -> None:
    def look(databricks: Databricks) -> list[Any]:
        ws = databricks.workspaces["prod"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        do = w.api_client.do
        query = {"run_id": mine["repaired"], "include_history": "true"}
        return [
            do("GET", "/api/2.2/jobs/runs/list", query={"run_type": "SUBMIT_RUN", "expand_tasks": "true", "limit": 24}),
            do("GET", "/api/2.2/jobs/runs/get", query=query),
            do("GET", "/api/2.0/workspace/export", query={"path": "/Shared/mine/nb"}),
            do("GET", "/api/2.0/pipelines"),
            do("GET", "/api/2.2/jobs/list", query={"expand_tasks": "true", "limit": 100}),
        ]

    mine: dict[str, int] = {}
    clock, state = tmp_path / "clock.json", tmp_path / "state"
    with running("sample", clock, state) as databricks:
        ws = databricks.workspaces["prod"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        submitted(w)
        bad = next(r for r in ws.runs.values() if r.closed and r.code not in ("SUCCESS",) and r.job_id in ws.jobs)
        mine["repaired"] = bad.run_id
        body = {"run_id": bad.run_id, "rerun_all_failed_tasks": True}
        w.api_client.do("POST", "/api/2.2/jobs/runs/repair", body=body)
        w.workspace.mkdirs("/Shared/mine")
        content = {"path": "/Shared/mine/nb", "content": "cHJpbnQoMSk=", "language": "PYTHON"}
        w.api_client.do("POST", "/api/2.0/workspace/import", body=content)
        databricks.step(600)
        before = look(databricks)
    with running("sample", clock, state) as databricks:
        after = look(databricks)
        # The ports are new, and with them the addresses of pages.
        strip = [{k: v for k, v in task.items() if k != "run_page_url"} for task in after[1]["tasks"]]
        assert strip == [{k: v for k, v in task.items() if k != "run_page_url"} for task in before[1]["tasks"]]
        assert after[1]["repair_history"] == before[1]["repair_history"]
        assert [r["run_id"] for r in after[0]["runs"]] == [r["run_id"] for r in before[0]["runs"]]
        assert after[2:] == before[2:]
        databricks.step(24 * HOUR)
        assert look(databricks)[1]["state"]["life_cycle_state"] in ("TERMINATED", "INTERNAL_ERROR")
