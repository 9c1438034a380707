"""Slack's limits (facts 1.3 and 1.4), and how things are cut to them. What is cut ends in a mark, never silently."""

from typing import Any, Final

SECTION: Final = 3000
FIELD: Final = 2000
FIELDS: Final = 10
HEADER: Final = 150
CONTEXT: Final = 2000
BUTTONS: Final = 25
BUTTON_LABEL: Final = 75
BUTTON_VALUE: Final = 2000
VIEW_TITLE: Final = 24
PRIVATE_METADATA: Final = 3000
OPTION_LABEL: Final = 75
OPTION_VALUE: Final = 150
OPTIONS: Final = 100
FEW_OPTIONS: Final = 10  # checkboxes and radio buttons
LABEL: Final = 2000
PLACEHOLDER: Final = 150
TYPED: Final = 3000
TABLE_ROWS: Final = 100
TABLE_COLUMNS: Final = 20
CHART_TITLE: Final = 50
CHART_LABEL: Final = 20
CHART_SERIES: Final = 6
CHART_CATEGORIES: Final = 20
CHARTS: Final = 2
TEXT: Final = 3900  # of a message beside its blocks; chat.update takes 4,000
MESSAGE_BLOCKS: Final = 50
VIEW_BLOCKS: Final = 100
MESSAGE_CHARACTERS: Final = 12_500  # all blocks of a message together; refused near 13,200
VIEW_CHARACTERS: Final = 60_000  # a view may have 250 KB of JSON

_UNSEEN = frozenset({"type", "action_id", "block_id", "value", "style", "private_metadata"})


def cut(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters; a cut one ends in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def characters(value: Any) -> int:
    """How many characters of text a block or a list of blocks shows."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(characters(entry) for entry in value)
    if isinstance(value, dict):
        return sum(characters(entry) for name, entry in value.items() if name not in _UNSEEN)
    return 0
