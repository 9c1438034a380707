"""The named parameters of a statement: values as text, each with a type."""

from __future__ import annotations

import re
from typing import Any

TYPES = ("STRING", "INT", "BIGINT", "SMALLINT", "TINYINT", "DOUBLE", "FLOAT", "BOOLEAN", "DATE", "TIMESTAMP", "VOID")


def parameters_of(given: Any) -> dict[str, tuple[str | None, str]]:
    """The `parameters` of a request as `bind` takes them. Raises ValueError with a sentence."""
    found: dict[str, tuple[str | None, str]] = {}
    for entry in given or []:
        if not isinstance(entry, dict) or not entry.get("name"):
            raise ValueError("Parameters must be named: positional parameters are not supported.")
        kind = str(entry.get("type") or "STRING").upper()
        if kind not in TYPES and not re.fullmatch(r"DECIMAL(\(\s*\d+\s*(,\s*\d+\s*)?\))?", kind):
            raise ValueError(f"Unsupported type for parameter {entry['name']}: {kind}")
        value = entry.get("value")
        if value is not None and not isinstance(value, str):
            raise ValueError(f"The value of parameter {entry['name']} must be a string.")
        if entry["name"] in found:
            raise ValueError(f"Duplicate parameter: {entry['name']}")
        found[str(entry["name"])] = (value, kind)
    return found
