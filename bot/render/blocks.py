"""The document of a Reply as blocks of a message, a modal or the Home tab."""

import json
from collections.abc import Sequence
from enum import IntEnum, StrEnum
from typing import Any

from bot.render import figures, fit, limits
from bot.render.figures import Json, note, section
from bot.render.text import bare, mrkdwn
from commands.reply import (
    Block,
    Button,
    Buttons,
    Chart,
    Divider,
    Fields,
    Heading,
    Line,
    Note,
    Paragraph,
    Preformatted,
    Progress,
    Shares,
    Table,
)

#: What every button of ours begins its action_id with; a number makes it unique in its message.
ACTION = "do:"


class Place(StrEnum):
    """Where blocks are shown; each has its own limits."""

    MESSAGE = "message"
    MODAL = "modal"
    HOME = "home"


class Detail(IntEnum):
    """How much of Slack's newer blocks to use; Slack refuses some of them in some places (``invalid_blocks``)."""

    NATIVE = 0  # charts and a table
    TABLE = 1  # charts as the table
    TEXT = 2  # neither


def value_of(verb: str, arguments: Any) -> str:
    """What a button carries: its verb and arguments."""
    return json.dumps({"v": verb, "a": dict(arguments)}, separators=(",", ":"), ensure_ascii=False)


def render(document: Sequence[Block], place: Place, detail: Detail = Detail.NATIVE) -> list[Json]:
    """The blocks, within the limits of the place. What does not fit is counted in a note."""
    return fit.fit(_Renderer(place, detail).all(document), place == Place.MESSAGE)


class _Renderer:
    """Renders one document; counts what Slack takes only so often."""

    def __init__(self, place: Place, detail: Detail) -> None:
        native = place == Place.MESSAGE
        self._tables = 1 if native and detail <= Detail.TABLE else 0
        self._charts = limits.CHARTS if native and detail == Detail.NATIVE else 0
        self._chart_tables = native and detail == Detail.TABLE
        self._actions = 0

    def all(self, document: Sequence[Block]) -> list[Json]:
        if self._chart_tables and any(isinstance(block, Table) for block in document):
            self._chart_tables = False  # the one table is the document's own
        return [made for block in document for made in self._block(block)]

    def _block(self, block: Block) -> list[Json]:
        match block:
            case Heading(text):
                words = limits.cut(bare(text).strip(), limits.HEADER) or "-"
                return [{"type": "header", "text": {"type": "plain_text", "text": words, "emoji": False}}]
            case Paragraph(lines, button):
                return self._paragraph(lines, button)
            case Fields(pairs):
                return _fields(pairs)
            case Note(line):
                return [note(mrkdwn(line) or "-")]
            case Divider():
                return [{"type": "divider"}]
            case Progress():
                return [section(limits.cut(figures.progress(block), limits.SECTION))]
            case Shares():
                return [section(limits.cut(figures.shares(block), limits.SECTION))]
            case Table():
                return self._table(block)
            case Chart():
                return self._chart(block)
            case Preformatted(lines):
                return figures.preformatted(lines)
            case Buttons(buttons):
                return self._buttons(buttons)

    def _paragraph(self, lines: Sequence[Line], button: Button | None) -> list[Json]:
        texts = [limits.cut(mrkdwn(line), limits.SECTION) for line in lines]
        made = [section(chunk) for chunk in pack(texts, limits.SECTION)]
        if button is not None:
            element = self._button(button)
            if element is None:
                return [*made, _left_out(button)]
            made = made or [section("–")]
            made[0]["accessory"] = element
        return made

    def _table(self, table: Table) -> list[Json]:
        if self._tables > 0:
            self._tables -= 1
            return figures.table_block(table)
        return figures.table_text(table)

    def _chart(self, chart: Chart) -> list[Json]:
        if self._charts > 0:
            self._charts -= 1
            return figures.chart_block(chart)
        if self._chart_tables and self._tables > 0 and chart.categories and chart.series:
            return [section(f"*{mrkdwn((limits.cut(chart.title, 150),))}*"), *self._table(figures.chart_table(chart))]
        return figures.chart_text(chart)

    def _buttons(self, buttons: Sequence[Button]) -> list[Json]:
        made: list[Json] = []
        left: list[Json] = []
        elements: list[Json] = []
        for button in buttons:
            element = self._button(button)
            if element is None:
                left.append(_left_out(button))
            else:
                elements.append(element)
        for start in range(0, len(elements), limits.BUTTONS):
            made.append({"type": "actions", "elements": elements[start : start + limits.BUTTONS]})
        return made + left

    def _button(self, button: Button) -> Json | None:
        """One button, or None when what it carries is longer than Slack allows."""
        value = value_of(button.verb, button.arguments)
        if len(value) > limits.BUTTON_VALUE:
            return None
        element: Json = {
            "type": "button",
            "action_id": f"{ACTION}{self._actions}",
            "text": {
                "type": "plain_text",
                "text": limits.cut(bare(button.label).strip(), limits.BUTTON_LABEL) or "-",
                "emoji": False,
            },
            "value": value,
        }
        if button.style in ("primary", "danger"):
            element["style"] = button.style
        self._actions += 1
        return element


def pack(lines: Sequence[str], limit: int) -> list[str]:
    """Lines joined into as few texts as possible, none longer than ``limit``."""
    made: list[str] = []
    for line in lines:
        if made and len(made[-1]) + 1 + len(line) <= limit:
            made[-1] += "\n" + line
        else:
            made.append(line)
    return [text for text in made if text.strip()]


def _fields(pairs: Sequence[tuple[str, Line]]) -> list[Json]:
    fields = [
        {
            "type": "mrkdwn",
            "text": limits.cut(f"*{mrkdwn((label,))}*\n{mrkdwn(line) or '–'}", limits.FIELD),
            "verbatim": True,
        }
        for label, line in pairs
    ]
    return [
        {"type": "section", "fields": fields[start : start + limits.FIELDS]}
        for start in range(0, len(fields), limits.FIELDS)
    ]


def _left_out(button: Button) -> Json:
    return note(mrkdwn((f"(no room for the button “{button.label}”: type the command instead)",)))
