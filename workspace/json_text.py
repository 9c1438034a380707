"""Change one member of a JSON object in its text and leave every other character as it was written. Pure.

A policy's definition is a text that people wrote: after the way there and back it has to be the same text.
"""

import json
import re
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_decoder = json.JSONDecoder()


def member(text: str, name: str) -> str | None:
    """The text of the value of member ``name``; None where there is none. Raises ValueError for what is no object."""
    spans = _spans(text)
    return text[slice(*spans[name])] if name in spans else None


def with_member(text: str, name: str, value: str) -> str:
    """``text`` with the value of its member ``name`` replaced, or with that member put first. Raises ValueError."""
    spans = _spans(text)
    if name in spans:
        start, end = spans[name]
        return f"{text[:start]}{value}{text[end:]}"
    at = text.index("{") + 1
    return f"{text[:at]}{json.dumps(name)}: {value}{', ' if spans else ''}{text[at:]}"


def same(one: str | None, other: str | None) -> bool:
    """Whether two JSON texts say the same; a missing one is only the same as another missing one."""
    if one is None or other is None:
        return one is other
    try:
        return bool(_parsed(one) == _parsed(other))
    except ValueError:
        return one == other


def _parsed(text: str) -> Any:
    return json.loads(text)


def _spans(text: str) -> dict[str, tuple[int, int]]:
    """Member name -> where its value begins and ends."""
    at = _after_space(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("not a JSON object")
    at = _after_space(text, at + 1)
    found: dict[str, tuple[int, int]] = {}
    while text[at : at + 1] != "}":
        name, at = _decoder.raw_decode(text, at)
        at = _after_space(text, at)
        if not isinstance(name, str) or text[at : at + 1] != ":":
            raise ValueError("not a JSON object")
        start = _after_space(text, at + 1)
        _, end = _decoder.raw_decode(text, start)
        found[name] = (start, end)
        at = _after_space(text, end)
        if text[at : at + 1] == ",":
            at = _after_space(text, at + 1)
        elif text[at : at + 1] != "}":
            raise ValueError("not a JSON object")
    return found


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
