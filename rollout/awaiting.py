"""Changes that name a pool which is not made yet, and what they are once it is. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rollout.change import Change
from rollout.pool import TOKEN, token


def awaited(change: Change) -> bool:
    """Whether the change names a pool by its token."""
    return any(isinstance(f.after, str) and TOKEN in f.after for f in change.fields)


def resolved(change: Change, made: Mapping[str, str]) -> Change | None:
    """The change with the ids of the pools that were ``made`` (pool -> stand-in); None while one of them is missing."""
    # The longest first: one id may begin with another.
    order = sorted(made, key=len, reverse=True)
    fields = tuple(
        replace(f, after=_resolved(f.after, ((token(pool), made[pool]) for pool in order))) for f in change.fields
    )
    found = replace(change, fields=fields)
    return None if awaited(found) else found


def _resolved(after: Any, named: Iterable[tuple[str, str]]) -> Any:
    if isinstance(after, str) and TOKEN in after:
        for name, pool in named:
            after = after.replace(name, pool)
    return after
