"""Reads the record: pages of it for people, and all of it for a file."""

from collections.abc import Collection, Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import Event, Rollout

_PAGE = 500


def newest(
    session: Session, rollout_id: int, stage: str | None, without: Collection[str], page: int, size: int
) -> tuple[int, list[Event]]:
    """How many events a rollout (or one stage of it) has, and one page of them, newest first.

    Events of the kinds ``without`` are left out. A page past the end is the last one.
    """
    where = [Event.rollout_id == rollout_id, Event.kind.not_in(without)]
    if stage is not None:
        where.append(Event.stage_key == stage)
    total = session.execute(select(func.count()).select_from(Event).where(*where)).scalar_one()
    page = min(page, max((total - 1) // size, 0))
    found = session.execute(select(Event).where(*where).order_by(Event.id.desc()).limit(size).offset(page * size))
    return total, list(found.scalars())


def newest_id(session: Session, rollout_id: int) -> int:
    """The newest event of a rollout; 0 where it has none."""
    query = select(Event.id).where(Event.rollout_id == rollout_id).order_by(Event.id.desc()).limit(1)
    return session.execute(query).scalar() or 0


def everything(session: Session, stage: str | None = None) -> Iterator[tuple[str, Event]]:
    """Every event of the database, oldest first, with the plan key of its rollout; of one stage where it is named."""
    after = 0
    while True:
        query = select(Rollout.plan_key, Event).outerjoin(Rollout, Rollout.id == Event.rollout_id)
        if stage is not None:
            query = query.where(Event.stage_key == stage)
        rows = session.execute(query.where(Event.id > after).order_by(Event.id).limit(_PAGE)).all()
        for plan_key, event in rows:
            yield plan_key or "", event
        if len(rows) < _PAGE:
            return
        after = rows[-1][1].id
        session.expunge_all()
