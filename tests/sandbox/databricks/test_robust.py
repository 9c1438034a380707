"""As a server: much at once, nonsense, too much, and clients that hang up."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from databricks.sdk import WorkspaceClient

from sandbox.databricks.workspace import Workspace


def headers(dev: Workspace) -> dict[str, str]:
    return {"Authorization": f"Bearer {dev.token}", "Content-Type": "application/json"}


def test_two_hundred_requests_at_once_are_all_answered(dev: Workspace) -> None:
    def one(number: int) -> int:
        path = ("clusters/list", "clusters/spark-versions")[number % 2]
        return requests.get(f"{dev.host}/api/2.1/{path}", headers=headers(dev), timeout=20).status_code

    with ThreadPoolExecutor(200) as pool:
        assert set(pool.map(one, range(200))) == {200}


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"a": }', b"[" * 100_000, b"nonsense"])
def test_malformed_json_is_a_bad_request(dev: Workspace, body: bytes) -> None:
    answer = requests.post(f"{dev.host}/api/2.2/jobs/create", data=body, headers=headers(dev), timeout=5)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("body", [b"[]", b"3", b'"x"', b"null"])
def test_a_body_that_is_no_object_is_a_bad_request(dev: Workspace, body: bytes) -> None:
    answer = requests.post(f"{dev.host}/api/2.2/jobs/create", data=body, headers=headers(dev), timeout=5)
    assert answer.status_code == 400


def test_a_huge_body_is_refused(dev: Workspace) -> None:
    body = b'{"name": "' + b"x" * 11_000_000 + b'"}'
    try:
        answer = requests.post(f"{dev.host}/api/2.2/jobs/create", data=body, headers=headers(dev), timeout=10)
        assert answer.status_code == 413
    except requests.ConnectionError:
        pass  # it hung up while we were still sending
    assert requests.get(f"{dev.host}/api/2.1/clusters/list", headers=headers(dev), timeout=5).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/2.1/clusters/%2e%2e/list", "/api/2.0/permissions/jobs/x/y", "/%00"]
)
def test_unknown_paths_are_answered(dev: Workspace, path: str) -> None:
    assert requests.get(f"{dev.host}{path}", headers=headers(dev), timeout=5).status_code in (400, 404, 501)


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
