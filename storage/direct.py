"""What one person is told privately: at most one message per person and day, whatever it is about."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Outbox
from storage.record import post


def had_one(session: Session, now: datetime, zone: str, user_id: str) -> bool:
    """Whether the person has had the message of that day."""
    return session.execute(select(Outbox.id).where(Outbox.key == _key(now, zone, user_id))).first() is not None


def message(
    session: Session,
    now: datetime,
    zone: str,
    user_id: str,
    kind: str,
    *,
    rollout_id: int | None,
    stage_id: int | None = None,
    ids: Mapping[str, Any] | None = None,
) -> bool:
    """Queue the direct message of that day to a person; False when they have had one: try again on another day.

    ``now`` is a calendar instant; the day is that of ``zone``.
    """
    told = {**(ids or {}), "to": user_id}
    return post(session, now, _key(now, zone, user_id), kind, rollout_id=rollout_id, stage_id=stage_id, ids=told)


def _key(now: datetime, zone: str, user_id: str) -> str:
    return f"dm:{user_id}:{now.astimezone(ZoneInfo(zone)):%Y-%m-%d}"
