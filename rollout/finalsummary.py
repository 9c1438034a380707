"""The final summary: each line of the plan with its state and where that comes from. Computed, never ticked. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rollout.conditions import PEOPLE_JUDGE
from rollout.issues import WHICH, counted
from rollout.plan import Item, SummaryLine
from rollout.standing import Standing
from rollout.states import ItemState, StageState, Verdict

#: States in which what the bot does in a stage is done.
_DONE: Final = frozenset({StageState.BAKING, StageState.REVIEW, StageState.PASSED})


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that a line rests on. ``by`` is the person who said so, if one did."""

    words: str
    holds: bool
    by: str = ""


@dataclass(frozen=True, slots=True)
class Summed:
    """One line with everything it rests on. A line that rests on nothing never holds."""

    line: SummaryLine
    sources: tuple[Source, ...]

    @property
    def holds(self) -> bool:
        return bool(self.sources) and all(s.holds for s in self.sources)

    @property
    def missing(self) -> tuple[Source, ...]:
        return tuple(s for s in self.sources if not s.holds)


def summed(standing: Standing) -> tuple[Summed, ...]:
    """All lines of the plan's summary, in its order."""
    return tuple(Summed(line, tuple(_sources(standing, line))) for line in standing.plan.summary)


def _sources(standing: Standing, line: SummaryLine) -> Iterator[Source]:
    items = {item.key: item for item in standing.plan.checklist}
    for key in line.items:
        if key in items:
            yield _item(standing, items[key])
    for key in line.stages:
        yield _stage(standing, key)
    if line.issues is not None:
        found = counted(standing.issues, line.issues)
        numbers = ", ".join(f"#{i.number}" for i in found[:5]) + (", …" if len(found) > 5 else "")
        what = f"open {WHICH[line.issues]}"
        many = what.replace("issue", "issues", 1)
        words = f"{len(found)} {what if len(found) == 1 else many}: {numbers}" if found else f"no {what}"
        yield Source(words, not found)


def _item(standing: Standing, item: Item) -> Source:
    found = standing.items.get(item.key)
    if item.by == "action":
        if item.stage is not None:
            return Source(f"{item.title} (the bot, in {item.stage})", standing.stage(item.stage).state in _DONE)
        return Source(f"{item.title} (the bot)", all(standing.has_passed(s.key) for s in standing.stages))
    if item.by == "check" and item.stage is not None:
        look = standing.stage(item.stage).findings.get(item.check or "")
        good = look is not None and (look.verdict is Verdict.PASS or look.reason_code == PEOPLE_JUDGE)
        return Source(f"{item.title} (the bot, in {item.stage})", good)
    if found is None or found.state is ItemState.OPEN:
        return Source(f"{item.title} (open)", False)
    if found.state is ItemState.NOT_APPLICABLE:
        return Source(f"{item.title} (does not apply)", True, found.by)
    return Source(f"{item.title} (done)", True, found.by)


def _stage(standing: Standing, key: str) -> Source:
    """A stage with its verdicts: how many of its checks hold."""
    stage = standing.stage(key)
    # Numbers that people judge have no verdict of their own.
    verdicts = [f.verdict for f in stage.findings.values() if f.reason_code != PEOPLE_JUDGE]
    good = sum(v is Verdict.PASS for v in verdicts)
    checks = f", {good} of {len(verdicts)} checks hold" if verdicts else ""
    if standing.has_passed(key):
        return Source(f"{key} has passed{checks}", True)
    if stage.state is StageState.PASSED:
        return Source(f"{key} counts as passed, but its sign-offs or evidence do not carry that", False)
    return Source(f"{key} is {stage.state.value.replace('_', ' ')}{checks}", False)
