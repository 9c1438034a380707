"""What a fault does to a call of the bot: refused, late, or a connection that breaks before or after the work."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from sandbox.slack.faults import CALLS, Faults
from sandbox.slack.wire import BodyTooLarge, answer, read_body

log = logging.getLogger("sandbox.slack.weather")
ERRORS = {"429": "ratelimited", "500": "internal_error", "503": "service_unavailable"}
READ_BYTES = 1_000_000


async def through(faults: Faults, name: str, request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
    """Answer by `work`, unless a fault hits the method `name`."""
    fault = faults.strike(name, *CALLS)
    if fault is None:
        return await work()
    log.info("%s meets fault %s: %s", name, fault.number, fault.kind)
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        return await work()
    if fault.kind == "lost-answer":
        await work()
        return await hang_up(request)
    with contextlib.suppress(BodyTooLarge):
        await read_body(request, READ_BYTES)  # most clients only listen once they have sent all
    if fault.kind == "reset":
        return await hang_up(request)
    headers = {"Retry-After": str(fault.retry_after)} if fault.kind == "429" else {}
    return answer({"ok": False, "error": ERRORS[fault.kind]}, int(fault.kind), headers)


async def hang_up(request: Request) -> Response:
    """Reset the connection of a request; what is returned reaches nobody."""
    request.scope["reset"]()
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response(status_code=500)
