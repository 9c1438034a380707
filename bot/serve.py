"""The ways in, which start and stop alike, and the first of them: Socket Mode. The other is `bot.serve_http`."""

import logging
import threading
from collections.abc import Mapping
from typing import Any, Protocol

import structlog
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.socket_mode.response import SocketModeResponse

from bot import shape

log = structlog.get_logger("bot.serve")


class Inlet(Protocol):
    """Brings Slack's deliveries to the Bolt app."""

    def start(self) -> None: ...

    def serve(self, app: App) -> None:
        """From now on deliver to this app."""
        ...

    def stop(self, timeout: float) -> None: ...

    @property
    def connected(self) -> bool: ...

    @property
    def port(self) -> int | None:
        """The port that is listened on, where one is."""
        ...


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
    def port(self) -> None:
        """None: it calls, and is not called."""
        return None

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
