"""Socket Mode: websockets that the bot opened, envelopes, acknowledgements, and the recycling of sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.slack.delivery import DISPATCH_FAILED, OPERATION_TIMEOUT, Cut, Outcome, Parcel
from sandbox.slack.limits import Limits
from sandbox.slack.wire import parsed

log = logging.getLogger("sandbox.slack.socket_mode")
TICKET_SECONDS = 30.0


class Link:
    """One open websocket of the bot. A draining one gets nothing new."""

    def __init__(self, socket: WebSocket) -> None:
        """`socket` has been accepted."""
        self.socket = socket
        self.draining = False
        self.number = secrets.token_hex(4)


class SocketMode:
    """All sockets of the app, and the envelopes that wait for their acknowledgement."""

    mode = "socket"
    timed_out = "timeout"

    def __init__(self, app_id: str, limits: Limits, machine: Callable[[], float]) -> None:
        """`machine` gives machine time; set `on_change` to hear that the number of sockets changed."""
        self._app_id = app_id
        self._limits = limits
        self._machine = machine
        self._tickets: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[tuple[float, Any]]] = {}
        self._turn = 0
        self._closing: set[asyncio.Task[None]] = set()
        self.links: list[Link] = []
        self.on_change: Callable[[], None] = lambda: None

    def ticket(self) -> str:
        """A single-use right to open one socket, for apps.connections.open."""
        now = self._machine()
        self._tickets = {key: made for key, made in self._tickets.items() if now - made < TICKET_SECONDS}
        key = str(uuid.uuid4())
        self._tickets[key] = now
        return key

    def _debug(self) -> dict[str, Any]:
        return {"host": "applink-sandbox", "build_number": 1, "approximate_connection_time": 18060}

    async def serve(self, socket: WebSocket) -> None:
        """Hold one websocket of the bot until it closes."""
        made = self._tickets.pop(socket.query_params.get("ticket", ""), None)
        if made is None or self._machine() - made >= TICKET_SECONDS:
            await socket.close(1008)
            return
        await socket.accept()
        if len(self.links) >= self._limits.sockets:
            await self._send(
                socket, {"type": "disconnect", "reason": "too_many_websockets", "debug_info": self._debug()}
            )
            await socket.close(1000)
            return
        link = Link(socket)
        self.links.append(link)
        self.on_change()
        try:
            hello = {
                "type": "hello",
                "num_connections": len(self.links),
                "debug_info": self._debug(),
                "connection_info": {"app_id": self._app_id},
            }
            await self._send(socket, hello)
            while True:
                self._heard(await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError, KeyError, OSError):
            pass
        finally:
            if link in self.links:
                self.links.remove(link)
            self.on_change()

    def _heard(self, text: str) -> None:
        """Take an acknowledgement; whatever else a client says is dropped, as Slack does."""
        moment = self._machine()
        message = parsed(text.encode("utf-8", "replace"))
        if not isinstance(message, dict) or not isinstance(message.get("envelope_id"), str):
            return
        waiting = self._waiting.get(message["envelope_id"])
        if waiting is not None and not waiting.done():
            waiting.set_result((moment, message.get("payload")))

    async def _send(self, socket: WebSocket, message: dict[str, Any]) -> None:
        await socket.send_text(json.dumps(message, separators=(",", ":")))

    def _next(self) -> Link | None:
        """The socket whose turn it is."""
        ready = [link for link in self.links if not link.draining]
        if not ready:
            return None
        self._turn += 1
        return ready[self._turn % len(ready)]

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Send to one socket and wait for the acknowledgement of its envelope."""
        key = str(uuid.uuid4())
        envelope: dict[str, Any] = {
            "envelope_id": key,
            "type": parcel.kind,
            "payload": parcel.payload,
            "accepts_response_payload": parcel.accepts_response,
        }
        if parcel.kind == "events_api":
            envelope.update(retry_attempt=parcel.attempt, retry_reason=parcel.reason)
        waiting: asyncio.Future[tuple[float, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        if parcel.cut is Cut.BEFORE and (doomed := self._next()) is not None:
            await self._close(doomed)
        try:
            while True:
                link = self._next()
                if link is None:
                    return Outcome(error=DISPATCH_FAILED, reason="connection_failed")
                try:
                    parcel.sent(self._machine())
                    await self._send(link.socket, envelope)
                    if parcel.cut is Cut.AFTER:
                        await self._close(link)
                    break
                except (WebSocketDisconnect, RuntimeError, OSError):
                    if link in self.links:
                        self.links.remove(link)
            moment, body = await asyncio.wait_for(waiting, self._limits.ack_seconds)
            return Outcome(acknowledged=moment, body=body if parcel.accepts_response else None)
        except TimeoutError:
            return Outcome(error=OPERATION_TIMEOUT, reason=self.timed_out)
        finally:
            self._waiting.pop(key, None)

    async def connected(self) -> bool:
        """Whether any socket is open that is not being recycled."""
        return any(not link.draining for link in self.links)

    async def recycle(self, reason: str, count: int | None = None) -> int:
        """Ask `count` sockets (all without) to reconnect: "refresh_requested" or "warning"; "drop" just cuts them.

        A recycled socket gets nothing new and is closed after a grace time. Returns how many there were.
        """
        chosen = [link for link in self.links if not link.draining][:count]
        for link in chosen:
            if reason == "drop":
                await self._close(link)
                continue
            link.draining = reason == "refresh_requested"
            await self._send(link.socket, {"type": "disconnect", "reason": reason, "debug_info": self._debug()})
            if link.draining:
                self._closing.add(asyncio.ensure_future(self._close_later(link)))
        return len(chosen)

    async def _close_later(self, link: Link) -> None:
        await asyncio.sleep(self._limits.refresh_grace_seconds)
        await self._close(link)

    async def _close(self, link: Link) -> None:
        with contextlib.suppress(RuntimeError, OSError):
            await link.socket.close(1001)
        if link in self.links:
            self.links.remove(link)
            self.on_change()

    async def close(self) -> None:
        """Close every socket, at shutdown."""
        for task in self._closing:
            task.cancel()
        for link in list(self.links):
            await self._close(link)
