"""Tables of what comes in and goes out: presses, messages, cards, Home tabs, reminders, web hooks.

Instants are of the calendar (deadlines, events) or of the machine (leases, waits).
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import Base, Key


class Inbox(Base):
    """A press of a person, stored before it is acknowledged; unique by trigger or envelope id."""

    __tablename__ = "inbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    payload: Mapped[dict[str, Any] | None]  # dropped once done: it holds bearer handles
    state: Mapped[str] = mapped_column(String(10), default="new")
    owner: Mapped[str | None] = mapped_column(Key)
    lease_until: Mapped[datetime | None]
    received_at: Mapped[datetime]  # machine
    done_at: Mapped[datetime | None]  # machine
    outcome: Mapped[dict[str, Any] | None]
    __table_args__ = (
        CheckConstraint("state IN ('new', 'taken', 'done')", name="state"),
        Index("ix_inbox_state_received_at", "state", "received_at"),
    )


class Outbox(Base):
    """A message to post: a kind and ids, rendered when it is sent. ``key`` makes it once only."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    rollout_id: Mapped[int | None] = mapped_column(ForeignKey("rollout.id"))
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("stage.id"))
    ids: Mapped[dict[str, Any]] = mapped_column(default=dict)
    repeat: Mapped[bool] = mapped_column(default=False)  # when a sending is unknown: send again, marked
    state: Mapped[str] = mapped_column(String(10), default="pending")
    owner: Mapped[str | None] = mapped_column(Key)
    epoch: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]  # machine
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]  # calendar
    message_ts: Mapped[str | None] = mapped_column(String(40))
    error: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'sending', 'sent', 'unknown', 'dropped', 'closed')", name="state"),
        Index("ix_outbox_state_id", "state", "id"),
    )


class Card(Base):
    """The live message of a stage. It is edited while ``wanted`` is newer than ``shown``."""

    __tablename__ = "card"
    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"), unique=True)
    channel: Mapped[str] = mapped_column(Key)
    ts: Mapped[str | None] = mapped_column(String(40))
    wanted: Mapped[int] = mapped_column(default=1)
    shown: Mapped[int] = mapped_column(default=0)
    shown_digest: Mapped[str | None] = mapped_column(String(64))
    shown_at: Mapped[datetime | None]  # machine
    final: Mapped[bool] = mapped_column(default=False)  # its state needs a person or has ended: edited first


class HomeTab(Base):
    """A Home tab that its person opened. It is published again when what it would show differs from the digest."""

    __tablename__ = "home_tab"
    user_id: Mapped[str] = mapped_column(Key, primary_key=True)
    team_id: Mapped[str] = mapped_column(Key)
    opened_at: Mapped[datetime]  # machine
    shown_digest: Mapped[str | None] = mapped_column(String(64))


class Reminder(Base):
    """That a person was reminded on that day: at most one row a day, committed with its outbox row."""

    __tablename__ = "reminder"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Key)
    day: Mapped[date]
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("user_id", "day"),)


class Unreminded(Base):
    """A person who does not want to be reminded."""

    __tablename__ = "unreminded"
    user_id: Mapped[str] = mapped_column(Key, primary_key=True)
    since: Mapped[datetime]


class OwnerNotice(Base):
    """The owner of jobs that a stage changes, who is told of it once. ``user_id`` is looked up by the bot."""

    __tablename__ = "owner_notice"
    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    generation: Mapped[int]
    owner: Mapped[str] = mapped_column(String(255))  # as Databricks names it
    user_id: Mapped[str | None] = mapped_column(Key)
    state: Mapped[str] = mapped_column(String(10), default="wanted")
    created_at: Mapped[datetime]  # calendar
    __table_args__ = (
        CheckConstraint("state IN ('wanted', 'known', 'unknown', 'told')", name="state"),
        UniqueConstraint("stage_id", "generation", "owner"),
        Index("ix_owner_notice_state", "state"),
    )


class Hook(Base):
    """A call of a web hook that is due; its address is in an environment variable, never here. Machine instants."""

    __tablename__ = "hook"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    variable: Mapped[str] = mapped_column(Key)
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(10), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'sent', 'dropped')", name="state"),
        Index("ix_hook_state_id", "state", "id"),
    )
