"""Tables of a rollout: its plan and the changes of it, its stages, and starts that wait for their time.

Instants are of the calendar (deadlines, events) or of the machine (leases, waits).
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from rollout.states import StageState
from storage.base import Base, Key, values


class PlanRevision(Base):
    """One revision of a plan, as canonical text with its digest. Never changed."""

    __tablename__ = "plan_revision"
    id: Mapped[int] = mapped_column(primary_key=True)
    plan_key: Mapped[str] = mapped_column(Key)
    revision: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("plan_key", "revision"),)


class Amendment(Base):
    """A change of the plan that somebody proposed. Its text becomes a revision once a second person accepted it.

    At most one waits per rollout: a newer one takes the place of the older.
    """

    __tablename__ = "amendment"
    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    base_id: Mapped[int] = mapped_column(ForeignKey("plan_revision.id"))  # the revision that it was compared with
    digest: Mapped[str] = mapped_column(String(64))
    plan_text: Mapped[str] = mapped_column(Text)  # the canonical text of the plan that it would put in force
    state: Mapped[str] = mapped_column(String(10), default="proposed")
    proposed_by: Mapped[str] = mapped_column(Key)
    team_id: Mapped[str] = mapped_column(Key)
    proposed_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(Key)
    decided_at: Mapped[datetime | None]
    revision_id: Mapped[int | None] = mapped_column(ForeignKey("plan_revision.id"))  # what it became
    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'accepted', 'declined', 'replaced')", name="state"),
        Index(
            "uq_amendment_one_proposed",
            "rollout_id",
            unique=True,
            sqlite_where=text("state = 'proposed'"),
            postgresql_where=text("state = 'proposed'"),
        ),
    )


class Rollout(Base):
    """One execution of a plan. At most one open rollout per plan key."""

    __tablename__ = "rollout"
    id: Mapped[int] = mapped_column(primary_key=True)
    plan_key: Mapped[str] = mapped_column(Key)
    revision_id: Mapped[int] = mapped_column(ForeignKey("plan_revision.id"))
    open: Mapped[bool] = mapped_column(default=True)
    channel: Mapped[str] = mapped_column(Key)
    paused: Mapped[bool] = mapped_column(default=False)
    paused_reason: Mapped[str | None] = mapped_column(Text)
    paused_by: Mapped[str | None] = mapped_column(Key)
    paused_at: Mapped[datetime | None]
    opened_at: Mapped[datetime]
    file_digest: Mapped[str | None] = mapped_column(String(64))  # set while the file differs from the revision
    version: Mapped[int] = mapped_column(default=1)
    revision: Mapped[PlanRevision] = relationship(lazy="joined")
    __table_args__ = (
        Index(
            "uq_rollout_one_open",
            "plan_key",
            unique=True,
            sqlite_where=text("open = 1"),
            postgresql_where=text("open"),
        ),
    )


class Stage(Base):
    """One stage of a rollout in its present generation. ``version`` grows with every transition."""

    __tablename__ = "stage"
    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    key: Mapped[str] = mapped_column(Key)
    position: Mapped[int]
    state: Mapped[StageState] = mapped_column(values(StageState), default=StageState.WAITING)
    left_state: Mapped[StageState | None] = mapped_column(
        values(StageState, "left_state")
    )  # where a blocked stage goes back to
    generation: Mapped[int] = mapped_column(default=1)
    version: Mapped[int] = mapped_column(default=1)
    started_by: Mapped[str | None] = mapped_column(Key)  # Slack user id
    started_at: Mapped[datetime | None]
    change_set_digest: Mapped[str | None] = mapped_column(String(64))
    bake_until: Mapped[datetime | None]
    reviewed_at: Mapped[datetime | None]  # when the present review began
    passed_at: Mapped[datetime | None]
    rolled_back_at: Mapped[datetime | None]
    evidence_digest: Mapped[str | None] = mapped_column(String(64))
    evidence_text: Mapped[str | None] = mapped_column(Text)  # what that digest covers, as canonical text
    locked: Mapped[bool] = mapped_column(default=False)
    locked_reason: Mapped[str | None] = mapped_column(Text)
    locked_by: Mapped[str | None] = mapped_column(Key)
    block_code: Mapped[str | None] = mapped_column(Key)
    block_sentence: Mapped[str | None] = mapped_column(Text)
    back_since: Mapped[int | None]  # actions with a greater id belong to the newest rollback of this generation
    runs_from: Mapped[datetime | None]  # failed runs that ended before this were looked at by a person
    rollout: Mapped[Rollout] = relationship()
    __table_args__ = (UniqueConstraint("rollout_id", "key"), UniqueConstraint("rollout_id", "position"))


class ScheduledStart(Base):
    """A start that waits for its time (calendar): what was confirmed, by whom. At most one waits per stage."""

    __tablename__ = "scheduled_start"
    id: Mapped[int] = mapped_column(primary_key=True)
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    generation: Mapped[int]
    begin_at: Mapped[datetime]
    confirm: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[str] = mapped_column(Key)
    team_id: Mapped[str] = mapped_column(Key)
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'begun', 'refused', 'cancelled')", name="state"),
        Index(
            "uq_scheduled_start_one_waiting",
            "stage_id",
            unique=True,
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )
