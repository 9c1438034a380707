"""The spec's table of sign-offs: role, name, date, signature; whoever is missing has a row too."""

from collections.abc import Sequence
from datetime import UTC, datetime

from commands.reply import Block, Paragraph, Person, Strong, Table, line
from rollout.standing import Signature, StageStanding, Standing
from rollout.states import Decision, StageState

_ROWS = 60
_HEADER = ("Stage", "Role", "Name", "Date", "Signature")
_Row = tuple[str | Person, ...]


def table(standing: Standing, stages: Sequence[StageStanding]) -> list[Block]:
    """One table over these stages, as far as they have come to their sign-offs; nothing before the first has."""
    rows = [row for stage in stages if _signs(stage) for row in _rows(standing, stage)]
    if not rows:
        return []
    shown = tuple(rows[:_ROWS])
    if len({stage.key for stage in stages if _signs(stage)}) == 1:
        title = f"Sign-offs of {next(stage.key for stage in stages if _signs(stage))}"
        made = Table(_HEADER[1:], tuple(row[1:] for row in shown), len(rows) - len(shown))
    else:
        title, made = "Sign-offs", Table(_HEADER, shown, len(rows) - len(shown))
    return [Paragraph((line(Strong(title)),)), made]


def _signs(stage: StageStanding) -> bool:
    if stage.state in {StageState.ROLLING_BACK, StageState.ROLLED_BACK}:
        return False  # what was signed no longer counts
    return stage.state in {StageState.REVIEW, StageState.PASSED} or bool(stage.signatures)


def _rows(standing: Standing, stage: StageStanding) -> list[_Row]:
    titles, required = standing.titles(), standing.required(stage.key)
    counted = {s.id for s in stage.grants}
    lacking = stage.lacking(required)
    rows: list[_Row] = []
    for role in [*required, *dict.fromkeys(s.place for s in stage.signatures if s.place not in required)]:
        title = titles.get(role, role)
        for s in stage.signatures:
            if s.place == role:
                rows.append((stage.key, title, Person(s.user_id), _day(s.at), _mark(s, s.id in counted)))
        rows += [(stage.key, title, "missing", "–", "–")] * lacking.get(role, 0)
    return rows


def _mark(sign_off: Signature, counts: bool) -> str:
    if sign_off.doubt:
        return f"not counted: {sign_off.doubt}"
    if sign_off.decision is Decision.REJECTED:
        return f"rejected · {sign_off.mark}"
    return sign_off.mark if counts else f"not counted · {sign_off.mark}"


def _day(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d}"
