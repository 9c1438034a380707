"""Due times that were taken: each (job, rollout, period) once, committed with what it causes."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.base import insert
from storage.models import Fence


def take(session: Session, job: str, rollout_id: int, period: str, due: datetime) -> bool:
    """Take the period; False when somebody did before."""
    taken = session.execute(
        insert(session, Fence)
        .values(job=job, rollout_id=rollout_id, period=period, at=due)
        .on_conflict_do_nothing(index_elements=["job", "rollout_id", "period"])
        .returning(Fence.id)
    )
    return taken.scalar_one_or_none() is not None


def taken(session: Session, job: str, rollout_id: int, period: str) -> bool:
    """Whether somebody took the period: a cheap look before a write."""
    found = session.execute(
        select(Fence.id).where(Fence.job == job, Fence.rollout_id == rollout_id, Fence.period == period)
    )
    return found.scalar_one_or_none() is not None
