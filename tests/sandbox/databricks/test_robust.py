"""As a server: much at once, nonsense, too much, and clients that hang up."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError

from sandbox.databricks.call import Call
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.errors import ApiError
from sandbox.databricks.rates import Rates
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace


def headers(dev: Workspace) -> dict[str, str]:
    return {"Authorization": f"Bearer {dev.token}", "Content-Type": "application/json"}


def test_two_hundred_requests_at_once_are_all_answered(dev: Workspace) -> None:
    def one(number: int) -> int:
        path = ("clusters/list", "clusters/spark-versions")[number % 2]
        return requests.get(f"{dev.host}/api/2.1/{path}", headers=headers(dev), timeout=60).status_code

    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(one, range(200))) == {200}


@pytest.mark.conforms("malformed-is-refused")
@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"a": }', b"[" * 100_000, b"nonsense"])
def test_malformed_json_is_a_bad_request(dev: Workspace, body: bytes) -> None:
    answer = requests.post(f"{dev.host}/api/2.2/jobs/create", data=body, headers=headers(dev), timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "MALFORMED_REQUEST")


@pytest.mark.conforms("malformed-is-refused")
@pytest.mark.parametrize("body", [b"[]", b"3", b'"x"', b"null"])
def test_a_body_that_is_no_object_is_a_bad_request(dev: Workspace, body: bytes) -> None:
    answer = requests.post(f"{dev.host}/api/2.2/jobs/create", data=body, headers=headers(dev), timeout=60)
    assert answer.status_code == 400


def test_a_huge_body_is_refused(dev: Workspace) -> None:
    body = b'{"name": "' + b"x" * 11_000_000 + b'"}'
    try:
        answer = requests.post(f"{dev.host}/api/2.2/jobs/create", data=body, headers=headers(dev), timeout=60)
        assert answer.status_code == 413
    except requests.ConnectionError:
        pass  # it hung up while we were still sending
    assert requests.get(f"{dev.host}/api/2.1/clusters/list", headers=headers(dev), timeout=60).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/2.1/clusters/%2e%2e/list", "/api/2.0/permissions/jobs/x/y", "/%00"]
)
def test_unknown_paths_are_answered(dev: Workspace, path: str) -> None:
    assert requests.get(f"{dev.host}{path}", headers=headers(dev), timeout=60).status_code in (400, 404, 501)


def test_clients_that_hang_up_do_no_harm(dev: Workspace, w: WorkspaceClient, job: Callable[[str], int]) -> None:
    port = int(dev.host.rpartition(":")[2])
    for sent in (
        b"",
        b"GET /api",
        b"POST /api/2.2/jobs/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{",
    ):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(sent)
    assert w.jobs.get(job("hourly")).job_id == job("hourly")


def test_it_listens_on_the_loopback_only(dev: Workspace) -> None:
    port = int(dev.host.rpartition(":")[2])
    with open("/proc/net/tcp", encoding="ascii") as table:
        listening = [line.split()[1] for line in table if f":{port:04X} 00000000:0000 0A" in line]
    assert listening == [f"0100007F:{port:04X}"]


@pytest.mark.conforms("published-rates")
@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/api/2.2/jobs/create", 20),
        ("POST", "/api/2.2/jobs/run-now", 20),
        ("POST", "/api/2.2/jobs/runs/submit", 35),
        ("GET", "/api/2.2/jobs/runs/get", 100),
        ("GET", "/api/2.0/permissions/jobs/1", 100),
        ("PATCH", "/api/2.0/permissions/jobs/1", 30),
        ("GET", "/api/2.0/workspace/export", 60),
    ],
)
def test_too_many_requests_in_one_second_are_refused_and_the_next_second_has_room(
    databricks: Databricks, method: str, path: str, limit: int
) -> None:
    machine = [0.0]
    rates = Rates(lambda: machine[0])

    def refusal() -> ApiError | None:
        try:
            rates.take("dev", Call(method, path))
        except ApiError as error:
            return error
        return None

    def taken() -> int:
        answers = [refusal() for _ in range(limit + 5)]
        assert {(e.status, e.headers["Retry-After"]) for e in answers if e} == {(429, "1")}
        return answers.count(None)

    assert taken() == limit
    rates.take("prod", Call(method, path))
    rates.take("dev", Call("GET", "/api/2.1/clusters/list"))
    machine[0] += 1
    assert taken() == limit


@pytest.mark.conforms("published-rates")
def test_a_client_that_asks_too_fast_gets_a_429_over_the_wire(databricks: Databricks, dev: Workspace) -> None:
    machine = [0.0]
    databricks.rates = Rates(lambda: machine[0])

    def create() -> requests.Response:
        return requests.post(f"{dev.host}/api/2.2/jobs/create", json={"name": "x"}, headers=headers(dev), timeout=60)

    assert [create().status_code for _ in range(21)] == [200] * 20 + [429]
    assert create().headers["Retry-After"] == "1"
    machine[0] += 1
    assert create().status_code == 200


@pytest.mark.conforms("limits-of-jobs")
def test_a_workspace_takes_ten_thousand_jobs(w: WorkspaceClient, dev: Workspace, job: Callable[[str], int]) -> None:
    dev.jobs.update({number: dev.jobs[job("hourly")] for number in range(10_000 - len(dev.jobs))})
    with pytest.raises(DatabricksError, match="quota for the number of jobs") as refused:
        w.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "x"})
    assert refused.value.error_code == "QUOTA_EXCEEDED"


def test_requests_from_other_names_than_this_machine_are_refused(dev: Workspace) -> None:
    answer = requests.get(
        f"{dev.host}/api/2.1/clusters/list", headers={**headers(dev), "Host": "evil.example.com"}, timeout=5
    )
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_an_answer_under_way_does_not_hold_up_the_end(tiny: dict[str, Any]) -> None:
    with running(tiny) as databricks:
        databricks.faults.add("*", "slow", seconds=60)
        ws = databricks.workspaces["dev"]
        port = int(ws.host.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            request = (
                f"GET /api/2.1/clusters/list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ws.token}\r\n\r\n"
            )
            connection.sendall(request.encode())
            while not databricks.faults.rules[0].hits:
                time.sleep(0.005)
    assert not [thread for thread in threading.enumerate() if thread.name == "local-databricks"]
