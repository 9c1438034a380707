"""Two replicas on one PostgreSQL: one is killed or freezes, the other takes over, and nothing is written twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from engine.loop import Engine
from rollout.states import ActionKind, ActionState, StageState
from rollout.steps import Patience
from storage.database import Database
from storage.models import Action, Backup
from tests.engine.harness import World, world
from tests.engine.test_faults import FLEET, UPDATE, restarts, updates
from workspace import clusters
from workspace.client import Client

#: Short leases (2.6 s), so that a test can wait for their end.
QUICK = Patience(http=1.0, settle=0.3)


class Killed(BaseException):
    """Nothing after it happens: neither a commit nor a rollback of ours."""


class Mortal(Database):
    """The database as one process sees it; once that process is killed it commits nothing more."""

    dead = False

    @contextmanager
    def read(self) -> Iterator[Session]:
        self._alive()
        with super().read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        self._alive()
        with super().write() as session:
            yield session
            self._alive()

    def _alive(self) -> None:
        if self.dead:
            raise Killed


class Gate:
    """Freezes one replica at the next call that it makes of one kind."""

    def __init__(self) -> None:
        self.frozen, self.thaw = threading.Event(), threading.Event()
        self._once = threading.Lock()

    def pass_through(self) -> None:
        if self._once.acquire(blocking=False):
            self.frozen.set()
            assert self.thaw.wait(60)


def replica(made: World, owner: str) -> tuple[Engine, Mortal]:
    """An engine with a database connection and clients of its own."""
    engine = made.engine(owner, QUICK, parallel=4)
    engine.stop()
    made.engines.remove(engine)
    database = Mortal(str(made.database.url.render_as_string(hide_password=False)))
    mine = Engine(replace(engine._parts, database=database, clients=dict(engine._parts.clients)))
    made.engines.append(mine)
    return mine, database


def kill(made: World, engine: Engine, database: Mortal) -> None:
    database.dead = True
    engine.die()
    made.engines.remove(engine)


@pytest.fixture
def fleet(migrated_postgresql_url: str, tmp_path: Path) -> Iterator[World]:
    with world(migrated_postgresql_url, tmp_path, FLEET) as made:
        yield made


def all_done(made: World) -> None:
    assert updates(made) == {t.object_id: 1 for t in made.targets("first")}
    with made.database.read() as session:
        assert len(session.execute(select(Backup)).scalars().all()) == 6
        left = session.execute(select(Action).where(Action.state != ActionState.DONE)).scalars().all()
        assert [(a.kind, a.state, a.reason_code) for a in left] == []


def test_two_replicas_share_a_stage(fleet: World) -> None:
    for owner in ("one", "two"):
        replica(fleet, owner)[0].start()
    fleet.looked()
    before = restarts(fleet)
    fleet.databricks.faults.add(UPDATE, "slow", seconds=0.1)
    fleet.start("first")
    fleet.until("first", StageState.REVIEW, seconds=90)
    all_done(fleet)
    after = restarts(fleet)
    assert [after[n] - before[n] for n in sorted(after)] == [0, 1, 0, 1, 0, 1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # its threads end with Killed
def test_what_a_killed_replica_had_in_hand_is_taken_over_by_the_other(fleet: World) -> None:
    first, database = replica(fleet, "one")
    first.start()
    fleet.looked()
    fleet.databricks.faults.add(UPDATE, "slow", seconds=0.5)
    fleet.start("first")
    fleet.wait(lambda: bool(fleet.databricks.calls.writes(path="clusters/update")), "a write in flight")
    second, _ = replica(fleet, "two")
    second.start()
    kill(fleet, first, database)
    fleet.databricks.faults.rules.clear()
    fleet.until("first", StageState.REVIEW, seconds=90)
    all_done(fleet)


@pytest.mark.parametrize("moment", ["before its write", "after its write"])
def test_a_replica_that_freezes_past_its_lease_writes_nothing_when_it_thaws(
    fleet: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    first, _ = replica(fleet, "one")
    first.start()
    fleet.looked()
    gate = Gate()
    theirs = first._parts.clients["dev"]
    real_read, real_apply = clusters.read, clusters.apply

    def read(client: Client, object_id: str) -> dict[str, Any]:
        found = real_read(client, object_id)
        if client is theirs and moment == "before its write" and fleet.state("first") is StageState.UPGRADING:
            gate.pass_through()
        return found

    def apply(client: Client, *arguments: Any) -> None:
        real_apply(client, *arguments)
        if client is theirs and moment == "after its write":
            gate.pass_through()

    monkeypatch.setattr(clusters, "read", read)
    monkeypatch.setattr(clusters, "apply", apply)
    fleet.start("first")
    assert gate.frozen.wait(60)
    with fleet.database.read() as session:
        held = session.execute(
            select(Action.id).where(Action.kind == ActionKind.CHANGE, Action.owner == "one")
        ).scalars()
        assert held.first() is not None
    second, _ = replica(fleet, "two")
    second.start()
    fleet.until("first", StageState.REVIEW, seconds=90)
    with capture_logs() as logs:
        gate.thaw.set()
        first.stop(20)
    fleet.engines.remove(first)
    assert "lease_lost" in {entry["event"] for entry in logs}
    all_done(fleet)


def test_a_rollback_asked_of_one_replica_holds_the_writes_of_the_other(fleet: World) -> None:
    for owner in ("one", "two"):
        replica(fleet, owner)[0].start()
    fleet.looked()
    fleet.databricks.faults.add(UPDATE, "slow", seconds=0.2)
    fleet.start("first")
    fleet.wait(lambda: len(fleet.databricks.calls.writes(path="clusters/update")) >= 2, "two writes")
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK, seconds=90)
    assert {fleet.raw("dev", "cluster", f"c{n}")["spark_version"] for n in range(6)} == {"13.3.x-scala2.12"}
    assert fleet.stage("first").block_code is None
    with fleet.database.read() as session:
        open_ = [ActionState.PENDING, ActionState.RUNNING]
        assert session.execute(select(Action.id).where(Action.state.in_(open_))).first() is None
