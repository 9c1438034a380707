"""The edge to the network: only loopback hosts, only bodies of a sane size, and JSON both ways."""

from __future__ import annotations

import json
from email.message import Message
from email.parser import BytesParser
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost")
READ_ON = 16


class BodyTooLarge(Exception):
    """The body is over the limit."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, or BodyTooLarge. A client that hung up gives an empty one.

    What is too large is thrown away but read on for a while, since most clients only listen once they have sent all.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            elif size > READ_ON * limit:
                break
    except ClientDisconnect:
        return b""
    if size > limit:
        raise BodyTooLarge
    return b"".join(chunks)


def parsed(body: bytes) -> Any:
    """The JSON in a body, or None when it cannot be read (NaN and half characters count as that too)."""
    try:
        return strict(body)
    except (ValueError, RecursionError):
        return None


def strict(text: bytes | str) -> Any:
    """Parse JSON; ValueError for what is none, for NaN and infinities, and for halves of surrogate pairs."""
    value = json.loads(text, parse_constant=_refuse)
    if (b"\\u" if isinstance(text, bytes) else "\\u") in text:  # type: ignore[operator]
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def form_parts(kind: str, body: bytes) -> list[tuple[str, str | None, bytes]]:
    """The parts of a multipart form with the content type `kind`: (name, file name, data); ValueError for no form."""
    head = b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n"
    message = BytesParser().parsebytes(head + body)
    if message.get_content_type() != "multipart/form-data" or not message.is_multipart() or message.defects:
        raise ValueError("not a form")
    parts: list[tuple[str, str | None, bytes]] = []
    for part in message.get_payload():
        if not isinstance(part, Message):
            raise ValueError("not a form")
        name, data = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(data, bytes):
            raise ValueError("not a form")
        parts.append((name, part.get_filename(), data))
    return parts


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(
        json.dumps(body, separators=(",", ":")), status, headers=headers, media_type="application/json; charset=utf-8"
    )


class OnlyLoopback:
    """Refuses requests that name another host (a rebound name) or come from a foreign web page, with 403."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is what is guarded."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let loopback through."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"host", b"origin")}
        host = _host(f"//{headers.get(b'host', '')}")
        origin = headers.get(b"origin")
        if host in LOOPBACK and (origin is None or _host(origin) in LOOPBACK):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer({"error": "This server only answers to 127.0.0.1 and localhost."}, 403)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
