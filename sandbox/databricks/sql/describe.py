"""Statements that tell about tables: DESCRIBE and SHOW."""

from __future__ import annotations

import fnmatch

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import privileges
from sandbox.databricks.sql.errors import no_catalog, no_schema, not_modelled
from sandbox.databricks.sql.grammar import Words
from sandbox.databricks.sql.session import Session
from sandbox.databricks.sql.types import text_of
from sandbox.databricks.sql.versions import earliest, written

MAP: Json = {"type": "map", "keyType": "string", "valueType": "string", "valueContainsNull": True}
LIST: Json = {"type": "array", "elementType": "string", "containsNull": True}


def _struct(*names: str) -> Json:
    return {
        "type": "struct",
        "fields": [{"name": name, "type": "string", "nullable": True, "metadata": {}} for name in names],
    }


JOB = ("jobId", "jobName", "jobRunId", "runId", "jobOwnerId", "triggerType")
HISTORY: Json = {
    "version": "long",
    "timestamp": "timestamp",
    "userId": "string",
    "userName": "string",
    "operation": "string",
    "operationParameters": MAP,
    "job": _struct(*JOB),
    "notebook": _struct("notebookId"),
    "clusterId": "string",
    "readVersion": "long",
    "isolationLevel": "string",
    "isBlindAppend": "boolean",
    "operationMetrics": MAP,
    "userMetadata": "string",
    "engineInfo": "string",
}
DETAIL: Json = {
    "format": "string",
    "id": "string",
    "name": "string",
    "description": "string",
    "location": "string",
    "createdAt": "timestamp",
    "lastModified": "timestamp",
    "partitionColumns": LIST,
    "clusteringColumns": LIST,
    "numFiles": "long",
    "sizeInBytes": "long",
    "properties": MAP,
    "minReaderVersion": "integer",
    "minWriterVersion": "integer",
    "tableFeatures": LIST,
    "statistics": MAP,
}


def history(session: Session, name: list[str], limit: int | None) -> Json:
    """DESCRIBE HISTORY, newest first; what the log's retention has taken is not told."""
    table, log = session.delta(name, "DESCRIBE HISTORY")
    first = earliest(table, log, session.now)
    rows: list[list[object]] = []
    for version in range(log.latest, first - 1, -1):
        if limit is not None and len(rows) >= limit:
            break
        info = {**log.info(version), "version": version, "timestamp": _iso(log.at(version))}
        if "job" in info:
            info["job"] = {part: info["job"].get(part) for part in JOB}
        rows.append([info.get(column) for column in HISTORY])
    return {"columns": HISTORY, "rows": rows}


def detail(session: Session, name: list[str]) -> Json:
    """DESCRIBE DETAIL."""
    table, log = session.delta(name, "DESCRIBE DETAIL")
    state = log.state()
    row = [
        "delta",
        state.metadata["id"],
        table.name,
        table.comment or None,
        table.location,
        _iso(table.created),
        _iso(state.at),
        state.metadata["partitionColumns"],
        [],
        len(state.files),
        state.size,
        state.properties,
        state.protocol["minReaderVersion"],
        state.protocol["minWriterVersion"],
        state.features,
        {},
    ]
    return {"columns": DETAIL, "rows": [row]}


def describe(session: Session, name: list[str], extended: bool) -> Json:
    """DESCRIBE TABLE: columns, and with EXTENDED what else the register knows."""
    table = session.table(name)
    if not table.is_view:
        table, _ = session.fresh(table)
    rows: list[list[str | None]] = [
        [column["name"], text_of(column["type"]).lower(), (column.get("metadata") or {}).get("comment")]
        for column in table.columns
    ]
    if table.partitions:
        kinds = {column["name"]: text_of(column["type"]).lower() for column in table.columns}
        rows += [["# Partition Information", "", ""], ["# col_name", "data_type", "comment"]]
        rows += [[column, kinds[column], None] for column in table.partitions]
    if extended:
        catalog, schema, last = table.parts
        known = {
            "Catalog": catalog,
            "Database": schema,
            "Table": last,
            "Owner": table.owner,
            "Type": table.kind,
            "Location": table.location,
            "Provider": "" if table.is_view else "delta",
            "View Text": table.text,
            "Table Properties": f"[{','.join(f'{k}={v}' for k, v in table.properties.items())}]",
        }
        rows += [["", "", ""], ["# Detailed Table Information", "", ""]]
        rows += [[key, value, ""] for key, value in known.items() if value]
    return {"columns": {"col_name": "string", "data_type": "string", "comment": "string"}, "rows": rows}


