"""Tables of who knows and who may: due times and pieces of work that one replica takes, people and groups.

Instants are of the calendar (deadlines, events) or of the machine (leases, waits).
"""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import Base, Key


class Fence(Base):
    """A due time that was taken: (job, rollout, local period), committed with its outbox row."""

    __tablename__ = "fence"
    id: Mapped[int] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(Key)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    period: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("job", "rollout_id", "period"),)


class Lease(Base):
    """Who holds a piece of work that only one replica may do; machine time."""

    __tablename__ = "lease"
    name: Mapped[str] = mapped_column(Key, primary_key=True)
    owner: Mapped[str] = mapped_column(Key)
    epoch: Mapped[int] = mapped_column(default=1)
    until: Mapped[datetime]


class KnownPerson(Base):
    """What Slack said of a person who is named by a plan; refreshed by the bot."""

    __tablename__ = "known_person"
    user_id: Mapped[str] = mapped_column(Key, primary_key=True)
    team_id: Mapped[str] = mapped_column(Key)
    available: Mapped[bool]
    problem: Mapped[str | None] = mapped_column(Key)
    checked_at: Mapped[datetime]


class GroupMember(Base):
    """Members of a Slack user group that a plan names; refreshed by the bot."""

    __tablename__ = "group_member"
    group_id: Mapped[str] = mapped_column(Key, primary_key=True)
    user_id: Mapped[str] = mapped_column(Key, primary_key=True)
