"""The server: sockets for all workspaces in one process, on one event loop, saved now and then.

`running(...)` is the same server in a thread, for tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from sandbox import calendar, fleets
from sandbox.databricks import build, persist
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.http import Application, Protocol

logger = logging.getLogger("sandbox.databricks")

PATIENCE = 1.0
"""Seconds that answers under way get at the end."""
TABLES = "lake"
"""Where the tables are, in the state directory."""
SAVE_EVERY = 2.0
"""Seconds of machine time between two looks whether there is something to save."""

Fleet = str | Path | Mapping[str, Any]


def prepare(fleet: Fleet, clock_path: Path, state_dir: Path | None) -> Databricks:
    """The workspaces as `state_dir` remembers them, or fresh ones from the fleet (a name, a file or its content)."""
    clock = calendar.make(clock_path)
    saved = state_dir / persist.FILE if state_dir else None
    if saved and saved.exists():
        return _opened(Databricks(persist.load(saved), clock), state_dir)
    if state_dir:
        shutil.rmtree(state_dir / TABLES, ignore_errors=True)
    collecting = gc.isenabled()
    gc.disable()  # tens of thousands of objects that all stay: looking through them again and again is in vain
    try:
        return _opened(Databricks(build.workspaces(fleets.load(fleet), clock.milliseconds()), clock), state_dir)
    finally:
        if collecting:
            gc.enable()


def _opened(databricks: Databricks, state_dir: Path | None) -> Databricks:
    """With the tables of its workspaces at hand; without a state directory they are in a temporary one."""
    for ws in databricks.workspaces.values():
        home = (state_dir / TABLES / ws.key).resolve() if state_dir else None
        ws.lake.open(home, ws.shelf("schemas"), ws.shelf("tables"))
    return databricks


class Server(uvicorn.Server):
    """Uvicorn on one socket per workspace; signals are left to the caller, who calls `stop`."""

    def __init__(self, databricks: Databricks, port: int, state_dir: Path | None) -> None:
        """Binds the ports at once: port + 0, 1, 2... for the workspaces in order, or free ones if `port` is 0."""
        self.databricks = databricks
        self.saved = state_dir / persist.FILE if state_dir else None
        self.application = Application(databricks)
        self.sockets = []
        for number, ws in enumerate(databricks.workspaces.values()):
            endpoint = _bound(port + number if port else 0)
            own = endpoint.getsockname()[1]
            ws.host = f"http://127.0.0.1:{own}"
            self.application.ports[own] = ws
            self.application.first = self.application.first or ws
            self.sockets.append(endpoint)
        databricks.admin = self.application.first.host if self.application.first else ""
        super().__init__(
            uvicorn.Config(
                self.application,
                http=Protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                backlog=2048,
                timeout_keep_alive=3600,
            )
        )
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signal handlers as they are."""
        yield

    def stop(self) -> None:
        """End serving; may be called from any thread."""
        self.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # closed in this very moment
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Wait for `stop` instead of looking ten times a second."""
        if not self.should_exit:
            await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let answers under way be finished, but wait no longer than PATIENCE for them."""
        for listener in self.servers:
            listener.close()
        for endpoint in self.sockets:
            endpoint.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        until = time.monotonic() + PATIENCE
        while (self.server_state.connections or self.server_state.tasks) and time.monotonic() < until:
            await asyncio.sleep(0.005)
        for task in self.server_state.tasks:
            task.cancel()

    async def work(self) -> None:
        """Serve until `stop`, saving what changed."""
        self._loop = asyncio.get_running_loop()
        saving = asyncio.create_task(self._keep_saving())
        try:
            await self.serve(self.sockets)
        finally:
            saving.cancel()
            self.databricks.close()
            self.save()

    async def _keep_saving(self) -> None:
        seen = -1
        rest = SAVE_EVERY
        while True:
            await asyncio.sleep(rest)
            changes = self.databricks.changes()
            if changes != seen:
                seen = changes
                rest = max(SAVE_EVERY, 30 * self.save())

    def save(self) -> float:
        """Write the state file, if there is one to write; returns how many seconds it took."""
        if self.saved is None:
            return 0.0
        begin = time.monotonic()
        try:
            self.saved.parent.mkdir(parents=True, exist_ok=True)
            persist.save(self.saved, list(self.databricks.workspaces.values()))
        except OSError:
            logger.exception("cannot save %s", self.saved)
        return time.monotonic() - begin


def _bound(port: int) -> socket.socket:
    # With the protocol named, asyncio switches off delayed sending (Nagle); else each answer would take 40 ms.
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        endpoint.bind(("127.0.0.1", port))
    except OSError:
        endpoint.close()
        raise
    endpoint.listen(2048)
    return endpoint


@contextlib.contextmanager
def running(
    fleet: Fleet = "sample", clock_path: Path | None = None, state_dir: Path | None = None, port: int = 0
) -> Iterator[Databricks]:
    """A local Databricks in a thread, on free ports, its calendar stopped; gone at the end of the block."""
    with contextlib.ExitStack() as stack:
        if clock_path is None:
            clock_path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "clock.json"
        databricks = prepare(fleet, clock_path, state_dir)
        server = Server(databricks, port, state_dir)
        thread = threading.Thread(target=lambda: asyncio.run(server.work()), name="local-databricks", daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the local Databricks did not start")
                time.sleep(0.002)
            yield databricks
        finally:
            server.stop()
            thread.join(timeout=5)
