"""A new version of a table: what its commit says, and what the register then knows."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.databricks.errors import Json
from sandbox.databricks.sql.lake import Lake, Table
from sandbox.databricks.sql.log import Log, protocol

WAREHOUSE = "Databricks-Runtime/18.x-photon-scala2.13"
"""The engine of a warehouse: its version has nothing to do with that of any cluster."""

FEATURES = {
    "delta.enableChangeDataFeed": "changeDataFeed",
    "delta.enableDeletionVectors": "deletionVectors",
    "delta.enableRowTracking": "rowTracking",
    "delta.enableTypeWidening": "typeWidening",
    "delta.enableInCommitTimestamps": "inCommitTimestamp",
    "delta.appendOnly": "appendOnly",
}
"""Properties that need a table feature, once they are true."""


def told(
    operation: str,
    parameters: Mapping[str, Any],
    user: str,
    read: int | None,
    metrics: Mapping[str, int] | None = None,
    engine: str = WAREHOUSE,
    job: Json | None = None,
    blind: bool = False,
) -> Json:
    """What DESCRIBE HISTORY will tell of a commit. `read` is the version that it was based on."""
    info: Json = {
        "userName": user,
        "operation": operation,
        "operationParameters": {
            name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            for name, value in parameters.items()
            if value is not None
        },
        "isolationLevel": "WriteSerializable",
        "isBlindAppend": blind,
        "operationMetrics": {name: str(value) for name, value in (metrics or {}).items()},
        "engineInfo": engine,
        "txnId": str(uuid.uuid4()),
    }
    if read is not None and read >= 0:
        info["readVersion"] = read
    if job is not None:
        info["job"] = job
    return info


def write(lake: Lake, table: Table, log: Log, at: int, info: Json, actions: Iterable[Json]) -> Table:
    """Commit, and register what the table now looks like."""
    log.commit(at, info, actions)
    return register(lake, table, log)


def register(lake: Lake, table: Table, log: Log) -> Table:
    """Let the register know what the newest version of a table looks like."""
    state = log.state()
    return lake.put(
        dataclasses.replace(
            table,
            updated=state.at,
            columns=tuple(state.columns),
            partitions=tuple(state.metadata["partitionColumns"]),
            properties=dict(state.properties),
        )
    )


def described(
    table: Table, columns: Iterable[Json], partitions: Iterable[str], properties: Mapping[str, str], at: int
) -> Json:
    """The action that says what a table looks like."""
    return {
        "metaData": {
            "id": str(uuid.uuid5(uuid.UUID(table.id), str(at))),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": list(columns)}, separators=(",", ":")),
            "partitionColumns": list(partitions),
            "configuration": dict(properties),
            "createdTime": at,
            **({"description": table.comment} if table.comment else {}),
        }
    }


def needed(properties: Mapping[str, str], columns: Iterable[Json], present: Iterable[str] = ()) -> list[str]:
    """The features that a table must have: those that are there, and those of its properties and types."""
    found = {"appendOnly", "invariants", *present}
    found |= {feature for name, feature in FEATURES.items() if properties.get(name, "").lower() == "true"}
    found |= {name.removeprefix("delta.feature.") for name in properties if name.startswith("delta.feature.")}
    if any(name.startswith("delta.constraints.") for name in properties):
        found.add("checkConstraints")
    if properties.get("delta.columnMapping.mode", "none") != "none":
        found.add("columnMapping")
    if any("timestamp_ntz" in json.dumps(column["type"]) for column in columns):
        found.add("timestampNtz")
    if "rowTracking" in found:
        found.add("domainMetadata")
    return sorted(found)


def required(properties: Mapping[str, str], columns: Iterable[Json], present: Iterable[str] = ()) -> Json:
    """The protocol action for the features that a table must have."""
    return {"protocol": protocol(needed(properties, columns, present))}
