"""Changes of the plan of an open rollout: proposed at a terminal, put in force when a second person accepts them.

Everything that an accepted change causes commits together with it. The engine reads the plan of a rollout by its
revision at every pass, so that what it does next follows the new one; what was frozen or done before stays.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rollout import amend
from rollout.amend import At, Wanted
from rollout.conditions import SIGN_OFF, kind_of
from rollout.decisions import Refuse, count
from rollout.gatefacts import may
from rollout.gates_governing import AmendFacts, may_accept_amendment, may_decline_amendment
from rollout.plan import Plan
from rollout.planfile import canonical, digest
from rollout.reasons import Reason
from rollout.standing import Standing
from rollout.states import StageState
from storage.acting import Act, Who, acting
from storage.amended import put_in_force
from storage.database import Database
from storage.models import (
    Action,
    Amendment,
    PlanRevision,
    Rollout,
    Stage,
)
from storage.plans import parsed
from storage.record import event, post

_UNBEGUN = (StageState.WAITING, StageState.READY)


@dataclass(frozen=True, slots=True)
class Proposed:
    """The change waits for a second person. ``lines`` say what differs, ``stale`` which stages are signed anew."""

    amendment: int
    digest: str
    lines: tuple[str, ...]
    stale: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """It was accepted, and ``stale`` stages are signed anew; or it was declined."""

    accepted: bool
    digest: str
    stale: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A change as people read it; ``lines`` say what differs from the plan that it was compared with."""

    id: int
    digest: str
    state: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    lines: tuple[str, ...]
    stale: tuple[str, ...] = ()


def propose(database: Database, who: Who, now: datetime, rollout_id: int, plan: Plan) -> Proposed | Refuse:
    """Ask for ``plan`` to be put in force; refuses with all that stands against it. Replaces an older proposal."""
    text, said = canonical(plan), digest(plan)
    with acting(database, who, now, rollout_id, None) as act:
        wanted = _wanted(act, plan)
        found = [
            Reason("amendment_impossible", f"{problem}.", "Change the file.") for problem in amend.problems(wanted)
        ]
        if not act.roles:
            sentence = "Changes of the plan are proposed by people who hold a role in it."
            found.insert(0, Reason("not_permitted", sentence, "/rollout contacts names them."))
        if found:
            event(
                act.session,
                now,
                who.by,
                "plan_amend",
                " ".join(r.sentence for r in found)[:500],
                rollout_id=rollout_id,
                outcome="refused",
                reason_code=found[0].code,
                data={"proposed_digest": said},
            )
            return Refuse(tuple(found))
        act.session.execute(
            update(Amendment)
            .where(Amendment.rollout_id == rollout_id, Amendment.state == "proposed")
            .values(state="replaced", decided_by=who.user_id, decided_at=now)
        )
        row = Amendment(
            rollout_id=rollout_id,
            base_id=act.rollout.revision_id,
            digest=said,
            plan_text=text,
            proposed_by=who.user_id,
            team_id=who.team_id,
            proposed_at=now,
        )
        act.session.add(row)
        act.session.flush()
        lines, stale = tuple(amend.difference(act.plan, plan)), tuple(amend.stale(wanted))
        # Not as plan_digest: verification takes only what was accepted for a plan that may rule.
        data = {"amendment": row.id, "proposed_digest": said, "lines": list(lines[:50])}
        sentence = f"proposed a change of the plan: {count(len(lines), 'difference')}, plan {said[:8]}"
        event(act.session, now, who.by, "plan_amend", sentence, rollout_id=rollout_id, data=data)
        ids = {"amendment": row.id, "channel": act.rollout.channel}
        key = f"amendment_proposed:{row.id}"
        post(act.session, now, key, "amendment_proposed", rollout_id=rollout_id, ids=ids, repeat=True)
        return Proposed(row.id, said, lines, stale)


def accept(
    database: Database, who: Who, now: datetime, rollout_id: int, amendment: int, confirm: str
) -> Decided | Refuse:
    """Put a proposed plan in force: the one whose digest is ``confirm``, or none."""
    with acting(database, who, now, rollout_id, None) as act:
        row = _row(act.session, rollout_id, amendment)
        plan = parsed(row.plan_text) if row is not None and _whole(row) else None
        wanted = _wanted(act, plan) if plan is not None else None
        decision = may_accept_amendment(_facts(act, row, confirm, wanted))
        if isinstance(decision, Refuse):
            return decision
        assert row is not None
        assert plan is not None
        assert wanted is not None
        stale, altered = tuple(amend.stale(wanted)), amend.altered(wanted)
        row.state, row.decided_by, row.decided_at = "accepted", who.user_id, now
        put_in_force(act, row, plan, stale, altered)
        return Decided(True, row.digest, stale)


