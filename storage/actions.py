"""Claims on actions and their outcomes: row leases with epochs, every write fenced (DESIGN 5, invariants 1, 7, 8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from rollout.change import SUPPORTS, SUPPORTS_IN_ORDER, Change
from rollout.states import ACTION_ENDED, BACKWARD, ActionKind, ActionState, StageState
from storage import rates, runfailures
from storage.attempts import WIDENING_AGAIN, failures, is_newest_bad
from storage.database import Database
from storage.models import Action, Lease, Rate, Rollout, Stage, Target, Workspace


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
    leave_shared: bool = False  # running clusters that people work on are outside of their window

    @property
    def forward(self) -> bool:
        return self.kind not in BACKWARD


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
    machine time, ``now`` the calendar. Over all stages and replicas no more than the workspace's own limit is in
    flight, or what is left of it after it was throttled; what goes back does not wait for what goes forward.
    """
    row = session.execute(_LOCKED, {"workspace": workspace}).one_or_none()
    if row is None or (row.hold_until is not None and row.hold_until > machine):
        return []
    rate = session.execute(_RATE, {"workspace": workspace}).scalar_one_or_none()
    most = rates.at_once(rate, row.hold_until, machine, rates.limits_of(session, workspace).max_parallel)
    running = session.execute(_RUNNING, {"workspace": workspace}).all()
    limit = min(limit, most - sum(_held(r, machine) for r in running))
    if limit <= 0:
        return []
    waiting = [r for r in running if _due(r, machine)]
    ids = [r.id for r in sorted(waiting, key=lambda r: (r.poll_at is not None, r.poll_at, r.id))][:limit]
    if len(ids) < limit:
        possible = _with_work(session, machine, workspace, wants)
        stages = _lock_stages(session, {want.stage_id for want in possible})
        back = sum(r.kind in BACKWARD for r in running)
        forward = len(running) - back
        for want in possible:
            room = min(limit - len(ids), most - back - (forward if want.forward else 0))
            if room > 0:
                begun = fresh(session, machine, workspace, want, stages[want.stage_id], room)
                ids += begun
                back, forward = (back, forward + len(begun)) if want.forward else (back + len(begun), forward)
    return _take(session, machine, now, owner, ids, lease_seconds)


def with_work(session: Session, machine: datetime, wants: Sequence[Want]) -> set[str]:
    """The workspaces in which a claim may find something: a cheap look before its write transaction."""
    wanted = {(want.stage_id, want.generation, want.kind) for want in wants}
    found = {r.workspace for r in session.execute(_RUNNING_ANYWHERE) if _due(r, machine)}
    unbegun = session.execute(_WORK_ANYWHERE, {"machine": machine})
    return found | {workspace for workspace, *work in unbegun if tuple(work) in wanted}


# What is asked at every claim is built once: building a query costs more than a database needs to answer it.
_LOCKED = select(Workspace.hold_until).where(Workspace.key == bindparam("workspace")).with_for_update()
_RATE = select(Rate).where(Rate.workspace == bindparam("workspace"))
_RUNNING = select(Action.id, Action.kind, Action.lease_until, Action.poll_at).where(
    Action.workspace == bindparam("workspace"), Action.state == ActionState.RUNNING
)
_RUNNING_ANYWHERE = select(Action.workspace, Action.lease_until, Action.poll_at).where(
    Action.state == ActionState.RUNNING
)
_UNBEGUN_ANYWHERE = and_(
    Action.state == ActionState.PENDING,
    or_(Action.poll_at.is_(None), Action.poll_at <= bindparam("machine")),
)
_UNBEGUN = and_(Action.workspace == bindparam("workspace"), _UNBEGUN_ANYWHERE)
_WORK_ANYWHERE = (
    select(Action.workspace, Action.stage_id, Action.generation, Action.kind).where(_UNBEGUN_ANYWHERE).distinct()
)
_WORK = select(Action.stage_id, Action.generation, Action.kind).where(_UNBEGUN).distinct()
_OF_STAGE = and_(
    Action.stage_id == bindparam("stage_id"),
    Action.generation == bindparam("generation"),
    Action.kind == bindparam("kind"),
)


def _held(running: Any, machine: datetime) -> bool:
    """Somebody works on it at this moment."""
    return running.lease_until is not None and running.lease_until >= machine


def _due(running: Any, machine: datetime) -> bool:
    """In flight, and to be looked at again: nobody holds it now."""
    return not _held(running, machine) and (running.poll_at is None or running.poll_at <= machine)


