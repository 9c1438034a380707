"""Pushes to open pages: whoever is listening for a person hears what changed for that person."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

BACKLOG = 500
"""A page that lags further behind than this is dropped; it comes back and fetches anew."""


class Listener:
    """One open page of one person."""

    def __init__(self, user: str) -> None:
        """`user` is the person's user id."""
        self.user = user
        self.queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()


class Live:
    """All open pages."""

    def __init__(self) -> None:
        """Nobody listens yet."""
        self.listeners: set[Listener] = set()

    def join(self, user: str) -> Listener:
        """Start to listen."""
        listener = Listener(user)
        self.listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Stop listening."""
        self.listeners.discard(listener)

    def send(self, kind: str, users: Collection[str] | None = None, **body: Any) -> None:
        """Push {"type": kind, **body} to these users, or to everybody."""
        for listener in list(self.listeners):
            if users is not None and listener.user not in users:
                continue
            if listener.queue.qsize() >= BACKLOG:
                self.leave(listener)
                listener.queue.put_nowait(None)
            else:
                listener.queue.put_nowait({"type": kind, **body})

    def close(self) -> None:
        """Send everybody away, at shutdown."""
        for listener in list(self.listeners):
            listener.queue.put_nowait(None)
        self.listeners.clear()
