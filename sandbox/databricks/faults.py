"""Bad weather: faults that tests and people ask for, per path, kind and rate, repeatable by a seed."""

from __future__ import annotations

import fnmatch
import itertools
import random
from dataclasses import dataclass, field

from sandbox.databricks.errors import ApiError, Json

KINDS = {
    "429": "too many requests, with Retry-After",
    "500": "an internal error; nothing was done",
    "503": "temporarily unavailable; nothing was done",
    "403": "permission denied; nothing was done",
    "reset": "the connection is reset; nothing was done",
    "lost-answer": "done, but the connection breaks before the answer",
    "slow": "answered late, by `seconds` of machine time",
    "eventual": "done, but for `seconds` of machine time (or the next `reads` reads) reads show what was before",
}
READING = ("/events", "/list", "/get")
"""Paths that only read, whatever their method."""


@dataclass(slots=True)
class Fault:
    """One rule. `rate` is the chance per matching call, `times` how often at most (0: for ever)."""

    number: int
    path: str
    kind: str
    rate: float = 1.0
    workspace: str = "*"
    method: str = "*"
    times: int = 0
    seconds: float = 2.0
    retry_after: int = 1
    reads: int = 0
    seed: int = 0
    hits: int = 0
    luck: random.Random = field(default_factory=random.Random)

    def as_json(self) -> Json:
        """What GET /sandbox/faults shows."""
        names = (
            "number",
            "path",
            "kind",
            "rate",
            "workspace",
            "method",
            "times",
            "seconds",
            "retry_after",
            "reads",
            "seed",
            "hits",
        )
        return {name: getattr(self, name) for name in names}


class Faults:
    """All rules of one sandbox; the first that strikes counts."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, path: str, kind: str, rate: float = 1.0, **more: object) -> Fault:
        """A new rule. Raises ValueError with a sentence when it makes no sense."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind of fault '{kind}', expected one of {', '.join(KINDS)}")
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must be between 0 and 1, not {rate}")
        fault = Fault(next(self._numbers), path, kind, float(rate))
        for name, value in more.items():
            if name not in ("workspace", "method", "times", "seconds", "retry_after", "reads", "seed"):
                raise ValueError(f"unknown field '{name}' of a fault")
            try:
                setattr(fault, name, type(getattr(fault, name))(value))
            except (TypeError, ValueError) as error:
                raise ValueError(f"'{value}' cannot be the {name} of a fault") from error
        fault.luck = random.Random(fault.seed)
        self.rules.append(fault)
        return fault

    def clear(self, number: int = 0) -> None:
        """Fine weather; with a number, without that rule. Raises ValueError when there is no such rule."""
        if number and not any(fault.number == number for fault in self.rules):
            raise ValueError(f"there is no fault number {number}")
        self.rules = [fault for fault in self.rules if number and fault.number != number]

    def strike(self, workspace: str, method: str, path: str) -> Fault | None:
        """The fault that hits this call, if any; counts it."""
        for fault in self.rules:
            if fault.times and fault.hits >= fault.times:
                continue
            if fault.kind == "eventual" and (method == "GET" or path.endswith(READING)):
                continue
            if fault.workspace not in ("*", workspace) or fault.method not in ("*", method):
                continue
            if fnmatch.fnmatchcase(path, fault.path) and fault.luck.random() < fault.rate:
                fault.hits += 1
                return fault
        return None


def refusal(fault: Fault) -> ApiError | None:
    """The error that a fault answers with, for the kinds that answer."""
    if fault.kind == "429":
        headers = {"Retry-After": str(fault.retry_after)}
        return ApiError(
            429, "REQUEST_LIMIT_EXCEEDED", "Current request rate exceeds the limit of the workspace.", headers
        )
    if fault.kind == "500":
        return ApiError(500, "INTERNAL_ERROR", "An internal error occurred while processing the request.")
    if fault.kind == "503":
        return ApiError(503, "TEMPORARILY_UNAVAILABLE", "The service is temporarily unavailable.")
    if fault.kind == "403":
        return ApiError(403, "PERMISSION_DENIED", "The caller does not have permission for this operation.")
    return None
