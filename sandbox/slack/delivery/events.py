"""Events are delivered at least once: retried at once, after a minute and after five, until they are acknowledged."""

from __future__ import annotations

import asyncio
import logging

from sandbox.slack.delivery import Parcel
from sandbox.slack.delivery.weather import deliver
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

log = logging.getLogger("sandbox.slack.events")


async def send_event(ws: Workspace, payload: Json, request: Json | None = None) -> None:
    """Deliver an event; `request` is what the person did, and learns when it was delivered and acknowledged."""

    def sent(moment: float) -> None:
        if request is not None and request["delivered"] is None:
            request["delivered"] = moment

    reason = ""
    for attempt in range(len(ws.limits.event_retry_delays) + 1):
        if attempt:
            await asyncio.sleep(ws.limits.event_retry_delays[attempt - 1])
        outcome = await deliver(ws, Parcel("events_api", payload, False, sent, attempt, reason))
        if outcome.error is None:
            if request is not None:
                ws.requests.changed(request, acknowledged=outcome.acknowledged)
            if attempt or ws.faults.strike("event", "duplicate") is None:
                return
            reason = ws.delivery.timed_out  # the acknowledgement got lost on its way
            continue
        reason = outcome.reason
        log.info("event %s was not acknowledged: %s", payload["event_id"], reason)
        if outcome.no_retry:
            return
