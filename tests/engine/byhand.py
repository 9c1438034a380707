"""The engine without threads, sockets and waiting: it goes round when it is told to, and each of its calls can be met.

The real engine, storage and SDK, against the real local Databricks; only the wire between the two is ours. It brings
the weather, and it is where people and deaths come in between two calls. So everything happens in one order, which is
the same each time.
"""

import functools
import json
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from requests.adapters import BaseAdapter

from crash.shared import MachineTime, StillDatabase
from engine.loop import Engine
from engine.parts import Parts
from engine.pool import Pool
from rollout.plan import Plan
from rollout.steps import Patience
from sandbox import calendar, fleets
from sandbox.databricks import build, faults
from sandbox.databricks.call import Call
from sandbox.databricks.databricks import ROUTER, Databricks
from sandbox.databricks.encoded import encode
from sandbox.databricks.errors import ApiError
from sandbox.databricks.eventual import Lag
from sandbox.databricks.workspace import Workspace
from storage import actions
from storage.clock import FileCalendar
from storage.models import KnownPerson
from storage.opening import open_rollouts
from storage.secrets import Vault
from tests.engine.harness import KEY, PEOPLE
from workspace.access import access
from workspace.client import Client

PATIENCE = Patience(http=3.0, settle=0.5)
PARALLEL = 8
#: Machine seconds between two ticks.
TICK = 1.0
READS = ("/events", "/list", "/get", "/list-compliance")


class Killed(BaseException):
    """The process is dead: nothing after it happens."""


def reads(call: Call) -> bool:
    """Whether a call only looks."""
    return call.method == "GET" or call.path.endswith(READS)


class Wire(BaseAdapter):
    """What stands between the SDK and one workspace, in place of a connection."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key
        self.world: ByHand | None = None

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """One call: what comes of it is what the world says."""
        assert self.world is not None
        parts = urllib.parse.urlsplit(str(request.url))
        call = Call(str(request.method), urllib.parse.unquote(parts.path))
        call.query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
        call.body = json.loads(request.body) if request.body else {}
        found = requests.Response()
        found.request, found.url = request, str(request.url)
        try:
            answer = self.world.carry(self.world.databricks.workspaces[self._key], call)
        except ApiError as error:
            found.status_code, content = error.status, json.dumps(error.body()).encode()
            found.headers.update(dict(error.headers))
        else:
            found.status_code, content = 200, encode(answer)
        found.headers["Content-Type"] = "application/json"
        found._content = content
        return found

    def close(self) -> None:
        """There is nothing to close."""


class _Wired(Client):
    """The real client and the real SDK on that wire."""

    def __init__(self, key: str) -> None:
        # Nobody answers there; whoever went around the wire would notice.
        super().__init__(access(host="http://127.0.0.1:9", token="sandbox"), time_limit=PATIENCE.http, read_budget=0.0)
        self.wire = Wire(key)

    def _connect(self) -> Any:
        config, api = super()._connect()
        api._api_client._session.mount("http://", self.wire)
        return config, api


@functools.cache
def wired(key: str) -> _Wired:
    """One client per workspace and process: making one takes longer than a whole stage."""
    return _Wired(key)


class Queue(Pool):
    """Work that is done when it is its turn, by whoever empties the queue."""

    def __init__(self) -> None:
        super().__init__(0, "by-hand")
        self.waiting: deque[Callable[[], object]] = deque()

    def submit(self, work: Callable[[], object]) -> bool:
        self.waiting.append(work)
        return True


class Replica(Engine):
    """An engine that goes round when it is told to. ``failed`` is what it would only have written into its log."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.queue = Queue()
        self._pool = self._looks = self._bakes = self._ticks = self.queue
        self._ticked: datetime | None = None
        self.failed: list[BaseException] = []

    def round(self) -> None:
        """One pass and, where it is time, one tick of each kind; and whatever they began."""
        now = self._parts.database.machine()
        if self._ticked is None or (now - self._ticked).total_seconds() >= TICK:
            self._ticked = now
            self._tick_schedule()
            self._tick_looks()
            self.drain()
        self.pass_once()
        self.drain()
        if self.failed:
            raise self.failed[0]

    def drain(self) -> None:
        """Do all that waits, in order."""
        while self.queue.waiting:
            self.queue.waiting.popleft()()

    def _move(self, stage_id: int, state: Any) -> None:
        with self._noting():
            super()._move(stage_id, state)

    def _once(self, name: str, work: Callable[[], object], pool: Pool) -> None:
        def noted() -> object:
            with self._noting():
                return work()
            return False

        super()._once(name, noted, pool)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.failed.append(error)


