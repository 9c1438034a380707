"""Acts of people that go back: roll back a stage or one target, and unlock afterwards."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from rollout import gates
from rollout.change import SUPPORTS
from rollout.facts import TargetRollBackFacts
from rollout.gatefacts import may, pin_failed_facts, roll_back_facts, unlock_facts
from rollout.gates import Refuse
from rollout.standing import NO_REASON, Standing
from rollout.states import ACTION_BAD, ACTION_ENDED, WORK_OF, ActionKind, ActionState, StageState
from storage import attempts, managed, runfailures, tallies
from storage.acting import Act, Who, acting, close_gates, stale
from storage.database import Database
from storage.intents import repeat_bad
from storage.models import Action, Stage, Target
from storage.record import event, post, touch_card
from storage.transitions import move


@dataclass(frozen=True, slots=True)
class RollingBack:
    """These stages are being rolled back, latest first."""

    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pinned:
    """The target is pinned; ``reverting``: it is also being put back."""

    target: str
    stage: str
    reverting: bool


@dataclass(frozen=True, slots=True)
class PinnedFailed:
    """These targets are pinned, ``reverting`` of them are being put back; ``left`` are the others, with why."""

    stage: str
    pinned: tuple[str, ...]
    reverting: int
    left: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Unlocked:
    """The stage is as if it had never been started; ``ready``: it may be started at once."""

    stage: str
    ready: bool


def roll_back(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    stage_keys: Sequence[str],
    reason: str,
    generation: int | None = None,
    managed_too: bool = False,
) -> RollingBack | Refuse:
    """Roll back one stage, or several together; ``generation`` is the one of the first key that was shown.

    ``managed_too``: also what repositories have deployed on the new runtime meanwhile, by API, from its backups.
    """
    with acting(database, who, now, rollout_id, None) as act:
        if act.is_stale(act.stages[stage_keys[0]], None, generation):
            return stale(stage_keys[0])
        reasons = []
        for key in stage_keys:
            decision = gates.may_roll_back(roll_back_facts(act.standing, key, act.roles, stage_keys))
            reasons += list(decision.reasons) if isinstance(decision, Refuse) else []
        if reasons:
            return Refuse(tuple(dict.fromkeys(reasons)))
        order = [s.key for s in reversed(act.plan.stages) if s.key in stage_keys]
        for key in order:
            _begin(act, act.stages[key], reason)
            if managed_too:
                _revert_managed(act, act.stages[key])
        close_gates(act, order[-1])
        return RollingBack(tuple(order))


def _begin(act: Act, stage: Stage, reason: str) -> None:
    again = stage.state is StageState.ROLLED_BACK
    newest = select(func.max(Action.id)).where(Action.stage_id == stage.id)
    begun_after = act.session.execute(newest).scalar_one() or 0
    act.session.execute(
        update(Action)
        .where(
            Action.stage_id == stage.id,
            Action.generation == stage.generation,
            Action.state == ActionState.PENDING,
            Action.kind != ActionKind.REVERT,
        )
        .values(state=ActionState.SKIPPED, ended_at=act.now, sentence="The stage was rolled back first.")
        .execution_options(synchronize_session=False)
    )
    # Also of targets that were put back by themselves before: nothing that failed is left behind.
    repeat_bad(act.session, stage, ActionKind.REVERT, act.now)
    if again:
        _repeat_left_in_use(act, stage)
    sentence = f"{'rolled back again' if again else 'rolled back'} {stage.key}" + (f": {reason}" if reason else "")
    event(act.session, act.now, act.who.by, "rollback", sentence, stage=stage, data={"reason": reason})
    move(
        act.session,
        stage,
        StageState.ROLLING_BACK,
        act.now,
        act.who.by,
        sentence,
        locked=True,
        locked_reason=reason or (stage.locked_reason if again else None) or NO_REASON,
        locked_by=act.who.user_id,
        left_state=None,
        block_code=None,
        block_sentence=None,
        back_since=begun_after,
    )
    post(
        act.session,
        act.now,
        f"rollback_started:{stage.id}:{stage.generation}:{stage.version}",
        "rollback_started",
        rollout_id=stage.rollout_id,
        stage_id=stage.id,
        repeat=True,
    )


def _repeat_left_in_use(act: Act, stage: Stage) -> None:
    """Ask again of each support that was left as it was: what needed it may be back by now, or goes back now."""
    left = act.session.execute(
        select(Action).where(
            attempts.newest(stage.id, stage.generation, ActionKind.REVERT),
            Action.state == ActionState.SKIPPED,
            Action.reason_code == "support_in_use",
        )
    ).scalars()
    rows = [
        {
            "rollout_id": action.rollout_id,
            "stage_id": stage.id,
            "generation": stage.generation,
            "target_id": action.target_id,
            "workspace": action.workspace,
            "kind": ActionKind.REVERT,
            "attempt": action.attempt + 1,
            "change": action.change,
            "created_at": act.now,
        }
        for action in left
    ]
    attempts.insert_actions(act.session, rows)


def _revert_managed(act: Act, stage: Stage) -> None:
    """An emergency: the next deploy of each repository undoes it."""
    rows = managed.revertible(act.session, stage.id, stage.generation, stage.rollout_id, stage.key)
    attempts.insert_actions(
        act.session,
        (
            {
                "rollout_id": stage.rollout_id,
                "stage_id": stage.id,
                "generation": stage.generation,
                "target_id": target.id,
                "workspace": target.workspace,
                "kind": ActionKind.REVERT,
                "attempt": tried + 1,
                "change": {"fields": target.proposal or [], "restarts": False, "notes": []},
                "created_at": act.now,
            }
            for target, tried in rows
        ),
    )
    if rows:
        names = sorted({target.repository or "unnamed" for target, _ in rows})
        sentence = f"put back by API {len(rows)} targets of {', '.join(names)}, whose next deploy undoes it"
        event(act.session, act.now, act.who.by, "rollback_managed", sentence, stage=stage, data={"repositories": names})


#: States of a change that may have written something.
_WRITTEN = frozenset({ActionState.DONE, *ACTION_BAD})


def target_facts(session: Session, standing: Standing, roles: Collection[str], target: Target) -> TargetRollBackFacts:
    """The facts for ``gates.may_roll_back_target``."""
    allowed = may(standing.plan, standing.plan.capabilities.rollback, roles)
    pinned = target.pinned_reason is not None
    stage = next((s for s in standing.stages if s.key == target.stage_key), None)
    if stage is None:
        support = target.kind in SUPPORTS
        return TargetRollBackFacts(target.name, None, None, allowed, pinned=pinned, support=support)
    newest: dict[ActionKind, ActionState] = {}
    for kind, state in session.execute(
        select(Action.kind, Action.state)
        .where(Action.target_id == target.id, Action.stage_id == stage.id, Action.generation == stage.generation)
        .order_by(Action.attempt, Action.id)
    ):
        if kind is ActionKind.CHANGE and newest.get(kind) in _WRITTEN:
            continue  # what an earlier attempt may have written is not undone by a later one that wrote nothing
        newest[kind] = state
    running = session.execute(
        select(func.count()).where(
            Action.target_id == target.id, Action.state.not_in([ActionState.PENDING, *ACTION_ENDED])
        )
    ).scalar_one()
    return TargetRollBackFacts(
        target=target.name,
        stage=stage.key,
        state=stage.state,
        may=allowed,
        acted=bool(newest),
        change=newest.get(ActionKind.CHANGE),
        revert=newest.get(ActionKind.REVERT),
        running=running > 0 or newest.get(ActionKind.REVERT, ActionState.DONE) not in ACTION_ENDED,
        pinned=pinned,
    )


def roll_back_target(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    target_id: int,
    reason: str,
    owner: str | None = None,
) -> Pinned | Refuse:
    """Put one target back from its backup and pin it: no stage touches it again."""
    with acting(database, who, now, rollout_id, None) as act:
        target = act.session.execute(
            select(Target).where(Target.id == target_id, Target.rollout_id == rollout_id)
        ).scalar_one()
        found = target_facts(act.session, act.standing, act.roles, target)
        decision = gates.may_roll_back_target(found)
        if isinstance(decision, Refuse):
            return decision
        stage = act.stages[target.stage_key or ""]
        reverting = pin_target(act, stage, target, found, reason or "rolled back by hand", owner)
        post(
            act.session,
            now,
            f"pinned:{stage.id}:{stage.generation}:{target.id}:{int(now.timestamp())}",
            "pinned",
            rollout_id=rollout_id,
            stage_id=stage.id,
            ids={"target_id": target.id},
        )
        touch_card(act.session, stage)
        return Pinned(target.name, stage.key, reverting)


def pin_target(
    act: Act, stage: Stage, target: Target, found: TargetRollBackFacts, reason: str, owner: str | None = None
) -> bool:
    """Pin a target that may be pinned, and have it put back if it was written to; whether it is. Without another
    ``owner`` the person who acts answers for it."""
    act.session.execute(
        update(Action)
        .where(Action.target_id == target.id, Action.stage_id == stage.id, Action.state == ActionState.PENDING)
        .values(state=ActionState.SKIPPED, ended_at=act.now, sentence="The target was pinned first.")
        .execution_options(synchronize_session=False)
    )
    reverting = gates.needs_revert(found)
    if reverting:
        _insert_revert(act, stage, target)
    target.pinned_reason, target.pinned_by = reason, act.who.user_id or None
    target.pinned_owner, target.pinned_at = owner or act.who.user_id or None, act.now
    sentence = f"{'put back and pinned' if reverting else 'pinned'} {target.name}: {reason}"
    data = {"target_id": target.id, "reason": reason, "owner": target.pinned_owner}
    event(act.session, act.now, act.who.by, "rollback", sentence, stage=stage, data=data)
    return reverting


def failed_targets(session: Session, stage: Stage) -> list[Target]:
    """The targets for which a blocked stage stands still: their work failed, or their runs did."""
    kind = WORK_OF.get(stage.left_state) if stage.left_state is not None else None
    found = [target for _, target in tallies.newest_bad(session, stage.id, stage.generation, kind)] if kind else []
    ids = {target.id for target in found}
    if stage.block_code == "max_run_failures":
        ran = {run.target_id for run in runfailures.failed(session, stage)} - ids
        found += session.execute(select(Target).where(Target.id.in_(ran)).order_by(Target.name)).scalars()
    return found


def pin_failed(
    database: Database, who: Who, now: datetime, rollout_id: int, stage_key: str, reason: str, version: int | None
) -> PinnedFailed | Refuse:
    """Put back and pin every target for which a blocked stage stands still; those that may not be are told."""
    with acting(database, who, now, rollout_id, None) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, version, None):
            return stale(stage_key)
        decision = gates.may_pin_failed(pin_failed_facts(act.standing, stage_key, act.roles))
        if isinstance(decision, Refuse):
            return decision
        pinned, reverting, left = [], 0, []
        for target in failed_targets(act.session, stage):
            found = target_facts(act.session, act.standing, act.roles, target)
            allowed = gates.may_roll_back_target(found)
            if isinstance(allowed, Refuse):
                left.append((target.name, allowed.reasons[0].sentence))
            else:
                reverting += pin_target(act, stage, target, found, reason)
                pinned.append(target.name)
        if pinned:
            post(
                act.session,
                now,
                f"pinned_failed:{stage.id}:{stage.version}:{int(now.timestamp())}",
                "pinned_failed",
                rollout_id=rollout_id,
                stage_id=stage.id,
                ids={"names": pinned[:20], "number": len(pinned), "reason": reason, "by": who.user_id},
            )
            touch_card(act.session, stage)
        return PinnedFailed(stage_key, tuple(pinned), reverting, tuple(left))


def _insert_revert(act: Act, stage: Stage, target: Target) -> None:
    changes = act.session.execute(
        select(Action.kind, Action.attempt, Action.change)
        .where(
            Action.target_id == target.id,
            Action.stage_id == stage.id,
            Action.generation == stage.generation,
            Action.kind.in_([ActionKind.CHANGE, ActionKind.REVERT]),
        )
        .order_by(Action.attempt)
    ).all()
    change = next(c for kind, _, c in reversed(changes) if kind is ActionKind.CHANGE)
    attempts = [attempt for kind, attempt, _ in changes if kind is ActionKind.REVERT]
    act.session.add(
        Action(
            rollout_id=stage.rollout_id,
            stage_id=stage.id,
            generation=stage.generation,
            target_id=target.id,
            workspace=target.workspace,
            kind=ActionKind.REVERT,
            attempt=max(attempts, default=0) + 1,
            change=change,
            created_at=act.now,
        )
    )
    act.session.flush()


def unlock(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    stage_key: str,
    reason: str,
    generation: int | None = None,
) -> Unlocked | Refuse:
    """Make a rolled-back stage ready again, as a new generation."""
    with acting(database, who, now, rollout_id, None) as act:
        stage = act.stages[stage_key]
        if act.is_stale(stage, None, generation):
            return stale(stage_key)
        decision = gates.may_unlock(unlock_facts(act.standing, stage_key, act.roles, reason))
        if isinstance(decision, Refuse):
            return decision
        sentence = f"unlocked {stage_key}: {reason}"
        event(act.session, now, who.by, "unlock", sentence, stage=stage, data={"reason": reason})
        move(
            act.session,
            stage,
            StageState.READY,
            now,
            who.by,
            sentence,
            generation=stage.generation + 1,
            locked=False,
            locked_reason=None,
            locked_by=None,
            left_state=None,
            started_by=None,
            started_at=None,
            change_set_digest=None,
            bake_until=None,
            reviewed_at=None,
            passed_at=None,
            rolled_back_at=None,
            evidence_digest=None,
            evidence_text=None,
            block_code=None,
            block_sentence=None,
            back_since=None,
        )
        ready = act.look().predecessors_passed(stage_key)
        if not ready:
            move(act.session, stage, StageState.WAITING, now, who.by, f"{stage_key} waits for the stages before it")
        return Unlocked(stage_key, ready)
