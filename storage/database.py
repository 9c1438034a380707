"""One way to a database: short read and write transactions, the same on SQLite and on PostgreSQL."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session


def normalised(url: str) -> URL:
    """The URL with its driver named: ``postgres://`` and ``postgresql://`` mean psycopg 3. Raises ValueError."""
    if url.startswith("postgres://"):
        url = "postgresql://" + url.removeprefix("postgres://")
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("SQLite needs a file: sqlite:///path/to/rollout.db")
        return parsed.set(drivername="sqlite+pysqlite")
    raise ValueError(f"{backend} is not supported: use sqlite:///FILE or postgresql://...")


class Database:
    """Transactions on one database. Close it when done.

    ``read()`` and ``write()`` are context managers that give a Session; a write commits at the end or rolls back on an
    exception. On SQLite writers of this process queue on a lock of their own: fairer and quicker than busy waiting.
    """

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self.url = normalised(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine: Engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url, pool_size)
        self._immediate = self.engine.execution_options(immediate=True)
        self._writers = threading.Lock()
        self._offset = timedelta()  # the database's clock minus ours
        self._offset_until = 0.0

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        with (
            self._writers if self.is_sqlite else nullcontext(),
            Session(self._immediate, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def machine_now(self, session: Session) -> datetime:
        """Machine time for leases: the database's own clock on PostgreSQL, so that replicas agree."""
        if self.is_sqlite:
            return datetime.fromtimestamp(time.time(), UTC)
        now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now.astimezone(UTC)

    def machine(self) -> datetime:
        """Machine time outside of a transaction: on PostgreSQL our clock, corrected by its offset twice a minute."""
        ours = datetime.fromtimestamp(time.time(), UTC)
        if self.is_sqlite:
            return ours
        if time.monotonic() >= self._offset_until:
            with self.read() as session:
                before = time.time()
                theirs = self.machine_now(session)
                self._offset = theirs - datetime.fromtimestamp((before + time.time()) / 2, UTC)
            self._offset_until = time.monotonic() + 30
        return datetime.fromtimestamp(time.time(), UTC) + self._offset

    def close(self) -> None:
        self.engine.dispose()


def _postgresql(url: URL, pool_size: int) -> Engine:
    return create_engine(url, pool_size=pool_size, max_overflow=20, pool_pre_ping=True)


def _sqlite(url: URL) -> Engine:
    # The driver must not open transactions by itself: a deferred one that turns into a writer fails at once when
    # somebody else wrote meanwhile, whatever the busy timeout.
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
