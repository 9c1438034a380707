"""How much may go wrong or on at once: limits of a stage as numbers, and those of a workspace over all its stages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rollout.plan import Plan
from rollout.planfields import Limit

#: Calls per second where the plan says nothing. A third of them are writes: below every figure that is published.
CALLS_PER_SECOND: Final = 30.0
#: Targets at once in a workspace of which no plan says anything.
AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class WorkspaceLimits:
    """What all replicas and all stages together may do in one workspace."""

    calls_per_second: float = CALLS_PER_SECOND
    max_parallel: int = AT_ONCE


def allowed(limit: Limit, total: int) -> int:
    """How many failures spend the limit, of ``total``: at least one. A per cent of nothing is spent by one."""
    if isinstance(limit, int):
        return limit
    return max(1, -(-total * int(limit.removesuffix("%")) // 100))


def limit_words(limit: Limit, what: str) -> str:
    """``3 failures``, ``1 failure`` or ``failures of 10%``."""
    if isinstance(limit, int):
        return f"{limit:,} {what}{'' if limit == 1 else 's'}"
    return f"{what}s of {limit}"


def workspace_limits(plans: Sequence[Plan], workspace: str) -> WorkspaceLimits:
    """The limits of a workspace: of several plans that name it the lowest ones.

    Without a word of the plan as many targets are in flight at once as the widest of its stages there allows alone.
    """
    found = [_of_plan(plan, workspace) for plan in plans if workspace in plan.workspaces]
    if not found:
        return WorkspaceLimits()
    return WorkspaceLimits(min(f.calls_per_second for f in found), min(f.max_parallel for f in found))


def _of_plan(plan: Plan, workspace: str) -> WorkspaceLimits:
    stages = [s.max_parallel for s in plan.stages if workspace in s.targets.workspaces]
    said = plan.limits.get(workspace)
    return WorkspaceLimits(
        said.calls_per_second if said is not None and said.calls_per_second is not None else CALLS_PER_SECOND,
        said.max_parallel if said is not None and said.max_parallel is not None else max(stages, default=AT_ONCE),
    )
