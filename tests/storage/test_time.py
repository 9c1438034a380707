"""Machine time, leases and locks when processes freeze, clocks jump and writers queue."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from engine.lock import EngineLock, EngineRunning
from storage import leases
from storage.database import Database
from storage.models import Lease, Workspace


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    made = Database(migrated_url)
    yield made
    made.close()


@pytest.fixture
def sqlite(migrated_sqlite_url: str) -> Iterator[Database]:
    made = Database(migrated_sqlite_url)
    yield made
    made.close()


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-2, 2])
def test_machine_time_does_not_jump_when_the_clock_of_the_machine_is_set(
    database: Database, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    before = database.machine()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    after = database.machine()
    assert timedelta() <= after - before < timedelta(minutes=1)
    with database.read() as session:
        assert abs(database.machine_now(session) - after) < timedelta(minutes=1)


# -- leases ------------------------------------------------------------------------------------------------------------


def until(database: Database, name: str) -> float:
    with database.read() as session:
        return session.execute(select(Lease.until).where(Lease.name == name)).scalar_one().timestamp()


def test_a_lease_is_renewed_while_its_work_lasts_and_free_at_once_afterwards(database: Database) -> None:
    with leases.held(database, "x", "a", seconds=6.0) as lease:
        assert lease is not None
        first = until(database, "x")
        patience = time.monotonic() + 60
        while until(database, "x") <= first:
            assert time.monotonic() < patience, "it is not renewed"
            time.sleep(0.02)
        assert lease.ours()
        with leases.held(database, "x", "b", seconds=6.0) as other:
            assert other is None
    with leases.held(database, "x", "b", seconds=6.0) as other:
        assert other is not None


def test_who_was_frozen_longer_than_its_lease_knows_that_it_is_lost(database: Database) -> None:
    with leases.held(database, "x", "a", seconds=30) as lease:
        assert lease is not None
        with database.write() as session:
            session.execute(select(Lease)).scalar_one().until -= timedelta(seconds=60)
        assert leases.take(database, "x", "b", 30)
        lease.renew()
        assert not lease.ours()
    assert not leases.take(database, "x", "a", 30), "what was lost is not given back"


# -- locks -------------------------------------------------------------------------------------------------------------


def test_postgresql_ends_the_transaction_of_a_process_that_froze_in_it(migrated_postgresql_url: str) -> None:
    database = Database(migrated_postgresql_url)
    for _ in range(2):  # also when the connection comes back from the pool
        with database.read() as session:
            shown = session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
            assert shown == "30s"
    database.close()


def test_a_writer_that_waits_gets_its_turn_before_one_that_comes_again(sqlite: Database) -> None:
    turns, waiting, served = [0], threading.Event(), threading.Event()
    behind: list[int] = []

    def busy() -> None:
        while not served.is_set():
            with sqlite.write() as session:
                session.execute(select(Workspace.id)).first()
                turns[0] += 1
                waiting.wait(60)
                time.sleep(0.005)

    def patient() -> None:
        asked = turns[0]
        with sqlite.write():
            behind.append(turns[0] - asked)
        served.set()

    first = threading.Thread(target=busy)
    first.start()
    while turns[0] == 0:
        time.sleep(0.001)
    second = threading.Thread(target=patient)
    second.start()
    while not sqlite._writers._waiting:  # it has asked, and the other one has its turn until it is told to go on
        time.sleep(0.001)
    waiting.set()
    second.join(60)
    served.set()
    first.join(60)
    assert behind, "it never got its turn"
    assert behind[0] <= 1


def test_one_engine_runs_on_a_file_whatever_it_is_called(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    (real / "other.db").symlink_to(real / "rollout.db")
    (real / "rollout.db").touch()
    lock = EngineLock(real / "rollout.db")
    for name in (real / "rollout.db", tmp_path / "link" / "rollout.db", real / "other.db"):
        with pytest.raises(EngineRunning, match="pid"):
            EngineLock(name)
    lock.release()
    EngineLock(tmp_path / "link" / "rollout.db").release()
