"""What a check is given and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rollout.states import Verdict


@dataclass(frozen=True, slots=True)
class StageLook:
    """What the engine saw of a stage when its bake ended: targets by the end of their last action, and the runs."""

    target_release: str
    changed: int  # targets whose change was verified
    unchanged: tuple[str, ...]  # names of targets of the change set that are not on the new runtime
    unsettled: tuple[str, ...]  # names of changed targets that ended abnormally
    runs: Mapping[str, Any] | None  # monitoring.looks.compare_runs; None: the runs could not be read
    runs_error: str | None = None
    moving: tuple[str, ...] = ()  # names of changed targets that are on their way to another state just now
    targets_error: str | None = None  # why not every changed target could be looked at
    managed: tuple[tuple[str, int, int], ...] = ()  # repository, edits that have arrived, edits


@dataclass(frozen=True, slots=True)
class Found:
    """Evidence: a verdict, a reason code where it is not PASS, one sentence, and the facts behind it."""

    verdict: Verdict
    sentence: str
    reason_code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
