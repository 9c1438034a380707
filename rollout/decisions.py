"""What every gate answers with, and the few sentences that gates share."""

from collections.abc import Sequence
from dataclasses import dataclass

from rollout.facts import May
from rollout.reasons import Reason


@dataclass(frozen=True, slots=True)
class Proceed:
    """It may happen."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may not, and these are all the reasons; the first one names the refusal."""

    reasons: tuple[Reason, ...]


Decision = Proceed | Refuse


def decide(found: Sequence[Reason]) -> Decision:
    """Proceed, or refuse with everything that was found."""
    return Refuse(tuple(found)) if found else Proceed()


def permission(may: May, what: str) -> tuple[Reason, ...]:
    """The refusal of somebody who holds none of the roles that may do this."""
    if may.permitted:
        return ()
    who = either(may.roles) if may.roles else "nobody in this plan"
    return (Reason("not_permitted", f"You may not {what}: {who} may.", "/rollout contacts names whom to ask."),)


def held_by_pause(paused: bool, reason: str) -> tuple[Reason, ...]:
    """The refusal while the rollout is paused."""
    return (Reason("rollout_paused", f"The rollout is paused{because(reason)}.", "/rollout resume"),) if paused else ()


def because(reason: str) -> str:
    """`` (the reason)``; nothing without one."""
    return f" ({reason.strip().rstrip('.')[:200]})" if reason.strip() else ""


def count(number: int, what: str) -> str:
    """``1 item``, ``2 items``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """``a, b and c``; the first five of many."""
    if len(words) > 6:
        return ", ".join(words[:5]) + f" and {len(words) - 5} more"
    return ", ".join(words[:-1]) + f" and {words[-1]}" if len(words) > 1 else "".join(words)


def either(words: Sequence[str]) -> str:
    """``a, b or c``."""
    return ", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else "".join(words)


def some_of(words: Sequence[str], most: int) -> str:
    """The first ``most`` words, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return "; ".join(words[:most]) + more


def held_by_issues(stage: str, issues: Sequence[str]) -> Reason:
    """The refusal while issues are open; each is named ``#3 Orders are late``."""
    number = len(issues)
    return Reason(
        "issues_open",
        f"{count(number, 'open issue')} {'holds' if number == 1 else 'hold'} {stage}: {some_of(issues, 3)}.",
        f"Resolve {'it' if number == 1 else 'them'}: /rollout issues {stage}",
    )
