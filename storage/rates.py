"""How fast one workspace is asked by all replicas together, and what an answer "too many calls" does (DESIGN 5.9).

The calls of a workspace have a schedule: one every 1/rate seconds. A replica takes a piece of it at a time, so that a
call costs no write of its own. All instants are of the machine.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rollout.limits import WorkspaceLimits, workspace_limits
from rollout.states import ActionState
from storage.base import insert
from storage.database import machine_now
from storage.models import Action, Rate, Workspace
from storage.plans import open_plans

#: How much of the schedule a replica takes at a time, in seconds.
PIECE = 0.25
#: After so many seconds without "too many calls" one target more may be in flight.
GROW_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the schedule: ``number`` calls, the first at ``first``, each ``apart`` seconds after the other."""

    first: datetime
    number: int
    apart: float

    def instants(self) -> list[datetime]:
        return [self.first + timedelta(seconds=self.apart * n) for n in range(self.number)]


@dataclass(frozen=True, slots=True)
class Throttle:
    """How a workspace holds us now: for how many seconds nothing is asked, and how many targets may be in flight."""

    seconds: float
    at_once: int | None  # None: as many as the plan allows


FREE = Throttle(0.0, None)


def limits_of(session: Session, workspace: str) -> WorkspaceLimits:
    """The limits that the open rollouts set for a workspace."""
    return workspace_limits(open_plans(session), workspace)


def take(session: Session, machine: datetime, workspace: str) -> Piece:
    """Take the next piece of the schedule of a workspace; it begins after a hold that the workspace asked for."""
    rate = _locked(session, workspace)
    per_second = limits_of(session, workspace).calls_per_second
    hold = session.execute(select(Workspace.hold_until).where(Workspace.key == workspace)).scalar_one_or_none()
    first = max(instant for instant in (machine, rate.next_at, hold) if instant is not None)
    number = max(1, int(per_second * PIECE))
    rate.next_at = first + timedelta(seconds=number / per_second)
    session.flush()
    return Piece(first, number, 1 / per_second)


def slow_down(session: Session, machine: datetime, workspace: str, sent_at: datetime, retry_after: float) -> None:
    """The workspace said that there were too many calls: hold for as long as it asks, and do half as much at once.

    Halved once for all calls that were sent (``sent_at``) before the last halving: they are one wave.
    """
    row = session.execute(select(Workspace).where(Workspace.key == workspace).with_for_update()).scalar_one()
    rate = _locked(session, workspace)
    if rate.halved_at is None or sent_at >= rate.halved_at:
        now = at_once(rate, row.hold_until, machine, limits_of(session, workspace).max_parallel)
        in_flight = session.execute(
            select(func.count()).where(Action.workspace == workspace, Action.state == ActionState.RUNNING)
        ).scalar_one()
        rate.ceiling = max((min(now, in_flight) if in_flight > 1 else now) // 2, 1)
        rate.halved_at = machine
    until = machine + timedelta(seconds=retry_after)
    if row.hold_until is None or row.hold_until < until:
        row.hold_until = until
    session.flush()


def at_once(rate: Rate | None, hold_until: datetime | None, machine: datetime, most: int) -> int:
    """How many targets may be in flight: one more for every ``GROW_EVERY`` seconds since the halving or its hold."""
    if rate is None or rate.ceiling is None or rate.halved_at is None:
        return most
    since = max(rate.halved_at, hold_until or rate.halved_at)
    grown = int(max((machine - since).total_seconds(), 0.0) // GROW_EVERY)
    return min(rate.ceiling + grown, most)


def throttles(session: Session) -> dict[str, Throttle]:
    """The workspaces that hold us now."""
    found = {}
    machine = machine_now(session)
    for row, rate in session.execute(select(Workspace, Rate).join(Rate, Rate.workspace == Workspace.key)):
        seconds = (row.hold_until - machine).total_seconds() if row.hold_until is not None else 0.0
        most = limits_of(session, row.key).max_parallel
        now = at_once(rate, row.hold_until, machine, most)
        if seconds > 0 or now < most:
            found[row.key] = Throttle(max(seconds, 0.0), now if now < most else None)
    return found


def _locked(session: Session, workspace: str) -> Rate:
    wanted = select(Rate).where(Rate.workspace == workspace).with_for_update().execution_options(populate_existing=True)
    found = session.execute(wanted).scalar_one_or_none()
    if found is None:
        session.execute(
            insert(session, Rate).values(workspace=workspace).on_conflict_do_nothing(index_elements=["workspace"])
        )
        found = session.execute(wanted).scalar_one()
    return found
