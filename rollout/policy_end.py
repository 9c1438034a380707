"""What becomes of a widened rule once everything that it governs has moved: its default, its old values. Pure.

Only the default and the values of a list are understood well enough; a pattern is left to people.
"""

from collections.abc import Callable
from typing import Any

from rollout.policy import Policy, Rule, refusal

#: What stands for an old value now; None where it is not an old one.
Newer = Callable[[str], str | None]


def flipped(attribute: str, rule: Rule, newer: Newer) -> dict[str, Any] | None:
    """The rule with the new default; None where there is nothing to flip, or it would not take its own default."""
    old = rule.get("defaultValue")
    new = newer(str(old)) if old else None
    if new is None or refusal(Policy("", {attribute: rule}), attribute, new) is not None:
        return None
    return {**rule, "defaultValue": new}


def narrowed(rule: Rule, newer: Newer) -> dict[str, Any] | None:
    """The rule without the old values of its list; None where there are none, or nothing would be left."""
    values = rule.get("values")
    if rule.get("type") != "allowlist" or not isinstance(values, list):
        return None
    left = [v for v in values if newer(str(v)) is None]
    default = rule.get("defaultValue")
    if len(left) == len(values) or not left or (default is not None and default not in left):
        return None
    return {**rule, "values": left}
