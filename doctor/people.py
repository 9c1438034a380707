"""The roles of the plans: who holds them, who of these can act, and whether they suffice for every sign-off."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from slack_sdk import WebClient

from bot.clients import Own, Refused, call
from bot.identity import members_of, problem_of
from doctor.finding import Finding, fail, ok, warn
from doctor.slack import FAILURES, said
from rollout.people import unfilled
from rollout.placeholders import WORD
from rollout.plan import Plan, Team
from rollout.reasons import CODES

#: users.info allows about 100 calls a minute, and the bot itself needs some.
MOST_PEOPLE: Final = 60
_AT_ONCE: Final = 8
_NOBODY: Final = frozenset({"user_not_found", "user_not_visible", "users_not_found"})


@dataclass(frozen=True, slots=True)
class Known:
    """What Slack says of people and groups. ``problems``: user id -> why that person may not act; None: may.

    ``unknown`` are people and groups that could not be looked at, with what was said.
    """

    problems: Mapping[str, str | None] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)

    def holders(self, people: Collection[str], groups: Collection[str]) -> frozenset[str]:
        """Everybody who holds a role, available or not."""
        return frozenset(people) | frozenset(u for g in groups for u in self.members.get(g, ()))

    def available(self, people: Collection[str], groups: Collection[str]) -> frozenset[str]:
        """Those of them who may act."""
        return frozenset(u for u in self.holders(people, groups) if u in self.problems and self.problems[u] is None)

    def possible(self, people: Collection[str], groups: Collection[str]) -> frozenset[str]:
        """Those who may act, and those of whom it could not be told."""
        unsaid = frozenset(u for u in self.holders(people, groups) if u not in self.problems)
        return self.available(people, groups) | unsaid

    def why_not(self, people: Collection[str], groups: Collection[str]) -> str:
        """Who of the holders may not act, or could not be looked at, and why; a few of them."""
        wrong = [_why(u, self) for u in sorted(self.holders(people, groups) - self.available(people, groups))]
        wrong += [f"group {g}: {self.unknown[g]}" for g in groups if g in self.unknown]
        wrong += [f"group {g} has no members" for g in groups if g in self.members and not self.members[g]]
        return "; ".join(wrong[:4]) + (f"; and {len(wrong) - 4} more" if len(wrong) > 4 else "")


def look(web: WebClient, own: Own, people: Collection[str], groups: Collection[str]) -> Known:
    """Ask Slack about these people, and the members of these groups. Never raises: what failed is unknown."""
    problems: dict[str, str | None] = {}
    unknown: dict[str, str] = {}
    members: dict[str, frozenset[str]] = {}

    def group(group_id: str) -> None:
        try:
            members[group_id] = members_of(web, group_id)
        except FAILURES as error:
            unknown[group_id] = said(error)

    def person(user_id: str) -> None:
        try:
            problems[user_id] = problem_of(call(web.users_info, user=user_id)["user"], own)
        except FAILURES as error:
            if isinstance(error, Refused) and error.error in _NOBODY:
                problems[user_id] = "identity_unknown"
            else:
                unknown[user_id] = said(error)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(group, sorted(groups)))
        everybody = sorted(set(people) | {u for found in members.values() for u in found})
        list(pool.map(person, [u for u in everybody[:MOST_PEOPLE] if WORD not in u]))
    unknown.update(dict.fromkeys(everybody[MOST_PEOPLE:], "not looked at: there are too many to ask about at once"))
    problems.update({u: "identity_unknown" for u in everybody if WORD in u})
    return Known(problems, members, unknown)


def signing_teams(plan: Plan) -> dict[str, Team]:
    """The teams of a plan that are asked to sign; none where no stage says so."""
    return dict(plan.teams) if any(stage.each_team for stage in plan.stages) else {}


def named(plan: Plan) -> tuple[frozenset[str], frozenset[str]]:
    """The user ids and the group ids of the roles and of the teams that sign."""
    roles, teams = plan.roles.values(), signing_teams(plan).values()
    people = {u for role in roles for u in role.members} | {u for team in teams for u in team.members}
    groups = {g for role in roles for g in role.groups} | {team.group for team in teams if team.group}
    return frozenset(people), frozenset(groups)


def roles(plan: Plan, known: Known) -> Iterator[Finding]:
    """Each role that something waits for, then the sign-offs of all stages together."""
    needed = {r for s in plan.stages for r in s.sign_offs} | {
        r for able in (plan.capabilities.start, plan.capabilities.rollback, plan.capabilities.pause) for r in able
    }
    for key, role in plan.roles.items():
        if key in needed:
            yield _role(f"role {key} of {plan.key}", known, role.members, role.groups)
    for key, team in signing_teams(plan).items():
        yield _role(f"team {key} of {plan.key}", known, team.members, [team.group] if team.group else [])
    able = {k: known.available(r.members, r.groups) for k, r in plan.roles.items()}
    blind = {k for k, r in plan.roles.items() if any(g in known.unknown for g in r.groups)}
    perhaps = {k: known.possible(r.members, r.groups) for k, r in plan.roles.items()}
    if perhaps != able or blind:
        subject = f"sign-offs of {plan.key}"
        yield warn(subject, "not everybody could be looked up, so that nothing can be said", "Look again in a minute.")
    else:
        yield from _sign_offs(plan, able)


def unasked(plan: Plan) -> Iterator[Finding]:
    """What can be said of the roles without Slack: whether enough different people are named."""
    said = "nobody was looked up: Slack did not let us in"
    yield warn(f"roles of {plan.key}", said, "Set up SLACK_BOT_TOKEN, then look again.")
    if not any(role.groups for role in plan.roles.values()):
        yield from _sign_offs(plan, {k: frozenset(r.members) for k, r in plan.roles.items()})


def _role(subject: str, known: Known, people: Collection[str], groups: Collection[str]) -> Finding:
    holders, available = known.holders(people, groups), known.available(people, groups)
    problems = known.why_not(people, groups)
    if not available and (known.possible(people, groups) or any(g in known.unknown for g in groups)):
        return warn(subject, f"could not be looked up: {problems}", "Look again in a minute.")
    if not available:
        found = f"nobody can act in it{': ' + problems if problems else ''}"
        return fail(subject, found, f"Name available people of your own team as {subject.split()[1]} in the plan.")
    count = f"{len(available)} of {len(holders)} can act: {', '.join(sorted(available)[:6])}"
    if problems:
        return warn(subject, f"{count}; not {problems}", "Take those who cannot act out of the plan, or look again.")
    return ok(subject, count)


def _why(user: str, known: Known) -> str:
    if WORD in user:
        return f"{user} is still to be filled in"
    problem = known.problems.get(user)
    return f"{user}: {CODES.get(problem, problem) if problem else known.unknown.get(user, 'not looked at')}"


def _sign_offs(plan: Plan, candidates: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    subject = f"sign-offs of {plan.key}"
    starters = frozenset(u for r in plan.capabilities.start for u in candidates.get(r, ()))
    bad = False
    for stage in plan.stages:
        if empty := unfilled(stage.sign_offs, candidates):
            bad = True
            found = f"{stage.key} cannot be signed as {' and '.join(empty)} by different people who can act"
            yield fail(subject, found, "Name more people in these roles: one person counts once.")
        elif all(unfilled(stage.sign_offs, candidates, {s}) for s in starters):
            bad = True
            found = f"whoever may start {stage.key} is needed to sign it, and may not do both"
            yield fail(subject, found, "Name one more person who may start, or who signs.")
    if not bad:
        yield ok(subject, f"different people can sign each of the {len(plan.stages)} stages")
