"""All workspaces of one sandbox, on one calendar: what the HTTP side calls. Knows no sockets."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox import calendar
from sandbox.calendar import Clock
from sandbox.databricks import (
    clusters,
    compliance,
    files,
    identity,
    instance_pools,
    jobs,
    libraries,
    permissions,
    pipelines,
    policies,
    policy_families,
    runs,
    statement_life,
    statements,
    unity,
    unity_access,
    unity_storage,
    warehouses,
)
from sandbox.databricks.call import Answer, Call, Routes
from sandbox.databricks.errors import ApiError, Json
from sandbox.databricks.eventual import Lag
from sandbox.databricks.faults import READING, Fault, Faults
from sandbox.databricks.rates import Rates
from sandbox.databricks.routes import Router
from sandbox.databricks.workspace import Workspace

logger = logging.getLogger("sandbox.databricks")

DATA = (warehouses.ROUTES, statements.ROUTES, unity.ROUTES, unity_access.ROUTES, unity_storage.ROUTES)

FAMILIES: tuple[Routes, ...] = (
    clusters.ROUTES,
    jobs.ROUTES,
    runs.ROUTES,
    pipelines.ROUTES,
    files.ROUTES,
    identity.ROUTES,
    permissions.ROUTES,
    policies.ROUTES,
    policy_families.ROUTES,
    compliance.ROUTES,
    instance_pools.ROUTES,
    libraries.ROUTES,
    *DATA,
)
"""Every method that is modelled. A new API family is a new module and its ROUTES here."""

ROUTER = Router(FAMILIES)

CALLS_KEPT = 200_000
NOTHING = contextlib.nullcontext()


@dataclass(frozen=True, slots=True)
class Logged:
    """One request as it was answered; status 0 means that the client got no answer."""

    number: int
    workspace: str
    method: str
    path: str
    status: int
    target: str
    """The cluster, job or run that it named."""
    at: int

    def as_json(self) -> Json:
        """What GET /sandbox/calls shows."""
        return {name: getattr(self, name) for name in self.__slots__}


class Calls:
    """The log of requests, the latest ones."""

    def __init__(self) -> None:
        self._entries: deque[Logged] = deque(maxlen=CALLS_KEPT)
        self._numbers = itertools.count(1)
        self.next = 1

    def note(self, ws: Workspace, call: Call, status: int) -> None:
        """Write down one request."""
        named = call.body if isinstance(call.body, dict) else {}
        target = next(
            (
                str(found)
                for name in ("cluster_id", "job_id", "run_id")
                if (found := named.get(name) or call.text(name))
            ),
            "",
        )
        number = next(self._numbers)
        self._entries.append(Logged(number, ws.key, call.method, call.path, status, target, ws.now))
        self.next = number + 1

    def since(self, number: int) -> list[Logged]:
        """Those with this number or a later one."""
        return [entry for entry in list(self._entries) if entry.number >= number]

    def writes(self, target: str = "", path: str = "") -> list[Logged]:
        """The changing calls that got through, of one target or path (ending)."""
        return [
            entry
            for entry in list(self._entries)
            if entry.method != "GET"
            and not entry.path.endswith(READING)
            and target in ("", entry.target)
            and entry.path.endswith(path)
        ]

    def __iter__(self) -> Iterator[Logged]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


class Databricks:
    """The workspaces, their calendar, the faults and the log of calls."""

    def __init__(self, workspaces: Iterable[Workspace], clock: Clock) -> None:
        self.workspaces: dict[str, Workspace] = {ws.key: ws for ws in workspaces}
        self.clock = clock
        self.faults = Faults()
        self.lag = Lag()
        self.rates = Rates()
        self.calls = Calls()
        self.admin = ""
        """Where `/sandbox/*` is answered, once the server listens."""

    def step(self, seconds: float) -> None:
        """Move the calendar ahead: what tests do instead of waiting."""
        calendar.step(self.clock.path, seconds)

    def now(self) -> int:
        """The calendar, in milliseconds."""
        return self.clock.milliseconds()

    def advance(self) -> None:
        """Let everything happen that was due, in every workspace."""
        now = self.now()
        for ws in self.workspaces.values():
            ws.advance(now)

    def next_plan(self) -> int:
        """The next instant at which anything may happen; 0 when nothing will."""
        self.advance()
        return min((at for ws in self.workspaces.values() if (at := ws.next_plan())), default=0)

    def changes(self) -> int:
        """Grows with whatever happens."""
        return sum(ws.changes for ws in self.workspaces.values())

    def close(self) -> None:
        """End what goes on beside the answering of requests."""
        for ws in self.workspaces.values():
            ws.lake.end()
            statement_life.settle(ws)
            ws.lake.clear()

    def answer(self, ws: Workspace, call: Call, authorization: str, late: Fault | None = None) -> Answer:
        """The answer of a workspace to a request with a token; raises ApiError. `late`: readers see it later."""
        handler = identity.OPEN.get((call.method, call.path))
        if handler is None:
            identity.authorise(ws, authorization)
            self.rates.take(ws.key, call)
            handler = ROUTER.find(call)
        if handler is None:
            message = f"the local Databricks does not model {call.method} {call.path}"
            logger.error("501 %s: %s", ws.key, message)
            raise ApiError(501, "NOT_IMPLEMENTED", message)
        ws.advance(self.now())
        with self.lag.writing(ws, call, late) if late else self.lag.reading(ws, call) if _reads(call) else NOTHING:
            return handler(ws, call)


def _reads(call: Call) -> bool:
    return call.method == "GET" or call.path.endswith(READING)
