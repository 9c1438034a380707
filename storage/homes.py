"""Home tabs: who opened one, what it shows, and whether anything happened that it may have to show."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from storage.base import insert
from storage.models import Card, Event, GroupMember, HomeTab, KnownPerson


@dataclass(frozen=True, slots=True)
class Watched:
    """A Home tab to keep as things are. ``groups``: the Slack user groups of its person, as last seen."""

    user_id: str
    team_id: str
    opened_at: datetime
    shown_digest: str | None
    groups: frozenset[str]


def opened(session: Session, user_id: str, team_id: str, digest: str, now: datetime) -> None:
    """A person opened it (machine instant ``now``) and was shown what has this digest."""
    values = {"team_id": team_id, "opened_at": now, "shown_digest": digest}
    made = insert(session, HomeTab).values(user_id=user_id, **values)
    session.execute(made.on_conflict_do_update(index_elements=["user_id"], set_=values))


def watched(session: Session, since: datetime) -> list[Watched]:
    """Those opened since that machine instant, but of nobody whom Slack by now says may not enter."""
    rows = session.scalars(
        select(HomeTab)
        .outerjoin(KnownPerson, KnownPerson.user_id == HomeTab.user_id)
        .where(HomeTab.opened_at >= since, func.coalesce(KnownPerson.available, True))
        .order_by(HomeTab.user_id)
    ).all()
    groups: dict[str, set[str]] = {}
    held = select(GroupMember.user_id, GroupMember.group_id).where(GroupMember.user_id.in_([r.user_id for r in rows]))
    for user, group in session.execute(held):
        groups.setdefault(user, set()).add(group)
    return [
        Watched(r.user_id, r.team_id, r.opened_at, r.shown_digest, frozenset(groups.get(r.user_id, ()))) for r in rows
    ]


def begun(session: Session, user_id: str, mark: str) -> None:
    """Something is on its way to Slack; until that is settled the mark stands where the digest would."""
    session.execute(update(HomeTab).where(HomeTab.user_id == user_id).values(shown_digest=mark))


def settled(session: Session, user_id: str, mark: str, digest: str) -> None:
    """What was begun with that mark is shown now; not known, when something else was begun in between."""
    known = case((HomeTab.shown_digest == mark, digest), else_=None)
    session.execute(update(HomeTab).where(HomeTab.user_id == user_id).values(shown_digest=known))


def moment(session: Session) -> tuple[int, int]:
    """A pair that differs as soon as anything happened that people are shown: events, and what cards want to say."""
    newest = session.execute(select(func.max(Event.id))).scalar_one()
    wanted = session.execute(select(func.sum(Card.wanted))).scalar_one()
    return int(newest or 0), int(wanted or 0)
