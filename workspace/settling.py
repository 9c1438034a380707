"""Whether a write has come to rest."""

from dataclasses import dataclass
from enum import StrEnum


class Settled(StrEnum):
    """YES: nothing more will happen by itself. NOT_YET: look again. FAILED: a person must look."""

    YES = "yes"
    NOT_YET = "not_yet"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Settlement:
    """The answer and one sentence about it."""

    settled: Settled
    sentence: str
