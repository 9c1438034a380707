"""How fast we may talk: one message a second in each channel, and one budget of edits for all cards."""

import time
from collections import deque
from collections.abc import Callable


class Pace:
    """One message per ``gap`` seconds and channel. Machine time."""

    def __init__(self, gap: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap, self._clock = gap, clock
        self._free: dict[str, float] = {}
        self._all_free = 0.0

    def ready(self, channel: str) -> bool:
        """Whether a message may be posted there now."""
        now = self._clock()
        return now >= self._all_free and now >= self._free.get(channel, 0.0)

    def used(self, channel: str) -> None:
        """A message was posted there."""
        self._free[channel] = self._clock() + self._gap

    def hold(self, channel: str, seconds: float) -> None:
        """Slack asked to wait, there."""
        self._free[channel] = self._clock() + seconds


class Budget:
    """At most ``most`` edits in any minute. What is not final leaves ``reserve`` of them for what is."""

    def __init__(self, most: int, reserve: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._reserve, self._clock = most, reserve, clock
        self._spent: deque[float] = deque()
        self._held_until = 0.0

    def may(self, final: bool) -> bool:
        """Whether one more edit is allowed now."""
        now = self._clock()
        while self._spent and self._spent[0] <= now - 60.0:
            self._spent.popleft()
        return now >= self._held_until and len(self._spent) < self._most - (0 if final else self._reserve)

    def spend(self, count: int = 1) -> None:
        """So many edits were made."""
        self._spent.extend([self._clock()] * count)

    def hold(self, seconds: float) -> None:
        """Slack asked to wait."""
        self._held_until = self._clock() + seconds
