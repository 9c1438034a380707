"""What of a target is not as its backup says, field by field. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rollout.change import Change, FieldChange, Path, Raw
from rollout.masking import ABSENT, HIDDEN, path_words, shown_value

#: Entries of these lists are found by a key of their own, so that their order is no difference.
_KEYS: Final = ("task_key", "job_cluster_key", "environment_key", "key", "name")
_NOTHING: Final = object()
#: So many fields of one target are kept; how many there are is kept of all.
MOST_FIELDS: Final = 40


@dataclass(frozen=True, slots=True)
class Compared:
    """How the targets of a stage stand to their backups. ``unread`` could not be looked at, ``waiting`` not yet."""

    equal: int = 0
    differ: int = 0
    gone: int = 0
    unread: int = 0
    waiting: int = 0
    supports: int = 0  # of all these: policies and pools, which are counted with nothing else of a stage

    @property
    def total(self) -> int:
        return self.equal + self.differ + self.gone + self.unread + self.waiting

    @property
    def clean(self) -> bool:
        """Every one was looked at and is equal."""
        return self.total == self.equal

    def words(self) -> str:
        """``118 of 120 equal to their backups, 2 differ``; empty where nothing was backed up."""
        if not self.total:
            return ""
        said = [f"{self.equal:,} of {self.total:,} equal to {'its backup' if self.total == 1 else 'their backups'}"]
        for number, words in (
            (self.differ, "differs" if self.differ == 1 else "differ"),
            (self.gone, "no longer exists" if self.gone == 1 else "no longer exist"),
            (self.unread, "could not be looked at"),
            (self.waiting, "still to be compared"),
        ):
            if number:
                said.append(f"{number:,} {words}")
        among = "1 of them a support" if self.supports == 1 else f"{self.supports:,} of them supports"
        return ", ".join(said) + (f" ({among})" if self.supports else "")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: what the backup says, and what is there now; None where it is absent."""

    path: Path
    before: Any
    now: Any


def differences(before: Raw, now: Raw) -> list[Difference]:
    """Every field in which ``now`` is not ``before``, both without what the platform sets itself."""
    return list(_differences((), before, now))


def shown_differences(found: Sequence[Difference], change: Change | None) -> list[dict[str, str]]:
    """The fields with their three values, as they may be shown and stored: secrets never come out of here."""
    made = []
    for one in found[:MOST_FIELDS]:
        before, now = shown_value(one.path, one.before), shown_value(one.path, one.now)
        if before == now == HIDDEN:
            now = f"{HIDDEN}, another value"
        ours, known = _ours(change, one.path)
        made.append(
            {
                "field": path_words(one.path),
                "before": before,
                "ours": shown_value(one.path, ours) if known else "-",
                "now": now,
            }
        )
    return made


def _differences(path: Path, before: Any, now: Any) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            yield from _differences((*path, str(key)), before.get(key, _NOTHING), now.get(key, _NOTHING))
    elif isinstance(before, list) and isinstance(now, list) and (own := _own_key(before, now)):
        ours, theirs = ({str(e[own]): e for e in entries} for entries in (before, now))
        for key in dict.fromkeys([*ours, *theirs]):
            yield from _differences((*path, key), ours.get(key, _NOTHING), theirs.get(key, _NOTHING))
    elif not _same(before, now):
        yield Difference(path, _absent(before), _absent(now))


def _own_key(*lists: list[Any]) -> str | None:
    """The key by which the entries of these lists are told apart, each once."""
    entries = [entry for found in lists for entry in found]
    if not entries or not all(isinstance(entry, Mapping) for entry in entries):
        return None
    for key in _KEYS:
        if all(isinstance(entry.get(key), str) for entry in entries) and all(
            len({entry[key] for entry in found}) == len(found) for found in lists
        ):
            return key
    return None


def _same(before: Any, now: Any) -> bool:
    """Equal values; that ``True`` is 1 for Python makes no field of JSON equal to another."""
    if isinstance(before, bool) is not isinstance(now, bool):
        return False
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_same, before, now))
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return before.keys() == now.keys() and all(_same(before[key], now[key]) for key in before)
    return bool(before == now)


def _absent(value: Any) -> Any:
    return None if value is _NOTHING else value


def _ours(change: Change | None, path: Path) -> tuple[Any, bool]:
    """What we had set there, and whether we had set it at all."""
    for field in change.fields if change is not None else ():
        if path[: len(field.path)] == field.path:
            return _inside(field, path[len(field.path) :]), True
    return None, False


def _inside(field: FieldChange, rest: Path) -> Any:
    """The value deeper inside what we wrote: a rule of a policy is written as a text of JSON."""
    here = field.after
    if rest and isinstance(here, str):
        try:
            here = json.loads(here)
        except ValueError:
            return None
    for step in rest:
        here = here.get(step) if isinstance(here, Mapping) else None
    return here


__all__ = ["ABSENT", "HIDDEN", "MOST_FIELDS", "Compared", "Difference", "differences", "shown_differences"]
