"""What a button, a form or typed text carries, looked at before anything reads it: wrong types are refused. Pure."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from commands.call import Refused, refused

_NUMBERS: Final = frozenset(
    {"rollout", "target_id", "version", "generation", "page", "amendment", "override", "escalation", "issue", "seen"}
)
_TEXTS: Final = frozenset(
    {
        "words",
        "stage",
        "target",
        "reason",
        "role",
        "comment",
        "confirm",
        "state",
        "verb",
        "owner",
        "repository",
        "condition",
    }
    | {"title", "critical", "about", "on", "cause", "fix", "message", "permalink", "of_stage", "item", "due"}
)
_LISTS: Final = frozenset({"stages", "items", "unpin", "managed_too"})
_FLAGS: Final = frozenset({"submitted", "managed", "compared"})
_MOST: Final = 2**31  # an integer of PostgreSQL
_LENGTH: Final = 3000
_KEEP: Final = frozenset("\n\t")


def cleaned(text: str) -> str:
    """Text that every database and every surface takes: no control characters, no halves of a character."""
    return "".join(c for c in text if c in _KEEP or unicodedata.category(c) not in {"Cc", "Cs"})


def checked(given: Mapping[str, Any], verb: str) -> dict[str, Any]:
    """The arguments with clean texts; what is None is left out. Raises Refused for a value that cannot be.

    A wrong value is never taken for an absent one: ``rollback`` of a target that cannot be read is not a ``rollback``
    of the newest stage.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "arguments":  # of a look that is to be shared
            if not isinstance(value, Mapping) or "arguments" in value:
                raise _malformed(name, verb)
            found[name] = checked(value, verb)
        else:
            found[name] = _value(name, value, verb)
    return found


def _value(name: str, value: Any, verb: str) -> Any:
    if name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int) or not -_MOST < value < _MOST:
            raise _malformed(name, verb)
        return value
    if name == "begin_at":  # unix seconds from a picker, text from a terminal
        if isinstance(value, str):
            return cleaned(value)[:40]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**10:
            raise _malformed(name, verb)
        return value
    if name in _TEXTS or (name == "items" and isinstance(value, str)):
        if not isinstance(value, str):
            raise _malformed(name, verb)
        return cleaned(value)[:_LENGTH]
    if name in _LISTS:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise _malformed(name, verb)
        if name == "stages" and not value:
            raise _malformed(name, verb)
        return [cleaned(v)[:_LENGTH] for v in value]
    if name in _FLAGS and not isinstance(value, bool):
        raise _malformed(name, verb)
    return value


def _malformed(name: str, verb: str) -> Refused:
    return refused(
        "malformed_request",
        f"What was pressed carries a value that cannot be ({name[:40]}); nothing was done.",
        f"Type it instead: /rollout {verb[:40]}",
    )
