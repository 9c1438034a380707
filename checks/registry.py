"""The checks by name."""

from collections.abc import Callable
from typing import Final

from checks import runs, targets
from checks.evidence import Found, StageLook

CHECKS: Final[dict[str, Callable[[StageLook], Found]]] = {
    "targets_on_target_runtime": targets.on_target_runtime,
    "targets_settled": targets.settled,
    "runs_compared": runs.compared,
}
