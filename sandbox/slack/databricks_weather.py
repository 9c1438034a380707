"""The weather of the Databricks side, as the page sees and makes it: its faults, asked for and set over there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sandbox.slack.errors import PageError
from sandbox.slack.outbound import call
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

ASK_SECONDS = 5.0


async def told(ws: Workspace) -> Json:
    """{"faults": [...]}: what is set, with the hits so far. PageError where there is no such side, or no answer."""
    return await _ask(ws, "GET")


async def change(ws: Workspace, body: Json) -> Json:
    """Set one fault or several, or clear; the body and the answer are those of the Databricks side. Tells all pages."""
    wish = {name: value for name, value in body.items() if name != "as"}  # whoever asks, the weather is everybody's
    found = await _ask(ws, "POST", json.dumps(wish).encode())
    ws.live.send("weather")
    return found


async def _ask(ws: Workspace, method: str, body: bytes = b"") -> Json:
    if ws.databricks_admin is None:
        raise PageError("This sandbox runs without a Databricks side.", 404)
    url, headers = f"{ws.databricks_admin}/sandbox/faults", {"Content-Type": "application/json"}
    try:
        reply = await asyncio.wait_for(call(method, url, headers, body), ASK_SECONDS)
        found: Any = json.loads(reply.body)
    except (OSError, TimeoutError, ValueError):
        raise PageError("The Databricks side does not answer.", 502) from None
    if not isinstance(found, dict) or reply.status != 200:
        sentence = found.get("message") if isinstance(found, dict) else None
        raise PageError(str(sentence or f"The Databricks side answered {reply.status}."), 400)
    return found
