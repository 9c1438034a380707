"""What the tests of the local Slack share: a grant with every scope, small blocks, bots that do as they are told."""

from __future__ import annotations

import copy
import json
import queue
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode import SocketModeClient
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from sandbox.slack.manifest import FALLBACK
from sandbox.slack.server import Slack

SUPPORT, GENERAL, PARTNER = "C0SUPPORT1", "C0GENERAL1", "C0PARTNER1"
QA, OUTSIDER, GUEST, GONE = "U0SAND0003", "U0SAND0008", "U0SAND0009", "U0SAND0010"
SCOPES = [
    *("commands", "chat:write", "users:read", "usergroups:read", "channels:read", "groups:read"),
    *("channels:history", "groups:history", "im:read", "im:write", "im:history", "files:write"),
]
Json = dict[str, Any]


def manifest(**changes: Any) -> Json:
    """A manifest that grants every scope which the methods ask for; `scopes`, `escape` and `messages` change it."""
    raw = copy.deepcopy(FALLBACK)
    raw["oauth_config"]["scopes"]["bot"] = changes.get("scopes", SCOPES)
    raw["features"]["slash_commands"][0]["should_escape"] = changes.get("escape", True)
    raw["features"]["app_home"] = {"home_tab_enabled": changes.get("home", True), "messages_tab_enabled": True}
    return raw


class Machine:
    """Machine time that tests can move ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.ahead += seconds


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "hello", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(action_id: str = "press", **more: Any) -> Json:
    return {"type": "button", "text": plain("Press"), "action_id": action_id, **more}


def actions(*elements: Json, **more: Any) -> Json:
    return {"type": "actions", "elements": list(elements), **more}


def option(value: str) -> Json:
    return {"text": plain(value.upper()), "value": value}


def text_input(block_id: str = "why", **more: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": "text", **more.pop("element", {})}
    return {"type": "input", "block_id": block_id, "label": plain("Why"), "element": element, **more}


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain("Title"), "submit": plain("Go"), "blocks": list(blocks), **more}


def home(*blocks: Json, **more: Any) -> Json:
    return {"type": "home", "blocks": list(blocks), **more}


def refusal(call: Callable[..., Any], *values: Any, **named: Any) -> str:
    """The error with which Slack refuses a call."""
    return str(refused(call, *values, **named)["error"])


def refused(call: Callable[..., Any], *values: Any, **named: Any) -> Json:
    """The whole answer with which Slack refuses a call."""
    try:
        call(*values, **named)
    except SlackApiError as error:
        return dict(error.response.data)
    raise AssertionError("it was not refused")


def connect_sdk(slack: Slack, client: SocketModeClient) -> None:
    """Connect an SDK client, and wait until the server counts it: its handshake ends a moment before that."""
    client.connect()
    connected(slack)


def connected(slack: Slack) -> None:
    """Wait until the bot can be reached."""
    waited = threading.Event()
    for _ in range(6000):
        if slack.get("state", **{"as": "qa"})["bot"]["connected"]:
            return
        waited.wait(0.01)
    raise AssertionError("the bot did not connect")


def leave(slack: Slack, client: SocketModeClient) -> None:
    """Close an SDK client without its wait for the next bytes: the server hangs up first."""
    client.auto_reconnect_enabled = client.default_auto_reconnect_enabled = False
    slack.post("sockets", disconnect="drop")
    try:
        client.close()
    except AttributeError:  # its own thread closed the socket between its look and its close
        client.close()


def acknowledged_within(slack: Slack, seconds: float) -> None:
    """From now on Slack waits so long for an acknowledgement. What a test does not want late gets a minute: how slow
    the machine is just then is not what it is about."""
    object.__setattr__(slack.workspace.limits, "ack_seconds", seconds)


class RawBot:
    """A bot on a bare websocket: it notes envelopes, and acknowledges when and how a test says."""

    def __init__(self, slack: Slack, answer: Callable[[Json], Any] | None = None) -> None:
        """With `answer` every envelope is acknowledged with the payload it returns (None: a bare acknowledgement)."""
        url = WebClient(base_url=slack.api_url).apps_connections_open(app_token=slack.app_token)["url"]
        self.socket = connect(url)
        self.envelopes: queue.Queue[Json] = queue.Queue()
        self.closed = threading.Event()
        self.answer = answer
        self.hello = json.loads(self.socket.recv(timeout=60))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            for text in self.socket:
                envelope = json.loads(text)
                if self.answer is not None and "envelope_id" in envelope:
                    self.ack(envelope, self.answer(envelope))
                self.envelopes.put(envelope)
        except ConnectionClosed:
            pass
        self.closed.set()

    def ack(self, envelope: Json, payload: Any = None) -> None:
        message = {"envelope_id": envelope["envelope_id"]}
        self.socket.send(json.dumps(message if payload is None else {**message, "payload": payload}))

    def next(self, seconds: float = 60.0) -> Json:
        """The next envelope."""
        return self.envelopes.get(timeout=seconds)

    def payload(self) -> Json:
        """The payload of the next envelope."""
        return dict(self.next()["payload"])


class Play:
    """qa and a bot: open modals, fill, press, submit."""

    def __init__(self, slack: Slack, answer: Callable[[Json], Any] = lambda envelope: None) -> None:
        self.slack = slack
        self.client = WebClient(slack.bot_token, base_url=slack.api_url)
        self.response: Any = None
        self.bot = RawBot(slack, lambda e: self.response if e["payload"].get("type") == "view_submission" else None)

    def trigger(self) -> str:
        self.request = self.slack.command("qa", "/rollout")
        return str(self.bot.payload()["trigger_id"])

    def open(self, *blocks: Json, **more: Any) -> str:
        opened = self.client.views_open(trigger_id=self.trigger(), view=modal(*(blocks or (text_input(),)), **more))
        return str(opened["view"]["id"])

    def stack(self) -> list[Json]:
        return list(self.slack.get("views", **{"as": "qa"})["views"])

    def press(self, view: str) -> Json:
        self.slack.post("act", **{"as": "qa", "container": {"view": view}, "block_id": "row", "action_id": "press"})
        return self.bot.payload()

    def enter(self, view: str, value: Any, block: str = "why", action: str = "text") -> None:
        self.slack.post("input", **{"as": "qa", "view": view, "block_id": block, "action_id": action, "value": value})

    def submit(self, view: str, response: Any = None) -> Json:
        """Submit and wait until it was acknowledged or refused."""
        self.response = response
        request = self.slack.post("submit", **{"as": "qa", "view": view})["request"]
        fits: Callable[[Json], Any] = lambda r: r["acknowledged"] or r["errors"] or r["error"]  # noqa: E731
        return self.slack.until(request, fits)


class HttpBot:
    """A bot behind HTTP that notes requests (headers, body) and answers what a test says: (status, headers, body)."""

    def __init__(self) -> None:
        noted: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.requests = noted
        self.answer: Callable[[dict[str, str], bytes], tuple[int, dict[str, str], bytes]] = lambda h, b: (200, {}, b"")
        bot = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                noted.put((headers, body))
                status, more, answer = bot.answer(headers, body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/slack/events"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
