"""Bring a database to the newest schema, or tell that it is not there yet.

Alembic takes a quarter of a second to import: it is, only where there is something to migrate.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from storage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_LOCK = 7_203_114_511_873  # constant per application: two replicas that migrate at once take turns


def config(connection: Connection | None = None) -> "Config":
    """Alembic's configuration, with a connection for ``env.py`` where one is needed."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS))
    if connection is not None:
        made.attributes["connection"] = connection
    return made


def revisions() -> list[str]:
    """The revisions that this code has, oldest first: each file of the migrations begins with its own."""
    return sorted(path.name.partition("_")[0] for path in (_SCRIPTS / "versions").glob("[0-9]*_*.py"))


def migrate(
    database: Database, revision: str = "head", using: "Callable[[Connection | None], Config]" = config
) -> None:
    """Upgrade to ``revision``. Safe to run from several replicas at once; nothing happens when it is there already.

    Nothing happens either when the database is newer than this code: another process that is newer has migrated it.
    """
    if revision == "head" and using is config and not pending(database):
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    with _migrating(database) as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        known = {script.revision for script in ScriptDirectory.from_config(using(None)).walk_revisions()}
        current = _current(connection)
        if revision != "head" or current is None or current in known:
            command.upgrade(using(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Go back to ``revision`` (``base``: drop everything)."""
    from alembic import command

    with _migrating(database) as connection:
        command.downgrade(config(connection), revision)


def pending(database: Database) -> bool:
    """Whether the database is older than this code. A newer one has more than this code knows, and nothing less."""
    with database.engine.connect() as connection:
        current = _current(connection)
    known = revisions()
    return current is None or current in known[:-1]


def _current(connection: Connection) -> str | None:
    """The revision that stands in the database; None: there is none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


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
