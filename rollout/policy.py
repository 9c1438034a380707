"""What a cluster policy says of the fields that we change. Pure (facts: databricks a4).

A policy's definition is a JSON document, attribute -> rule. Only the attributes in ``ATTRIBUTES`` are of interest here,
and only those are kept: other rules may hold secrets.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ATTRIBUTES: Final = ("spark_version", "runtime_engine")


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy of a workspace. ``rules`` is None where the definition cannot be read."""

    name: str
    rules: Mapping[str, Mapping[str, Any]] | None

    def to_json(self) -> dict[str, Any]:
        rules = None if self.rules is None else {name: dict(rule) for name, rule in self.rules.items()}
        return {"name": self.name, "rules": rules}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "Policy":
        return Policy(str(raw["name"]), raw["rules"])


def read(name: str, definition: object) -> Policy:
    """A policy from its definition as the API gives it, a JSON text."""
    try:
        parsed = json.loads(str(definition or "{}"))
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return Policy(name, None)
    rules = {attribute: parsed[attribute] for attribute in ATTRIBUTES if attribute in parsed}
    return Policy(name, rules if all(isinstance(rule, dict) for rule in rules.values()) else None)


def given(policy: Policy, attribute: str) -> tuple[str, bool] | None:
    """What the policy supplies where the compute omits the attribute, and whether it allows nothing else."""
    rule = (policy.rules or {}).get(attribute) or {}
    if rule.get("type") == "fixed" and rule.get("value"):
        return str(rule["value"]), True
    return (str(rule["defaultValue"]), False) if rule.get("defaultValue") else None


def refusal(policy: Policy, attribute: str, value: str) -> str | None:
    """Why the policy would not take ``value`` there, as the end of a sentence; None where it surely takes it.

    What cannot be decided from the definition is said, too: unknown is never taken for allowed.
    """
    if policy.rules is None:
        return "cannot be read"
    rule = policy.rules.get(attribute)
    if rule is None:
        return None
    match rule.get("type"):
        case "unlimited":
            return None
        case "fixed":
            return _one_of((rule.get("value"),), value, "only")
        case "allowlist":
            return _one_of(rule.get("values"), value, "only")
        case "blocklist":
            blocked = [str(v) for v in rule.get("values") or ()]
            return f"does not take {value}" if value in blocked else None
        case "regex":
            return _matching(rule.get("pattern"), value)
        case "forbidden":
            return f"forbids to name a {attribute}"
        case kind:
            return f"has a rule for {attribute} that is not known here ({kind})"


def _one_of(values: object, value: str, word: str) -> str | None:
    given = [str(v) for v in values] if isinstance(values, list | tuple) else []
    if value in given:
        return None
    floating = [v for v in given if v.startswith("auto:")]
    if floating:
        return f"chooses the runtime itself ({', '.join(floating)[:60]})"
    return f"takes {word} {', '.join(given)[:120] or 'nothing'}"


def _matching(pattern: object, value: str) -> str | None:
    try:
        if re.fullmatch(str(pattern), value):
            return None
    except re.error:
        return "has a pattern that cannot be read"
    return f"takes only what matches {str(pattern)[:120]}"
