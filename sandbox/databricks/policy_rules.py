"""The language of policy definitions: what a definition says, what it fills in, what it refuses, what it would change.

Knows cluster configurations only as JSON; which policy governs what is said in `governance`.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sandbox.databricks import cluster_config, policy_paths, versions
from sandbox.databricks.errors import Json
from sandbox.databricks.policy_paths import MISSING

VIRTUAL = ("cluster_type", "dbus_per_hour")
"""Paths that no configuration has: what kind of cluster it is for, and what it costs."""
NEEDS = {
    "fixed": ("value",),
    "forbidden": (),
    "allowlist": ("values",),
    "blocklist": ("values",),
    "regex": ("pattern",),
    "range": (),
    "unlimited": (),
}
"""The types of rules, and what a rule of each must have."""
SIZES = ("autoscale", "num_workers")


class Malformed(ValueError):
    """The definition is valid JSON and no policy."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `raw` is what the definition says."""

    path: str
    kind: str
    raw: Json

    @property
    def default(self) -> Any:
        """The value that is filled in on request; MISSING for none."""
        return self.raw.get("defaultValue", MISSING)


@lru_cache(maxsize=1024)
def parse(definition: str) -> tuple[Rule, ...]:
    """The rules of a definition. Raises Malformed."""
    try:
        content = json.loads(definition or "{}")
    except ValueError as error:
        raise Malformed(str(error)) from error
    if not isinstance(content, dict):
        raise Malformed("a definition is an object")
    return tuple(_rule(path, raw) for path, raw in content.items())


def _rule(path: str, raw: Any) -> Rule:
    head = path.partition(".")[0]
    if head not in cluster_config.ATTRIBUTES and path not in VIRTUAL:
        raise Malformed(f"{path} is no attribute of a cluster")
    if not isinstance(raw, dict) or raw.get("type") not in NEEDS:
        raise Malformed(f"{path} has no known type")
    if any(raw.get(name) is None for name in NEEDS[raw["type"]]):
        raise Malformed(f"{path} lacks {', '.join(NEEDS[raw['type']])}")
    if "values" in NEEDS[raw["type"]] and not isinstance(raw["values"], list):
        raise Malformed(f"the values of {path} are no list")
    if raw["type"] == "regex":
        try:
            re.compile(str(raw["pattern"]))
        except re.error as error:
            raise Malformed(f"the pattern of {path}: {error}") from error
    if raw["type"] == "range" and not all(isinstance(raw.get(n, 0), int | float) for n in ("minValue", "maxValue")):
        raise Malformed(f"the limits of {path} are no numbers")
    return Rule(path, raw["type"], raw)


def filled(spec: Json, rules: tuple[Rule, ...], defaults: bool) -> Json:
    """The configuration with the fixed values in the fields that it omits; on request with the default values too."""
    result = copy.deepcopy(spec)
    for rule in rules:
        if rule.kind == "fixed":
            _fill(result, rule.path, rule.raw["value"])
    for rule in rules if defaults else ():
        if rule.kind != "fixed" and rule.default is not MISSING:
            _fill(result, rule.path, rule.default)
    return result


def _fill(spec: Json, path: str, value: Any) -> None:
    head = path.partition(".")[0]
    if "*" in path or path in VIRTUAL or policy_paths.read(spec, path) is not MISSING:
        return
    if head in SIZES and any(name in spec for name in SIZES if name != head):
        return
    if head in cluster_config.NOT_WITH_POOL and spec.get("instance_pool_id"):
        return
    policy_paths.put(spec, path, copy.deepcopy(_meant(spec, path, value)))


def violations(spec: Json, rules: tuple[Rule, ...], kind: str) -> dict[str, str]:
    """What the rules refuse in a configuration: path and sentence. `kind` is all-purpose or job."""
    numbered = {rule.path for rule in rules}
    found: dict[str, str] = {}
    for rule in rules:
        for path in policy_paths.places(spec, rule.path, numbered):
            message = _refusal(spec, rule, path, kind)
            if message:
                found[path] = message
    return found


