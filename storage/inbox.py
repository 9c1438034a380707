"""Presses of people: stored before they are acknowledged, taken by one worker at a time, done once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from storage.base import insert
from storage.models import Inbox

#: A press that was taken so often and never finished kills its worker: it is given up.
ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Taken:
    """A press in the hands of ``owner`` until ``lease_until`` (machine)."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    received_at: datetime
    lease_until: datetime
    attempts: int


def store(
    session: Session, key: str, kind: str, payload: Mapping[str, Any], owner: str, now: datetime, seconds: float
) -> Taken | None:
    """Store a press, taken by ``owner`` from the start; None when its key is there already. ``now``: machine time."""
    until = now + timedelta(seconds=seconds)
    made = session.execute(
        insert(session, Inbox)
        .values(
            key=key,
            kind=kind,
            payload=dict(payload),
            state="taken",
            owner=owner,
            lease_until=until,
            received_at=now,
            outcome={"attempts": 1},
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(Inbox.id)
    ).scalar_one_or_none()
    return None if made is None else Taken(made, kind, payload, now, until, 1)


def is_done(session: Session, key: str) -> bool:
    """Whether the press of that key was answered."""
    return session.execute(select(Inbox.state).where(Inbox.key == key)).scalar_one_or_none() == "done"


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(Inbox.state == "new", and_(Inbox.state == "taken", Inbox.lease_until < now))


def waiting(session: Session, now: datetime, limit: int, besides: Collection[int] = ()) -> list[int]:
    """Presses that nobody works on, oldest first."""
    query = select(Inbox.id).where(_free(now)).order_by(Inbox.received_at, Inbox.id).limit(limit + len(besides))
    return [press for press in session.scalars(query) if press not in besides][:limit]


def take(session: Session, press: int, owner: str, now: datetime, seconds: float) -> Taken | None:
    """Take one press, or None when somebody was quicker or it was taken too often (then it is given up)."""
    until = now + timedelta(seconds=seconds)
    row = session.execute(
        update(Inbox)
        .where(Inbox.id == press, _free(now))
        .values(state="taken", owner=owner, lease_until=until)
        .returning(Inbox.id, Inbox.kind, Inbox.payload, Inbox.received_at, Inbox.outcome)
    ).one_or_none()
    if row is None:
        return None
    attempts = int((row.outcome or {}).get("attempts", 0)) + 1
    if attempts > ATTEMPTS or row.payload is None:
        finish(session, press, owner, now, {"attempts": attempts, "outcome": "given_up"})
        return None
    session.execute(update(Inbox).where(Inbox.id == press).values(outcome={"attempts": attempts}))
    return Taken(row.id, row.kind, row.payload, row.received_at, until, attempts)


def finish(session: Session, press: int, owner: str, now: datetime, outcome: Mapping[str, Any]) -> bool:
    """Done: the payload goes, for it holds bearer handles. False when the press is no longer ours."""
    done = session.execute(
        update(Inbox)
        .where(Inbox.id == press, Inbox.owner == owner, Inbox.state == "taken")
        .values(state="done", payload=None, lease_until=None, done_at=now, outcome=dict(outcome))
        .returning(Inbox.id)
    ).scalar_one_or_none()
    return done is not None


def give_back(session: Session, owner: str | None = None, press: int | None = None) -> None:
    """What ``owner`` holds (all of it, or one press) may be taken at once; without an owner, what anybody holds."""
    query = update(Inbox).where(Inbox.state == "taken").values(state="new", owner=None, lease_until=None)
    if owner is not None:
        query = query.where(Inbox.owner == owner)
    if press is not None:
        query = query.where(Inbox.id == press)
    session.execute(query)


def forget(session: Session, before: datetime) -> None:
    """Delete presses that were done before that machine instant; Slack does not deliver them again so late."""
    session.execute(delete(Inbox).where(Inbox.state == "done", Inbox.done_at < before))
