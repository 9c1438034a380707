"""Who may sign what, and whether the required roles can be filled at all."""

from collections.abc import Collection, Mapping

from rollout import teams
from rollout.plan import Plan


def members(plan: Plan, groups: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Place -> user ids, given the members of each Slack group by id. A group that is not known adds nobody."""
    return {
        key: frozenset(role.members) | frozenset(u for g in role.groups for u in groups.get(g, ()))
        for key, role in plan.roles.items()
    } | teams.candidates(plan, groups)


def roles_of(plan: Plan, user_id: str, user_groups: Collection[str]) -> frozenset[str]:
    """The roles that a person holds by id or by being in one of the role's groups, and the teams that they are in."""
    held = {key for key, role in plan.roles.items() if user_id in role.members or set(role.groups) & set(user_groups)}
    mine = (key for key, team in plan.teams.items() if user_id in team.members or team.group in user_groups)
    return frozenset(held | {teams.member_of(key) for key in mine})


def unfilled(
    required: Mapping[str, int], candidates: Mapping[str, Collection[str]], excluded: Collection[str] = ()
) -> tuple[str, ...]:
    """The required roles that distinct people cannot fill, in order; empty when all can be filled.

    ``required`` is role -> how many; ``candidates`` role -> user ids; one person fills one place only. Found as a
    maximum bipartite matching by augmenting paths (Kuhn 1955, Munkres 1957).
    """
    places = [role for role, count in sorted(required.items()) for _ in range(count)]
    taken: dict[str, int] = {}  # person -> place

    def seat(place: int, seen: set[str]) -> bool:
        for person in sorted(set(candidates.get(places[place], ())) - set(excluded)):
            if person in seen:
                continue
            seen.add(person)
            if person not in taken or seat(taken[person], seen):
                taken[person] = place
                return True
        return False

    return tuple(dict.fromkeys(places[i] for i in range(len(places)) if not seat(i, set())))
