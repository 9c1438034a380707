"""The query engine (DataFusion, as the deltalake library brings it) and the writing of Parquet files.

The engine reads a copy of a table's log, made for one query: one version, its files by absolute path, and a protocol
that the engine knows. So it reads any version of any table, whatever features the real log lists.
"""

from __future__ import annotations

import json
import re
import shutil
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arro3.core import Array, DataType
from arro3.core import Table as Rows
from deltalake import DeltaTable, QueryBuilder, Schema, write_deltalake
from deltalake.exceptions import DeltaError

from sandbox.databricks.errors import Json
from sandbox.databricks.sql.errors import SqlError, not_modelled, quoted
from sandbox.databricks.sql.lake import Lake
from sandbox.databricks.sql.log import State

SETTINGS = {"datafusion.execution.time_zone": "+00:00", "datafusion.execution.target_partitions": "1"}


def copy_for_reading(folder: Path, state: State, scratch: Path) -> Path:
    """A folder that the engine reads as the table in `folder` at this state."""
    place = scratch / uuid.uuid4().hex
    metadata = {**state.metadata, "configuration": {}}
    actions: list[Json] = [{"protocol": _readable(state)}, {"metaData": metadata}]
    for path, file in state.files.items():
        actions.append({"add": {**file, "path": str(data_file(folder, path))}})
    (place / "_delta_log").mkdir(parents=True)
    text = "\n".join(json.dumps(action) for action in actions)
    (place / "_delta_log" / f"{0:020}.json").write_text(text, encoding="utf-8")
    return place


def data_file(folder: Path, path: str) -> Path:
    """Where a file of the log lies: beside it, or (shallow clones) in the folder of another table."""
    return Path(path.removeprefix("file://")) if path.startswith("file://") else folder / path


def _readable(state: State) -> Json:
    if '"timestamp_ntz"' not in state.metadata["schemaString"]:
        return {"minReaderVersion": 1, "minWriterVersion": 2}
    features = ["timestampNtz"]
    return {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}


def run(sql: str, tables: Mapping[str, Path]) -> Rows:
    """The rows of a query in the engine's own dialect over the tables in these folders. Raises SqlError."""
    builder = QueryBuilder(SETTINGS)
    try:
        for name, folder in tables.items():
            builder.register(name, DeltaTable(str(folder)))
        return builder.execute(sql).read_all()
    except (DeltaError, ValueError, OSError) as error:
        raise _worded(str(error)) from error
    except Exception as error:  # the engine raises bare ones while it runs
        raise _worded(str(error)) from error


_MALFORMED = (
    'The value \'{value}\' of the type "STRING" cannot be cast to "{type}" because it is malformed. Correct the value '
    "as per the syntax, or change its target type. Use `try_cast` to tolerate malformed input and return NULL instead."
)
_WORDED = [
    # what the engine says, condition, sentence, SQLSTATE
    (
        r"No field named (?P<name>[^\n]+?)\.(?:\s*(?:Did you mean|Valid fields are) (?P<names>[^\n]+))?(?:\n|$)",
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
        "A column, variable, or function parameter with name {name} cannot be resolved. Did you mean one of the "
        "following? [{names}].",
        "42703",
    ),
    (
        r"Invalid function '(?P<name>\w+)'",
        "UNRESOLVED_ROUTINE",
        "Cannot resolve routine {name} on search path [`system`.`builtin`, `system`.`session`]. (Or the local "
        "Databricks does not model it.)",
        "42883",
    ),
    (
        r"Cannot cast (?:string|value) '(?P<value>.*?)' to value of (?P<type>\w+) type",
        "CAST_INVALID_INPUT",
        _MALFORMED,
        "22018",
    ),
    (r"Error parsing (?P<type>timestamp|date) from '(?P<value>.*?)'", "CAST_INVALID_INPUT", _MALFORMED, "22018"),
    (
        r"(?i)divide by zero",
        "DIVIDE_BY_ZERO",
        "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead.",
        "22012",
    ),
    (
        r"(?i)arithmetic overflow|overflow happened",
        "ARITHMETIC_OVERFLOW",
        "Overflow. Use try_* functions to tolerate overflow and return NULL instead.",
        "22003",
    ),
    (
        r"must appear in the GROUP BY clause|could not be resolved from available columns",
        "MISSING_AGGREGATION",
        "The non-aggregating expression is based on columns which are not participating in the GROUP BY clause.",
        "42803",
    ),
]
_TYPES = {
    "Int8": "TINYINT",
    "Int16": "SMALLINT",
    "Int32": "INT",
    "Int64": "BIGINT",
    "Float32": "FLOAT",
    "Float64": "DOUBLE",
    "Date32": "DATE",
    "Boolean": "BOOLEAN",
}


