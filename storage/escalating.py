"""What wants a person's eye: begun with what caused it, named to one contact after the other, ended by a person or by
what becomes of it. Every step is one transaction with its message, so that each is made once by any number of replicas.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rollout.conditions import counting
from rollout.decisions import Refuse, permission
from rollout.facts import May
from rollout.gatefacts import may
from rollout.plan import Plan
from rollout.reasons import Reason
from rollout.standing import HAS_CHANGES
from rollout.states import StageState, Verdict
from storage import hooks, waivers
from storage.acting import Who, acting
from storage.base import insert
from storage.database import Database, keyring_of
from storage.models import Escalation, Evidence, Rollout, Stage
from storage.plans import plan_of
from storage.record import ENGINE, event, post, touch_card
from storage.transitions import lock_stage


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody looks after it: nobody else is named."""

    stage: str
    sentence: str


def begin(session: Session, stage: Stage, cause: str, sentence: str, key: str, now: datetime) -> int:
    """Something wants a look: its id. The same ``key`` again changes nothing; older ones of that cause are over."""
    session.execute(
        update(Escalation)
        .where(
            Escalation.stage_id == stage.id,
            Escalation.cause == cause,
            Escalation.key != key,
            Escalation.ended_at.is_(None),
        )
        .values(ended_at=now)
    )
    session.execute(
        insert(session, Escalation)
        .values(
            stage_id=stage.id,
            generation=stage.generation,
            cause=cause,
            sentence=sentence[:1000],
            key=key,
            began_at=now,
            named=0,
        )
        .on_conflict_do_nothing(index_elements=["key"])
    )
    return session.execute(select(Escalation.id).where(Escalation.key == key)).scalar_one()


def acknowledge(database: Database, who: Who, now: datetime, rollout_id: int, escalation: int) -> Acknowledged | Refuse:
    """Somebody looks after it. The first one does; who comes later is told who that is."""
    with acting(database, who, now, rollout_id) as act:
        row = act.session.execute(select(Escalation).where(Escalation.id == escalation)).scalar_one_or_none()
        stage = lock_stage(act.session, row.stage_id) if row is not None else None
        if row is None or stage is None or stage.rollout_id != rollout_id:
            return Refuse((Reason("acknowledgement_over", "There is nothing of that kind.", "/rollout status"),))
        act.session.refresh(row)
        anybody = May(bool(act.roles), may(act.plan, tuple(act.plan.roles), act.roles).roles)
        if refused := permission(anybody, "look after it"):
            return Refuse(refused)
        if row.acknowledged_at is not None:
            said = f"Somebody looks after it already, since {row.acknowledged_at:%H:%M} UTC."
            return Refuse((Reason("already_acknowledged", said, f"/rollout status {stage.key}"),))
        if row.ended_at is not None or _is_over(act.session, row, stage):
            said = f"What wanted a look at {stage.key} is over."
            return Refuse((Reason("acknowledgement_over", said, f"/rollout status {stage.key}"),))
        row.acknowledged_by, row.acknowledged_at = who.user_id, now
        sentence = f"looks after {stage.key}: {row.sentence}"[:500]
        data = {"escalation": row.id, "cause": row.cause}
        event(act.session, now, who.by, "acknowledge", sentence, stage=stage, data=data)
        key = f"acknowledged:{row.id}"
        ids = {"escalation": row.id}
        post(act.session, now, key, "acknowledged", rollout_id=rollout_id, stage_id=stage.id, ids=ids, repeat=True)
        if row.named:
            _call(act.session, act.plan, row, stage, "acknowledged", who.user_id)
        touch_card(act.session, stage, make=False)
        return Acknowledged(stage.key, row.sentence)


# -- by the clock ------------------------------------------------------------------------------------------------------


