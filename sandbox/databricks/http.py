"""The HTTP side: one ASGI application for all workspaces, told apart by the port that was asked."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
import urllib.parse
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.databricks import admin, audit, faults, identity, statements
from sandbox.databricks.call import Call
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.encoded import encode
from sandbox.databricks.errors import ApiError, Json, invalid, malformed
from sandbox.databricks.workspace import Workspace

logger = logging.getLogger("sandbox.databricks")

LARGEST_BODY = 10 * 1024 * 1024
LARGEST_STATEMENT = 40 * 1024 * 1024
"""A statement has a limit of its own (16 MiB of text), which is about its text and not about the request."""
LOCAL = ("127.0.0.1", "localhost")

_transports: dict[tuple[str, int], asyncio.Transport] = {}


class Protocol(H11Protocol):
    """Uvicorn's protocol, which also remembers connections by their peer, so that a fault can break one."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._peer: tuple[str, int] | None = (peer[0], peer[1]) if peer else None
        if self._peer:
            _transports[self._peer] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer:
            _transports.pop(self._peer, None)
        super().connection_lost(exc)


class Application:
    """Host check, body, token, faults, dispatch, answer, log."""

    def __init__(self, databricks: Databricks) -> None:
        self.databricks = databricks
        self.ports: dict[int, Workspace] = {}
        self.first: Workspace | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        ws = self.ports[scope["server"][1]]
        call = Call(scope["method"], urllib.parse.unquote(scope["path"]))
        try:
            status, content, headers = await self._respond(ws, call, request)
        except ClientDisconnect:
            return
        except _NoAnswer:
            self.databricks.calls.note(ws, call, 0)
            await _break(scope, receive)
            return
        if not call.path.startswith("/sandbox/"):
            self.databricks.calls.note(ws, call, status)
        headers["x-databricks-org-id"] = str(ws.number)
        await Response(content, status, headers, "application/json")(scope, receive, send)

    async def _respond(self, ws: Workspace, call: Call, request: Request) -> tuple[int, bytes, dict[str, str]]:
        try:
            body = await self._answer(ws, call, request)
            return 200, encode(body), {}
        except ApiError as error:
            return error.status, json.dumps(error.body()).encode(), dict(error.headers)
        except (_NoAnswer, ClientDisconnect):
            raise
        except Exception:
            logger.exception("%s %s", call.method, call.path)
            shown = ApiError(500, "INTERNAL_ERROR", f"the local Databricks failed on {call.method} {call.path}")
            return shown.status, json.dumps(shown.body()).encode(), {}

    async def _answer(self, ws: Workspace, call: Call, request: Request) -> Json:
        if urllib.parse.urlsplit(f"//{request.headers.get('host', '')}").hostname not in LOCAL:
            raise ApiError(403, "PERMISSION_DENIED", "only requests to 127.0.0.1 and localhost are answered")
        raw = await _body(request, LARGEST_STATEMENT if call.path == statements.PATH else LARGEST_BODY)
        query = request.scope.get("query_string", b"")
        if query:
            call.query = urllib.parse.parse_qs(query.decode("latin-1"), keep_blank_values=True)
        if (call.method, call.path) == ("POST", "/oidc/v1/token"):
            return identity.make_token(ws, raw.decode("utf-8", "replace"), request.headers.get("authorization", ""))
        if raw:
            call.body = _parsed(raw)
        if call.path.startswith("/sandbox/") and ws is self.first:
            self.databricks.advance()
            return admin.answer(self.databricks, call)
        struck = self.databricks.faults.strike(ws.key, call.method, call.path)
        if struck is not None:
            if struck.kind == "slow":
                await asyncio.sleep(struck.seconds)
            if struck.kind == "reset":
                raise _NoAnswer
            refused = faults.refusal(struck)
            if refused is not None:
                raise refused
        late = struck if struck is not None and struck.kind == "eventual" else None
        agent = request.headers.get("user-agent", "")
        try:
            found = self.databricks.answer(ws, call, request.headers.get("authorization", ""), late)
            if not isinstance(found, dict):
                found = await found
        except ApiError as error:
            audit.note(ws, call, error.status, agent)
            raise
        audit.note(ws, call, 200, agent)
        if struck is not None and struck.kind == "lost-answer":
            raise _NoAnswer
        return found


class _NoAnswer(Exception):
    """The connection breaks instead of an answer."""


async def _body(request: Request, largest: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > largest:
            raise ApiError(413, "MAX_REQUEST_SIZE_EXCEEDED", f"the request is larger than {largest} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _parsed(raw: bytes) -> Json:
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise malformed(f"Could not parse request object: {error}") from error
    if not isinstance(body, dict):
        raise invalid("Could not parse request object: expected an object")
    return body


async def _break(scope: Scope, receive: Receive) -> None:
    """Reset the connection, and wait until the server has noticed."""
    transport = _transports.get(tuple(scope["client"]))
    if transport is None:
        return
    endpoint = transport.get_extra_info("socket")
    if endpoint is not None:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0)
    while (await receive())["type"] != "http.disconnect":
        pass
