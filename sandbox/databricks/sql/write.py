"""Statements that make tables and write rows."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence

from arro3.core import Table as Rows
from sqlglot import exp

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import commit, dialect, engine, queries
from sandbox.databricks.sql.errors import SqlError, exists, no_table, not_modelled, only_tables, quoted
from sandbox.databricks.sql.lake import Table
from sandbox.databricks.sql.log import Log, State, removal
from sandbox.databricks.sql.session import Session
from sandbox.databricks.sql.types import delta_of, text_of

NO_ROWS: Json = {"columns": {}, "rows": []}


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


def insert(session: Session, tree: exp.Insert) -> int:
    """INSERT INTO and INSERT OVERWRITE; returns the number of rows."""
    if any(tree.args.get(name) for name in ("partition", "where", "conflict", "by_name")):
        raise not_modelled("INSERT with PARTITION, REPLACE WHERE, BY NAME or the like")
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if not isinstance(target, exp.Table):
        raise not_modelled("INSERT into a table that is called as a keyword, without backticks")
    if target.args.get("partition"):
        raise not_modelled("INSERT with PARTITION")
    table, log = session.delta([part.name for part in target.parts], "INSERT", "MODIFY")
    _writable(table)
    state, overwrite = log.state(), bool(tree.args.get("overwrite"))
    named = [column.name for column in tree.this.expressions] if isinstance(tree.this, exp.Schema) else None
    source = tree.expression
    if isinstance(source, exp.Values):
        source = exp.select("*").from_(
            exp.Subquery(this=source.copy(), alias=exp.TableAlias(this=exp.to_identifier("v")))
        )
    with queries.opened(session) as reading:
        rows = _shaped(reading, reading.rows(source, headed=False), state, named, table)
        _check(reading, rows, state, table)
    rewrite(
        session,
        table,
        log,
        rows,
        overwrite,
        "WRITE",
        {"mode": "Overwrite" if overwrite else "Append", "partitionBy": "[]"},
    )
    return rows.num_rows


def _writable(table: Table) -> None:
    if table.kind in ("STREAMING_TABLE", "MATERIALIZED_VIEW"):
        raise SqlError(
            "STREAMING_TABLE_OPERATION_NOT_ALLOWED"
            if table.kind == "STREAMING_TABLE"
            else "MATERIALIZED_VIEW_OPERATION_NOT_ALLOWED",
            f"The operation on {quoted(table.parts)} is not allowed: only its pipeline writes it.",
            "42601",
        )


def rewrite(
    session: Session,
    table: Table,
    log: Log,
    rows: Rows,
    replace: bool,
    operation: str,
    parameters: Json,
    more: Json | None = None,
) -> None:
    """Commit rows as new files, in the place of all old ones if so wanted."""
    lake, now, state = session.lake, session.now, log.state()
    files = engine.store(lake, lake.folder(table), rows, tuple(state.metadata["partitionColumns"]))
    if replace and state.properties.get("delta.appendOnly", "").lower() == "true":
        raise SqlError(
            "DELTA_CANNOT_MODIFY_APPEND_ONLY",
            "This table is configured to only allow appends. If you would like to permit updates or deletes, use "
            f"'ALTER TABLE {table.name} SET TBLPROPERTIES (delta.appendOnly=false)'.",
            "42809",
        )
    actions: list[Json] = [{"add": {**file, "modificationTime": now}} for file in files]
    actions += [removal(file, now) for file in state.files.values()] if replace else []
    metrics = {"numFiles": len(files), "numOutputRows": rows.num_rows, "numOutputBytes": sum(f["size"] for f in files)}
    info = commit.told(
        operation, parameters, session.user, state.version, {**metrics, **(more or {})}, blind=not replace
    )
    commit.write(lake, table, log, now, info, actions)


def _shaped(reading: queries.Reading, rows: Rows, state: State, named: list[str] | None, table: Table) -> Rows:
    """Rows cast to the columns of the table, by position or by the names that the statement gives."""
    wanted = state.columns
    order = [name.lower() for name in named] if named else [column["name"].lower() for column in wanted]
    for name in order:
        if name not in [column["name"].lower() for column in wanted]:
            raise SqlError(
                "UNRESOLVED_COLUMN.WITH_SUGGESTION", f"A column with name {quoted([name])} cannot be resolved.", "42703"
            )
    if rows.num_columns != len(order):
        few = "NOT_ENOUGH_DATA_COLUMNS" if rows.num_columns < len(order) else "TOO_MANY_DATA_COLUMNS"
        raise SqlError(
            f"INSERT_COLUMN_ARITY_MISMATCH.{few}",
            f"Cannot write to {quoted(table.parts)}, the reason is {few.lower().replace('_', ' ')}:\nTable columns: "
            f"{_list(order)}.\nData columns: {_list(rows.column_names)}.",
            "21S01",
        )
    source = reading.add(rows.rename_columns([f"c{index}" for index in range(rows.num_columns)]))
    values = []
    for column in wanted:
        name = column["name"].lower()
        value = f'"c{order.index(name)}"' if name in order else "NULL"
        values.append(f'{_cast(value, column["type"])} AS "{column["name"]}"')
    return engine.run(f'SELECT {", ".join(values)} FROM "{source}"', reading.tables)


def _list(names: list[str]) -> str:
    return ", ".join(quoted([name]) for name in names)


def _cast(value: str, kind: str) -> str:
    if kind == "timestamp":
        return f"arrow_cast({value}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
    if not isinstance(kind, str):
        return value
    names = {"string": "VARCHAR", "timestamp_ntz": "TIMESTAMP"}
    return f"CAST({value} AS {names.get(kind) or text_of(kind)})"


def _check(reading: queries.Reading, rows: Rows, state: State, table: Table) -> None:
    """NOT NULL and CHECK constraints."""
    checks = {f'"{c["name"]}" IS NULL': ("not null", c["name"]) for c in state.columns if not c["nullable"]}
    for name, text in state.properties.items():
        if name.startswith("delta.constraints."):
            tree = queries.parse(f"SELECT {text}").expressions[0]
            checks[f"NOT ({dialect.write(tree)})"] = (name.rsplit(".", 1)[1], text)
    if not checks or not rows.num_rows:
        return
    source = reading.add(rows)
    for wrong, (name, text) in checks.items():
        found = engine.run(f'SELECT count(*) FROM "{source}" WHERE {wrong}', reading.tables)
        if engine.values_of(found)[0][0] and name == "not null":
            raise SqlError(
                "DELTA_NOT_NULL_CONSTRAINT_VIOLATED", f"NOT NULL constraint violated for column: {text}.", "23502"
            )
        if engine.values_of(found)[0][0]:
            raise SqlError(
                "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES",
                f"CHECK constraint {name} ({text}) violated by row of {table.name}.",
                "23001",
            )


def change(session: Session, tree: exp.Delete | exp.Update) -> int:
    """DELETE and UPDATE: all rows are written anew but for those deleted; returns how many were touched."""
    deleting = isinstance(tree, exp.Delete)
    operation = "DELETE" if deleting else "UPDATE"
    if not isinstance(tree.this, exp.Table) or tree.args.get("using") or tree.args.get("from_"):
        raise not_modelled(f"{operation} of this form")
    table, log = session.delta([part.name for part in tree.this.parts], operation, "MODIFY")
    _writable(table)
    state = log.state()
    where = tree.args.get("where")
    condition = where.this.copy() if where else exp.true()
    source = tree.this.copy()
    with queries.opened(session) as reading:
        count = exp.select(exp.Count(this=exp.Star())).from_(source.copy()).where(condition.copy())
        touched = int(engine.values_of(reading.rows(count, headed=False))[0][0])
        if not touched:
            return 0
        if deleting:
            kept = exp.not_(exp.func("COALESCE", exp.paren(condition), exp.false()))
            rows = reading.rows(exp.select("*").from_(source).where(kept), headed=False)
        else:
            values = {_target(part, state): part.expression for part in tree.expressions}
            columns = [_updated(column["name"], values, condition) for column in state.columns]
            rows = reading.rows(exp.select(*columns).from_(source), headed=False)
        rows = _shaped(reading, rows, state, None, table)
        if not deleting:
            _check(reading, rows, state, table)
    name = "numDeletedRows" if deleting else "numUpdatedRows"
    parameters = {"predicate": [condition.sql("databricks")]}
    rewrite(
        session, table, log, rows, True, operation, parameters, {name: touched, "numRemovedFiles": len(state.files)}
    )
    return touched


def _target(part: exp.Expr, state: State) -> str:
    name = str(part.this.name).lower()
    if name not in [column["name"].lower() for column in state.columns]:
        raise SqlError(
            "UNRESOLVED_COLUMN.WITH_SUGGESTION", f"A column with name {quoted([name])} cannot be resolved.", "42703"
        )
    return name


def _updated(name: str, values: dict[str, exp.Expr], condition: exp.Expr) -> exp.Expr:
    column = exp.column(name)
    if name.lower() not in values:
        return column
    return exp.alias_(exp.Case().when(condition.copy(), values[name.lower()].copy()).else_(column), name)


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
