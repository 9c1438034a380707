"""What is deployed from repositories: the edits that they need, and how many of them have arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, func, null, select
from sqlalchemy.orm import Session

from rollout.change import SUPPORTS
from rollout.states import ACTION_ENDED, ActionKind
from storage.dryrun import ALREADY, in_change_set
from storage.models import Action, Backup, Target, Workspace


@dataclass(frozen=True, slots=True)
class Arrival:
    """How far one repository is with the targets of one stage."""

    repository: str
    stage_key: str | None
    arrived: int
    total: int


@dataclass(frozen=True, slots=True)
class Edit:
    """One target that its repository must change: the fields as stored (path, before, after)."""

    repository: str
    target_id: int
    name: str
    kind: str
    workspace: str
    object_id: str
    owner: str | None
    stage_key: str | None
    managed_by: str
    fields: list[Any]
    arrived: bool


def proposed(rollout_id: int, stage_key: str | None = None) -> ColumnElement[bool]:
    """Targets that wait for, or got, an edit of their repository; pinned ones wait for none."""
    found = and_(
        Target.rollout_id == rollout_id,
        Target.proposal.is_not(null()),
        Target.gone.is_(False),
        Target.pinned_reason.is_(None),
    )
    return found if stage_key is None else and_(found, Target.stage_key == stage_key)


def arrived() -> ColumnElement[bool]:
    """Its repository has deployed the new runtime."""
    return Target.skip_code == ALREADY


def arrivals(session: Session, rollout_id: int, stage_key: str | None = None) -> list[Arrival]:
    """Per repository and stage how many edits have arrived, the one with the most to come first."""
    rows = session.execute(
        select(
            Target.repository,
            Target.stage_key,
            func.sum(case((arrived(), 1), else_=0)),
            func.count(),
        )
        .where(proposed(rollout_id, stage_key))
        .group_by(Target.repository, Target.stage_key)
    ).all()
    found = [Arrival(repository or "unnamed", key, int(there), total) for repository, key, there, total in rows]
    return sorted(found, key=lambda a: (a.arrived - a.total, a.repository, a.stage_key or ""))


def edits(session: Session, rollout_id: int, stage_key: str | None = None) -> Sequence[Edit]:
    """Every proposed edit, by repository, workspace and name; those that have arrived too."""
    rows = session.execute(
        select(Target)
        .where(proposed(rollout_id, stage_key))
        .order_by(Target.repository, Target.workspace, Target.kind, Target.name, Target.id)
    ).scalars()
    return [
        Edit(
            repository=t.repository or "unnamed",
            target_id=t.id,
            name=t.name,
            kind=t.kind,
            workspace=t.workspace,
            object_id=t.object_id,
            owner=t.owner,
            stage_key=t.stage_key,
            managed_by=t.managed_by or "",
            fields=list(t.proposal or ()),
            arrived=t.skip_code == ALREADY,
        )
        for t in rows
    ]


def to_back_up(session: Session, rollout_id: int, stage_key: str) -> list[Target]:
    """The targets of a stage that are backed up when it starts although we do not change them."""
    return list(session.execute(select(Target).where(proposed(rollout_id, stage_key)).order_by(Target.id)).scalars())


def revertible(
    session: Session, stage_id: int, generation: int, rollout_id: int, stage_key: str
) -> list[tuple[Target, int]]:
    """What repositories deployed on the new runtime since its backup of this generation, with how many reverts of it
    were tried. Nothing that has work under way."""
    backed_up = select(Backup.id).where(
        Backup.target_id == Target.id, Backup.stage_id == stage_id, Backup.generation == generation
    )
    open_ = select(Action.id).where(Action.target_id == Target.id, Action.state.not_in(ACTION_ENDED))
    tried = (
        select(func.count())
        .select_from(Action)
        .where(
            Action.target_id == Target.id,
            Action.stage_id == stage_id,
            Action.generation == generation,
            Action.kind == ActionKind.REVERT,
        )
        .scalar_subquery()
    )
    rows = session.execute(
        select(Target, tried)
        .where(proposed(rollout_id, stage_key), arrived(), backed_up.exists(), ~open_.exists())
        .order_by(Target.id)
    )
    return [(target, number) for target, number in rows]


def forced(session: Session, rollout_id: int, stage_key: str | None) -> list[tuple[str, int]]:
    """What a repository owns and would be changed by API all the same, of one stage or of all: repository, number."""
    rows = session.execute(
        select(Target.repository, func.count())
        .where(
            Target.rollout_id == rollout_id,
            Target.stage_key.is_not(None) if stage_key is None else Target.stage_key == stage_key,
            Target.managed_by.is_not(None),
            in_change_set(),
        )
        .group_by(Target.repository)
    )
    found = [(repository or "unnamed", number) for repository, number in rows]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def perhaps(session: Session, rollout_id: int, stage_key: str | None) -> list[tuple[str, list[str]]]:
    """What would be changed by API although something speaks for a deployment, of one stage or of all: the hint, and
    the names of those of which it speaks; the most frequent first. The audit log says more than a name."""
    tools = {
        (workspace, one): str(tool)
        for workspace, known in session.execute(select(Workspace.key, Workspace.deployers))
        for one, tool in (known or {}).items()
    }
    asked = select(Target.about, Target.name, Target.kind, Target.object_id, Target.workspace).where(
        Target.rollout_id == rollout_id,
        Target.stage_key.is_not(None) if stage_key is None else Target.stage_key == stage_key,
        Target.managed_by.is_(None),
        Target.kind.not_in(SUPPORTS),
        in_change_set(),
    )
    if not tools:
        asked = asked.where(cast(Target.about, Text).like('%"hint"%'))
    found: dict[str, list[str]] = {}
    for about, name, kind, object_id, workspace in session.execute(asked.order_by(Target.workspace, Target.name)):
        tool = tools.get((workspace, f"{kind}/{object_id}"))
        hint = f"{tool}: by the audit log it made the last change" if tool else (about or {}).get("hint")
        if hint:  # a tag may be called so, too
            found.setdefault(str(hint), []).append(f"{name} ({kind}, {workspace})")
    return sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
