"""Tables of the record: events and where their chains end.

Instants are of the calendar (deadlines, events) or of the machine (leases, waits).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import Base, Key


class Event(Base):
    """Who did what: commands, refusals, sign-offs, stage transitions. Inserted, then sealed once, and never changed.

    The last four columns are the sealer's (storage.sealing): the event's number in the chain of its rollout, the text
    that was sealed, and its HMAC over the one before. Events outside any rollout have a chain of their own.
    """

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int | None] = mapped_column(ForeignKey("rollout.id"))
    stage_key: Mapped[str | None] = mapped_column(Key)
    generation: Mapped[int | None]
    at: Mapped[datetime]
    actor: Mapped[str | None] = mapped_column(Key)  # Slack user id; None: the bot itself
    team_id: Mapped[str | None] = mapped_column(Key)
    surface: Mapped[str] = mapped_column(String(20), default="engine")
    kind: Mapped[str] = mapped_column(String(40))  # the verb, or the transition
    outcome: Mapped[str] = mapped_column(String(20))  # done, refused, failed
    reason_code: Mapped[str | None] = mapped_column(Key)
    sentence: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    number: Mapped[int | None]  # None: not sealed yet
    sealed_text: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str | None] = mapped_column(String(16))
    digest: Mapped[str | None] = mapped_column(String(64))
    __table_args__ = (
        Index("ix_event_rollout_id_stage_key_id", "rollout_id", "stage_key", "id"),
        Index("uq_event_rollout_id_number", "rollout_id", "number", unique=True),
        Index(
            "uq_event_number_outside",
            "number",
            unique=True,
            sqlite_where=text("rollout_id IS NULL"),
            postgresql_where=text("rollout_id IS NULL"),
        ),
        Index(
            "ix_event_not_sealed",
            "rollout_id",
            "id",
            sqlite_where=text("number IS NULL"),
            postgresql_where=text("number IS NULL"),
        ),
    )


class ChainHead(Base):
    """Where the chain of a rollout (0: of the events outside any) ends: how many are sealed, and the last digest.

    ``seal`` is an HMAC over the row: one who takes away the newest events cannot make a head that fits.
    """

    __tablename__ = "chain_head"
    chain: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(16))
    seal: Mapped[str] = mapped_column(String(64))
