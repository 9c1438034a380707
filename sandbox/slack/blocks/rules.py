"""The vocabulary in which the shapes of Block Kit are written: small rules that report problems at a JSON pointer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Problems = list[str]
Rule = Callable[[Any, str, Problems], None]


def problem(problems: Problems, sentence: str, pointer: str) -> None:
    """Report in the form that Slack uses in response_metadata.messages."""
    problems.append(f"[ERROR] {sentence} [json-pointer:{pointer or '/'}]")


def string(maximum: int | None = None, minimum: int = 0, pattern: str | None = None, hint: str = "") -> Rule:
    """A string of so many characters. `hint` says what `pattern` wants."""
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, str):
            problem(problems, "must provide a string", pointer)
        elif len(value) < minimum:
            problem(problems, f"must be more than {minimum - 1} characters", pointer)
        elif maximum is not None and len(value) > maximum:
            problem(problems, f"must be less than {maximum + 1} characters", pointer)
        elif compiled and not compiled.fullmatch(value):
            problem(problems, hint or "invalid format", pointer)

    return check


def boolean(value: Any, pointer: str, problems: Problems) -> None:
    """true or false."""
    if not isinstance(value, bool):
        problem(problems, "must provide a boolean", pointer)


def integer(minimum: int | None = None, maximum: int | None = None) -> Rule:
    """A whole number within bounds."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            problem(problems, "must provide an integer", pointer)
        elif minimum is not None and value < minimum:
            problem(problems, f"must be greater than or equal to {minimum}", pointer)
        elif maximum is not None and value > maximum:
            problem(problems, f"must be less than or equal to {maximum}", pointer)

    return check


def number(above: float | None = None) -> Rule:
    """A finite number, perhaps only above a bound."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or value != value
            or abs(value) == float("inf")
        ):
            problem(problems, "must provide a number", pointer)
        elif above is not None and value <= above:
            problem(problems, f"must be greater than {above:g}", pointer)

    return check


def choice(*values: str) -> Rule:
    """One of these words."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if value not in values:
            problem(problems, f"must be one of: {', '.join(values)}", pointer)

    return check


def array(item: Rule, minimum: int = 0, maximum: int | None = None) -> Rule:
    """An array of so many items."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, list):
            problem(problems, "must provide an array", pointer)
            return
        if len(value) < minimum:
            problem(problems, f"no fewer than {minimum} items allowed", pointer)
        if maximum is not None and len(value) > maximum:
            problem(problems, f"no more than {maximum} items allowed", pointer)
            return
        for index, entry in enumerate(value):
            item(entry, f"{pointer}/{index}", problems)

    return check


def anything(value: Any, pointer: str, problems: Problems) -> None:
    """Not looked at."""


def shape(required: dict[str, Rule], optional: dict[str, Rule] | None = None, *more: Rule) -> Rule:
    """An object with exactly these properties; `more` rules see the whole object once it has the right form."""
    rules = {**required, **(optional or {})}

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problem(problems, "must provide an object", pointer)
            return
        before = len(problems)
        for name in required:
            if name not in value:
                problem(problems, f"missing required field: {name}", pointer)
        for name, entry in value.items():
            rule = rules.get(name)
            if rule is None:
                problem(problems, f"invalid additional property: {name}", pointer)
            elif entry is not None or name in required:
                rule(entry, f"{pointer}/{name}", problems)
        if len(problems) == before:
            for rule in more:
                rule(value, pointer, problems)

    return check


def typed(shapes: dict[str, Rule], what: str = "type") -> Rule:
    """An object whose `type` picks its shape; a type that is not listed is refused."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problem(problems, "must provide an object", pointer)
            return
        kind = value.get("type")
        if kind is None:
            problem(problems, "missing required field: type", pointer)
        elif not isinstance(kind, str) or kind not in shapes:
            problem(problems, f"unsupported {what}: {kind if isinstance(kind, str) else '?'}", f"{pointer}/type")
        else:
            shapes[kind](value, pointer, problems)

    return check
