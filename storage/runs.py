"""Runs of jobs as seen through the API, each once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from storage.base import insert
from storage.database import Database
from storage.models import Run

CHUNK = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """One finished run; ``duration`` in seconds of execution."""

    job_id: str
    run_id: str
    release: str | None
    result: str
    started_at: datetime
    ended_at: datetime
    duration: float
    cluster_ids: tuple[str, ...] = ()  # shared clusters that it ran on


def store(database: Database, workspace: str, seen: Sequence[Seen]) -> None:
    """Insert the runs that are not there yet, in short transactions."""
    for start in range(0, len(seen), CHUNK):
        with database.write() as session:
            rows = [
                {
                    "workspace": workspace,
                    "job_id": s.job_id,
                    "run_id": s.run_id,
                    "release": s.release,
                    "result": s.result,
                    "started_at": s.started_at,
                    "ended_at": s.ended_at,
                    "duration": s.duration,
                    "cluster_ids": list(s.cluster_ids),
                }
                for s in seen[start : start + CHUNK]
            ]
            once = insert(session, Run).on_conflict_do_nothing(index_elements=["workspace", "run_id"])
            session.execute(once, rows)  # one statement for all rows: values() would be built anew for each number


def newest_end(session: Session, workspace: str, jobs: Collection[str]) -> datetime | None:
    """When the newest known run of these jobs ended; None unless every one of them is known."""
    known = session.execute(
        select(func.count(func.distinct(Run.job_id)), func.max(Run.ended_at)).where(
            Run.workspace == workspace, Run.job_id.in_(jobs)
        )
    ).one()
    return known[1] if known[0] == len(jobs) else None


def between(session: Session, jobs: Collection[tuple[str, str]], since: datetime, until: datetime) -> list[Run]:
    """The runs of (workspace, job id) pairs that ended between two calendar instants."""
    if not jobs:
        return []
    return list(
        session.execute(
            select(Run)
            .where(tuple_(Run.workspace, Run.job_id).in_(list(jobs)), Run.ended_at >= since, Run.ended_at <= until)
            .order_by(Run.ended_at)
        ).scalars()
    )
