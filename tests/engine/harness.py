"""A rollout on a real database, against the local Databricks, with a calendar that the test steps."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from engine.loop import Engine
from engine.parts import Parts
from rollout.gates import Refuse
from rollout.plan import Plan
from rollout.states import ActionState, StageState
from rollout.steps import Patience
from sandbox import calendar as sandbox_calendar
from sandbox.databricks.server import running
from storage import facts, intents, intents_rollback, intents_signing
from storage.acting import Who
from storage.clock import FileCalendar
from storage.database import Database
from storage.keyring import Keyring
from storage.models import Action, KnownPerson, Rollout, Stage, Target, Workspace
from storage.opening import open_rollouts
from storage.secrets import Vault
from workspace.access import access
from workspace.client import Client

KEY = "qC1Yx0d4ZrY3bG0cQm9tq0o8c0k5mQe1l3JcC2m1m1s="
OPS = Who("U0OPS00001", "T0TEST", surface="terminal")
PEOPLE = {"U0OPS00001": "devops", "U0LEAD0001": "lead", "U0QA000001": "qa"}
PATIENCE = Patience(http=3.0, settle=0.3)


def plan_of_two(**canary: Any) -> Plan:
    """Stages first (workspace dev) and second (workspace prod); one signs each."""
    roles = {key: {"title": key.title(), "members": [user]} for user, key in PEOPLE.items()}
    return Plan.model_validate(
        {
            "key": "test",
            "title": "Test",
            "runtimes": {"source": "13.3", "target": "17.3"},
            "workspaces": ["dev", "prod"],
            "channel": "C0TEST0001",
            "roles": roles,
            "capabilities": {"start": ["devops"], "rollback": ["devops", "qa"], "pause": ["devops"]},
            "stages": [
                {
                    "key": "first",
                    "title": "First",
                    "targets": {"workspaces": ["dev"]},
                    "sign_offs": {"qa": 1},
                    "max_parallel": 4,
                    "criteria": [
                        {"key": "on", "title": "On", "source": "x", "by": "check", "check": "targets_on_target_runtime"}
                    ],
                },
                {
                    "key": "second",
                    "title": "Second",
                    "targets": {"workspaces": ["prod"]},
                    "sign_offs": {"lead": 1},
                    "bake": 86400,
                    **canary,
                },
            ],
        }
    )


def plan_of_second() -> Plan:
    """Only the stage that bakes."""
    plan = plan_of_two()
    return plan.model_copy(update={"stages": plan.stages[1:]})


class World:
    """The database, the local Databricks, the clock, and an engine that can be stopped and started anew."""

    def __init__(self, database: Database, databricks: Any, clock: Path, plan: Plan) -> None:
        self.database, self.databricks, self.clock, self.plan = database, databricks, clock, plan
        self.calendar = FileCalendar(clock)
        self.engines: list[Engine] = []
        open_rollouts(database, [plan], self.calendar())
        with database.write() as session:
            for user in PEOPLE:
                session.add(KnownPerson(user_id=user, team_id="T0TEST", available=True, checked_at=datetime.now(UTC)))

    def engine(self, owner: str = "engine-1", patience: Patience = PATIENCE, parallel: int = 8) -> Engine:
        clients = {
            key: Client(access(host=ws.host, token=ws.token), time_limit=patience.http, read_budget=2.0)
            for key, ws in self.databricks.workspaces.items()
        }
        parts = Parts(self.database, self.calendar, clients, Vault([KEY]), owner, patience, parallel)
        engine = Engine(parts)
        engine.start()
        self.engines.append(engine)
        return engine

    def stop(self) -> None:
        while self.engines:
            self.engines.pop().stop()

    def step(self, seconds: float) -> None:
        sandbox_calendar.step(self.clock, seconds)

    def rollout_id(self) -> int:
        with self.database.read() as session:
            return session.execute(select(Rollout.id)).scalar_one()

    def stage(self, key: str) -> Stage:
        with self.database.read() as session:
            return session.execute(select(Stage).where(Stage.key == key)).scalar_one()

    def targets(self, key: str) -> list[Target]:
        with self.database.read() as session:
            return list(session.execute(select(Target).where(Target.stage_key == key).order_by(Target.id)).scalars())

    def actions(self, key: str) -> list[Action]:
        stage = self.stage(key)
        with self.database.read() as session:
            return list(
                session.execute(select(Action).where(Action.stage_id == stage.id).order_by(Action.id)).scalars()
            )

    def wait(self, done: Callable[[], bool], what: str, seconds: float = 60.0, step: float = 0.0) -> None:
        """Wait until ``done``; steps the calendar by ``step`` seconds between looks, so that states settle."""
        until = time.monotonic() + seconds
        while not done():
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds} s: {what}")
            if step:
                self.step(step)
            for engine in self.engines:
                engine.wake()
            time.sleep(0.05)

    def looked(self, seconds: float = 60.0) -> None:
        def all_looked() -> bool:
            with self.database.read() as session:
                standing = facts.standing(session, session.get(Rollout, self.rollout_id()))
                return all(w.looked_at is not None for w in standing.workspaces.values())

        self.wait(all_looked, "the first look", seconds)

    def start(self, key: str) -> None:
        with self.database.read() as session:
            digest = facts.digest_of(facts.change_set(session, self.rollout_id(), key))
        done = intents.start(self.database, OPS, self.calendar(), self.rollout_id(), key, digest)
        assert not isinstance(done, Refuse), done

    def roll_back(self, *keys: str) -> None:
        done = intents_rollback.roll_back(self.database, OPS, self.calendar(), self.rollout_id(), keys, "test")
        assert not isinstance(done, Refuse), done

    def approve(self, key: str, user: str = "U0QA000001") -> None:
        who = Who(user, "T0TEST", surface="terminal")
        done = intents_signing.approve(self.database, who, self.calendar(), self.rollout_id(), key)
        assert not isinstance(done, Refuse), done

    def unlock(self, key: str) -> None:
        done = intents_rollback.unlock(self.database, OPS, self.calendar(), self.rollout_id(), key, "test")
        assert not isinstance(done, Refuse), done
        self.look_again()
        self.looked_again()

    def look_again(self) -> None:
        with self.database.write() as session:
            session.execute(update(Workspace).values(look_wanted_at=self.calendar()))

    def looked_again(self) -> None:
        def done() -> bool:
            with self.database.read() as session:
                return not any(session.execute(select(Workspace.look_wanted_at)).scalars())

        self.wait(done, "a fresh look")

    def state(self, key: str) -> StageState:
        return self.stage(key).state

    def until(self, key: str, *states: StageState, seconds: float = 180.0) -> StageState:
        try:
            self.wait(lambda: self.state(key) in states, f"{key} in {[str(s) for s in states]}", seconds, step=30)
        except AssertionError as error:
            unfinished = [
                (a.kind, a.state, a.attempt, a.looks, a.intent_at, a.written_at, a.poll_at, a.lease_until, a.sentence)
                for a in self.actions(key)
                if a.state is not ActionState.DONE
            ]
            raise AssertionError(f"{error}; it is {self.state(key)}: {unfinished}") from None
        return self.state(key)

    def client(self, workspace: str) -> Client:
        """A client of the test's own."""
        ws = self.databricks.workspaces[workspace]
        return Client(access(host=ws.host, token=ws.token))

    def sunday(self) -> datetime:
        """Next Sunday, half past one."""
        now = self.calendar()
        return now.replace(hour=1, minute=30) + timedelta(days=6 - now.weekday())

    def raw(self, workspace: str, kind: str, name: str) -> Mapping[str, Any]:
        """The raw configuration, as the local Databricks holds it."""
        client = self.client(workspace)
        if kind == "cluster":
            found = client.get("/api/2.1/clusters/list", {"page_size": 100})["clusters"]
            return next(c for c in found if c["cluster_name"] == name)
        found = client.get("/api/2.2/jobs/list", {"limit": 100, "expand_tasks": "true"})["jobs"]
        return next(j for j in found if j["settings"]["name"] == name)


@contextmanager
def world(database_url: str, tmp_path: Path, fleet: Any, plan: Plan | None = None) -> Iterator[World]:
    """A whole world on a migrated database; everything is stopped at the end."""
    clock = tmp_path / "clock.json"
    with running(fleet, clock_path=clock) as databricks:
        database = Database(database_url, keyring=Keyring([KEY]))
        made = World(database, databricks, clock, plan or plan_of_two())
        try:
            yield made
        finally:
            made.stop()
            database.close()
