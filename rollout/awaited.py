"""What waits for a person, on which day it is due, and when people may be reminded of it. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rollout.decisions import Proceed
from rollout.gatefacts import sign_facts
from rollout.gates_signing import may_approve
from rollout.issues import Issue
from rollout.people import members
from rollout.plan import Item, Reminders
from rollout.standing import Standing
from rollout.states import StageState

#: Who was asked for a sign-off in the channel is not reminded of it within this time (calendar).
ASKED_LATELY: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Awaited:
    """What waits for one person in one rollout: open items assigned to them, open issues of theirs, stages to sign."""

    items: tuple[Item, ...] = ()
    issues: tuple[Issue, ...] = ()
    stages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.items or self.issues or self.stages)


def of(standing: Standing, user: str, roles: Collection[str], asked_before: datetime | None = None) -> Awaited:
    """What waits for that person: what is due first comes first.

    ``asked_before``: stages only whose review began before that.
    """
    mine = [i for i in standing.plan.checklist if _is(standing, i, user)]
    last = date.max
    mine.sort(key=lambda i: standing.assigned[i.key].due or last)
    stages = []
    for stage in standing.stages if not standing.read_only else ():
        fresh = asked_before is not None and (stage.reviewed_at is None or stage.reviewed_at > asked_before)
        if stage.state is not StageState.REVIEW or fresh:
            continue
        if isinstance(may_approve(sign_facts(standing, stage.key, user, roles, "")), Proceed):
            stages.append(stage.key)
    return Awaited(tuple(mine), tuple(i for i in standing.issues if i.owner == user), tuple(stages))


def _is(standing: Standing, item: Item, user: str) -> bool:
    assigned = standing.assigned.get(item.key)
    return assigned is not None and assigned.owner == user and standing.is_open(item.key)


def people(standing: Standing, asked_before: datetime) -> frozenset[str]:
    """Who may have something waiting: owners of open items and issues, and who could sign what is in review."""
    held = members(standing.plan, standing.groups)
    found = {a.owner for key, a in standing.assigned.items() if standing.is_open(key)}
    found |= {i.owner for i in standing.issues}
    for stage in standing.stages:
        if stage.state is StageState.REVIEW and stage.reviewed_at is not None and stage.reviewed_at <= asked_before:
            found |= {u for role in stage.lacking(standing.required(stage.key)) for u in held.get(role, ())}
    return frozenset(found & standing.available)


def today(zone: str, now: datetime) -> date:
    """The day on the clock of a zone."""
    return now.astimezone(UTC if zone == "UTC" else ZoneInfo(zone)).date()


def overdue(standing: Standing, item: str, now: datetime) -> bool:
    """Whether an open item's day has passed."""
    assigned = standing.assigned.get(item)
    late = assigned is not None and assigned.due is not None and assigned.due < today(standing.plan.zone, now)
    return late and standing.is_open(item)


def day(reminders: Reminders, now: datetime) -> date | None:
    """The day for which people may be reminded at this moment; None in quiet hours and at quiet weekends."""
    local = now.astimezone(UTC if reminders.zone == "UTC" else ZoneInfo(reminders.zone))
    if local.weekday() >= 5 and not reminders.weekends:
        return None
    return local.date() if reminders.at <= local.time() < reminders.until else None
