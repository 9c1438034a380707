"""Types and values as the statement API shows them: every value a string or null."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, date, datetime
from typing import Any

from sandbox.databricks.errors import Json
from sandbox.databricks.sql.errors import not_modelled

NAMES = {
    "byte": ("BYTE", "TINYINT"),
    "short": ("SHORT", "SMALLINT"),
    "integer": ("INT", "INT"),
    "long": ("LONG", "BIGINT"),
    "float": ("FLOAT", "FLOAT"),
    "double": ("DOUBLE", "DOUBLE"),
    "string": ("STRING", "STRING"),
    "boolean": ("BOOLEAN", "BOOLEAN"),
    "binary": ("BINARY", "BINARY"),
    "date": ("DATE", "DATE"),
    "timestamp": ("TIMESTAMP", "TIMESTAMP"),
    "timestamp_ntz": ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
    "void": ("NULL", "VOID"),
}
"""Delta's name of a type, then what `type_name` and `type_text` say."""
DELTA = {text: name for name, (_, text) in NAMES.items()} | {"INTEGER": "integer", "LONG": "long", "REAL": "float"}


def text_of(kind: Any) -> str:
    """A Delta type as SQL writes it: BIGINT, DECIMAL(10,2), ARRAY<STRING>."""
    if isinstance(kind, str):
        return NAMES[kind][1] if kind in NAMES else kind.upper()
    if kind["type"] == "array":
        return f"ARRAY<{text_of(kind['elementType'])}>"
    if kind["type"] == "map":
        return f"MAP<{text_of(kind['keyType'])}, {text_of(kind['valueType'])}>"
    inner = ", ".join(f"{part['name']}: {text_of(part['type'])}" for part in kind["fields"])
    return f"STRUCT<{inner}>"


def delta_of(text: str) -> str:
    """The Delta type of a simple SQL type. Raises SqlError for others."""
    wanted = re.sub(r"\s+", "", text.upper())
    if wanted.startswith(("DECIMAL", "NUMERIC")):
        inner = re.fullmatch(r"\w+(?:\((\d+)(?:,(\d+))?\))?", wanted)
        if inner:
            return f"decimal({inner[1] or 10},{inner[2] or 0})"
    if wanted.startswith(("VARCHAR(", "CHAR(")):
        return "string"
    if wanted not in DELTA:
        raise not_modelled(f"columns of the type {text}")
    return DELTA[wanted]


def described(column: Json, position: int) -> Json:
    """A column as `manifest.schema.columns` and the columns of a table show it."""
    kind = column["type"]
    found: Json = {"name": column["name"], "type_text": text_of(kind), "position": position}
    if isinstance(kind, dict):
        found["type_name"] = kind["type"].upper()
    elif kind.startswith("decimal"):
        precision, scale = re.findall(r"\d+", kind)
        found.update(type_name="DECIMAL", type_precision=int(precision), type_scale=int(scale))
    else:
        found["type_name"] = NAMES[kind][0]
    return found


def shown(value: Any) -> str | None:
    """One value of a result."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return f"{naive.isoformat(timespec='milliseconds')}{'Z' if value.tzinfo else ''}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, dict)):
        return json.dumps(_plain(value), separators=(",", ":"))
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, (bool, int, str)) else shown(value)
