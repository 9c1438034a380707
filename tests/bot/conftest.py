"""A bot with a door of its own in front of the local Slack: real SDKs over real sockets."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.build import Bot, build_app
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage.database import Database
from tests.bot.harness import TRIGGER_SECONDS, FakeDoor, settings_for, soon, started
from tests.sandbox.slack.playing import Machine


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """A SQLite database with all tables."""
    made = Database(migrated_sqlite_url)
    yield made
    made.close()


@pytest.fixture
def either(migrated_url: str) -> Iterator[Database]:
    """A database with all tables; the test runs on SQLite and on PostgreSQL."""
    made = Database(migrated_url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slack]:
    """A local Slack in Socket Mode, for the module; its machine time can be moved on. Late is what a test makes late,
    and not what a slow machine does: it waits a minute for acknowledgements, and keeps a trigger as long."""
    limits = Limits(ack_seconds=TRIGGER_SECONDS, trigger_seconds=TRIGGER_SECONDS)
    with running(tmp_path_factory.mktemp("slack"), limits=limits, machine=Machine()) as made:
        yield made


@pytest.fixture(scope="module")
def running_bot(
    slack: Slack, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[Bot, FakeDoor, Database]]:
    """The bot in Socket Mode, connected, for the module: stopping a socket takes the SDK a second."""
    file = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("bot") / "rollout.db")
    database = Database(f"sqlite:///{file}")
    door = FakeDoor()
    with started(build_app(settings_for(slack), database, door)) as made:
        soon(lambda: slack.get("state", **{"as": "qa"})["bot"]["connected"])
        yield made, door, database
    database.close()


@pytest.fixture
def bot(running_bot: tuple[Bot, FakeDoor, Database]) -> Bot:
    """The bot of the module."""
    return running_bot[0]


@pytest.fixture
def door(running_bot: tuple[Bot, FakeDoor, Database]) -> FakeDoor:
    """Its door, as new."""
    running_bot[1].reset()
    return running_bot[1]


@pytest.fixture
def bots_database(running_bot: tuple[Bot, FakeDoor, Database]) -> Database:
    """The database of the module's bot."""
    return running_bot[2]
