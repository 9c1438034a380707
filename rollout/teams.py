"""Teams: whose a target is, and in which places of a stage people sign. Pure.

A *place* is what one sign-off fills: a role (``qa``), or a role for one team (``developer@billing``).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rollout.plan import EachTeam, Plan, Stage
from rollout.selection import Candidate, is_of_team

_AT: Final = "@"
#: Between the keys of several teams that all name a target: nobody can say whose it is.
ALSO: Final = "+"
#: At most so long before its deadline a team is warned.
_WARNED_BEFORE: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TeamPart:
    """What of a stage belongs to one team (key empty: to none).

    ``targets`` are to be signed for; ``left`` were pinned or put back since; ``digest`` is that of its evidence.
    """

    key: str
    targets: int = 0
    left: int = 0
    digest: str = ""


def place(role: str, team: str = "") -> str:
    """The place of a role, or of a role for one team."""
    return f"{role}{_AT}{team}" if team else role


def role_of(where: str) -> str:
    """The role of a place."""
    return where.partition(_AT)[0]


def team_of(where: str) -> str:
    """The team of a place; empty for the place of a role."""
    return where.partition(_AT)[2]


def member_of(team: str) -> str:
    """How the roles of a person say that they are in a team."""
    return f"{_AT}{team}"


def plain(roles: Collection[str]) -> frozenset[str]:
    """The roles of a person without what they may say of teams."""
    return frozenset(r for r in roles if not r.startswith(_AT))


def holds(roles: Collection[str], where: str) -> bool:
    """Whether a person of these roles may sign there: for a team its own people, and nobody else."""
    team = team_of(where)
    return (member_of(team) if team else where) in roles


def owner(plan: Plan, target: Candidate) -> str | None:
    """The team of a target, None for none; several keys joined where more than one names it."""
    found = [key for key, team in plan.teams.items() if is_of_team(team.select, target)]
    return ALSO.join(found[:4]) or None


def is_ambiguous(team: str) -> bool:
    """Whether more than one team names the target."""
    return ALSO in team


def claims(team: str) -> tuple[str, ...]:
    """The keys of the teams that name the target."""
    return tuple(key for key in team.split(ALSO) if key)


def places(stage: Stage, parts: Iterable[TeamPart]) -> dict[str, int]:
    """Place -> how many sign there.

    Where a role signs by team, each team that has targets to sign for gives one sign-off. The number of the role itself
    is for what belongs to no team: it falls away where everything belongs to one.
    """
    signing = [p.key for p in parts if p.key and p.targets]
    rest = any(not p.key and p.targets for p in parts)
    found: dict[str, int] = {}
    for role, number in stage.sign_offs.items():
        by_team = signing if role in stage.each_team else []
        if rest or not by_team:
            found[role] = number
        found |= {place(role, team): 1 for team in by_team}
    return found


def titles(plan: Plan) -> dict[str, str]:
    """Place -> how people call it: ``QA``, ``Developer of Billing``."""
    found = {key: role.title for key, role in plan.roles.items()}
    for role in dict.fromkeys(role for stage in plan.stages for role in stage.each_team):
        title = plan.roles[role].title if role in plan.roles else role
        found |= {place(role, key): f"{title} of {team.title}" for key, team in plan.teams.items()}
    return found


def candidates(plan: Plan, groups: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Place of a team -> its people, given the members of each Slack group by id."""
    found = {}
    for role in dict.fromkeys(role for stage in plan.stages for role in stage.each_team):
        for key, team in plan.teams.items():
            found[place(role, key)] = frozenset(team.members) | frozenset(groups.get(team.group or "", ()))
    return found


def deadline(rule: EachTeam, review: datetime | None) -> datetime | None:
    """Until when a team signs, from when the review began; None where it has no date."""
    return review + timedelta(seconds=rule.after) if rule.after is not None and review is not None else None


def warning(rule: EachTeam, review: datetime | None) -> datetime | None:
    """When a team that has not signed is reminded of its deadline: a quarter of its time before, at most a day."""
    end = deadline(rule, review)
    return end - notice(rule) if end is not None else None


def notice(rule: EachTeam) -> timedelta:
    """How long before its targets are pinned a team has been told so, at least."""
    return min(timedelta(seconds=(rule.after or 0) / 4), _WARNED_BEFORE)
