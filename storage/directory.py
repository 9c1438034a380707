"""What Slack said of the people and groups that the plans of open rollouts name."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rollout.placeholders import WORD
from storage.models import GroupMember, Issue, KnownPerson, Rollout
from storage.plans import plan_of


@dataclass(frozen=True, slots=True)
class Named:
    """User ids and group ids that plans name, and the owners of open issues."""

    people: frozenset[str]
    groups: frozenset[str]


def named(session: Session) -> Named:
    """Whom the plans of all open rollouts name."""
    plans = [plan_of(rollout) for rollout in session.scalars(select(Rollout).where(Rollout.open))]
    roles = [role for plan in plans for role in plan.roles.values()]
    # Only who is known to be a full member of the team is ever sent a direct message.
    owners = select(Issue.owner).join(Rollout, Rollout.id == Issue.rollout_id).where(Rollout.open, Issue.open)
    # Only where teams sign: a group that nobody asks for must not keep people from being recognised.
    signing = [plan for plan in plans if any(stage.each_team for stage in plan.stages)]
    teams = [team for plan in signing for team in plan.teams.values()]
    return Named(
        frozenset(u for r in roles for u in r.members)
        | {u for team in teams for u in team.members}
        | frozenset(session.scalars(owners.distinct())),
        frozenset(g for r in roles for g in r.groups)
        | {team.group for team in teams if team.group is not None and WORD not in team.group},
    )


def members(session: Session, groups: Collection[str]) -> frozenset[str]:
    """The members of these groups, as last seen."""
    return frozenset(session.scalars(select(GroupMember.user_id).where(GroupMember.group_id.in_(list(groups)))))


def checked(session: Session) -> dict[str, datetime]:
    """When each known person was last looked at (machine)."""
    rows = session.execute(select(KnownPerson.user_id, KnownPerson.checked_at))
    return {row.user_id: row.checked_at for row in rows}


def know(session: Session, user_id: str, team_id: str, problem: str | None, now: datetime) -> None:
    """Keep what was found of a person."""
    person = session.get(KnownPerson, user_id) or KnownPerson(user_id=user_id)
    person.team_id, person.available, person.problem, person.checked_at = team_id, problem is None, problem, now
    session.add(person)


def set_members(session: Session, group_id: str, users: Collection[str]) -> None:
    """Replace the members of a group."""
    held = set(session.scalars(select(GroupMember.user_id).where(GroupMember.group_id == group_id)))
    gone = held - set(users)
    if gone:
        session.execute(
            delete(GroupMember).where(GroupMember.group_id == group_id, GroupMember.user_id.in_(sorted(gone)))
        )
    session.add_all(GroupMember(group_id=group_id, user_id=user) for user in sorted(set(users) - held))
