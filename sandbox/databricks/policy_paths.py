"""Attribute paths of policy definitions: how a rule finds what it is about in a cluster configuration.

A path names an attribute, with dots for nested ones. Behind a map (`spark_conf.spark.speculation`) everything after the
first dot is one key; behind a list a number names one entry and `*` every entry that no other rule numbers.
"""

from __future__ import annotations

from typing import Any

from sandbox.databricks.cluster_config import MAPS
from sandbox.databricks.errors import Json

MISSING = object()
"""What is read where the configuration says nothing."""
LISTS = ("init_scripts", "ssh_public_keys")
LOGS = "cluster_log_conf"
STANDS_IN = {"driver_node_type_id": "node_type_id", "driver_instance_pool_id": "instance_pool_id"}
"""What counts where an attribute is not given."""


def keys(path: str) -> list[str]:
    """The steps of a path."""
    head, _, rest = path.partition(".")
    return [head, rest] if head in MAPS and rest else path.split(".")


def places(spec: Json, path: str, numbered: set[str]) -> list[str]:
    """The paths without `*` that a path stands for. `numbered` are the paths that other rules name."""
    head, star, rest = path.partition(".*")
    if not star or head not in LISTS:
        return [path]
    found = [f"{head}.{index}{rest}" for index in range(len(spec.get(head) or []))]
    return [place for place in found if place not in numbered]


def read(spec: Json, path: str) -> Any:
    """What the configuration says at a path (without `*`); MISSING where it says nothing."""
    if path.startswith(f"{LOGS}."):
        return _read_logs(spec.get(LOGS) or {}, path.partition(".")[2])
    node: Any = spec
    for key in keys(path):
        if isinstance(node, list):
            node = node[int(key)] if key.isdigit() and int(key) < len(node) else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
        if node is None:
            return MISSING
    return node


def effective(spec: Json, path: str) -> Any:
    """As `read`, and where nothing is said, what counts instead."""
    found = read(spec, path)
    return read(spec, STANDS_IN[path]) if found is MISSING and path in STANDS_IN else found


def put(spec: Json, path: str, value: Any) -> None:
    """Let the configuration say this at a path (without `*`), making the objects on the way there."""
    if path.startswith(f"{LOGS}."):
        _put_logs(spec.setdefault(LOGS, {}), path.partition(".")[2], value)
        return
    steps = keys(path)
    node: Any = spec
    for key, following in zip(steps, [*steps[1:], ""], strict=True):
        fresh: Any = value if not following else ([] if key in LISTS else {})
        if isinstance(node, list):
            while len(node) <= int(key):
                node.append({})
            if not following:
                node[int(key)] = value
            node = node[int(key)]
        elif following:
            node = node.setdefault(key, fresh)
        else:
            node[key] = value


def remove(spec: Json, path: str) -> None:
    """Let the configuration say nothing at a path; of a list the whole entry goes."""
    steps = keys(path)
    if steps[0] in LISTS and len(steps) > 1:
        del spec[steps[0]][int(steps[1])]
        if not spec[steps[0]]:
            del spec[steps[0]]
        return
    if steps[0] == LOGS:
        spec.pop(LOGS, None)
        return
    node: Any = spec
    for key in steps[:-1]:
        node = node.get(key) or {}
    node.pop(steps[-1], None)


def _read_logs(conf: Json, name: str) -> Any:
    """`type` and `path` are virtual: the real object is {"dbfs": {"destination": ...}}."""
    kind = next(iter(conf), None)
    if kind is None:
        return MISSING
    found = kind.upper() if name == "type" else conf[kind].get("destination" if name == "path" else name)
    return MISSING if found is None else found


def _put_logs(conf: Json, name: str, value: Any) -> None:
    kind = next(iter(conf), "dbfs")
    inner = conf.pop(kind, {})
    if name == "type":
        kind = str(value).lower()
    else:
        inner["destination" if name == "path" else name] = value
    conf[kind] = inner
