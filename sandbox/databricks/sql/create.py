"""Statements that make and drop tables, views and schemas."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence

from arro3.core import Table as Rows
from sqlglot import exp

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import commit, engine, queries
from sandbox.databricks.sql.errors import SqlError, exists, no_table, not_modelled, only_tables, quoted
from sandbox.databricks.sql.lake import Table
from sandbox.databricks.sql.log import removal
from sandbox.databricks.sql.session import Session
from sandbox.databricks.sql.types import delta_of


def entry(session: Session, name: str, kind: str = "MANAGED", location: str = "", comment: str = "") -> Table:
    """A new table of the user, not registered yet."""
    identity = str(uuid.uuid4())
    place = location or f"s3://unity-{name.split('.', maxsplit=1)[0]}/__unitystorage/tables/{identity}"
    return Table(name, identity, kind, session.user, session.now, session.now, place, comment=comment)


def create(session: Session, tree: exp.Create) -> int | None:
    """CREATE TABLE, with columns or AS SELECT; CREATE VIEW; CREATE SCHEMA. Returns the number of rows, if any."""
    kind = str(tree.args.get("kind") or "").upper()
    if kind == "SCHEMA":
        _create_schema(session, tree)
        return None
    if kind not in ("TABLE", "VIEW") or tree.find(exp.TemporaryProperty, exp.MaterializedProperty):
        raise not_modelled(f"CREATE {'TEMPORARY ' if kind in ('TABLE', 'VIEW') else ''}{kind}")
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    parts = [part.name for part in target.parts]
    name = session.creating(parts)
    old = session.find(parts)
    if old is not None and tree.args.get("exists"):
        return None
    if old is not None and not tree.args.get("replace"):
        raise exists(old.parts)
    if kind == "VIEW":
        _create_view(session, tree, name, old)
        return None
    options = _options(tree)
    rows = None
    if tree.expression is not None and not isinstance(tree.expression, exp.Null):
        if not isinstance(tree.expression, exp.Query):
            raise not_modelled("a table made like this")
        if isinstance(tree.this, exp.Schema) and tree.this.expressions:
            raise SqlError(
                "_LEGACY_ERROR_TEMP_0037",
                "Schema may not be specified in a Create Table As Select (CTAS) statement.",
                "0A000",
            )
        rows = queries.select(session, tree.expression)
        columns = engine.columns_of(rows)
    else:
        columns = _columns(tree, options["properties"])
    _check_partitions(columns, options["partitions"])
    info = "CREATE OR REPLACE TABLE" if tree.args.get("replace") else "CREATE TABLE"
    return put(session, name, old, columns, options, rows, f"{info}{' AS SELECT' if rows is not None else ''}")


def put(
    session: Session,
    name: str,
    old: Table | None,
    columns: list[Json],
    options: Json,
    rows: Rows | None,
    operation: str,
) -> int | None:
    """Make or replace a table: a replaced one keeps its history."""
    if old is not None and old.is_view:
        raise only_tables("CREATE OR REPLACE TABLE", old.parts, old.kind)
    lake, now = session.lake, session.now
    properties, partitions = options["properties"], tuple(options["partitions"])
    kind = "EXTERNAL" if options["location"] else "MANAGED"
    table = old or entry(session, name, kind, options["location"], options["comment"])
    removed: list[Json] = []
    features: Sequence[str] = ()
    if old is not None:
        session.owning(old)
        table, log = session.fresh(old)
        state = log.state()
        features, removed = state.features, [removal(file, now) for file in state.files.values()]
    log = lake.log(table)
    actions: list[Json] = [
        commit.required(properties, columns, features),
        commit.described(table, columns, partitions, properties, now),
        *removed,
    ]
    metrics = {}
    if rows is not None:
        files = engine.store(lake, lake.folder(table), rows, partitions)
        actions += [{"add": {**file, "modificationTime": now}} for file in files]
        metrics = {
            "numFiles": len(files),
            "numOutputRows": rows.num_rows,
            "numOutputBytes": sum(f["size"] for f in files),
        }
    parameters = {
        "partitionBy": list(partitions),
        "description": options["comment"] or None,
        "isManaged": str(kind == "MANAGED").lower(),
        "properties": properties,
    }
    info = commit.told(
        operation, parameters, session.user, log.latest if old else None, metrics, blind=rows is not None
    )
    commit.write(lake, table, log, now, info, actions)
    return rows.num_rows if rows is not None else None


def _create_schema(session: Session, tree: exp.Create) -> None:
    parts = [part.name.lower() for part in tree.this.parts]
    catalog, schema = ([session.catalog, *parts])[-2:]
    if catalog not in session.catalogs:
        raise SqlError("NO_SUCH_CATALOG_EXCEPTION", f"Catalog '{catalog}' was not found.", "42704")
    session.allowed("USE_CATALOG", "CATALOG", catalog)
    session.allowed("CREATE_SCHEMA", "CATALOG", catalog)
    name = f"{catalog}.{schema}"
    if name in session.lake.schemas:
        if tree.args.get("exists"):
            return
        raise SqlError(
            "SCHEMA_ALREADY_EXISTS",
            f"Cannot create schema {quoted([catalog, schema])} because it already exists. Choose a different name, "
            "drop the existing schema, or add the IF NOT EXISTS clause to tolerate pre-existing schema.",
            "42P06",
        )
    session.lake.put_schema(name, {"owner": session.user, "created_at": session.now})


def _create_view(session: Session, tree: exp.Create, name: str, old: Table | None) -> None:
    if old is not None and not old.is_view:
        raise SqlError(
            "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE",
            f"'CREATE OR REPLACE VIEW' expects a view but {quoted(old.parts)} is a table.",
            "42809",
        )
    columns = engine.columns_of(queries.select(session, tree.expression))
    view = old or entry(session, name, "VIEW")
    text = tree.expression.sql(dialect="databricks")
    session.lake.put(dataclasses.replace(view, location="", text=text, columns=tuple(columns), updated=session.now))


def _options(tree: exp.Create) -> Json:
    """PARTITIONED BY, TBLPROPERTIES, LOCATION, COMMENT; others are not modelled."""
    found: Json = {"properties": {}, "partitions": [], "location": "", "comment": ""}
    for option in (tree.args.get("properties") or exp.Properties()).expressions:
        if isinstance(option, exp.PartitionedByProperty):
            found["partitions"] = [part.name for part in option.this.expressions]
        elif isinstance(option, exp.LocationProperty):
            found["location"] = option.this.name
        elif isinstance(option, exp.SchemaCommentProperty):
            found["comment"] = option.this.name
        elif isinstance(option, exp.FileFormatProperty):
            if option.name.upper() != "DELTA":
                raise not_modelled(f"tables USING {option.name}")
        elif type(option) is exp.Property:
            found["properties"][option.name] = option.args["value"].name
        else:
            raise not_modelled(option.sql(dialect="databricks").split("(")[0].strip())
    return found


def _columns(tree: exp.Create, properties: dict[str, str]) -> list[Json]:
    """The columns of a CREATE TABLE; its constraints go to the properties."""
    found: list[Json] = []
    for part in tree.this.expressions if isinstance(tree.this, exp.Schema) else []:
        if isinstance(part, exp.ColumnDef):
            column: Json = {
                "name": part.name,
                "type": delta_of(part.args["kind"].sql("databricks")),
                "nullable": True,
                "metadata": {},
            }
            for constraint in part.constraints:
                if isinstance(constraint.kind, exp.NotNullColumnConstraint):
                    column["nullable"] = bool(constraint.kind.args.get("allow_null"))
                elif isinstance(constraint.kind, exp.CommentColumnConstraint):
                    column["metadata"] = {"comment": constraint.kind.this.name}
                else:
                    raise not_modelled(f"a column with {constraint.sql('databricks')}")
            found.append(column)
        elif isinstance(part, exp.Constraint) and isinstance(part.expressions[0], exp.CheckColumnConstraint):
            properties[f"delta.constraints.{part.name.lower()}"] = part.expressions[0].this.sql("databricks")
        else:
            raise not_modelled(f"a table with {part.sql('databricks')}")
    return found


def _check_partitions(columns: list[Json], partitions: list[str]) -> None:
    names = [column["name"].lower() for column in columns]
    for name in partitions:
        if name.lower() not in names:
            raise SqlError(
                "COLUMN_NOT_DEFINED_IN_TABLE", f"PARTITION column {quoted([name])} is not defined in table.", "42703"
            )
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise SqlError(
            "COLUMN_ALREADY_EXISTS",
            f"The column {quoted([double])} already exists. Choose another name or rename the existing column.",
            "42711",
        )


def drop(session: Session, tree: exp.Drop) -> None:
    """DROP TABLE and DROP VIEW."""
    kind = str(tree.args.get("kind") or "").upper()
    if kind not in ("TABLE", "VIEW"):
        raise not_modelled(f"DROP {kind}")
    if len(tree.args["tables"]) != 1:
        raise not_modelled("DROP of several things")
    parts = [part.name for part in tree.args["tables"][0].parts]
    table = session.find(parts)
    if table is None:
        if tree.args.get("exists"):
            return
        raise no_table(session.full(parts))
    session.owning(table)
    if table.is_view and kind == "TABLE":
        raise SqlError(
            "EXPECT_TABLE_NOT_VIEW.USE_DROP_VIEW",
            f"'DROP TABLE' expects a table but {quoted(table.parts)} is a view. Please use DROP VIEW instead.",
            "42809",
        )
    if not table.is_view and kind == "VIEW":
        raise SqlError(
            "EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE",
            f"'DROP VIEW' expects a view but {quoted(table.parts)} is a table.",
            "42809",
        )
    session.lake.drop(table)
