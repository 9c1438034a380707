"""Socket Mode: sockets, envelopes, recycling."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import Machine, RawBot, connect_sdk, leave, refusal


def link(slack: Slack) -> str:
    return str(WebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)["url"])


@pytest.mark.conforms("slack-hello")
def test_hello_counts_the_connections(slack: Slack) -> None:
    first, second = RawBot(slack), RawBot(slack)
    assert (first.hello["type"], first.hello["num_connections"]) == ("hello", 1)
    assert second.hello["num_connections"] == 2
    assert second.hello["connection_info"]["app_id"] == "A0ROLLOUT1"


@pytest.mark.conforms("slack-socket-address")
def test_an_address_is_good_for_one_socket(slack: Slack) -> None:
    url = link(slack)
    with connect(url) as socket:
        socket.recv(timeout=60)
        with pytest.raises(InvalidStatus):
            connect(url)


@pytest.mark.conforms("slack-socket-address")
def test_an_address_gets_old(slack: Slack, machine: Machine) -> None:
    url = link(slack)
    machine.advance(31)
    with pytest.raises(InvalidStatus):
        connect(url)


@pytest.mark.conforms("slack-ten-sockets")
def test_the_eleventh_socket_is_sent_away(slack: Slack) -> None:
    bots = [RawBot(slack) for _ in range(10)]
    eleventh = RawBot(slack)
    assert (eleventh.hello["type"], eleventh.hello["reason"]) == ("disconnect", "too_many_websockets")
    assert eleventh.closed.wait(60)
    assert bots[-1].hello["num_connections"] == 10


@pytest.mark.conforms("slack-one-socket-each")
def test_each_payload_goes_to_one_socket_and_all_get_some(slack: Slack) -> None:
    bots = [RawBot(slack, lambda envelope: None) for _ in range(3)]
    requests = [slack.command("qa", f"/rollout {number}") for number in range(6)]
    for request in requests:
        slack.until(request, lambda r: r["acknowledged"])
    counts = [bot.envelopes.qsize() for bot in bots]
    assert sum(counts) == 6
    assert min(counts) >= 1


@pytest.mark.conforms("slack-ack-over-any-socket")
def test_an_acknowledgement_may_come_over_another_socket(slack: Slack) -> None:
    bots = [RawBot(slack), RawBot(slack)]
    request = slack.command("qa", "/rollout")
    first = slack.until(request, lambda r: r["delivered"] and sum(bot.envelopes.qsize() for bot in bots))
    receiver = 0 if bots[0].envelopes.qsize() else 1
    bots[1 - receiver].ack(bots[receiver].next())
    assert first["acknowledged"] is None
    assert slack.until(request, lambda r: r["acknowledged"])["error"] is None


@pytest.mark.conforms("slack-ack-over-any-socket")
def test_a_client_that_talks_nonsense_does_no_harm(slack: Slack, bot: RawBot) -> None:
    for nonsense in ("hello?", "[1]", "{}", '{"envelope_id": 7}', '{"envelope_id": "unknown"}', "[" * 5000):
        bot.socket.send(nonsense)
    slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])


@pytest.mark.conforms("slack-pings")
def test_pings_are_answered(slack: Slack, bot: RawBot) -> None:
    assert bot.socket.ping().wait(60)


@pytest.mark.conforms("slack-socket-refresh")
def test_a_recycled_socket_gets_nothing_new_and_is_closed(start: Callable[..., Slack]) -> None:
    slack = start(limits=Limits(refresh_grace_seconds=0.3))
    old = RawBot(slack, lambda envelope: None)
    assert slack.post("sockets", disconnect="refresh_requested") == {"sockets": 1}
    assert old.next()["reason"] == "refresh_requested"
    assert slack.until(slack.command("qa", "/rollout"), lambda r: r["error"])["error"] == "dispatch_failed"
    new = RawBot(slack, lambda envelope: None)
    slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])
    assert new.envelopes.qsize() == 1
    assert old.envelopes.empty()
    assert old.closed.wait(60)


@pytest.mark.conforms("slack-socket-warning")
def test_a_warned_socket_still_works(slack: Slack, bot: RawBot) -> None:
    slack.post("sockets", disconnect="warning")
    assert bot.next()["reason"] == "warning"
    slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])


@pytest.mark.conforms("slack-commands-not-retried")
def test_a_command_on_a_dropped_socket_is_lost_and_not_repeated(start: Callable[..., Slack]) -> None:
    slack = start(limits=Limits(ack_seconds=0.3))
    bot = RawBot(slack)
    request = slack.command("qa", "/rollout")
    bot.next()
    slack.post("sockets", disconnect="drop")
    assert bot.closed.wait(60)
    assert slack.until(request, lambda r: r["error"])["error"] == "operation_timeout"


@pytest.mark.conforms("slack-socket-refresh")
def test_the_sdks_own_client_reconnects_when_it_is_told_to(start: Callable[..., Slack]) -> None:
    slack = start(limits=Limits(refresh_grace_seconds=0.1))
    client = SocketModeClient(
        app_token=slack.app_token, web_client=WebClient(base_url=slack.api_url), ping_interval=0.2
    )
    heard = threading.Semaphore(0)

    def listen(socket: BaseSocketModeClient, request: SocketModeRequest) -> None:
        socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        heard.release()

    client.socket_mode_request_listeners.append(listen)
    connect_sdk(slack, client)
    try:
        before = client.session_id()
        slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])
        slack.post("sockets", disconnect="refresh_requested")
        waited = threading.Event()
        for _ in range(6000):
            if client.session_id() != before and slack.get("state", **{"as": "qa"})["bot"]["connected"]:
                break
            waited.wait(0.01)
        slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])
        assert heard.acquire(timeout=60)
        assert heard.acquire(timeout=60)
    finally:
        leave(slack, client)


@pytest.mark.conforms("slack-socket-address")
def test_http_apps_get_no_socket(start: Callable[..., Slack]) -> None:
    slack = start(mode="http", bot_url="http://127.0.0.1:9/slack/events")
    client = WebClient(base_url=slack.api_url)
    assert refusal(client.apps_connections_open, app_token=slack.app_token) == "socket_mode_not_enabled"