def _with_work(session: Session, machine: datetime, workspace: str, wants: Sequence[Want]) -> list[Want]:
    """The wants for which there is something to begin, in their order."""
    rows = session.execute(_WORK, {"workspace": workspace, "machine": machine})
    found = {(stage_id, generation, kind) for stage_id, generation, kind in rows}
    return [w for w in wants if (w.stage_id, w.generation, w.kind) in found]


#: Sorted first, then locked one after the other.
_LOCKED_STAGES = (
    select(Stage)
    .where(Stage.id.in_(bindparam("stages", expanding=True)))
    .order_by(Stage.rollout_id, Stage.position)
    .with_for_update()
    .execution_options(populate_existing=True)
)


def _lock_stages(session: Session, ids: Collection[int]) -> dict[int, Stage]:
    """Lock in the order in which the acts of people lock, else the two could wait for each other in a circle."""
    if not ids:
        return {}
    found = session.execute(_LOCKED_STAGES, {"stages": sorted(ids)}).scalars().all()
    return {stage.id: stage for stage in found}


def fresh(session: Session, machine: datetime, workspace: str, want: Want, stage: Stage, limit: int) -> list[int]:
    """Actions of a locked stage that may be begun now, read again under its lock."""
    if stage.generation != want.generation or (want.state is not None and stage.state != want.state):
        return []
    of = {"stage_id": want.stage_id, "generation": want.generation, "kind": want.kind, "workspace": workspace}
    paused, in_flight = session.execute(_STANDING, {**of, "rollout": stage.rollout_id}).one()
    if want.forward and (paused or stage.locked or stage.state is StageState.ROLLING_BACK):
        return []
    if (
        want.max_failures is not None
        and failures(session, want.stage_id, want.generation, want.kind) >= want.max_failures
    ):
        return []
    if want.forward and runfailures.spent(session, stage):
        return []
    room = min(limit, want.max_parallel - in_flight)
    if room <= 0:
        return []
    chosen = _chosen(_whose_turn(session, of, want), want.leave_shared)
    return list(session.execute(chosen, {**of, "machine": machine, "room": room}).scalars())


_IN_FLIGHT = (
    select(func.count())
    .select_from(Action)
    .where(_OF_STAGE, Action.workspace == bindparam("workspace"), Action.state == ActionState.RUNNING)
    .scalar_subquery()
)
_STANDING = select(Rollout.paused, _IN_FLIGHT).where(Rollout.id == bindparam("rollout"))


def is_shared() -> ColumnElement[bool]:
    """A running cluster that people work on, as last seen."""
    return and_(Target.interactive, Target.state == "RUNNING")


@dataclass(frozen=True, slots=True)
class _Turn:
    """Whose turn it is among what was not begun: everything's; one ``kind``'s; the ``targets``' before the supports;
    or that of the policies that have to take the old runtime ``again``."""

    kind: str | None = None
    targets: bool = False
    again: bool = False


def _whose_turn(session: Session, of: Mapping[str, Any], want: Want) -> _Turn:
    """Forward, no policy is changed before the pools of its workspace and no target before the policies; backward the
    other way round."""
    if want.kind not in (ActionKind.CHANGE, ActionKind.REVERT):
        return _Turn()
    kinds = set(session.execute(_unfinished(want.forward), of).scalars())
    if want.forward:
        return next((_Turn(kind) for kind in SUPPORTS_IN_ORDER if kind in kinds), _Turn())
    if kinds & SUPPORTS and session.execute(_AGAIN, of).scalar_one():
        return _Turn(again=True)
    if kinds - SUPPORTS:
        return _Turn(targets=True)
    return next((_Turn(kind) for kind in reversed(SUPPORTS_IN_ORDER) if kind in kinds), _Turn())


@cache
def _chosen(turn: _Turn, leave_shared: bool) -> Select[int]:
    """What may be begun next of a stage in a workspace."""
    found = select(Action.id).join(Target, Target.id == Action.target_id).where(_OF_STAGE, _UNBEGUN)
    if turn.kind is not None:
        found = found.where(Target.kind == turn.kind)
    if turn.targets:
        found = found.where(Target.kind.not_in(SUPPORTS))
    if turn.again:
        found = found.where(sql_cast(Action.change, Text).like(WIDENING_AGAIN))
    if leave_shared:
        found = found.where(~is_shared())
    return found.order_by(Action.id).limit(bindparam("room", type_=Integer))


@cache
def _unfinished(forward: bool) -> Select[str]:
    """The kinds of which something of a stage in a workspace has not ended, or ended badly on the way forward."""
    open_ = Action.state.not_in(ACTION_ENDED)
    return (
        select(Target.kind)
        .join(Action, Action.target_id == Target.id)
        .where(
            _OF_STAGE,
            Action.workspace == bindparam("workspace"),
            or_(open_, is_newest_bad()) if forward else open_,
        )
        .distinct()
    )


