"""Pages of lists, by opaque tokens."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from sandbox.databricks.errors import invalid

T = TypeVar("T")


def seal(*values: object) -> str:
    """A token that the client hands back as it is."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def unseal(token: str, length: int) -> list[Any]:
    """What is in a token that we gave."""
    try:
        values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error) as error:
        raise invalid(f"Invalid page token: {token}") from error
    if not isinstance(values, list) or len(values) != length:
        raise invalid(f"Invalid page token: {token}")
    return values


def page(found: Sequence[T], size: int, token: str, start: int = 0) -> tuple[Sequence[T], dict[str, str]]:
    """The page that a token names (the first without one), and the tokens of its neighbours."""
    if token:
        start = int(unseal(token, 1)[0])
    tokens = {}
    if start + size < len(found):
        tokens["next_page_token"] = seal(start + size)
    if start > 0:
        tokens["prev_page_token"] = seal(max(0, start - size))
    return found[start : start + size], tokens


def whole(value: int, low: int, high: int, name: str, clamp: bool = False) -> int:
    """A size within its limits: refused outside them, or (clamp) moved to the nearest."""
    if clamp:
        return min(max(value, low), high)
    if not low <= value <= high:
        raise invalid(f"Invalid value for {name}: {value}. It must be between {low} and {high}.")
    return value
