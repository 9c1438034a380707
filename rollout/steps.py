"""What to do next with one action, decided from one look at its target (DESIGN 5, invariants 3, 4 and 5).

The engine looks, asks ``decide``, does exactly that one thing and commits; then it looks again. Everything that was
not seen is unknown, and unknown never leads to a second write before two quiet looks.
"""

from dataclasses import dataclass
from enum import StrEnum

from rollout.change import Holds


class Settling(StrEnum):
    """Whether the target has come to rest after a change."""

    YES = "yes"
    NOT_YET = "not_yet"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a target found, and what the journal says of earlier tries.

    ``intended``: a write was about to be sent. ``answered``: its answer arrived. Ages are machine seconds since then.
    ``looks`` counts quiet looks since the outcome became unknown. ``edited`` is what the platform's event log says of
    an edit since the intent: None where it cannot tell. ``expired``: the calendar deadline of the action has passed.
    """

    holds: Holds
    conflicts: bool
    editable: bool
    settling: Settling
    intended: bool = False
    answered: bool = False
    intent_age: float = 0.0
    answer_age: float = 0.0
    looks: int = 0
    edited: bool | None = None
    expired: bool = False
    may_write: bool = True  # a forward write is held while paused, locked, or once a rollback began
    doubted: bool = False  # that there is nothing to write was read only once, and a read may lag behind the writes


@dataclass(frozen=True, slots=True)
class Patience:
    """Machine seconds: how long a call may take, and how long its effect may need to show."""

    http: float
    settle: float

    @property
    def unknown(self) -> float:
        """After this long a lost write has either taken effect or never will."""
        return self.http + self.settle


class Step(StrEnum):
    """The closed set of things to do."""

    WRITE = "write"
    WAIT = "wait"  # look again soon
    COUNT_QUIET_LOOK = "count_quiet_look"
    FORGET_INTENT = "forget_intent"  # the write surely never happened: start over
    TAKE_AS_WRITTEN = "take_as_written"  # the lost write did happen
    LOOK_TWICE = "look_twice"  # there seems to be nothing to do: believe it when it is read again
    RELEASE = "release"  # give the action back; it may not write now
    DONE = "done"
    CONFLICT = "conflict"
    FAIL_CLUSTER = "fail_cluster"
    FAIL_NOT_VERIFIED = "fail_not_verified"
    FAIL_UNKNOWN = "fail_unknown"
    FAIL_STUCK = "fail_stuck"


#: Quiet looks that are needed before a write of unknown outcome is sent again.
QUIET_LOOKS = 2


def decide(look: Look, patience: Patience) -> Step:
    """The one next step for a change or a revert."""
    if look.answered:
        return _after_answer(look, patience)
    if look.intended:
        return _unknown(look, patience)
    if look.holds is Holds.AFTER:
        return Step.LOOK_TWICE if look.doubted else _at_rest(look)
    if look.holds is not Holds.BEFORE:
        return Step.CONFLICT
    if not look.may_write:
        return Step.RELEASE
    if look.editable:
        return Step.WRITE
    return Step.FAIL_STUCK if look.expired else Step.WAIT


def _after_answer(look: Look, patience: Patience) -> Step:
    if look.holds is Holds.AFTER:
        return _at_rest(look)
    if look.answer_age < patience.settle:
        return Step.WAIT  # reads may lag behind writes
    return Step.FAIL_NOT_VERIFIED if look.holds is Holds.BEFORE else Step.CONFLICT


def _unknown(look: Look, patience: Patience) -> Step:
    if look.holds is Holds.AFTER:
        return Step.TAKE_AS_WRITTEN
    if look.intent_age < patience.unknown:
        return Step.WAIT
    if look.holds is not Holds.BEFORE:
        return Step.CONFLICT
    if look.edited:
        # The platform says that an edit happened, yet the old value is read: a lagging read, or an edit of somebody
        # else. Neither may be written over.
        return Step.FAIL_UNKNOWN if look.intent_age > 4 * patience.unknown else Step.WAIT
    return Step.FORGET_INTENT if look.looks + 1 >= QUIET_LOOKS else Step.COUNT_QUIET_LOOK


def _at_rest(look: Look) -> Step:
    if look.settling is Settling.FAILED:
        return Step.FAIL_CLUSTER
    if look.settling is Settling.NOT_YET:
        return Step.FAIL_STUCK if look.expired else Step.WAIT
    return Step.CONFLICT if look.conflicts else Step.DONE
