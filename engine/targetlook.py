"""Look once more at every changed target of a stage, in as few calls as a look at the workspace takes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from engine.judging import Stands, judge
from engine.parts import Parts
from rollout.change import SUPPORTS, Change, Raw
from rollout.states import ActionKind, ActionState
from storage import attempts
from storage.models import Action, Stage, Target
from workspace.client import Client
from workspace.errors import Gone, WorkspaceError
from workspace.kinds import KINDS


@dataclass(slots=True)
class Present:
    """Names of changed targets, as they are now. ``error``: why this is not known of all of them."""

    elsewhere: tuple[str, ...] = ()  # no longer on the new runtime
    down: tuple[str, ...] = ()  # ended abnormally
    moving: tuple[str, ...] = ()  # on its way to another state
    error: str | None = None

    def then(self, later: "Present") -> "Present":
        """What is known after a later look at those that were on their way."""
        elsewhere, down = {*self.elsewhere, *later.elsewhere}, {*self.down, *later.down}
        # A workspace that did not answer leaves those unknown that were on their way.
        moving = self.moving if later.error else later.moving
        return Present(tuple(sorted(elsewhere)), tuple(sorted(down)), moving, self.error or later.error)


@dataclass(slots=True)
class _Wanted:
    name: str
    change: Change
    before: dict[str, Any]  # what was seen before the change


@dataclass(slots=True)
class _Lists:
    elsewhere: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    moving: list[str] = field(default_factory=list)


def look_at_targets(parts: Parts, stage_id: int, only: Set[str] | None = None) -> Present:
    """Look at the changed targets of the stage that are not pinned; ``only`` those of these names, each by itself.
    Never raises for what a workspace answers."""
    found, error = _Lists(), None
    for workspace, kinds in sorted(_wanted(parts, stage_id).items()):
        client = parts.clients.get(workspace)
        if client is None:
            error = f"there are no settings for the workspace {workspace}"
            continue
        try:
            for kind, wanted in kinds.items():
                if only is not None:
                    wanted = {object_id: one for object_id, one in wanted.items() if one.name in only}
                for object_id, raw in _present(client, kind, wanted, listed=only is None):
                    _judge(kind, wanted[object_id], raw, found)
        except WorkspaceError as err:
            error = str(err)
    return Present(tuple(sorted(found.elsewhere)), tuple(sorted(found.down)), tuple(sorted(found.moving)), error)


def _wanted(parts: Parts, stage_id: int) -> dict[str, dict[str, dict[str, _Wanted]]]:
    """Workspace -> kind -> object id -> what to look for."""
    found: dict[str, dict[str, dict[str, _Wanted]]] = defaultdict(lambda: defaultdict(dict))
    with parts.database.read() as session:
        stage = session.execute(select(Stage).where(Stage.id == stage_id)).scalar_one()
        seen = attempts.seen_before_changes(session, stage.id, stage.generation)
        rows = session.execute(
            select(Target.id, Target.workspace, Target.kind, Target.object_id, Target.name, Action.change)
            .join(Action, Action.target_id == Target.id)
            .where(
                attempts.newest(stage.id, stage.generation, ActionKind.CHANGE),
                Action.state == ActionState.DONE,
                Action.change.is_not(None),
                Target.pinned_reason.is_(None),
                Target.kind.not_in(SUPPORTS),
            )
        )
        for target_id, workspace, kind, object_id, name, change in rows:
            one = _Wanted(name, Change.from_json(change), seen.get(target_id, {}))
            found[workspace][kind][object_id] = one
    return found


def _present(client: Client, kind: str, wanted: Mapping[str, object], listed: bool) -> Iterator[tuple[str, Raw | None]]:
    """Each wanted object as it is now; None when it no longer exists. ``listed``: most are found in one listing."""
    missing = set(wanted)
    for found in KINDS[kind].discover(client) if listed else ():
        if found.object_id in missing:
            missing.discard(found.object_id)
            yield found.object_id, found.raw
    for object_id in sorted(missing):  # listings leave out what has been terminated for long
        try:
            yield object_id, KINDS[kind].read(client, object_id)
        except Gone:
            yield object_id, None


def _judge(kind: str, wanted: _Wanted, raw: Raw | None, found: _Lists) -> None:
    stands = judge(KINDS[kind], wanted.change, wanted.before, raw).stands if raw is not None else Stands.ELSEWHERE
    match stands:
        case Stands.ELSEWHERE:
            found.elsewhere.append(wanted.name)
        case Stands.DOWN:
            found.down.append(wanted.name)
        case Stands.MOVING:
            found.moving.append(wanted.name)
