"""Turns: a lock that is given on in the order in which it was asked for.

Python's own lock lets a thread that comes again overtake one that waits: a long row of short writes would keep a press
of a person from being stored.
"""

import threading
from collections import deque
from types import TracebackType


class Turns:
    """A context manager; not to be entered twice by one thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()  # until the one before hands it over

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
