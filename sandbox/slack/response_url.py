"""response_url: five messages within 30 minutes, to where a person acted, without a token."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response

from sandbox.slack import posting
from sandbox.slack.api.content import Content
from sandbox.slack.errors import Refused
from sandbox.slack.store import Json
from sandbox.slack.weather import through
from sandbox.slack.wire import BodyTooLarge, answer, parsed, read_body
from sandbox.slack.workspace import Workspace

log = logging.getLogger("sandbox.slack.response_url")


async def serve(ws: Workspace, request: Request) -> Response:
    """Answer `POST /response/ID`: "ok", or a 4xx with the error's name."""
    return await through(ws.faults, "response_url", request, lambda: _answered(ws, request))


async def _answered(ws: Workspace, request: Request) -> Response:
    """The answer in fine weather."""
    key = request.path_params["key"]
    try:
        body = parsed(await read_body(request, ws.limits.body_bytes))
        handle = ws.handles.spend(key)
        if not isinstance(body, dict):
            raise Refused("invalid_payload")
        _respond(ws, handle, body)
        ws.handles.used(key)
        return Response("ok", media_type="text/plain")
    except BodyTooLarge:
        return answer({"ok": False, "error": "request_too_large"}, 413)
    except Refused as refused:
        log.info("response_url refused: %s %s", refused.error, refused.messages)
        return answer(refused.answer(), 400 if refused.error == "invalid_payload" else 404)


def _respond(ws: Workspace, handle: Json, body: Json) -> None:
    """Replace or delete the message on which the person acted, or post a new one (private unless in_channel)."""
    original = ws.messages.get(handle["channel"], handle["message"]) if handle["message"] else None
    if original is not None and original["deleted"]:
        original = None
    if body.get("delete_original") is True:
        if original is None:
            raise Refused("message_not_found")
        posting.delete(ws, original)
        asked = ws.requests.get(handle["request"])
        if asked is not None:
            ws.requests.changed(asked)
        return
    kind = body.get("response_type", "ephemeral")
    if kind not in ("ephemeral", "in_channel"):
        raise Refused("invalid_response_type")
    content = Content.read(body)
    if body.get("replace_original") is True and original is not None:
        plain = not (original["to"] or content.blocks)  # what is drawn from blocks is not marked as edited
        edited = original["edited"] if not plain else {"user": ws.cast.bot_user, "ts": ws.messages.stamp()}
        fresh = {**content.fields(), "metadata": content.metadata or original["metadata"]}
        posting.edit(ws, original, handle["request"], **fresh, edited=edited)
        return
    thread = body.get("thread_ts")
    if thread is not None and (not isinstance(thread, str) or ws.messages.get(handle["channel"], thread) is None):
        raise Refused("thread_not_found")
    posting.post(
        ws,
        handle["channel"],
        ws.cast.bot_user,
        bot=True,
        to=handle["user"] if kind == "ephemeral" else None,
        thread_ts=thread,
        request=handle["request"],
        **content.fields(),
    )
