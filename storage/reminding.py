"""Reminders: at most one direct message per person and day, taken once by any number of replicas.

The fence of the rollout's day, the rows of its people and the messages to send are one transaction: a crash leaves all
of them or none. A message whose sending is unknown is not repeated: the next day says it again.
"""

from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rollout import awaited
from rollout.people import roles_of
from rollout.standing import Standing
from storage import direct, facts, fences
from storage.acting import Who
from storage.base import insert
from storage.database import Database
from storage.models import Reminder, Rollout, Unreminded
from storage.plans import plan_of
from storage.record import event

KIND: Final = "reminder"
_JOB: Final = "reminders"
#: Plans in zones far apart begin their days at different times; nobody is reminded twice within this.
_APART: Final = timedelta(hours=12)


def remind(database: Database, rollout: Rollout, now: datetime) -> int:
    """Queue what is due for the people of a rollout, once a day; returns for how many. ``now``: calendar."""
    day = awaited.day(plan_of(rollout).reminders, now)
    if day is None:
        return 0
    with database.read() as session:
        if fences.taken(session, _JOB, rollout.id, day.isoformat()):
            return 0
    with database.write() as session:
        if not fences.take(session, _JOB, rollout.id, day.isoformat(), now):
            return 0
        standing = facts.standing(session, session.get_one(Rollout, rollout.id))
        zone = standing.plan.reminders.zone
        return sum(_queue(session, user, day, now, zone) for user in sorted(_waited_for(standing, now)))


def _waited_for(standing: Standing, now: datetime) -> set[str]:
    before = now - awaited.ASKED_LATELY
    return {
        user
        for user in awaited.people(standing, before)
        if awaited.of(standing, user, roles_of(standing.plan, user, groups_of(standing, user)), before)
    }


def groups_of(standing: Standing, user: str) -> frozenset[str]:
    """The Slack groups that a person is in, as last seen."""
    return frozenset(group for group, users in standing.groups.items() if user in users)


def _queue(session: Session, user: str, day: date, now: datetime, zone: str) -> bool:
    """One person's message of the day; False when they had one, of whatever kind, or do not want any."""
    if session.get(Unreminded, user) is not None or direct.had_one(session, now, zone, user):
        return False
    newest = select(Reminder.at).where(Reminder.user_id == user).order_by(Reminder.at.desc()).limit(1)
    at = session.execute(newest).scalar_one_or_none()
    if at is not None and now - at < _APART:
        return False
    made = session.execute(
        insert(session, Reminder)
        .values(user_id=user, day=day, at=now)
        .on_conflict_do_nothing(index_elements=["user_id", "day"])
        .returning(Reminder.id)
    )
    if made.scalar_one_or_none() is None:
        return False
    ids = {"user": user, "day": day.isoformat()}
    return direct.message(session, now, zone, user, KIND, rollout_id=None, ids=ids)


def is_wanted(session: Session, user: str) -> bool:
    """Whether a person wants to be reminded."""
    return session.get(Unreminded, user) is None


def want(database: Database, who: Who, now: datetime, rollout_id: int, wanted: bool) -> bool:
    """Switch the reminders of a person, in all rollouts; False when nothing changed."""
    with database.write() as session:
        if is_wanted(session, who.user_id) is wanted:
            return False
        if wanted:
            session.execute(delete(Unreminded).where(Unreminded.user_id == who.user_id))
        else:
            session.execute(insert(session, Unreminded).values(user_id=who.user_id, since=now).on_conflict_do_nothing())
        said = f"wants {'reminders again' if wanted else 'no more reminders'}"
        event(session, now, who.by, "reminders", said, rollout_id=rollout_id)
        return True
