"""Whether the teams of a plan fit it: they have people and targets of their own, and stages ask them rightly. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from rollout.yamlmarks import Node, Problem, nearest

_WORDS: Final = ("names", "tags", "owners", "ids")
_KINDS: Final = ("cluster", "job")


def problems(plan: Node, file: str) -> Iterator[Problem]:
    """All mistakes about teams in a merged plan, as in ``rollout.plancheck.cross_references``."""
    workspaces = plan.get("workspaces").texts
    for key, team in plan.get("teams").entries.items():
        yield from _people(key, team, file)
        yield from _select(key, team.get("select"), workspaces)
    yield from _in_two_teams(plan)
    for stage in plan.get("stages").items:
        yield from _each_team(stage, plan, file)


def _people(key: str, team: Node, file: str) -> Iterator[Problem]:
    if not isinstance(team.value, dict) or team.get("group").text or team.get("members").items:
        return
    yield team.problem(
        f"the team {key} has no people",
        f"a Slack user group as {team.path}.group: S0123ABCDEF, or user ids as {team.path}.members, in {file}",
    )


def _select(key: str, select: Node, workspaces: Sequence[str]) -> Iterator[Problem]:
    if not isinstance(select.value, dict):
        return
    for node in select.get("workspaces").items:
        if node.text and node.text not in workspaces:
            known = f"one of {', '.join(workspaces)}" if 0 < len(workspaces) <= 12 else "a workspace of the plan"
            yield node.problem(f"there is no workspace {node.text!r}", known + nearest(node.text, workspaces))
    if not any(select.get(word).items for word in (*_WORDS, "workspaces", "kinds")):
        yield select.problem(
            f"the team {key} would own everything", f"what is its own, such as select: {{tags: [team={key}]}}"
        )


def _in_two_teams(plan: Node) -> Iterator[Problem]:
    """What can be said beforehand of a target in two teams: one selection holds the other, in the same workspaces.

    What depends on the targets is said by ``/rollout plan``, and refused at the start of a stage (``team_overlap``).
    """
    everywhere = plan.get("workspaces").texts
    before: list[tuple[str, Node]] = []
    for key, team in plan.get("teams").entries.items():
        mine = team.get("select")
        for other, theirs in before:
            entry = _shared(theirs, mine, everywhere)
            if entry is not None:
                yield entry.problem(
                    f"{other} selects {entry.text!r} as well: one target would be in two teams, {other} and {key}",
                    "it in one of the two teams, or an exclude in one of them",
                )
        if isinstance(mine.value, dict):
            before.append((key, mine))


def _shared(one: Node, other: Node, everywhere: Sequence[str]) -> Node | None:
    """The entry by which two selections surely name the same targets: each has one word, it is the same word, and
    neither excludes anything."""
    if one.get("exclude").value or other.get("exclude").value:
        return None
    words = [[word for word in _WORDS if node.get(word).items] for node in (one, other)]
    places = [set(node.get("workspaces").texts or everywhere) for node in (one, other)]
    kinds = [set(node.get("kinds").texts or _KINDS) for node in (one, other)]
    if words[0] != words[1] or len(words[0]) > 1 or not places[0] & places[1] or not kinds[0] & kinds[1]:
        return None
    if not words[0]:  # both take all there is
        both = other.get("workspaces").items or other.get("kinds").items
        return both[0] if both else None
    there = set(one.get(words[0][0]).texts)
    return next((entry for entry in other.get(words[0][0]).items if entry.text and entry.text in there), None)


def _each_team(stage: Node, plan: Node, file: str) -> Iterator[Problem]:
    """Roles in which teams sign, and that the stage does not ask for otherwise.

    Whether enough different people are there is looked at when the stage starts: it depends on whose targets are in it.
    """
    asked, sign_offs = stage.get("each_team"), stage.get("sign_offs").entries
    roles, named = plan.get("roles"), plan.get("teams").entries
    for role, rule in asked.entries.items():
        if role not in roles.entries:
            known = f"one of {', '.join(roles.entries)}" if len(roles.entries) <= 12 else "a role of the plan"
            yield rule.problem(f"there is no role {role!r}", known + nearest(role, list(roles.entries)))
        elif role not in sign_offs:
            yield rule.problem(
                f"{stage.get('key').text} does not say how many sign as {role} for what belongs to no team",
                f"{role}: 1 as {stage.path}.sign_offs",
            )
        if rule.get("unsigned").text == "pin" and not rule.get("after").text:
            yield rule.problem("what is not signed is pinned, but after how long is not said", "after: 2d")
    if asked.entries and not named:
        yield asked.problem("each team signs, and the plan names no teams", f"teams: {{billing: ...}}, in {file}")
