"""Threads of which one runs at a time; whose turn it is next is drawn at each boundary, the same for the same seed.

So several actions are in the middle of something when the process dies, and the n-th boundary is the same each time.
"""

import random
import threading
from collections.abc import Callable
from typing import Final

from engine.pool import Pool


class Crew(Pool):
    """A pool for the engine. The thread that made it has the first turn, and gives it on with ``rest``."""

    def __init__(self, seed: int) -> None:
        super().__init__(0, "crew")
        self._chance: Final = random.Random(seed)
        self._ready: dict[int, threading.Lock] = {}  # by the order in which they came; only who has the turn touches it
        self._came = 0
        self._resting: threading.Lock | None = None
        self._here = threading.local()
        self._here.number = 0
        self.failed: list[BaseException] = []

    def submit(self, work: Callable[[], object]) -> bool:
        """Have ``work`` done in a thread of its own, when it is its turn."""
        self._came += 1
        number, mine = self._came, _shut()
        self._ready[number] = mine
        threading.Thread(target=self._run, args=(number, mine, work), daemon=True).start()
        return True

    def switch(self) -> None:
        """A boundary: perhaps it is somebody else's turn now."""
        number = getattr(self._here, "number", None)
        if number is None or not self._ready:
            return
        mine = _shut()
        self._ready[number] = mine
        self._give(self._chance.choice(sorted(self._ready)))
        mine.acquire()

    def rest(self) -> None:
        """Give the others their turns until all have ended. Raises what one of them raised."""
        if self._ready:
            self._resting = _shut()
            self._give(self._chance.choice(sorted(self._ready)))
            self._resting.acquire()
            self._resting = None
        if self.failed:
            raise self.failed[0]

    def _run(self, number: int, mine: threading.Lock, work: Callable[[], object]) -> None:
        self._here.number = number
        mine.acquire()
        try:
            work()
        except BaseException as error:
            self.failed.append(error)
        if self._ready:
            self._give(self._chance.choice(sorted(self._ready)))
        elif self._resting is not None:
            self._resting.release()

    def _give(self, number: int) -> None:
        self._ready.pop(number).release()


def _shut() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
