"""The plan of a rollout, from its stored revision."""

from functools import lru_cache

from rollout.plan import Plan
from rollout.planfile import from_canonical
from storage.models import Rollout


@lru_cache(maxsize=64)
def _parsed(text: str) -> Plan:
    return from_canonical(text)


def plan_of(rollout: Rollout) -> Plan:
    """The plan that rules ``rollout``: the revision is stored as canonical text and never changes."""
    return _parsed(rollout.revision.text)
