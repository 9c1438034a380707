"""Acts of people on the checklist: say of items that they are done, do not apply, or are open again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from rollout import gates, teams
from rollout.facts import AttestFacts
from rollout.gates import Refuse
from rollout.plan import Item as PlanItem
from rollout.plan import Plan
from rollout.states import ItemState
from storage.acting import Who, acting
from storage.database import Database
from storage.models import Item
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
    """Whether people tick it. What the bot itself does is not attested."""
    return item.by != "action"


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
        rows = {
            row.key: row
            for row in act.session.execute(
                select(Item).where(Item.rollout_id == rollout_id, Item.key.in_(keys))
            ).scalars()
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
                data={"item": item.key, "state": state.value},
            )
        return Attested(tuple(titles), state)
