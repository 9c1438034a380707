"""Bad weather on request: faults of calls and of deliveries, by pattern, kind and rate, repeatable by a seed."""

from __future__ import annotations

import fnmatch
import itertools
import math
import random
from dataclasses import dataclass, field
from typing import Any

from sandbox.slack.store import Json

CALLS = {
    "429": "too many requests, with Retry-After; nothing was done",
    "500": "an internal error; nothing was done",
    "503": "the service is unavailable; nothing was done",
    "reset": "the connection is reset; nothing was done",
    "lost-answer": "done, but the connection breaks before the answer",
    "slow": "answered late, by `seconds` of machine time",
}
DELIVERIES = {
    "drop": "the socket is cut, in turn just before a delivery and just after it was sent",
    "refresh": "a socket is told to reconnect (refresh_requested) after a delivery",
    "late": "a delivery arrives late, by `seconds` of machine time; the person does not wait longer for that",
    "duplicate": "an event is delivered again although it was acknowledged; Slack repeats nothing else",
}
PARCELS = ("command", "action", "view", "event")
FIELDS: dict[str, type] = {"times": int, "seconds": float, "retry_after": int, "seed": int}


@dataclass(slots=True)
class Fault:
    """One rule. `rate` is the chance per matching call or delivery, `times` how often at most (0: for ever)."""

    number: int
    path: str
    kind: str
    rate: float = 1.0
    times: int = 0
    seconds: float = 2.0
    retry_after: int = 1
    seed: int = 0
    hits: int = 0
    luck: random.Random = field(default_factory=random.Random)

    def as_json(self) -> Json:
        """What GET /sandbox/faults shows."""
        names = ("number", "path", "kind", "rate", "times", "seconds", "retry_after", "seed", "hits")
        return {name: getattr(self, name) for name in names}


class Faults:
    """All rules, kept in memory only: weather is gone at a restart. The first rule that strikes counts."""

    def __init__(self) -> None:
        """Fine weather."""
        self.rules: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, path: str, kind: str, rate: Any = 1.0, **more: Any) -> Fault:
        """A new rule: `path` is a pattern on the method's name (`upload` and `response_url` count as methods), or for
        deliveries on command, action, view and event. Raises ValueError with a sentence when it makes no sense."""
        if kind not in CALLS and kind not in DELIVERIES:
            raise ValueError(f"unknown kind of fault '{kind}', expected one of {', '.join([*CALLS, *DELIVERIES])}")
        if kind in DELIVERIES and not any(fnmatch.fnmatchcase(name, path) for name in PARCELS):
            raise ValueError(f"'{kind}' is about deliveries: the path must fit one of {', '.join(PARCELS)}")
        if kind == "duplicate" and not fnmatch.fnmatchcase("event", path):
            raise ValueError("Slack delivers only events twice: the path of 'duplicate' must fit event")
        chance = _number("rate", rate, float)
        if chance > 1:
            raise ValueError(f"rate must be between 0 and 1, not {rate}")
        fault = Fault(next(self._numbers), path, kind, float(chance))
        for name, value in more.items():
            if name not in FIELDS:
                raise ValueError(f"unknown field '{name}' of a fault")
            setattr(fault, name, _number(name, value, FIELDS[name]))
        fault.luck = random.Random(fault.seed)
        self.rules.append(fault)
        return fault

    def clear(self, number: int | None = None) -> bool:
        """Take one rule away, or all; whether there was any such."""
        left = [fault for fault in self.rules if number is not None and fault.number != number]
        found = len(left) < len(self.rules)
        self.rules = left
        return found

    def strike(self, name: str, *kinds: str) -> Fault | None:
        """The fault of one of these kinds that hits this method or delivery, if any; counts it."""
        for fault in self.rules:
            if fault.kind not in kinds or (fault.times and fault.hits >= fault.times):
                continue
            if fnmatch.fnmatchcase(name, fault.path) and fault.luck.random() < fault.rate:
                fault.hits += 1
                return fault
        return None


def _number(name: str, value: Any, kind: type) -> Any:
    """A number of this type from 0 on, or ValueError."""
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if isinstance(value, bool) or not math.isfinite(number) or number < 0:
        raise ValueError(f"'{value}' cannot be the {name} of a fault")
    return number
