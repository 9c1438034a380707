"""Messages to post: claimed, marked as being sent before the call and as sent after it, in the order of each rollout.

A row found ``sending`` after its lease ended is *unknown*: a decision or a failure is sent again, marked as repeated; a
summary is dropped, because its next due time comes (DESIGN 5, posting).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from storage.models import Outbox

_CLAIMABLE = ("pending", "unknown")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to post. ``repeated``: an earlier sending may have arrived."""

    id: int
    kind: str
    rollout_id: int | None
    stage_id: int | None
    ids: Mapping[str, Any]
    repeat: bool
    repeated: bool
    attempts: int
    epoch: int


def _letter(row: Outbox) -> Letter:
    return Letter(
        row.id,
        row.kind,
        row.rollout_id,
        row.stage_id,
        row.ids,
        row.repeat,
        row.state == "unknown",
        row.attempts,
        row.epoch,
    )


def next_letters(session: Session, now: datetime) -> list[Letter]:
    """The next message of every rollout that may be sent now; what waits holds back what comes after it."""
    first = (
        select(func.min(Outbox.id))
        .where(Outbox.state.in_(("pending", "sending", "unknown")))
        .group_by(Outbox.rollout_id)
        .scalar_subquery()
    )
    rows = session.scalars(select(Outbox).where(Outbox.id.in_(first)).order_by(Outbox.id))
    return [
        _letter(row) for row in rows if row.state in _CLAIMABLE and (row.not_before is None or row.not_before <= now)
    ]


def claim(
    session: Session, letter: Letter, owner: str, now: datetime, seconds: float, once_more: bool = False
) -> Letter | None:
    """Mark the message as being sent; None when somebody was quicker. Commit before the call.

    ``once_more``: a message that is being repeated is not repeated a second time, also after a crash.
    """
    state = "unknown" if letter.repeated else "pending"
    repeat = letter.repeat and not (once_more and letter.repeated)
    epoch = session.execute(
        update(Outbox)
        .where(Outbox.id == letter.id, Outbox.state == state, Outbox.epoch == letter.epoch)
        .values(
            state="sending",
            owner=owner,
            epoch=Outbox.epoch + 1,
            attempts=Outbox.attempts + 1,
            repeat=repeat,
            lease_until=now + timedelta(seconds=seconds),
        )
        .returning(Outbox.epoch)
    ).scalar_one_or_none()
    if epoch is None:
        return None
    return Letter(
        letter.id,
        letter.kind,
        letter.rollout_id,
        letter.stage_id,
        letter.ids,
        repeat,
        letter.repeated,
        letter.attempts + 1,
        epoch,
    )


def _leave(session: Session, letter: Letter, **columns: Any) -> bool:
    left = session.execute(
        update(Outbox)
        .where(Outbox.id == letter.id, Outbox.state == "sending", Outbox.epoch == letter.epoch)
        .values(lease_until=None, **columns)
        .returning(Outbox.id)
    ).scalar_one_or_none()
    return left is not None


def sent(session: Session, letter: Letter, message_ts: str | None) -> bool:
    """It was posted. False when the row is no longer ours."""
    return _leave(session, letter, state="sent", message_ts=message_ts, error=None)


def later(session: Session, letter: Letter, not_before: datetime, error: str) -> bool:
    """It was surely not posted: try again at that machine instant."""
    state = "unknown" if letter.repeated else "pending"
    return _leave(session, letter, state=state, not_before=not_before, error=error)


def elsewhere(session: Session, letter: Letter, not_before: datetime, error: str) -> bool:
    """It cannot be posted where it was to go: the next try goes where messages of its stage go."""
    ids = {name: value for name, value in letter.ids.items() if name != "to"}
    return _leave(session, letter, state="pending", not_before=not_before, error=error, ids=ids)


def unknown(session: Session, letter: Letter, not_before: datetime, error: str) -> bool:
    """It may have been posted: repeat it, marked, if it is of that kind; else drop it."""
    state = "unknown" if letter.repeat else "dropped"
    return _leave(session, letter, state=state, not_before=not_before, error=error)


def drop(session: Session, letter: Letter, error: str) -> bool:
    """It is not going to be posted."""
    return _leave(session, letter, state="dropped", error=error)


def has_newer(session: Session, letter: Letter) -> bool:
    """Whether a message of that kind that was queued at least an hour later (calendar) waits in the same rollout."""
    created = session.execute(select(Outbox.created_at).where(Outbox.id == letter.id)).scalar_one()
    newer = select(Outbox.id).where(
        Outbox.rollout_id == letter.rollout_id,
        Outbox.kind == letter.kind,
        Outbox.state.in_(_CLAIMABLE),
        Outbox.created_at >= created + timedelta(hours=1),
    )
    return session.execute(newer.limit(1)).scalar_one_or_none() is not None


def abandoned(session: Session, now: datetime) -> list[int]:
    """Messages whose sender died: their lease ended while they were being sent."""
    return list(session.scalars(select(Outbox.id).where(Outbox.state == "sending", Outbox.lease_until < now)))


def resolve_abandoned(session: Session, now: datetime) -> None:
    """What happened to them is unknown: repeat or drop."""
    error = "the sender ended while this was being sent"
    for repeat, state in ((True, "unknown"), (False, "dropped")):
        session.execute(
            update(Outbox)
            .where(Outbox.state == "sending", Outbox.lease_until < now, Outbox.repeat.is_(repeat))
            .values(state=state, epoch=Outbox.epoch + 1, lease_until=None, error=error)
        )
