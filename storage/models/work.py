"""Tables of the work: workspaces, targets with their backups, actions, and runs of jobs.

Instants are of the calendar (deadlines, events) or of the machine (leases, waits).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from rollout.states import ActionKind, ActionState
from storage.base import Base, Key, values


class Workspace(Base):
    """What is known of one Databricks workspace. ``hold_until`` (machine): it asked us to slow down."""

    __tablename__ = "workspace"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Key, unique=True)
    host: Mapped[str] = mapped_column(Text, default="")
    versions: Mapped[list[Any]] = mapped_column(default=list)
    policies: Mapped[dict[str, Any]] = mapped_column(default=dict)  # id -> rollout.policy.Policy, what matters of it
    pools: Mapped[dict[str, Any]] = mapped_column(default=dict)  # id -> rollout.pool.Pool, what is decided of it
    machines: Mapped[dict[str, Any]] = mapped_column(default=dict)  # type -> rollout.machine.Machine; empty: not known
    looked_at: Mapped[datetime | None]  # calendar: the last complete discovery
    look_wanted_at: Mapped[datetime | None]  # calendar: somebody asked for a fresh look
    looked_machine: Mapped[datetime | None]  # machine time of the last attempt
    runs_seen_at: Mapped[datetime | None]  # calendar: runs are known up to here
    submitted: Mapped[list[Any]] = mapped_column(default=list)  # runs without a job, by creator, name and runtime
    submitted_at: Mapped[datetime | None]  # calendar: when these were read
    deployers: Mapped[dict[str, Any]] = mapped_column(default=dict)  # kind/id -> tool of its last change (audit log)
    deployers_at: Mapped[datetime | None]  # calendar: when the audit log was read; None: it could not be
    error: Mapped[str | None] = mapped_column(Text)
    hold_until: Mapped[datetime | None]


class Rate(Base):
    """How fast one workspace is asked by all replicas together. Machine instants."""

    __tablename__ = "rate"
    workspace: Mapped[str] = mapped_column(Key, primary_key=True)
    next_at: Mapped[datetime | None]  # the first call that nobody took yet
    ceiling: Mapped[int | None]  # targets at once, after it was throttled; None: it never was
    halved_at: Mapped[datetime | None]


class Target(Base):
    """One cluster or job of a rollout as last discovered, with what is planned for it."""

    __tablename__ = "target"
    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    workspace: Mapped[str] = mapped_column(Key)
    kind: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[str] = mapped_column(Key)
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(Text)
    stage_key: Mapped[str | None] = mapped_column(Key)
    release: Mapped[str] = mapped_column(String(60), default="")  # "13.3", "13.3 + 15.4", "-"
    state: Mapped[str] = mapped_column(String(40), default="")
    change: Mapped[dict[str, Any] | None]  # what is planned; None: nothing, see the skip columns
    skip_code: Mapped[str | None] = mapped_column(Key)
    skip_sentence: Mapped[str | None] = mapped_column(Text)
    skip_next: Mapped[str | None] = mapped_column(Text)
    about: Mapped[dict[str, Any]] = mapped_column(default=dict)  # rollout.about.About: tags, people, what it uses
    managed_by: Mapped[str | None] = mapped_column(String(20))  # bundle, terraform, repository, system; None: nothing
    repository: Mapped[str | None] = mapped_column(Text)
    #: The edit that its repository needs, or needed: kept once it has arrived.
    proposal: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    also_in: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))  # further stages that name it
    team: Mapped[str | None] = mapped_column(Key)  # whose it is by the plan (rollout.teams.owner)
    moved_to: Mapped[str | None] = mapped_column(Key)  # the stage that an un-pinned target joined
    activity: Mapped[dict[str, Any] | None]  # who ran it last and when, and how many runs are under way
    drift: Mapped[dict[str, Any] | None]  # rollout.drift.Drift: that it is not as we set it, until it is
    pinned_reason: Mapped[str | None] = mapped_column(Text)
    pinned_by: Mapped[str | None] = mapped_column(Key)
    pinned_owner: Mapped[str | None] = mapped_column(Key)  # the person who answers for the pin
    pinned_at: Mapped[datetime | None]
    gone: Mapped[bool] = mapped_column(default=False)
    interactive: Mapped[bool] = mapped_column(default=False)  # people work on it: an all-purpose cluster made by hand
    seen_at: Mapped[datetime]
    seen_machine: Mapped[datetime]  # when it was looked at: an older look never overwrites a newer one
    __table_args__ = (
        UniqueConstraint("rollout_id", "workspace", "kind", "object_id"),
        Index("ix_target_rollout_id_stage_key", "rollout_id", "stage_key"),
    )


class Backup(Base):
    """The raw configuration of a target before our first write of a generation: encrypted, immutable."""

    __tablename__ = "backup"
    id: Mapped[int] = mapped_column(primary_key=True)
    target_id: Mapped[int] = mapped_column(ForeignKey("target.id"))
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    generation: Mapped[int]
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    permissions: Mapped[bytes | None] = mapped_column(LargeBinary)  # as the API gave them; None: it did not
    digest: Mapped[str] = mapped_column(String(64))  # of the canonical raw configuration
    state: Mapped[str] = mapped_column(String(40))  # RUNNING, TERMINATED, ... when it was taken
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("target_id", "stage_id", "generation"),
        Index("ix_backup_stage_id_generation", "stage_id", "generation"),
    )


class Action(Base):
    """One durable unit of work. ``poll_at``, ``lease_until``, ``intent_at``, ``written_at`` are machine instants."""

    __tablename__ = "action"
    id: Mapped[int] = mapped_column(primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollout.id"))
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    generation: Mapped[int]
    target_id: Mapped[int] = mapped_column(ForeignKey("target.id"))
    workspace: Mapped[str] = mapped_column(Key)
    kind: Mapped[ActionKind] = mapped_column(values(ActionKind))
    attempt: Mapped[int] = mapped_column(default=1)
    state: Mapped[ActionState] = mapped_column(values(ActionState), default=ActionState.PENDING)
    change: Mapped[dict[str, Any] | None]  # what this action writes: frozen when the stage started
    team: Mapped[str | None] = mapped_column(Key)  # of a first backup: whose the target was when the stage started
    intent_at: Mapped[datetime | None]  # a write was about to be sent
    intent_epoch: Mapped[int | None]  # by which claim
    written_at: Mapped[datetime | None]  # its answer arrived
    looks: Mapped[int] = mapped_column(default=0)  # quiet ones of an unknown outcome; else unanswered ones in a row
    # Of the target, just before the write: state, start times, calendar instant; or that a look was made twice.
    seen: Mapped[dict[str, Any] | None]
    give_up_at: Mapped[datetime | None]  # calendar: stuck after this
    reason_code: Mapped[str | None] = mapped_column(Key)
    sentence: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[dict[str, Any] | None]
    owner: Mapped[str | None] = mapped_column(Key)
    epoch: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    poll_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]  # calendar
    ended_at: Mapped[datetime | None]  # calendar
    __table_args__ = (
        UniqueConstraint("stage_id", "generation", "target_id", "kind", "attempt"),
        Index(
            "uq_action_one_open",
            "target_id",
            unique=True,
            sqlite_where=text("state IN ('pending', 'running')"),
            postgresql_where=text("state IN ('pending', 'running')"),
        ),
        Index("ix_action_stage_id_generation_kind_state", "stage_id", "generation", "kind", "state"),
        Index("ix_action_state_poll_at", "state", "poll_at"),
    )


class Run(Base):
    """One run of a job that is a target, as seen through the API."""

    __tablename__ = "run"
    id: Mapped[int] = mapped_column(primary_key=True)
    workspace: Mapped[str] = mapped_column(Key)
    job_id: Mapped[str] = mapped_column(Key)
    run_id: Mapped[str] = mapped_column(Key)
    release: Mapped[str | None] = mapped_column(String(20))
    result: Mapped[str] = mapped_column(String(20))  # success, failed, timedout, canceled, skipped, platform
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    duration: Mapped[float]  # seconds of execution, without set-up
    cluster_ids: Mapped[list[Any]] = mapped_column(default=list)  # shared clusters that it ran on
    __table_args__ = (
        UniqueConstraint("workspace", "run_id"),
        Index("ix_run_workspace_job_id_ended_at", "workspace", "job_id", "ended_at"),
    )
