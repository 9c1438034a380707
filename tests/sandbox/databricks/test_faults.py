"""Bad weather on request, and what the real SDK makes of it."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import RealClock
from databricks.sdk.config import Config
from databricks.sdk.core import ApiClient
from databricks.sdk.errors import InternalError, NotFound, PermissionDenied

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.workspace import Workspace

UPDATE = "/api/2.1/clusters/update"


class Impatient(RealClock):
    """A clock for the SDK whose sleep raises, so that it sends each request once."""

    def sleep(self, seconds: float) -> None:
        raise InterruptedError(seconds)


@pytest.fixture
def once(w: WorkspaceClient, dev: Workspace) -> ApiClient:
    """A client that does not retry."""
    return ApiClient(Config(host=dev.host, token=dev.token, clock=Impatient()))


@pytest.fixture
def edit(cluster: Callable[[str], str]) -> dict[str, Any]:
    """The body of an update of the running cluster."""
    return {"cluster_id": cluster("running"), "update_mask": "num_workers", "cluster": {"num_workers": 7}}


def workers(dev: Workspace, body: dict[str, Any]) -> int:
    return int(dev.clusters[body["cluster_id"]].spec["num_workers"])


@pytest.mark.conforms("too-many-requests-carry-retry-after")
def test_too_many_requests_carry_retry_after(databricks: Databricks, dev: Workspace) -> None:
    databricks.faults.add("/api/2.1/clusters/*", "429", retry_after=7)
    answer = requests.get(
        f"{dev.host}/api/2.1/clusters/list", headers={"Authorization": f"Bearer {dev.token}"}, timeout=5
    )
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"


@pytest.mark.conforms("sdk-retries-429-and-503")
@pytest.mark.parametrize("kind", ["429", "503"])
def test_the_sdk_waits_and_asks_again_after_429_and_503(
    databricks: Databricks, w: WorkspaceClient, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("databricks.sdk.clock.RealClock.sleep", lambda self, seconds: slept.append(seconds))
    databricks.faults.add("*/clusters/list", kind, times=2, retry_after=3)
    assert len(list(w.clusters.list())) > 5
    assert len(slept) == 2
    assert [entry.status for entry in databricks.calls if entry.path.endswith("list")] == [int(kind)] * 2 + [200]


def test_an_internal_error_did_nothing(
    databricks: Databricks, dev: Workspace, w: WorkspaceClient, edit: dict[str, Any]
) -> None:
    databricks.faults.add(UPDATE, "500", times=1)
    with pytest.raises(InternalError):
        w.api_client.do("POST", UPDATE, body=edit)
    assert workers(dev, edit) == 2


@pytest.mark.conforms("forbidden-is-permission-denied")
def test_forbidden_is_a_permission_denied(databricks: Databricks, w: WorkspaceClient) -> None:
    databricks.faults.add("/api/2.2/jobs/*", "403")
    with pytest.raises(PermissionDenied):
        list(w.jobs.list())
    assert len(list(w.clusters.list())) > 5


def test_a_reset_connection_did_nothing(
    databricks: Databricks, dev: Workspace, once: ApiClient, edit: dict[str, Any]
) -> None:
    databricks.faults.add(UPDATE, "reset")
    with pytest.raises(InterruptedError) as caught:
        once.do("POST", UPDATE, body=edit)
    assert isinstance(caught.value.__context__, requests.ConnectionError)
    assert workers(dev, edit) == 2


@pytest.mark.conforms("lost-answer-was-done")
def test_a_lost_answer_means_that_it_was_done(
    databricks: Databricks, dev: Workspace, once: ApiClient, edit: dict[str, Any]
) -> None:
    databricks.faults.add(UPDATE, "lost-answer")
    with pytest.raises(InterruptedError):
        once.do("POST", UPDATE, body=edit)
    assert workers(dev, edit) == 7
    assert [entry.status for entry in databricks.calls.writes(edit["cluster_id"])] == [0]


@pytest.mark.conforms("sdk-resends-after-lost-answer")
def test_after_a_lost_answer_the_sdk_sends_the_write_again(
    databricks: Databricks, w: WorkspaceClient, edit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databricks.sdk.clock.RealClock.sleep", lambda self, seconds: None)
    databricks.faults.add("*/clusters/restart", "lost-answer", times=1)
    w.api_client.do("POST", "/api/2.1/clusters/restart", body={"cluster_id": edit["cluster_id"]})
    assert len(databricks.calls.writes(edit["cluster_id"])) == 2


def test_a_slow_answer_comes_late_and_others_do_not_wait_for_it(
    databricks: Databricks, dev: Workspace, w: WorkspaceClient
) -> None:
    databricks.faults.add("*/clusters/list", "slow", seconds=60)
    with pytest.raises(requests.Timeout):
        requests.get(f"{dev.host}/api/2.1/clusters/list", headers={"Authorization": f"Bearer {dev.token}"}, timeout=0.1)
    begin = time.monotonic()
    list(w.jobs.list())
    assert time.monotonic() - begin < 30


def test_a_rate_is_kept_and_repeatable_by_its_seed(databricks: Databricks) -> None:
    def struck(seed: int) -> list[bool]:
        databricks.faults.clear()
        databricks.faults.add("*", "500", rate=0.2, seed=seed)
        return [databricks.faults.strike("dev", "GET", "/x") is not None for _ in range(1000)]

    assert 150 < sum(struck(1)) < 250
    assert struck(1) == struck(1) != struck(2)


def test_a_fault_can_be_of_one_workspace_method_and_number_of_times(databricks: Databricks) -> None:
    databricks.faults.add("/api/*", "500", workspace="prod", method="POST", times=1)
    strike = databricks.faults.strike
    assert strike("dev", "POST", "/api/x") is None
    assert strike("prod", "GET", "/api/x") is None
    assert strike("prod", "POST", "/other") is None
    assert strike("prod", "POST", "/api/x") is not None
    assert strike("prod", "POST", "/api/x") is None


@pytest.mark.conforms("first-reads-after-a-write-may-be-old")
def test_after_an_update_the_next_reads_show_the_old_value_alone_and_in_lists(
    databricks: Databricks, w: WorkspaceClient, edit: dict[str, Any]
) -> None:
    databricks.faults.add("/api/2.1/clusters/*", "eventual", reads=2)

    def listed() -> Any:
        return next(c.num_workers for c in w.clusters.list() if c.cluster_id == edit["cluster_id"])

    w.api_client.do("POST", UPDATE, body=edit)
    assert w.clusters.get(edit["cluster_id"]).spec.num_workers == 2  # type: ignore[union-attr]
    assert listed() == 2
    assert w.clusters.get(edit["cluster_id"]).spec.num_workers == 7  # type: ignore[union-attr]
    assert listed() == 7


@pytest.mark.conforms("first-reads-after-a-write-may-be-old")
def test_a_fresh_job_is_not_there_for_a_while_and_a_deleted_one_still_is(
    databricks: Databricks, w: WorkspaceClient, job: Callable[[str], int]
) -> None:
    databricks.faults.add("/api/2.2/jobs/*", "eventual", reads=2)
    body = {"name": "fresh", "tasks": [{"task_key": "a", "existing_cluster_id": "x"}]}
    made: Any = w.api_client.do("POST", "/api/2.2/jobs/create", body=body)
    with pytest.raises(NotFound):
        w.jobs.get(made["job_id"])
    assert list(w.jobs.list(name="fresh")) == []
    assert w.jobs.get(made["job_id"]).job_id == made["job_id"]
    w.jobs.delete(job("manual"))
    assert w.jobs.get(job("manual")).job_id == job("manual")
    assert w.jobs.get(job("hourly")).job_id == job("hourly")  # of another thing: does not count
    assert [j.job_id for j in w.jobs.list(name="manual")] == [job("manual")]
    with pytest.raises(NotFound):
        w.jobs.get(job("manual"))


@pytest.mark.conforms("first-reads-after-a-write-may-be-old")
def test_a_fresh_run_is_not_there_until_the_seconds_are_over_or_the_weather_is_fine(
    databricks: Databricks, w: WorkspaceClient, job: Callable[[str], int]
) -> None:
    databricks.faults.add("*/run-now", "eventual", seconds=600)
    run_id = w.jobs.run_now(job("manual")).run_id
    with pytest.raises(NotFound):
        w.jobs.get_run(run_id)
    assert list(w.jobs.list_runs(job_id=job("manual"))) == []
    assert list(w.jobs.list_runs(active_only=True, job_id=job("manual"))) == []
    requests.delete(f"{databricks.admin}/sandbox/faults", timeout=60)
    assert w.jobs.get_run(run_id).run_id == run_id


def test_seconds_of_an_eventual_read_are_of_the_machine(
    databricks: Databricks, w: WorkspaceClient, job: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = [1000.0]
    monkeypatch.setattr(databricks.lag, "_ticks", lambda: machine[0])
    databricks.faults.add("*/jobs/update", "eventual", seconds=3)
    body = {"job_id": job("manual"), "new_settings": {"name": "renamed"}}
    w.api_client.do("POST", "/api/2.2/jobs/update", body=body)
    databricks.step(3600)

    def name() -> Any:
        return w.jobs.get(job("manual")).settings.name  # type: ignore[union-attr]

    machine[0] += 2.9
    assert name() == "manual"
    machine[0] += 0.2
    assert name() == "renamed"


def test_one_fault_is_removed_by_its_number(databricks: Databricks) -> None:
    address = f"{databricks.admin}/sandbox/faults"
    rules = [{"kind": "500", "path": "/a"}, {"kind": "503", "path": "/b"}]
    first = requests.post(address, json={"faults": rules}, timeout=60).json()["faults"][0]["number"]
    left = requests.post(address, json={"clear": first}, timeout=60).json()["faults"]
    assert [rule["path"] for rule in left] == ["/b"]
    again = requests.post(address, json={"clear": first}, timeout=60)
    assert (again.status_code, again.json()["message"]) == (400, f"there is no fault number {first}")


def test_faults_are_set_listed_and_cleared_over_http(databricks: Databricks, w: WorkspaceClient) -> None:
    address = f"{databricks.admin}/sandbox/faults"
    rule: Any = {"path": "/api/2.2/*", "kind": "403", "rate": 1}
    assert requests.post(address, json=rule, timeout=60).json()["faults"][0]["path"] == "/api/2.2/*"
    with pytest.raises(PermissionDenied):
        list(w.jobs.list())
    assert requests.get(address, timeout=60).json()["faults"][0]["hits"] == 1
    assert requests.post(address, json={"clear": True}, timeout=60).json() == {"faults": []}
    assert len(list(w.jobs.list())) > 1


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"kind": "hail"}, "unknown kind of fault 'hail'"),
        ({"kind": "500", "rate": 2}, "between 0 and 1"),
        ({"kind": "500", "colour": 1}, "unknown field 'colour'"),
        ({"kind": "500", "times": "many"}, "cannot be the times"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_a_sentence(
    databricks: Databricks, rule: dict[str, Any], message: str
) -> None:
    answer = requests.post(f"{databricks.admin}/sandbox/faults", json=rule, timeout=60)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
