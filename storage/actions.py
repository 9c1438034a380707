"""Claims on actions and their outcomes: row leases with epochs, every write fenced (DESIGN 5, invariants 1, 7, 8)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from rollout.change import Change
from rollout.states import ACTION_BAD, ActionKind, ActionState, StageState
from storage.database import Database
from storage.models import Action, Lease, Rollout, Stage, Target, Workspace


class LeaseLost(Exception):
    """The action is no longer ours: stop at once and touch nothing."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a stage would like to have claimed: one kind of action, with the limits of its plan."""

    stage_id: int
    generation: int
    kind: ActionKind
    state: StageState | None  # the stage must still be in it; None: any (the rollback of one target)
    max_parallel: int
    max_failures: int | None  # None: failures do not stop it

    @property
    def forward(self) -> bool:
        return self.kind is not ActionKind.REVERT


@dataclass(frozen=True, slots=True)
class Claim:
    """One action that is ours until ``lease_until`` (machine), with what is needed to carry it out."""

    action_id: int
    epoch: int
    owner: str
    lease_until: datetime
    rollout_id: int
    stage_id: int
    generation: int
    kind: ActionKind
    attempt: int
    target_id: int
    workspace: str
    target_kind: str
    object_id: str
    target_name: str
    change: Change | None
    intent_at: datetime | None
    written_at: datetime | None
    looks: int
    seen: Mapping[str, Any] | None
    started_at: datetime
    give_up_at: datetime | None


def claim(
    session: Session,
    machine: datetime,
    now: datetime,
    workspace: str,
    owner: str,
    wants: Sequence[Want],
    lease_seconds: float,
    limit: int,
) -> list[Claim]:
    """Claim up to ``limit`` actions of one workspace: those that wait to be looked at again first, then new ones.

    Locks the workspace row, then each stage row, and reads flags and counts again under the locks. ``machine`` is
    machine time, ``now`` the calendar.
    """
    row = session.execute(select(Workspace).where(Workspace.key == workspace).with_for_update()).scalar_one_or_none()
    if row is None or (row.hold_until is not None and row.hold_until > machine):
        return []
    ids = list(
        session.execute(
            select(Action.id)
            .where(
                Action.workspace == workspace,
                Action.state == ActionState.RUNNING,
                or_(Action.lease_until.is_(None), Action.lease_until < machine),
                or_(Action.poll_at.is_(None), Action.poll_at <= machine),
            )
            .order_by(Action.poll_at)
            .limit(limit)
        ).scalars()
    )
    for want in wants:
        if len(ids) >= limit:
            break
        ids += fresh(session, machine, workspace, want, limit - len(ids))
    return _take(session, machine, now, owner, ids, lease_seconds)


