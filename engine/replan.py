"""Keep what is known of a target true after we looked at it: its runtime, its state and what is still planned."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, bindparam, select
from sqlalchemy.orm import Session

from rollout.change import Change, Raw, Skip, Upgrade
from rollout.plan import Plan
from storage.discovered import Offer, offer_of, standing_proposal
from storage.models import Rollout, Target, Workspace
from storage.plans import plan_of
from workspace.kinds import Kind

#: By database: revision, stage and workspace of a target -> when the workspace was looked at, and the upgrade.
_UPGRADES: WeakKeyDictionary[Engine, dict[tuple[Any, ...], tuple[datetime | None, Upgrade]]] = WeakKeyDictionary()

#: Asked for every target, and built once.
_LOCKED = (
    select(Target).where(Target.id.in_(bindparam("targets", expanding=True))).order_by(Target.id).with_for_update()
)
_OFFERED = (
    select(Rollout.revision_id, Workspace.looked_machine)
    .join(Workspace, Workspace.key == bindparam("workspace"))
    .where(Rollout.id == bindparam("rollout"))
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A look at a target: what it showed, when by the calendar, and when by the machine."""

    kind: Kind
    raw: Raw
    now: datetime
    machine: datetime


def note_present_state(
    session: Session, target_id: int, kind: Kind, raw: Raw, now: datetime, machine: datetime
) -> None:
    """Have release, state and the plan of a target stored from a look at it, made at ``machine``, by ``store_noted``.

    Whoever writes for several targets locks them at the end and in one order, else two could wait for each other.
    """
    session.info.setdefault("seen", {})[target_id] = _Seen(kind, raw, now, machine)


def store_noted(session: Session) -> None:
    """Store what was noted in this transaction; never over a newer look."""
    if seen := session.info.pop("seen", None):
        _store(session, seen)


def note_present_states(
    session: Session, seen: Mapping[int, Raw], kind: Kind, now: datetime, machine: datetime
) -> None:
    """Store the same at once for targets of one kind, by their ids, that one listing showed."""
    _store(session, {target_id: _Seen(kind, raw, now, machine) for target_id, raw in seen.items()})


def _store(session: Session, seen: Mapping[int, _Seen]) -> None:
    offered: dict[tuple[int, str], tuple[int, datetime | None]] = {}
    for target in session.execute(_LOCKED, {"targets": list(seen)}).scalars().all():
        one = seen[target.id]
        if target.seen_machine > one.machine:
            continue
        of = (target.rollout_id, target.workspace)
        if of not in offered:
            revision, looked = session.execute(_OFFERED, {"rollout": of[0], "workspace": of[1]}).one()
            offered[of] = (revision, looked)
        planned = plan_target(target, one.kind, one.raw, _upgrade(session, target, *offered[of]))
        target.release = shown_release(one.kind, one.raw, planned)
        target.state = str(one.raw.get("state") or target.state)
        target.seen_at, target.seen_machine = one.now, one.machine


def _upgrade(session: Session, target: Target, revision: int, looked: datetime | None) -> Upgrade:
    """The upgrade of a target. What a workspace offers is large, and the same for thousands of targets in a row: what
    was made of it is kept until the next look at the workspace."""
    kept = _UPGRADES.setdefault(session.get_bind().engine, {})
    of = (revision, target.stage_key, target.workspace)
    if of not in kept or kept[of][0] != looked:
        rollout = session.execute(select(Rollout).where(Rollout.id == target.rollout_id)).scalar_one()
        workspace = session.execute(select(Workspace).where(Workspace.key == target.workspace)).scalar_one()
        upgrade = upgrade_of(plan_of(rollout), target.stage_key, offer_of(workspace))
        kept[of] = (looked, upgrade)
    return kept[of][1]


def upgrade_of(plan: Plan, stage_key: str | None, offer: Offer) -> Upgrade:
    """The upgrade as the targets of one stage meet it, or those of none."""
    stage = next((s for s in plan.stages if s.key == stage_key), None)
    force = stage is not None and stage.targets.managed == "force"
    runtimes = plan.runtimes
    return Upgrade(
        runtimes.source,
        runtimes.target,
        frozenset(offer.versions),
        offer.policies,
        runtimes.fallback,
        force,
        offer.pools,
        offer.machines,
    )


def shown_release(kind: Kind, raw: Raw, planned: Change | Skip) -> str:
    """The runtime that people are shown, also where only a policy says which it is."""
    own = kind.release_of(raw)
    given = planned.release if isinstance(planned, Skip) else None
    if not given or given in own.split(" + "):
        return own
    return given if own == "-" else f"{own} + {given}"


def proposal_of(planned: Change | Skip) -> list[Any] | None:
    """The edit for the target's repository, as it is stored; None where there is none to propose."""
    return [f.to_json() for f in planned.proposal] if isinstance(planned, Skip) and planned.proposal else None


def plan_target(target: Target, kind: Kind, raw: Raw, upgrade: Upgrade) -> Change | Skip:
    """Set what is planned for ``target``, or why it is left alone; returns it."""
    planned = kind.plan(raw, upgrade)
    if isinstance(planned, Skip):
        target.change = None
        target.skip_code, target.skip_sentence, target.skip_next = planned.code, planned.sentence, planned.next_step
    else:
        target.change = planned.to_json()
        target.skip_code = target.skip_sentence = target.skip_next = None
    target.proposal = standing_proposal(target.proposal, proposal_of(planned), target.change, target.managed_by)
    return planned