def _refusal(spec: Json, rule: Rule, path: str, kind: str) -> str:
    """Why a rule refuses what stands at a path; empty when it does not."""
    look = policy_paths.read if rule.kind == "forbidden" else policy_paths.effective
    value = kind if path == "cluster_type" else look(spec, path)
    if path.partition(".")[0] in cluster_config.NOT_WITH_POOL and spec.get("instance_pool_id"):
        return ""
    if value is MISSING:
        if rule.kind == "forbidden" or rule.raw.get("isOptional"):
            return ""
        head, _, rest = path.partition(".")
        if head in cluster_config.MAPS:
            return f"Validation failed for {head}, {rest} must be present"
        if head in SIZES and rule.kind != "fixed" and any(name in spec for name in SIZES):
            return ""
        return f"Validation failed for {path}, the value must be present"
    wrong = _wrong(spec, rule, path, value)
    return f'Validation failed for {path}, the value must {wrong} (is "{text(value)}")' if wrong else ""


def _wrong(spec: Json, rule: Rule, path: str, value: Any) -> str:
    """What the value must be or do; empty when it is right."""
    raw, given = rule.raw, _plain(path, value)
    if rule.kind == "fixed":
        meant = _meant(spec, path, raw["value"])
        return "" if given == _plain(path, meant) else f"be {text(meant)}"
    if rule.kind == "forbidden":
        return "not be present"
    if rule.kind in ("allowlist", "blocklist"):
        meant = [_meant(spec, path, one) for one in raw["values"]]
        listed = given in [_plain(path, one) for one in meant]
        if listed == (rule.kind == "allowlist"):
            return ""
        shown = f"one of [{', '.join(map(text, meant))}]"
        return f"be {shown}" if rule.kind == "allowlist" else f"not be {shown}"
    if rule.kind == "regex":
        return "" if re.fullmatch(str(raw["pattern"]), text(value)) else f"match the pattern {raw['pattern']}"
    if rule.kind == "range":
        return _outside(raw, value)
    return ""


def _outside(raw: Json, value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "be a number"
    if "minValue" in raw and number < raw["minValue"]:
        return f"be at least {raw['minValue']}"
    if "maxValue" in raw and number > raw["maxValue"]:
        return f"be at most {raw['maxValue']}"
    return ""


def repaired(spec: Json, rules: tuple[Rule, ...], kind: str) -> Json:
    """The configuration as enforcement makes it: fixed and default values in the place of what is refused.

    What can be put right by neither (a rule without a default) stays as it is: ask `violations` again.
    """
    result = filled(spec, rules, defaults=False)
    by_path = {rule.path: rule for rule in rules}
    numbered = set(by_path)
    for rule in rules:
        for path in reversed(policy_paths.places(result, rule.path, numbered)):
            if not _refusal(result, rule, path, kind) or path in VIRTUAL:
                continue
            if rule.kind == "forbidden":
                policy_paths.remove(result, path)
            elif rule.kind == "fixed" or rule.default is not MISSING:
                value = rule.raw["value"] if rule.kind == "fixed" else rule.default
                _make_room(result, path.partition(".")[0])
                policy_paths.put(result, path, copy.deepcopy(_meant(result, path, value)))
    return result


def _make_room(spec: Json, head: str) -> None:
    if head in SIZES:
        for other in SIZES:
            if other != head:
                spec.pop(other, None)


def changes(before: Json, after: Json) -> list[Json]:
    """What differs between two configurations, leaf by leaf, as the compliance API tells it."""
    old, new = _leaves(before), _leaves(after)
    found = []
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            change: Json = {"field": path}
            change.update({"previous_value": text(old[path])} if path in old else {})
            change.update({"new_value": text(new[path])} if path in new else {})
            found.append(change)
    return found


def _leaves(node: Any, path: str = "") -> dict[str, Any]:
    if isinstance(node, dict):
        steps = [(f"{path}.{key}" if path else str(key), value) for key, value in node.items()]
    elif isinstance(node, list):
        steps = [(f"{path}.{index}", value) for index, value in enumerate(node)]
    else:
        return {path: node}
    return {name: leaf for step, value in steps for name, leaf in _leaves(value, step).items()}


def text(value: Any) -> str:
    """A value as messages show it: true, 4, i3.xlarge."""
    return json.dumps(value) if isinstance(value, bool | list | dict) else str(value)


def _plain(path: str, value: Any) -> str:
    """A value as it is compared: numbers and words alike, and both names of an access mode the same."""
    return cluster_config.canonical_mode(text(value)) if path == "data_security_mode" else text(value)


def _meant(spec: Json, path: str, value: Any) -> Any:
    """The value that a rule names; the special values for runtimes stand for the key that they mean now."""
    if path == "spark_version" and isinstance(value, str):
        try:
            return versions.resolve(value, versions.has_gpu(spec.get("node_type_id")))
        except ValueError:
            return value
    return value
