"""``report`` and the daily summary: stage states, targets by runtime as text and one chart, failures, who must act."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from commands import compared, drifted, finalsummary, issues, outlook, pins, signtable, supports
from commands.call import Call
from commands.glance import NO_RUNTIME, named
from commands.reply import (
    Block,
    Button,
    Buttons,
    Chart,
    Code,
    Heading,
    Icon,
    Line,
    Note,
    Paragraph,
    Reply,
    Strong,
    line,
)
from commands.shown import facts_age, plain_status, plan_file, stage_lines, targets_words, warnings
from commands.words import STATE, count, icon, short
from rollout.standing import Standing
from rollout.states import ActionKind
from storage import sealing, tallies

_STAGES = 12
_SERIES = 5


def report(call: Call) -> Reply:
    """The summary as of now."""
    standing, now = call.standing, call.now
    with call.database.read() as session:
        runtimes = tallies.runtimes(session, standing.id)
        drift = drifted.blocks(session, standing)
        widened = supports.left_widened(session, standing)
        backups = {s.key: compared.blocks(session, s, 5) for s in standing.stages[:_STAGES]}
    blocks: list[Block] = [Heading(f"{standing.plan.title}: summary"), Paragraph((outlook.where(standing, now),))]
    for stage in standing.stages[:_STAGES]:
        blocks += [Paragraph(tuple(stage_lines(standing, stage, now))), *backups[stage.key]]
    blocks += targets_by_runtime(standing, runtimes)
    blocks += [*warnings(standing), *drift, *pins.listed(standing)]
    if widened:
        blocks.append(Paragraph(tuple(widened)))
    blocks += signtable.table(standing, standing.stages)
    blocks.append(Paragraph((line(Strong("Checklist")), line(checklist_words(standing)))))
    blocks += [*issues.listed(standing.issues, issues.words(standing)), *finalsummary.blocks(standing)]
    blocks.append(Paragraph((line(Strong("Who must act")), *outlook.who_must_act(standing, now))))
    blocks.append(Note(facts_age(standing, now)))
    blocks.append(Buttons((call.button("Status", "status"), call.button("Audit", "audit"))))
    return Reply(plain_status(standing, now), tuple(blocks), share=True)


def daily(session: Session, standing: Standing, ids: Mapping[str, Any], now: datetime) -> Reply:
    """The daily summary of an open rollout."""
    runtimes = tallies.runtimes(session, standing.id)
    failed = tallies.failures_since(session, standing.id, now - timedelta(days=1))
    lines: list[Line] = []
    for stage in standing.stages[:_STAGES]:
        lines.append(line(icon(stage), " ", Strong(stage.key), f" · {STATE[stage.state]} · {targets_words(stage)}"))
    if len(standing.stages) > _STAGES:
        lines.append(line(f"and {len(standing.stages) - _STAGES} more stages"))
    blocks: list[Block] = [
        Heading(short(f"Daily summary: {standing.plan.title}", 140)),
        Paragraph((outlook.where(standing, now), *outlook.holds(standing, now))),
        Paragraph(tuple(lines)),
        *targets_by_runtime(standing, runtimes),
        *warnings(standing),
        *pins.listed(standing, most=5),
        *issues.listed(standing.issues, issues.words(standing)),
        _failures(failed),
        Paragraph((line(Strong("Who must act")), *outlook.who_must_act(standing, now))),
    ]
    blocks += plan_file(standing)
    at = {"rollout": standing.id}
    blocks += [
        *_record(session, standing),
        Note(facts_age(standing, now)),
        Buttons((Button("Status", "status", at), Button("Checklist", "checklist", at))),
    ]
    return Reply(f"Daily summary. {plain_status(standing, now)}", tuple(blocks))


def _record(session: Session, standing: Standing) -> list[Block]:
    """The head of the record: who keeps it can tell later whether the record is still the same."""
    try:
        head = sealing.head_of(session, standing.id)
    except sealing.Broken as error:
        said = f" The record of who did what does not verify: {error}. /rollout audit says more."
        return [Paragraph((line(Icon("failed"), said),))]
    return [Note(line("Record ", Code(str(head)), f" · {count(head.count, 'event')}"))] if head is not None else []


def _failures(failed: list[tuple[str, ActionKind, str, int]]) -> Paragraph:
    if not failed:
        return Paragraph((line(Icon("ok"), " None of the bot's own actions failed since yesterday."),))
    total = sum(number for *_, number in failed)
    lines = [line(f"{stage}: {number} × {code}") for stage, _, code, number in failed[:8]]
    more = f" (the most frequent {len(lines)} of {len(failed)} kinds)" if len(failed) > len(lines) else ""
    return Paragraph(
        (line(Icon("failed"), " ", Strong(f"{count(total, 'action')} of the bot failed since yesterday"), more), *lines)
    )


def targets_by_runtime(standing: Standing, runtimes: Mapping[tuple[str | None, str], int]) -> list[Block]:
    """Targets by runtime: a sentence, and one chart by stage."""
    totals: Counter[str] = Counter()
    by_stage: Counter[tuple[str | None, str]] = Counter()
    for (stage, release), number in runtimes.items():
        name = named(release)
        totals[name] += number
        by_stage[stage, name] += number
    if not totals:
        return [Paragraph((line("No target is known yet: the first look at the workspaces is under way."),))]
    source, target = standing.plan.runtimes.source, standing.plan.runtimes.target
    shown = [r for r in (source, target) if totals[r]]
    shown += [r for r, _ in totals.most_common() if r not in shown][: _SERIES - len(shown)]
    others = [r for r in totals if r not in shown]
    words = [
        f"{totals[r]:,} on {r}" if r != NO_RUNTIME else f"{totals[r]:,} without a runtime of their own" for r in shown
    ]
    if others:
        words.append(f"{sum(totals[r] for r in others):,} on others")
    lines = (line(Strong("Targets by runtime")), line(", ".join(words)))
    stages = [s.key for s in standing.stages[:_STAGES]]
    series: list[tuple[str, tuple[float, ...]]] = []
    for release in shown:
        series.append((release, tuple(float(by_stage[key, release]) for key in stages)))
    if others:
        rest = tuple(float(sum(by_stage[key, r] for r in others)) for key in stages)
        series.append(("other", rest))
    if not any(any(values) for _, values in series):
        return [Paragraph(lines)]
    return [Paragraph(lines), Chart("Targets by runtime", tuple(stages), tuple(series), "targets")]


def checklist_words(standing: Standing) -> str:
    """``12 of 150 items done; 3 block canary``."""
    items = [i for i in standing.plan.checklist if i.by == "person"]
    done = sum(not standing.is_open(i.key) for i in items)
    current = standing.current()
    blocking = len(standing.blocking_items(current.key)) if current is not None and not current.started else 0
    held = f"; {blocking} {'blocks' if blocking == 1 else 'block'} {current.key}" if blocking and current else ""
    return f"{done} of {count(len(items), 'item')} done{held}."
