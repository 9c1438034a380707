"""The local Databricks under observation: which writes changed something, what restarted, how everything stands."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from crash.shared import MachineTime
from sandbox.calendar import Clock
from sandbox.databricks.call import Answer, Call
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.errors import ApiError, Json
from sandbox.databricks.faults import Fault
from sandbox.databricks.workspace import Workspace

_READS: Final = ("/events", "/list", "/get")
_COMES_UP: Final = ("STARTING", "RESTARTING")
_UP: Final = ("RUNNING", "RESIZING", "PENDING", "RESTARTING")


@dataclass(slots=True)
class Ledger:
    """What happened since one direction began: counts by "path target"."""

    changed: Counter[str] = field(default_factory=Counter)  # writes that changed a configuration
    idle: Counter[str] = field(default_factory=Counter)  # writes that were taken and changed nothing
    refused: Counter[str] = field(default_factory=Counter)
    came_up: Counter[str] = field(default_factory=Counter)  # starts and restarts, by cluster


class Observed(Databricks):
    """The workspaces, and a ledger of what is done to them."""

    def __init__(self, workspaces: Sequence[Workspace], clock: Clock, time: MachineTime) -> None:
        super().__init__(workspaces, clock)
        self._time = time
        self._before: Counter[str] = Counter()
        self._late: tuple[float, Workspace, Call] | None = None
        self.ledger = Ledger()
        self.begin()

    def begin(self) -> None:
        """Another direction begins: a fresh ledger."""
        self.ledger = Ledger()
        self._before = self._events()

    def ledger_of_direction(self) -> Ledger:
        """The ledger of this direction, complete."""
        self.ledger.came_up = self._events() - self._before
        return self.ledger

    def later(self, host: str, method: str, path: str, body: Json, seconds: float) -> None:
        """A call whose sender has died is still on its way: it arrives so many machine seconds from now."""
        ws = next(ws for ws in self.workspaces.values() if ws.host == host)
        self._late = (self._time.seconds() + seconds, ws, Call(method, path, body=body))

    @property
    def awaited(self) -> bool:
        """Whether a call is still on its way."""
        return self._late is not None

    def answer(self, ws: Workspace, call: Call, authorization: str, late: Fault | None = None) -> Answer:
        """As the real one; a late call whose time has come arrives just before."""
        if self._late is not None and self._time.seconds() >= self._late[0]:
            _, theirs, sent = self._late
            self._late = None
            with suppress(ApiError):  # nobody is there to read it
                self._observe(theirs, sent, f"Bearer {theirs.token}")
        return self._observe(ws, call, authorization, late)

    def _observe(self, ws: Workspace, call: Call, authorization: str, late: Fault | None = None) -> Answer:
        if call.method == "GET" or call.path.endswith(_READS):
            return super().answer(ws, call, authorization, late)
        named = next((f"{call.body[name]}" for name in call.body if name.endswith("_id")), "")
        what = f"{call.path} {self._name(ws, named)}"
        ws.advance(self.now())  # what was due anyway is not the doing of this call
        before = json.dumps(configurations(ws), sort_keys=True)
        try:
            answer = super().answer(ws, call, authorization, late)
        except ApiError:
            self.ledger.refused[what] += 1
            raise
        same = json.dumps(configurations(ws), sort_keys=True) == before
        (self.ledger.idle if same else self.ledger.changed)[what] += 1
        return answer

    def _events(self) -> Counter[str]:
        return Counter(
            f"{ws.key} {cluster.name}"
            for ws in self.workspaces.values()
            for cluster in ws.clusters.values()
            for event in cluster.events
            if event["type"] in _COMES_UP
        )

    @staticmethod
    def _name(ws: Workspace, named: str) -> str:
        if named in ws.clusters:
            return ws.clusters[named].name
        if named.isdigit() and int(named) in ws.jobs:
            return ws.jobs[int(named)].name
        return named


def configurations(ws: Workspace) -> Json:
    """Everything of a workspace that people configured and no clock moves, by kind and name."""
    return {
        "clusters": {c.name: {"spec": c.spec, "asked": c.asked, "pinned": c.pinned} for c in ws.clusters.values()},
        "jobs": {j.name: {"settings": j.settings, "run_as": j.run_as} for j in ws.jobs.values()},
        **{name: shelf for name, shelf in sorted(ws.shelves.items()) if shelf},
    }


def stand(databricks: Databricks) -> Json:
    """How everything stands now: configurations, and which clusters are up."""
    databricks.advance()
    found = {ws.key: configurations(ws) for ws in databricks.workspaces.values()}
    up = {f"{ws.key} {c.name}": _state(c.state) for ws in databricks.workspaces.values() for c in ws.clusters.values()}
    copy: Json = json.loads(json.dumps({"configurations": found, "clusters_up": up}, sort_keys=True))
    return copy


def _state(state: str) -> Any:
    return "up" if state in _UP else state


def targets_of(standing: Json) -> Iterator[tuple[str, Json]]:
    """The configurations that a way back must leave as they were; a pool that was added is kept."""
    for workspace, kinds in standing["configurations"].items():
        for kind, things in kinds.items():
            if "pool" not in kind:
                yield f"{workspace}.{kind}", things
