"""Starts that wait for their time: scheduled and cancelled by people, begun or refused by the engine when due."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from rollout import gates
from rollout.gatefacts import start_facts
from rollout.gates import Refuse
from rollout.reasons import Reason
from storage import dryrun, intents
from storage.acting import Act, Who, acting, stale
from storage.database import Database
from storage.intents import Started
from storage.models import GroupMember, KnownPerson, Rollout, ScheduledStart, Stage
from storage.record import event, post, touch_card

#: A start that is so late (calendar), because the bot did not run, may no longer be what somebody wanted.
LATEST = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The stage is to begin at ``begin_at``."""

    stage: str
    targets: int
    begin_at: datetime


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The stage does not begin by itself."""

    stage: str


def schedule(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    stage_key: str,
    confirm: str,
    begin_at: datetime,
    version: int | None = None,
) -> Scheduled | Refuse:
    """Have a stage begin at ``begin_at`` (calendar). It must be startable now, and is asked for again then.

    A start that was scheduled before is replaced.
    """
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, version, None):
            return stale(stage_key)
        decision = gates.may_start(start_facts(act.standing, stage_key, who.user_id, act.roles, now))
        if isinstance(decision, Refuse):
            return decision
        if begin_at <= now:
            said = f"{begin_at:%Y-%m-%d %H:%M} UTC has passed: {stage_key} cannot begin then."
            return Refuse((Reason("time_passed", said, f"Choose a later time, or none: /rollout start {stage_key}"),))
        planned = dryrun.change_set(act.session, rollout_id, stage_key)
        digest = dryrun.digest_of(planned)
        if digest != confirm:
            return Refuse((intents.changed(stage_key, confirm, digest),))
        before = _waiting(act.session, stage)
        if before is not None:
            before.state, before.ended_at = "cancelled", now
            act.session.flush()
        row = ScheduledStart(
            stage_id=stage.id,
            generation=stage.generation,
            begin_at=begin_at,
            confirm=digest,
            user_id=who.user_id,
            team_id=who.team_id,
            state="waiting",
            created_at=now,
        )
        act.session.add(row)
        act.session.flush()
        targets = len(dryrun.targets_of(planned))
        sentence = f"scheduled {stage_key} for {begin_at:%Y-%m-%d %H:%M} UTC: {targets} targets"
        data = {"digest": digest, "begin_at": begin_at.isoformat()}
        event(act.session, now, who.by, "schedule", sentence, stage=stage, data=data)
        _tell(act, stage, "start_scheduled", row, begin_at=begin_at.isoformat(), targets=targets)
        return Scheduled(stage_key, targets, begin_at)


def cancel(database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str) -> Cancelled | Refuse:
    """Take a scheduled start back; whoever may start the stage may."""
    with acting(database, who, now, rollout_id, {stage_key}) as act:
        stage = act.stages[stage_key]
        row = _waiting(act.session, stage)
        decision = gates.may_cancel_start(
            start_facts(act.standing, stage_key, who.user_id, act.roles, now), row is not None
        )
        if isinstance(decision, Refuse) or row is None:
            assert isinstance(decision, Refuse)
            return decision
        row.state, row.ended_at = "cancelled", now
        event(act.session, now, who.by, "cancel", f"cancelled the scheduled start of {stage_key}", stage=stage)
        _tell(act, stage, "start_cancelled", row, by=who.user_id)
        return Cancelled(stage_key)


def begin_due(database: Database, now: datetime) -> int:
    """Begin the starts whose time has come (calendar), each once whatever else runs; returns how many stages began."""
    with database.read() as session:
        due = session.execute(
            select(ScheduledStart.id, ScheduledStart.user_id, ScheduledStart.team_id, Stage.key, Stage.rollout_id)
            .join(Stage, Stage.id == ScheduledStart.stage_id)
            .join(Rollout, Rollout.id == Stage.rollout_id)
            .where(ScheduledStart.state == "waiting", ScheduledStart.begin_at <= now, Rollout.open)
            .order_by(ScheduledStart.begin_at, ScheduledStart.id)
        ).all()
        people = {
            user: frozenset(session.execute(select(GroupMember.group_id).where(GroupMember.user_id == user)).scalars())
            for user in {row.user_id for row in due}
        }
    began = 0
    for row in due:
        who = Who(row.user_id, row.team_id, people[row.user_id], "schedule")
        with acting(database, who, now, row.rollout_id, {row.key}) as act:
            began += _begin(act, row.id, row.key)
    return began


def _begin(act: Act, scheduled: int, stage_key: str) -> bool:
    stage = act.stages[stage_key]
    row = _waiting(act.session, stage)
    if row is None or row.id != scheduled:
        return False  # another replica was quicker, or it was cancelled
    # Settled before the start, which ends whatever waits.
    row.state, row.ended_at = "begun", act.now
    act.session.flush()
    done = _allowed(act, stage, row) or intents.begin(act, stage_key, row.confirm)
    if isinstance(done, Started):
        return True
    row.state = "refused"
    first = done.reasons[0]
    sentence = f"did not begin {stage_key} at its time: {first.sentence}"
    event(act.session, act.now, act.who.by, "start", sentence, stage=stage, outcome="refused", reason_code=first.code)
    reasons = [[r.code, r.sentence, r.next_step] for r in done.reasons]
    _tell(act, stage, "start_refused", row, reasons=reasons)
    return False


def _allowed(act: Act, stage: Stage, row: ScheduledStart) -> Refuse | None:
    """What the gate cannot know: whether the person is still there, and the bot was there in time."""
    known = act.session.get(KnownPerson, row.user_id)
    if known is not None and not known.available:
        sentence = "Who scheduled it is no longer available in Slack."
        return Refuse((Reason("deactivated_account", sentence, f"/rollout start {stage.key}"),))
    if stage.generation != row.generation:
        return stale(stage.key)
    if act.now - row.begin_at > LATEST:
        return Refuse((_passed(stage.key),))
    return None


def _passed(stage_key: str) -> Reason:
    return Reason(
        "time_passed", f"The time at which {stage_key} was to begin has passed.", f"/rollout start {stage_key}"
    )


def _waiting(session: Session, stage: Stage) -> ScheduledStart | None:
    return session.execute(
        select(ScheduledStart)
        .where(ScheduledStart.stage_id == stage.id, ScheduledStart.state == "waiting")
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def _tell(act: Act, stage: Stage, kind: str, row: ScheduledStart, **ids: object) -> None:
    # Of the rollout and not of the stage: an untouched stage goes away when its plan file is read anew.
    told = {"stage": stage.key, "by": row.user_id, **ids}
    post(act.session, act.now, f"{kind}:{row.id}", kind, rollout_id=stage.rollout_id, ids=told, repeat=True)
    touch_card(act.session, stage, make=False)
