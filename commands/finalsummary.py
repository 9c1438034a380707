"""The final summary as it is shown: by phase, each line with its state and where that comes from. Pure."""

from collections.abc import Sequence
from typing import Final

from commands.reply import (
    Block,
    Button,
    Buttons,
    Heading,
    Icon,
    Line,
    Note,
    Paragraph,
    Part,
    Person,
    Reply,
    Strong,
    line,
)
from commands.words import count, short
from rollout.finalsummary import Summed, summed
from rollout.standing import Standing

_LINES: Final = 15
_SOURCES: Final = 4


def blocks(standing: Standing) -> list[Block]:
    """One paragraph per phase; nothing where the plan has no summary."""
    lines = summed(standing)
    if not lines:
        return []
    return [Paragraph((line(Strong("Final summary"), f" · {words(lines)}"),)), *_phases(lines)]


def _phases(lines: Sequence[Summed]) -> list[Block]:
    found: list[Block] = []
    for phase in dict.fromkeys(s.line.phase for s in lines):
        of = [s for s in lines if s.line.phase == phase]
        shown: list[Line] = [line(Strong(phase))]
        for one in of[:_LINES]:
            shown += _lines(one)
        if len(of) > _LINES:
            shown.append(line(f"and {len(of) - _LINES} more"))
        found.append(Paragraph(tuple(shown)))
    return found


def words(lines: Sequence[Summed]) -> str:
    """``9 of 14 lines hold``."""
    good = sum(s.holds for s in lines)
    return f"{good} of {count(len(lines), 'line')} {'holds' if good == 1 else 'hold'}"


def _lines(one: Summed) -> list[Line]:
    # What is missing says what is left to do; of a line that holds it is who and what it rests on.
    sources = one.sources if one.holds else one.missing
    parts: list[Part] = ["      – "]
    for index, source in enumerate(sources[:_SOURCES]):
        parts.append(f"{'; ' if index else ''}{short(source.words, 110)}")
        if source.by:
            parts += [" ", Person(source.by)]
    if len(sources) > _SOURCES:
        parts.append(f"; and {len(sources) - _SOURCES} more")
    if not sources:
        parts.append("the plan does not say what it rests on")
    return [line(Icon("ok" if one.holds else "waiting"), f" {one.line.title}"), tuple(parts)]


def document(standing: Standing) -> Reply | None:
    """The post at the end of the last stage; None when a stage has been put back since, or there is no summary."""
    lines = summed(standing)
    if not lines or not all(standing.has_passed(s.key) for s in standing.stages):
        return None
    said = f"All stages of {standing.plan.title} have passed. Final summary: {words(lines)}."
    at = {"rollout": standing.id}
    left = sum(not s.holds for s in lines)
    note = (
        [Note(line("What is left is on the checklist; /rollout report shows this summary as it is then."))]
        if left
        else []
    )
    buttons = Buttons(
        (Button("Report", "report", at), Button("Checklist", "checklist", at), Button("Issues", "issues", at))
    )
    return Reply(said, (Heading(f"Final summary · {words(lines)}"), *_phases(lines), *note, buttons))
