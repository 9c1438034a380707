"""What is wrong with a plan that only the workspaces and Slack can tell, by file and line. Pure: others have asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import ValidationError

from rollout.placeholders import WORD
from rollout.plan import OfTeam, Selection
from rollout.selection import Candidate, is_of_team, selects
from rollout.teams import member_of
from rollout.yamlmarks import Node, Problem, nearest


@dataclass(frozen=True, slots=True)
class Answered:
    """What one workspace said: the releases it offers and its targets; or why there is no answer."""

    releases: frozenset[str] = frozenset()
    targets: tuple[Candidate, ...] = ()
    error: str = ""


#: Role, or team (``teams.member_of``) -> how many people could sign in it now, and what is wrong with the others.
Holders = Mapping[str, tuple[int, str]]


def online(plan: Node, answers: Mapping[str, Answered], holders: Holders | None) -> Iterator[Problem]:
    """All mistakes of a marked plan that the ``answers``, by workspace key, and the ``holders`` of its roles show.

    ``holders`` is None where Slack was not asked. Parts of the wrong shape are passed over: others complain of them.
    """
    yield from _workspaces(plan, answers)
    yield from _runtimes(plan, answers)
    yield from _stages(plan, answers)
    yield from _teams(plan, answers)
    if holders is not None:
        yield from _roles(plan, holders)
        yield from _team_people(plan, holders)


def _workspaces(plan: Node, answers: Mapping[str, Answered]) -> Iterator[Problem]:
    for node in plan.get("workspaces").items:
        answer = answers.get(node.text)
        if answer is not None and answer.error:
            yield node.problem(
                f"{node.text} does not answer: {answer.error.rstrip('.')}",
                f"a workspace that DATABRICKS_{node.text.upper()}_* reach",
            )


def _runtimes(plan: Node, answers: Mapping[str, Answered]) -> Iterator[Problem]:
    wanted = plan.get("runtimes").get("target")
    heard = {key: a for key, a in answers.items() if not a.error}
    if not wanted.text or not heard:
        return
    offered = sorted(
        {r for a in heard.values() for r in a.releases}, key=lambda r: [int(n) for n in r.split(".")], reverse=True
    )
    if wanted.text not in offered:
        known = f"one of {', '.join(offered[:8])}" if offered else "a release that a workspace offers"
        yield wanted.problem(f"no workspace offers {wanted.text}", known)
        return
    for node in plan.get("workspaces").items:
        answer = heard.get(node.text)
        if answer is not None and wanted.text not in answer.releases:
            yield node.problem(
                f"{node.text} does not offer {wanted.text}, so that nothing in it could be changed",
                f"a workspace that offers {wanted.text}",
            )


def _stages(plan: Node, answers: Mapping[str, Answered]) -> Iterator[Problem]:
    """Stages and names that nothing fits, as far as their workspaces have answered."""
    earlier: list[Selection] = []
    for stage in plan.get("stages").items:
        node = stage.get("targets")
        try:
            selection = Selection.model_validate(node.plain())
        except ValidationError:
            continue
        heard = [w for w in selection.workspaces if w in answers and not answers[w].error]
        there = [t for w in heard for t in answers[w].targets]
        mine = [t for t in there if selects(selection, t) and not any(selects(before, t) for before in earlier)]
        earlier.append(selection)
        if len(heard) < len(selection.workspaces):
            continue  # what did not answer may hold it
        names = {t.name for t in there if t.kind in selection.kinds}
        for pattern in node.get("names").items:
            if pattern.text and not any(fnmatchcase(name, pattern.text) for name in names):
                what = " or ".join(selection.kinds)
                yield pattern.problem(
                    f"no {what} in {', '.join(selection.workspaces)} is called {pattern.text!r}",
                    f"the name of one that is there{nearest(pattern.text, names)}",
                )
        if not mine:
            taken = any(selects(selection, t) for t in there)
            why = "earlier stages take all of it" if taken else "nothing there fits its targets"
            yield node.problem(
                f"{stage.get('key').text} has no target in {', '.join(selection.workspaces)}: {why}",
                "targets that take something, or the stage taken out of the plan",
            )


def _teams(plan: Node, answers: Mapping[str, Answered]) -> Iterator[Problem]:
    """Targets that two teams name, and teams that have none, as far as the workspaces have answered."""
    heard = [t for a in answers.values() if not a.error for t in a.targets]
    complete = all(w in answers and not answers[w].error for w in plan.get("workspaces").texts)
    before: list[tuple[str, OfTeam]] = []
    for key, team in plan.get("teams").entries.items():
        node = team.get("select")
        try:
            select = OfTeam.model_validate(node.plain())
        except ValidationError:
            continue
        mine = [t for t in heard if is_of_team(select, t)]
        for other, theirs in before:
            both = [f"{t.name} ({t.kind}, {t.workspace})" for t in mine if is_of_team(theirs, t)]
            if both:
                more = f" and {len(both) - 3} more" if len(both) > 3 else ""
                yield node.problem(
                    f"{len(both)} of its targets would be in two teams, {other} and {key}: {', '.join(both[:3])}{more}",
                    "them in one of the two teams, or an exclude in one of them",
                )
        before.append((key, select))
        if not mine and complete:
            yield node.problem(f"the team {key} has no target in any workspace", "a selection that takes something")


def _team_people(plan: Node, holders: Holders) -> Iterator[Problem]:
    """Teams that are asked to sign, and in which nobody could."""
    if not any(stage.get("each_team").entries for stage in plan.get("stages").items):
        return
    for key, team in plan.get("teams").entries.items():
        count, said = holders.get(member_of(key), (0, ""))
        named = [*team.get("members").texts, team.get("group").text]
        if not count and any(named) and not any(WORD in one for one in named):
            yield team.problem(
                f"nobody who could act is in the team {key}{': ' + said if said else ''}",
                "people of your own company, as members or in its user group",
            )


def _roles(plan: Node, holders: Holders) -> Iterator[Problem]:
    wanted = {key for able in plan.get("capabilities").entries.values() for key in able.texts}
    wanted |= {key for stage in plan.get("stages").items for key in stage.get("sign_offs").entries}
    for key, role in plan.get("roles").entries.items():
        count, said = holders.get(key, (0, ""))
        named = [*role.get("members").texts, *role.get("groups").texts]
        # What is still to be filled in is no mistake, and is said elsewhere.
        if key in wanted and not count and any(WORD not in one for one in named):
            yield role.problem(
                f"nobody who could act holds this role{': ' + said if said else ''}",
                "people of your own team, as members or in a user group",
            )
