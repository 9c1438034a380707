"""What would be changed: the change set of a stage, and the dry run in numbers and pages."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, func, null, select
from sqlalchemy.orm import Session

from rollout.change import SUPPORTS, Change
from rollout.digest import digest
from storage.models import Target, Workspace

#: Why a target is left alone that is on the new runtime already.
ALREADY = "already_target"


@dataclass(frozen=True, slots=True)
class Planned:
    """One target of a change set with what will be done to it."""

    target_id: int
    workspace: str
    kind: str
    object_id: str
    name: str
    change: Change


def targets_of(planned: Iterable[Planned]) -> list[Planned]:
    """The targets of a change set, without the supports that are changed before them."""
    return [p for p in planned if p.kind not in SUPPORTS]


def digest_of(planned: Iterable[Planned]) -> str:
    """The digest of a change set: its targets and fields, in one order; names, states and notes do not count."""
    return digest(sorted([p.workspace, p.kind, p.object_id, [f.to_json() for f in p.change.fields]] for p in planned))


def has_change() -> ColumnElement[bool]:
    """A target's change is there: neither SQL's NULL nor JSON's null."""
    return and_(Target.skip_code.is_(None), Target.change.is_not(null()), cast(Target.change, Text) != "null")


def in_change_set() -> ColumnElement[bool]:
    """The target would be changed if its stage started now."""
    return and_(has_change(), Target.pinned_reason.is_(None), Target.gone.is_(False))


def change_set(session: Session, rollout_id: int, stage_key: str) -> list[Planned]:
    """What would be changed if the stage started now: its targets by workspace, kind and name, and before them the
    supports that they need changed first.

    A policy that refuses what a repository is asked to deploy is widened, too: else its owners' deploy is refused.
    """
    targets = _planned(session, rollout_id, Target.stage_key == stage_key)
    needed = {(p.workspace, support) for p in targets for support in p.change.supports}
    needed |= _policies_of_repositories(session, rollout_id, stage_key)
    if not needed:
        return targets
    supports = _planned(session, rollout_id, Target.kind.in_(SUPPORTS))
    return [s for s in supports if (s.workspace, s.object_id) in needed] + targets


def _policies_of_repositories(session: Session, rollout_id: int, stage_key: str) -> set[tuple[str, str]]:
    """(Workspace, id) of the policies that govern what repositories are still to deploy."""
    rows = session.execute(
        select(Target.workspace, Target.about).where(
            Target.rollout_id == rollout_id,
            Target.stage_key == stage_key,
            Target.proposal.is_not(null()),
            Target.skip_code != ALREADY,
            Target.gone.is_(False),
            Target.pinned_reason.is_(None),
        )
    )
    return {(w, str(use[1])) for w, about in rows for use in (about or {}).get("uses", ()) if use[0] == "policy"}


def _planned(session: Session, rollout_id: int, which: ColumnElement[bool]) -> list[Planned]:
    rows = session.execute(
        select(Target.id, Target.workspace, Target.kind, Target.object_id, Target.name, Target.change).where(
            Target.rollout_id == rollout_id, which, in_change_set()
        )
    )
    found = [Planned(i, w, k, o, n, Change.from_json(c)) for i, w, k, o, n, c in rows if c is not None]
    return sorted(found, key=lambda p: (p.workspace, p.kind, p.name, p.object_id))


