"""Blocks that show data: tables and charts, with their counts."""

from __future__ import annotations

from typing import Any

from sandbox.slack.blocks.objects import IDENTIFIER, TYPE
from sandbox.slack.blocks.rich_text import RICH_TEXT
from sandbox.slack.blocks.rules import (
    Problems,
    array,
    boolean,
    choice,
    integer,
    number,
    problem,
    shape,
    string,
    typed,
)

CELL = typed(
    {
        "raw_text": shape({**TYPE, "text": string(None, 1)}),
        "raw_number": shape({**TYPE, "value": number(), "text": string(None, 1)}),
        "rich_text": RICH_TEXT,
    },
    "cell type",
)


def _even_rows(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """Every row has as many cells as the header."""
    width = len(value["rows"][0])
    for index, row in enumerate(value["rows"]):
        if len(row) != width:
            problem(problems, f"must have {width} cells, as the first row has", f"{pointer}/rows/{index}")


TABLE = shape(
    {**TYPE, "rows": array(array(CELL, 1, 20), 1, 100)},
    {
        "block_id": IDENTIFIER,
        "column_settings": array(shape({}, {"align": choice("left", "center", "right"), "is_wrapped": boolean}), 0, 20),
    },
    _even_rows,
)


def _plain_header(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """The header of a data table holds no rich text."""
    for index, cell in enumerate(value["rows"][0]):
        if cell["type"] == "rich_text":
            problem(problems, "rich_text is not supported in the header", f"{pointer}/rows/0/{index}")


DATA_TABLE = shape(
    {**TYPE, "caption": string(None, 1), "rows": array(array(CELL, 1, 20), 2, 101)},
    {"block_id": IDENTIFIER, "page_size": integer(1, 100), "row_header_column_index": integer(0, 19)},
    _even_rows,
    _plain_header,
)

LABEL = string(20, 1)
POINT = shape({"label": LABEL, "value": number()})
SERIES = shape({"name": LABEL, "data": array(POINT, 1, 20)})
AXES = shape({"categories": array(LABEL, 1, 20)}, {"x_label": string(50), "y_label": string(50)})


def _same_categories(value: dict[str, Any], pointer: str, problems: Problems) -> None:
    """Series have unique names, and each has one point per category, in their order."""
    categories = value["axis_config"]["categories"]
    if len(set(categories)) != len(categories):
        problem(problems, "categories must be unique", f"{pointer}/axis_config/categories")
    names = [series["name"] for series in value["series"]]
    for index, series in enumerate(value["series"]):
        if names.index(series["name"]) != index:
            problem(problems, "series name must be unique", f"{pointer}/series/{index}/name")
        if [point["label"] for point in series["data"]] != categories:
            problem(problems, "must have one point per category, in their order", f"{pointer}/series/{index}/data")


AXIS_CHART = shape({**TYPE, "series": array(SERIES, 1, 6), "axis_config": AXES}, None, _same_categories)
PIE = shape({**TYPE, "segments": array(shape({"label": LABEL, "value": number(above=0)}), 1, 6)})
DATA_VISUALIZATION = shape(
    {
        **TYPE,
        "title": string(50, 1),
        "chart": typed({"bar": AXIS_CHART, "line": AXIS_CHART, "area": AXIS_CHART, "pie": PIE}, "chart type"),
    },
    {"block_id": IDENTIFIER},
)
