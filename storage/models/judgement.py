"""Tables of what people and checks say: sign-offs, items, issues, evidence, overrides, and what wants an eye.

Instants are of the calendar (deadlines, events) or of the machine (leases, waits).
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from rollout.states import Decision, ItemState, Verdict
from storage.base import Base, Key, values


class SignOff(Base):
    """What one person said in one role of one stage and generation. Granted or revoked, never edited.

    The signature covers all of it (storage.signatures). One that is taken back is signed anew, as taken back: clearing
    ``revoked_at`` does not bring it to life again.
    """

    __tablename__ = "sign_off"
    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    generation: Mapped[int]
    role: Mapped[str] = mapped_column(Key)
    team_id: Mapped[str] = mapped_column(Key)
    user_id: Mapped[str] = mapped_column(Key)
    team: Mapped[str | None] = mapped_column(Key)  # the team of the plan that it is for; None: the stage
    decision: Mapped[Decision] = mapped_column(values(Decision))
    comment: Mapped[str] = mapped_column(Text, default="")
    evidence_digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None] = mapped_column(Key)
    plan_digest: Mapped[str | None] = mapped_column(String(64))  # the revision that ruled when it was given
    key_id: Mapped[str | None] = mapped_column(String(16))
    signature: Mapped[str | None] = mapped_column(String(64))  # None: given before sign-offs were signed
    __table_args__ = (
        Index(
            "uq_sign_off_one_standing",
            "stage_id",
            "generation",
            "user_id",
            unique=True,
            sqlite_where=text("revoked_at IS NULL AND team IS NULL"),
            postgresql_where=text("revoked_at IS NULL AND team IS NULL"),
        ),
        Index(
            "uq_sign_off_one_standing_per_team",
            "stage_id",
            "generation",
            "user_id",
            "team",
            unique=True,
            sqlite_where=text("revoked_at IS NULL AND team IS NOT NULL"),
            postgresql_where=text("revoked_at IS NULL AND team IS NOT NULL"),
        ),
    )


class Item(Base):
    """Where one checklist item of a rollout stands; no row means open."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    key: Mapped[str] = mapped_column(Key)
    state: Mapped[ItemState] = mapped_column(values(ItemState))
    by: Mapped[str] = mapped_column(Key)
    comment: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("rollout_id", "key"),)


class Assignment(Base):
    """Whose a checklist item is, and until which day it is due. No row: nobody's."""

    __tablename__ = "assignment"
    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    key: Mapped[str] = mapped_column(Key)
    owner: Mapped[str] = mapped_column(Key)
    due: Mapped[date | None]  # a day of the plan's zone
    by: Mapped[str] = mapped_column(Key)
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("rollout_id", "key"),)


class Issue(Base):
    """Something that was found on the way. ``number`` counts within the rollout.

    ``ever_critical`` stays, so that what people signed can be told from what was lowered since. ``message`` is the
    channel and ts of the message that it was made from: one message becomes one issue.
    """

    __tablename__ = "issue"
    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    number: Mapped[int]
    stage_key: Mapped[str | None] = mapped_column(Key)
    target_id: Mapped[int | None] = mapped_column(ForeignKey("target.id"))
    title: Mapped[str] = mapped_column(Text)
    about: Mapped[str] = mapped_column(String(20))
    critical: Mapped[bool]
    ever_critical: Mapped[bool]
    owner: Mapped[str] = mapped_column(Key)
    reporter: Mapped[str] = mapped_column(Key)
    comment: Mapped[str] = mapped_column(Text, default="")
    message: Mapped[str | None] = mapped_column(Key)
    permalink: Mapped[str | None] = mapped_column(Text)
    open: Mapped[bool] = mapped_column(default=True)
    cause: Mapped[str] = mapped_column(Text, default="")
    fix: Mapped[str] = mapped_column(Text, default="")
    resolved_by: Mapped[str | None] = mapped_column(Key)
    resolved_at: Mapped[datetime | None]
    reported_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)
    __table_args__ = (
        UniqueConstraint("rollout_id", "number"),
        UniqueConstraint("rollout_id", "message"),
        Index("ix_issue_rollout_id_open", "rollout_id", "open"),
    )


class Evidence(Base):
    """What a check found for a criterion in one generation. Never changed; the newest row counts."""

    __tablename__ = "evidence"
    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    generation: Mapped[int]
    criterion: Mapped[str] = mapped_column(Key)
    verdict: Mapped[Verdict] = mapped_column(values(Verdict))
    reason_code: Mapped[str] = mapped_column(Key, default="")
    sentence: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    at: Mapped[datetime]
    __table_args__ = (Index("ix_evidence_stage_id_generation_criterion", "stage_id", "generation", "criterion"),)


class Override(Base):
    """One unmet condition of a stage that a person asked to pass over, and that a second one confirmed.

    Signed once it is confirmed (storage.overriding): a row that was made or changed by hand opens no gate.
    """

    __tablename__ = "override"
    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    generation: Mapped[int]
    condition: Mapped[str] = mapped_column(Key)  # criterion:KEY, item:KEY
    title: Mapped[str] = mapped_column(Text)  # what it said when it was asked for
    reason: Mapped[str] = mapped_column(Text)
    evidence_digest: Mapped[str] = mapped_column(String(64))  # it covers this evidence only; empty: none was frozen yet
    state: Mapped[str] = mapped_column(String(10), default="asked")
    asked_by: Mapped[str] = mapped_column(Key)
    asked_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(Key)
    decided_at: Mapped[datetime | None]
    key_id: Mapped[str | None] = mapped_column(String(16))
    signature: Mapped[str | None] = mapped_column(String(64))
    __table_args__ = (
        CheckConstraint("state IN ('asked', 'confirmed', 'declined', 'replaced')", name="state"),
        Index(
            "uq_override_one_asked",
            "stage_id",
            "generation",
            "condition",
            unique=True,
            sqlite_where=text("state = 'asked'"),
            postgresql_where=text("state = 'asked'"),
        ),
    )


class Escalation(Base):
    """Something that wants a person's eye, until somebody says to look after it or it is over. Calendar instants."""

    __tablename__ = "escalation"
    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    generation: Mapped[int]
    cause: Mapped[str] = mapped_column(String(20))
    sentence: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    began_at: Mapped[datetime]
    named: Mapped[int] = mapped_column(default=0)  # how many of the plan's contacts have been named
    named_at: Mapped[datetime | None]  # the last of them
    acknowledged_by: Mapped[str | None] = mapped_column(Key)
    acknowledged_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]  # what it was about is over
    __table_args__ = (
        CheckConstraint("cause IN ('blocked', 'verdict', 'rollback')", name="cause"),
        Index(
            "ix_escalation_open",
            "stage_id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )
