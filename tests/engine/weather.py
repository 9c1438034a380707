"""Weather: an engine in its own pace against a local Databricks at which every fourth call goes wrong."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.loop import Engine
from engine.pace import Pace
from engine.parts import Parts
from rollout.plan import Plan
from rollout.states import ActionKind, ActionState, StageState
from rollout.steps import Patience
from sandbox.databricks.call import Call
from sandbox.databricks.databricks import Databricks, _reads
from sandbox.databricks.server import Fleet, running
from sandbox.databricks.workspace import Workspace
from storage.backups import CONFIGURATION, place_of
from storage.database import Database
from storage.models import Action, Backup, Target
from storage.secrets import Vault
from tests.engine.harness import KEY, PEOPLE, World
from workspace.access import access
from workspace.client import Client
from workspace.kinds import KINDS

OLD, NEW = "13.3.x-", "17.3.x-"
#: How much faster than the machine the time runs in which the engine waits: holds of a second, growth every ten.
FASTER = 10.0
#: Real seconds: how long a call may take, and how long reads may lag. The time limit covers both halves of a call.
HTTP, SETTLE = 3.0, 0.4
PATIENCE = Patience(http=HTTP * FASTER, settle=SETTLE * FASTER)
#: What the platform sets by itself in the configuration of a cluster or pool; nobody configured it.
PLATFORM = {
    "state", "state_message", "start_time", "terminated_time", "last_state_loss_time", "last_activity_time",
    "last_restarted_time", "termination_reason", "driver", "executors", "jdbc_port", "cluster_cores",
    "cluster_memory_mb", "spark_context_id",
    "stats",  # how many instances of a pool are used at the moment
}  # fmt: skip


def plan(workspaces: Sequence[str]) -> Plan:
    """One stage with everything in them."""
    return Plan.model_validate(
        {
            "key": "weather",
            "title": "Weather",
            "runtimes": {"source": "13.3", "target": "17.3"},
            "workspaces": list(workspaces),
            "channel": "C0TEST0001",
            "roles": {key: {"title": key.title(), "members": [user]} for user, key in PEOPLE.items()},
            "capabilities": {"start": ["devops"], "rollback": ["devops"], "pause": ["devops"]},
            "stages": [
                {
                    "key": "all",
                    "title": "All",
                    "targets": {"workspaces": list(workspaces)},
                    "sign_offs": {"qa": 1},
                    "max_parallel": 8,
                }
            ],
        }
    )


class Faster(Database):
    """A database whose machine time runs faster, so that what the engine waits for comes sooner.

    The time limits of calls are real: ``PATIENCE`` says how long they are in this time.
    """

    _began = time.monotonic()

    def machine_now(self, session: Session) -> datetime:
        return self.machine()

    def machine(self) -> datetime:
        passed = time.monotonic() - self._began
        return datetime.fromtimestamp(1_790_000_000 + FASTER * passed, UTC)


class Ledger:
    """What the writes did to each configuration, whatever was answered."""

    def __init__(self, databricks: Databricks) -> None:
        self.changed: Counter[str] = Counter()
        self.idle: Counter[str] = Counter()
        self._databricks, self._real = databricks, databricks.answer
        self._events = self._ups()
        databricks.answer = self._answer  # type: ignore[method-assign]

    def turn(self) -> None:
        """The other direction begins."""
        self.changed.clear()
        self.idle.clear()
        self._events = self._ups()

    @property
    def came_up(self) -> Counter[str]:
        """Clusters that were started or restarted in this direction."""
        return self._ups() - self._events

    def _answer(self, ws: Workspace, call: Call, authorization: str, late: Any = None) -> Any:
        if _reads(call):
            return self._real(ws, call, authorization, late)
        ws.advance(self._databricks.now())
        thing = next((f"{ws.key} {v}" for k, v in call.body.items() if k in ("cluster_id", "job_id", "policy_id")), "")
        before = configuration(ws, thing)
        answer = self._real(ws, call, authorization, late)
        if not thing:
            return answer  # a new pool, permissions
        (self.idle if configuration(ws, thing) == before else self.changed)[thing] += 1
        return answer

    def _ups(self) -> Counter[str]:
        return Counter(
            f"{ws.key} {c.cluster_id}"
            for ws in self._databricks.workspaces.values()
            for c in ws.clusters.values()
            for event in c.events
            if event["type"] in ("STARTING", "RESTARTING")
        )


def configuration(ws: Workspace, thing: str) -> str:
    """How one thing is configured, in the raw store, to the letter."""
    name = thing.split(" ")[-1]
    if name in ws.clusters:
        found: Any = ws.clusters[name].spec
    elif name.isdigit() and int(name) in ws.jobs:
        found = ws.jobs[int(name)].settings
    else:
        found = ws.shelf("policies").get(name)
    return json.dumps(found, sort_keys=True)


def configurations(databricks: Databricks) -> dict[str, str]:
    """All of them, by workspace and id."""
    return {
        f"{ws.key} {name}": configuration(ws, f"{ws.key} {name}")
        for ws in databricks.workspaces.values()
        for name in (*ws.clusters, *ws.jobs, *ws.shelf("policies"))
    }


def faults(databricks: Databricks) -> None:
    """5 % of each; one in five of the slow answers comes after everybody gave up waiting."""
    for seed, (kind, rate, seconds) in enumerate(
        [
            ("429", 0.05, 0.0),
            ("500", 0.05, 0.0),
            ("reset", 0.05, 0.0),
            ("lost-answer", 0.05, 0.0),
            ("slow", 0.04, 0.2),
            ("slow", 0.01, 0.6 * HTTP),
            ("eventual", 0.05, 0.6 * SETTLE),
        ]
    ):
        databricks.faults.add("/api/2.*", kind, rate, seconds=seconds, seed=seed)


class Weathered(World):
    """A world in which the engine's time runs faster, with the pace that the bot really keeps."""

    #: Real seconds in which a read is tried again.
    read_budget = 0.5

    def engine(self, owner: str = "engine-1", patience: Patience = PATIENCE, parallel: int = 16) -> Engine:
        clients = {}
        for key, ws in self.databricks.workspaces.items():
            pace = Pace(self.database, key, lambda seconds: time.sleep(seconds / FASTER))
            clients[key] = Client(
                access(host=ws.host, token=ws.token),
                time_limit=HTTP,
                read_budget=self.read_budget,
                permit=pace.permit,
                throttled=pace.throttled,
            )
        engine = Engine(Parts(self.database, self.calendar, clients, Vault([KEY]), owner, patience, parallel))
        engine.start()
        self.engines.append(engine)
        return engine

    def through(self, aim: StageState, kind: ActionKind, runtime: str, seconds: float) -> None:
        """Wait until the stage is there; whatever is called done meanwhile is so in the raw store."""
        known: set[int] = set()
        until = time.monotonic() + seconds

        def there() -> bool:
            with self.database.read() as session:
                done = session.execute(
                    select(Action.id, Target.workspace, Target.kind, Target.object_id)
                    .join(Target, Target.id == Action.target_id)
                    .where(Action.kind == kind, Action.state == ActionState.DONE, Action.id.not_in(known or {0}))
                ).all()
            for action_id, workspace, target_kind, object_id in done:
                known.add(action_id)
                text = configuration(self.databricks.workspaces[workspace], object_id)
                if target_kind in ("cluster", "job"):
                    assert (OLD in text, NEW in text) == (runtime == OLD, runtime == NEW), f"{object_id} is called done"
            state = self.state("all")
            assert state is not StageState.BLOCKED, self.bad()
            return state is aim

        while not there():
            assert time.monotonic() < until, f"not {aim} within {seconds} s: {self.bad()}"
            self.step(10)  # slowly: a target that does not come to rest within 45 minutes is stuck
            time.sleep(0.2)

    def back(self, ledger: Ledger, seconds: float) -> None:
        """Roll the stage back: all of it is put back, and nothing was written twice."""
        ledger.turn()
        began = time.monotonic()
        self.roll_back("all")
        self.through(StageState.ROLLED_BACK, ActionKind.REVERT, OLD, seconds)
        print(f"back in {time.monotonic() - began:.0f} s", {f.kind: f.hits for f in self.databricks.faults.rules})
        assert self.stage("all").block_code is None, self.bad()
        assert set(ledger.changed.values()) == {1}
        assert not ledger.idle

    def clear_up(self) -> None:
        """No faults, and nothing lags, from here on."""
        self.databricks.faults.clear()
        self.databricks.lag.clear()

    def bad(self) -> list[Any]:
        """Everything that did not end well."""
        return [
            (a.kind, a.state, a.reason_code, a.sentence)
            for a in self.actions("all")
            if a.state in (ActionState.FAILED, ActionState.CONFLICT)
        ]