def _worded(said: str) -> SqlError:
    """What the engine said, as Spark would have."""
    if "DIVIDED_BY_" in said:  # before the cast which carries it
        said = "divide by zero"
    for pattern, condition, sentence, state in _WORDED:
        found = re.search(pattern, said)
        if found:
            named = {name: text or "" for name, text in found.groupdict().items()}
            known = [_last(name) for name in named.get("names", "").split(",")]
            shown = {
                "name": quoted([_last(named.get("name", ""))]),
                "names": ", ".join(quoted([name]) for name in known),
            }
            kind = named.get("type", "")
            return SqlError(condition, sentence.format(**{**named, **shown, "type": _TYPES.get(kind, kind)}), state)
    return not_modelled(f"this, or it is wrong: {said.splitlines()[0][:300]}")


def _last(name: str) -> str:
    """The column in `t0.\"x\"`."""
    return re.sub(r'^.*?(?:t\d+\.)?"?([^".]+)"?\.?$', r"\1", name.strip())


def store(lake: Lake, folder: Path, rows: Rows, partitions: tuple[str, ...]) -> list[Json]:
    """Write rows as Parquet files into a table's folder; returns them as the log lists added files."""
    if not rows.num_rows:
        return []
    with lake.scratch() as scratch:
        write_deltalake(str(scratch), rows, partition_by=list(partitions) or None)
        found = []
        for line in (scratch / "_delta_log" / f"{0:020}.json").read_text(encoding="utf-8").splitlines():
            action = json.loads(line)
            if "add" in action:
                file = {name: value for name, value in action["add"].items() if value is not None}
                source = scratch / urllib.parse.unquote(file["path"])
                file["path"] = source.name  # flat: the values of partitions stand in the log
                folder.mkdir(parents=True, exist_ok=True)
                shutil.move(source, folder / source.name)
                found.append(file)
        return found


def as_table(rows: Rows, scratch: Path) -> Path:
    """Rows as a folder that the engine can read."""
    place = scratch / uuid.uuid4().hex
    write_deltalake(str(place), rows)
    return place


def columns_of(rows: Rows) -> list[Json]:
    """The columns of a result as the fields of a Delta schema, all of them nullable."""
    try:
        apart = rows.rename_columns([f"c{index}" for index in range(rows.num_columns)])
        fields: list[Json] = json.loads(Schema.from_arrow(apart.schema).to_json())["fields"]
    except Exception as error:
        raise not_modelled(f"a result of these types: {error}") from error
    return [{**column, "name": name, "nullable": True} for column, name in zip(fields, rows.column_names, strict=True)]


def values_of(rows: Rows) -> list[list[Any]]:
    """All rows as lists of Python values."""
    columns = []
    for index in range(rows.num_columns):
        column = rows.column(index)
        columns.append([column[place].as_py() for place in range(rows.num_rows)])
    return [list(row) for row in zip(*columns, strict=True)] if columns else []


def rows_of(columns: Mapping[str, str], rows: Sequence[Sequence[Any]], scratch: Path) -> Rows:
    """Python values as rows; `columns` are names and Delta types.

    Instants and dates come in milliseconds, an `array` as one text with commas; `a.b` is the field b of a struct a.
    """
    raw: dict[str, Any] = {}
    for index, (name, kind) in enumerate(columns.items()):
        values: list[Any] = [row[index] for row in rows]
        if kind in ("timestamp", "date"):
            micros = Array([None if v is None else v * 1000 for v in values], type=DataType.int64())
            raw[name] = micros.cast(DataType.timestamp("us", tz="UTC"))
        else:
            raw[name] = Array(values, type=ARROW[kind]())
    fields: dict[str, list[str]] = {}
    for name, kind in columns.items():
        value = {"array": f"string_to_array(\"{name}\", ',')", "date": f'CAST("{name}" AS DATE)'}.get(kind, f'"{name}"')
        fields.setdefault(name.partition(".")[0], []).append(value)
    parts = []
    for name, inner in fields.items():
        named = [f"'{key.partition('.')[2]}', {value}" for key, value in zip(_below(columns, name), inner, strict=True)]
        parts.append(
            f'named_struct({", ".join(named)}) AS "{name}"' if name not in columns else f'{inner[0]} AS "{name}"'
        )
    return run(f"SELECT {', '.join(parts)} FROM t", {"t": as_table(Rows.from_pydict(raw), scratch)})


def _below(columns: Mapping[str, str], name: str) -> list[str]:
    return [key for key in columns if key.partition(".")[0] == name]


ARROW = {
    "string": DataType.string,
    "array": DataType.string,
    "long": DataType.int64,
    "double": DataType.float64,
}