def tick(database: Database, now: datetime) -> int:
    """End what is over, and name the next contact of what is due (calendar); returns how many were named."""
    with database.read() as session:
        rows = session.execute(
            select(Escalation, Stage)
            .join(Stage, Stage.id == Escalation.stage_id)
            .join(Rollout, Rollout.id == Stage.rollout_id)
            .where(Rollout.open, Escalation.ended_at.is_(None))
            .order_by(Escalation.id)
        ).all()
        wanted = [
            row.id for row, stage in rows if _is_over(session, row, stage) or _is_due(plan_of(stage.rollout), row, now)
        ]
    return sum(_step(database, number, now) for number in wanted)


def _step(database: Database, escalation: int, now: datetime) -> bool:
    with database.write() as session:
        row = session.get_one(Escalation, escalation)
        stage = lock_stage(session, row.stage_id)
        session.refresh(row)
        if row.ended_at is not None:
            return False
        plan = plan_of(stage.rollout)
        if _is_over(session, row, stage):
            row.ended_at = now
            if row.named and row.acknowledged_at is None:
                _call(session, plan, row, stage, "over", None)
            touch_card(session, stage, make=False)
            return False
        if not _is_due(plan, row, now):
            return False
        assert plan.escalation is not None
        contact = plan.escalation.to[row.named]
        row.named, row.named_at = row.named + 1, now
        sentence = f"nobody looks after {stage.key}: {contact} is named ({row.sentence})"[:500]
        data = {"escalation": row.id, "contact": contact, "step": row.named}
        event(session, now, ENGINE, "escalated", sentence, stage=stage, data=data)
        key = f"escalated:{row.id}:{row.named}"
        ids = {"escalation": row.id, "contact": contact, "step": row.named}
        post(session, now, key, "escalated", rollout_id=stage.rollout_id, stage_id=stage.id, ids=ids, repeat=True)
        _call(session, plan, row, stage, "escalated", contact)
        return True


def _is_due(plan: Plan, row: Escalation, now: datetime) -> bool:
    rule = plan.escalation
    if rule is None or row.acknowledged_at is not None or row.named >= len(rule.to):
        return False
    return now - (row.named_at or row.began_at) >= timedelta(seconds=rule.after)


def _is_over(session: Session, row: Escalation, stage: Stage) -> bool:
    """Whether what it was about has gone, one way or another."""
    if row.generation != stage.generation:
        return True
    if row.cause == "blocked":
        return stage.state is not StageState.BLOCKED
    if row.cause == "rollback":
        return stage.state not in HAS_CHANGES
    if stage.state in {StageState.REVIEW, StageState.BAKING, StageState.BLOCKED}:
        return not _fails(session, stage)
    return True


def _fails(session: Session, stage: Stage) -> bool:
    """Whether a check of the stage fails, by its newest look, and nobody passed over it."""
    plan = plan_of(stage.rollout)
    rows = session.execute(
        select(Evidence.criterion, Evidence.verdict)
        .where(Evidence.stage_id == stage.id, Evidence.generation == stage.generation)
        .order_by(Evidence.id)
    )
    found = {row[0]: row[1] for row in rows}  # the newest one wins
    confirmed = waivers.waivers(session, stage.rollout_id, plan, keyring_of(session)).get(stage.id, ())
    passed = counting(confirmed)
    return any(
        verdict is Verdict.FAIL and f"criterion:{criterion}" not in passed for criterion, verdict in found.items()
    )


def _call(session: Session, plan: Plan, row: Escalation, stage: Stage, what: str, contact: str | None) -> None:
    """Have the web hook of the plan called, where it names one. Ids and words only: no address, no secret."""
    if plan.escalation is None or plan.escalation.webhook_env is None:
        return
    body: dict[str, Any] = {
        "event": what,
        "escalation": row.id,
        "step": row.named,
        "plan": plan.key,
        "stage": stage.key,
        "cause": row.cause,
        "sentence": row.sentence,
        "began_at": row.began_at.isoformat(),
        "contact" if what == "escalated" else "by": contact,
    }
    hooks.queue(session, f"{what}:{row.id}:{row.named}", plan.escalation.webhook_env, body)
