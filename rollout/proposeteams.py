"""Teams for a company that has no plan yet: from the tags of its targets, else from their owners. Pure."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from rollout import placeholders
from rollout.firstlook import TEAM_TAGS, Seen, team_of, teams
from rollout.plan import Exclude, OfTeam, Team
from rollout.propose import pattern
from rollout.selection import Candidate, is_of_team

#: More teams than this nobody fills in by hand; the rest is counted.
MOST: Final = 30
#: What YAML takes for something else than a word.
_YAML: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_NO_KEY: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class ProposedTeam:
    """A team as a plan names it, and how many targets on the old runtime it has."""

    key: str
    team: Team
    targets: int


def proposed(seen: Sequence[Seen]) -> tuple[list[ProposedTeam], list[tuple[str, int]]]:
    """Teams whose selection takes their own targets and nobody else's, the largest first; and those that have none."""
    found: list[ProposedTeam] = []
    left: list[tuple[str, int]] = []
    targets = [s for s in seen if s.kind in ("cluster", "job")]
    for name, number in teams(targets):
        made = _team(name, len(found) + 1, targets) if name and len(found) < MOST else None
        if made is None:
            left.append((name, number))
        else:
            found.append(ProposedTeam(_key(name, {p.key for p in found}), made, number))
    return found, left


def _team(name: str, number: int, targets: Sequence[Seen]) -> Team | None:
    mine = [s for s in targets if team_of(s) == name]
    higher = list(dict.fromkeys(key for rank in TEAM_TAGS for s in targets for key in s.tags if _rank(key) == rank))
    tagged = Counter(pair for s in mine if (pair := _tag(s)) is not None)
    if tagged:
        key = tagged.most_common(1)[0][0][0]
        values = [v for k, v in tagged if k == key]
        words = {"tags": tuple(f"{key}={pattern(value)}" for value in values)}
        above = higher[: higher.index(key)]
    else:
        words = {"owners": tuple(dict.fromkeys(pattern(s.owner) for s in mine if s.owner))}
        above = higher
    try:
        exclude = Exclude(tags=tuple(f"{key}=?*" for key in above))
        select = OfTeam.model_validate({**words, "exclude": exclude.model_dump()})
        said = "".join(c if c.isprintable() and c not in "<>" else " " for c in name)
        title = " ".join(said.split())[:40] or f"Team {number}"
        team = Team(title=title, select=select, group=placeholders.group(number))
    except ValidationError:  # a name that no plan can hold
        return None
    taken = [s for s in targets if is_of_team(select, candidate(s))]
    return team if taken and all(team_of(s) == name for s in taken) else None


def candidate(seen: Seen) -> Candidate:
    """What was found, as selections see it."""
    return Candidate(seen.workspace, seen.kind, seen.name, seen.object_id, seen.owner, seen.tags)


def _rank(key: str) -> str:
    return key.lower().replace("-", "_")


def _tag(seen: Seen) -> tuple[str, str] | None:
    """The tag that names the team, as it is written."""
    for rank in TEAM_TAGS:
        for key, value in seen.tags.items():
            if _rank(key) == rank and value.strip():
                return key, value
    return None


def _key(name: str, used: set[str]) -> str:
    word = _NO_KEY.sub("-", name.lower()).strip("-")
    word = (word if word[:1].isalpha() and word not in _YAML else f"team-{word}".rstrip("-"))[:26].rstrip("-")
    number, key = 1, word
    while key in used:
        number += 1
        key = f"{word[:25]}-{number}"
    return key
