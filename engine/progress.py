"""Move stages on: level-triggered, from what the actions say now, never from what was planned (DESIGN 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Text, and_, bindparam, cast, exists, func, null, or_, select, update
from sqlalchemy.orm import Session, aliased

from engine import watch
from engine.parts import Parts
from rollout.change import NARROWS, SUPPORTS, WIDENS_AGAIN, Change
from rollout.states import ACTION_BAD, ACTION_ENDED, BACKWARD, WORK_OF, ActionKind, ActionState, StageState
from storage import attempts, comparing, escalating
from storage.models import Action, Stage, Target, Workspace
from storage.plans import plan_of
from storage.record import ENGINE, post, touch_card
from storage.transitions import Lost, lock_stage, move

_NEXT = {
    StageState.PREPARING: (StageState.UPGRADING, ActionKind.CHANGE, "Every target is backed up; changing them."),
    StageState.UPGRADING: (StageState.VALIDATING, ActionKind.VALIDATE, "Every target is changed; looking once more."),
}
#: What an action takes over from the one before it. Not whole rows: there may be thousands, under the stage's lock.
_COPIED = (
    Action.rollout_id,
    Action.stage_id,
    Action.generation,
    Action.target_id,
    Action.workspace,
    Action.change,
)
#: Asked at every pass: while anything is in flight the others need not be counted.
_RUNNING = (
    select(Action.id)
    .where(
        Action.stage_id == bindparam("stage"),
        Action.generation == bindparam("generation"),
        Action.kind == bindparam("kind"),
        Action.state == ActionState.RUNNING,
    )
    .limit(1)
)
#: In the stored text of a change: a policy lost the old runtime.
_NARROWING = f'%"step": "{NARROWS}"%'
_WORDS = {ActionKind.BACKUP: "backups", ActionKind.CHANGE: "changes", ActionKind.VALIDATE: "looks after the change"}


def advance(parts: Parts, stage_id: int) -> bool:
    """Move the stage on if its actions say so; True when it moved. Another replica may be quicker: then nothing."""
    with parts.database.read() as session:
        stage = session.get(Stage, stage_id)
        if stage is None or not _something_to_do(session, stage):
            return False
    try:
        with parts.database.write() as session:
            return _advance(session, lock_stage(session, stage_id), parts.calendar())
    except Lost:
        return False


def _something_to_do(session: Session, stage: Stage) -> bool:
    """A cheap look before the write transaction, so that an idle engine does not take the database's only writer."""
    kind = WORK_OF.get(stage.state)
    if kind is None:
        return False
    if kind is ActionKind.REVERT:
        return not _later_still_rolling_back(session, stage) and _open(session, stage, ActionKind.REVERT) == 0
    of = {"stage": stage.id, "generation": stage.generation, "kind": kind}
    if session.execute(_RUNNING, of).first() is not None:
        return False
    found = attempts.counts(session, stage.id, stage.generation, kind)
    return found.get(ActionState.RUNNING, 0) == 0 and (
        not found.get(ActionState.PENDING, 0) or any(found.get(s, 0) for s in ACTION_BAD)
    )


def _advance(session: Session, stage: Stage, now: datetime) -> bool:
    kind = WORK_OF.get(stage.state)
    if kind is None:
        return False
    if kind is ActionKind.REVERT:
        return _advance_rollback(session, stage, now)
    found = attempts.counts(session, stage.id, stage.generation, kind)
    running, pending = found.get(ActionState.RUNNING, 0), found.get(ActionState.PENDING, 0)
    bad = sum(found.get(s, 0) for s in ACTION_BAD)
    if running:
        return False
    spent = bad >= attempts.allowed_failures(session, stage)
    if bad and (not pending or spent or _support_failed(session, stage, kind)):
        _block(session, stage, kind, bad, pending, now)
        return True
    if pending:
        return False
    _next_state(session, stage, found, now)
    return True


def _support_failed(session: Session, stage: Stage, kind: ActionKind) -> bool:
    """Targets wait for the supports that they need: when one failed, nothing goes on by itself."""
    return session.execute(
        select(
            exists().where(
                Action.target_id == Target.id,
                Target.kind.in_(SUPPORTS),
                attempts.newest(stage.id, stage.generation, kind),
                Action.state.in_(ACTION_BAD),
            )
        )
    ).scalar_one()


