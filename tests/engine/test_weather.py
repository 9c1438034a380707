"""Weather: three hundred targets forward and back while every fourth call goes wrong in one way or another."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
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
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace
from storage.database import Database
from storage.models import Action, Backup, Target
from storage.secrets import Vault
from tests.engine.harness import KEY, PEOPLE, World
from workspace.access import access
from workspace.client import Client
from workspace.kinds import KINDS

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
WORKSPACES = ("dev", "test", "int", "stage", "prod", "lab")
EACH = 25  # clusters, and as many jobs, in each workspace
POLICY = "AAAA00000000000{}"
DEFINITION = f'{{"spark_version": {{"type":"fixed", "value":"{OLD}"}}}}'
PLAIN = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}
#: How much faster than the machine the time runs in which the engine waits: holds of a second, growth every ten.
FASTER = 10.0
#: Real seconds: how long a call may take, and how long reads may lag. The time limit covers both halves of a call.
HTTP, SETTLE = 3.0, 0.4
PATIENCE = Patience(http=HTTP * FASTER, settle=SETTLE * FASTER)
#: What the platform sets by itself in the configuration of a cluster; nobody configured it.
PLATFORM = {
    "state", "state_message", "start_time", "terminated_time", "last_state_loss_time", "last_activity_time",
    "last_restarted_time", "termination_reason", "driver", "executors", "jdbc_port", "cluster_cores",
    "cluster_memory_mb", "spark_context_id",
}  # fmt: skip


def fleet() -> dict[str, Any]:
    """Half of the clusters run; a policy pins every fifth target."""
    made: dict[str, Any] = {"seed": 31, "templates": {"job_clusters": {"plain": PLAIN}}, "workspaces": {}}
    for place, key in enumerate(WORKSPACES):
        policy = POLICY.format(place)
        made["templates"]["job_clusters"][f"governed-{key}"] = {**PLAIN, "policy_id": policy}
        governed = {"policy_id": policy}
        made["workspaces"][key] = {
            "policies": [
                {"policy_id": policy, "name": "etl", "definition": DEFINITION}
            ],
            "clusters": [
                {"name": f"{key}-c{n}", "state": ("RUNNING", "TERMINATED")[n % 2], "autotermination_minutes": 0,
                 **PLAIN, **(governed if n % 5 == 0 else {})}
                for n in range(EACH)
            ],
            "jobs": [
                {"name": f"{key}-j{n}", "tasks": ["load", "mart"],
                 "compute": f"governed-{key}" if n % 5 == 0 else "plain"}
                for n in range(EACH)
            ],
        }  # fmt: skip
    return made


def plan() -> Plan:
    """One stage with all of them."""
    return Plan.model_validate(
        {
            "key": "weather",
            "title": "Weather",
            "runtimes": {"source": "13.3", "target": "17.3"},
            "workspaces": list(WORKSPACES),
            "channel": "C0TEST0001",
            "roles": {key: {"title": key.title(), "members": [user]} for user, key in PEOPLE.items()},
            "capabilities": {"start": ["devops"], "rollback": ["devops"], "pause": ["devops"]},
            "stages": [
                {
                    "key": "all",
                    "title": "All",
                    "targets": {"workspaces": list(WORKSPACES)},
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
    """How one thing is configured, in the raw store."""
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

    def engine(self, owner: str = "engine-1", patience: Patience = PATIENCE, parallel: int = 16) -> Engine:
        clients = {}
        for key, ws in self.databricks.workspaces.items():
            pace = Pace(self.database, key, lambda seconds: time.sleep(seconds / FASTER))
            clients[key] = Client(
                access(host=ws.host, token=ws.token),
                time_limit=HTTP,
                read_budget=0.5,
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
                if target_kind != "policy":
                    assert (OLD in text, NEW in text) == (runtime == OLD, runtime == NEW), f"{object_id} is called done"
            state = self.state("all")
            assert state is not StageState.BLOCKED, self.bad()
            return state is aim

        while not there():
            assert time.monotonic() < until, f"not {aim} within {seconds} s: {self.bad()}"
            self.step(10)  # slowly: a target that does not come to rest within 45 minutes is stuck
            time.sleep(0.2)

    def bad(self) -> list[Any]:
        """Everything that did not end well."""
        return [
            (a.kind, a.state, a.reason_code, a.sentence)
            for a in self.actions("all")
            if a.state in (ActionState.FAILED, ActionState.CONFLICT)
        ]


@contextmanager
def weathered(url: str, home: Path) -> Iterator[Weathered]:
    """That world on a migrated database."""
    clock = home / "clock.json"
    with running(fleet(), clock_path=clock) as databricks:
        database = Faster(url)
        made = Weathered(database, databricks, clock, plan())
        try:
            made.engine()
            made.looked(300)
            yield made
        finally:
            made.stop()
            database.close()


def forward(made: Weathered, ledger: Ledger, seconds: float) -> None:
    """Start the stage, and see that every target was changed once and each running cluster came up once."""
    up = {f"{ws.key} {c.cluster_id}" for ws in made.databricks.workspaces.values() for c in ws.clusters.values()
          if c.state == "RUNNING"}  # fmt: skip
    made.start("all")
    made.through(StageState.REVIEW, ActionKind.CHANGE, NEW, seconds)
    assert set(ledger.changed.values()) == {1}
    assert len(ledger.changed) == len(WORKSPACES) * (2 * EACH + 1)
    assert not ledger.idle
    assert ledger.came_up == Counter(up)


def as_backed_up(made: Weathered) -> dict[str, tuple[Any, Any]]:
    """Everything that is not to the letter as its backup says, but for what the platform sets by itself."""
    vault, different = Vault([KEY]), {}
    with made.database.read() as session:
        rows = session.execute(select(Backup, Target).join(Target, Target.id == Backup.target_id)).all()
    assert len(rows) == len(WORKSPACES) * (2 * EACH + 1)
    for backup, target in rows:
        kind = KINDS[target.kind]
        now = kind.backup_of(kind.read(made.client(target.workspace), target.object_id))
        was = vault.open(backup.ciphertext)
        if configured(was) != configured(now):
            different[target.name] = configured(was), configured(now)
    return different


def configured(raw: Mapping[str, Any]) -> str:
    """The letters of what was configured."""
    return json.dumps({k: v for k, v in raw.items() if k not in PLATFORM}, sort_keys=True)


@pytest.fixture(scope="module")
def undisturbed(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], dict[str, str]]:
    """How everything is configured before a stage, and after one in fine weather."""
    home = tmp_path_factory.mktemp("undisturbed")
    (home / "rollout.db").write_bytes(sqlite_template.read_bytes())
    with weathered(f"sqlite:///{home / 'rollout.db'}", home) as made:
        before = configurations(made.databricks)
        forward(made, Ledger(made.databricks), 300)
        return before, configurations(made.databricks)


@pytest.mark.soak
def test_three_hundred_targets_go_forward_and_back_through_bad_weather(
    migrated_url: str, tmp_path: Path, undisturbed: tuple[dict[str, str], dict[str, str]]
) -> None:
    before, after = undisturbed
    with weathered(migrated_url, tmp_path) as made:
        assert configurations(made.databricks) == before
        ledger = Ledger(made.databricks)
        faults(made.databricks)
        began = time.monotonic()
        forward(made, ledger, 900)
        print(f"forward in {time.monotonic() - began:.0f} s", made.databricks.calls.next, "calls")
        assert configurations(made.databricks) == after
        assert {a.state for a in made.actions("all")} == {ActionState.DONE}
        ledger.turn()
        began = time.monotonic()
        made.roll_back("all")
        made.through(StageState.ROLLED_BACK, ActionKind.REVERT, OLD, 900)
        print(f"back in {time.monotonic() - began:.0f} s", {f.kind: f.hits for f in made.databricks.faults.rules})
        assert made.stage("all").block_code is None, made.bad()
        assert configurations(made.databricks) == before
        assert set(ledger.changed.values()) == {1}
        assert not ledger.idle
        made.databricks.faults.clear()
        made.databricks.lag.clear()
        assert as_backed_up(made) == {}
