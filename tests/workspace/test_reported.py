"""What is only reported: pipelines, runs without a job, and runs that have been going on for long."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.workspace.raws import OLD, spec
from tests.workspace.scripted import Answer, Script
from workspace import pipelines
from workspace.client import Client
from workspace.discovery import discover
from workspace.errors import Unavailable
from workspace.runs import Submitted, active_runs, submitted_since

SINCE = datetime(2026, 11, 16, 8, tzinfo=UTC)
AT = int(SINCE.timestamp() * 1000)
RUNS, PIPELINES, POOLS = "/api/2.2/jobs/runs/list", "/api/2.0/pipelines", "/api/2.0/instance-pools/list"


def run(run_id: int, at: int = AT, creator: str = "airflow@x", **more: Any) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "job_id": run_id,
        "run_name": "load",
        "run_type": "SUBMIT_RUN",
        "start_time": at,
        "creator_user_name": creator,
        "state": {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"},
        **more,
    }


def test_submitted_runs_are_counted_by_creator_name_and_runtime(script: Script, client: Client) -> None:
    own = {"tasks": [{"task_key": "a", "new_cluster": spec()}]}
    later = AT + 60_000
    script.on(
        RUNS,
        Answer(body={"runs": [run(3, later, **own), run(2, **own)], "next_page_token": "t"}),
        Answer(
            body={
                "runs": [
                    run(4, creator="adf@x", cluster_spec={"new_cluster": spec("17.3.x-scala2.13")}),
                    run(5, tasks=[{"task_key": "a", "existing_cluster_id": "c"}]),  # moves with its cluster
                    run(6, AT - 1, **own),  # before
                    run(7, run_type="JOB_RUN", **own),  # of a job
                ]
            }
        ),
    )
    found, complete = submitted_since(client, SINCE)
    assert complete
    assert found == [
        Submitted("airflow@x", "load", "13.3", 2, SINCE + timedelta(minutes=1)),
        Submitted("adf@x", "load", "17.3", 1, SINCE),
    ]
    assert script.asked[0].query["run_type"] == ["SUBMIT_RUN"]


def test_more_submitted_runs_than_are_read_are_said_to_be_more(script: Script, client: Client) -> None:
    script.on(RUNS, Answer(body={"runs": [run(1, cluster_spec={"new_cluster": spec()})], "next_page_token": "t"}))
    found, complete = submitted_since(client, SINCE, most_pages=3)
    assert not complete
    assert [s.runs for s in found] == [3]


def test_a_stream_that_began_months_ago_is_under_way(script: Script, client: Client) -> None:
    months = AT - 90 * 86_400_000
    live = run(1, months, run_type="JOB_RUN", state={"life_cycle_state": "RUNNING"}, trigger="CONTINUOUS")
    script.on(RUNS, Answer(body={"runs": [live, run(2)]}))  # a server that ignores the filter brings in no ended one
    found = list(active_runs(client))
    assert [(r.run_id, r.by, r.by_schedule) for r in found] == [(1, "airflow@x", True)]
    assert script.asked[0].query["active_only"] == ["true"]


def test_every_pipeline_is_found_and_left_alone(script: Script, client: Client) -> None:
    one = {"pipeline_id": "p1", "name": "orders", "state": "RUNNING", "creator_user_name": "a@x"}
    script.on(PIPELINES, Answer(body={"statuses": [one], "next_page_token": "t"}), Answer(body={"statuses": []}))
    found = list(pipelines.discover(client))
    assert [(f.kind, f.object_id, f.name, f.owner, f.state) for f in found] == [
        ("pipeline", "p1", "orders", "a@x", "RUNNING")
    ]
    assert pipelines.plan(found[0].raw).code == "managed_pipeline"


def _others(script: Script) -> None:
    script.on("/api/2.1/clusters/spark-versions", Answer(body={"versions": [{"key": OLD}]}))
    script.on("/api/2.0/policies/clusters/list", Answer())
    script.on("/api/2.1/clusters/list", Answer())
    script.on("/api/2.2/jobs/list", Answer())
    script.on(POOLS, Answer())
    script.on(PIPELINES, Answer())


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(("path", "kind"), [(PIPELINES, "pipeline"), (POOLS, "pool")])
def test_a_bot_that_may_not_list_pipelines_or_pools_goes_on_without_them(
    script: Script, client: Client, path: str, kind: str, status: int
) -> None:
    _others(script)
    script.on(path, Answer(status, {"error_code": "PERMISSION_DENIED", "message": "no"}))
    seen = discover(client)
    assert seen.hidden == {kind}
    assert seen.versions == {OLD}


def test_a_workspace_that_does_not_answer_for_pipelines_was_not_looked_at(script: Script, client: Client) -> None:
    _others(script)
    script.on(PIPELINES, Answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}))
    with pytest.raises(Unavailable):
        discover(client)
