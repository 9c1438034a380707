"""What page, terminal and tests ask of the sandbox; and what survives a restart."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient

from sandbox import calendar
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace


def ask(databricks: Databricks, path: str) -> Any:
    return requests.get(f"{databricks.admin}/sandbox/{path}", timeout=60).json()


def targets(fleet: Any) -> dict[str, Any]:
    return {f"{t['workspace']}/{t['kind']}/{t['name']}": t for w in fleet["workspaces"] for t in w["targets"]}


def test_the_fleet_shows_every_target_with_runtime_state_and_runs(databricks: Databricks) -> None:
    fleet = ask(databricks, "fleet")
    assert fleet["now"] == "2026-11-23T08:00:00Z"
    assert [w["key"] for w in fleet["workspaces"]] == ["dev", "prod"]
    found = targets(fleet)
    assert found["dev/cluster/running"]["runtime"] == "13.3.x-scala2.12"
    assert found["dev/cluster/running"]["state"] == "RUNNING"
    hourly = found["dev/job/hourly"]
    assert (hourly["runtime"], hourly["state"]) == ("13.3.x-scala2.12", "SCHEDULED")
    assert hourly["runs"]["ok"] == 168
    assert hourly["runs"]["last"]["result"] == "SUCCESS"
    assert "configuration" not in hourly


def test_a_job_shows_the_runtime_of_its_shared_cluster(
    databricks: Databricks, w: WorkspaceClient, cluster: Callable[[str], str]
) -> None:
    body = {
        "cluster_id": cluster("shared"),
        "update_mask": "spark_version",
        "cluster": {"spark_version": "15.4.x-scala2.12"},
    }
    w.api_client.do("POST", "/api/2.1/clusters/update", body=body)
    found = targets(ask(databricks, "fleet"))
    assert found["dev/job/on-shared"]["runtime"] == "15.4.x-scala2.12"
    assert found["dev/cluster/shared"]["restarts"] == 1


def test_raw_adds_the_configuration_as_the_api_gives_it(
    databricks: Databricks, w: WorkspaceClient, cluster: Callable[[str], str]
) -> None:
    found = targets(ask(databricks, "fleet?raw=1"))
    shown: Any = w.api_client.do("GET", "/api/2.1/clusters/get", query={"cluster_id": cluster("running")})
    assert found["dev/cluster/running"]["configuration"] == shown
    assert found["dev/job/hourly"]["configuration"]["settings"]["name"] == "hourly"


def test_next_is_the_next_thing_that_happens(databricks: Databricks) -> None:
    assert ask(databricks, "next")["next"] == "2026-11-23T08:03:00Z"  # states that last three minutes
    databricks.step(190)
    assert ask(databricks, "next")["next"] == "2026-11-23T08:05:00Z"  # the hourly job


def test_calls_are_logged_with_what_they_named(
    databricks: Databricks, w: WorkspaceClient, cluster: Callable[[str], str], job: Callable[[str], int]
) -> None:
    since = ask(databricks, "calls")["next"]
    w.clusters.get(cluster("running"))
    w.clusters.restart(cluster("running"))
    list(w.clusters.events(cluster("running")))
    w.jobs.get(job("hourly"))
    calls = ask(databricks, f"calls?since={since}")["calls"]
    assert [(c["method"], c["path"].rpartition("/")[2], c["status"], c["target"]) for c in calls] == [
        ("GET", "get", 200, cluster("running")),
        ("POST", "restart", 200, cluster("running")),
        ("POST", "events", 200, cluster("running")),
        ("GET", "get", 200, str(job("hourly"))),
    ]
    assert [entry.path for entry in databricks.calls.writes(cluster("running"))] == ["/api/2.1/clusters/restart"]


def test_only_the_first_workspace_answers_for_the_sandbox(databricks: Databricks) -> None:
    other = databricks.workspaces["prod"].host
    assert requests.get(f"{other}/sandbox/fleet", timeout=60).status_code == 401
    assert requests.get(f"{databricks.admin}/sandbox/other", timeout=60).status_code == 404


def test_everything_survives_a_restart(tmp_path: Path, tiny: dict[str, Any]) -> None:
    clock, state = tmp_path / "clock.json", tmp_path / "state"

    def snapshot(databricks: Databricks) -> Any:
        ws = databricks.workspaces["dev"]
        client = WorkspaceClient(host=ws.host, token=ws.token)
        plain = [
            [c.as_dict() for c in client.clusters.list()],
            [j.as_dict() for j in client.jobs.list(expand_tasks=True)],
            [r.as_dict() for r in client.jobs.list_runs(expand_tasks=True, limit=24)],
            [[e.as_dict() for e in client.clusters.events(c)] for c in sorted(ws.clusters)],
        ]
        return json.loads(json.dumps(plain).replace(ws.host, ""))

    with running(tiny, clock, state) as first:
        ws = first.workspaces["dev"]
        token = ws.token
        w = WorkspaceClient(host=ws.host, token=token)
        name = next(c.cluster_id for c in ws.clusters.values() if c.name == "running")
        w.clusters.restart(name)
        manual = next(j.job_id for j in ws.jobs.values() if j.name == "manual")
        runs: list[Any] = [w.jobs.run_now(manual, idempotency_token=f"t{n}").run_id for n in range(2)]
        before = snapshot(first)
    with running(tiny, clock, state) as second:
        assert snapshot(second) == before
        ws = second.workspaces["dev"]
        assert ws.token == token
        w = WorkspaceClient(host=ws.host, token=token)
        assert w.jobs.run_now(manual, idempotency_token="t0").run_id == runs[0]
        second.step(7200)
        assert w.clusters.get(name).state.value == "RUNNING"  # type: ignore[union-attr]
        assert {w.jobs.get_run(r).state.life_cycle_state.value for r in runs} == {"TERMINATED"}  # type: ignore[union-attr]


def test_a_state_of_another_version_is_refused(tmp_path: Path, tiny: dict[str, Any]) -> None:
    (tmp_path / "databricks.json").write_text('{"version": 0}')
    with pytest.raises(ValueError, match="another version"), running(tiny, None, tmp_path):
        pass


def start(tmp_path: Path, *options: str) -> tuple[subprocess.Popen[str], Any]:
    command = [sys.executable, "-m", "sandbox.databricks", "--port", "0", "--state", str(tmp_path), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_a_process_it_says_ready_serves_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process, ready = start(tmp_path, "--speed", "0")
    try:
        assert ready["ready"] is True
        assert list(ready["workspaces"]) == ["dev", "test", "staging", "prod"]
        dev = ready["workspaces"]["dev"]
        assert ready["admin"] == ready["url"] == dev["host"]
        w = WorkspaceClient(host=dev["host"], token=dev["token"])
        assert len(list(w.clusters.list())) >= 6
        calendar.step(tmp_path / "clock.json", 3600)
        assert requests.get(f"{ready['admin']}/sandbox/fleet", timeout=60).json()["now"] == "2026-11-23T09:00:00Z"
        process.send_signal(number)
        assert process.wait(60) == 0
        assert (tmp_path / "databricks.json").exists()
    finally:
        process.kill()
        process.communicate()


def test_a_fleet_that_cannot_be_read_ends_with_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.databricks", "--state", str(tmp_path), "--fleet", "nowhere.yml"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "cannot read the fleet nowhere.yml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_ends_with_a_sentence(tmp_path: Path, dev: Workspace) -> None:
    port = dev.host.rpartition(":")[2]
    command = [sys.executable, "-m", "sandbox.databricks", "--state", str(tmp_path), "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "Address already in use" in ended.stderr
