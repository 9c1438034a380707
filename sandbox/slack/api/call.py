"""One call of the Web API from the wire to the answer: arguments, token, scopes, rate, method."""

from __future__ import annotations

import logging
import secrets
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from sandbox.slack.api import auth, chat, conversations, files, users, views
from sandbox.slack.api.arguments import Arguments
from sandbox.slack.api.registry import METHODS, Method
from sandbox.slack.errors import RateLimited, Refused
from sandbox.slack.weather import through
from sandbox.slack.wire import BodyTooLarge, answer, form_parts, parsed, read_body
from sandbox.slack.workspace import Workspace

log = logging.getLogger("sandbox.slack.api")
FAMILIES = (auth, chat, conversations, files, users, views)
FORM = "application/x-www-form-urlencoded"


async def serve(ws: Workspace, request: Request) -> Response:
    """Answer `/api/METHOD`."""
    name = request.path_params["method"]
    method = METHODS.get(name)
    if method is None:
        log.warning("not modelled: %s", name)
        return answer({"ok": False, "error": "not_modelled", "method": name}, 501)
    return await through(ws.faults, name, request, lambda: _answered(ws, method, request))


async def _answered(ws: Workspace, method: Method, request: Request) -> Response:
    """The answer in fine weather."""
    name = method.name
    headers = {"X-Slack-Req-Id": secrets.token_hex(16), "X-Accepted-OAuth-Scopes": ",".join(method.scopes)}
    if method.token == "bot":
        headers["X-OAuth-Scopes"] = ",".join(ws.manifest.scopes)
    try:
        body = await read_body(request, ws.limits.body_bytes)
        values, warnings = _values(request, body, method)
        result = {"ok": True, **_run(ws, method, request, values)}
        if warnings:
            known = result.setdefault("response_metadata", {})
            known["warnings"] = [*known.get("warnings", []), *warnings]
            result["warning"] = ",".join(known["warnings"])
        return answer(result, 200, headers)
    except BodyTooLarge:
        return answer({"ok": False, "error": "request_too_large"}, 413, headers)
    except RateLimited as limited:
        return answer(limited.answer(), 429, {**headers, "Retry-After": str(limited.retry_after)})
    except Refused as refused:
        log.info("%s refused: %s %s", name, refused.error, refused.messages)
        return answer(refused.answer(), 200, {**headers, "X-Slack-Failure": refused.error})
    except Exception:
        log.exception("%s failed", name)
        return answer({"ok": False, "error": "internal_error"}, 500, headers)


def _values(request: Request, body: bytes, method: Method) -> tuple[dict[str, Any], list[str]]:
    """The arguments as they came, and Slack's warnings about how they came."""
    values: dict[str, Any] = {k: v for k, v in request.query_params.items() if k != "token"}
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if not body:
        return values, []
    if kind == "application/json":
        raw = parsed(body)
        if raw is None:
            raise Refused("invalid_json")
        if not isinstance(raw, dict):
            raise Refused("json_not_object")
        warnings = [] if "charset" in rest else ["missing_charset"]
        return (values, warnings) if method.reads else ({**values, **raw}, warnings)
    if kind in (FORM, ""):
        try:
            values.update(parse_qsl(body.decode(), keep_blank_values=True))
        except (UnicodeDecodeError, ValueError):
            raise Refused("invalid_form_data") from None
        return values, []
    if kind == "multipart/form-data":
        try:
            parts = form_parts(request.headers["content-type"], body)
            values.update({name: data.decode() for name, filename, data in parts if filename is None})
        except ValueError:
            raise Refused("invalid_form_data") from None
        return values, []
    raise Refused("invalid_post_type")


def _run(ws: Workspace, method: Method, request: Request, values: dict[str, Any]) -> dict[str, Any]:
    """Check the token, the scopes and the rate, in Slack's order, and call the method."""
    given = request.headers.get("authorization", "")
    bearer = given[7:].strip() if given[:7].lower() == "bearer " else ""
    in_body = values.pop("token", None)
    token = bearer or (in_body if isinstance(in_body, str) else "")
    if not token:
        raise Refused("not_authed")
    kinds = {ws.tokens.bot: "bot", ws.tokens.app: "app"}
    kind = kinds.get(token)
    if kind is None:
        raise Refused("invalid_auth")
    if kind != method.token:
        raise Refused("not_allowed_token_type")
    for scope in method.scopes:
        if scope not in ws.manifest.scopes:
            raise Refused("missing_scope", needed=scope, provided=",".join(ws.manifest.scopes))
    ws.rates.call(method.name, method.tier)
    return method.handler(ws, Arguments(values))