#: Whether a policy is to take the old runtime again: before that, the way back of its targets is refused.
_AGAIN = select(
    exists().where(
        Action.target_id == Target.id,
        Target.kind.in_(SUPPORTS),
        _OF_STAGE,
        Action.workspace == bindparam("workspace"),
        Action.state.not_in(ACTION_ENDED),
        sql_cast(Action.change, Text).like(WIDENING_AGAIN),
    )
)


def _take(
    session: Session, machine: datetime, now: datetime, owner: str, ids: Sequence[int], lease_seconds: float
) -> list[Claim]:
    if not ids:
        return []
    until = machine + timedelta(seconds=lease_seconds)
    # Asked again: a former owner may have committed an end meanwhile, and what has ended stays so.
    free = or_(Action.lease_until.is_(None), Action.lease_until < machine)
    taken = session.execute(
        update(Action)
        .where(
            Action.id.in_(ids),
            or_(Action.state == ActionState.PENDING, and_(Action.state == ActionState.RUNNING, free)),
        )
        .values(
            state=ActionState.RUNNING,
            owner=owner,
            epoch=Action.epoch + 1,
            lease_until=until,
            started_at=func.coalesce(Action.started_at, now),
        )
        .returning(Action.id)
        .execution_options(synchronize_session=False)
    )
    ours = set(taken.scalars())
    rows = session.execute(
        select(Action, Target)
        .join(Target, Target.id == Action.target_id)
        .where(Action.id.in_(ours))
        .execution_options(populate_existing=True)
    ).all()
    order = {action_id: n for n, action_id in enumerate(ids)}
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
        for a, t in sorted(rows, key=lambda row: order[row[0].id])
    ]


def commit(session: Session, claim: Claim, **values: Any) -> None:
    """Write to a claimed action, only while it is ours. Raises LeaseLost otherwise."""
    fence = {"of_action": claim.action_id, "of_owner": claim.owner, "of_epoch": claim.epoch}
    written = session.execute(_written(tuple(values)), {**fence, **{f"to_{k}": v for k, v in values.items()}})
    if written.rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLost(f"action {claim.action_id}")


@cache
def _written(names: tuple[str, ...]) -> Update:
    return (
        update(_ACTIONS)
        .where(
            _ACTIONS.c.id == bindparam("of_action"),
            _ACTIONS.c.state == ActionState.RUNNING,
            _ACTIONS.c.owner == bindparam("of_owner"),
            _ACTIONS.c.epoch == bindparam("of_epoch"),
        )
        .values({name: bindparam(f"to_{name}") for name in names})
    )


_ACTIONS = cast(Table, Action.__table__)


def look_again(session: Session, claim: Claim, at: datetime, **values: Any) -> None:
    """Keep the action in flight, give up the lease, and look again at ``at`` (machine)."""
    commit(session, claim, poll_at=at, lease_until=None, owner=None, **values)


def give_back(session: Session, claim: Claim, at: datetime | None = None, **values: Any) -> None:
    """Nothing was written: the action is pending again, not before ``at`` (machine). ``values``: why, for people."""
    free: dict[str, Any] = {"state": ActionState.PENDING, "lease_until": None, "owner": None, "started_at": None}
    commit(session, claim, **free, poll_at=at, **values)


def end(
    session: Session,
    claim: Claim,
    state: ActionState,
    now: datetime,
    reason_code: str | None = None,
    sentence: str | None = None,
    outcome: Mapping[str, Any] | None = None,
    **values: Any,
) -> None:
    """The action has ended; ended states absorb. ``values``: what else is known of it now."""
    commit(
        session,
        claim,
        state=state,
        ended_at=now,
        lease_until=None,
        reason_code=reason_code,
        sentence=sentence,
        outcome=dict(outcome) if outcome is not None else None,
        **values,
    )


def workspaces_with_open(session: Session) -> set[str]:
    """The workspaces in which something is in flight or waits to be begun."""
    open_ = Action.state.in_([ActionState.PENDING, ActionState.RUNNING])
    return set(session.execute(select(Action.workspace).where(open_).distinct()).scalars())


def forget_leases(database: Database) -> None:
    """Free what a dead process held. Only where no other engine can be alive: SQLite, under the engine's lock."""
    with database.write() as session:
        session.execute(update(Action).where(Action.lease_until.is_not(None)).values(lease_until=None))
        session.execute(delete(Lease))
