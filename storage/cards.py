"""The live messages of stages: which are out of date, and what was shown last."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.models import Card, Stage


def out_of_date(session: Session) -> list[tuple[Card, Stage]]:
    """Cards whose wanted state is newer than the shown one: final states first, then those shown longest ago."""
    rows = session.execute(
        select(Card, Stage)
        .join(Stage, Stage.id == Card.stage_id)
        .where(Card.wanted > Card.shown)
        .order_by(Card.final.desc(), Card.shown_at.asc().nulls_first(), Card.id)
    )
    return [(card, stage) for card, stage in rows]


def of_stage(session: Session, stage_id: int) -> Card | None:
    """The card of a stage, if it has one."""
    return session.execute(select(Card).where(Card.stage_id == stage_id)).scalar_one_or_none()


def shown(session: Session, card: Card, digest: str, now: datetime | None, ts: str | None = None) -> None:
    """What ``card`` wanted when it was read is shown. ``now`` (machine) is None when no call was needed."""
    values: dict[str, object] = {"shown": card.wanted, "shown_digest": digest}
    if now is not None:
        values["shown_at"] = now
    if ts is not None:
        values["ts"] = ts
    session.execute(update(Card).where(Card.id == card.id).values(**values))


def lost(session: Session, card: Card) -> None:
    """Its message is gone (deleted by a person): it will be posted anew."""
    session.execute(
        update(Card)
        .where(Card.id == card.id, Card.ts == card.ts)
        .values(ts=None, shown_digest=None, wanted=Card.wanted + 1)
    )


def shown_since(session: Session, since: datetime) -> int:
    """How many cards were edited since that machine instant, by any replica."""
    return len(list(session.scalars(select(Card.id).where(Card.shown_at > since))))
