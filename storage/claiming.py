"""Claiming actions: row leases with epochs, as many as workspaces and stages may have at once (DESIGN 5, 1, 7, 8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from rollout.change import SUPPORTS, SUPPORTS_IN_ORDER, Change
from rollout.limits import workspace_limits
from rollout.states import ACTION_ENDED, BACKWARD, ActionKind, ActionState, StageState
from storage import rates, runfailures
from storage.actions import Claim
from storage.attempts import WIDENING_AGAIN, failures, is_newest_bad
from storage.models import Action, Rate, Rollout, Stage, Target, Workspace
from storage.plans import open_plans


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


def claim(
    session: Session,
    machine: datetime,
    now: datetime,
    workspaces: Sequence[str],
    owner: str,
    wants: Sequence[Want],
    lease_seconds: float,
    limit: int,
) -> list[Claim]:
    """Claim up to ``limit`` actions of these workspaces: those that wait to be looked at again first, then new ones.

    Locks the workspaces' rows, then the stages' rows, and reads flags and counts again under the locks. ``machine`` is
    machine time, ``now`` the calendar. Over all stages and replicas no more than a workspace's own limit is in flight
    there, or what is left of it after it was throttled; what goes back does not wait for what goes forward.
    """
    free = _with_room(session, machine, workspaces)
    ids: list[int] = []
    for one in free:
        ids += one.due(min(one.room, limit - len(ids)))
    if len(ids) < limit:
        possible = _with_work(session, machine, [one.workspace for one in free], wants)
        stages = _lock_stages(session, {want.stage_id for found in possible.values() for want in found})
        for one in free:
            for want in possible.get(one.workspace, ()):
                room = min(limit - len(ids), one.left(want.forward))
                if room > 0:
                    begun = fresh(session, machine, one.workspace, want, stages[want.stage_id], room)
                    one.begun(len(begun), want.forward)
                    ids += begun
    return _take(session, machine, now, owner, ids, lease_seconds)


class _Room:
    """How many actions of one workspace may be claimed: ``most`` of them may be in flight, of which some are."""

    def __init__(self, workspace: str, most: int, running: Sequence[Any], machine: datetime) -> None:
        self.workspace = workspace
        self.room = most - sum(_held(r, machine) for r in running)  # nobody's, in flight or not
        self._most = most
        self._waiting = [r for r in running if _due(r, machine)]
        self._back = sum(r.kind in BACKWARD for r in running)
        self._forward = len(running) - self._back

    def due(self, limit: int) -> list[int]:
        """Those that wait to be looked at again, at most so many."""
        waiting = sorted(self._waiting, key=lambda r: (r.poll_at is not None, r.poll_at, r.id))
        ids = [r.id for r in waiting][: max(limit, 0)]
        self.room -= len(ids)
        return ids

    def left(self, forward: bool) -> int:
        """How many more may be begun."""
        return min(self.room, self._most - self._back - (self._forward if forward else 0))

    def begun(self, number: int, forward: bool) -> None:
        self.room -= number
        if forward:
            self._forward += number
        else:
            self._back += number


def _with_room(session: Session, machine: datetime, workspaces: Sequence[str]) -> list[_Room]:
    """Of the workspaces, which it locks, those that take another claim, in the order given."""
    of = {"workspaces": list(workspaces)}
    holds = {row.key: row.hold_until for row in session.execute(_LOCKED, of)}
    limits = {rate.workspace: rate for rate in session.execute(_RATES, of).scalars()}
    running: dict[str, list[Any]] = {key: [] for key in holds}
    for row in session.execute(_RUNNING, of):
        running[row.workspace].append(row)
    plans = open_plans(session)
    found = []
    for key in workspaces:
        hold = holds.get(key)
        if key in holds and (hold is None or hold <= machine):
            most = rates.at_once(limits.get(key), hold, machine, workspace_limits(plans, key).max_parallel)
            found.append(_Room(key, most, running[key], machine))
    return [one for one in found if one.room > 0]


def with_work(session: Session, machine: datetime, wants: Sequence[Want]) -> set[str]:
    """The workspaces in which a claim may find something: a cheap look before its write transaction."""
    wanted = {(want.stage_id, want.generation, want.kind) for want in wants}
    found = {r.workspace for r in session.execute(_RUNNING_ANYWHERE) if _due(r, machine)}
    unbegun = session.execute(_WORK_ANYWHERE, {"machine": machine})
    return found | {workspace for workspace, *work in unbegun if tuple(work) in wanted}


# What is asked at every claim is built once: building a query costs more than a database needs to answer it.
_LOCKED = (
    select(Workspace.key, Workspace.hold_until)
    .where(Workspace.key.in_(bindparam("workspaces", expanding=True)))
    .order_by(Workspace.key)
    .with_for_update()
)
_RATES = select(Rate).where(Rate.workspace.in_(bindparam("workspaces", expanding=True)))
_RUNNING = select(Action.workspace, Action.id, Action.kind, Action.lease_until, Action.poll_at).where(
    Action.workspace.in_(bindparam("workspaces", expanding=True)), Action.state == ActionState.RUNNING
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
_WORK = _WORK_ANYWHERE.where(Action.workspace.in_(bindparam("workspaces", expanding=True)))
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


def _with_work(
    session: Session, machine: datetime, workspaces: Sequence[str], wants: Sequence[Want]
) -> dict[str, list[Want]]:
    """By workspace the wants for which there is something to begin, in their order."""
    rows = session.execute(_WORK, {"workspaces": list(workspaces), "machine": machine})
    found = {tuple(row) for row in rows}
    return {key: [w for w in wants if (key, w.stage_id, w.generation, w.kind) in found] for key in workspaces}


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
    rows = session.execute(_TAKEN, {"actions": sorted(ours)}).all()
    order = {action_id: n for n, action_id in enumerate(ids)}
    return [_claimed(row, owner, until, now) for row in sorted(rows, key=lambda row: order[row.id])]


#: Of a claimed action and its target what is needed, and no more: whole rows are long.
_TAKEN = (
    select(
        Action.id,
        Action.epoch,
        Action.rollout_id,
        Action.stage_id,
        Action.generation,
        Action.kind,
        Action.attempt,
        Action.target_id,
        Action.workspace,
        Target.kind.label("target_kind"),
        Target.object_id,
        Target.name,
        Action.change,
        Action.intent_at,
        Action.written_at,
        Action.looks,
        Action.seen,
        Action.started_at,
        Action.give_up_at,
    )
    .join(Target, Target.id == Action.target_id)
    .where(Action.id.in_(bindparam("actions", expanding=True)))
)


def _claimed(row: Any, owner: str, until: datetime, now: datetime) -> Claim:
    return Claim(
        action_id=row.id,
        epoch=row.epoch,
        owner=owner,
        lease_until=until,
        rollout_id=row.rollout_id,
        stage_id=row.stage_id,
        generation=row.generation,
        kind=row.kind,
        attempt=row.attempt,
        target_id=row.target_id,
        workspace=row.workspace,
        target_kind=row.target_kind,
        object_id=row.object_id,
        target_name=row.name,
        change=Change.from_json(row.change) if row.change is not None else None,
        intent_at=row.intent_at,
        written_at=row.written_at,
        looks=row.looks,
        seen=row.seen,
        started_at=row.started_at or now,
        give_up_at=row.give_up_at,
    )
