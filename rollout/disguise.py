"""Texts of a plan that would not read as they are written: people confirm and sign what they see. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from rollout.yamlmarks import Node, Problem

#: What turns the direction of a text around, and so shows it in another order.
_TURNS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Control characters and other breaks of a line. In a text of several lines breaks and tabs are at home.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SELECTIONS: Final = frozenset({"targets", "select"})
_AT_HOME: Final = frozenset("\n\t")
#: By which Slack calls somebody, or makes a link to a channel.
_CALLS: Final = re.compile("<(?:![a-z]|[@#][A-Z0-9])")


def disguised(node: Node) -> Iterator[Problem]:
    """Each text of a marked plan that holds characters nobody sees, or that calls people as Slack is told to.

    Selections are passed over: they name what is in the workspaces, where a name may hold anything.
    """
    for below in [*(value for key, value in node.entries.items() if key not in _SELECTIONS), *node.items]:
        yield from disguised(below)
    text = node.text.strip()
    one_line = node.path.endswith(("title", "key", "role"))
    unseen = next((c for c in _CONTROLS.findall(text) if one_line or c not in _AT_HOME), None)
    turn = _TURNS.search(text)
    call = _CALLS.search(text)
    if turn is not None or unseen is not None:
        character = turn[0] if turn is not None else unseen
        yield node.problem(f"it holds the character {_named(str(character))}, which nobody sees", "a text as it reads")
    if call is not None:
        yield node.problem(f"{call[0]!r} would call people in Slack", "a name, without <! <@ or <#")


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}{f' ({name.lower()})' if name else ''}"