def submitted(session: Session, workspaces: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
    """What was submitted without a job lately: workspace and what ``workspace.runs.Submitted`` stores of it, the most
    frequent first."""
    rows = session.execute(
        select(Workspace.key, Workspace.submitted).where(Workspace.key.in_(list(workspaces))).order_by(Workspace.key)
    )
    found = [(key, dict(one)) for key, some in rows for one in some or ()]
    return sorted(found, key=lambda pair: -int(pair[1]["runs"]))


@dataclass(frozen=True, slots=True)
class Effects:
    """What a change set would do, in numbers; ``total`` counts every target found.

    ``digest`` and ``supports`` are of one stage only.
    """

    total: int
    changes: int
    restarts: int
    digest: str
    supports: tuple[Planned, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """How many targets are left alone for one reason."""

    code: str
    sentence: str
    next_step: str
    count: int


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One target as the dry run shows it."""

    name: str
    kind: str
    workspace: str
    stage_key: str | None
    change: dict[str, Any] | None
    skip_code: str | None
    skip_sentence: str | None
    pinned: str | None


def found_targets(rollout_id: int, stage_key: str | None) -> ColumnElement[bool]:
    """The targets of one stage or of all, without the supports and without what is gone."""
    found = and_(Target.rollout_id == rollout_id, Target.gone.is_(False), Target.kind.not_in(SUPPORTS))
    return found if stage_key is None else and_(found, Target.stage_key == stage_key)


def effects(session: Session, rollout_id: int, stage_key: str | None) -> Effects:
    """The numbers of the dry run of one stage or of all."""
    total = session.execute(
        select(func.count()).select_from(Target).where(found_targets(rollout_id, stage_key))
    ).scalar_one()
    if stage_key is not None:
        planned = change_set(session, rollout_id, stage_key)
        targets = targets_of(planned)
        supports = tuple(p for p in planned if p.kind in SUPPORTS)
        return Effects(total, len(targets), sum(p.change.restarts for p in targets), digest_of(planned), supports)
    in_a_stage = and_(found_targets(rollout_id, None), Target.stage_key.is_not(None), in_change_set())
    changes = list(session.execute(select(Target.change).where(in_a_stage)).scalars())
    return Effects(total, len(changes), sum(bool(c and c.get("restarts")) for c in changes), "")


def kept_pools(session: Session, rollout_id: int, stage_key: str | None) -> list[tuple[str, str, str, str]]:
    """(Name, workspace, reason code, sentence) of the pools with the old runtime loaded for which none is made, and
    which targets of the stage, or of all, use."""
    held = session.execute(
        select(Target.workspace, Target.object_id, Target.name, Target.skip_code, Target.skip_sentence)
        .where(
            Target.rollout_id == rollout_id,
            Target.kind == "pool",
            Target.gone.is_(False),
            Target.skip_code.is_not(None),
            Target.skip_code != "support_not_needed",
        )
        .order_by(Target.workspace, Target.name)
    ).all()
    if not held:
        return []
    moving = and_(found_targets(rollout_id, stage_key), Target.stage_key.is_not(None), in_change_set())
    used = {
        (workspace, str(use[1]))
        for workspace, about in session.execute(select(Target.workspace, Target.about).where(moving))
        for use in (about or {}).get("uses", ())
        if use[0] == "pool"
    }
    return [(n, w, code or "", sentence or "") for w, i, n, code, sentence in held if (w, i) in used]


def left_alone(session: Session, rollout_id: int, stage_key: str | None) -> list[LeftAlone]:
    """Why targets are left alone, the most frequent reason first, each with one of its sentences."""
    rows = session.execute(
        select(Target.skip_code, func.min(Target.skip_sentence), func.min(Target.skip_next), func.count())
        .where(found_targets(rollout_id, stage_key), Target.skip_code.is_not(None), Target.pinned_reason.is_(None))
        .group_by(Target.skip_code)
        .order_by(func.count().desc(), Target.skip_code)
    )
    found = [LeftAlone(code or "", sentence or "", step or "", number) for code, sentence, step, number in rows]
    pinned = session.execute(
        select(func.count())
        .select_from(Target)
        .where(found_targets(rollout_id, stage_key), Target.pinned_reason.is_not(None))
    ).scalar_one()
    return [*found, LeftAlone("pinned", "Deliberately left on the old runtime.", "", pinned)] if pinned else found


def plan_page(session: Session, rollout_id: int, stage_key: str | None, limit: int, offset: int) -> list[PlannedRow]:
    """One page of the dry run: what would be changed first, then what is left alone."""
    rows = session.execute(
        select(
            Target.name,
            Target.kind,
            Target.workspace,
            Target.stage_key,
            Target.change,
            Target.skip_code,
            Target.skip_sentence,
            Target.pinned_reason,
        )
        .where(found_targets(rollout_id, stage_key))
        .order_by(case((in_change_set(), 0), else_=1), Target.workspace, Target.kind, Target.name, Target.id)
        .limit(limit)
        .offset(offset)
    )
    return [PlannedRow(*row) for row in rows]
