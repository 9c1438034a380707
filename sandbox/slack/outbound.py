"""A very small HTTP client for the loopback: to the bot (signed requests) and to the Databricks double."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

ANSWER_BYTES = 32_000_000


@dataclass(frozen=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


async def call(method: str, url: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
    """Send one request on a connection of its own. Raises OSError when it cannot be sent or answered.

    There is no time limit here: the caller sets one around it.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        connection = h11.Connection(h11.CLIENT)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(len(body)), **(headers or {})}
        request = h11.Request(method=method, target=target, headers=list(fields.items()))
        data = (connection.send(request) or b"") + (connection.send(h11.Data(data=body)) or b"")
        writer.write(data + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()
        return await _read(connection, reader)
    except (h11.ProtocolError, asyncio.IncompleteReadError) as error:
        raise ConnectionError(str(error)) from error
    finally:
        writer.close()


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    status, headers, chunks, size = 0, {}, [], 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            chunks.append(bytes(event.data))
            size += len(event.data)
            if size > ANSWER_BYTES:
                raise ConnectionError("the answer is too long")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, headers, b"".join(chunks))
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionError("closed without an answer")
