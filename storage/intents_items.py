"""Acts of people on the checklist: say where items stand (done, set aside, open again), and whose they are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from rollout import awaited, gates, teams
from rollout.facts import AssignFacts, AttestFacts
from rollout.gates import Refuse
from rollout.plan import Item as PlanItem
from rollout.plan import Plan
from rollout.reasons import Reason
from rollout.standing import Standing
from rollout.states import ItemState
from storage.acting import Act, Who, acting
from storage.database import Database
from storage.models import Assignment, Item
from storage.record import event


@dataclass(frozen=True, slots=True)
class Attested:
    """These items stand there now."""

    titles: tuple[str, ...]
    state: ItemState


def attest_facts(
    plan: Plan, roles: Collection[str], keys: Sequence[str], state: ItemState, comment: str
) -> AttestFacts:
    """The facts for ``gates.may_attest``."""
    known = {item.key: item for item in plan.checklist}
    chosen = [known[key] for key in keys if key in known]
    return AttestFacts(
        actor_roles=tuple(sorted(roles)),
        unknown=tuple(key for key in keys if key not in known),
        by_the_bot=tuple(item.title for item in chosen if not by_hand(item)),
        not_theirs=tuple(
            (item.title, tuple(plan.roles[r].title for r in item.attest))
            for item in chosen
            if by_hand(item) and item.attest and not set(item.attest) & set(roles)
        ),
        nothing=not keys,
        reason_missing=state is ItemState.NOT_APPLICABLE and not comment.strip(),
    )


def by_hand(item: PlanItem) -> bool:
    """Whether people tick it. What the bot itself does or looks at is not attested."""
    return item.by == "person"


def assign_facts(
    standing: Standing, roles: Collection[str], keys: Sequence[str], owner: str, due: date | None, now: datetime
) -> AssignFacts:
    """The facts for ``gates.may_assign``. Without an ``owner`` the items become nobody's."""
    plan, people = standing.plan, standing.candidates()
    known = {item.key: item for item in plan.checklist}
    chosen = [known[key] for key in keys if key in known]

    def fit(item: PlanItem) -> bool:
        return not owner or any(owner in people[role] for role in item.attest or plan.roles)

    return AssignFacts(
        actor_roles=tuple(sorted(roles)),
        unknown=tuple(key for key in keys if key not in known),
        by_the_bot=tuple(item.title for item in chosen if not by_hand(item)),
        unfit=tuple(
            (item.title, tuple(plan.roles[r].title for r in item.attest or plan.roles))
            for item in chosen
            if by_hand(item) and not fit(item)
        ),
        nothing=not keys,
        day_passed=due is not None and due < awaited.today(plan.zone, now),
    )


def attest(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    keys: Sequence[str],
    state: ItemState,
    comment: str = "",
) -> Attested | Refuse:
    """Say where these items stand; all of them or none."""
    with acting(database, who, now, rollout_id) as act:
        decision = gates.may_attest(attest_facts(act.plan, teams.plain(act.roles), keys, state, comment))
        if isinstance(decision, Refuse):
            return decision
        return Attested(_attest(act, keys, state, comment), state)


def assign(
    database: Database, who: Who, now: datetime, rollout_id: int, keys: Sequence[str], owner: str, due: date | None
) -> tuple[str, ...] | Refuse:
    """Give these items to ``owner``, until ``due``; all of them or none. No owner: they are nobody's any more.

    Returns their titles.
    """
    with acting(database, who, now, rollout_id) as act:
        decision = gates.may_assign(assign_facts(act.standing, act.roles, keys, owner, due, now))
        if isinstance(decision, Refuse):
            return decision
        return _assign(act, keys, owner, due)


def settle(
    database: Database,
    who: Who,
    now: datetime,
    rollout_id: int,
    key: str,
    state: ItemState | None,
    comment: str,
    assigned: tuple[str, date | None] | None,
) -> str | Refuse:
    """What the dialog of one item says at once: where it stands, and whose it is; both or neither. None: as it is.

    Returns its title.
    """
    with acting(database, who, now, rollout_id) as act:
        reasons: list[Reason] = []
        decisions: list[gates.Decision] = []
        if state is not None:
            decisions.append(gates.may_attest(attest_facts(act.plan, teams.plain(act.roles), [key], state, comment)))
        if assigned is not None:
            decisions.append(gates.may_assign(assign_facts(act.standing, act.roles, [key], *assigned, now)))
        for decision in decisions:
            if isinstance(decision, Refuse):
                reasons += [r for r in decision.reasons if r not in reasons]
        if reasons:
            return Refuse(tuple(reasons))
        if state is not None:
            _attest(act, [key], state, comment)
        if assigned is not None:
            _assign(act, [key], *assigned)
        return next(i.title for i in act.plan.checklist if i.key == key)


def _attest(act: Act, keys: Sequence[str], state: ItemState, comment: str) -> tuple[str, ...]:
    rollout_id, now, who = act.rollout.id, act.now, act.who
    rows = {
        row.key: row
        for row in act.session.execute(select(Item).where(Item.rollout_id == rollout_id, Item.key.in_(keys))).scalars()
    }
    titles = []
    for item in act.plan.checklist:
        if item.key not in keys:
            continue
        row = rows.get(item.key)
        if row is None:
            row = Item(rollout_id=rollout_id, key=item.key, state=state, by=who.user_id, comment=comment, at=now)
            act.session.add(row)
        else:
            row.state, row.by, row.comment, row.at = state, who.user_id, comment, now
        titles.append(item.title)
        word = {ItemState.DONE: "ticked", ItemState.OPEN: "un-ticked", ItemState.NOT_APPLICABLE: "set aside"}[state]
        event(
            act.session,
            now,
            who.by,
            "checklist",
            f"{word}: {item.title}" + (f" ({comment})" if comment else ""),
            rollout_id=rollout_id,
            data={"item": item.key, "state": state.value, "comment": comment},
        )
    return tuple(titles)


def _assign(act: Act, keys: Sequence[str], owner: str, due: date | None) -> tuple[str, ...]:
    rows = {
        row.key: row
        for row in act.session.execute(
            select(Assignment).where(Assignment.rollout_id == act.rollout.id, Assignment.key.in_(keys))
        ).scalars()
    }
    titles = []
    for item in act.plan.checklist:
        if item.key not in keys:
            continue
        titles.append(item.title)
        row = rows.get(item.key)
        if (row.owner, row.due) == (owner, due) if row is not None else not owner:
            continue
        if not owner and row is not None:
            act.session.delete(row)
        elif row is None:
            made = Assignment(rollout_id=act.rollout.id, key=item.key, owner=owner, due=due)
            made.by, made.at = act.who.user_id, act.now
            act.session.add(made)
        else:
            row.owner, row.due, row.by, row.at = owner, due, act.who.user_id, act.now
        until = f" until {due.isoformat()}" if due is not None and owner else ""
        said = f"assigned to {owner}{until}: {item.title}" if owner else f"assigned to nobody: {item.title}"
        data = {"item": item.key, "owner": owner, "due": due.isoformat() if due is not None else None}
        event(act.session, act.now, act.who.by, "assign", said, rollout_id=act.rollout.id, data=data)
    return tuple(titles)
