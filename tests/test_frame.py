"""What holds the repository together: process file, import rules, and that CI really fails on a skip."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"rollout", "storage", "workspace", "monitoring", "checks", "engine", "commands", "bot", "doctor", "sandbox"}


def test_procfile_names_release_web_and_worker() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    assert dict(line.split(": ", 1) for line in lines) == {
        "release": "python app.py migrate",
        "web": "python app.py web",
        "worker": "python app.py worker",
    }


def test_every_room_has_an_import_rule() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    ruled = {contract["source_modules"][0] for contract in linter["contracts"] if len(contract["source_modules"]) == 1}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench", "crash"}
    assert set(linter["root_packages"]) == ruled == ROOMS
    assert packages <= ROOMS


@pytest.mark.parametrize(("ci", "code"), [("1", 1), ("", 0)])
def test_a_skip_fails_in_ci_only(tmp_path: Path, ci: str, code: int) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it():\n    pytest.skip('no moon')\n")
    flags = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", os.devnull]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, str(tmp_path)],
        env={**os.environ, "ROLLOUT_CI": ci},
        capture_output=True,
        text=True,
    )
    assert run.returncode == code, run.stdout + run.stderr
    assert ("skipped, which fails in CI: test_it.py::test_it: Skipped: no moon" in run.stdout) is bool(code)


def test_each_postgresql_database_is_empty_and_ones_own(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        connection.execute("CREATE TABLE t (x int)")


def test_a_test_gets_both_kinds_of_database(database_url: str) -> None:
    assert database_url.startswith(("sqlite:////", "postgresql+psycopg://"))


def test_a_migrated_database_has_the_newest_schema(migrated_url: str) -> None:
    from storage.database import Database
    from storage.migrate import pending

    database = Database(migrated_url)
    assert not pending(database)
    database.close()


def test_every_setting_is_explained() -> None:
    names = re.findall(r'alias="([A-Z_]+)"', (ROOT / "settings.py").read_text())
    explained = (ROOT / "docs" / "install.md").read_text()
    assert names
    assert [name for name in names if f"`{name}`" not in explained] == []
