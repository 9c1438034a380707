"""What wants a person's eye now, as people read it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Escalation, Stage


@dataclass(frozen=True, slots=True)
class Shown:
    """An escalation as people read it. ``over``: nobody has to look after it any more."""

    id: int
    stage_id: int
    cause: str
    sentence: str
    began_at: datetime
    named: int
    acknowledged_by: str | None
    over: bool


def shown(session: Session, escalation: int) -> Shown | None:
    """One escalation; None when there is none of that id."""
    row = session.get(Escalation, escalation)
    return _shown(row) if row is not None else None


def newest(session: Session, rollout_id: int) -> dict[int, Shown]:
    """Stage id -> its newest escalation of the present generation that is not over."""
    rows = session.execute(
        select(Escalation)
        .join(Stage, (Stage.id == Escalation.stage_id) & (Stage.generation == Escalation.generation))
        .where(Stage.rollout_id == rollout_id, Escalation.ended_at.is_(None))
        .order_by(Escalation.id)
        .execution_options(populate_existing=True)
    ).scalars()
    return {row.stage_id: _shown(row) for row in rows}


def _shown(row: Escalation) -> Shown:
    return Shown(
        row.id,
        row.stage_id,
        row.cause,
        row.sentence,
        row.began_at,
        row.named,
        row.acknowledged_by,
        row.ended_at is not None,
    )
