"""Every delivery passes here: straight on in fine weather, cut, late or with a recycled socket by a fault."""

from __future__ import annotations

import asyncio
import logging

from sandbox.slack.delivery import OPERATION_TIMEOUT, Cut, Outcome, Parcel
from sandbox.slack.workspace import Workspace

log = logging.getLogger("sandbox.slack.weather")


async def deliver(ws: Workspace, parcel: Parcel) -> Outcome:
    """Deliver, and say what came back within Slack's 3 s."""
    fault = ws.faults.strike(parcel.name, "drop", "refresh", "late")
    if fault is None:
        return await ws.delivery.deliver(parcel)
    log.info("the delivery of a %s meets fault %s: %s", parcel.name, fault.number, fault.kind)
    if fault.kind == "late":
        return await _late(ws, parcel, fault.seconds)
    if fault.kind == "drop":
        parcel.cut = Cut.BEFORE if fault.hits % 2 else Cut.AFTER
        return await ws.delivery.deliver(parcel)
    outcome = await ws.delivery.deliver(parcel)
    await ws.socket_mode.recycle("refresh_requested", 1)
    return outcome


async def _late(ws: Workspace, parcel: Parcel, seconds: float) -> Outcome:
    """The parcel goes out late, if need be after the person has been told that nothing came of it."""
    arrived: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await asyncio.sleep(seconds)
        outcome = await ws.delivery.deliver(parcel)
        if not arrived.done():
            arrived.set_result(outcome)

    ws.spawn(work())
    try:
        return await asyncio.wait_for(arrived, ws.limits.ack_seconds)
    except TimeoutError:
        return Outcome(error=OPERATION_TIMEOUT, reason=ws.delivery.timed_out)
