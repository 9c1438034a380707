"""One child process of the sandbox: start it, follow what it prints, stop it and everything it left."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

LONGEST_LINE = 4 * 1024 * 1024
LINES_KEPT = 60
LOG_BYTES_KEPT = 20 * 1024 * 1024
PR_SET_PDEATHSIG = 1


class Child:
    """A process in a session of its own; its output goes to a log file and is searched for the line that says ready."""

    def __init__(
        self,
        name: str,
        log: Path,
        is_ready: Callable[[Mapping[str, Any]], bool],
        hear: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Take the name for messages, the log to append to, which JSON line means ready, and who hears every line."""
        self.name = name
        self.log = log
        self.tail: deque[str] = deque(maxlen=LINES_KEPT)
        self._is_ready = is_ready
        self._hear = hear
        self._ready: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else None

    async def start(self, command: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        """Start the command; it gets SIGTERM should this process die without a word (Linux)."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_KEPT:
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        # A pipe of our own: asyncio's would make the end of the process wait for whoever inherited it.
        reading, writing = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(environment),
                cwd=directory,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()) if sys.platform == "linux" else None,
            )
        finally:
            os.close(writing)
            self._reader = asyncio.create_task(self._follow(reading))

    async def _follow(self, pipe: int) -> None:
        output = asyncio.StreamReader(limit=LONGEST_LINE)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(pipe, "rb", buffering=0)
        )
        with closing(transport), self.log.open("ab", buffering=0) as log:
            while True:
                try:
                    line = await output.readline()
                except ValueError:  # longer than LONGEST_LINE: dropped
                    continue
                if not line:
                    return
                log.write(line)
                text = line.decode(errors="replace").rstrip()
                self.tail.append(text)
                self._hear(text)
                if not self._ready.done() and text.startswith("{"):
                    with suppress(ValueError):
                        message = json.loads(text)
                        if self._is_ready(message):
                            self._ready.set_result(message)

    async def ready(self) -> Mapping[str, Any] | None:
        """Wait for the line that says ready and return it; None when the process ended before."""
        ended = asyncio.create_task(self.ended())
        waited: set[asyncio.Future[Any]] = {self._ready, ended}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            return self._ready.result() if self._ready.done() else None
        finally:
            ended.cancel()

    async def ended(self) -> int:
        """Wait for the end and return the exit code (negative: the signal), with all output read."""
        assert self._process is not None
        assert self._reader is not None
        code = await self._process.wait()
        self._kill_group()  # what it started and left would keep the pipe open
        await asyncio.shield(self._reader)
        return code

    async def stop(self, patience: float) -> None:
        """Ask it to end, wait that many seconds, then kill it with all it started."""
        if self._process is None:
            return
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
        try:
            await asyncio.wait_for(self.ended(), patience)
        except TimeoutError:
            self._kill_group()
            await self.ended()

    def kill(self) -> None:
        """End it at once."""
        if self.pid is not None:
            self._kill_group()

    def _kill_group(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _die_with(parent: int) -> Callable[[], None]:
    """What the child does before it becomes the command: ask the kernel for SIGTERM when the parent dies."""
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return ask


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
