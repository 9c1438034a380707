"""What a transition leaves behind, in its own transaction: an event, a message to post, a card to edit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rollout.reasons import CODES
from storage.base import insert
from storage.models import Card, Event, Outbox, Rollout, Stage


@dataclass(frozen=True, slots=True)
class By:
    """Who makes a transition, and from where. The bot itself has no actor."""

    actor: str | None = None
    team_id: str | None = None
    surface: str = "engine"


ENGINE = By()


def event(
    session: Session,
    at: datetime,
    by: By,
    kind: str,
    sentence: str,
    *,
    rollout_id: int | None = None,
    stage: Stage | None = None,
    outcome: str = "done",
    reason_code: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Insert one event; ``at`` is a calendar instant. Raises ValueError for a reason code that is not listed."""
    if reason_code is not None and reason_code not in CODES:
        raise ValueError(f"reason code {reason_code!r} is not in the list")
    row = Event(
        rollout_id=stage.rollout_id if stage is not None else rollout_id,
        stage_key=stage.key if stage is not None else None,
        generation=stage.generation if stage is not None else None,
        at=at,
        actor=by.actor,
        team_id=by.team_id,
        surface=by.surface,
        kind=kind,
        outcome=outcome,
        reason_code=reason_code,
        sentence=sentence,
        data=dict(data or {}),
    )
    session.add(row)
    return row


def post(
    session: Session,
    at: datetime,
    key: str,
    kind: str,
    *,
    rollout_id: int | None,
    stage_id: int | None = None,
    ids: Mapping[str, Any] | None = None,
    repeat: bool = False,
) -> bool:
    """Queue a message to post, once per ``key``; False when it was queued before. One to a person has no rollout.

    ``repeat`` says what happens when a crash leaves its sending unknown: True (decisions, failures) sends it again,
    marked as a repetition; False (summaries) leaves it to the next due time.
    """
    result = session.execute(
        insert(session, Outbox)
        .values(
            key=key,
            kind=kind,
            rollout_id=rollout_id,
            stage_id=stage_id,
            ids=dict(ids or {}),
            repeat=repeat,
            state="pending",
            epoch=0,
            attempts=0,
            created_at=at,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(Outbox.id)
    )
    return result.scalar_one_or_none() is not None


def touch_card(session: Session, stage: Stage, final: bool = False, make: bool = True) -> None:
    """Ask for the stage's live message to be edited. Its first touch makes it, unless ``make`` is False.

    ``final``: a person must see it soon.
    """
    touched = session.execute(
        update(Card).where(Card.stage_id == stage.id).values(wanted=Card.wanted + 1, final=final).returning(Card.id)
    ).scalar_one_or_none()
    if touched is None and make:
        channel = session.execute(select(Rollout.channel).where(Rollout.id == stage.rollout_id)).scalar_one()
        session.add(Card(stage_id=stage.id, channel=channel, wanted=1, shown=0, final=final))
        session.flush()
