"""Look at all changed targets of a stage at once, by listing, before those that need it are looked at one by one.

A listing that begins once every change has ended shows what holds now in a call for each hundred targets. What it
does not show as changed and at rest is left to an action of its own, which reads twice before it says anything.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select, update

from engine.judging import Stands, judge, lost
from engine.parts import Parts
from engine.replan import note_present_states
from rollout.change import SUPPORTS, Change, Raw
from rollout.states import ActionKind, ActionState
from storage import attempts
from storage.models import Action, Stage, Target
from workspace.errors import WorkspaceError
from workspace.kinds import KINDS

log = structlog.get_logger(__name__)

#: From so many targets of a kind in a workspace on, a listing costs less than reading each.
WORTH_LISTING = 3
#: So many are written in one transaction: nobody should wait long for the database's writer.
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Wanted:
    action_id: int
    target_id: int
    change: Change
    before: dict[str, Any]  # what was seen just before the change


def confirm(parts: Parts, stage_id: int) -> None:
    """End the looks after the change of every target that a listing shows changed and at rest.

    Never raises for what a workspace answers: what could not be listed is looked at one by one.
    """
    for (workspace, kind), wanted in sorted(_wanted(parts, stage_id).items()):
        client = parts.clients.get(workspace)
        if client is None or len(wanted) < WORTH_LISTING:
            continue
        began = parts.database.machine()
        held: list[tuple[_Wanted, Raw]] = []
        try:
            for found in KINDS[kind].discover(client):
                one = wanted.get(found.object_id)
                if one is not None and _holds(kind, one, found.raw):
                    held.append((one, found.raw))
                    if len(held) == AT_ONCE:
                        _end(parts, kind, held, began)
                        held.clear()
        except WorkspaceError as error:
            log.warning("not_listed", workspace=workspace, kind=kind, error=str(error))
        _end(parts, kind, held, began)


def _of(stage_id: int) -> Sequence[Any]:
    return (
        Action.stage_id == stage_id,
        Action.generation == Stage.generation,
        Action.kind == ActionKind.VALIDATE,
        Action.state == ActionState.PENDING,
        Action.started_at.is_(None),
    )


def _wanted(parts: Parts, stage_id: int) -> dict[tuple[str, str], dict[str, _Wanted]]:
    """By workspace and kind, by object id."""
    found: dict[tuple[str, str], dict[str, _Wanted]] = defaultdict(dict)
    with parts.database.read() as session:
        stage = session.execute(select(Stage).where(Stage.id == stage_id)).scalar_one()
        seen = attempts.seen_before_changes(session, stage.id, stage.generation)
        rows = session.execute(
            select(Action.id, Action.change, Target.id, Target.workspace, Target.kind, Target.object_id)
            .join(Target, Target.id == Action.target_id)
            .join(Stage, Stage.id == Action.stage_id)
            .where(*_of(stage_id), Action.change.is_not(None), Target.kind.not_in(SUPPORTS))
        )
        for action_id, change, target_id, workspace, kind, object_id in rows:
            one = _Wanted(action_id, target_id, Change.from_json(change), seen.get(target_id, {}))
            found[workspace, kind][object_id] = one
    return found


def _holds(kind: str, wanted: _Wanted, raw: Raw) -> bool:
    if judge(KINDS[kind], wanted.change, wanted.before, raw).stands is not Stands.YES:
        return False
    return lost(KINDS[kind], wanted.before, raw) is None


def _end(parts: Parts, kind: str, held: Sequence[tuple[_Wanted, Raw]], began: datetime) -> None:
    """Only what nobody began meanwhile, and what a rollback did not drop."""
    if not held:
        return
    with parts.database.write() as session:
        now = parts.calendar()
        ended = session.execute(
            update(Action)
            .where(Action.id.in_([one.action_id for one, _ in held]), Action.state == ActionState.PENDING)
            .values(state=ActionState.DONE, started_at=now, ended_at=now)
            .returning(Action.id)
            .execution_options(synchronize_session=False)
        )
        ours = set(ended.scalars())
        seen = {one.target_id: raw for one, raw in held if one.action_id in ours}
        note_present_states(session, seen, KINDS[kind], now, began)
