"""One statement from its text to its result: which kind it is, and who carries it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import (
    alter,
    clone,
    create,
    describe,
    engine,
    grammar,
    maintain,
    queries,
    restore,
    types,
    write,
)
from sandbox.databricks.sql.errors import not_modelled, syntax
from sandbox.databricks.sql.grammar import Words
from sandbox.databricks.sql.session import Session

NO_ROWS: Json = {"columns": {}, "rows": []}


@dataclass(frozen=True, slots=True)
class Result:
    """Columns as the manifest shows them, and rows of strings and nulls."""

    columns: Sequence[Json]
    rows: Sequence[Sequence[str | None]]


def execute(session: Session, text: str, parameters: Mapping[str, tuple[str | None, str]]) -> Result:
    """Carry out a statement. Raises SqlError."""
    bound = grammar.bind(text, parameters)
    words = Words(bound)
    if not words.tokens:
        raise syntax("end of input")
    matched = _matched(session, words)
    if matched is not None:
        return _result(matched)
    tree = queries.parse(bound)
    if isinstance(tree, exp.Query):
        rows = queries.select(session, tree)
        columns = [types.described(column, index) for index, column in enumerate(engine.columns_of(rows))]
        return Result(columns, [[types.shown(value) for value in row] for row in engine.values_of(rows)])
    if isinstance(tree, exp.Create):
        return _counted(create.create(session, tree), "num_affected_rows", "num_inserted_rows")
    if isinstance(tree, exp.Insert):
        return _counted(write.insert(session, tree), "num_affected_rows", "num_inserted_rows")
    if isinstance(tree, (exp.Delete, exp.Update)):
        return _counted(write.change(session, tree), "num_affected_rows")
    if isinstance(tree, exp.Drop):
        create.drop(session, tree)
        return Result([], [])
    if isinstance(tree, (exp.Command, exp.Merge, exp.Use, exp.Set, exp.TruncateTable, exp.Alter, exp.Grant)):
        raise not_modelled(f"{words.tokens[0].text.upper()} of this form")
    raise syntax(f"'{words.tokens[0].text}'")


def _matched(session: Session, words: Words) -> Json | None:
    """Statements that are matched word by word; None for all others."""
    if words.take("DESCRIBE") or words.take("DESC"):
        return _describe(session, words)
    if words.take("SHOW"):
        return describe.show(session, words)
    if words.take("RESTORE"):
        words.take("TABLE")
        name = words.name()
        words.take("TO")
        spec = words.version()
        if spec is None:
            raise words.wrong()
        words.end()
        return restore.restore(session, name, spec)
    if words.take("ALTER", "TABLE"):
        alter.alter(session, words)
        return NO_ROWS
    if words.take("VACUUM"):
        return _vacuum(session, words)
    if words.take("OPTIMIZE"):
        name = words.name()
        if words.place < len(words.tokens):
            raise not_modelled(f"OPTIMIZE with {words.rest()}")
        table, _ = session.delta(name, "OPTIMIZE", "MODIFY")
        _, metrics = maintain.optimize(session.lake, table, session.now, session.user)
        return {"columns": {"path": "string", "metrics": "string"}, "rows": [[table.location, metrics]]}
    return _clone(session, words)


def _describe(session: Session, words: Words) -> Json:
    if words.take("HISTORY"):
        name = words.name()
        limit = words.number() if words.take("LIMIT") else None
        words.end()
        return describe.history(session, name, limit)
    if words.take("DETAIL"):
        name = words.name()
        words.end()
        return describe.detail(session, name)
    words.take("TABLE")
    extended = words.take("EXTENDED")
    name = words.name()
    words.end()
    return describe.describe(session, name, extended)


def _vacuum(session: Session, words: Words) -> Json:
    name = words.name()
    hours = words.number() if words.take("RETAIN") else None
    if hours is not None:
        words.need("HOURS")
    dry = words.take("DRY", "RUN")
    words.end()
    table, _ = session.delta(name, "VACUUM", "MODIFY")
    _, gone = maintain.vacuum(session.lake, table, session.now, session.user, hours, dry)
    return {
        "columns": {"path": "string"},
        "rows": [[f"{table.location}/{path}"] for path in gone] if dry else [[table.location]],
    }


def _clone(session: Session, words: Words) -> Json | None:
    """CREATE [OR REPLACE] TABLE [IF NOT EXISTS] name [DEEP|SHALLOW] CLONE ...; None for another CREATE."""
    if not words.take("CREATE"):
        return None
    replace = words.take("OR", "REPLACE")
    if not words.take("TABLE"):
        return None
    tolerant = words.take("IF", "NOT", "EXISTS")
    target = words.name()
    place = words.place
    if not (words.take("DEEP") or words.take("SHALLOW") or words.take("CLONE")):
        return None
    words.place = place
    return clone.clone(session, words, target, replace, tolerant) or NO_ROWS


def _counted(count: int | None, *names: str) -> Result:
    columns = [types.described({"name": name, "type": "long"}, index) for index, name in enumerate(names)]
    return Result(columns, [[str(count)] * len(names)]) if count is not None else Result([], [])


def _result(found: Json) -> Result:
    columns = [
        types.described({"name": name, "type": kind}, index)
        for index, (name, kind) in enumerate(found["columns"].items())
    ]
    rows: list[list[Any]] = found["rows"]
    return Result(columns, [[types.shown(value) for value in row] for row in rows])
