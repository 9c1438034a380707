"""Bring a database to the newest schema, or tell that it is not there yet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage.database import Database

_LOCK = 7_203_114_511_873  # constant per application: two replicas that migrate at once take turns


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, with a connection for ``env.py`` where one is needed."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    if connection is not None:
        made.attributes["connection"] = connection
    return made


def migrate(database: Database, revision: str = "head", using: Callable[[Connection | None], Config] = config) -> None:
    """Upgrade to ``revision``. Safe to run from several replicas at once; nothing happens when it is there already.

    Nothing happens either when the database is newer than this code: another process that is newer has migrated it.
    """
    with _migrating(database) as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if revision != "head" or not _newer(connection, using(None)):
            command.upgrade(using(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Go back to ``revision`` (``base``: drop everything)."""
    with _migrating(database) as connection:
        command.downgrade(config(connection), revision)


def pending(database: Database) -> bool:
    """Whether the database is older than this code. A newer one has more than this code knows, and nothing less."""
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        return current != ScriptDirectory.from_config(config()).get_current_head() and not _newer(connection, config())


def _newer(connection: Connection, given: Config) -> bool:
    """Whether a revision stands there that this code does not have."""
    current = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(given)
    return current is not None and current not in {script.revision for script in scripts.walk_revisions()}


@contextmanager
def _migrating(database: Database) -> Iterator[Connection]:
    """A transaction to migrate in. SQLite changes a constraint by copying the table, to which others refer."""
    with database.engine.connect().execution_options(immediate=True) as connection:
        if database.is_sqlite:
            _keys(connection, "OFF")
        try:
            with connection.begin():
                yield connection
                if database.is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
                    raise ValueError(f"the migration leaves rows of {broken[0]} without what they refer to")
        finally:
            if database.is_sqlite:
                _keys(connection, "ON")


def _keys(connection: Connection, how: str) -> None:
    """Foreign keys on or off: said to the driver, since in a transaction it would do nothing."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(f"PRAGMA foreign_keys={how}")