def fresh(session: Session, machine: datetime, workspace: str, want: Want, limit: int) -> list[int]:
    stage = session.execute(
        select(Stage).where(Stage.id == want.stage_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    if stage.generation != want.generation or (want.state is not None and stage.state != want.state):
        return []
    if want.forward:
        paused = session.execute(select(Rollout.paused).where(Rollout.id == stage.rollout_id)).scalar_one()
        if paused or stage.locked or stage.state is StageState.ROLLING_BACK:
            return []
    of_stage = and_(Action.stage_id == want.stage_id, Action.generation == want.generation, Action.kind == want.kind)
    in_flight = session.execute(
        select(func.count()).where(of_stage, Action.workspace == workspace, Action.state == ActionState.RUNNING)
    ).scalar_one()
    if (
        want.max_failures is not None
        and failures(session, want.stage_id, want.generation, want.kind) >= want.max_failures
    ):
        return []
    room = min(limit, want.max_parallel - in_flight)
    if room <= 0:
        return []
    return list(
        session.execute(
            select(Action.id)
            .where(
                of_stage,
                Action.workspace == workspace,
                Action.state == ActionState.PENDING,
                or_(Action.poll_at.is_(None), Action.poll_at <= machine),
            )
            .order_by(Action.id)
            .limit(room)
        ).scalars()
    )


def _take(
    session: Session, machine: datetime, now: datetime, owner: str, ids: Sequence[int], lease_seconds: float
) -> list[Claim]:
    if not ids:
        return []
    until = machine + timedelta(seconds=lease_seconds)
    session.execute(
        update(Action)
        .where(Action.id.in_(ids))
        .values(
            state=ActionState.RUNNING,
            owner=owner,
            epoch=Action.epoch + 1,
            lease_until=until,
            started_at=func.coalesce(Action.started_at, now),
        )
        .execution_options(synchronize_session=False)
    )
    rows = session.execute(
        select(Action, Target)
        .join(Target, Target.id == Action.target_id)
        .where(Action.id.in_(ids))
        .execution_options(populate_existing=True)
    ).all()
    return [
        Claim(
            action_id=a.id,
            epoch=a.epoch,
            owner=owner,
            lease_until=until,
            rollout_id=a.rollout_id,
            stage_id=a.stage_id,
            generation=a.generation,
            kind=a.kind,
            attempt=a.attempt,
            target_id=t.id,
            workspace=a.workspace,
            target_kind=t.kind,
            object_id=t.object_id,
            target_name=t.name,
            change=Change.from_json(a.change) if a.change is not None else None,
            intent_at=a.intent_at,
            written_at=a.written_at,
            looks=a.looks,
            seen=a.seen,
            started_at=a.started_at or now,
            give_up_at=a.give_up_at,
        )
        for a, t in rows
    ]


def commit(session: Session, claim: Claim, **values: Any) -> None:
    """Write to a claimed action, only while it is ours. Raises LeaseLost otherwise."""
    written = session.execute(
        update(Action)
        .where(
            Action.id == claim.action_id,
            Action.state == ActionState.RUNNING,
            Action.owner == claim.owner,
            Action.epoch == claim.epoch,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if written.rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLost(f"action {claim.action_id}")


def look_again(session: Session, claim: Claim, at: datetime, **values: Any) -> None:
    """Keep the action in flight, give up the lease, and look again at ``at`` (machine)."""
    commit(session, claim, poll_at=at, lease_until=None, owner=None, **values)


def give_back(session: Session, claim: Claim, at: datetime | None = None) -> None:
    """Nothing was written: the action is pending again, not before ``at`` (machine)."""
    commit(session, claim, state=ActionState.PENDING, lease_until=None, owner=None, poll_at=at, started_at=None)


def end(
    session: Session,
    claim: Claim,
    state: ActionState,
    now: datetime,
    reason_code: str | None = None,
    sentence: str | None = None,
    outcome: Mapping[str, Any] | None = None,
) -> None:
    """The action has ended; ended states absorb."""
    commit(
        session,
        claim,
        state=state,
        ended_at=now,
        lease_until=None,
        reason_code=reason_code,
        sentence=sentence,
        outcome=dict(outcome) if outcome is not None else None,
    )


def newest(stage_id: int, generation: int, kind: ActionKind) -> Any:
    """A subquery condition: actions that are the newest attempt of their target, pinned targets left out.

    Failures and openness are judged on the newest attempt only, so that a retry clears what it repeats.
    """
    later = aliased(Action)
    superseded = (
        select(later.id)
        .where(
            later.stage_id == Action.stage_id,
            later.generation == Action.generation,
            later.target_id == Action.target_id,
            later.kind == Action.kind,
            later.attempt > Action.attempt,
        )
        .exists()
    )
    return and_(Action.stage_id == stage_id, Action.generation == generation, Action.kind == kind, ~superseded)


def counts(session: Session, stage_id: int, generation: int, kind: ActionKind) -> dict[ActionState, int]:
    """How many targets stand where with one kind of action, by their newest attempt; pinned ones that failed or were
    never begun are left out."""
    rows = session.execute(
        select(Action.state, func.count())
        .join(Target, Target.id == Action.target_id)
        .where(
            newest(stage_id, generation, kind),
            or_(
                Target.pinned_reason.is_(None),
                Action.state == ActionState.RUNNING,
                Action.kind == ActionKind.REVERT,
            ),
        )
        .group_by(Action.state)
    ).all()
    return {row[0]: row[1] for row in rows}


def failures(session: Session, stage_id: int, generation: int, kind: ActionKind) -> int:
    """How many targets failed or are in conflict, by their newest attempt."""
    found = counts(session, stage_id, generation, kind)
    return sum(found.get(state, 0) for state in ACTION_BAD)


def forget_leases(database: Database) -> None:
    """Free what a dead process held. Only where no other engine can be alive: SQLite, under the engine's lock."""
    with database.write() as session:
        session.execute(update(Action).where(Action.lease_until.is_not(None)).values(lease_until=None))
        session.execute(delete(Lease))


def insert_actions(session: Session, rows: Iterable[Mapping[str, Any]]) -> int:
    """Insert pending actions in bulk; returns how many."""
    made = [Action(state=ActionState.PENDING, **row) for row in rows]
    session.add_all(made)
    session.flush()
    return len(made)
