"""The rich_text block."""

from __future__ import annotations

from sandbox.slack.blocks.objects import IDENTIFIER, TYPE
from sandbox.slack.blocks.rules import Rule, array, boolean, choice, integer, shape, string, typed

STYLES = ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink")
STYLE = shape({}, dict.fromkeys(STYLES, boolean))
STYLED: dict[str, Rule] = {"style": STYLE}
ID = string(255, 1)
INLINE = typed(
    {
        "text": shape({**TYPE, "text": string(None, 1)}, STYLED),
        "link": shape({**TYPE, "url": string(3000, 1)}, {**STYLED, "text": string(), "unsafe": boolean}),
        "emoji": shape(
            {**TYPE, "name": ID}, {**STYLED, "unicode": string(), "skin_tone": integer(1, 6), "display_team_id": ID}
        ),
        "user": shape({**TYPE, "user_id": ID}, STYLED),
        "usergroup": shape({**TYPE, "usergroup_id": ID}, STYLED),
        "channel": shape({**TYPE, "channel_id": ID}, STYLED),
        "team": shape({**TYPE, "team_id": ID}, STYLED),
        "broadcast": shape({**TYPE, "range": choice("here", "channel", "everyone")}, STYLED),
        "color": shape({**TYPE, "value": string(9, 4)}, STYLED),
        "date": shape(
            {**TYPE, "timestamp": integer(0), "format": string(255, 1)},
            {**STYLED, "url": string(3000, 1), "fallback": string()},
        ),
    },
    "rich text element",
)
BORDER: dict[str, Rule] = {"border": integer(0, 1)}
SECTION = shape({**TYPE, "elements": array(INLINE)})
PARTS = typed(
    {
        "rich_text_section": SECTION,
        "rich_text_preformatted": shape({**TYPE, "elements": array(INLINE)}, {**BORDER, "language": string(50, 1)}),
        "rich_text_quote": shape({**TYPE, "elements": array(INLINE)}, BORDER),
        "rich_text_list": shape(
            {
                **TYPE,
                "style": choice("bullet", "ordered"),
                "elements": array(typed({"rich_text_section": SECTION}, "list item"), 1),
            },
            {**BORDER, "indent": integer(0, 8), "offset": integer(0)},
        ),
    },
    "rich text part",
)
RICH_TEXT = shape({**TYPE, "elements": array(PARTS)}, {"block_id": IDENTIFIER})
