"""Fleets: what stands in the workspaces of the local Databricks at first start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.fleets.large import generate
from sandbox.fleets.short_form import expand

HERE = Path(__file__).resolve().parent


def load(fleet: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """An expanded fleet: of `sample`, `large`, `large:N` (N targets), `large:JOBS+CLUSTERS`, of a YAML file, or of such
    a file's content.

    Expanded means {"seed", "workspaces": {key: {"clusters": [{"id", "spec", "owner", "state", ...}], "jobs": [{"id",
    "settings", "habit", "owner", ...}], "policies", "pools"}}}. Raises ValueError with a sentence if it cannot be read.
    """
    if isinstance(fleet, Mapping):
        return expand(fleet)
    name = str(fleet)
    if name == "large" or name.startswith("large:"):
        said = re.fullmatch(r"large(?::([1-9]\d*)(?:\+(\d+))?)?", name)
        if said is None:
            raise ValueError(f"'{name}': expected large:N with the number of targets, or large:JOBS+CLUSTERS")
        count, clusters = int(said[1] or 2000), said[2]
        if clusters is None:
            return generate(count)
        return generate(count + int(clusters), part=int(clusters) / (count + int(clusters)))
    path = HERE / "sample.yml" if name == "sample" else Path(name)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read the fleet {path}: {error}") from error
    if not isinstance(content, Mapping) or "workspaces" not in content:
        raise ValueError(f"the fleet {path} has no workspaces")
    return expand(content)


def sample() -> dict[str, Any]:
    """The sample fleet, expanded."""
    return load("sample")


__all__ = ["expand", "generate", "load", "sample"]
