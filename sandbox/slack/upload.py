"""The address that files.getUploadURLExternal gives, and the one from which the page fetches a file."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from sandbox.slack.weather import through
from sandbox.slack.wire import BodyTooLarge, answer, form_parts, read_body
from sandbox.slack.workspace import Workspace

log = logging.getLogger("sandbox.slack.upload")


async def serve(ws: Workspace, request: Request) -> Response:
    """Answer `POST /upload/v1/TICKET`: the bytes themselves, or a form with one file in it; once."""
    return await through(ws.faults, "upload", request, lambda: _answered(ws, request))


async def _answered(ws: Workspace, request: Request) -> Response:
    """The answer in fine weather."""
    kind = request.headers.get("content-type", "")
    try:
        body = await read_body(request, ws.limits.upload_bytes)
        data = _file_in(kind, body) if kind.lower().startswith("multipart/") else body
        record = ws.files.receive(request.path_params["ticket"], data)
    except BodyTooLarge:
        return Response("too large", 413, media_type="text/plain")
    except ValueError as error:
        log.info("upload refused: %s", error)
        return Response(f"refused: {error}", 400, media_type="text/plain")
    if record is None:
        return Response("no such upload", 404, media_type="text/plain")
    return Response(f"OK - {record['size']}", media_type="text/plain")


def _file_in(kind: str, body: bytes) -> bytes:
    """The one file of a form, or ValueError."""
    found = [data for _, filename, data in form_parts(kind, body) if filename is not None]
    if len(found) != 1:
        raise ValueError(f"{len(found)} files in the form")
    return found[0]


async def fetch(ws: Workspace, request: Request) -> Response:
    """Answer `GET /sandbox/files/ID/NAME`, for the page; always as something to keep, never as a page."""
    record = ws.files.get(request.path_params["id"])
    if record is None or not ws.files.path(record).exists():
        return answer({"error": "There is no such file."}, 404)
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    return FileResponse(ws.files.path(record), headers=headers, media_type=record["mimetype"], filename=record["name"])
