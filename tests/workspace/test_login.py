"""Logging in a service principal: once, in time, by one of many threads, and again when the token ends."""

import threading
import time
from collections.abc import Callable

import pytest

from tests.workspace.scripted import Answer, Script
from workspace import client as client_module
from workspace import login
from workspace.access import access
from workspace.client import Client
from workspace.errors import Unavailable

DISCOVERY, TOKEN_PATH, GET = "/oidc/.well-known/oauth-authorization-server", "/oidc/v1/token", "/api/2.1/clusters/get"


def token(name: str, lasts: float = 3600) -> Answer:
    return Answer(200, {"access_token": name, "token_type": "Bearer", "expires_in": lasts})


@pytest.fixture
def ready(script: Script) -> Script:
    endpoints = {"authorization_endpoint": f"{script.host}/x", "token_endpoint": f"{script.host}{TOKEN_PATH}"}
    script.on(DISCOVERY, Answer(200, endpoints))
    script.on(GET, Answer(200, {}))
    return script


@pytest.fixture
def principal(script: Script) -> Callable[[], Client]:
    return lambda: Client(access(script.host, client_id="id", client_secret="very-secret"), read_budget=0)


def test_one_of_many_threads_logs_in(ready: Script, principal: Callable[[], Client]) -> None:
    ready.on(TOKEN_PATH, token("first"), token("second"))
    client = principal()
    threads = [threading.Thread(target=client.get, args=(GET,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {a.headers["Authorization"] for a in ready.asked} == {"Bearer first"}
    assert len(ready.asked) == 8


def test_a_token_that_ends_soon_is_renewed(
    ready: Script, principal: Callable[[], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.on(TOKEN_PATH, token("first", lasts=0), token("second"))
    client = principal()
    client.get(GET)
    client.get(GET)
    client.get(GET)
    assert ready.asked[-1].headers["Authorization"] == "Bearer second"


@pytest.mark.parametrize("path", [DISCOVERY, TOKEN_PATH])
@pytest.mark.parametrize("fault", ["silent", "reset"])
def test_a_token_server_that_does_not_answer_holds_nobody_up(
    ready: Script, principal: Callable[[], Client], monkeypatch: pytest.MonkeyPatch, path: str, fault: str
) -> None:
    monkeypatch.setattr(client_module, "PREPARE_LIMIT", 2.0)
    ready.on(TOKEN_PATH, token("good"))
    good = ready.answers[path]
    ready.answers[path] = [Answer(fault=fault)]
    client = principal()
    started = time.monotonic()
    with pytest.raises(Unavailable):
        client.write(GET, {})
    assert time.monotonic() - started < 30
    assert ready.asked == []
    ready.answers[path] = good
    assert client.write(GET, {}) == {}  # and it recovers


def test_a_write_that_was_held_up_too_long_is_not_sent(
    ready: Script, principal: Callable[[], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.on(TOKEN_PATH, token("good"))
    monkeypatch.setattr(client_module, "PREPARE_LIMIT", 0.0)
    monkeypatch.setattr(login.ClientCredentials, "__init__", _patient(login.ClientCredentials.__init__))
    with pytest.raises(Unavailable, match="nothing was sent"):
        principal().write(GET, {})
    assert ready.asked == []


def _patient(made: Callable[..., None]) -> Callable[..., None]:
    def init(self: login.ClientCredentials, client_id: str, client_secret: str, time_limit: float) -> None:
        made(self, client_id, client_secret, 5.0)

    return init
