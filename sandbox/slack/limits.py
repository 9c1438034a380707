"""Slack's limits of time and rate. All run in machine time, whatever the calendar does."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.slack.errors import RateLimited


@dataclass(frozen=True)
class Limits:
    """The numbers. The defaults are Slack's; tests shorten a wait, never a rule."""

    ack_seconds: float = 3.0
    trigger_seconds: float = 3.0
    response_url_seconds: float = 1800.0
    response_url_uses: int = 5
    event_retry_delays: tuple[float, ...] = (0.0, 60.0, 300.0)
    refresh_grace_seconds: float = 10.0
    post_burst: int = 4
    sockets: int = 10
    modal_stack: int = 3
    body_bytes: int = 1_000_000
    upload_bytes: int = 20_000_000
    tiers: dict[int, int] = field(default_factory=lambda: {2: 20, 3: 50, 4: 100})


class Rates:
    """Counts calls per method (a window of one minute) and posts per channel (one a second, with a small burst)."""

    def __init__(self, limits: Limits, machine: Callable[[], float]) -> None:
        """`machine` gives machine time in seconds."""
        self._limits = limits
        self._machine = machine
        self._calls: dict[str, deque[float]] = {}
        self._posts: dict[str, tuple[float, float]] = {}

    def call(self, method: str, tier: int | None) -> None:
        """Count one call of a method; raise RateLimited when its minute is full. A refused call is not counted."""
        if tier is None:
            return
        now = self._machine()
        calls = self._calls.setdefault(method, deque())
        while calls and calls[0] <= now - 60.0:
            calls.popleft()
        if len(calls) >= self._limits.tiers[tier]:
            raise RateLimited(max(1, math.ceil(calls[0] + 60.0 - now)))
        calls.append(now)

    def post(self, channel: str) -> None:
        """Count one post into a channel; raise RateLimited beyond one a second after the burst is spent."""
        now = self._machine()
        burst = float(self._limits.post_burst)
        tokens, since = self._posts.get(channel, (burst, now))
        tokens = min(burst, tokens + max(0.0, now - since))
        if tokens < 1.0:
            self._posts[channel] = (tokens, now)
            raise RateLimited(max(1, math.ceil(1.0 - tokens)))
        self._posts[channel] = (tokens - 1.0, now)
