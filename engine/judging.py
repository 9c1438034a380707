"""Whether a changed target stands as it should: the same questions after the change, at each look and at the end of a
bake, however it was read."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rollout.change import Change, Holds, Raw, compare
from rollout.machine import moved
from workspace.kinds import Kind
from workspace.settling import Settled

#: In what is seen just before a write: what the change leaves as it is (``Kind.kept``).
KEPT = "kept"


class Stands(StrEnum):
    """How a changed target stands."""

    YES = "yes"  # the change holds, and it is at rest
    ELSEWHERE = "elsewhere"  # the change holds no more
    MOVING = "moving"  # on its way to another state
    DOWN = "down"  # ended abnormally


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer, and a sentence about how it came to rest; empty where the change does not hold."""

    stands: Stands
    sentence: str = ""


_SETTLED = {Settled.YES: Stands.YES, Settled.NOT_YET: Stands.MOVING, Settled.FAILED: Stands.DOWN}


def judge(kind: Kind, change: Change, before: Raw | None, raw: Raw) -> Standing:
    """How a target stands that was changed, as it is now. ``before`` is what was seen of it just before the change,
    which tells a cluster that went down from one that was stopped all the time; empty where nothing was written. Pure.
    """
    if compare(change, kind.values(raw, change)) is not Holds.AFTER:
        return Standing(Stands.ELSEWHERE)
    settlement = kind.settled(raw, before or {})
    return Standing(_SETTLED[settlement.settled], settlement.sentence)


def lost(kind: Kind, before: Raw | None, raw: Raw) -> str | None:
    """That machine types or spot settings are not as they were just before the change, as a sentence; None: they are,
    or nothing was seen of them. Pure."""
    kept = (before or {}).get(KEPT)
    return moved(kept, kind.kept(raw)) if isinstance(kept, Mapping) else None
