"""What else is touched when a target moves: everything that it shares with others. Pure.

Two bonds carry on: a shared cluster with the jobs on it, and a job with the jobs that it starts, both ways; what is
bound to what is bound is dragged along as well. A policy or a pool binds more loosely: it does not move its users, but
to change it touches all of them; it is counted, not followed. The same goes for a pipeline.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rollout.about import Use

#: (kind, id) of a target, or of what targets use.
Key = tuple[str, str]

_CARRIES: Final = frozenset({"cluster", "job"})


@dataclass(frozen=True, slots=True)
class Dragged:
    """One thing that is dragged along, and by what: ``through`` is the cluster or job that binds it."""

    key: Key
    through: Key


@dataclass(frozen=True, slots=True)
class Sharing:
    """What some targets share with their workspace. ``supports``: policy, pool or pipeline, and its other users."""

    dragged: tuple[Dragged, ...] = ()
    supports: tuple[tuple[Key, int], ...] = ()

    @property
    def isolated(self) -> bool:
        """Whether nothing else moves with it."""
        return not self.dragged


def sharing(uses: Mapping[Key, Collection[Use]], targets: Collection[Key]) -> Sharing:
    """What ``targets`` share. ``uses`` says of every target of their workspace what it uses; loops do no harm."""
    users: dict[Key, list[Key]] = {}
    for user, used in uses.items():
        for key in used:
            users.setdefault(key, []).append(user)
    mine = set(targets)
    seen, dragged = set(mine), []
    queue = sorted(mine)
    while queue:
        here = queue.pop(0)
        for other in sorted(set(_bound(here, uses, users)) - seen):
            seen.add(other)
            queue.append(other)
            dragged.append(Dragged(other, here))
    loose = sorted({key for target in mine for key in uses.get(target, ()) if key[0] not in _CARRIES})
    supports = [(key, len(set(users.get(key, ())) - mine)) for key in loose]
    return Sharing(tuple(dragged), tuple((key, number) for key, number in supports if number))


def _bound(here: Key, uses: Mapping[Key, Collection[Use]], users: Mapping[Key, Collection[Key]]) -> Iterator[Key]:
    yield from (key for key in uses.get(here, ()) if key[0] in _CARRIES)
    yield from users.get(here, ())


def sentence(found: Sharing, names: Mapping[Key, str], most: int = 4) -> str:
    """``Not isolated: drags along job b (by cluster x); ...``; empty where nothing at all is shared."""

    def named(key: Key) -> str:
        return f"{key[0]} {names.get(key, key[1])}"

    parts = []
    if found.dragged:
        shown = [f"{named(d.key)} (by {named(d.through)})" for d in found.dragged[:most]]
        more = f" and {len(found.dragged) - most} more" if len(found.dragged) > most else ""
        parts.append(f"Not isolated: drags along {', '.join(shown)}{more}.")
    if found.supports:
        shown = [f"{named(key)} with {number} other{'' if number == 1 else 's'}" for key, number in found.supports]
        parts.append(f"Shares {', '.join(shown[:most])}{' and more' if len(shown) > most else ''}.")
    return " ".join(parts)
