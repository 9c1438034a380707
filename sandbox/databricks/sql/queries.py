"""Queries: from Databricks SQL to the engine's dialect, over the right versions of the right tables."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlglot
from arro3.core import Table as Rows
from sqlglot import exp
from sqlglot.errors import ParseError

from sandbox.databricks.sql import dialect, engine
from sandbox.databricks.sql.errors import SqlError, no_table, not_modelled, syntax
from sandbox.databricks.sql.lake import Table
from sandbox.databricks.sql.session import Session
from sandbox.databricks.sql.versions import travel, written

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it warns of what we refuse ourselves

DEEP = 20
"""How many views may stand on each other."""


def parse(text: str) -> exp.Expr:
    """One statement as a tree. Raises SqlError: not SQL, or several statements."""
    try:
        found = [tree for tree in sqlglot.parse(text, dialect="databricks") if tree is not None]
    except ParseError as error:
        first: dict[str, Any] = error.errors[0] if error.errors else {}
        near = f"'{first['highlight']}'" if first.get("highlight") else "end of input"
        raise syntax(near, f"(line {first.get('line', 1)}, pos {first.get('col', 1)})") from error
    if not found:
        raise syntax("end of input")
    if len(found) > 1:
        raise syntax("';'", "A request takes one statement.")
    return found[0]


def select(session: Session, tree: exp.Expr, headed: bool = True) -> Rows:
    """The rows of a query; its columns named as Spark would, unless they are of no interest."""
    with opened(session) as reading:
        return reading.rows(tree, headed)


@contextmanager
def opened(session: Session) -> Iterator[Reading]:
    """Something to read tables with, for one statement."""
    with session.lake.scratch() as scratch:
        yield Reading(session, scratch)


@dataclass
class Reading:
    """The tables that a statement reads, under the names that the engine knows them by."""

    session: Session
    scratch: Path
    tables: dict[str, Path] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    """Spelling of column names by their lower case."""
    seen: dict[tuple[str, str], str] = field(default_factory=dict)

    def rows(self, tree: exp.Expr, headed: bool = True) -> Rows:
        """The rows of a query."""
        return engine.run(self.translate(tree, headed), self.tables)

    def add(self, rows: Rows) -> str:
        """Make rows at hand readable; the name to read them by."""
        name = f"t{len(self.tables)}"
        self.tables[name] = engine.as_table(rows, self.scratch)
        return name

    def translate(self, tree: exp.Expr, headed: bool = True) -> str:
        """A query in the engine's dialect; its tables are then in `tables`."""
        tree = tree.copy()
        if headed:
            _head(tree)
        self._resolve(tree, 0)
        for column in list(tree.find_all(exp.Column)):
            if column.args.get("db"):
                column.set("db", None)
                column.set("catalog", None)
        for name in list(tree.find_all(exp.Identifier)):
            if not isinstance(name.parent, exp.Table):
                name.set("this", self.columns.get(name.name.lower(), name.name.lower()))
        for alias in tree.find_all(exp.Alias):  # what a result is called keeps its spelling
            if isinstance(alias.parent, exp.Select) and alias.parent.parent is None and alias.meta.get("spelt"):
                alias.args["alias"].set("this", alias.meta["spelt"])
        _clock(tree, self.session.now)
        return dialect.write(tree)

    def _resolve(self, tree: exp.Expr, depth: int) -> None:
        """Put the engine's names for tables, and the queries of views for views."""
        if depth > DEEP:
            raise not_modelled(f"views on views more than {DEEP} deep")
        named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        for node in list(tree.find_all(exp.Table)):
            if not isinstance(node.this, exp.Identifier):
                _function(node)
                continue
            parts = [part.name for part in node.parts]
            if len(parts) == 1 and parts[0].lower() in named:
                node.this.set("this", parts[0].lower())
                continue
            alias = node.alias or parts[-1]
            instead = self._read(node, parts, depth)
            instead.set("alias", exp.TableAlias(this=exp.to_identifier(alias.lower())))
            for name in ("joins", "laterals", "pivots", "sample"):
                if node.args.get(name):
                    instead.set(name, node.args[name])
            node.replace(instead)

    def _read(self, node: exp.Expr, parts: list[str], depth: int) -> exp.Expr:
        full = ".".join(self.session.full(parts))
        spec = _spec(node)
        if full.startswith("system."):
            return exp.to_table(self._system(full))
        table = self.session.table(parts)
        if table.is_view:
            if spec is not None:
                raise SqlError(
                    "UNSUPPORTED_FEATURE.TIME_TRAVEL",
                    f"The feature is not supported: Time travel on the relation: {table.name}.",
                    "0A000",
                )
            inner = parse(table.text)
            wrapped = exp.Subquery(this=inner)
            self._resolve(wrapped, depth + 1)
            return wrapped
        return exp.to_table(self._delta(table, spec))

    def _delta(self, table: Table, spec: dict[str, Any] | None) -> str:
        key = (table.name, str(spec))
        if key not in self.seen:
            table, log = self.session.fresh(table)
            state = log.state(travel(table, log, spec, self.session.now))
            folder = self.session.lake.folder(table)
            lost = next((path for path in state.files if not engine.data_file(folder, path).is_file()), None)
            if lost is not None:
                raise SqlError(
                    "FAILED_READ_FILE.DBR_FILE_NOT_EXIST",
                    f"Error while reading file {table.location}/{lost}. [DELTA_FILE_NOT_FOUND_DETAILED] File "
                    f"{table.location}/{lost} referenced in the transaction log cannot be found. This occurs when data "
                    "has been manually deleted from the file system rather than using the table `DELETE` statement.",
                    "KD001",
                )
            name = f"t{len(self.tables)}"
            self.tables[name] = engine.copy_for_reading(folder, state, self.scratch)
            self.columns.update((column["name"].lower(), column["name"]) for column in state.columns)
            self.seen[key] = name
        return self.seen[key]

    def _system(self, full: str) -> str:
        if full not in self.session.system:
            raise no_table(full.split("."))
        if (full, "") not in self.seen:
            columns, rows = self.session.system[full]
            self.seen[full, ""] = self.add(engine.rows_of(columns, rows, self.scratch))
        return self.seen[full, ""]


