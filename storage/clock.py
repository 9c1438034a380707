"""Where calendar time comes from: the machine, or a small file that the sandbox steps and speeds up.

The file holds ``{"anchor": ISO instant, "machine": unix seconds at the anchor, "speed": factor}`` and is replaced
atomically; it is read again when it changed. Machine time is never altered.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

Calendar = Callable[[], datetime]


def machine_calendar() -> datetime:
    """Calendar time when nothing alters it: now, aware UTC."""
    return datetime.now(UTC)


class FileCalendar:
    """Calendar time by a clock file. Calling it gives the present calendar instant. Raises OSError or ValueError when
    the file cannot be read the first time; a later unreadable state keeps the last good one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._anchor = datetime.now(UTC)
        self._machine = time.time()
        self._speed = 1.0
        self._load()

    def __call__(self) -> datetime:
        with self._lock:
            with suppress(OSError, ValueError, KeyError):  # being replaced: the next call reads it again
                self._load()
            return self._anchor + timedelta(seconds=(time.time() - self._machine) * self._speed)

    def _load(self) -> None:
        status = os.stat(self._path)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return
        raw = json.loads(self._path.read_text())
        anchor = datetime.fromisoformat(raw["anchor"])
        if anchor.tzinfo is None:
            raise ValueError(f"{self._path}: anchor has no zone")
        self._anchor, self._machine, self._speed = anchor.astimezone(UTC), float(raw["machine"]), float(raw["speed"])
        self._stamp = stamp
