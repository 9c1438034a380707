"""One way to a database: short read and write transactions, the same on SQLite and on PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from storage.keyring import Keyring
from storage.together import Piece, Together
from storage.turns import Turns

Result = TypeVar("Result")


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


def _ticks() -> float:
    """Seconds that pass evenly, also while the machine sleeps; nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A clock that goes on from one instant, whatever is done to the machine's clock of the day."""

    instant: float  # unix seconds
    ticks: float  # then

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.instant + _ticks() - self.ticks, UTC)


def away(error: SQLAlchemyError) -> bool:
    """Whether this says only that the database is away, busy or restarted: the same may well succeed in a moment."""
    if isinstance(error, OperationalError | InterfaceError | NoConnection):
        return True
    if not isinstance(error, DBAPIError):
        return False
    # 25P03: PostgreSQL ended our transaction because we slept in it.
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) == "25P03"


def machine_now(session: Session) -> datetime:
    """Machine time for a look, where nobody waits for it: the database's own clock on PostgreSQL."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)


def keyring_of(session: Session) -> Keyring:
    """The keys that seal and verify what is recorded through this session."""
    found = session.info.get("keyring")
    return found if isinstance(found, Keyring) else Keyring()


class Database:
    """Transactions on one database. Close it when done.

    ``keyring`` holds the keys of the record, which every session carries; without it nothing can be signed or sealed.
    ``read()`` and ``write()`` are context managers that give a Session; a write commits at the end or rolls back on an
    exception. On SQLite writers of this process queue on a lock of their own: fairer and quicker than busy waiting.
    """

    def __init__(self, url: str, pool_size: int = 10, keyring: Keyring | None = None) -> None:
        self.keyring = keyring if keyring is not None else Keyring()
        self.url = normalised(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine: Engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url, pool_size)
        self._immediate = self.engine.execution_options(immediate=True)
        self._writers = Turns()
        self._together = Together(self.write, away)
        self._clock = _Anchored(time.time(), _ticks())
        self._anchored_until = 0.0 if not self.is_sqlite else float("inf")

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False, info={"keyring": self.keyring}) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        with (
            self._writers if self.is_sqlite else nullcontext(),
            Session(self._immediate, expire_on_commit=False, info={"keyring": self.keyring}) as session,
            session.begin(),
        ):
            yield session

    def write_together(
        self,
        stage_id: int,
        order: tuple[int, ...],
        work: Callable[[Session], Result],
        last: Callable[[Session], None] | None = None,
    ) -> Result:
        """Do ``work`` in a write transaction that it may share with others of that stage, in their ``order``, and
        ``last`` once for all of them; returns what it returns, after the commit. See ``Together.do``."""
        return self._together.do(stage_id, Piece(order, work, last))

    def machine_now(self, session: Session) -> datetime:
        """Machine time for leases: the database's own clock on PostgreSQL, so that replicas agree."""
        if self.is_sqlite:
            return self._clock.now()
        return machine_now(session)

    def machine(self) -> datetime:
        """Machine time outside of a transaction: counted on from what the database said, asked twice a minute."""
        if _ticks() >= self._anchored_until:
            with self.read() as session:
                before = _ticks()
                theirs = self.machine_now(session)
                self._clock = _Anchored(theirs.timestamp(), (before + _ticks()) / 2)
            self._anchored_until = _ticks() + 30
        return self._clock.now()

    def close(self) -> None:
        self.engine.dispose()


def _postgresql(url: URL, pool_size: int) -> Engine:
    patience = {  # seconds and, for the last, milliseconds: a server that vanished is noticed, not waited for
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    given = {name: value for name, value in patience.items() if name not in url.query}
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=20, pool_pre_ping=True, connect_args=given, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # A process that freezes in a transaction holds row locks: the server frees them, and it finds out on waking.
        connection.execute("SET idle_in_transaction_session_timeout = '30s'")
        connection.commit()

    return engine


def _sqlite(url: URL) -> Engine:
    # The driver must not open transactions by itself: a deferred one that turns into a writer fails at once when
    # somebody else wrote meanwhile, whatever the busy timeout.
    engine = create_engine(
        url,
        connect_args={"timeout": 30, "check_same_thread": False, "isolation_level": None},
        hide_parameters=True,  # in an error they would show what a person said, and bearer handles
    )

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
