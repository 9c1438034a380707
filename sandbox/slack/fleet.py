"""The Databricks side as the page shows it: fetched, kept for a moment, watched while somebody looks."""

from __future__ import annotations

import asyncio
import hashlib
import os

from sandbox.slack import calendar_clock
from sandbox.slack.errors import PageError
from sandbox.slack.outbound import call
from sandbox.slack.workspace import Workspace

FRESH_SECONDS = 0.5
LOOK_SECONDS = 1.5
ASK_SECONDS = 10.0


class Fleet:
    """Asks the double at most twice a second, however many pages are open."""

    def __init__(self, ws: Workspace) -> None:
        """Nothing has been asked yet."""
        self._ws = ws
        self._kept: tuple[float, str, bytes] | None = None

    async def fetch(self, query: str = "") -> bytes:
        """The JSON of GET /sandbox/fleet of the double."""
        if self._ws.databricks_admin is None:
            raise PageError("This sandbox runs without a Databricks side.", 404)
        now = self._ws.machine()
        if self._kept and self._kept[1] == query and now - self._kept[0] < FRESH_SECONDS:
            return self._kept[2]
        url = f"{self._ws.databricks_admin}/sandbox/fleet" + (f"?{query}" if query else "")
        try:
            reply = await asyncio.wait_for(call("GET", url), ASK_SECONDS)
        except (OSError, TimeoutError):
            raise PageError("The Databricks side does not answer.", 502) from None
        if reply.status != 200:
            raise PageError(f"The Databricks side answered {reply.status}.", 502)
        self._kept = (now, query, reply.body)
        return reply.body

    async def watch(self) -> None:
        """While a page is open, push "fleet", "clock" and "bot" when targets, calendar or connection changed."""
        fleet, clock, reachable = b"", None, None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._ws.live.listeners:
                continue
            seen = self._calendar()
            if seen != clock:
                clock = seen
                self._ws.live.send("clock", None, clock=await calendar_clock.told(self._ws))
            if reachable != (reachable := await self._ws.delivery.connected()):
                self._ws.live.send("bot", connected=reachable)
            try:
                body = await self.fetch()
            except PageError:
                continue
            mark = hashlib.blake2b(body.partition(b'"workspaces"')[2], digest_size=16).digest()
            if mark != fleet:
                fleet = mark
                self._ws.live.send("fleet")

    def _calendar(self) -> tuple[int, int] | None:
        try:
            stat = os.stat(self._ws.clock) if self._ws.clock else None
        except OSError:
            stat = None
        return (stat.st_mtime_ns, stat.st_ino) if stat else None
