"""Calls of web hooks that are due: queued with what causes them, sent at least once, given up after a while.

Who receives them tells a repetition by its key. The address is read from the environment when it is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from storage.base import insert
from storage.models import Hook

#: After so many attempts, over about an hour and a half, a call is given up.
MOST: Final = 12
#: Machine seconds: for so long another replica leaves a call alone that one has begun.
TAKEN: Final = 60.0
_LONGEST: Final = 600.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call to make: ``attempts`` counts this one."""

    id: int
    key: str
    variable: str
    body: Mapping[str, Any]
    attempts: int


def queue(session: Session, key: str, variable: str, body: Mapping[str, Any]) -> None:
    """Have it called, once per ``key``."""
    session.execute(
        insert(session, Hook)
        .values(key=key, variable=variable, body=dict(body), state="pending", attempts=0)
        .on_conflict_do_nothing(index_elements=["key"])
    )


def due(session: Session, now: datetime, most: int = 5) -> list[int]:
    """Calls that may be made now (machine), oldest first."""
    rows = session.execute(
        select(Hook.id)
        .where(Hook.state == "pending", or_(Hook.not_before.is_(None), Hook.not_before <= now))
        .order_by(Hook.id)
        .limit(most)
    )
    return list(rows.scalars())


def take(session: Session, number: int, now: datetime) -> Call | None:
    """Begin a call; None when another replica did. Commit before it is made."""
    row = session.execute(
        update(Hook)
        .where(Hook.id == number, Hook.state == "pending", or_(Hook.not_before.is_(None), Hook.not_before <= now))
        .values(attempts=Hook.attempts + 1, not_before=now + timedelta(seconds=TAKEN))
        .returning(Hook.id, Hook.key, Hook.variable, Hook.body, Hook.attempts)
    ).one_or_none()
    return Call(*row) if row is not None else None


def made(session: Session, call: Call, now: datetime, error: str | None, final: bool = False) -> bool:
    """What came of it: done without an ``error``; else again later, or given up. True when it was given up."""
    gives_up = error is not None and (final or call.attempts >= MOST)
    state = "sent" if error is None else "dropped" if gives_up else "pending"
    wait = min(5.0 * 2 ** (call.attempts - 1), _LONGEST)
    session.execute(
        update(Hook)
        .where(Hook.id == call.id, Hook.state == "pending", Hook.attempts == call.attempts)
        .values(state=state, error=error, not_before=now + timedelta(seconds=wait))
    )
    return gives_up
