"""Progress, tables and charts: as Slack's own blocks where it takes them, as text everywhere else."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from bot.render import limits
from bot.render.text import bare, escape, is_user, literal, mrkdwn, plain
from commands.reply import Chart, Person, Progress, Shares, Strong, Table

Json = dict[str, Any]
_BAR: Final = 20
_WIDEST: Final = 64  # characters that a dialog shows in one monospace line


def section(text: str) -> Json:
    """A section of mrkdwn in which Slack finds no mentions by itself."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def note(text: str) -> Json:
    """Small print."""
    return {
        "type": "context",
        "elements": [{"type": "mrkdwn", "text": limits.cut(text, limits.CONTEXT), "verbatim": True}],
    }


def progress(value: Progress) -> str:
    """One line: a bar and its counts."""
    total = max(value.total, 0)
    done = min(max(value.done, 0), total)
    full = _BAR if total and done == total else int(_BAR * done / total) if total else 0
    counts = f"{done} of {total}" + (f" · {value.failed} failed" if value.failed else "")
    label = f"{literal(value.label)}  " if value.label else ""
    return f"{label}`{'█' * full}{'░' * (_BAR - full)}`  {counts}"


def shares(value: Shares) -> str:
    """A title, and a line for each row: all bars begin and end at the same places."""
    total = sum(number for _, number in value.rows)
    lines = [f"*{mrkdwn((value.title,))}*"] if value.title else []
    for label, number in value.rows:
        full = round(_BAR * number / total) if total else 0
        full = min(max(full, 1), _BAR - 1) if 0 < number < total else full
        lines.append(f"`{'█' * full}{'░' * (_BAR - full)}`  {number:,} {literal(label)}")
    return "\n".join(lines)


# -- tables ----------------------------------------------------------------------------------------------------------


def table_block(table: Table) -> list[Json]:
    """A native table, and a note on what was left out. Rows beyond Slack's limit are left out."""
    header, rows, more = _shaped(table, limits.TABLE_ROWS - 1)
    cells = [[_cell(cell) for cell in row] for row in (header, *rows)]
    block: Json = {"type": "table", "rows": cells, "column_settings": [{"is_wrapped": True} for _ in header]}
    return [block, *_more(more)]


def _cell(cell: str | Person) -> Json:
    if isinstance(cell, Person) and is_user(cell.user_id):
        mention: Json = {"type": "user", "user_id": cell.user_id}
        return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [mention]}]}
    return {"type": "raw_text", "text": _words(cell).strip() or "–"}


def _words(cell: str | Person) -> str:
    return plain((cell,)) if isinstance(cell, Person) else cell


def preformatted(lines: Sequence[str]) -> list[Json]:
    """Text to copy in monospace, in as many sections as it needs."""
    escaped = [limits.cut(escape(line.replace("`", "ˋ")), limits.SECTION - 10) or " " for line in lines]
    return [section(f"```{chunk}```") for chunk in _chunks(escaped, limits.SECTION - 6)]


def table_text(table: Table) -> list[Json]:
    """The same table as text: in columns where they fit, else a line for each row. As many sections as it needs.

    People make it a line for each row: monospace text shows no names.
    """
    header, rows, more = _shaped(table, len(table.rows))
    grid = [[limits.cut(_words(cell), 60) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in grid) for i in range(len(header))]
    people = any(isinstance(cell, Person) for row in rows for cell in row)
    if people or sum(widths) + 2 * (len(widths) - 1) > _WIDEST:
        lines = [_row_line(row) for row in rows]
        return [*(section(chunk) for chunk in _chunks(lines, limits.SECTION)), *_more(more)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid]
    lines.insert(1, "  ".join("─" * width for width in widths))
    escaped = [limits.cut(escape(line.replace("`", "ˋ")), limits.SECTION - 10) or " " for line in lines]
    return [*(section(f"```{chunk}```") for chunk in _chunks(escaped, limits.SECTION - 6)), *_more(more)]


def _row_line(row: Sequence[str | Person]) -> str:
    """``• *orders* · job, dev · 13.3 → 17.3``: a wide table in a narrow place; empty cells are left out."""
    first, *others = (cell if isinstance(cell, Person) else limits.cut(cell, 200).strip() for cell in row)
    said = [mrkdwn((cell,)) for cell in others if cell not in ("", "-", "–")]
    head = mrkdwn((Strong(first) if isinstance(first, str) else first,)) if first else "–"
    return limits.cut("• " + " · ".join([head, *said]), limits.SECTION - 10)