def properties(session: Session, name: list[str], key: str | None) -> Json:
    """SHOW TBLPROPERTIES."""
    table, log = session.delta(name, "SHOW TBLPROPERTIES")
    state = log.state()
    known = {
        **state.properties,
        "delta.minReaderVersion": str(state.protocol["minReaderVersion"]),
        "delta.minWriterVersion": str(state.protocol["minWriterVersion"]),
    }
    if state.protocol["minWriterVersion"] >= 7:
        known |= {f"delta.feature.{feature}": "supported" for feature in state.features}
    rows = [[name, value] for name, value in sorted(known.items())]
    if key is not None:
        rows = [[key, known.get(key, f"Table {table.name} does not have property: {key}")]]
    return {"columns": {"key": "string", "value": "string"}, "rows": rows}


def show(session: Session, words: Words) -> Json:
    """What follows SHOW."""
    if words.take("TBLPROPERTIES"):
        name, key = words.name(), None
        if words.take("("):
            key = words.key()
            words.need(")")
        words.end()
        return properties(session, name, key)
    if words.take("TABLES"):
        return _tables(session, words)
    if words.take("SCHEMAS") or words.take("DATABASES"):
        catalog = words.name()[-1].lower() if words.take("IN") or words.take("FROM") else session.catalog
        words.end()
        if catalog not in session.catalogs:
            raise no_catalog(catalog)
        found = sorted(name.split(".")[1] for name in session.lake.schemas if name.split(".")[0] == catalog)
        return {"columns": {"databaseName": "string"}, "rows": [[name] for name in found]}
    if words.take("CATALOGS"):
        words.end()
        return {"columns": {"catalog": "string"}, "rows": [[name] for name in sorted(session.catalogs)]}
    if words.take("GRANTS"):
        return _grants(session, words)
    raise not_modelled(f"SHOW {words.rest()}")


def _tables(session: Session, words: Words) -> Json:
    parts = words.name() if words.take("IN") or words.take("FROM") else [session.schema]
    catalog, schema = [part.lower() for part in [session.catalog, *parts][-2:]]
    words.take("LIKE")
    pattern = words.next("STRING") if words.place < len(words.tokens) else "*"
    words.end()
    session.place(catalog, schema)
    if f"{catalog}.{schema}" not in session.lake.schemas:
        raise no_schema([catalog, schema])
    found = [table.parts[2] for table in session.lake.tables.values() if table.parts[:2] == [catalog, schema]]
    rows = [[schema, name, False] for name in sorted(found) if fnmatch.fnmatchcase(name, pattern.lower())]
    return {"columns": {"database": "string", "tableName": "string", "isTemporary": "boolean"}, "rows": rows}


def _grants(session: Session, words: Words) -> Json:
    principal = None
    if not words.take("ON"):
        principal = words.next()
        words.need("ON")
    kind = next((word for word in ("TABLE", "VIEW", "SCHEMA", "CATALOG") if words.take(word)), "TABLE")
    parts = words.name()
    words.end()
    if kind in ("TABLE", "VIEW"):
        kind, name = "TABLE", session.table(parts).name
    else:
        name = ".".join(part.lower() for part in parts)
        if name not in (session.catalogs if kind == "CATALOG" else session.lake.schemas):
            raise no_catalog(name) if kind == "CATALOG" else no_schema(parts)
    rows = [
        [who, privilege.replace("_", " "), place, key]
        for who, privilege, place, key in privileges.effective(session.grants, kind, name)
        if principal in (None, who)
    ]
    columns = dict.fromkeys(("Principal", "ActionType", "ObjectType", "ObjectKey"), "string")
    return {"columns": columns, "rows": rows}


def _iso(at: int) -> str:
    return written(at).replace(" ", "T") + "Z"
