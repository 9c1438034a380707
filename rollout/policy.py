"""What a cluster policy says of the fields that we change. Pure (facts: databricks a4).

A policy's definition is a JSON document, attribute -> rule. Only the attributes in ``ATTRIBUTES`` and ``MACHINES`` are
of interest here, and only those are kept: other rules may hold secrets.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rollout.pool import POOLS, is_token

Rule = Mapping[str, Any]

#: What a change writes, and so what a policy may be widened in.
ATTRIBUTES: Final = ("spark_version", "runtime_engine", *POOLS)
#: What is only read: the machine types that a policy supplies.
MACHINES: Final = ("node_type_id", "driver_node_type_id")


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy of a workspace. ``rules`` is None where the definition cannot be read.

    ``widened`` are the rules that would replace them so that the targets' new runtimes are taken beside the old ones;
    ``held`` says, as the end of a sentence, why it is not widened although a target needs it.
    """

    name: str
    rules: Mapping[str, Rule] | None
    widened: Mapping[str, Rule] = field(default_factory=dict)
    held: str = ""

    def after(self) -> "Policy":
        """The policy as it is once it is widened."""
        return replace(self, rules={**(self.rules or {}), **self.widened}) if self.widened else self

    def to_json(self) -> dict[str, Any]:
        rules = None if self.rules is None else {name: dict(rule) for name, rule in self.rules.items()}
        widened = {name: dict(rule) for name, rule in self.widened.items()}
        return {"name": self.name, "rules": rules, "widened": widened, "held": self.held}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> "Policy":
        return Policy(str(raw["name"]), raw["rules"], raw.get("widened") or {}, str(raw.get("held") or ""))


def read(name: str, definition: object) -> Policy:
    """A policy from its definition as the API gives it, a JSON text."""
    try:
        parsed = json.loads(str(definition or "{}"))
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return Policy(name, None)
    rules = {attribute: parsed[attribute] for attribute in (*ATTRIBUTES, *MACHINES) if attribute in parsed}
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
        # Of a pool that is not made yet nobody knows whether its id will match.
        if re.fullmatch(str(pattern), value) and not is_token(value):
            return None
    except re.error:
        return "has a pattern that cannot be read"
    return f"takes only what matches {str(pattern)[:120]}"


def plan_widening(
    policy: Policy, wants: Mapping[str, Collection[str]], omitted: Sequence[str], poolless: Sequence[str] = ()
) -> Policy:
    """The policy with what has to be done to it, so that it takes ``wants`` (attribute -> values).

    ``omitted`` names what leaves out its runtime and takes it from this policy: a fixed rule fills it in, a list of
    allowed values does not (facts: databricks a14), so a fixed rule is not widened under them. ``poolless`` are those
    that leave out their pool. A pool is no need: where its rule cannot be widened, compute stays on the old one.
    """
    widened: dict[str, Rule] = {}
    for attribute, values in wants.items():
        refused = [v for v in sorted(values) if refusal(policy, attribute, v) is not None]
        if not refused or policy.rules is None:
            continue
        rule = policy.rules[attribute]
        wider = widen(rule, refused)
        if attribute in POOLS and (wider is None or (rule.get("type") == "fixed" and poolless)):
            continue
        if wider is None:
            return replace(policy, held=refusal(policy, attribute, refused[0]) or "")
        if attribute == "spark_version" and rule.get("type") == "fixed" and omitted:
            return replace(policy, held=f"gives {_named(omitted)} their runtime, which a wider rule would not")
        widened[attribute] = wider
    return replace(policy, widened=widened)


def widen(rule: Rule, values: Sequence[str]) -> dict[str, Any] | None:
    """A rule that takes ``values`` beside what ``rule`` takes, with the old default kept; None where there is none."""
    match rule.get("type"):
        case "fixed" if not str(rule.get("value", "")).startswith("auto:"):
            old = rule.get("value")
            return {"type": "allowlist", "values": [old, *values], "defaultValue": old}
        case "allowlist" if isinstance(rule.get("values"), list):
            return {**rule, "values": [*rule["values"], *values]}
        case "blocklist":
            left = [v for v in rule.get("values") or () if str(v) not in values]
            return {**rule, "values": left} if left else {**_default(rule), "type": "unlimited"}
        case "regex" if isinstance(rule.get("pattern"), str):
            exact = "|".join(v.replace(".", r"\.") for v in values)
            return {**rule, "pattern": f"(?:{rule['pattern']})|{exact}"}
        case _:
            return None


def _default(rule: Rule) -> dict[str, Any]:
    return {name: rule[name] for name in ("defaultValue", "isOptional", "hidden") if name in rule}


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
