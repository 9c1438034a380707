"""How payloads reach the bot: Socket Mode or signed HTTP, behind one interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

OPERATION_TIMEOUT = "operation_timeout"
DISPATCH_FAILED = "dispatch_failed"
NAMES = {"slash_commands": "command", "events_api": "event"}


class Cut(Enum):
    """When the way to the bot breaks: never, just before the payload is sent, or just after it was."""

    NEVER = 0
    BEFORE = 1
    AFTER = 2


@dataclass
class Parcel:
    """One payload to deliver. `kind` is the Socket Mode type: slash_commands, interactive or events_api."""

    kind: str
    payload: dict[str, Any]
    accepts_response: bool
    sent: Callable[[float], None] = lambda moment: None
    attempt: int = 0
    reason: str = ""
    cut: Cut = Cut.NEVER

    @property
    def name(self) -> str:
        """What it is to a person: a command, an action, a view or an event."""
        return NAMES.get(self.kind) or ("action" if self.payload.get("type") == "block_actions" else "view")


@dataclass(frozen=True)
class Outcome:
    """What came back: when it was acknowledged, with which body; or the error that the person sees."""

    acknowledged: float | None = None
    body: Any = None
    error: str | None = None
    reason: str = ""
    no_retry: bool = False


class Delivery(Protocol):
    """A way to the bot."""

    mode: str
    timed_out: str
    """What a retry is told when nothing came back in time."""

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Send to one consumer and wait for its acknowledgement, at most Slack's 3 s."""
        ...

    async def connected(self) -> bool:
        """Whether the bot can be reached now."""
        ...

    async def close(self) -> None:
        """Stop, at shutdown."""
        ...
