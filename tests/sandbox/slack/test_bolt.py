"""A real Bolt app, in Socket Mode and over HTTP, plays one command with a modal, a press and a Home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_bolt import Ack, App, BoltRequest, Respond
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import (
    HttpBot,
    actions,
    button,
    connect_sdk,
    connected,
    home,
    leave,
    modal,
    section,
    text_input,
)


def build(slack: Slack) -> App:
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    app = App(client=client, signing_secret=slack.signing_secret)

    @app.command("/rollout")
    def command(ack: Ack, body: dict[str, Any], client: WebClient, respond: Respond) -> None:
        ack()
        if body["text"] == "modal":
            client.views_open(trigger_id=body["trigger_id"], view=modal(text_input(), callback_id="why"))
        else:
            respond(text="status", blocks=[section(), actions(button())])

    @app.view("why")
    def why(ack: Ack, body: dict[str, Any], client: WebClient) -> None:
        said = body["view"]["state"]["values"]["why"]["text"]["value"]
        if said == "no":
            ack(response_action="errors", errors={"why": "Say more."})
            return
        ack(response_action="update", view=modal(section(f"noted: {said}"), callback_id="done"))

    @app.action("press")
    def press(ack: Ack, respond: Respond) -> None:
        ack()
        respond(text="pressed", replace_original=True)

    @app.event("app_home_opened")
    def opened(event: dict[str, Any], client: WebClient) -> None:
        client.views_publish(user_id=event["user"], view=home(section("welcome")))

    return app


def play(slack: Slack) -> None:
    """One round of everything."""
    seen = slack.until(slack.command("qa", "/rollout status"), lambda r: r["answers"])
    message = seen["answers"][0]["message"]
    where = {"channel": message["channel"], "ts": message["ts"]}
    request = slack.post("act", **{"as": "qa", "container": where, "action_id": "press"})["request"]
    pressed = slack.until(request, lambda r: r["answers"])
    assert pressed["answers"][0]["message"]["text"] == "pressed"
    view = slack.until(slack.command("qa", "/rollout modal"), lambda r: r["answers"])["answers"][0]["view"]["id"]
    for said, fits in (("no", lambda r: r["errors"]), ("yes", lambda r: r["answers"])):
        slack.post("input", **{"as": "qa", "view": view, "block_id": "why", "action_id": "text", "value": said})
        seen = slack.until(slack.post("submit", **{"as": "qa", "view": view})["request"], fits)
    assert seen["answers"][0]["view"]["blocks"][0]["text"]["text"] == "noted: yes"
    request = slack.get("home", **{"as": "qa", "open": "1"})["request"]
    assert slack.until(request, lambda r: r["answers"])["answers"][0]["view"]["type"] == "home"
    assert slack.until(slack.command("qa", "/rollout status"), lambda r: r["acknowledged"])["error"] is None


@pytest.mark.conforms("slack-bolt-both-ways")
def test_a_bolt_app_plays_in_socket_mode(slack: Slack) -> None:
    app = build(slack)
    handler = SocketModeHandler(app, slack.app_token, web_client=app.client, ping_interval=0.2)
    connect_sdk(slack, handler.client)
    try:
        play(slack)
    finally:
        leave(slack, handler.client)


@pytest.mark.conforms("slack-bolt-both-ways")
def test_a_bolt_app_plays_over_http(start: Callable[..., Slack]) -> None:
    http = HttpBot()
    slack = start(mode="http", bot_url=http.url)
    app = build(slack)

    def dispatch(headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        answer = app.dispatch(BoltRequest(body=body.decode(), headers={k: [v] for k, v in headers.items()}))
        return answer.status, {"content-type": answer.first_headers().get("content-type", "")}, answer.body.encode()

    http.answer = dispatch
    try:
        play(slack)
    finally:
        http.stop()


@pytest.mark.conforms("slack-no-listener-no-reply")
def test_what_a_bolt_app_has_no_listener_for_times_out(start: Callable[..., Slack]) -> None:
    """Bolt answers 404 for what it does not know; in Socket Mode that is never acknowledged."""
    slack = start(limits=Limits(ack_seconds=0.4))
    app = App(client=WebClient(slack.bot_token, base_url=slack.api_url))
    handler = SocketModeHandler(app, slack.app_token, web_client=app.client, ping_interval=0.2)
    connect_sdk(slack, handler.client)
    try:
        seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["error"])
        assert seen["error"] == "operation_timeout"
    finally:
        leave(slack, handler.client)


@pytest.mark.conforms("slack-socket-refresh", "slack-socket-cut-before-delivery")
def test_a_bolt_app_comes_back_after_refreshed_and_cut_sockets(start: Callable[..., Slack]) -> None:
    """A person who tries again comes through: for a while after a reconnection the SDK closes its old socket and does
    not read the new one, so that what comes in then is not acknowledged in time."""
    slack = start(limits=Limits(ack_seconds=0.5))
    app = build(slack)
    handler = SocketModeHandler(app, slack.app_token, web_client=app.client, ping_interval=0.2)
    connect_sdk(slack, handler.client)
    try:
        for kind in ("refresh", "drop"):
            slack.post("faults", clear=True, path="command", kind=kind, times=1)
            before = handler.client.session_id()
            slack.until(slack.command("qa", "/rollout status"), lambda r: r["acknowledged"] or r["error"])
            for _ in range(60):
                connected(slack)
                seen = slack.until(slack.command("qa", "/rollout status"), lambda r: r["acknowledged"] or r["error"])
                if seen["acknowledged"] and handler.client.session_id() != before:
                    break
            else:
                raise AssertionError(f"it never came back: {seen}")
            seen = slack.until(seen["id"], lambda r: r["answers"])
            assert [answer["message"]["text"] for answer in seen["answers"]] == ["status"]
            assert handler.client.session_id() != before
            assert slack.get("faults")["faults"][0]["hits"] == 1
    finally:
        leave(slack, handler.client)
