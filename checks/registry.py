"""The checks by name."""

from collections.abc import Callable
from typing import Final

from checks import managed, runs, targets
from checks.evidence import Found, StageLook

CHECKS: Final[dict[str, Callable[[StageLook], Found]]] = {
    "targets_on_target_runtime": targets.on_target_runtime,
    "targets_settled": targets.settled,
    "repository_edits_arrived": managed.edits_arrived,
    "runs_compared": runs.compared,
}
