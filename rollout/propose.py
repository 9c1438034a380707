"""Stages for a company that has no plan yet, from what a first look found. Pure: facts in, proposal out.

The stages are those of the default plan. Each workspace goes to one of four tiers by hints in its name, else by its
size; production is split into a canary and the rest; a tier in which nothing would change has no stage.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rollout import canary
from rollout import selection as selections
from rollout.canary import Candidate
from rollout.firstlook import Looked, Seen
from rollout.plan import Kind, Selection
from rollout.quiet import Quiet, quiet_hours

TIERS: Final = ("dev", "test", "staging", "prod")
#: Hints in the words of a name; the more telling ones first: "preprod" is no production.
_HINTS: Final = (
    ("staging", re.compile(r"^(stag\w*|stg|uat|acc\w*|pre\w*|nonprod)$")),
    ("prod", re.compile(r"^(prod\w*|prd|live)$")),
    ("test", re.compile(r"^(test\w*|tst|qa|qas|int|integration|sit)$")),
    ("dev", re.compile(r"^(dev\w*|sandbox|sbx|lab|play\w*|explor\w*)$")),
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A workspace in its tier, and why it is there."""

    looked: Looked
    tier: str
    why: str


@dataclass(frozen=True, slots=True)
class ProposedStage:
    """A stage of the default plan with the targets it takes; ``changeable`` of them would be changed."""

    key: str
    selection: Selection
    targets: int
    changeable: int
    quiet: Quiet | None = None
    quiet_searched: bool = False  # whether quiet hours were looked for


@dataclass(frozen=True, slots=True)
class Proposal:
    """All of it. ``ranked`` are the candidates of the canary's workspace; ``chosen`` those that it takes.

    ``orphans`` are on the old runtime and in no stage; ``left_out`` are workspaces where nothing would change.
    """

    placed: tuple[Placed, ...]
    stages: tuple[ProposedStage, ...]
    ranked: tuple[Candidate, ...]
    chosen: tuple[Candidate, ...]
    orphans: tuple[Seen, ...]
    left_out: tuple[Looked, ...]

    @property
    def seen(self) -> list[Seen]:
        return [s for p in self.placed for s in p.looked.seen] + [s for found in self.left_out for s in found.seen]


def propose(looks: Sequence[Looked], zone: str = "UTC") -> Proposal:
    """The proposal for these workspaces; without stages when nothing in them would change."""
    placed = place([found for found in looks if found.changeable])
    left_out = tuple(found for found in looks if not found.changeable)
    stages: list[ProposedStage] = []
    for tier in TIERS[:-1]:
        mine = [p.looked for p in placed if p.tier == tier]
        if mine:
            stages.append(_stage(tier, mine, Selection(workspaces=_keys(mine)), ()))
    ranked, chosen = _production(stages, [p.looked for p in placed if p.tier == "prod"], zone)
    taking = [stage.selection for stage in stages]
    lost = tuple(
        s
        for found in looks
        for s in found.seen
        if s.on_source and not any(_takes(selection, s) for selection in taking)
    )
    return Proposal(tuple(placed), tuple(stages), tuple(ranked), tuple(chosen), lost, left_out)


def place(looks: Sequence[Looked]) -> list[Placed]:
    """Each workspace in its tier, in the order of the tiers and then of size."""
    found: list[Placed] = []
    unknown: list[Looked] = []
    for looked in looks:
        hint = _hint(looked.workspace) or _hint(looked.host.split("//")[-1].split(".")[0])
        if hint is None:
            unknown.append(looked)
        else:
            found.append(Placed(looked, hint[0], f"{hint[1]!r} in its name"))
    unknown.sort(key=lambda w: (w.on_source, w.workspace))
    if unknown and not any(p.tier == "prod" for p in found):
        found.append(Placed(unknown.pop(), "prod", "no name says production, and it is the largest of the others"))
    free = [tier for tier in TIERS[:-1] if not any(p.tier == tier for p in found)] or ["staging"]
    for index, looked in enumerate(unknown):
        tier = free[min(index, len(free) - 1)]
        found.append(Placed(looked, tier, "its name says nothing; placed by its size"))
    return sorted(found, key=lambda p: (TIERS.index(p.tier), p.looked.on_source, p.looked.workspace))


def pattern(name: str) -> str:
    """The shell pattern that stands for exactly this name; a plan takes white space off both ends of a text."""
    start, end = len(name) - len(name.lstrip()), len(name.rstrip())
    return "".join(
        f"[{char}]" if char in "[*?" or not start <= place < end else char for place, char in enumerate(name)
    )


def _hint(name: str) -> tuple[str, str] | None:
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    for tier, known in _HINTS:
        for word in words:
            if known.match(word):
                return tier, word
    return None


def _keys(looks: Sequence[Looked]) -> tuple[str, ...]:
    return tuple(found.workspace for found in looks)


def _production(stages: list[ProposedStage], looks: list[Looked], zone: str) -> tuple[list[Candidate], list[Candidate]]:
    """Add the canary and the rest; the candidates and the chosen ones."""
    if not looks:
        return [], []
    everything = sum(found.changeable for found in looks)
    rankings = [ranking for found in looks if (ranking := canary.rank(found))]
    # A name counts in all workspaces that a stage takes, so the canary is in one workspace: that of the best candidate.
    rankings.sort(key=lambda r: (not r[0].suits, bool(r[0].drags), len(r[0].against), -r[0].runs))
    ranked = rankings[0] if rankings else []
    chosen = canary.taken(ranked, everything - len(ranked))
    first: tuple[Seen, ...] = tuple(c.seen for c in chosen)
    if not first and everything > 1:
        first = _any_cluster(looks)
    before: list[Selection] = []
    if first:
        kinds: tuple[Kind, ...] = ("job",) if first[0].kind == "job" else ("cluster",)
        selection = Selection(
            workspaces=(first[0].workspace,), kinds=kinds, names=tuple(pattern(s.name) for s in first)
        )
        before.append(selection)
        stages.append(_stage("canary", looks, selection, ()))
    spans = [(r.started, r.ended) for found in looks for r in found.runs]
    rest = _stage("full", looks, Selection(workspaces=_keys(looks)), before)
    quiet = quiet_hours(spans, zone)
    stages.append(ProposedStage(rest.key, rest.selection, rest.targets, rest.changeable, quiet, True))
    return ranked, chosen


def _any_cluster(looks: Sequence[Looked]) -> tuple[Seen, ...]:
    """Where no job can go first: one cluster of a name of its own, a stopped one rather than a running one."""
    for found in looks:
        names = [s.name for s in found.seen]
        usable = [s for s in found.seen if s.kind == "cluster" and s.skip is None and names.count(s.name) == 1]
        if usable:
            return (min(usable, key=lambda s: (s.state != "TERMINATED", s.name)),)
    return ()


def _stage(key: str, looks: Sequence[Looked], selection: Selection, before: Sequence[Selection]) -> ProposedStage:
    mine = [
        s
        for found in looks
        for s in found.seen
        if _takes(selection, s) and not any(_takes(earlier, s) for earlier in before)
    ]
    return ProposedStage(key, selection, len(mine), sum(s.skip is None for s in mine))


def _takes(selection: Selection, seen: Seen) -> bool:
    them = selections.Candidate(seen.workspace, seen.kind, seen.name, seen.object_id, seen.owner, seen.tags)
    return selections.selects(selection, them)
