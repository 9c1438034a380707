"""The record as a file: CSV for spreadsheets, JSON lines for programs."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from storage.models import Event

FORMATS: Final = ("csv", "jsonl")
_COLUMNS: Final = (
    "number",
    "at",
    "rollout",
    "stage",
    "generation",
    "actor",
    "team",
    "surface",
    "kind",
    "outcome",
    "reason_code",
    "sentence",
    "data",
    "key_id",
    "digest",
)
#: What a spreadsheet takes for the beginning of a formula, also in their wide forms.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def lines(events: Iterable[tuple[str, Event]], form: str) -> Iterator[str]:
    """The file line by line, each with its end; ``events`` come with the plan key of their rollout.

    Raises ValueError for a format that is none of FORMATS.
    """
    if form == "csv":
        return _csv(events)
    if form == "jsonl":
        return _jsonl(events)
    raise ValueError(f"{form!r} is none of {', '.join(FORMATS)}")


def _csv(events: Iterable[tuple[str, Event]]) -> Iterator[str]:
    yield _row(_COLUMNS)
    for plan_key, event in events:
        said = _said(plan_key, event)
        yield _row([_cell(said[column]) for column in _COLUMNS])


def _row(cells: Iterable[str]) -> str:
    made = io.StringIO(newline="")
    csv.writer(made).writerow(cells)
    return made.getvalue()


def _cell(value: Any) -> str:
    """A cell that no spreadsheet computes: what would begin a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, dict):
        value = json.dumps(value, sort_keys=True)
    text = str(value).replace("\x00", "")
    return f"'{text}" if text.lstrip(" \u00a0\u200b\ufeff").startswith(_FORMULA) else text


def _jsonl(events: Iterable[tuple[str, Event]]) -> Iterator[str]:
    for plan_key, event in events:
        yield json.dumps(_said(plan_key, event), sort_keys=True) + "\n"


def _said(plan_key: str, event: Event) -> dict[str, Any]:
    """An event as a program reads it; ``number`` is None while it is not sealed."""
    return {
        "number": event.number,
        "at": event.at.isoformat(),
        "rollout": plan_key,
        "stage": event.stage_key,
        "generation": event.generation,
        "actor": event.actor,
        "team": event.team_id,
        "surface": event.surface,
        "kind": event.kind,
        "outcome": event.outcome,
        "reason_code": event.reason_code,
        "sentence": event.sentence,
        "data": event.data,
        "key_id": event.key_id,
        "digest": event.digest,
    }
