"""What is compared with its backup after it was put back: asked for as actions, and what came of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from rollout.change import SUPPORTS
from rollout.comparing import Compared
from rollout.states import ACTION_BAD, ACTION_ENDED, ActionKind, ActionState
from storage.attempts import insert_actions, is_newest
from storage.models import Action, Backup, Stage, Target

#: Reason codes of what was looked at and is not equal.
DIFFERS: Final = "differs_from_backup"
GONE: Final = "target_gone"
#: Targets of one query.
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one comparison that does not say equal. ``fields`` are masked; ``number`` is how many differ."""

    target_id: int
    name: str
    kind: str
    workspace: str
    repository: str | None
    state: ActionState
    code: str
    sentence: str
    fields: tuple[Mapping[str, str], ...]
    number: int
    at: datetime | None
    left_in_use: bool = False


def ask(session: Session, stage: Stage, now: datetime) -> int:
    """Have every target with a backup of this generation compared that was not in this rollback; returns how many.

    The stage is locked. What has work under way is left out: it is asked for once that has ended.
    """
    other = aliased(Action)
    of_target = (other.target_id == Backup.target_id, other.stage_id == stage.id)
    compared = select(other.id).where(
        *of_target,
        other.generation == stage.generation,
        other.kind == ActionKind.COMPARE,
        other.id > (stage.back_since or 0),
    )
    under_way = select(other.id).where(other.target_id == Backup.target_id, other.state.not_in(ACTION_ENDED))
    targets = session.execute(
        select(Backup.target_id)
        .where(
            Backup.stage_id == stage.id,
            Backup.generation == stage.generation,
            ~compared.exists(),
            ~under_way.exists(),
        )
        .order_by(Backup.target_id.desc())
    ).scalars()
    wanted, rows = list(targets), list[dict[str, Any]]()
    for start in range(0, len(wanted), _CHUNK):
        rows += _rows(session, stage.rollout_id, stage.id, stage.generation, wanted[start : start + _CHUNK], now)
    return insert_actions(session, rows)


def ask_one(
    session: Session, rollout_id: int, stage_id: int, generation: int, target_id: int, now: datetime, equal: bool
) -> None:
    """Have one target compared that has just been put back; ``equal``: that look has shown it, and this is kept."""
    rows = _rows(session, rollout_id, stage_id, generation, [target_id], now)
    ended = {"state": ActionState.DONE, "started_at": now, "ended_at": now} if equal else {}
    insert_actions(session, [{**row, **ended} for row in rows])


#: Asked for every target that is put back, and built once.
_ACTIONS_OF = (
    select(Action.target_id, Action.workspace, Action.kind, Action.attempt, Action.change)
    .where(
        Action.stage_id == bindparam("stage"),
        Action.generation == bindparam("generation"),
        Action.target_id.in_(bindparam("targets", expanding=True)),
    )
    .order_by(Action.id)
)


def _rows(
    session: Session, rollout_id: int, stage_id: int, generation: int, targets: Sequence[int], now: datetime
) -> list[dict[str, Any]]:
    """The new actions: each carries what we had written, so that the three values can be told apart."""
    written: dict[int, dict[str, Any] | None] = {}
    tried: dict[int, int] = defaultdict(int)
    workspaces: dict[int, str] = {}
    of = {"stage": stage_id, "generation": generation, "targets": list(targets)}
    for target_id, workspace, kind, attempt, change in session.execute(_ACTIONS_OF, of):
        workspaces[target_id] = workspace
        if kind is ActionKind.COMPARE:
            tried[target_id] = max(tried[target_id], attempt)
        elif kind is not ActionKind.BACKUP and change is not None:
            written[target_id] = change
    return [
        {
            "rollout_id": rollout_id,
            "stage_id": stage_id,
            "generation": generation,
            "target_id": target_id,
            "workspace": workspaces[target_id],
            "kind": ActionKind.COMPARE,
            "attempt": tried[target_id] + 1,
            "change": written.get(target_id),
            "created_at": now,
        }
        for target_id in targets
        if target_id in workspaces
    ]


def _of_rollback(stage_id: int, generation: int, since: int) -> ColumnElement[bool]:
    return and_(
        Action.stage_id == stage_id,
        Action.generation == generation,
        Action.kind == ActionKind.COMPARE,
        Action.id > since,
        is_newest(),
    )


