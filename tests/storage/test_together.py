"""Writes of several threads in one transaction: told when it is committed, and each told only what concerns it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from storage.database import Database
from storage.models import Lease

UNTIL = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    made = Database(migrated_url)
    yield made
    made.close()


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.execute(select(Lease.name).order_by(Lease.name)).scalars())


def add(name: str) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        session.add(Lease(name=name, owner="me", epoch=1, until=UNTIL))
        session.flush()
        return name

    return work


class Crowd:
    """Pieces of work that all wait while the first one is being written."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.commits = 0
        self.last: Callable[[Session], None] | None = None
        self._pool = ThreadPoolExecutor(8)
        event.listen(database.engine, "commit", self._count)

    def _count(self, _: Any) -> None:
        self.commits += 1

    def write(self, *pieces: tuple[int, Callable[[Session], Any]]) -> list[Future[Any]]:
        """Each with its place in the order; they have ended when this returns."""
        inside, go_on = threading.Event(), threading.Event()

        def first(session: Session) -> None:
            inside.set()
            assert go_on.wait(10)

        leading = self._pool.submit(self.database.write_together, 1, (0,), first)
        assert inside.wait(10)
        waiting = [
            self._pool.submit(self.database.write_together, 1, (place,), work, self.last) for place, work in pieces
        ]
        until = time.monotonic() + 10
        while len(self.database._together._waiting[1]) < len(pieces):
            assert time.monotonic() < until
            time.sleep(0.005)
        self.commits = 0
        go_on.set()
        for one in (leading, *waiting):
            one.exception(10)
        return waiting


@pytest.fixture
def crowd(database: Database) -> Crowd:
    return Crowd(database)


def test_what_comes_while_one_is_written_is_committed_at_once(crowd: Crowd) -> None:
    done = crowd.write(*((n, add(f"n{n}")) for n in range(5)))
    assert [one.result() for one in done] == ["n0", "n1", "n2", "n3", "n4"]
    assert names(crowd.database) == ["n0", "n1", "n2", "n3", "n4"]
    assert crowd.commits == 1


def test_they_are_written_in_their_order_whoever_came_first(crowd: Crowd) -> None:
    order: list[int] = []
    crowd.write(*((place, lambda _, place=place: order.append(place)) for place in (3, 1, 2)))
    assert order == [1, 2, 3]


def test_what_goes_wrong_for_one_is_told_to_it_alone_and_the_others_are_written(crowd: Crowd) -> None:
    def fails(session: Session) -> None:
        add("never")(session)
        raise ValueError("lost")

    good, bad, late = crowd.write((0, add("a")), (1, fails), (2, add("b")))
    assert (good.result(), late.result()) == ("a", "b")
    assert isinstance(bad.exception(), ValueError)
    assert names(crowd.database) == ["a", "b"]


def test_a_database_that_is_away_is_not_asked_again_for_each(crowd: Crowd) -> None:
    tried: list[str] = []

    def away(_: Session) -> None:
        tried.append("away")
        raise OperationalError("SELECT 1", None, Exception("gone"))

    found = crowd.write((0, away), (1, add("a")))
    assert all(isinstance(one.exception(), OperationalError) for one in found)
    assert tried == ["away"]
    assert names(crowd.database) == []


def test_it_is_committed_when_its_thread_goes_on(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:

        def write(n: int) -> bool:
            database.write_together(1, (n,), add(f"n{n:02}"))
            return f"n{n:02}" in names(database)

        assert all(pool.map(write, range(60)))
    assert len(names(database)) == 60


def test_two_keys_do_not_wait_for_each_other_to_be_begun(migrated_postgresql_url: str) -> None:
    """On PostgreSQL: SQLite has one writer."""
    database = Database(migrated_postgresql_url)
    with ThreadPoolExecutor(2) as pool:
        both = threading.Barrier(2, timeout=60)
        found = [pool.submit(database.write_together, key, (0,), lambda _: both.wait()) for key in (1, 2)]
        assert sorted(one.result(60) for one in found) == [0, 1]
    database.close()


def test_what_is_to_be_done_last_is_done_once_for_all_of_them(crowd: Crowd) -> None:
    done: list[str] = []

    def last(_: Session) -> None:
        done.append("last")

    crowd.last = last
    crowd.write((1, lambda _: done.append("a")), (2, lambda _: done.append("b")))
    assert done == ["a", "b", "last"]


def test_what_fails_at_last_is_told_to_whom_it_concerns(crowd: Crowd) -> None:
    def last(session: Session) -> None:
        if "bad" in session.info:
            raise ValueError("bad")

    crowd.last = last
    good, bad = crowd.write((1, add("a")), (2, lambda session: session.info.update(bad=True)))
    assert good.result() == "a"
    assert isinstance(bad.exception(), ValueError)
    assert names(crowd.database) == ["a"]
