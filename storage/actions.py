"""A claimed action and its outcome: each write is fenced by owner and epoch (DESIGN 5, invariants 1, 7 and 8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    Table,
    Update,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.orm import Session

from rollout.change import Change
from rollout.states import ActionKind, ActionState
from storage.database import Database
from storage.models import Action, Lease


class LeaseLost(Exception):
    """The action is no longer ours: stop at once and touch nothing."""


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