def decline(
    database: Database, who: Who, now: datetime, rollout_id: int, amendment: int, confirm: str
) -> Decided | Refuse:
    """Leave the plan as it is."""
    with acting(database, who, now, rollout_id) as act:
        row = _row(act.session, rollout_id, amendment)
        decision = may_decline_amendment(_facts(act, row, confirm, None))
        if isinstance(decision, Refuse):
            return decision
        assert row is not None
        row.state, row.decided_by, row.decided_at = "declined", who.user_id, now
        sentence = f"declined the change of the plan to {row.digest[:8]}"
        data = {"amendment": row.id, "proposed_digest": row.digest}
        event(act.session, now, who.by, "plan_amend_declined", sentence, rollout_id=rollout_id, data=data)
        return Decided(False, row.digest)


# -- looking -----------------------------------------------------------------------------------------------------------


def rollout_of(session: Session, plan_key: str) -> int | None:
    """The open rollout of a plan; None when there is none."""
    return session.execute(select(Rollout.id).where(Rollout.plan_key == plan_key, Rollout.open)).scalar_one_or_none()


def open_keys(session: Session) -> list[str]:
    """The plan keys of the open rollouts."""
    return list(session.execute(select(Rollout.plan_key).where(Rollout.open).order_by(Rollout.id)).scalars())


def shown(session: Session, rollout_id: int, amendment: int) -> Shown | None:
    """One change with what differs, and what is signed anew as things stand; None when there is none of that id."""
    row = _row(session, rollout_id, amendment)
    return _shown(session, row) if row is not None else None


def by_digest(session: Session, rollout_id: int, beginning: str) -> tuple[int, str] | None:
    """Id and digest of the proposed change whose digest begins so (at least 8 characters)."""
    row = session.execute(
        select(Amendment).where(Amendment.rollout_id == rollout_id, Amendment.state == "proposed")
    ).scalar_one_or_none()
    fits = row is not None and len(beginning) >= 8 and row.digest.startswith(beginning.lower())
    return (row.id, row.digest) if row is not None and fits else None


def history(session: Session, rollout_id: int, most: int) -> list[Shown]:
    """The changes that were made or wait, newest first."""
    rows = session.execute(
        select(Amendment)
        .where(Amendment.rollout_id == rollout_id, Amendment.state.in_(["proposed", "accepted"]))
        .order_by(Amendment.id.desc())
        .limit(most)
    ).scalars()
    return [_shown(session, row) for row in rows]


def _shown(session: Session, row: Amendment) -> Shown:
    base = session.get_one(PlanRevision, row.base_id)
    old, new = parsed(base.text), parsed(row.plan_text)
    stale: tuple[str, ...] = ()
    if row.state == "proposed":
        stages = session.execute(select(Stage).where(Stage.rollout_id == row.rollout_id)).scalars()
        standing = tuple(At(s.key, s.state, _begun(s), s.state is StageState.PASSED) for s in stages)
        stale = tuple(amend.stale(Wanted(old, new, standing)))
    return Shown(
        row.id,
        row.digest,
        row.state,
        row.proposed_by,
        row.proposed_at,
        row.decided_by,
        row.decided_at,
        tuple(amend.difference(old, new)),
        stale,
    )


# -- deciding ----------------------------------------------------------------------------------------------------------


def _row(session: Session, rollout_id: int, amendment: int) -> Amendment | None:
    return session.execute(
        select(Amendment)
        .where(Amendment.id == amendment, Amendment.rollout_id == rollout_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def _whole(row: Amendment) -> bool:
    return hashlib.sha256(row.plan_text.encode()).hexdigest() == row.digest


def _begun(stage: Stage) -> bool:
    return stage.generation > 1 or stage.state not in _UNBEGUN


def _wanted(act: Act, plan: Plan) -> Wanted:
    rows = [act.stages[s.key] for s in act.standing.stages]
    stages = tuple(
        At(s.key, s.state, _begun(s), act.standing.has_passed(s.key), _waived(act.standing, s.key)) for s in rows
    )
    acted = act.session.execute(select(Action.workspace).where(Action.rollout_id == act.rollout.id).distinct())
    return Wanted(act.plan, plan, stages, frozenset(acted.scalars()))


def _waived(standing: Standing, key: str) -> bool:
    """Whether a sign-off of that stage was passed over, and still counts so."""
    return any(kind_of(condition) == SIGN_OFF for condition in standing.stage(key).waived)


def _facts(act: Act, row: Amendment | None, confirm: str, wanted: Wanted | None) -> AmendFacts:
    allowed = may(act.plan, act.plan.capabilities.may_administer, act.roles)
    if row is None:
        return AmendFacts(allowed, act.who.user_id, "", "gone", False, False)
    return AmendFacts(
        allowed,
        act.who.user_id,
        row.proposed_by,
        row.state,
        row.digest == confirm and _whole(row),
        row.base_id == act.rollout.revision_id,
        tuple(amend.problems(wanted)) if wanted is not None else (),
    )
