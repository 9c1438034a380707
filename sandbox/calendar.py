"""The calendar: a small file that says what time it is in the sandbox.

`{"anchor": instant, "machine": unix seconds at the anchor, "speed": factor}`, and so
now = anchor + (machine time - machine) * speed.
Everything of Databricks happens in calendar time, so a bake of 24 hours can be stepped over in an instant. The file is
replaced atomically; whoever holds a `Clock` sees the new one at its next question. The calendar never goes back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST_MORNING = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""A Monday: where a fresh sandbox begins."""


class Clock:
    """A reader of one calendar file, which reads it again whenever it was replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._anchor = 0.0
        self._machine = 0.0
        self._speed = 0.0
        self._latest = 0.0

    def _refresh(self) -> None:
        stat = os.stat(self.path)
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen == self._seen:
            return
        raw = json.loads(self.path.read_text(encoding="utf-8"))
        self._anchor = _instant(str(raw["anchor"])).timestamp()
        self._machine = float(raw["machine"])
        self._speed = float(raw["speed"])
        self._seen = seen

    @property
    def speed(self) -> float:
        """How many calendar seconds pass in one machine second; 0 is a stopped calendar."""
        self._refresh()
        return self._speed

    def seconds(self) -> float:
        """Now, as unix seconds of the calendar. Never smaller than an earlier answer."""
        self._refresh()
        passed = max(0.0, time.time() - self._machine) if self._speed else 0.0
        self._latest = max(self._latest, self._anchor + passed * self._speed)
        return self._latest

    def milliseconds(self) -> int:
        """Now, in the unit of the Databricks API."""
        return round(self.seconds() * 1000)

    def now(self) -> datetime:
        """Now, as an aware instant in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)


def read(path: str | Path) -> Clock:
    """A clock that follows the file at `path`, which must exist."""
    clock = Clock(Path(path))
    clock.seconds()
    return clock


def write(path: str | Path, anchor: datetime, speed: float) -> None:
    """Put the calendar at `anchor`, running at `speed` from this machine moment on."""
    if speed < 0:
        raise ValueError("the calendar never goes back: speed must be 0 or more")
    _replace(Path(path), anchor, speed)


def make(path: str | Path, speed: float = 0.0, anchor: datetime = FIRST_MORNING) -> Clock:
    """The calendar at `path`, made at `anchor` when there is none yet. An existing one is left as it is."""
    if not Path(path).exists():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write(path, anchor, speed)
    return read(path)


def set_speed(path: str | Path, speed: float) -> datetime:
    """Go on from now at another speed (0 stops); returns now."""
    if speed < 0:
        raise ValueError("the calendar never goes back: speed must be 0 or more")
    with _held(Path(path)):
        now = read(path).now()
        _replace(Path(path), now, speed)
    return now


def step(path: str | Path, seconds: float) -> datetime:
    """Jump `seconds` ahead, keeping the speed; returns the new now."""
    if seconds < 0:
        raise ValueError("the calendar never goes back: a step must be 0 or more")
    with _held(Path(path)):
        clock = read(path)
        now = clock.now() + timedelta(seconds=seconds)
        _replace(Path(path), now, clock.speed)
    return now


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _replace(path: Path, anchor: datetime, speed: float) -> None:
    content = {"anchor": anchor.astimezone(UTC).isoformat(), "machine": time.time(), "speed": speed}
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    os.replace(fresh, path)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """One writer at a time, so that a step and a change of speed cannot undo each other."""
    with open(path.with_name(f"{path.name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
