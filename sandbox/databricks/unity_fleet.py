"""What a fleet says about warehouses, catalogs, tables and credentials; explained in sample.yml."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping
from typing import Any

from sandbox.databricks import acl
from sandbox.databricks.errors import Json
from sandbox.databricks.model import draw
from sandbox.databricks.sql.types import delta_of
from sandbox.databricks.unity import METASTORE
from sandbox.databricks.workspace import Workspace

DAY = 86_400_000
TABLE_HABITS = ("rows", "grows", "mode", "newer", "slow", "optimized", "features")
OWNER = "data-platform@example.com"


def furnish(ws: Workspace, content: Mapping[str, Any], now: int) -> None:
    """Put it on the shelves. Raises ValueError naming what cannot be understood."""
    for raw in content.get("warehouses", []):
        _warehouse(ws, dict(raw), now)
    for raw in content.get("catalogs", []):
        _catalog(ws, dict(raw), now)
    for raw in content.get("tables", []):
        _table(ws, dict(raw), now)
    for raw in content.get("credentials", []):
        _credential(ws, dict(raw), now)
    for raw in content.get("external_locations", []):
        entry = dict(raw)
        name = str(entry.pop("name"))
        _grant(ws, "EXTERNAL_LOCATION", name, entry.pop("grants", {}))
        made = {"created_at": now - 300 * DAY, "owner": OWNER, "read_only": False}
        ws.shelf("external_locations")[name] = {**made, **entry}
    _grant(ws, "METASTORE", METASTORE, content.get("metastore_grants", {}))


def identity(ws: Workspace, kind: str, name: str) -> str:
    """An id that is the same in every sandbox."""
    return str(uuid.UUID(int=draw("unity", ws.key, kind, name).getrandbits(128), version=4))


def _warehouse(ws: Workspace, raw: Json, now: int) -> None:
    name = str(raw.pop("name"))
    place = str(raw.pop("id", f"{zlib.crc32(f'{ws.key}/{name}'.encode()):08x}{zlib.crc32(name.encode()):08x}"))
    rights: Json = {field: raw.pop(field) for field in ("permission", "acl") if field in raw}
    entry = {
        "id": place,
        "name": name,
        "size": "Small",
        "state": "RUNNING",
        "auto_stop_mins": 0,
        "serverless": True,
        "slow": 0,
        "owner": OWNER,
        "until": 0,
        "used": now,
    }
    _only(name, raw, entry)
    ws.shelf("warehouses")[place] = {**entry, **raw}
    acl.grant(ws, "warehouses", place, rights)


def _catalog(ws: Workspace, raw: Json, now: int) -> None:
    name = str(raw.pop("name"))
    entry = {"owner": raw.pop("owner", OWNER), "comment": raw.pop("comment", ""), "created_at": now - 400 * DAY}
    ws.shelf("catalogs")[name] = entry
    _grant(ws, "CATALOG", name, raw.pop("grants", {}))
    for schema, inner in {"default": {}, **raw.pop("schemas", {})}.items():
        full, more = f"{name}.{schema}", dict(inner or {})
        _grant(ws, "SCHEMA", full, more.pop("grants", {}))
        ws.shelf("schemas")[full] = {"owner": more.pop("owner", entry["owner"]), "created_at": now - 390 * DAY}
        _only(full, more, ())
    _only(name, raw, ())


def _table(ws: Workspace, raw: Json, now: int) -> None:
    name = str(raw.pop("name"))
    if name.count(".") < 2 or ".".join(name.split(".")[:2]) not in ws.shelf("schemas"):
        raise ValueError(f"{name}: the fleet has no such schema in {ws.key}")
    created = now - int(float(raw.pop("age_days", 20)) * DAY)
    _grant(ws, "TABLE", name, raw.pop("grants", {}))
    place = identity(ws, "table", name)
    text = raw.pop("view", "")
    columns = [
        {
            "name": column,
            "type": delta_of(str(kind).removesuffix(" NOT NULL")),
            "nullable": not str(kind).endswith("NOT NULL"),
            "metadata": {},
        }
        for column, kind in raw.pop("columns", {}).items()
    ]
    entry = {
        "name": name,
        "id": place,
        "kind": "VIEW" if text else str(raw.pop("type", "MANAGED")),
        "owner": str(raw.pop("owner", OWNER)),
        "created": created,
        "updated": created,
        "location": ""
        if text
        else str(raw.pop("location", f"s3://unity-{name.split('.')[0]}/__unitystorage/tables/{place}")),
        "text": text,
        "comment": str(raw.pop("comment", "")),
        "columns": columns,
        "partitions": list(raw.pop("partitioned_by", [])),
        "properties": {key: str(value) for key, value in raw.pop("properties", {}).items()},
        "habit": {habit: raw.pop(habit) for habit in TABLE_HABITS if habit in raw},
    }
    _only(name, raw, ())
    ws.shelf("tables")[name] = entry


def _credential(ws: Workspace, raw: Json, now: int) -> None:
    name = str(raw.pop("name"))
    purpose = str(raw.pop("purpose", "STORAGE"))
    _grant(ws, "STORAGE_CREDENTIAL" if purpose == "STORAGE" else "CREDENTIAL", name, raw.pop("grants", {}))
    entry = {
        "name": name,
        "id": identity(ws, "credential", name),
        "purpose": purpose,
        "role": f"arn:aws:iam::123456789012:role/{name}",
        "results": {},
        "read_only": False,
        "owner": OWNER,
        "created_at": now - 350 * DAY,
    }
    _only(name, raw, entry)
    ws.shelf("credentials")[name] = {**entry, **raw}


def _grant(ws: Workspace, kind: str, name: str, grants: Mapping[str, Any]) -> None:
    """`bot` stands for the bot's own service principal."""
    if grants:
        found = {ws.client_id if who == "bot" else who: list(what) for who, what in grants.items()}
        ws.shelf("grants")[f"{kind} {name}"] = found


def _only(name: str, raw: Json, known: Any) -> None:
    unknown = [key for key in raw if key not in known]
    if unknown:
        raise ValueError(f"{name}: unknown fields {', '.join(unknown)}")
