"""The other way in: signed HTTP, on a WSGI server with threads."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import Flask, Response, jsonify, request
from slack_bolt import App
from slack_bolt.adapter.flask.handler import to_flask_response
from slack_bolt.request import BoltRequest
from waitress.server import create_server

from bot import shape

log = structlog.get_logger("bot.serve")

BODY_BYTES = 1_000_000


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
