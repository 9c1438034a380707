"""The two ways in: Socket Mode, and signed HTTP. Both start and stop alike."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog
from flask import Flask, Response, jsonify, request
from slack_bolt import App
from slack_bolt.adapter.flask.handler import to_flask_response
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.request import BoltRequest
from slack_sdk import WebClient
from slack_sdk.socket_mode.response import SocketModeResponse
from waitress.server import create_server

from bot import shape

log = structlog.get_logger("bot.serve")

BODY_BYTES = 1_000_000


class Inlet(Protocol):
    """Brings Slack's deliveries to the Bolt app."""

    def start(self) -> None: ...

    def serve(self, app: App) -> None:
        """From now on deliver to this app."""
        ...

    def stop(self, timeout: float) -> None: ...

    @property
    def connected(self) -> bool: ...


class SocketMode:
    """A websocket to Slack; reconnects by itself."""

    def __init__(self, app_token: str, web: WebClient, concurrency: int = 20) -> None:
        self._app_token, self._web, self._concurrency = app_token, web, concurrency
        self._handler: Any = None  # a SocketModeHandler, which carries no types

    def start(self) -> None:
        """Nothing to do before there is an app."""

    def serve(self, app: App) -> None:
        """Connect. Raises SlackApiError or OSError when Slack cannot be reached."""
        self._handler = _Handler(
            app,
            self._app_token,
            logger=logging.getLogger("slack_sdk.socket_mode"),
            web_client=self._web,
            concurrency=self._concurrency,
        )
        self._handler.client.message_listeners.append(_others)
        try:
            self._handler.connect()
        except BaseException:
            self._handler.close()
            self._handler = None
            raise

    def stop(self, timeout: float) -> None:
        """Close the socket; what was received is finished by its threads."""
        if self._handler is None:
            return
        closing = threading.Thread(target=self._handler.close, daemon=True)
        closing.start()
        closing.join(timeout)

    @property
    def connected(self) -> bool:
        return self._handler is not None and bool(self._handler.client.is_connected())


class _Handler(SocketModeHandler):
    """Bolt's handler; what has no shape of Slack's is acknowledged, so that it is not repeated, and left at that."""

    def handle(self, client: Any, req: Any) -> None:
        """One envelope."""
        if (problem := shape.problem_of(req.payload)) is None:
            super().handle(client, req)
            return
        log.warning("refused a delivery of an unknown shape", problem=problem)
        client.send_socket_mode_response(SocketModeResponse(req.envelope_id))


def _bolt_request(body: Mapping[str, Any], text: str) -> BoltRequest:
    """The request in hand for Bolt, whose own reading of a body takes a command that says "payload" for a form."""
    made = BoltRequest(
        body=dict(body),
        query=request.query_string.decode(errors="replace"),
        headers=dict(request.headers),
        mode="socket_mode",
    )
    made.raw_body, made.mode = text, "http"  # so that its signature is verified
    return made


def _others(_client: Any, message: Mapping[str, Any], _raw: str | None) -> None:
    """Say that somebody else holds a connection with our token: Slack gives each press to one of them at random.

    A second one for a moment is a reconnection, and with several replicas there are as many; more is a copy of the bot
    somewhere, or a token that leaked (facts 6, threat 11).
    """
    if message.get("type") != "hello":
        return
    connections = message.get("num_connections")
    if isinstance(connections, int) and connections > 1:
        todo = "as many as there are replicas? If not, SLACK_APP_TOKEN is used elsewhere: make a new one"
        log.warning("other_connections", connections=connections, todo=todo)


class Http:
    """``/slack/events``, ``/healthz`` and ``/readyz`` on a WSGI server with threads.

    ``ready`` gives what is checked -> whether it holds.
    """

    def __init__(self, host: str, port: int, ready: Callable[[], Mapping[str, bool]], threads: int = 24) -> None:
        self._ready = ready
        self._app: App | None = None
        self._server: Any = create_server(
            self._pages(), host=host, port=port, threads=threads, ident=None, max_request_body_size=BODY_BYTES
        )
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is really listened on."""
        return int(self._server.effective_port)

    def start(self) -> None:
        """Listen; until there is an app, Slack gets 503."""
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._server.run()
        except OSError:
            if self._thread is not None:
                log.debug("the HTTP server ended")

    def serve(self, app: App) -> None:
        """Deliver to this app."""
        self._app = app

    def stop(self, timeout: float) -> None:
        """Take no more requests and finish those in hand."""
        until = time.monotonic() + timeout
        thread, self._thread = self._thread, None
        self._server.task_dispatcher.shutdown(cancel_pending=False, timeout=max(0.1, timeout / 2))
        self._server.close()
        if thread is not None:
            thread.join(max(0.1, until - time.monotonic()))

    @property
    def connected(self) -> bool:
        return self._app is not None

    def _pages(self) -> Flask:
        pages = Flask("rollout")

        @pages.post("/slack/events")
        def events() -> Response:
            # Bolt would answer 500 to a timestamp that is no number, and to a signature that is not ASCII.
            stamp = request.headers.get("X-Slack-Request-Timestamp", "")
            signature = request.headers.get("X-Slack-Signature", "")
            if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and signature.isascii()):
                return Response("invalid request", 401)
            if self._app is None:
                return Response("not ready", 503)
            text = request.get_data(as_text=True)
            body = shape.read(text, request.content_type)
            if (problem := shape.problem_of(body)) is not None:
                log.warning("refused a delivery of an unknown shape", problem=problem)
                return Response("invalid request", 400)
            return to_flask_response(self._app.dispatch(_bolt_request(body, text)))

        @pages.get("/healthz")
        def healthz() -> Response:
            return jsonify(ok=True)

        @pages.get("/readyz")
        def readyz() -> tuple[Response, int]:
            found = dict(self._ready())
            ok = all(found.values())
            return jsonify(ok=ok, **found), 200 if ok else 503

        return pages
