"""The calendar as the page sees and sets it, and the next instant at which something is due."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sandbox import calendar
from sandbox.slack.errors import PageError
from sandbox.slack.outbound import call
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

log = logging.getLogger("sandbox.slack.clock")
ENDINGS = ("_deadline", "_until", "_at")
LONGEST_STEP = 366 * 86400.0
FASTEST = 1_000_000.0
ASK_SECONDS = 2.0


def now(ws: Workspace) -> tuple[datetime, float]:
    """The calendar instant and its speed; without a calendar file the machine's own time."""
    if ws.clock is None or not ws.clock.exists():
        return datetime.fromtimestamp(ws.machine(), UTC), 1.0
    clock = calendar.read(ws.clock)
    return clock.now(), clock.speed


def _instants(value: Any, named: bool = False) -> Iterator[datetime]:
    """Every ISO instant in a metadata payload under a key that ends as a deadline does."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _instants(entry, isinstance(key, str) and key.endswith(ENDINGS))
    elif isinstance(value, list):
        for entry in value:
            yield from _instants(entry, named)
    elif named and isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return
        yield instant if instant.tzinfo else instant.replace(tzinfo=UTC)


async def upcoming(ws: Workspace) -> datetime | None:
    """The next deadline that the bot put into the metadata of a message, else what the Databricks side has next."""
    instant, _ = now(ws)
    announced = [due for metadata in ws.messages.metadata() for due in _instants(metadata) if due > instant]
    if announced:
        return min(announced)
    if ws.databricks_admin is None:
        return None
    try:
        reply = await asyncio.wait_for(call("GET", f"{ws.databricks_admin}/sandbox/next"), ASK_SECONDS)
        found = json.loads(reply.body)["next"]
        due = datetime.fromisoformat(found) if found else None
    except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
        log.info("the Databricks side does not say what is next: %s", error)
        return None
    if due is not None and due.tzinfo is None:
        due = due.replace(tzinfo=UTC)
    return due if due is not None and due > instant else None


async def told(ws: Workspace) -> Json:
    """{"now", "speed", "next"}."""
    due = await upcoming(ws)
    instant, speed = now(ws)
    return {"now": instant.isoformat(), "speed": speed, "next": due.isoformat() if due else None}


def _number(value: Any, what: str, maximum: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise PageError(f"{what} must be a number of 0 or more: the calendar never goes back.")
    if value > maximum:
        raise PageError(f"{what} may be at most {maximum:g}.")
    return float(value)


async def change(ws: Workspace, body: Json) -> Json:
    """Set the speed, step ahead by seconds, or step to just after the next deadline."""
    if ws.clock is None:
        raise PageError("This sandbox runs without a calendar of its own.")
    if len({"speed", "step", "to"} & set(body)) != 1:
        raise PageError('Give one of "speed", "step" and "to".')
    if "speed" in body:
        calendar.set_speed(ws.clock, _number(body["speed"], "speed", FASTEST))
    elif "step" in body:
        calendar.step(ws.clock, _number(body["step"], "step", LONGEST_STEP))
    elif body["to"] == "next":
        due = await upcoming(ws)
        if due is None:
            raise PageError("Nothing is due.")
        instant, _ = now(ws)
        calendar.step(ws.clock, max(0.0, (due - instant).total_seconds()) + 1.0)
    else:
        raise PageError('"to" can only be "next".')
    clock = await told(ws)
    ws.live.send("clock", None, clock=clock)
    return clock