def _function(node: exp.Table) -> None:
    """range() is the one table function that there is; Spark calls its column `id`."""
    name = node.this.name.lower() if isinstance(node.this, exp.Anonymous) else node.this.sql_name().lower()
    if name not in ("range", "generate_series"):
        raise not_modelled(f"the table function {name}")
    if not (node.args.get("alias") and node.args["alias"].columns):
        alias = exp.to_identifier(node.alias or "range")
        node.set("alias", exp.TableAlias(this=alias, columns=[exp.to_identifier("id")]))


def _spec(node: exp.Expr) -> dict[str, Any] | None:
    """The time travel of a table in a query."""
    found = node.args.get("version") or node.args.get("when")
    if found is None:
        return None
    given = found.args.get("expression")
    if not isinstance(given, exp.Literal):
        raise not_modelled("time travel by an expression that is no literal")
    if str(found.this).upper() == "VERSION":
        return {"version": int(given.name)} if given.name.isdigit() else {"timestamp": given.name}
    return {"timestamp": given.name}


def _head(tree: exp.Expr) -> None:
    """Give the columns of a result the names that Spark gives them."""
    top = tree
    while not isinstance(top, exp.Select):
        if not isinstance(top, (exp.SetOperation, exp.Subquery)):
            return
        top = top.this
    for index, column in enumerate(list(top.expressions)):
        if isinstance(column, exp.Alias):
            column.meta["spelt"] = column.alias
        elif not isinstance(column, exp.Column) and not column.is_star:
            if column.is_int and abs(int(column.name)) < 2**31:
                column = exp.cast(column.copy(), "INT")  # the engine counts in BIGINT from the start
            text = (
                column.this.sql(dialect="databricks")
                if isinstance(column, exp.Cast) and column.this.is_int
                else column.sql(dialect="databricks", normalize_functions="lower").replace("count(*)", "count(1)")
            )
            named = exp.alias_(column.copy(), text, quoted=True)
            named.meta["spelt"] = text
            top.expressions[index] = named
            top.set("expressions", top.expressions)


def _clock(tree: exp.Expr, now: int) -> None:
    """The engine's clock is the machine's; ours is the calendar."""
    for node in list(tree.find_all(exp.CurrentTimestamp)):
        node.replace(exp.cast(exp.Literal.string(written(now)), "TIMESTAMPTZ"))
    for day in list(tree.find_all(exp.CurrentDate)):
        day.replace(exp.cast(exp.Literal.string(written(now)[:10]), "DATE"))
