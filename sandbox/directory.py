"""The sandbox's state directory: who uses it, what it was made with, its key and its clock."""

import base64
import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox import calendar

LOCK = "lock"
MADE = "sandbox.json"


class Refused(Exception):
    """The sandbox cannot start so; the text is a plain sentence with the way out."""


class Directory:
    """DIR, held by one sandbox at a time."""

    def __init__(self, path: Path) -> None:
        """Make the directory if it is not there; readable by its owner only, because it holds tokens."""
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"{path} cannot be used as the state directory: {error.strerror}.") from error
        self._lock: int | None = None

    @property
    def clock(self) -> Path:
        """The calendar file."""
        return self.path / "clock.json"

    @property
    def pids(self) -> Path:
        """Who runs: the process ids of the sandbox and its children."""
        return self.path / "pids.json"

    @property
    def database(self) -> str:
        """The bot's database when none is named."""
        return f"sqlite:///{self.path / 'rollout.db'}"

    def hold(self) -> None:
        """Take the directory, or refuse with the process that has it. The kernel lets go when this process ends."""
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._lock, 100).decode() or "another process"
            raise Refused(
                f"A sandbox already runs with {self.path} ({holder}): stop it, or give another --state and --port."
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"process {os.getpid()}".encode(), 0)

    def empty(self) -> None:
        """Forget everything. Only what a sandbox made is deleted, so that a mistyped --state costs nothing."""
        content = [entry for entry in self.path.iterdir() if entry.name != LOCK]
        if content and not (self.path / MADE).exists():
            raise Refused(f"{self.path} was not made by a sandbox: nothing deleted. Give another --state.")
        for entry in content:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def agree_on(self, fleet: str | None, story: str | None = None) -> str:
        """The fleet to run: the one asked for, which must be the one that the directory was made with.

        A story is only told from the first page on: Refused where the directory was used before.
        """
        made = self.path / MADE
        if made.exists():
            if story is not None:
                raise Refused(
                    f"{self.path} holds a story already, so {story} cannot begin in it: add --fresh to forget that one "
                    "first, or leave --story away to go on with it."
                )
            before = str(json.loads(made.read_text())["fleet"])
            if fleet is not None and fleet != before:
                raise Refused(f"{self.path} holds the fleet {before}, not {fleet}: add --fresh to start anew with it.")
            return before
        chosen = fleet or "sample"
        replace(made, {"fleet": chosen})
        return chosen

    def start_clock(self, speed: float) -> None:
        """Let the calendar run: from where it stopped, else from a Monday morning."""
        calendar.make(self.clock)
        calendar.set_speed(self.clock, speed)

    def stop_clock(self) -> None:
        """Keep the calendar where it is until the next start."""
        if self.clock.exists():
            calendar.set_speed(self.clock, 0)

    def secret_key(self) -> str:
        """The key for what the bot encrypts at rest (a Fernet key), made once."""
        path = self.path / "secret-key"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.urlsafe_b64encode(os.urandom(32)))
        return path.read_text().strip()

    def write_pids(self, pids: Mapping[str, int | None]) -> None:
        """Leave the process ids where the local Slack and tests find them (pids.json)."""
        replace(self.pids, pids)

    def forget_pids(self) -> None:
        """Nothing runs any more."""
        self.pids.unlink(missing_ok=True)


def replace(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that a reader sees the old or the new file, never half of one."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)
