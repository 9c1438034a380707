"""Which stage a target belongs to: the first stage of the plan that selects it. Pure.

A stage that selects by workspace and kind only takes the rest of it; that an earlier stage took some of that is meant.
A stage that names its targets (by name, tag, owner or id) means exactly those: when another stage has them already, the
two overlap, and nobody can say which one was meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from rollout.change import Found
from rollout.plan import Exclude, OfTeam, Plan, Selection, Words


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target as selections see it."""

    workspace: str
    kind: str
    name: str
    object_id: str = ""
    owner: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def candidate(workspace: str, found: Found) -> Candidate:
    """What was found in a workspace, as selections see it."""
    return Candidate(workspace, found.kind, found.name, found.object_id, found.owner, found.about.tags)


@dataclass(frozen=True, slots=True)
class Belongs:
    """``stage``: where it belongs, None for nowhere; ``overlaps``: other stages that name it as well."""

    stage: str | None
    overlaps: tuple[str, ...] = ()


def belongs(plan: Plan, target: Candidate) -> Belongs:
    """The stage of a target, and the overlaps."""
    claims = [stage for stage in plan.stages if selects(stage.targets, target)]
    if not claims:
        return Belongs(None)
    return Belongs(claims[0].key, tuple(s.key for s in claims[1:] if names_its_targets(s.targets)))


def selects(selection: Selection, target: Candidate) -> bool:
    """Whether a selection takes a target.

    Each word that is there narrows it; of one word any value will do. What ``exclude`` names in any word is left out.
    Names, owners and the values of tags are shell patterns, case-sensitive.
    """
    return target.workspace in selection.workspaces and _narrowed(selection, target)


def _narrowed(selection: Words, target: Candidate) -> bool:
    return (
        target.kind in selection.kinds
        and (not selection.names or _like(target.name, selection.names))
        and (not selection.tags or _tagged(target.tags, selection.tags))
        and (not selection.owners or _like(target.owner or "", selection.owners))
        and (not selection.ids or target.object_id in selection.ids)
        and not _excluded(selection.exclude, target)
    )


def is_of_team(selection: OfTeam, target: Candidate) -> bool:
    """Whether a target belongs to the team with that selection."""
    there = not selection.workspaces or target.workspace in selection.workspaces
    return there and _narrowed(selection, target)


def names_its_targets(selection: Selection) -> bool:
    """Whether it says more than workspaces and kinds; a pattern that takes every name says no more."""
    return bool((selection.names and "*" not in selection.names) or selection.tags or selection.owners or selection.ids)


def _excluded(exclude: Exclude, target: Candidate) -> bool:
    return (
        target.kind in exclude.kinds
        or _like(target.name, exclude.names)
        or _tagged(target.tags, exclude.tags)
        or _like(target.owner or "", exclude.owners)
        or target.object_id in exclude.ids
    )


def written_tags(plan: Plan) -> frozenset[str]:
    """Every ``key=value`` that the plan writes out in a selection."""
    of_plan = (*(stage.targets for stage in plan.stages), *(team.select for team in plan.teams.values()))
    return frozenset(tag for selection in of_plan for tag in (*selection.tags, *selection.exclude.tags))


def _like(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _tagged(tags: Mapping[str, str], wanted: tuple[str, ...]) -> bool:
    for pair in wanted:
        key, _, value = pair.partition("=")
        if key in tags and fnmatchcase(tags[key], value):
            return True
    return False
