"""System tables: made from the workspace's runs and clusters, and late."""

from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.workspace import Workspace

Rows = Callable[..., list[list[Any]]]
TIMELINE = "SELECT {} FROM system.lakeflow.job_run_timeline WHERE job_id = '{}'"


@pytest.mark.conforms("timeline-slices", "timeline-result-in-the-last-slice")
def test_a_long_run_has_a_row_an_hour_and_its_result_in_the_last(
    rows: Rows, dev: Workspace, job: Callable[[str], int]
) -> None:
    number = job("long")
    run = dev.jobs[number].runs[-1]
    columns = "period_start_time, period_end_time, result_state, termination_code, compute_ids"
    found = rows(TIMELINE.format(columns, number) + f" AND run_id = '{run.run_id}' ORDER BY period_start_time")
    assert len(found) >= 4
    assert [row[2] for row in found[:-1]] == [None] * (len(found) - 1)
    assert found[-1][2:4] == ["SUCCEEDED", "SUCCESS"]
    assert [row[0] for row in found[1:]] == [row[1] for row in found[:-1]]
    assert found[0][4].startswith('["')
    total = rows(
        f"SELECT count(DISTINCT run_id) FROM system.lakeflow.job_run_timeline WHERE workspace_id = '{dev.number}' "
        f"AND job_id = '{number}'"
    )
    assert total == [[str(len(dev.jobs[number].runs))]]


@pytest.mark.conforms("timeline-is-late")
def test_a_run_is_in_the_timeline_some_minutes_after_its_end(
    rows: Rows, w: WorkspaceClient, databricks: Databricks, job: Callable[[str], int], dev: Workspace
) -> None:
    w.jobs.run_now(job("writer-13"))
    databricks.step(900)
    w.current_user.me()
    run = dev.jobs[job("writer-13")].runs[-1]
    assert run.closed
    databricks.step((run.end - dev.now) / 1000 + 14 * 60)
    count = TIMELINE.format("count(*)", job("writer-13")) + " AND result_state = 'SUCCEEDED'"
    assert rows(count) == [["0"]]
    databricks.step(61)
    assert rows(count) == [["1"]]


@pytest.mark.conforms("billing-usage-is-late", "billing-usage-record-types", "billing-usage-metadata")
def test_usage_comes_half_a_day_late_and_is_corrected(
    rows: Rows, databricks: Databricks, job: Callable[[str], int], dev: Workspace
) -> None:
    number = job("long")
    newest = rows("SELECT max(usage_end_time) FROM system.billing.usage")[0][0]
    assert newest <= "2026-11-22T20:00:00.000Z"
    dbus = "SELECT sum(usage_quantity) FROM system.billing.usage WHERE usage_metadata.job_id = '{}'"
    before = float(rows(dbus.format(number))[0][0])
    databricks.step(86_400)
    assert float(rows(dbus.format(number))[0][0]) > before
    databricks.step(30 * 86_400)
    kinds = dict(rows("SELECT record_type, count(*) FROM system.billing.usage GROUP BY record_type"))
    assert int(kinds["ORIGINAL"]) > int(kinds["RETRACTION"]) == int(kinds["RESTATEMENT"]) > 0
    taken = rows("SELECT max(usage_quantity) FROM system.billing.usage WHERE record_type = 'RETRACTION'")
    assert float(taken[0][0]) < 0
    assert rows("SELECT DISTINCT sku_name, usage_unit, billing_origin_product FROM system.billing.usage") == [
        ["PREMIUM_JOBS_COMPUTE", "DBU", "JOBS"]
    ]


@pytest.mark.conforms("system-jobs-and-clusters")
def test_jobs_and_clusters_are_there_with_their_runtimes(rows: Rows, dev: Workspace, job: Callable[[str], int]) -> None:
    assert rows(f"SELECT name, delete_time FROM system.lakeflow.jobs WHERE job_id = '{job('long')}'") == [
        ["long", None]
    ]
    kinds = rows("SELECT DISTINCT cluster_source, dbr_version FROM system.compute.clusters ORDER BY 1")
    assert kinds == [["JOB", "13.3.x-scala2.12"], ["UI", "13.3.x-scala2.12"]]


@pytest.mark.conforms("system-tables-not-modelled")
def test_other_system_tables_are_not_found(run: Any) -> None:
    answer = run("SELECT * FROM system.compute.node_timeline")
    assert "TABLE_OR_VIEW_NOT_FOUND" in answer.status.error.message
