"""The server itself: who may talk to it, what it survives, what it remembers, how it starts and stops."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from slack_sdk import WebClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sandbox.slack.server import Slack, running
from sandbox.slack.store import Store
from tests.sandbox.slack.playing import QA, SUPPORT, RawBot, home, modal, section, text_input

REPOSITORY = Path(__file__).resolve().parents[3]


def status(slack: Slack, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(slack.url).netloc, timeout=60)
    connection.request(method, path, body, headers)
    code = connection.getresponse().status
    connection.close()
    return code


@pytest.mark.conforms("slack-only-loopback")
def test_only_loopback_names_are_answered(shared: Slack) -> None:
    assert status(shared, "/sandbox/state?as=qa", Host="localhost") == 200
    assert status(shared, "/sandbox/state?as=qa", Host="evil.example:8800") == 403
    assert status(shared, "/api/auth.test", "POST", b"", Host="192.168.0.1") == 403
    url = f"ws{shared.url.removeprefix('http')}/sandbox/live?as=qa"
    with pytest.raises(InvalidStatus):
        connect(url, additional_headers={"Host": "evil.example"})


@pytest.mark.conforms("slack-only-loopback")
def test_foreign_pages_are_not_answered(shared: Slack) -> None:
    assert status(shared, "/sandbox/state?as=qa", Origin=shared.url) == 200
    assert status(shared, "/sandbox/state?as=qa", Origin="https://evil.example") == 403


def test_unknown_paths_and_methods_are_refused(shared: Slack) -> None:
    for path in ("/nowhere", "/sandbox/", "/api/", "/page/../slack/server.py", "/page/nothing.js", "/response/"):
        assert status(shared, path) in (404, 405)
    assert status(shared, "/sandbox/command") == 405
    assert status(shared, "/link") in (404, 426)


@pytest.mark.parametrize("path", ["/sandbox/command", "/sandbox/act", "/sandbox/clock", "/response/unknown"])
def test_bodies_that_are_no_object_are_refused(shared: Slack, path: str) -> None:
    for body in (b"", b"{", b"[]", b"null", b'{"as": "qa", "text": "\\ud800"}', b"\xff"):
        assert status(shared, path, "POST", body) in (400, 404)
    assert status(shared, path, "POST", b"x" * 1_100_000) == 413


def test_clients_that_hang_up_do_no_harm(slack: Slack) -> None:
    address = ("127.0.0.1", int(urlsplit(slack.url).port or 0))
    for start in (
        b"",
        b"POST /sandbox/command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
        b"\x00\xff",
    ):
        with socket.create_connection(address) as line:
            line.sendall(start)
    RawBot(slack).socket.socket.close()
    assert slack.get("state", **{"as": "qa"})


def test_two_hundred_parallel_calls_are_answered(slack: Slack) -> None:
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    with ThreadPoolExecutor(32) as pool:
        assert all(answer["ok"] for answer in pool.map(lambda _: client.auth_test(), range(200)))


def test_what_was_said_survives_a_restart(tmp_path: Path, start: Callable[..., Slack]) -> None:
    with running(tmp_path) as first:
        client = WebClient(first.bot_token, base_url=first.api_url)
        bot = RawBot(first, lambda envelope: None)
        metadata = {"event_type": "card", "event_payload": {"a": 1}}
        ts = client.chat_postMessage(channel=SUPPORT, text="kept", metadata=metadata)["ts"]
        client.chat_postMessage(channel=SUPPORT, text="reply", thread_ts=ts)
        client.views_publish(user_id=QA, view=home(section("home")))
        request = first.command("qa", "/rollout")
        payload = bot.payload()
        view = client.views_open(trigger_id=payload["trigger_id"], view=modal(text_input()))["view"]["id"]
        first.post("input", **{"as": "qa", "view": view, "action_id": "text", "value": "because"})
    second = start(state=tmp_path)
    (message,) = second.get("messages", **{"as": "qa", "channel": SUPPORT})["messages"]
    assert (message["ts"], message["text"], message["replies"]) == (ts, "kept", 1)
    assert message["metadata"] == metadata
    assert second.get("home", **{"as": "qa"})["view"]["blocks"][0]["text"]["text"] == "home"
    (shown,) = second.get("views", **{"as": "qa"})["views"]
    assert shown["state"]["values"]["why"]["text"]["value"] == "because"
    assert second.request(request)["answers"][0]["view"]["id"] == view
    client = WebClient(second.bot_token, base_url=second.api_url)
    assert client.chat_update(channel=SUPPORT, ts=ts, text="still mine")["ok"]
    assert second.command("qa", "hello") != request


def test_state_is_written_while_it_runs(slack: Slack, client: WebClient, tmp_path: Path) -> None:
    client.chat_postMessage(channel=SUPPORT, text="not lost")
    deadline = time.monotonic() + 60
    while "not lost" not in (slack.workspace.store.path.read_text() if slack.workspace.store.path.exists() else ""):
        assert time.monotonic() < deadline


def test_a_state_file_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "slack.json").write_text('{"tables": ')
    Store(tmp_path).save()
    assert json.loads((tmp_path / "slack.json").read_text())["version"] == 1
    assert (tmp_path / "slack.unreadable.json").exists()


def test_an_older_state_never_overwrites_a_newer_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    older = store.encode()
    store.put("homes", "U1", {"view": "V1"})
    store.save()
    store.write(older)
    assert "V1" in store.path.read_text()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "sandbox.slack", "--port", "0", "--state", str(tmp_path)]
    child = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    yield child
    child.kill()
    child.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_stops_cleanly(process: subprocess.Popen[str], number: int) -> None:
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert (ready["ready"], ready["mode"]) == (True, "socket")
    with connect(f"ws{ready['url'].removeprefix('http')}/sandbox/live?as=qa"):
        begun = time.monotonic()
        process.send_signal(number)
        assert process.wait(60) == 0
    assert time.monotonic() - begun < 30, "the open page does not hold it"


def test_it_cannot_start_on_a_taken_port(slack: Slack, tmp_path: Path) -> None:
    port = str(urlsplit(slack.url).port)
    command = [sys.executable, "-m", "sandbox.slack", "--port", port, "--state", str(tmp_path / "other")]
    child = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert child.returncode == 2
    assert "cannot start" in child.stderr
