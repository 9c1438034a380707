"""The life of a statement: it waits for its warehouse, is carried out on the lake's thread, has a result or an error.

What goes on in the thread is not saved: a statement that a restart cut off has failed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.databricks import system_tables, writes
from sandbox.databricks.errors import Json

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

logger = logging.getLogger("sandbox.databricks")

HOUR = 3_600_000
KEPT, RESULTS_KEPT = 12 * HOUR, HOUR
OPEN = ("PENDING", "RUNNING")
INLINE = 25 * 1024 * 1024
CHUNK_ROWS = 5_000


def due(ws: Workspace, whom: str, turn: int, at: int) -> None:
    """The calendar has come to where a statement is carried out."""
    record = ws.shelf("statements").get(whom)
    if record is not None and record["state"] in OPEN:
        hand(ws, record, at)


def hand(ws: Workspace, record: Json, at: int) -> None:
    """Give a statement to the thread, with a picture of the workspace as of its instant."""
    text = record.pop("text")
    record["state"] = "RUNNING"
    ws.changes += 1
    picture: dict[str, Any] = {
        "now": at,
        "user": ws.client_id,
        "principals": principals(ws),
        "grants": {
            name: {who: tuple(what) for who, what in grants.items()} for name, grants in ws.shelf("grants").items()
        },
        "catalogs": dict(ws.shelf("catalogs")),
        "catalog": record["catalog"],
        "schema": record["schema"],
        "writes": writes.waiting(ws),
        "system": system_tables.asked(ws, text, at),
    }
    lake, parameters, limits = ws.lake, record.pop("parameters"), (record["row_limit"], record["byte_limit"])
    place = record["statement_id"]

    def work() -> Json:
        from sandbox.databricks.sql.errors import SqlError
        from sandbox.databricks.sql.execute import execute
        from sandbox.databricks.sql.session import Session

        try:
            found = execute(Session(lake=lake, **picture), text, {name: tuple(p) for name, p in parameters.items()})
            return _stored(lake.home / "results", place, found.columns, found.rows, *limits)
        except SqlError as error:
            return _failure(error.code, error.text, error.state)
        except BaseException as error:  # the engine panics with one that is no Exception
            logger.exception("the statement %s failed", place)
            return _failure(
                "INTERNAL_ERROR", f"the local Databricks failed on this statement: {error!r}"[:500], "XX000"
            )

    ws.lake.running[place] = ws.lake.submit(work)


def principals(ws: Workspace) -> frozenset[str]:
    """Who the bot is: its service principal and the groups it is in."""
    return frozenset({ws.client_id, "platform-automation", "account users"})


def _stored(
    folder: Path, name: str, columns: Any, rows: Sequence[Sequence[str | None]], row_limit: int, byte_limit: int
) -> Json:
    """Write the rows of a result in chunks; the manifest. On the lake's thread. Raises SqlError when it is too much."""
    from sandbox.databricks.sql.errors import SqlError

    truncated = bool(row_limit) and len(rows) > row_limit
    rows = rows[:row_limit] if row_limit else rows
    sizes = [sum(len(value) for value in row if value is not None) + 4 * len(row) for row in rows]
    total, fitting = 0, 0
    for size in sizes:
        if byte_limit and total + size > byte_limit:
            truncated, rows = True, rows[:fitting]
            break
        total, fitting = total + size, fitting + 1
    if total > INLINE:
        raise SqlError(
            "INLINE_BYTE_LIMIT_EXCEEDED",
            "Inline byte limit exceeded. Statements executed with disposition=INLINE can have a result size of at most "
            f"{INLINE} bytes. Please execute the statement with disposition=EXTERNAL_LINKS if you want to download the "
            "full result.",
            "54000",
        )
    chunks: list[Json] = []
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(rows), CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        index = len(chunks)
        (folder / f"{name}.{index}.json").write_text(json.dumps(part), encoding="utf-8")
        size = sum(sizes[start : start + len(part)])
        chunks.append({"chunk_index": index, "row_offset": start, "row_count": len(part), "byte_count": size})
    return {
        "format": "JSON_ARRAY",
        "schema": {"column_count": len(columns), "columns": list(columns)},
        "total_chunk_count": len(chunks),
        **({"chunks": chunks} if chunks else {}),
        "total_row_count": len(rows),
        "total_byte_count": total,
        "truncated": truncated,
    }


def settle(ws: Workspace) -> None:
    """Write down what the thread has finished, and forget what is too old."""
    for name in [name for name, future in ws.lake.running.items() if future.done()]:
        _finish(ws, ws.shelf("statements")[name], ws.lake.running.pop(name))
    shelf = ws.shelf("statements")
    for name, record in list(shelf.items()):
        if record["state"] in OPEN:
            if name not in ws.lake.running and record["end"] <= ws.now:
                record.update(_failure("INTERNAL_ERROR", "The SQL warehouse was restarted while it ran.", "XX000"))
                record["finished"] = ws.now
                ws.changes += 1
            continue
        if record["state"] == "SUCCEEDED" and ws.now >= record["finished"] + RESULTS_KEPT:
            record["state"] = "CLOSED"
            _drop(ws, record)
        if ws.now >= record["finished"] + KEPT:
            del shelf[name]


def _finish(ws: Workspace, record: Json, future: Future[Json]) -> None:
    found = future.result()
    record.update(found if found.get("state") == "FAILED" else {"state": "SUCCEEDED", "manifest": found})
    record["finished"] = record["end"]
    ws.changes += 1


def _failure(code: str, message: str, state: str) -> Json:
    return {"state": "FAILED", "error": {"error_code": code, "message": message}, "sql_state": state}


def cancel(ws: Workspace, record: Json) -> None:
    """Ask a statement to stop. It loses the race against a thread that has begun with it."""
    future = ws.lake.running.get(record["statement_id"])
    if record["state"] not in OPEN or (future is not None and not future.cancel()):
        return
    ws.lake.running.pop(record["statement_id"], None)
    for name in ("text", "parameters"):
        record.pop(name, None)
    record.update(state="CANCELED", finished=ws.now)
    ws.changes += 1


def chunk(ws: Workspace, record: Json, index: int) -> Json:
    """One chunk of a result, with the place of the next."""
    found = dict(record["manifest"]["chunks"][index])
    path = ws.lake.home / "results" / f"{record['statement_id']}.{index}.json"
    found["data_array"] = json.loads(path.read_text(encoding="utf-8"))
    if index + 1 < len(record["manifest"]["chunks"]):
        found["next_chunk_index"] = index + 1
        found["next_chunk_internal_link"] = (
            f"/api/2.0/sql/statements/{record['statement_id']}/result/chunks/{index + 1}"
        )
    return found


def _drop(ws: Workspace, record: Json) -> None:
    for entry in record.pop("manifest").get("chunks", []):
        path = ws.lake.home / "results" / f"{record['statement_id']}.{entry['chunk_index']}.json"
        path.unlink(missing_ok=True)
    ws.changes += 1
