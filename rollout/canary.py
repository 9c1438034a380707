"""Which jobs suit a canary: isolated, often run, rarely failing, short. Ranked, with the reasons. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

from rollout.firstlook import Looked, Ran, Seen, Web

#: A canary is watched for a day or two: with fewer runs it says nothing in that time.
FEWEST_A_DAY: Final = 1
MOST_FAILING: Final = 0.05
LONGEST: Final = 3600.0
#: How many a canary takes at most: few enough to look at each run.
TAKEN: Final = 3
_FAILED: Final = frozenset({"failed", "timedout"})
_COUNTED: Final = _FAILED | {"success"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One job. ``drags``: what moves with it; ``against``: what else speaks against it; both in words.

    ``runs`` and ``failures`` are those of the last ``days``.
    """

    seen: Seen
    days: float
    runs: int
    failures: int
    median: float | None  # seconds from start to end of its good runs
    drags: tuple[str, ...]
    against: tuple[str, ...]

    @property
    def suits(self) -> bool:
        return not self.drags and not self.against

    def words(self) -> str:
        """Its numbers and reasons in one line."""
        said = [f"{self.runs} run{'' if self.runs == 1 else 's'} in {_days(self.days)}"]
        if self.runs:
            said.append(f"{self.failures} failed")
        if self.median is not None:
            said.append(f"median {_lasting(self.median)}")
        if not self.drags:
            said.append("job clusters of its own, nothing shared")
        return ", ".join(said) + "".join(f"; but {word}" for word in (*self.drags, *self.against))


def rank(looked: Looked) -> list[Candidate]:
    """The jobs of one workspace that would be changed, the best first."""
    web = Web(looked.seen)
    names = Counter(s.name for s in looked.seen)
    days = (looked.until - looked.since).total_seconds() / 86_400
    runs: dict[str, list[Ran]] = defaultdict(list)
    for run in looked.runs:
        if run.result in _COUNTED:
            runs[run.job_id].append(run)
    found = [_candidate(s, days, runs, web, names) for s in looked.seen if s.kind == "job" and s.skip is None]
    return sorted(found, key=lambda c: (bool(c.drags), len(c.against), -c.runs, _rate(c), c.median or 0.0, c.seen.name))


def taken(ranked: list[Candidate], others: int) -> list[Candidate]:
    """What the canary takes: the best few that suit, else the single best one.

    ``others`` is how many more targets the stage after it has to be left with for it to make sense.
    """
    room = max(min(TAKEN, len(ranked) + others - 1), 0)
    usable = [c for c in ranked if _NAME_TAKEN not in c.against]
    return [c for c in usable if c.suits][:room] or usable[: min(1, room)]


_NAME_TAKEN: Final = "its name is not unique in the workspace"


def _candidate(seen: Seen, days: float, runs: Mapping[str, list[Ran]], web: Web, names: Mapping[str, int]) -> Candidate:
    mine = runs.get(seen.object_id, [])
    failures = sum(r.result in _FAILED for r in mine)
    good = [(r.ended - r.started).total_seconds() for r in mine if r.result == "success"]
    middle = median(good) if good else None
    against = []
    if seen.state == "CONTINUOUS":
        against.append("it runs continuously")
    elif seen.state == "PAUSED":
        against.append("it is paused")
    if len(mine) < FEWEST_A_DAY * days:
        against.append("it runs too seldom to be watched for a day")
    elif failures > MOST_FAILING * len(mine):
        against.append("it fails often")
    if middle is not None and middle > LONGEST:
        against.append("it takes more than an hour")
    if names[seen.name] > 1:
        against.append(_NAME_TAKEN)
    return Candidate(seen, days, len(mine), failures, middle, tuple(web.drags(seen)), tuple(against))


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} h"


def _rate(candidate: Candidate) -> float:
    return candidate.failures / candidate.runs if candidate.runs else 0.0


def _lasting(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