def shortened(block: Json, rows: int) -> tuple[Json, int]:
    """A native table with at most ``rows`` rows under its header, and how many that leaves out."""
    kept = block["rows"][: rows + 1]
    return {**block, "rows": kept}, len(block["rows"]) - len(kept)


def _shaped(table: Table, most: int) -> tuple[list[str | Person], list[list[str | Person]], int]:
    """Header and rows of one width, bare, and how many rows are missing."""
    width = max(1, min(limits.TABLE_COLUMNS, max([len(table.header), *(len(row) for row in table.rows)])))

    def even(row: Sequence[str | Person]) -> list[str | Person]:
        shown: list[str | Person] = [cell if isinstance(cell, Person) else bare(cell) for cell in row[:width]]
        return shown + [""] * (width - len(row))

    rows = [even(row) for row in table.rows[:most]]
    return even(table.header), rows, table.more + len(table.rows) - len(rows)


def _more(count: int) -> list[Json]:
    return [note(f"and {count} more")] if count else []


def _chunks(lines: Iterable[str], limit: int) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for line in lines:
        if held and size + len(line) + 1 > limit:
            yield "\n".join(held)
            held, size = [], 0
        held.append(line)
        size += len(line) + 1
    if held:
        yield "\n".join(held)


# -- charts ----------------------------------------------------------------------------------------------------------


def chart_block(chart: Chart) -> list[Json]:
    """A native bar chart; nothing to draw becomes a sentence."""
    categories, series, more = _drawable(chart)
    if not categories or not series:
        return [note(f"{literal(chart.title)}: nothing to show yet")]
    data = [
        {"name": name, "data": [{"label": c, "value": v} for c, v in zip(categories, values, strict=True)]}
        for name, values in series
    ]
    axis: Json = {"categories": categories}
    if chart.y_label:
        axis["y_label"] = limits.cut(bare(chart.y_label), 50)
    title = limits.cut(bare(chart.title).strip(), limits.CHART_TITLE) or "-"
    block: Json = {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": "bar", "series": data, "axis_config": axis},
    }
    return [block, *more]


def chart_table(chart: Chart) -> Table:
    """The numbers of a chart as a table."""
    categories, series, _ = _drawable(chart)
    return Table(
        ("", *(name for name, _ in series)),
        tuple((c, *(f"{values[i]:g}" for _, values in series)) for i, c in enumerate(categories)),
    )


def chart_text(chart: Chart) -> list[Json]:
    """The same chart as bars of text."""
    categories, series, more = _drawable(chart)
    if not categories or not series:
        return [note(f"{literal(chart.title)}: nothing to show yet")]
    top = max((v for _, values in series for v in values), default=0) or 1
    width = max(len(c) for c in categories)
    lines = []
    for index, category in enumerate(categories):
        for number, (name, values) in enumerate(series):
            label = category if number == 0 else ""
            bar = "█" * max(0, round(_BAR * values[index] / top))
            tail = f" {name}" if len(series) > 1 else ""
            lines.append(escape(f"{label.ljust(width)}  {bar} {values[index]:g}{tail}".replace("`", "ˋ")))
    chunks = _chunks(lines, limits.SECTION - 200)
    blocks = [section(f"```{chunk}```") for chunk in chunks]
    return [section(f"*{literal(limits.cut(chart.title, 150))}*"), *blocks, *more]


def _drawable(chart: Chart) -> tuple[list[str], list[tuple[str, list[float]]], list[Json]]:
    """Categories and series within Slack's limits, their names short and unique, and a note on what is missing."""
    categories = _unique(chart.categories[: limits.CHART_CATEGORIES])
    names = _unique([name for name, _ in chart.series[: limits.CHART_SERIES]])
    series = [
        (name, [float(v) for v in values[: len(categories)]] + [0.0] * (len(categories) - len(values)))
        for name, (_, values) in zip(names, chart.series, strict=False)
    ]
    left = len(chart.categories) - len(categories) + len(chart.series) - len(series)
    return categories, series, _more(left)


def _unique(names: Sequence[str]) -> list[str]:
    made: list[str] = []
    for name in names:
        label, turn = limits.cut(bare(name).strip(), limits.CHART_LABEL) or "–", 2
        while label in made:
            tail = f" {turn}"
            label, turn = limits.cut(bare(name), limits.CHART_LABEL - len(tail)) + tail, turn + 1
        made.append(label)
    return made
