"""Bring a database to the newest schema, or tell that it is not there yet."""

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


def migrate(database: Database, revision: str = "head") -> None:
    """Upgrade to ``revision``. Safe to run from several replicas at once; nothing happens when it is there already."""
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Go back to ``revision`` (``base``: drop everything)."""
    with database.engine.begin() as connection:
        command.downgrade(config(connection), revision)


def pending(database: Database) -> bool:
    """Whether the database is older than this code."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() != (
            ScriptDirectory.from_config(config()).get_current_head()
        )
