"""What the processes of one crash point share: the machine's time, which only they move on, and a line to talk on."""

import json
import mmap
import socket
import struct
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from storage.database import Database


class MachineTime:
    """Machine time that stands still until somebody steps it; the same in all processes forked after it was made."""

    def __init__(self, instant: float) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.set(instant)

    def set(self, instant: float) -> None:
        """Unix seconds."""
        self._memory[:8] = struct.pack("d", instant)

    def seconds(self) -> float:
        """Unix seconds."""
        found: float = struct.unpack("d", self._memory[:8])[0]
        return found

    def step(self, seconds: float) -> None:
        """Let so much time pass."""
        self.set(self.seconds() + seconds)

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)


class StillDatabase(Database):
    """A database whose clock is the shared one: no lease ends for the slowness of the machine that we run on."""

    def __init__(self, url: str, time: MachineTime) -> None:
        super().__init__(url, pool_size=3)
        self._time = time

    def machine_now(self, session: Session) -> datetime:
        return self._time.now()

    def machine(self) -> datetime:
        return self._time.now()


class Line:
    """One end of a line between two processes: JSON objects, one per line of text."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._file = end.makefile("r", encoding="utf-8")

    def say(self, **message: Any) -> None:
        """Send. Nobody listening is no error: who should have listened is dead."""
        try:
            self._end.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return

    def hear(self) -> dict[str, Any] | None:
        """Wait for the next message; None when the other end is closed, as it is when that process died."""
        text = self._file.readline()
        return json.loads(text) if text else None

    def close(self) -> None:
        """Close our end."""
        self._file.close()
        self._end.close()


def lines() -> tuple[Line, Line]:
    """The two ends of a new line."""
    one, other = socket.socketpair()
    return Line(one), Line(other)