def _next_state(session: Session, stage: Stage, found: Mapping[ActionState, int], now: datetime) -> None:
    if stage.state is StageState.VALIDATING:
        bake = plan_of(stage.rollout).stage(stage.key).bake
        until = now + timedelta(seconds=bake)
        sentence = (
            f"Every changed target holds; under watch until {until:%Y-%m-%d %H:%M} UTC."
            if bake
            else "Every changed target holds."
        )
        move(session, stage, StageState.BAKING, now, ENGINE, sentence, bake_until=until)
        if not watch.is_watched(plan_of(stage.rollout), stage.key):
            # No time to watch and no runs to read: nobody should see it bake for a moment.
            watch.open_review(session, stage, now)
        return
    to, kind, sentence = _NEXT[stage.state]
    came_from = WORK_OF[stage.state]
    move(session, stage, to, now, ENGINE, sentence)
    previous = session.execute(
        select(*_COPIED)
        .join(Target, Target.id == Action.target_id)
        .where(
            attempts.newest(stage.id, stage.generation, came_from),
            Action.state == ActionState.DONE,
            Action.change.is_not(null()),  # what a repository owns is backed up, and changed by that repository
            Target.pinned_reason.is_(None),
        )
        .order_by(Action.id)
    )
    attempts.insert_actions(session, [_like(a, kind, now) for a in previous])


def _like(action: Row[Any], kind: ActionKind, now: datetime) -> dict[str, Any]:
    return {**action._mapping, "kind": kind, "attempt": 1, "created_at": now}


def _block(session: Session, stage: Stage, kind: ActionKind, bad: int, pending: int, now: datetime) -> None:
    code = "max_failures" if pending else "actions_failed"
    what = _WORDS.get(kind, str(kind))
    held = f" {pending} more were not begun." if pending else ""
    block(session, stage, code, f"{bad} {what} failed.{held}", now)


def block(session: Session, stage: Stage, code: str, sentence: str, now: datetime) -> None:
    """A person is needed: the locked stage stops where it is, and says so."""
    left = stage.state
    move(
        session,
        stage,
        StageState.BLOCKED,
        now,
        ENGINE,
        sentence,
        left_state=left,
        block_code=code,
        block_sentence=sentence,
    )
    key = f"stage_blocked:{stage.id}:{stage.version}"
    escalating.begin(session, stage, "blocked", f"it is blocked: {sentence}", key, now)
    post(session, now, key, "stage_blocked", rollout_id=stage.rollout_id, stage_id=stage.id, repeat=True)


# -- backward ----------------------------------------------------------------------------------------------------------


def _advance_rollback(session: Session, stage: Stage, now: datetime) -> bool:
    if _later_still_rolling_back(session, stage):
        return False
    _drop_unbegun(session, stage, now)
    inserted = attempts.insert_actions(session, _to_widen_again(session, stage, now))
    tried = _tries(session, stage)
    reverts = [_like(a, ActionKind.REVERT, now) for a in _to_revert(session, stage)]
    inserted += attempts.insert_actions(session, [{**r, "attempt": tried.get(r["target_id"], 0) + 1} for r in reverts])
    if inserted:
        touch_card(session, stage)
        return False
    if _open(session, stage, None):
        return False
    if comparing.ask(session, stage, now):
        touch_card(session, stage)
        return False
    found = attempts.counts(session, stage.id, stage.generation, ActionKind.REVERT)
    bad = sum(found.get(s, 0) for s in ACTION_BAD)
    back = found.get(ActionState.DONE, 0)
    sentence = f"{back} of {back + bad} are back as they were." if back + bad else "Nothing had changed."
    if kept := found.get(ActionState.SKIPPED, 0):
        sentence += f" {kept} {'support stays' if kept == 1 else 'supports stay'} as changed: still needed."
    move(
        session,
        stage,
        StageState.ROLLED_BACK,
        now,
        ENGINE,
        sentence,
        rolled_back_at=now,
        block_code="actions_failed" if bad else None,
        block_sentence=f"{bad} could not be put back." if bad else None,
    )
    _look_once_more(session, stage, now)
    key = f"rollback_ended:{stage.id}:{stage.version}"
    post(session, now, key, "rollback_ended", rollout_id=stage.rollout_id, stage_id=stage.id, repeat=True)
    return True


def _later_still_rolling_back(session: Session, stage: Stage) -> bool:
    return session.execute(
        select(
            exists().where(
                Stage.rollout_id == stage.rollout_id,
                Stage.position > stage.position,
                Stage.state == StageState.ROLLING_BACK,
            )
        )
    ).scalar_one()


def _drop_unbegun(session: Session, stage: Stage, now: datetime) -> None:
    session.execute(
        update(Action)
        .where(
            Action.stage_id == stage.id,
            Action.generation == stage.generation,
            Action.kind.not_in(BACKWARD),
            Action.state == ActionState.PENDING,
        )
        .values(state=ActionState.SKIPPED, ended_at=now, sentence="Not begun: the stage was rolled back.")
        .execution_options(synchronize_session=False)
    )


