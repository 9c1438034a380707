"""Putting a changed plan in force: its revision, the rows of its stages, and what people signed that holds no longer.

What was frozen or done before stays as it is. All of it is one transaction with the decision.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from rollout import amend
from rollout.plan import Plan
from rollout.states import Decision, StageState
from storage import evidence
from storage.acting import Act, back_to_checks, open_gates
from storage.models import (
    Amendment,
    Card,
    Outbox,
    Override,
    PlanRevision,
    ScheduledStart,
    SignOff,
    Stage,
    Target,
    Workspace,
)
from storage.record import event, post, touch_card
from storage.transitions import lock_stage, move


def put_in_force(act: Act, row: Amendment, plan: Plan, stale: Sequence[str], altered: Sequence[str]) -> None:
    """Make the plan of an accepted amendment the one that rules; all stages are locked.

    ``altered`` stages have other targets or criteria now; those of them that are ``stale`` are signed anew.
    """
    session, now, rollout, old = act.session, act.now, act.rollout, act.plan
    revision = _revision(session, row, now)
    row.revision_id = revision.id
    told = {key: givers(session, act.stages[key].id) for key in stale}
    rollout.revision, rollout.channel = revision, plan.channel
    rollout.file_digest = None if rollout.file_digest == row.digest else rollout.file_digest
    known = set(session.execute(select(Workspace.key)).scalars())
    session.add_all(Workspace(key=key, versions=[]) for key in plan.workspaces if key not in known)
    _drop_scheduled(act, plan, altered)
    _arrange(act, plan)
    if amend.moves_targets(old, plan):
        # Targets are assigned to stages by a fresh look, and nothing is started before it.
        session.execute(
            update(Workspace).where(Workspace.key.in_(plan.workspaces)).values(looked_at=None, looked_machine=None)
        )
        session.execute(
            update(Target)
            .where(Target.rollout_id == rollout.id, Target.stage_key.not_in([s.key for s in plan.stages]))
            .values(stage_key=None)
        )
        session.execute(
            update(Target)
            .where(Target.rollout_id == rollout.id, Target.moved_to.not_in([s.key for s in plan.stages]))
            .values(moved_to=None)
        )
    sentence = f"accepted the change of the plan that {row.proposed_by} proposed: plan {row.digest[:8]}"
    data = {
        "plan_digest": row.digest,
        "amendment": row.id,
        "proposed_by": row.proposed_by,
        "lines": amend.difference(old, plan)[:50],
        "stale": list(stale),
    }
    event(session, now, act.who.by, "plan_amended", sentence, rollout_id=rollout.id, data=data)
    post(
        session,
        now,
        f"plan_amended:{row.id}",
        "plan_amended",
        rollout_id=rollout.id,
        ids={"amendment": row.id, "stale": list(stale)},
        repeat=True,
    )
    for key in stale:
        _sign_anew(act, act.stages[key], told[key])
    evidence.renew_issues(session, act.stages.values(), now, act.who.by, "the issues of the stages that are left")
    act.look()
    _gates(act, plan)
    for stage in act.stages.values():
        touch_card(session, stage, make=False)


def _revision(session: Session, row: Amendment, now: datetime) -> PlanRevision:
    base = session.get_one(PlanRevision, row.base_id)
    number = session.execute(
        select(func.max(PlanRevision.revision)).where(PlanRevision.plan_key == base.plan_key)
    ).scalar_one()
    made = PlanRevision(
        plan_key=base.plan_key, revision=(number or 0) + 1, digest=row.digest, text=row.plan_text, created_at=now
    )
    session.add(made)
    session.flush()
    return made


def _drop_scheduled(act: Act, plan: Plan, altered: Sequence[str]) -> None:
    """A start that waits was confirmed of the former plan: who scheduled it is told."""
    kept = {s.key for s in plan.stages}
    changed = {act.stages[key].id: key for key in act.stages if key in altered or key not in kept}
    rows = act.session.execute(
        select(ScheduledStart).where(ScheduledStart.stage_id.in_(changed), ScheduledStart.state == "waiting")
    ).scalars()
    for row in rows:
        row.state, row.ended_at = "cancelled", act.now
        key = changed[row.stage_id]
        reason = ["change_set_changed", "The plan was amended.", f"/rollout start {key}"]
        ids = {"stage": key, "by": row.user_id, "reasons": [reason]}
        letter = f"start_refused:{row.id}"
        post(act.session, act.now, letter, "start_refused", rollout_id=act.rollout.id, ids=ids, repeat=True)
    act.session.flush()


def _arrange(act: Act, plan: Plan) -> None:
    """The rows of the stages in the order of the new plan; those that were taken out had not begun."""
    session, wanted = act.session, [s.key for s in plan.stages]
    for key in [k for k in act.stages if k not in wanted]:
        gone = act.stages.pop(key)
        session.execute(delete(ScheduledStart).where(ScheduledStart.stage_id == gone.id))
        session.execute(delete(Card).where(Card.stage_id == gone.id))
        session.execute(delete(Override).where(Override.stage_id == gone.id))  # the record tells of them
        session.execute(update(Outbox).where(Outbox.stage_id == gone.id).values(stage_id=None))
        session.delete(gone)
    for stage in act.stages.values():  # places are unique, also halfway
        stage.position = -stage.id
    session.flush()
    for position, key in enumerate(wanted):
        row = act.stages.get(key)
        if row is None:
            row = Stage(rollout_id=act.rollout.id, key=key, position=position, state=StageState.WAITING)
            session.add(row)
            session.flush()
            act.stages[key] = lock_stage(session, row.id)
        row.position = position
    session.flush()


def _sign_anew(act: Act, stage: Stage, told: Sequence[str]) -> None:
    """What was signed of this stage holds no longer: the checks look once more, and the review begins anew."""
    if stage.state is not StageState.REVIEW:
        return
    sentence = f"the plan of {stage.key} was amended: its checks look once more, and it is signed anew"
    back_to_checks(act, stage, sentence)
    if told:
        key = f"sign_offs_stale:{stage.id}:{stage.generation}:{stage.version}"
        ids = {"givers": list(told), "why": "the plan was amended"}
        rollout_id = act.rollout.id
        post(
            act.session, act.now, key, "sign_offs_stale", rollout_id=rollout_id, stage_id=stage.id, ids=ids, repeat=True
        )


def _gates(act: Act, plan: Plan) -> None:
    """Stages that have not begun wait, or may be started, by the new order."""
    for planned in plan.stages:
        row = act.stages[planned.key]
        if row.state is StageState.READY and not act.standing.predecessors_passed(planned.key):
            move(
                act.session, row, StageState.WAITING, act.now, act.who.by, f"{planned.key} waits: the plan was amended"
            )
    open_gates(act)


def givers(session: Session, stage_id: int) -> list[str]:
    """Who has standing sign-offs of a stage in its present generation."""
    rows = session.execute(
        select(SignOff.user_id)
        .join(Stage, (Stage.id == SignOff.stage_id) & (Stage.generation == SignOff.generation))
        .where(Stage.id == stage_id, SignOff.revoked_at.is_(None))
        .order_by(SignOff.id)
    ).scalars()
    return list(dict.fromkeys(rows))


def tell_givers(session: Session, stage: Stage, now: datetime) -> None:
    """Who signed on another evidence than the present one is told once that it counts no more."""
    told = select(func.max(Outbox.created_at)).where(Outbox.kind == "sign_offs_stale", Outbox.stage_id == stage.id)
    last = session.execute(told).scalar_one()
    rows = session.execute(
        select(SignOff.user_id, SignOff.at)
        .where(
            SignOff.stage_id == stage.id,
            SignOff.generation == stage.generation,
            SignOff.revoked_at.is_(None),
            SignOff.decision == Decision.GRANTED,
            SignOff.evidence_digest != stage.evidence_digest,
        )
        .order_by(SignOff.id)
    )
    users = [user for user, at in rows if last is None or at > last]
    if users:
        key = f"sign_offs_stale:{stage.id}:{stage.generation}:{stage.version}"
        ids = {"givers": users, "why": "its checks found something else", "looks": False}
        rollout_id = stage.rollout_id
        post(session, now, key, "sign_offs_stale", rollout_id=rollout_id, stage_id=stage.id, ids=ids, repeat=True)
