"""Issues as they are stored: the open ones, a page of all, one of them, and what evidence says of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from rollout import issues as domain
from storage.models import Issue, Stage, Target

#: More open ones than this are not loaded with the standing of a rollout. Critical ones come first.
MOST_OPEN = 1000


def shown(row: Issue, target: str = "") -> domain.Issue:
    """A row as the domain knows it."""
    return domain.Issue(
        number=row.number,
        title=row.title,
        critical=row.critical,
        about=row.about,
        stage=row.stage_key,
        owner=row.owner,
        reporter=row.reporter,
        reported_at=row.reported_at,
        target_id=row.target_id,
        target=target,
        comment=row.comment,
        permalink=row.permalink or "",
        open=row.open,
        cause=row.cause,
        fix=row.fix,
        resolved_by=row.resolved_by,
        resolved_at=row.resolved_at,
        version=row.version,
    )


def still_open(session: Session, rollout_id: int) -> tuple[domain.Issue, ...]:
    """The open issues of a rollout: critical ones first, then the oldest."""
    rows = session.execute(
        select(Issue, Target.name)
        .outerjoin(Target, Target.id == Issue.target_id)
        .where(Issue.rollout_id == rollout_id, Issue.open)
        .order_by(Issue.critical.desc(), Issue.number)
        .limit(MOST_OPEN)
        .execution_options(populate_existing=True)
    )
    return tuple(shown(row, name or "") for row, name in rows)


def resolved(session: Session, rollout_id: int) -> int:
    """How many are resolved."""
    return session.execute(
        select(func.count()).select_from(Issue).where(Issue.rollout_id == rollout_id, Issue.open.is_(False))
    ).scalar_one()


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the issues, and how many there are in all."""

    issues: tuple[domain.Issue, ...]
    total: int


def page(session: Session, rollout_id: int, first: int, size: int, stages: Sequence[str] | None = None) -> Page:
    """A page of all issues: open ones first, critical ones before others, the newest first.

    ``stages``: only those of these stages, and those of the whole rollout.
    """
    where = [Issue.rollout_id == rollout_id]
    if stages is not None:
        where.append(or_(Issue.stage_key.in_(stages), Issue.stage_key.is_(None)))
    total = session.execute(select(func.count()).select_from(Issue).where(*where)).scalar_one()
    rows = session.execute(
        select(Issue, Target.name)
        .outerjoin(Target, Target.id == Issue.target_id)
        .where(*where)
        .order_by(Issue.open.desc(), Issue.critical.desc(), Issue.number.desc())
        .offset(first)
        .limit(size)
    )
    return Page(tuple(shown(row, name or "") for row, name in rows), total)


def one(session: Session, rollout_id: int, number: int) -> domain.Issue | None:
    """The issue of that number."""
    found = session.execute(
        select(Issue, Target.name)
        .outerjoin(Target, Target.id == Issue.target_id)
        .where(Issue.rollout_id == rollout_id, Issue.number == number)
    ).one_or_none()
    return shown(found[0], found[1] or "") if found is not None else None


def of_message(session: Session, rollout_id: int, message: str) -> int | None:
    """The number of the issue that was made from that message (channel and ts), if one was."""
    return session.execute(
        select(Issue.number).where(Issue.rollout_id == rollout_id, Issue.message == message)
    ).scalar_one_or_none()


def critical_until(session: Session, stage: Stage) -> list[list[object]]:
    """``[number, open | resolved | lowered]`` of each issue that is or was critical, until that stage."""
    session.flush()
    later = select(Stage.key).where(Stage.rollout_id == stage.rollout_id, Stage.position > stage.position)
    rows = session.execute(
        select(Issue.number, Issue.open, Issue.critical)
        .where(
            Issue.rollout_id == stage.rollout_id,
            Issue.ever_critical,
            or_(Issue.stage_key.is_(None), Issue.stage_key.not_in(later)),
        )
        .order_by(Issue.number)
    )
    return [[n, "resolved" if not is_open else "open" if critical else "lowered"] for n, is_open, critical in rows]
