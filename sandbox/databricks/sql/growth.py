"""Rows out of nowhere: the first version of the fleet's tables, and what the runs of jobs have written since.

Nothing is made before somebody looks. Then all runs that ended until now get their versions, each with the instant at
which its run ended; the files of all of them are written in one go.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from sandbox.databricks import versions
from sandbox.databricks.errors import Json
from sandbox.databricks.sql import commit, engine
from sandbox.databricks.sql.lake import Lake, Table
from sandbox.databricks.sql.log import Log, protocol, removal
from sandbox.databricks.sql.types import text_of

Write = tuple[int, int, int, str]
"""A run that wrote: when it ended, its id, its job, the runtime it ran on."""

ROWS = 100
"""How many rows a table begins with, where the fleet does not say."""
GROWS = 20
"""How many rows a run adds."""
BATCH = "written_by"
"""A column that keeps apart the files of several runs while they are written; it is in no table."""


def make(lake: Lake, table: Table) -> Table:
    """The first version of a table that the fleet declares."""
    log, at = lake.log(table), table.created
    columns, properties = list(table.columns), dict(table.properties)
    rows = int(table.habit.get("rows", ROWS))
    actions: list[Json] = [
        commit.required(properties, columns, table.habit.get("features", ())),
        commit.described(table, columns, table.partitions, properties, at),
    ]
    actions += [{"add": file} for file in _files(lake, table, [rows], 0)[0]]
    parameters = {"partitionBy": list(table.partitions), "properties": properties, "isManaged": "true"}
    info = commit.told("CREATE TABLE AS SELECT", parameters, table.owner, None, {"numOutputRows": rows})
    return commit.write(lake, table, log, at, info, actions)


def catch_up(lake: Lake, table: Table, writes: Iterable[Write], now: int) -> Table:
    """Give the runs that wrote this table, and are not in its log yet, their versions."""
    due = sorted(write for write in writes if tuple(write[:2]) > table.written and write[0] <= now)
    if not due:
        return table
    log = lake.log(table)
    there = {log.info(version).get("job", {}).get("jobRunId") for version in range(log.latest + 1)}
    due = [write for write in due if str(write[1]) not in there]  # the register may be older than the log
    if not due:
        return table
    state = log.state()
    replacing = table.habit.get("mode") == "overwrite"
    many = int(table.habit.get("rows", ROWS)) if replacing else int(table.habit.get("grows", GROWS))
    held = sum(json.loads(file.get("stats") or "{}").get("numRecords", 0) for file in state.files.values())
    batches = _files(lake, table, [many] * len(due), held)
    for (at, run, job, runtime), files in zip(due, batches, strict=True):
        actions: list[Json] = [{"add": {**file, "modificationTime": at}} for file in files]
        if replacing:
            actions += [removal(file, at) for file in log.state().files.values()]
        actions += _newer(table, log, runtime)
        info = commit.told(
            "WRITE",
            {"mode": "Overwrite" if replacing else "Append", "partitionBy": list(table.partitions)},
            table.owner,
            log.latest,
            {"numFiles": len(files), "numOutputRows": many, "numOutputBytes": sum(file["size"] for file in files)},
            f"Databricks-Runtime/{runtime or 'serverless'}",
            {"jobId": str(job), "jobRunId": str(run)},
            blind=not replacing,
        )
        log.commit(at, info, actions)
    return commit.register(lake, dataclasses.replace(table, written=due[-1][:2]), log)


def _newer(table: Table, log: Log, runtime: str) -> list[Json]:
    """What a run on a new runtime adds to the protocol, where the fleet says so."""
    newer = table.habit.get("newer") or {}
    state = log.state()
    missing = set(newer.get("features", ())) - set(state.features)
    if not missing or versions.major(runtime) < int(newer["from"]):
        return []
    names = {feature: name for name, feature in commit.FEATURES.items()}
    properties = {**state.properties, **{names[feature]: "true" for feature in missing if feature in names}}
    features = commit.needed(properties, state.columns, {*state.features, *missing})
    metadata = {**state.metadata, "configuration": properties}
    return [{"protocol": protocol(features)}, {"metaData": metadata}]


def _files(lake: Lake, table: Table, sizes: list[int], start: int) -> list[list[Json]]:
    """Write rows for several commits; the files of each."""
    total, bounds = 0, []
    for size in sizes:
        bounds.append((total, total + size))
        total += size
    if not total:
        return [[] for _ in sizes]
    size = sizes[0]
    values = ", ".join(
        f'{_expression(column, index, table)} AS "{column["name"]}"' for index, column in enumerate(table.columns)
    )
    sql = (
        f"SELECT CAST(floor(b / {size}) AS INT) AS {BATCH}, {values} "
        f"FROM (SELECT value AS b, value + {start + 1} AS n FROM range({total}))"
    )
    stored = engine.store(lake, lake.folder(table), engine.run(sql, {}), (BATCH, *table.partitions))
    found: list[list[Json]] = [[] for _ in sizes]
    for file in stored:
        batch = int(file["partitionValues"].pop(BATCH))
        found[batch].append(file)
    return found


def _expression(column: Json, index: int, table: Table) -> str:
    """A value for row `n`: the first column counts, the others look like something."""
    kind: Any = column["type"]
    mixed = f"((n * 7919 + {index * 31}) % 100000)"
    seconds = f"to_timestamp_seconds({table.created // 1000} + n * 60)"
    if kind in ("long", "integer", "short", "byte"):
        limit = {"short": 30_000, "byte": 100}.get(kind, 10**9)
        return f"CAST({'n' if index == 0 else mixed} % {limit} AS {text_of(kind)})"
    if kind == "string":
        many = 3 if column["name"] in table.partitions else 17
        return f"concat('{column['name']}-', CAST({mixed} % {many} AS VARCHAR))"
    if kind in ("double", "float"):
        return f"CAST({mixed} / 100.0 AS {text_of(kind)})"
    if isinstance(kind, str) and kind.startswith("decimal"):
        return f"CAST({mixed} / 100.0 AS {kind})"
    if kind == "boolean":
        return f"({mixed} % 3 = 0)"
    if kind == "date":
        return f"CAST({seconds} AS DATE)"
    return f"arrow_cast({seconds}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
