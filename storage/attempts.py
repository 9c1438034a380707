"""How a stage's actions stand, by the newest attempt of each target; and new ones."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, func, insert, null, or_, select
from sqlalchemy.orm import Session, aliased

from rollout.change import WIDENS_AGAIN
from rollout.limits import allowed
from rollout.states import ACTION_BAD, BACKWARD, ActionKind, ActionState
from storage.models import Action, Stage, Target
from storage.plans import plan_of

#: In the stored text of a change: a policy takes the old runtime again, before its targets go back.
WIDENING_AGAIN: Final = f'%"step": "{WIDENS_AGAIN}"%'


def is_newest(of: type[Action] = Action) -> ColumnElement[bool]:
    """No newer attempt replaced the action; ``of``: the table under another name."""
    later = aliased(Action)
    superseded = (
        select(later.id)
        .where(
            later.stage_id == of.stage_id,
            later.generation == of.generation,
            later.target_id == of.target_id,
            later.kind == of.kind,
            later.attempt > of.attempt,
        )
        .exists()
    )
    return ~superseded


def is_newest_bad() -> ColumnElement[bool]:
    """The action failed or is in conflict, and no newer attempt replaced it."""
    return and_(Action.state.in_(ACTION_BAD), is_newest())


def newest(
    stage_id: int | BindParameter[int],
    generation: int | BindParameter[int],
    kind: ActionKind | BindParameter[ActionKind],
) -> ColumnElement[bool]:
    """Actions of one kind of work that are the newest attempt of their target.

    Failures and openness are judged on the newest attempt only, so that a retry clears what it repeats.
    """
    return and_(Action.stage_id == stage_id, Action.generation == generation, Action.kind == kind, is_newest())


def seen_before_changes(session: Session, stage_id: int, generation: int) -> dict[int, dict[str, Any]]:
    """Target id -> what was seen of it just before the newest write of its change; without those that none was sent to.

    Of the newest write, not of the newest attempt: a retry that finds the change made already writes nothing.
    """
    rows = session.execute(
        select(Action.target_id, Action.seen)
        .where(
            Action.stage_id == stage_id,
            Action.generation == generation,
            Action.kind == ActionKind.CHANGE,
            Action.seen.is_not(null()),
        )
        .order_by(Action.attempt)
    )
    return {target_id: dict(seen) for target_id, seen in rows if seen and "state" in seen}


def counts(session: Session, stage_id: int, generation: int, kind: ActionKind) -> dict[ActionState, int]:
    """How many targets stand where with one kind of action, by their newest attempt; pinned ones that failed or were
    never begun are left out."""
    rows = session.execute(_COUNTS, {"stage": stage_id, "generation": generation, "kind": kind}).all()
    found: dict[ActionState, int] = {}
    for state, number in rows:
        known = (
            state if isinstance(state, ActionState) else ActionState.RUNNING
        )  # a newer process has it: it is not done
        found[known] = found.get(known, 0) + number
    return found


def failures(session: Session, stage_id: int, generation: int, kind: ActionKind) -> int:
    """How many targets failed or are in conflict, by their newest attempt; of forward work pinned ones are left out."""
    of = {"stage": stage_id, "generation": generation, "kind": kind}
    return session.execute(_FAILURES_BACKWARD if kind in BACKWARD else _FAILURES_FORWARD, of).scalar_one()


# Asked all the time, and built once.
_COUNTS = (
    select(Action.state, func.count())
    .join(Target, Target.id == Action.target_id)
    .where(
        newest(bindparam("stage"), bindparam("generation"), bindparam("kind")),
        or_(
            Target.pinned_reason.is_(None),
            Action.state == ActionState.RUNNING,
            Action.kind.in_(BACKWARD),
        ),
    )
    .group_by(Action.state)
)
_FAILURES_BACKWARD = (
    select(func.count())
    .select_from(Action)
    .join(Target, Target.id == Action.target_id)
    .where(
        Action.stage_id == bindparam("stage"),
        Action.generation == bindparam("generation"),
        Action.kind == bindparam("kind"),
        Action.state.in_(ACTION_BAD),
        is_newest_bad(),
    )
)
_FAILURES_FORWARD = _FAILURES_BACKWARD.where(Target.pinned_reason.is_(None))


def allowed_failures(session: Session, stage: Stage) -> int:
    """How many failed targets spend the stage's limit: a per cent is of its change set, pinned targets included."""
    limit = plan_of(stage.rollout).stage(stage.key).max_failures
    total = 0
    if not isinstance(limit, int):
        total = session.execute(
            select(func.count(func.distinct(Action.target_id))).where(
                Action.stage_id == stage.id,
                Action.generation == stage.generation,
                Action.kind == ActionKind.BACKUP,
                Action.change.is_not(null()),  # what a repository owns is no part of the change set
            )
        ).scalar_one()
    return allowed(limit, total)


def insert_actions(session: Session, rows: Iterable[Mapping[str, Any]]) -> int:
    """Insert pending actions in bulk; returns how many."""
    made = [{"state": ActionState.PENDING, "looks": 0, "epoch": 0, **row} for row in rows]
    if made:
        session.execute(insert(Action), made)
    return len(made)