def counts(session: Session, rollout_id: int) -> dict[int, Compared]:
    """Stage id -> how its targets stand to their backups, of the newest rollback of its present generation.

    What has a backup and no comparison yet is waiting: nothing is ever counted as equal that was not read.
    """

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((condition, 1), else_=0))

    done = Action.state == ActionState.DONE
    found: dict[int, Compared] = {}
    backed_up = session.execute(
        select(Backup.stage_id, func.count(), number(Target.kind.in_(SUPPORTS)))
        .join(Target, Target.id == Backup.target_id)
        .join(Stage, and_(Stage.id == Backup.stage_id, Stage.generation == Backup.generation))
        .where(Stage.rollout_id == rollout_id, Stage.back_since.is_not(None))
        .group_by(Backup.stage_id)
    ).all()
    if not backed_up:
        return found
    rows = {
        stage_id: tuple(int(n) for n in numbers)
        for stage_id, *numbers in session.execute(
            select(
                Action.stage_id,
                number(and_(done, Action.reason_code.is_(None))),
                number(and_(done, Action.reason_code == DIFFERS)),
                number(and_(done, Action.reason_code == GONE)),
                number(or_(Action.state.in_(ACTION_BAD), Action.state == ActionState.SKIPPED)),
            )
            .join(Stage, and_(Stage.id == Action.stage_id, Stage.generation == Action.generation))
            .where(
                Stage.rollout_id == rollout_id,
                Action.kind == ActionKind.COMPARE,
                Action.id > Stage.back_since,
                is_newest(),
            )
            .group_by(Action.stage_id)
        )
    }
    for stage_id, total, supports in backed_up:
        equal, differ, gone, unread = rows.get(stage_id, (0, 0, 0, 0))
        waiting = max(total - equal - differ - gone - unread, 0)
        found[stage_id] = Compared(equal, differ, gone, unread, waiting, int(supports))
    return found


def not_equal(
    session: Session, stage_id: int, generation: int, since: int, limit: int, offset: int = 0
) -> tuple[list[Result], int]:
    """A page of what is not as its backup says or could not be looked at, by workspace and name; and the total."""
    wanted = and_(
        _of_rollback(stage_id, generation, since),
        or_(
            Action.state.in_(ACTION_BAD),
            Action.state == ActionState.SKIPPED,
            and_(Action.state == ActionState.DONE, Action.reason_code.is_not(None)),
        ),
    )
    total = session.execute(select(func.count()).select_from(Action).where(wanted)).scalar_one()
    rows = session.execute(
        select(Action, Target)
        .join(Target, Target.id == Action.target_id)
        .where(wanted)
        .order_by(Target.workspace, Target.kind, Target.name, Target.id)
        .limit(limit)
        .offset(offset)
    ).all()
    left = set(
        session.execute(
            select(Action.target_id).where(
                Action.stage_id == stage_id,
                Action.generation == generation,
                Action.target_id.in_([t.id for _, t in rows]),
                Action.kind == ActionKind.REVERT,
                Action.reason_code == "support_in_use",
                is_newest(),
            )
        ).scalars()
    )
    return [_result(a, t, t.id in left) for a, t in rows], total


def of_target(session: Session, target_id: int) -> tuple[Action, Target] | None:
    """The newest comparison of one target that has ended or goes on, of any generation."""
    row = session.execute(
        select(Action, Target)
        .join(Target, Target.id == Action.target_id)
        .where(Action.target_id == target_id, Action.kind == ActionKind.COMPARE)
        .order_by(Action.id.desc())
        .limit(1)
    ).first()
    return (row[0], row[1]) if row is not None else None


def result_of(action: Action, target: Target) -> Result:
    """One comparison, also one that says equal (its code is empty then)."""
    return _result(action, target, False)


def _result(action: Action, target: Target, left: bool) -> Result:
    outcome = action.outcome or {}
    return Result(
        target.id,
        target.name,
        target.kind,
        target.workspace,
        target.repository if target.managed_by else None,
        action.state,
        action.reason_code or "",
        action.sentence or "",
        tuple(outcome.get("fields") or ()),
        int(outcome.get("number") or 0),
        action.ended_at,
        left,
    )
