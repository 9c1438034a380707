"""A Reply as plain text, for the terminal."""

from commands.reply import (
    At,
    Block,
    Button,
    Buttons,
    Chart,
    Choice,
    Code,
    DayInput,
    Divider,
    Fields,
    Form,
    Heading,
    Icon,
    Line,
    Link,
    Moment,
    Note,
    Paragraph,
    Person,
    PersonInput,
    Preformatted,
    Progress,
    Reply,
    Shares,
    Strong,
    Table,
    TextInput,
)

_ICON = {
    "ok": "[ok]",
    "failed": "[failed]",
    "warning": "[!]",
    "working": "[..]",
    "waiting": "[ ]",
    "ready": "[>]",
    "blocked": "[x]",
    "locked": "[locked]",
    "paused": "[paused]",
    "back": "[<-]",
    "chart": "",
    "info": "[i]",
}
_BAR = 30


def render(reply: Reply) -> str:
    """The whole answer as text, the form included."""
    blocks = list(map(_block, reply.blocks)) or [_clean(reply.text)]
    if reply.form is not None:
        blocks = [*map(_block, reply.blocks), _form(reply.form)]
    return "\n\n".join(text for text in blocks if text.strip()) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"{_clean(text)}\n{'=' * min(len(text), 78)}"
        case Paragraph(lines, button):
            text = "\n".join(map(_line, lines))
            return f"{text}\n{_button(button)}" if button is not None else text
        case Fields(pairs):
            width = max((len(label) for label, _ in pairs), default=0)
            return "\n".join(f"{label:<{width}}  {_line(value)}" for label, value in pairs)
        case Note(line):
            return _line(line)
        case Divider():
            return "-" * 40
        case Table(header, rows, more):
            return _table(header, rows, more)
        case Progress():
            return _progress(block)
        case Shares():
            return _shares(block)
        case Chart():
            return _chart(block)
        case Preformatted(lines):
            return "\n".join(map(_clean, lines))
        case Buttons(buttons):
            return "\n".join(map(_button, buttons))


def _line(line: Line) -> str:
    return "".join(map(_part, line)).rstrip()


def _part(part: object) -> str:
    match part:
        case str():
            return _clean(part)
        case Strong(text) | Code(text):
            return _clean(text)
        case Person(user_id):
            return f"@{_clean(user_id)}"
        case At(when):
            return when.strftime("%a %d %b %H:%M UTC")
        case Link(url, text):
            return f"{_clean(text)} ({_clean(url)})"
        case Icon(name):
            return _ICON.get(name, "")
    return ""


def _clean(text: str) -> str:
    """Without characters that would move a terminal's cursor or colour it."""
    return "".join(c if c.isprintable() or c == " " else " " for c in text)


def _table(header: tuple[str, ...], rows: tuple[tuple[str | Person, ...], ...], more: int) -> str:
    cells = [tuple(map(_part, row)) for row in (header, *rows)]
    widths = [max(len(row[i]) if i < len(row) else 0 for row in cells) for i in range(len(header))]
    lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines + ([f"and {more} more"] if more else []))


def _progress(bar: Progress) -> str:
    filled = round(_BAR * bar.done / bar.total) if bar.total else 0
    failed = f", {bar.failed} failed" if bar.failed else ""
    return f"[{'#' * filled}{'.' * (_BAR - filled)}] {bar.done} of {bar.total} {bar.label}{failed}"


def _shares(shares: Shares) -> str:
    total = sum(number for _, number in shares.rows) or 1
    width = max((len(label) for label, _ in shares.rows), default=0)
    lines = [
        f"{label:<{width}}  {'#' * round(_BAR * number / total):<{_BAR}} {number:,}" for label, number in shares.rows
    ]
    return "\n".join([shares.title, *map(_clean, lines)])


def _chart(chart: Chart) -> str:
    top = max((v for _, values in chart.series for v in values), default=0) or 1
    width = max([len(c) for c in chart.categories] + [0])
    lines = [chart.title]
    for index, category in enumerate(chart.categories):
        for name, values in chart.series:
            value = values[index]
            lines.append(f"{category:<{width}}  {name:<8} {'#' * round(_BAR * value / top)} {value:g}")
    return "\n".join(lines)


def _button(button: Button) -> str:
    """A button as the command that does the same, where there is one."""
    a = button.arguments
    what = a.get("stage") or a.get("target_id") or a.get("issue") or a.get("item")
    return f"[{_clean(button.label)}]  rollout {button.verb}{f' {what}' if what is not None else ''}"


def _form(form: Form) -> str:
    parts = [f"{form.title}\n{'=' * len(form.title)}", *map(_block, form.body)]
    for question in form.inputs:
        match question:
            case TextInput():
                parts.append(f"{question.label}{' (required)' if question.required else ''}: {question.key}=…")
            case Moment():
                parts.append(f"{question.label}: {question.key}=2026-12-01 20:00")
            case DayInput():
                given = f" ({question.initial})" if question.initial else ""
                parts.append(f"{question.label}{given}: {question.key}=2026-12-01")
            case PersonInput():
                given = f" ({question.initial})" if question.initial else ""
                parts.append(f"{question.label}, as a Slack user id{given}: {question.key}=…")
            case Choice():
                options = "\n".join(f"  {value}  {_clean(label)}" for value, label in question.options)
                parts.append(f"{question.label}: {question.key}=…\n{options}")
    return "\n\n".join([*parts, f"To confirm: {form.submit}"])
