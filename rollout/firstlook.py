"""What a first look at the workspaces of a company found, before there is a plan: the facts of a proposal. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

#: Tags that name a team, in the order in which they are believed.
TEAM_TAGS: Final = ("team", "owning_team", "owner_team", "squad", "group", "department", "owner")
_SUFFIX: Final = re.compile(r"[-_. ]team$")
_IDENTIFIER: Final = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-")


@dataclass(frozen=True, slots=True)
class Ties:
    """Ids of what a target uses and does not own: clusters and jobs that it starts, pools and policies."""

    clusters: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """One target. ``skip`` is the reason code why it would be left alone; None: it would be changed.

    ``on_source``: it names the runtime that is to be left. ``state`` as in ``rollout.change.Found``.
    """

    workspace: str
    kind: str
    object_id: str
    name: str
    owner: str | None
    state: str
    on_source: bool
    skip: str | None
    tags: Mapping[str, str] = field(default_factory=dict)
    ties: Ties = Ties()


@dataclass(frozen=True, slots=True)
class Ran:
    """One ended run of a job; ``result`` as in ``workspace.runs.RunSeen``."""

    job_id: str
    started: datetime
    ended: datetime
    result: str


@dataclass(frozen=True, slots=True)
class Looked:
    """One workspace: its targets, and its runs since ``since``. ``complete``: these are all runs since then."""

    workspace: str
    host: str
    seen: tuple[Seen, ...]
    runs: tuple[Ran, ...]
    since: datetime
    until: datetime
    complete: bool = True

    @property
    def on_source(self) -> int:
        return sum(s.on_source for s in self.seen)

    @property
    def changeable(self) -> int:
        return sum(s.skip is None for s in self.seen)


def team_of(seen: Seen) -> str:
    """The team that a target's tags name, else the one that its owner's address names; empty when nothing does."""
    tags = {key.lower().replace("-", "_"): value.strip() for key, value in seen.tags.items()}
    for key in TEAM_TAGS:
        if tags.get(key):
            return tags[key]
    owner = (seen.owner or "").strip()
    if not owner or _IDENTIFIER.match(owner):
        return ""
    return _SUFFIX.sub("", owner.split("@")[0])


def teams(seen: Iterable[Seen]) -> list[tuple[str, int]]:
    """Team -> how many targets on the old runtime it has, the largest first; the empty name last."""
    counts = Counter(team_of(s) for s in seen if s.on_source)
    return sorted(counts.items(), key=lambda pair: (pair[0] == "", -pair[1], pair[0]))


def left_alone(seen: Iterable[Seen]) -> list[tuple[str, list[Seen]]]:
    """Reason code -> the targets that would be left alone for it, the most frequent first."""
    found: dict[str, list[Seen]] = defaultdict(list)
    for s in seen:
        if s.skip is not None:
            found[s.skip].append(s)
    return sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))


class Web:
    """Who shares what with whom in one workspace: what a target would drag along."""

    def __init__(self, seen: Sequence[Seen]) -> None:
        self._names = {(s.kind, s.object_id): s.name for s in seen}
        self._users: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        for s in seen:
            used = (("cluster", s.ties.clusters), ("job", s.ties.jobs), ("pool", s.ties.pools))
            for what, ids in (*used, ("policy", s.ties.policies)):
                for i in ids:
                    self._users[what, i].add((s.kind, s.object_id))

    def drags(self, seen: Seen) -> list[str]:
        """In words, everything besides the target itself that moves, or is touched, with it."""
        me = (seen.kind, seen.object_id)
        found = [f"shares cluster {self._names.get(('cluster', i), i)}" for i in seen.ties.clusters]
        found += [f"starts job {self._names.get(('job', i), i)}" for i in seen.ties.jobs]
        starters = sorted(self._names.get(user, user[1]) for user in self._users.get(me, ()) if user[0] == "job")
        verb = "is started by job" if seen.kind == "job" else "is used by job"
        found += [f"{verb} {name}" for name in starters[:3]]
        if len(starters) > 3:
            found.append(f"{verb} and {len(starters) - 3} more")
        for what, ids in (("pool", seen.ties.pools), ("policy", seen.ties.policies)):
            for i in ids:
                others = len(self._users[what, i] - {me})
                found.append(f"uses {what} {i}" + (f" with {others} more" if others else ""))
        return found
