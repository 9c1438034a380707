"""Runs: how they ended, how long they took, on which runtime; and that a listing which breaks off says so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.workspace.raws import spec
from tests.workspace.scripted import Answer, Script
from workspace.client import Client
from workspace.errors import Incomplete
from workspace.run_result import result_of
from workspace.runs import collect_runs, runs_since, seen_of

SINCE = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
AT = int(SINCE.timestamp() * 1000)
LIST = "/api/2.2/jobs/runs/list"


def ended(
    result: str | None = None, code: str | None = None, kind: str | None = None, life: str = "TERMINATED"
) -> dict[str, Any]:
    raw: dict[str, Any] = {"state": {"life_cycle_state": life, **({"result_state": result} if result else {})}}
    if code:
        raw["status"] = {"state": "TERMINATED", "termination_details": {"code": code, "type": kind}}
    return raw


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        (ended("SUCCESS"), "success"),
        (ended("SUCCESS", "SUCCESS", "SUCCESS"), "success"),
        (ended("SUCCESS_WITH_FAILURES", "SUCCESS_WITH_FAILURES", "SUCCESS"), "failed"),
        (ended("FAILED"), "failed"),
        (ended("FAILED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR"), "failed"),
        (ended("FAILED", "CLUSTER_ERROR", "CLOUD_FAILURE"), "platform"),
        (ended("FAILED", "INTERNAL_ERROR", "INTERNAL_ERROR"), "platform"),
        (ended("FAILED", "CLUSTER_ERROR", "CLIENT_ERROR"), "failed"),
        (ended("FAILED", "BREAKING_CHANGE", "INTERNAL_ERROR"), "failed"),
        (ended("FAILED", "DRIVER_ERROR", "INTERNAL_ERROR"), "failed"),
        (ended("FAILED", "LIBRARY_INSTALLATION_ERROR", "CLOUD_FAILURE"), "failed"),
        (ended("FAILED", "USER_CANCELED", "SUCCESS"), "canceled"),
        (ended("FAILED", "SUCCESS", "SUCCESS"), "failed"),  # they contradict each other: not good
        (ended("TIMEDOUT", "RUN_EXECUTION_ERROR", "CLIENT_ERROR"), "timedout"),
        (ended("TIMEDOUT", "INTERNAL_ERROR", "INTERNAL_ERROR"), "timedout"),
        (ended("CANCELED", "USER_CANCELED", "SUCCESS"), "canceled"),
        (ended("UPSTREAM_CANCELED"), "canceled"),
        (ended("UPSTREAM_FAILED"), "failed"),
        (ended("EXCLUDED"), "skipped"),
        (ended("DISABLED"), "skipped"),
        (ended("MAXIMUM_CONCURRENT_RUNS_REACHED", life="SKIPPED"), "skipped"),
        (ended(None, "MAX_CONCURRENT_RUNS_EXCEEDED", "CLIENT_ERROR", life="SKIPPED"), "skipped"),
        (ended("FAILED", "WORKSPACE_RUN_LIMIT_EXCEEDED", "CLIENT_ERROR"), "skipped"),
        (ended("FAILED", life="INTERNAL_ERROR"), "failed"),
        (ended(life="INTERNAL_ERROR"), "failed"),
        (ended(None, "CLOUD_FAILURE", "CLOUD_FAILURE", life="INTERNAL_ERROR"), "platform"),
        (ended("A_NEW_WORD"), "failed"),
        (ended(), "failed"),
        (ended(life="RUNNING"), "active"),
        (ended(life="WAITING_FOR_RETRY"), "active"),
        ({}, "active"),
        ({"status": {"state": "TERMINATED", "termination_details": {"code": "SUCCESS", "type": "SUCCESS"}}}, "success"),
        ({"status": {"state": "TERMINATED", "termination_details": {"code": "NEW", "type": "CLIENT_ERROR"}}}, "failed"),
        ({"status": {"state": "RUNNING"}}, "active"),
    ],
)
def test_how_a_run_ended(raw: dict[str, Any], result: str) -> None:
    assert result_of(raw) == result


def run(number: int, job_id: int = 7, minutes: float = 1, **more: Any) -> dict[str, Any]:
    start = AT + int(minutes * 60_000)
    return {
        "run_id": number,
        "job_id": job_id,
        "start_time": start,
        "end_time": start + 9000,
        **ended("SUCCESS"),
        **more,
    }


TASKS = [
    {"task_key": "a", "execution_duration": 5000, "attempt_number": 0, "job_cluster_key": "m"},
    {"task_key": "a", "execution_duration": 2000, "attempt_number": 1, "job_cluster_key": "m"},
    {"task_key": "b", "execution_duration": 3000, "existing_cluster_id": "0101-1-x"},
]


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ({"execution_duration": 1500, "setup_duration": 99000}, 1.5),
        ({"execution_duration": 0, "run_duration": 9000, "tasks": TASKS}, 5.0),
        ({"execution_duration": 0, "run_duration": 9000, "setup_duration": 2000, "queue_duration": 1000}, 6.0),
        ({}, None),
        ({**ended(life="RUNNING"), "execution_duration": 1500}, None),
    ],
)
def test_how_long_it_worked(more: dict[str, Any], seconds: float | None) -> None:
    assert seen_of(run(1, **more)).seconds == seconds


@pytest.mark.parametrize(
    ("more", "runtime"),
    [
        ({"cluster_spec": {"new_cluster": spec()}}, "13.3"),
        ({"job_clusters": [{"job_cluster_key": "m", "new_cluster": spec("17.3.x-scala2.13")}]}, "17.3"),
        (
            {
                "tasks": [{"task_key": "a", "new_cluster": spec()}],
                "job_clusters": [{"new_cluster": spec("17.3.x-scala2.13")}],
            },
            "13.3 + 17.3",
        ),
        ({"tasks": [{"task_key": "a", "for_each_task": {"task": {"new_cluster": spec()}}}]}, "13.3"),
        ({"cluster_spec": {"existing_cluster_id": "x"}}, None),
        ({"cluster_spec": {"new_cluster": spec("custom:x")}}, None),
        ({}, None),
    ],
)
def test_on_which_runtime(more: dict[str, Any], runtime: str | None) -> None:
    assert seen_of(run(1, **more)).runtime == runtime


def test_times_attempts_and_shared_clusters() -> None:
    seen = seen_of(run(5, tasks=TASKS))
    assert seen.started == SINCE + timedelta(minutes=1)
    assert seen.ended == SINCE + timedelta(minutes=1, seconds=9)
    assert seen.attempt == 1
    assert seen.key == "7:5:1"
    assert seen.cluster_ids == ("0101-1-x",)
    assert seen_of(run(5, end_time=0, **ended(life="RUNNING"))).ended is None


def test_the_workspace_is_listed_once_for_many_jobs_and_asked_by_job_for_few(script: Script, client: Client) -> None:
    script.on(LIST, Answer(200, {"runs": [run(3, 7), run(2, 8), run(1, 9)]}))
    many = {str(n) for n in range(30)} - {"9"}
    assert [r.run_id for r in runs_since(client, many, SINCE)] == [3, 2]
    assert [r.run_id for r in runs_since(client, None, SINCE)] == [3, 2, 1]
    assert len(script.asked) == 2
    assert script.asked[0].query == {
        "limit": ["24"],
        "expand_tasks": ["true"],
        "completed_only": ["true"],
        "run_type": ["JOB_RUN"],
        "start_time_from": [str(AT)],
    }
    list(runs_since(client, ["8", "7"], SINCE))
    assert [a.query["job_id"] for a in script.asked[2:]] == [["7"], ["8"]]
    assert list(runs_since(client, [], SINCE)) == []


def test_a_filter_that_the_server_ignores_is_applied_here(script: Script, client: Client) -> None:
    active = run(3, end_time=0, **ended(life="RUNNING"))
    script.on(LIST, Answer(200, {"runs": [active, run(2), run(1, minutes=-1)]}))
    assert [r.run_id for r in runs_since(client, None, SINCE)] == [2]
    assert [r.run_id for r in runs_since(client, None, SINCE, active=True)] == [3, 2]
    assert "completed_only" not in script.asked[-1].query


def test_a_listing_that_breaks_off_says_so_and_keeps_what_it_read(script: Script, client: Client) -> None:
    script.on(LIST, Answer(200, {"runs": [run(1)], "next_page_token": "again"}))
    runs = runs_since(client, None, SINCE, most_pages=3)
    assert [next(runs).run_id for _ in range(3)] == [1, 1, 1]
    with pytest.raises(Incomplete):
        next(runs)
    assert len(script.asked) == 3


def test_collected_runs_are_newest_first_and_tell_whether_they_are_all(script: Script, client: Client) -> None:
    script.on(LIST, Answer(200, {"runs": [run(1, minutes=1)]}), Answer(200, {"runs": [run(2, 8, minutes=5)]}))
    seen = collect_runs(client, ["7", "8"], SINCE)
    assert [r.run_id for r in seen.runs] == [2, 1]
    assert seen.complete is True
