"""The rollout at a glance: its fleet by runtime as bars, and what happened last."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy.orm import Session

from commands.audit import ECHOES, told
from commands.reply import Block, Paragraph, Shares, Strong, line
from rollout.standing import Standing
from storage import events, tallies

_BARS = 4
_EVENTS = 5
NO_RUNTIME = "none of its own"


def glance(session: Session, standing: Standing) -> list[Block]:
    """Both parts, for the Home tab and ``/rollout``."""
    return [*fleet(standing, tallies.runtimes(session, standing.id)), *recent(session, standing)]


def named(release: str) -> str:
    """The runtime as people are told it. Serverless jobs and pipelines have none that a rollout could change."""
    return release if release[:1].isdigit() else NO_RUNTIME


def fleet(standing: Standing, runtimes: Mapping[tuple[str | None, str], int]) -> list[Block]:
    """A bar per runtime: where we come from and go to first, then the most frequent; the rest in one."""
    found: Counter[str] = Counter()
    for (_, release), number in runtimes.items():
        found[named(release)] += number
    total = sum(found.values())
    if not total:
        return []
    first = [r for r in (standing.plan.runtimes.source, standing.plan.runtimes.target) if found[r]]
    others = [r for r, _ in found.most_common() if r not in first]
    shown = [*first, *others][:_BARS] if len(first) + len(others) <= _BARS else [*first, *others][: _BARS - 1]
    rows = [(f"on {r}" if r != NO_RUNTIME else "without a runtime of their own", found[r]) for r in shown]
    if rest := total - sum(found[r] for r in shown):
        rows.append(("on others", rest))
    return [Shares("Fleet by runtime", tuple(rows))]


def recent(session: Session, standing: Standing) -> list[Block]:
    """The newest events; nothing while there are none."""
    _, found = events.newest(session, standing.id, None, ECHOES, 0, _EVENTS)
    if not found:
        return []
    return [Paragraph((line(Strong("Lately")), *(told(event, 120, where=False) for event in found)))]
