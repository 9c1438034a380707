"""The whole of one local Slack workspace: its parts, built once, and handed to whoever serves a request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from sandbox.slack import manifest as manifests
from sandbox.slack import people, tokens
from sandbox.slack.delivery import Delivery
from sandbox.slack.delivery.signed_http import SignedHttp
from sandbox.slack.delivery.socket_mode import SocketMode
from sandbox.slack.errors import PageError
from sandbox.slack.faults import Faults
from sandbox.slack.files import Files
from sandbox.slack.handles import Handles
from sandbox.slack.limits import Limits, Rates
from sandbox.slack.live import Live
from sandbox.slack.messages import Messages
from sandbox.slack.people import Cast, Person
from sandbox.slack.recorder import Recorder
from sandbox.slack.requests import Requests
from sandbox.slack.seats import Seats
from sandbox.slack.store import Store

log = logging.getLogger("sandbox.slack")


class Workspace:
    """State and parts. All of it lives on one event loop, so nothing here needs a lock."""

    def __init__(
        self,
        directory: Path,
        *,
        cast: Cast | None = None,
        manifest: manifests.Manifest | None = None,
        limits: Limits | None = None,
        machine: Callable[[], float] = time.time,
        mode: str = "socket",
        bot_url: str | None = None,
        clock: Path | None = None,
        databricks_admin: str | None = None,
        pids: Path | None = None,
    ) -> None:
        """Read what DIR holds and build the parts. `machine` gives machine time in seconds."""
        self.cast = cast or people.load()
        self.manifest = manifest or manifests.load()
        self.limits = limits or Limits()
        self.machine = machine
        self.clock = clock
        self.databricks_admin = databricks_admin.rstrip("/") if databricks_admin else None
        self.pids = pids
        self.url = ""
        self.tokens = tokens.load(directory)
        self.store = Store(directory)
        self.live = Live()
        self.faults = Faults()
        self.recorder = Recorder.from_environment()
        self.rates = Rates(self.limits, machine)
        self.messages = Messages(self.store, machine)
        self.files = Files(self.store, directory / "slack-files", machine)
        self.seats = Seats(self.store, self.cast)
        self.requests = Requests(self.store, self.live, machine)
        self.handles = Handles(self.store, self.limits, machine)
        self.socket_mode = SocketMode(self.cast.app_id, self.limits, machine)
        self.delivery: Delivery = self.socket_mode
        if mode == "http":
            if not bot_url:
                raise ValueError("HTTP delivery needs the bot's URL")
            self.delivery = SignedHttp(bot_url, self.tokens.signing_secret, self.limits, machine)
        for record in self.store.tables["views"].values():
            record["pending"] = False  # what was on its way when the server stopped will not be acknowledged any more
        self._tasks: set[asyncio.Task[None]] = set()
        self.socket_mode.on_change = lambda: self.live.send("bot", connected=bool(self.socket_mode.links))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on in the background; a failure is logged, never lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("background work failed", exc_info=task.exception())

    def person(self, key: Any) -> Person:
        """The person whom a page or terminal names, by key or user id."""
        found = self.cast.people.get(key) or self.cast.by_id.get(key) if isinstance(key, str) else None
        if found is None:
            raise PageError(f"There is no person {key!r}. There are: {', '.join(self.cast.people)}.", 404)
        return found

    def channel_id(self, name: Any, person: Person) -> str:
        """The id of a channel that a page names by id or name, or of a direct-message channel."""
        if isinstance(name, str):
            if name == person.dm or name.lstrip("@") == self.cast.bot_name:
                return person.dm
            found = self.cast.channel(name)
            if found is not None:
                return found.id
        raise PageError(f"There is no channel {name!r}.", 404)

    def channel_name(self, channel: str) -> str:
        """The name as payloads give it."""
        return self.cast.channels[channel].name if channel in self.cast.channels else "directmessage"

    async def stop(self) -> None:
        """End background work and sockets, and save."""
        for task in list(self._tasks):
            task.cancel()
        self.live.close()
        await self.delivery.close()
        await self.socket_mode.close()
        self.store.save()
