"""Tables and charts as aligned text."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from sandbox.say.client import Json
from sandbox.say.inline import Names, rich, words

BAR = 24


def width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(c) or c == "\ufe0f" else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def columns(rows: Sequence[Sequence[str]], aligns: Sequence[str] = (), rule: bool = True) -> list[str]:
    """Rows of cells -> aligned lines; the first row is the header, with a rule below it."""
    count = max((len(row) for row in rows), default=0)
    full = [[*row, *[""] * (count - len(row))] for row in rows]
    wide = [max(width(row[i]) for row in full) for i in range(count)]

    def line(row: Sequence[str]) -> str:
        cells = []
        for index, cell in enumerate(row):
            space = " " * (wide[index] - width(cell))
            align = aligns[index] if index < len(aligns) else "left"
            before = {"right": len(space), "center": len(space) // 2}.get(align, 0)
            cells.append(space[:before] + cell + space[before:])
        return "  ".join(cells).rstrip()

    lines = [line(row) for row in full]
    if rule and len(lines) > 1:
        lines.insert(1, "  ".join("-" * w for w in wide))
    return lines


def table(block: Json, names: Names) -> list[str]:
    """The `table` block."""

    def cell(item: Json) -> str:
        text = (
            " / ".join(rich(item.get("elements") or [], names))
            if item.get("type") == "rich_text"
            else words(item, names) or str(item.get("value", ""))
        )
        return text.replace("\n", " / ")

    rows = [[cell(item or {}) for item in row] for row in block.get("rows") or []]
    aligns = [str((setting or {}).get("align") or "left") for setting in block.get("column_settings") or []]
    return columns(rows, aligns)


def amount(value: float) -> str:
    """A number without a needless fraction."""
    return str(int(value)) if float(value).is_integer() else f"{value:.2f}".rstrip("0")


def _bar(value: float, most: float) -> str:
    return "#" * max(1 if value > 0 else 0, round(BAR * value / most)) if most > 0 else ""


def chart(block: Json, names: Names) -> list[str]:
    """The `data_visualization` block: a table of its numbers, with bars where there is one series."""
    data = block.get("chart") or {}
    lines = [f"{words(block.get('title'), names)} ({data.get('type')} chart)"]
    if data.get("type") == "pie":
        segments = data.get("segments") or []
        total = sum(float(s["value"]) for s in segments) or 1.0
        rows = [
            [str(s["label"]), amount(s["value"]), f"{100 * s['value'] / total:.0f} %", _bar(s["value"], total)]
            for s in segments
        ]
        return lines + [f"  {line}" for line in columns(rows, ["left", "right", "right"], rule=False)]
    series = data.get("series") or []
    axes = data.get("axis_config") or {}
    categories = axes.get("categories") or [point["label"] for point in (series[0]["data"] if series else [])]
    values = [{point["label"]: float(point["value"]) for point in one.get("data") or []} for one in series]
    head = [str(axes.get("x_label") or ""), *(str(one.get("name", "")) for one in series)]
    most = max((v for one in values for v in one.values()), default=0.0)
    rows = [head]
    for category in categories:
        row = [str(category), *(amount(one[category]) if category in one else "-" for one in values)]
        if len(series) == 1:
            row.append(_bar(values[0].get(category, 0.0), most))
        rows.append(row)
    made = columns(rows, ["left", *["right"] * len(series)])
    unit = [f"  ({axes['y_label']})"] if axes.get("y_label") else []
    return lines + unit + [f"  {line}" for line in made]
