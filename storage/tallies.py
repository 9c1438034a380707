"""How work goes: what failed, how fast it is, which targets are on which runtime."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from rollout.change import NARROWS, SUPPORTS
from rollout.states import ACTION_BAD, BACKWARD, ActionKind, ActionState, StageState
from storage.attempts import is_newest, is_newest_bad
from storage.models import Action, Stage, Target


def newest_bad(session: Session, stage_id: int, generation: int, kind: ActionKind) -> Sequence[tuple[Action, Target]]:
    """Newest attempts that failed or are in conflict, with their targets; forward work leaves pinned ones out."""
    rows = session.execute(
        select(Action, Target)
        .join(Target, Target.id == Action.target_id)
        .where(
            Action.stage_id == stage_id,
            Action.generation == generation,
            Action.kind == kind,
            is_newest_bad(),
        )
        .order_by(Target.workspace, Target.kind, Target.name)
    )
    return [(a, t) for a, t in rows if kind in BACKWARD or t.pinned_reason is None]


def pace(session: Session, stage_id: int, generation: int, kind: ActionKind) -> tuple[int, datetime | None]:
    """How many actions of that kind were carried out to an end, and when the first of them began (calendar)."""
    ended, began = session.execute(
        select(func.count(Action.ended_at), func.min(Action.started_at)).where(
            Action.stage_id == stage_id,
            Action.generation == generation,
            Action.kind == kind,
            Action.started_at.is_not(None),
        )
    ).one()
    return ended, began


def newest_change(session: Session, target_id: int) -> dict[str, Any] | None:
    """What was last written, or is to be written, to a target; None if nothing ever was."""
    return session.execute(
        select(Action.change)
        .where(Action.target_id == target_id, Action.kind.in_([ActionKind.BACKUP, ActionKind.CHANGE]))
        .order_by(Action.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def changed_supports(session: Session, stage_ids: Collection[int]) -> list[tuple[str, str, str]]:
    """(Kind, name, workspace) of the supports that the present generations of these stages have changed."""
    rows = session.execute(
        select(Target.kind, Target.name, Target.workspace)
        .distinct()
        .join(Action, Action.target_id == Target.id)
        .join(Stage, and_(Stage.id == Action.stage_id, Stage.generation == Action.generation))
        .where(
            Stage.id.in_(stage_ids),
            Target.kind.in_(SUPPORTS),
            Action.kind == ActionKind.CHANGE,
            Action.state == ActionState.DONE,
        )
        .order_by(Target.workspace, Target.name, Target.kind)
    )
    return [(kind, name, workspace) for kind, name, workspace in rows]


def left_widened(session: Session, rollout_id: int) -> list[tuple[str, str]]:
    """(Name, workspace) of the policies that passed stages widened and that take the old runtime still."""
    rows = session.execute(
        select(Target.name, Target.workspace, Action.change)
        .join(Action, Action.target_id == Target.id)
        .join(Stage, and_(Stage.id == Action.stage_id, Stage.generation == Action.generation))
        .where(
            Target.rollout_id == rollout_id,
            Target.kind == "policy",
            Target.gone.is_(False),
            Stage.state == StageState.PASSED,
            Action.kind == ActionKind.CHANGE,
            Action.state == ActionState.DONE,
        )
        .order_by(Target.workspace, Target.name, Action.id)
    )
    newest = {(name, workspace): change for name, workspace, change in rows}
    return [key for key, change in newest.items() if (change or {}).get("step") != NARROWS]


def left_in_use(session: Session, rollout_id: int) -> dict[int, int]:
    """Stage id -> how many supports the rollback of its present generation left as they were changed."""
    rows = session.execute(
        select(Action.stage_id, func.count())
        .join(Stage, and_(Stage.id == Action.stage_id, Stage.generation == Action.generation))
        .where(
            Stage.rollout_id == rollout_id,
            Action.kind == ActionKind.REVERT,
            Action.state == ActionState.SKIPPED,
            Action.reason_code == "support_in_use",
            is_newest(),
        )
        .group_by(Action.stage_id)
    )
    return {int(row[0]): int(row[1]) for row in rows}


def runtimes(session: Session, rollout_id: int) -> dict[tuple[str | None, str], int]:
    """(Stage key, release) -> how many targets are on it."""
    return {
        (key, release): number
        for key, release, number in session.execute(
            select(Target.stage_key, Target.release, func.count())
            .where(Target.rollout_id == rollout_id, Target.gone.is_(False), Target.kind.not_in(SUPPORTS))
            .group_by(Target.stage_key, Target.release)
        )
    }


def failures_since(session: Session, rollout_id: int, since: datetime) -> list[tuple[str, ActionKind, str, int]]:
    """(Stage key, kind, reason code, number) of actions that failed since then, the most frequent first."""
    rows = session.execute(
        select(Stage.key, Action.kind, Action.reason_code, func.count())
        .join(Stage, Stage.id == Action.stage_id)
        .where(Action.rollout_id == rollout_id, Action.state.in_(ACTION_BAD), Action.ended_at >= since)
        .group_by(Stage.key, Action.kind, Action.reason_code)
        .order_by(func.count().desc(), Stage.key)
    )
    return [(key, kind, code or "failed", number) for key, kind, code, number in rows]


def waiting_for_runs(session: Session, rollout_id: int) -> dict[int, list[str]]:
    """Stage id -> the names of clusters whose change waits until the runs on them have ended."""
    rows = session.execute(
        select(Action.stage_id, Target.name)
        .join(Stage, and_(Stage.id == Action.stage_id, Stage.generation == Action.generation))
        .join(Target, Target.id == Action.target_id)
        .where(
            Action.rollout_id == rollout_id,
            Action.state == ActionState.PENDING,
            Action.reason_code == "cluster_busy",
        )
        .order_by(Target.name)
    )
    found: dict[int, list[str]] = {}
    for stage_id, name in rows:
        found.setdefault(stage_id, []).append(name)
    return found
