"""What the one door takes in and gives out: Request and Reply. Knows no Slack payload, no blocks.

A Reply is a small document. Text is made of parts, so that nothing a person typed is ever taken for markup: a plain
``str`` is always escaped by whoever renders it. Surfaces (Slack, terminal) render the same document.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: resolved by the surface after the press, never taken from names.

    ``groups`` are the Slack user groups the person is in. ``problem`` is a reason code when the person may not act at
    all (``other_team``, ``guest_account``, ``deactivated_account``, ``bot_account``, ``identity_unknown``,
    ``slack_rate_limited``). ``again_in``: after how many seconds it may be asked again, where that is known.
    """

    team_id: str
    user_id: str
    groups: frozenset[str] = frozenset()
    problem: str | None = None
    name: str = ""  # for the terminal and the log only
    again_in: int | None = None


class Surface(StrEnum):
    """Where a request came from."""

    SLASH = "slash"
    BUTTON = "button"
    MODAL = "modal"
    HOME = "home"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True)
class Request:
    """One wish of one person.

    ``arguments`` come from the parser (``stage``, ``target``, ``reason``, ``verb``) or from a button or form (ids,
    ``version``: the row version it was drawn from, ``confirm``: the digest that was shown, field values).
    ``channel`` is where it was said; ``shared_channel`` says that this channel is shared with another company.
    """

    actor: Actor
    verb: str
    arguments: Mapping[str, Any]
    surface: Surface
    channel: str | None = None
    shared_channel: bool = False


# -- text ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Strong:
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class Person:
    """A person by id; a surface shows a mention or a name."""

    user_id: str


@dataclass(frozen=True, slots=True)
class At:
    """A calendar instant; shown in UTC with the day."""

    when: datetime


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Icon:
    """One of a closed set: ok, failed, warning, working, waiting, ready, blocked, locked, paused, back, chart, info."""

    name: str


Part = str | Strong | Code | Person | At | Link | Icon
Line = tuple[Part, ...]


def line(*parts: Part) -> Line:
    """A line of text from its parts."""
    return tuple(parts)


# -- document --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One or more lines that belong together; may carry one button at its side."""

    lines: tuple[Line, ...]
    button: "Button | None" = None


@dataclass(frozen=True, slots=True)
class Fields:
    """Labels with values, two columns where there is room."""

    pairs: tuple[tuple[str, Line], ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Small print: age of facts, error id, where to look."""

    line: Line


@dataclass(frozen=True, slots=True)
class Divider:
    pass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain text, or of people, under a header. ``more`` says how many rows were left out, if any."""

    header: tuple[str, ...]
    rows: tuple[tuple[str | Person, ...], ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """A bar: done of total, of which failed."""

    done: int
    total: int
    failed: int = 0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """Bars below each other, of one whole: each row says what it counts, and how many."""

    title: str
    rows: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart; each series has one value per category. At most 6 series, 20 categories."""

    title: str
    categories: tuple[str, ...]
    series: tuple[tuple[str, tuple[float, ...]], ...]
    y_label: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """A wish that one press makes: verb and arguments (ids and the row version; never state)."""

    label: str
    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    style: str = ""  # "", "primary" or "danger"


@dataclass(frozen=True, slots=True)
class Buttons:
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Preformatted:
    """Text to copy, line by line as it is."""

    lines: tuple[str, ...]


Block = Heading | Paragraph | Fields | Note | Divider | Table | Progress | Shares | Chart | Buttons | Preformatted


# -- forms -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextInput:
    key: str
    label: str
    required: bool = False
    multiline: bool = False
    placeholder: str = ""
    initial: str = ""
    max_length: int = 1000


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several options (value, label), or several of them when ``many``."""

    key: str
    label: str
    options: tuple[tuple[str, str], ...]
    required: bool = True
    many: bool = False
    initial: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """A day and a time of day, as an instant: unix seconds, or text such as ``2026-12-01 20:00`` (UTC)."""

    key: str
    label: str
    required: bool = False
    initial: str = ""


@dataclass(frozen=True, slots=True)
class DayInput:
    """A day, as text such as ``2026-12-01``."""

    key: str
    label: str
    required: bool = False
    initial: str = ""


@dataclass(frozen=True, slots=True)
class PersonInput:
    """A person of the team, by user id."""

    key: str
    label: str
    required: bool = True
    initial: str = ""


Input = TextInput | Choice | Moment | DayInput | PersonInput


@dataclass(frozen=True, slots=True)
class Form:
    """A modal: what is shown, what is asked, and the verb that its submission makes.

    The submission becomes Request(verb, arguments | field values). ``submit`` names the verb and the stage, at most 24
    characters (``Start dev``). Nothing in it is required unless the input says so.
    """

    title: str  # at most 24 characters
    verb: str
    arguments: Mapping[str, Any]
    submit: str
    body: tuple[Block, ...]
    inputs: tuple[Input, ...] = ()
    danger: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A text that goes with a reply as a file: uploaded by Slack's surface, written by the terminal's."""

    name: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request.

    ``text`` is the whole answer in one plain sentence or two (notification, screen reader, log). ``share`` offers to
    post the same document to the channel. ``form`` asks for confirmation: nothing has happened yet.
    ``refused`` is the reason code when the wish was refused.
    """

    text: str
    blocks: tuple[Block, ...] = ()
    form: Form | None = None
    refused: str | None = None
    share: bool = False
    error_id: str | None = None
    file: File | None = None


class FieldErrors(Exception):
    """A submission whose fields are wrong: field key -> sentence. Answered in the acknowledgement."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)