def _to_widen_again(session: Session, stage: Stage, now: datetime) -> list[dict[str, Any]]:
    """For each policy that was narrowed: what lets it take the old runtime again, once, before its targets go back."""
    reverted = aliased(Action)
    rows = session.execute(
        select(*_COPIED, Action.id)
        .where(
            Action.stage_id == stage.id,
            Action.generation == stage.generation,
            Action.kind == ActionKind.CHANGE,
            Action.state.in_([ActionState.DONE, *ACTION_BAD]),
            cast(Action.change, Text).like(_NARROWING),
            ~select(reverted.id)
            .where(
                reverted.target_id == Action.target_id,
                reverted.stage_id == stage.id,
                reverted.generation == stage.generation,
                or_(reverted.kind == ActionKind.REVERT, reverted.state.not_in(ACTION_ENDED)),
            )
            .exists(),
        )
        .order_by(Action.id)
    ).all()
    newest = {row.target_id: row for row in rows}
    return [_widening_again(row, now) for row in newest.values()]


def _widening_again(row: Row[Any], now: datetime) -> dict[str, Any]:
    narrowing = Change.from_json(row.change)
    made = {name: value for name, value in row._mapping.items() if name != "id"}
    again = replace(narrowing, step=WIDENS_AGAIN, notes=("it takes the old runtime again",))
    return {**made, "change": again.to_json(), "kind": ActionKind.REVERT, "attempt": 1, "created_at": now}


def _tries(session: Session, stage: Stage) -> dict[int, int]:
    """Target -> the last attempt of a revert in this generation, where there was one."""
    rows = session.execute(
        select(Action.target_id, func.max(Action.attempt))
        .where(Action.stage_id == stage.id, Action.generation == stage.generation, Action.kind == ActionKind.REVERT)
        .group_by(Action.target_id)
    )
    return {target: int(attempt) for target, attempt in rows}


def _to_revert(session: Session, stage: Stage) -> Sequence[Row[Any]]:
    """For each target that may have been written to and has no revert yet: the newest change that may have done it.

    Not simply the newest attempt: a retry that was never begun says nothing of what the attempt before it wrote.
    Supports come once no target is in flight any more: one that still needs them would leave them as they are for good.
    """
    of_stage = (Action.stage_id == stage.id) & (Action.generation == stage.generation)
    may_have_written = Action.state.in_([ActionState.DONE, *ACTION_BAD]) | Action.intent_at.is_not(None)
    other = aliased(Action)
    reverted = (
        select(other.id)
        .where(
            other.target_id == Action.target_id,
            other.stage_id == stage.id,
            other.generation == stage.generation,
            other.kind == ActionKind.REVERT,
            # That a policy takes the old runtime again is not yet its way back; that it could not is asked again first.
            or_(
                cast(other.change, Text).not_like(attempts.WIDENING_AGAIN),
                and_(other.state.in_(ACTION_BAD), attempts.is_newest(other)),
            ),
        )
        .exists()
    )
    still_open = select(other.id).where(other.target_id == Action.target_id, other.state.not_in(ACTION_ENDED)).exists()
    newest = (
        select(func.max(Action.id))
        .where(of_stage, Action.kind == ActionKind.CHANGE, may_have_written, ~reverted, ~still_open)
        .group_by(Action.target_id)
    )
    in_flight = session.execute(
        select(
            exists().where(
                Action.target_id == Target.id,
                of_stage,
                Action.kind != ActionKind.COMPARE,
                Action.state.not_in(ACTION_ENDED),
                Target.kind.not_in(SUPPORTS),
            )
        )
    ).scalar_one()
    if in_flight:
        newest = newest.join(Target, Target.id == Action.target_id).where(Target.kind.not_in(SUPPORTS))
    return session.execute(select(*_COPIED).where(Action.id.in_(newest)).order_by(Action.id.desc())).all()


def _look_once_more(session: Session, stage: Stage, now: datetime) -> None:
    """Ask for a fresh look at where the stage had changes: what is there now is shown, whatever the journal says."""
    touched = select(Action.workspace).where(Action.stage_id == stage.id, Action.generation == stage.generation)
    session.execute(
        update(Workspace)
        .where(Workspace.key.in_(touched))
        .values(look_wanted_at=now)
        .execution_options(synchronize_session=False)
    )


def _open(session: Session, stage: Stage, kind: ActionKind | None) -> int:
    query = select(func.count()).where(
        Action.stage_id == stage.id, Action.generation == stage.generation, Action.state.not_in(ACTION_ENDED)
    )
    if kind is not None:
        query = query.where(Action.kind == kind)
    return session.execute(query).scalar_one()