@contextmanager
def weathered(url: str, home: Path, fleet: Fleet, read_budget: float = 0.5) -> Iterator[Weathered]:
    """That world on a migrated database, with a fleet by its name or content."""
    clock = home / "clock.json"
    with running(fleet, clock_path=clock) as databricks:
        database = Faster(url)
        made = Weathered(database, databricks, clock, plan(list(databricks.workspaces)))
        made.read_budget = read_budget
        try:
            made.engine()
            made.looked(300)
            yield made
        finally:
            made.stop()
            database.close()


def as_backed_up(made: Weathered) -> tuple[int, dict[str, tuple[Any, Any]]]:
    """How many backups there are, and everything that is not to the letter as its backup says, but for what the
    platform sets by itself."""
    vault, different = Vault([KEY]), dict[str, tuple[Any, Any]]()
    with made.database.read() as session:
        rows = session.execute(select(Backup, Target).join(Target, Target.id == Backup.target_id)).all()
    for backup, target in rows:
        kind = KINDS[target.kind]
        now = kind.backup_of(kind.read(made.client(target.workspace), target.object_id))
        was = place_of(target, backup).opened(vault, backup.ciphertext, CONFIGURATION, backup.digest)
        if configured(was) != configured(now):
            different[target.name] = configured(was), configured(now)
    return len(rows), different


def configured(raw: Mapping[str, Any]) -> str:
    """The letters of what was configured."""
    return json.dumps({k: v for k, v in raw.items() if k not in PLATFORM}, sort_keys=True)