class ByHand:
    """One world: databases, workspaces and both times, which only the test moves."""

    def __init__(self, url: str, home: Path, fleet: dict[str, Any], plan: Plan) -> None:
        self.clock = home / "clock.json"
        calendar.write(self.clock, calendar.FIRST_MORNING, 0.0)
        self.calendar = FileCalendar(self.clock)
        self.time = MachineTime(calendar.FIRST_MORNING.timestamp())
        made = build.workspaces(fleets.load(fleet), int(calendar.FIRST_MORNING.timestamp() * 1000))
        self.databricks = Databricks(made, calendar.read(self.clock))
        self.databricks.lag = Lag(self.time.seconds)
        self.database = StillDatabase(url, self.time)
        self.plan = plan
        self.calls = 0
        self.calling = False  # a call is being made at this moment
        self.late_writes = 0  # so many of the coming writes are carried out after everybody gave up on them
        self._late: list[tuple[float, Workspace, Call]] = []
        self.before_call: Callable[[Workspace, Call], None] = lambda *_: None
        self.after_call: Callable[[Workspace, Call], None] = lambda *_: None
        self.around_write: Callable[[Workspace, Call, Callable[[], Any]], Any] = lambda _ws, _call, send: send()
        self.vault = Vault([KEY])
        self._replicas = 0
        open_rollouts(self.database, [plan], self.calendar())
        with self.database.write() as session:
            for user in PEOPLE:
                known = KnownPerson(user_id=user, team_id="T0TEST", available=True, checked_at=self.calendar())
                session.add(known)
        self.replica = self.new_replica()

    def new_replica(self, alone: bool = True) -> Replica:
        """Another process; ``alone``: the one before it is surely dead, as on SQLite."""
        self._replicas += 1
        clients = {key: wired(key) for key in self.databricks.workspaces}
        for client in clients.values():
            client.wire.world = self
        owner = f"replica-{self._replicas}"
        parts = Parts(self.database, self.calendar, clients, self.vault, owner, PATIENCE, PARALLEL)
        if alone:
            actions.forget_leases(self.database)
        self.replica = Replica(parts)
        return self.replica

    def pass_time(self, machine: float, on_calendar: float) -> None:
        """Let seconds pass on both clocks."""
        self.time.step(machine)
        calendar.step(self.clock, on_calendar)
        self._arrive()

    def close(self) -> None:
        """The end."""
        self.database.close()

    # -- the wire ------------------------------------------------------------------------------------------------------

    def carry(self, ws: Workspace, call: Call) -> Any:
        """Bring one call there and its answer back, as the weather is."""
        held = self.database.engine.pool.checkedout()  # type: ignore[attr-defined]
        assert not held, f"{call.method} {call.path} within a transaction"
        self.calls += 1
        self._arrive()
        self.calling = True
        try:
            self.before_call(ws, call)
        finally:
            self.calling = False
        if not reads(call) and self.late_writes:
            self.late_writes -= 1
            # As late as the engine has to reckon with, and no later.
            self._late.append((self.time.seconds() + PATIENCE.http + 0.9 * PATIENCE.settle, ws, call))
            self.time.step(PATIENCE.http / 2)  # so long the client waits for an answer
            raise requests.exceptions.ReadTimeout
        struck = self.databricks.faults.strike(ws.key, call.method, call.path)
        kind = struck.kind if struck is not None else ""
        if struck is not None:
            if kind == "slow":
                self.time.step(struck.seconds)
            if kind == "reset":
                raise requests.exceptions.ConnectionError
            if (refused := faults.refusal(struck)) is not None:
                raise refused

        def send() -> Any:
            return self._answer(ws, call, struck if kind == "eventual" else None)

        answer = send() if reads(call) else self.around_write(ws, call, send)
        self.after_call(ws, call)
        if kind == "lost-answer":
            raise requests.exceptions.ConnectionError
        return answer

    def _arrive(self) -> None:
        """What was on its way arrives when its time has come; nobody hears the answer."""
        now = self.time.seconds()
        due, self._late = [x for x in self._late if x[0] <= now], [x for x in self._late if x[0] > now]
        for _, ws, call in due:
            try:
                self.around_write(ws, call, lambda ws=ws, call=call: self._answer(ws, call, None))  # type: ignore[misc]
            except ApiError:
                continue

    def _answer(self, ws: Workspace, call: Call, late: Any) -> Any:
        return self.databricks.answer(ws, call, f"Bearer {ws.token}", late)

    # -- how it really is ----------------------------------------------------------------------------------------------

    def truth(self, ws: Workspace, path: str, **query: str) -> dict[str, Any] | None:
        """What a read would show if nothing lagged and there were no weather; None: there is no such thing."""
        call = Call("GET", path, query={name: [value] for name, value in query.items()})
        handler = ROUTER.find(call)
        assert handler is not None
        try:
            found = handler(ws, call)
        except ApiError:
            return None
        assert isinstance(found, dict)
        return found
