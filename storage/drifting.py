"""Which targets are held to what we set, and where it is stored that one is not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, null, or_, select, update
from sqlalchemy.orm import Session, aliased

from rollout.change import SUPPORTS
from rollout.drift import Drift, Drifted
from rollout.states import ActionKind, ActionState, StageState
from storage import fences
from storage.attempts import is_newest
from storage.database import Database
from storage.discovered import CHUNK
from storage.dryrun import has_change
from storage.models import Action, Stage, Target
from storage.record import post

#: Stages whose targets have been changed and looked at once more.
_UPGRADED = (StageState.BAKING, StageState.REVIEW, StageState.PASSED, StageState.BLOCKED)
#: Stages that are frozen: what is in none of their actions came later.
_FROZEN = (*_UPGRADED, StageState.PREPARING, StageState.UPGRADING, StageState.VALIDATING)


@dataclass(frozen=True, slots=True)
class Watched:
    """A target with what it is held to. ``change`` is None for what came after the freeze; ``reverted``: put back by
    API although its repository owns it."""

    target_id: int
    kind: str
    object_id: str
    change: dict[str, Any] | None
    written_at: datetime | None  # machine
    drift: dict[str, Any] | None
    reverted: bool = False


def watched(session: Session, rollout_id: int, workspace: str) -> list[Watched]:
    """Every target of the workspace that is held to something."""
    of_rollout = and_(
        Target.rollout_id == rollout_id,
        Target.workspace == workspace,
        Target.gone.is_(False),
        Target.pinned_reason.is_(None),
        Target.kind.not_in(SUPPORTS),
    )
    columns = (Target.id, Target.kind, Target.object_id, Action.change, Action.written_at, Target.drift)
    present = and_(Stage.id == Action.stage_id, Stage.generation == Action.generation)
    acted = (
        select(*columns, Action.kind.label("did"))
        .join(Action, Action.target_id == Target.id)
        .join(Stage, present)
        .where(of_rollout, Action.state == ActionState.DONE, Action.change.is_not(null()), is_newest())
    )
    changed = acted.where(Action.kind == ActionKind.CHANGE, Stage.state.in_(_UPGRADED), ~_has_action(ActionKind.REVERT))
    put_back = acted.where(Action.kind == ActionKind.REVERT, Target.proposal.is_not(null()))
    found = [
        Watched(row[0], row[1], row[2], row[3], row[4], row[5], row[6] is ActionKind.REVERT)
        for query in (changed, put_back)
        for row in session.execute(query)
    ]
    stage = and_(Stage.rollout_id == Target.rollout_id, Stage.key == Target.stage_key)
    here = select(Action.id).where(
        Action.target_id == Target.id, Action.stage_id == Stage.id, Action.generation == Stage.generation
    )
    not_arrived = and_(Target.proposal.is_not(null()), Target.skip_code.like("managed%"))
    late = (
        select(Target.id, Target.kind, Target.object_id, Target.drift)
        .join(Stage, stage)
        .where(of_rollout, Stage.state.in_(_FROZEN), or_(has_change(), not_arrived), ~here.exists())
    )
    return [*found, *(Watched(i, kind, obj, None, None, drift) for i, kind, obj, drift in session.execute(late))]


def _has_action(kind: ActionKind) -> ColumnElement[bool]:
    other = aliased(Action)
    return exists().where(
        other.target_id == Action.target_id,
        other.stage_id == Action.stage_id,
        other.generation == Action.generation,
        other.kind == kind,
        other.state != ActionState.SKIPPED,
    )


def no_longer_watched(database: Database, rollout_id: int, workspace: str, watched: Collection[int]) -> list[int]:
    """Targets that had drifted and are held to nothing any more: pinned, put back, gone."""
    with database.read() as session:
        rows = session.execute(
            select(Target.id).where(
                Target.rollout_id == rollout_id, Target.workspace == workspace, Target.drift.is_not(null())
            )
        ).scalars()
        return [target_id for target_id in rows if target_id not in watched]


def store(database: Database, drifts: Mapping[int, dict[str, Any] | None]) -> None:
    """Set or clear the drift of these targets."""
    rows = list(drifts.items())
    for start in range(0, len(rows), CHUNK):
        with database.write() as session:
            for target_id, drift in rows[start : start + CHUNK]:
                session.execute(update(Target).where(Target.id == target_id).values(drift=drift))


def drifted(session: Session, rollout_id: int, most: int = 2000) -> list[Drifted]:
    """What is not as we set it, by stage and name."""
    rows = session.execute(
        select(
            Target.name,
            Target.workspace,
            Target.kind,
            Target.stage_key,
            Target.owner,
            Target.repository,
            Target.drift,
        )
        .where(_is_drifted(rollout_id))
        .order_by(Target.stage_key, Target.workspace, Target.name, Target.id)
        .limit(most)
    )
    return [Drifted(n, w, k, s, o, r, Drift.from_json(d)) for n, w, k, s, o, r, d in rows if d is not None]


def report(database: Database, rollout_id: int, period: str, now: datetime) -> bool:
    """Queue the report of a day once, if anything drifted; False when it was queued before or there is nothing."""
    with database.read() as session:
        if not session.execute(select(func.count()).select_from(Target).where(_is_drifted(rollout_id))).scalar_one():
            return False
        if fences.taken(session, "drift", rollout_id, period):
            return False
    with database.write() as session:
        if not fences.take(session, "drift", rollout_id, period, now):
            return False
        return post(session, now, f"drift:{rollout_id}:{period}", "drift", rollout_id=rollout_id, ids={"day": period})


def _is_drifted(rollout_id: int) -> ColumnElement[bool]:
    return and_(Target.rollout_id == rollout_id, Target.drift.is_not(null()), Target.gone.is_(False))
