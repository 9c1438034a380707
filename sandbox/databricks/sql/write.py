"""Statements that write rows: INSERT, DELETE, UPDATE."""

from __future__ import annotations

from arro3.core import Table as Rows
from sqlglot import exp

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import commit, dialect, engine, queries
from sandbox.databricks.sql.errors import SqlError, not_modelled, quoted
from sandbox.databricks.sql.lake import Table
from sandbox.databricks.sql.log import Log, State, removal
from sandbox.databricks.sql.session import Session
from sandbox.databricks.sql.types import text_of


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
