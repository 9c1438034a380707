"""The schema comes and goes on both databases, and the migrations say the same as the models."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from storage import models  # noqa: F401  the tables register themselves
from storage.base import Base
from storage.database import Database, normalised
from storage.migrate import config, downgrade, migrate, pending, revisions


@pytest.fixture
def database(database_url: str) -> Database:
    made = Database(database_url)
    yield made
    made.close()


def test_the_schema_goes_up_down_and_up_again(database: Database) -> None:
    assert pending(database)
    migrate(database)
    assert not pending(database)
    downgrade(database, "base")
    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}
    migrate(database)
    assert not pending(database)


def test_the_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    migrate(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert set(inspect(database.engine).get_table_names()) >= {t.name for t in Base.metadata.sorted_tables}


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(config()).get_heads()) == 1


def test_the_revisions_read_off_the_files_are_alembics() -> None:
    scripts = ScriptDirectory.from_config(config())
    assert revisions() == [script.revision for script in reversed(list(scripts.walk_revisions()))]


def test_two_replicas_may_migrate_at_once(postgresql_url: str) -> None:
    databases = [Database(postgresql_url) for _ in range(2)]
    failed: list[BaseException] = []

    def run(one: Database) -> None:
        try:
            migrate(one)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert not pending(databases[0])
    for one in databases:
        one.close()


@pytest.mark.parametrize("url", ["postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+psycopg2://u:p@h/d"])
def test_every_way_to_write_postgresql_means_psycopg_3(url: str) -> None:
    assert normalised(url).drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["mysql://u:p@h/d", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused_in_words(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///"):
        normalised(url)
