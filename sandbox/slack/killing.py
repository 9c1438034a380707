"""Killing the bot on request and watching it come back: only the bot that our own supervisor started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from sandbox.slack.errors import PageError
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

LOOK_SECONDS = 0.1
PATIENCE = 120.0


class Killing:
    """The bot's process, as far as the page knows it. `ws.pids` names the file with the sandbox's process ids."""

    def __init__(self, ws: Workspace) -> None:
        """Nobody was killed yet."""
        self._ws = ws
        self._times = 0
        self._killed: tuple[int, float] | None = None  # process id and machine time of the last kill
        self._back: float | None = None  # seconds until it was connected again

    def told(self) -> Json:
        """{"can", "times", "down", "back"}: down counts the seconds since a kill, back is how long it took."""
        down = self._ws.machine() - self._killed[1] if self._killed and self._back is None else None
        return {"can": self._running() is not None, "times": self._times, "down": down, "back": self._back}

    async def kill(self, body: Json) -> Json:
        """POST /sandbox/kill: SIGKILL, without a goodbye. PageError when there is no bot of this sandbox to kill."""
        if self._ws.pids is None:
            raise PageError("The bot was not started by this sandbox, so it is not killed here.", 404)
        pid = self._running()
        if pid is None:
            raise PageError("The bot does not run at the moment: there is nothing to kill.", 409)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            raise PageError("The bot has just ended by itself.", 409) from None
        self._killed, self._back = (pid, self._ws.machine()), None
        self._times += 1
        # Its connections end with it. The kernel says so a moment later, and until then it would look connected, or
        # even back: another bot may have been started by then.
        await self._ws.socket_mode.recycle("drop")
        self._ws.spawn(self._watch(self._times))
        self._ws.live.send("bot", connected=False)
        return self.told()

    async def _watch(self, kill: int) -> None:
        """Look until another process has connected, and tell the pages; a further kill has a watch of its own."""
        assert self._killed is not None
        pid, when = self._killed
        while kill == self._times and self._ws.machine() - when < PATIENCE:
            await asyncio.sleep(LOOK_SECONDS)
            if self._running() not in (None, pid) and await self._ws.delivery.connected():
                self._back = self._ws.machine() - when
                self._ws.live.send("bot", connected=True)
                return

    def _running(self) -> int | None:
        """The bot's process id while it runs as a child of our own parent, who must be who wrote the file."""
        pids = _read(self._ws.pids)
        bot, supervisor = pids.get("bot"), pids.get("supervisor")
        if not isinstance(bot, int) or supervisor != os.getppid() or parent_of(bot) != supervisor:
            return None
        return bot


def _read(path: Path | None) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def parent_of(pid: int) -> int | None:
    """The parent of a process; None when it has ended (a zombie has)."""
    if Path("/proc/self/stat").exists():
        try:
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            return None
    else:
        command = ["ps", "-o", "state=,ppid=", "-p", str(pid)]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        state, parent = found if len(found) == 2 else ("Z", "0")
    return None if state.startswith("Z") else int(parent)
