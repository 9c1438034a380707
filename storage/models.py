"""The tables of a rollout. Instants are of the calendar (deadlines, events) or of the machine (leases, waits)."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from rollout.states import ActionKind, ActionState, Decision, ItemState, StageState, Verdict
from storage.base import Base, values

Key = String(120)


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
