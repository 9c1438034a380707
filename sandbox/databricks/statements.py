"""The statement API: a statement is sent, waited for, asked about, cancelled; its result is fetched in chunks.

The calendar stands still while a call waits. So a statement that needs calendar time (its warehouse has to start, or
the fleet calls a table or a warehouse slow) is never done within the wait, but once the calendar has got there.
"""

from __future__ import annotations

import asyncio
import re
import uuid

from sandbox.databricks import statement_life, warehouses
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import ApiError, Json, denied, invalid
from sandbox.databricks.statement_life import OPEN
from sandbox.databricks.workspace import Workspace

PATH = "/api/2.0/sql/statements"
LONGEST = 16 * 1024 * 1024
WAIT = "10s"
ANSWERS_WITHIN = 5.0
"""Seconds of machine time that a GET waits for a statement that is being carried out."""


async def execute(ws: Workspace, call: Call) -> Json:
    """POST: a failing statement is an answer with state FAILED; only a request that makes no sense is refused."""
    body = call.body
    wait, cancelling = _checked(body)
    entry = ws.shelf("warehouses").get(str(body.get("warehouse_id", "")))
    if entry is None:
        raise invalid(f"{body.get('warehouse_id') or ''} is not a valid endpoint id.")
    if not warehouses.usable(ws, entry):
        raise denied(f"You do not have permission to use the SQL warehouse {entry['id']}.")
    statement_life.settle(ws)
    record = _record(ws, body)
    ready = warehouses.wake(ws, entry)
    record["ready"], record["end"] = ready, ready + 1000 * _slow(ws, entry, record["text"], record["parameters"])
    ws.shelf("statements")[record["statement_id"]] = record
    if record["end"] > ws.now:
        ws.plan(record["end"], "statement", record["statement_id"], 0)
    else:
        statement_life.hand(ws, record, ws.now)
        if wait:
            await _finished(ws, record, wait)
    if wait and cancelling and record["state"] in OPEN:
        statement_life.cancel(ws, record)
    return view(ws, record)


async def get(ws: Workspace, call: Call) -> Json:
    """GET: the state, and with SUCCEEDED the manifest and the first chunk."""
    record = _found(ws, call)
    await _finished(ws, record, ANSWERS_WITHIN)
    return view(ws, record)


async def get_chunk(ws: Workspace, call: Call) -> Json:
    """GET of one chunk."""
    record = _found(ws, call)
    await _finished(ws, record, ANSWERS_WITHIN)
    index = call.named["index"]
    if record["state"] == "CLOSED":
        raise ApiError(404, "NOT_FOUND", f"The result of statement {record['statement_id']} is no longer available.")
    if record["state"] != "SUCCEEDED":
        raise invalid(f"Statement {record['statement_id']} is in state {record['state']} and has no result.")
    if not index.isdigit() or int(index) >= len(record["manifest"].get("chunks", [])):
        raise invalid(f"Chunk index {index} is out of range.")
    return statement_life.chunk(ws, record, int(index))


def cancel(ws: Workspace, call: Call) -> Json:
    """POST cancel: heard, which is not the same as done."""
    statement_life.cancel(ws, _found(ws, call))
    return {}


def view(ws: Workspace, record: Json) -> Json:
    """A statement as the API shows it."""
    state = "RUNNING" if record["state"] == "PENDING" and ws.now >= record["ready"] else record["state"]
    status: Json = {"state": state}
    for name in ("error", "sql_state"):
        if name in record:
            status[name] = record[name]
    answer: Json = {"statement_id": record["statement_id"], "status": status}
    if state == "SUCCEEDED":
        answer["manifest"] = record["manifest"]
        answer["result"] = statement_life.chunk(ws, record, 0) if record["manifest"].get("chunks") else {}
    return answer


async def _finished(ws: Workspace, record: Json, seconds: float) -> None:
    """Wait for the thread that carries it out, if it does, but not for ever."""
    future = ws.lake.running.get(record["statement_id"])
    if future is not None:
        await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
    statement_life.settle(ws)


def _checked(body: Json) -> tuple[int, bool]:
    """Seconds to wait, and whether to cancel after them."""
    text = body.get("statement")
    if not isinstance(text, str) or not text.strip():
        raise invalid("Missing required field: statement")
    if len(text.encode()) > LONGEST:
        raise invalid(f"The size of the statement exceeds the maximum of {LONGEST} bytes.")
    given = str(body.get("wait_timeout", WAIT))
    found = re.fullmatch(r"(\d+)s", given)
    if found is None or not (int(found[1]) == 0 or 5 <= int(found[1]) <= 50):
        raise invalid(f"wait_timeout must be 0 seconds or between 5 and 50 seconds, but was {given}.")
    after = body.get("on_wait_timeout", "CONTINUE")
    if after not in ("CONTINUE", "CANCEL"):
        raise invalid(f"Invalid value for on_wait_timeout: {after}")
    if body.get("disposition", "INLINE") not in ("INLINE", "EXTERNAL_LINKS"):
        raise invalid(f"Invalid value for disposition: {body['disposition']}")
    if body.get("disposition", "INLINE") != "INLINE":
        raise ApiError(501, "NOT_IMPLEMENTED", "the local Databricks does not model disposition EXTERNAL_LINKS")
    if body.get("format", "JSON_ARRAY") != "JSON_ARRAY":
        raise invalid("The INLINE disposition is supported with the JSON_ARRAY format only.")
    for name in ("row_limit", "byte_limit"):
        value = body.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise invalid(f"Invalid value for {name}: {value}. It must be a positive number.")
    return int(found[1]), after == "CANCEL"


def _record(ws: Workspace, body: Json) -> Json:
    from sandbox.databricks.sql.parameters import parameters_of

    try:
        parameters = parameters_of(body.get("parameters"))
    except ValueError as error:
        raise invalid(str(error)) from error
    return {
        "statement_id": str(uuid.uuid4()),
        "state": "PENDING",
        "at": ws.now,
        "warehouse_id": body["warehouse_id"],
        "text": body["statement"],
        "parameters": parameters,
        "catalog": str(body.get("catalog") or next(iter(ws.shelf("catalogs")), "main")).strip("`").lower(),
        "schema": str(body.get("schema") or "default").strip("`").lower(),
        "row_limit": int(body.get("row_limit", 0)),
        "byte_limit": int(body.get("byte_limit", 0)),
    }


def _slow(ws: Workspace, warehouse: Json, text: str, parameters: Json) -> int:
    """Calendar seconds that it takes, by what the fleet says of its warehouse and of the tables that it names."""
    said = " ".join([text, *(value or "" for value, _ in parameters.values())]).lower().replace("`", "")
    named = [table.habit["slow"] for table in ws.lake.tables.values() if "slow" in table.habit and table.name in said]
    return int(max([warehouse["slow"], *named]))


def _found(ws: Workspace, call: Call) -> Json:
    statement_life.settle(ws)
    record = ws.shelf("statements").get(call.named["id"])
    if record is None:
        raise ApiError(404, "NOT_FOUND", f"The statement {call.named['id']} was not found.")
    return record


ROUTES: Routes = {
    ("POST", PATH): execute,
    ("GET", PATH + "/{id}"): get,
    ("GET", PATH + "/{id}/result/chunks/{index}"): get_chunk,
    ("POST", PATH + "/{id}/cancel"): cancel,
}
