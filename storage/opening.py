"""Open a rollout for each plan at start, and keep an untouched one in step with its file."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from rollout.plan import Plan
from rollout.planfile import canonical, differing_words, digest
from rollout.states import StageState
from storage.database import Database
from storage.models import Event, Issue, Item, PlanRevision, Rollout, ScheduledStart, Stage, Target, Workspace
from storage.plans import before_amendment, plan_of
from storage.record import ENGINE, event, post


def open_rollouts(database: Database, plans: Sequence[Plan], now: datetime) -> list[str]:
    """Bring the database in step with the plan files; returns sentences about plans whose file is not followed.

    A plan key that never had a rollout gets one. Until its first stage starts, a changed file replaces the plan;
    after that the stored revision rules, and the rollout remembers that the file differs.
    """
    differing = []
    for plan in plans:
        with database.write() as session:
            rollout = _keep_in_step(session, plan, now)
            if rollout is not None:
                differing.append(differing_words(plan.key, before_amendment(session, rollout)))
    return differing


def _keep_in_step(session: Session, plan: Plan, now: datetime) -> Rollout | None:
    """The rollout that goes on by another plan than the file's; None where the file is followed."""
    for key in plan.workspaces:
        if session.execute(select(Workspace.id).where(Workspace.key == key)).scalar_one_or_none() is None:
            session.add(Workspace(key=key, versions=[]))
    of_plan = Rollout.plan_key == plan.key
    session.execute(select(Rollout.id).where(of_plan).with_for_update())  # read once it is ours: it may be amended
    rollout = session.execute(select(Rollout).where(of_plan).order_by(Rollout.id.desc())).scalar()
    if rollout is None:
        _open(session, plan, now)
        return None
    if not rollout.open:
        return None
    # The stored text read anew: a bot that knows more words of a plan must not take an old revision for another plan.
    same = digest(plan_of(rollout)) == digest(plan)
    if same or _touched(session, rollout.id):
        rollout.file_digest = None if same else digest(plan)
        return None if same else rollout
    rollout.revision_id = _revision(session, plan, now).id
    rollout.channel = plan.channel
    rollout.file_digest = None
    _drop_scheduled(session, rollout, now)
    # Issues stay: their targets are found anew, and they go by the name of their stage.
    session.execute(update(Issue).where(Issue.rollout_id == rollout.id).values(target_id=None))
    for model in (Stage, Target, Item):
        session.execute(delete(model).where(model.rollout_id == rollout.id))
    _stages(session, plan, rollout.id)
    for key in plan.workspaces:  # targets are assigned to stages by a fresh look
        row = session.execute(select(Workspace).where(Workspace.key == key)).scalar_one()
        row.looked_at = row.looked_machine = None
    said = f"Plan {plan.key} was read anew."
    event(session, now, ENGINE, "plan_replaced", said, rollout_id=rollout.id, data={"plan_digest": digest(plan)})
    return None


def _drop_scheduled(session: Session, rollout: Rollout, now: datetime) -> None:
    """What was confirmed was confirmed of another plan: who scheduled a start is told."""
    rows = session.execute(select(ScheduledStart, Stage.key).join(Stage).where(Stage.rollout_id == rollout.id)).all()
    for row, key in rows:
        if row.state == "waiting":
            reason = ["change_set_changed", "The plan file was read anew.", f"/rollout start {key}"]
            ids = {"stage": key, "by": row.user_id, "reasons": [reason]}
            post(session, now, f"start_refused:{row.id}", "start_refused", rollout_id=rollout.id, ids=ids, repeat=True)
        session.delete(row)
    session.flush()


def _touched(session: Session, rollout_id: int) -> bool:
    started = session.execute(
        select(func.count())
        .select_from(Stage)
        .where(
            Stage.rollout_id == rollout_id,
            (Stage.started_at.is_not(None))
            | (Stage.generation > 1)
            | (Stage.state.not_in([StageState.WAITING, StageState.READY])),
        )
    ).scalar_one()
    said = session.execute(
        select(func.count())
        .select_from(Event)
        .where(
            Event.rollout_id == rollout_id,
            Event.kind.in_(["stage_preparing", "checklist", "plan_amended"]),
            Event.outcome == "done",
        )
    ).scalar_one()
    return bool(started or said)


def _open(session: Session, plan: Plan, now: datetime) -> None:
    revision = _revision(session, plan, now)
    rollout = Rollout(plan_key=plan.key, revision_id=revision.id, channel=plan.channel, opened_at=now)
    session.add(rollout)
    session.flush()
    _stages(session, plan, rollout.id)
    said = f"The rollout of {plan.key} is open."
    event(session, now, ENGINE, "rollout_opened", said, rollout_id=rollout.id, data={"plan_digest": digest(plan)})


def _revision(session: Session, plan: Plan, now: datetime) -> PlanRevision:
    number = session.execute(
        select(func.coalesce(func.max(PlanRevision.revision), 0)).where(PlanRevision.plan_key == plan.key)
    ).scalar_one()
    row = PlanRevision(
        plan_key=plan.key, revision=number + 1, digest=digest(plan), text=canonical(plan), created_at=now
    )
    session.add(row)
    session.flush()
    return row


def _stages(session: Session, plan: Plan, rollout_id: int) -> None:
    for position, stage in enumerate(plan.stages):
        state = StageState.READY if position == 0 else StageState.WAITING
        session.add(Stage(rollout_id=rollout_id, key=stage.key, position=position, state=state))
    session.flush()
