"""Acts of people on pins: leave a target on the old runtime with a reason and an owner, or let it move again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollout.change import SUPPORTS
from rollout.facts import PinFacts
from rollout.gatefacts import may
from rollout.gates import Refuse
from rollout.gates_pins import may_pin, may_unpin
from rollout.standing import Standing
from rollout.states import ACTION_ENDED, StageState
from storage.acting import Act, Who, acting
from storage.database import Database
from storage.models import Action, Target
from storage.record import event, post, touch_card


@dataclass(frozen=True, slots=True)
class Pinned:
    """The target stays on the old runtime."""

    target: str
    stage: str | None


@dataclass(frozen=True, slots=True)
class Unpinned:
    """The target is planned again, in ``stage``; ``late``: that stage has begun, and nobody moves it by itself."""

    target: str
    stage: str | None
    late: bool


def pin_facts(
    session: Session, standing: Standing, roles: Collection[str], target: Target, owner: str = "", reason: str = ""
) -> PinFacts:
    """The facts for ``may_pin`` and ``may_unpin``: whoever may start or roll back a stage may do either."""
    able = standing.plan.capabilities
    allowed = tuple(dict.fromkeys((*able.start, *able.rollback)))
    open_ = session.execute(
        select(func.count()).where(Action.target_id == target.id, Action.state.not_in(ACTION_ENDED))
    ).scalar_one()
    state = next((s.state for s in standing.stages if s.key == target.stage_key), None)
    return PinFacts(
        target=target.name,
        may=may(standing.plan, allowed, roles),
        pinned=target.pinned_reason is not None,
        running=open_ > 0,
        rolling_back=state is StageState.ROLLING_BACK,
        support=target.kind in SUPPORTS,
        owner=owner,
        reason=reason,
    )


def pin(
    database: Database, who: Who, now: datetime, rollout_id: int, target_id: int, reason: str, owner: str
) -> Pinned | Refuse:
    """Pin a target to which nothing was written; what was changed is put back and pinned by a rollback of it."""
    with acting(database, who, now, rollout_id, None) as act:
        target = _target(act, target_id)
        decision = may_pin(pin_facts(act.session, act.standing, act.roles, target, owner, reason))
        if isinstance(decision, Refuse):
            return decision
        target.pinned_reason, target.pinned_by = reason.strip(), who.user_id
        target.pinned_owner, target.pinned_at = owner, now
        data = {"target_id": target.id, "reason": reason, "owner": owner}
        _record(act, target, "pin", f"pinned {target.name}: {reason}", data)
        if target.stage_key is not None:
            stage = act.stages[target.stage_key]
            key = f"pinned:{stage.id}:{stage.generation}:{target.id}:{int(now.timestamp())}"
            ids = {"target_id": target.id}
            post(act.session, now, key, "pinned", rollout_id=rollout_id, stage_id=stage.id, ids=ids)
            if act.standing.stage(stage.key).started:
                touch_card(act.session, stage)
        return Pinned(target.name, target.stage_key)


def unpin(
    database: Database, who: Who, now: datetime, rollout_id: int, target_id: int, reason: str = ""
) -> Unpinned | Refuse:
    """Let a pinned target move again. One whose stage has begun joins the next stage that has not."""
    with acting(database, who, now, rollout_id, None) as act:
        target = _target(act, target_id)
        decision = may_unpin(pin_facts(act.session, act.standing, act.roles, target))
        if isinstance(decision, Refuse):
            return decision
        data = {
            "target_id": target.id,
            "was": target.pinned_reason,
            "owner": target.pinned_owner,
            "reason": reason,
            "from": target.stage_key,
        }
        target.pinned_reason = target.pinned_by = target.pinned_owner = target.pinned_at = None
        begun = target.stage_key is not None and _has_begun(act, target.stage_key)
        late = begun
        if begun and target.stage_key is not None:
            later = [s.key for s in act.plan.after(target.stage_key) if not _has_begun(act, s.key)]
            if later:
                target.moved_to = target.stage_key = later[0]
                late = False
        sentence = f"lifted the pin of {target.name}" + (f": {reason}" if reason else "")
        _record(act, target, "unpin", sentence, {**data, "to": target.stage_key})
        return Unpinned(target.name, target.stage_key, late)


def _has_begun(act: Act, key: str) -> bool:
    return act.standing.stage(key).state not in {StageState.WAITING, StageState.READY, StageState.ROLLED_BACK}


def _target(act: Act, target_id: int) -> Target:
    return act.session.execute(
        select(Target).where(Target.id == target_id, Target.rollout_id == act.rollout.id)
    ).scalar_one()


def _record(act: Act, target: Target, kind: str, sentence: str, data: dict[str, object]) -> None:
    stage = act.stages.get(target.stage_key or "")
    event(act.session, act.now, act.who.by, kind, sentence, rollout_id=act.rollout.id, stage=stage, data=data)
