"""The arguments of a call, whether they came as JSON, as a form or in the query."""

from __future__ import annotations

from typing import Any

from sandbox.slack.errors import Refused
from sandbox.slack.wire import strict


class Arguments:
    """Reads single arguments, and refuses what has the wrong type as Slack does."""

    def __init__(self, values: dict[str, Any]) -> None:
        """`values` are as they came: from a form all strings, from JSON anything."""
        self._values = {name: value for name, value in values.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        """Whether the argument was given at all."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """A string, or None when it was not given. Numbers and booleans count as their text."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float):
            return str(value).lower() if isinstance(value, bool) else str(value)
        raise Refused("invalid_arguments", [f"[ERROR] must provide a string [json-pointer:/{name}]"])

    def required(self, name: str) -> str:
        """A string that must be given and not be empty."""
        value = self.text(name)
        if not value:
            raise Refused("invalid_arguments", [f"[ERROR] missing required field: {name}"])
        return value

    def flag(self, name: str) -> bool:
        """A boolean, also written 1, true, 0, false."""
        return (self.text(name) or "").lower() in ("1", "true")

    def choice(self, name: str) -> bool | None:
        """As `flag`, or None when it was not given."""
        return self.flag(name) if name in self else None

    def number(self, name: str, default: int, maximum: int) -> int:
        """A whole number from 1 to `maximum`."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            number = 0
        if number < 1:
            raise Refused("invalid_limit" if name == "limit" else "invalid_arguments")
        return min(number, maximum)

    def structure(self, name: str, error: str) -> Any:
        """An object or array, also written as a JSON string; `error` when that cannot be read. None if not given."""
        value = self._values.get(name)
        if isinstance(value, str):
            if not value.strip():
                return None
            try:
                return strict(value)
            except (ValueError, RecursionError):
                raise Refused(error) from None
        return value

    def ids(self, name: str) -> list[str]:
        """Comma-separated ids, or an array of them."""
        value = self._values.get(name)
        parts = value if isinstance(value, list) else (self.text(name) or "").split(",")
        return [str(part).strip() for part in parts if str(part).strip()]


def page(items: list[Any], arguments: Arguments, default: int = 100) -> tuple[list[Any], str]:
    """One page of a list by `limit` and `cursor`: (the items, the next cursor or an empty string)."""
    limit = arguments.number("limit", default, 1000)
    cursor = arguments.text("cursor") or ""
    start = 0
    if cursor:
        head, _, count = cursor.partition(":")
        if head != "next" or not count.isdecimal() or int(count) > len(items):
            raise Refused("invalid_cursor")
        start = int(count)
    end = start + limit
    return items[start:end], f"next:{end}" if end < len(items) else ""
