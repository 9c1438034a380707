"""`python app.py audit verify` and `rollout audit --csv`: what they say, and their exit codes."""

import csv
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from cryptography.fernet import Fernet
from sqlalchemy import delete, update

import app
from storage import chain
from storage.models import Event, SignOff
from storage.sealing import Sealer
from tests.commands.world import KEY, World
from tests.conftest import new_database

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def world(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A rollout of which two stages passed by hand of nobody, and the settings with which its record was sealed."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    made = World(migrated_url)
    made.passed("dev")
    made.say("qa", "pause =1+1")
    made.say("nobody", "approve dev")
    monkeypatch.setenv("DATABASE_URL", migrated_url)
    monkeypatch.setenv("ROLLOUT_SECRET_KEYS", KEY)
    yield made
    made.close()
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app.main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran


def seal(world: World) -> str:
    Sealer(world.database, "test").tick()
    return str(chain.verify(world.database, world.rollout_id).head)


def test_verify_says_of_each_chain_whether_it_is_intact(world: World, run: Run) -> None:
    code, said, _ = run("audit", "verify")
    assert code == 0
    assert "rollout 1 (sandbox): chain intact: 0 events" in said
    assert "not sealed yet: " in said
    head = seal(world)
    code, said, problems = run("audit", "verify")
    assert (code, problems) == (0, "")
    assert said.startswith("rollout 1 (sandbox): chain intact: ")
    assert f"; head {head}" in said
    assert "sign-offs that verify: 1" in said
    assert "outside any rollout" not in said


def test_verify_compares_with_posted_heads(world: World, run: Run) -> None:
    head = seal(world)
    assert run("audit", "verify", "--head", head)[0] == 0
    assert "it is a place of this record" in run("audit", "verify", "--head", head)[1]
    number = head.partition(":")[0]
    code, said, _ = run("audit", "verify", "--head", head, "--head", f"{number}:{'0' * 16}")
    assert code == 1
    assert f"head {number}:{'0' * 16}: event {number} of this record is another one" in said
    code, said, _ = run("audit", "verify", "--head", f"999:{'0' * 16}")
    assert code == 1
    assert "this record has no event 999" in said
    code, said, problems = run("audit", "verify", "--head", "yesterday")
    assert (code, said) == (2, "")
    assert "NUMBER:DIGEST" in problems


def test_verify_ends_with_1_when_the_record_was_changed(world: World, run: Run) -> None:
    seal(world)
    with world.database.write() as session:
        session.execute(update(SignOff).values(comment="x"))
    code, said, _ = run("audit", "verify")
    assert code == 1
    assert "chain intact" in said
    assert "sign-off 1 of U0SAND0001 as developer for dev: sign_off_altered" in said
    with world.database.write() as session:
        session.execute(delete(Event).where(Event.number == 2))
    code, said, _ = run("audit", "verify")
    assert code == 1
    assert "chain broken at event 2: it is missing" in said


def test_a_copy_made_by_the_documented_command_verifies_and_a_later_head_tells_that_it_is_older(
    world: World, run: Run, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = seal(world)
    with copied(world, request, tmp_path) as url:
        world.say("qa", "resume")  # it happened after the copy
        later = seal(world)
        assert later != head
        monkeypatch.setenv("DATABASE_URL", url)
        code, said, _ = run("audit", "verify", "--head", head)
        assert code == 0
        assert f"; head {head}" in said
        assert "sign-offs that verify: 1" in said
        code, said, _ = run("audit", "verify", "--head", later)
        assert code == 1
        assert f"this record has no event {later.partition(':')[0]}" in said


@contextmanager
def copied(world: World, request: pytest.FixtureRequest, home: Path) -> Iterator[str]:
    """The URL of a copy, made as docs/install.md says while the database is in use."""
    text = (Path(app.__file__).parent / "docs" / "install.md").read_text()
    url = world.database.url
    if url.get_backend_name() == "sqlite":
        (command,) = (line for line in text.splitlines() if "VACUUM INTO" in line)
        assert url.database is not None
        documented = command.replace("python ", f"{sys.executable} ", 1)
        subprocess.run(documented, shell=True, check=True, cwd=Path(url.database).parent)
        yield f"sqlite:///{Path(url.database).parent / 'copy.db'}"
        return
    server = request.getfixturevalue("postgresql_server")
    dump, restore = (
        next(line for line in text.splitlines() if line.startswith(f"pg_{w} ")) for w in ("dump", "restore")
    )
    with new_database(server) as name:
        environment = {
            "PATH": f"{server.bin_path}:{os.environ['PATH']}",
            "DATABASE_URL": server.get_uri(database=url.database),
            "EMPTY_DATABASE_URL": server.get_uri(database=name),
        }
        for command in (dump, restore):
            subprocess.run(command, shell=True, check=True, cwd=home, env=environment)
        yield server.get_uri(database=name, driver="psycopg")


def test_verify_without_the_key_proves_nothing(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(world)
    monkeypatch.setenv("ROLLOUT_SECRET_KEYS", Fernet.generate_key().decode())
    code, said, _ = run("audit", "verify")
    assert code == 1
    assert "not in ROLLOUT_SECRET_KEYS" in said
    monkeypatch.setenv("ROLLOUT_SECRET_KEYS", "")
    code, said, problems = run("audit", "verify")
    assert (code, said) == (2, "")
    assert "ROLLOUT_SECRET_KEYS" in problems


def test_the_record_as_a_file_goes_to_standard_output_and_its_verdict_beside_it(world: World, run: Run) -> None:
    seal(world)
    code, said, beside = run("rollout", "audit", "--csv")
    assert code == 0
    assert "chain intact" in beside
    rows = list(csv.DictReader(io.StringIO(said, newline="")))
    assert {row["kind"] for row in rows} == {"rollout_opened", "pause", "approve"}
    assert not any(cell.startswith("=") for row in rows for cell in row.values())
    code, said, _ = run("rollout", "audit", "dev", "--jsonl")
    assert code == 0
    assert {json.loads(line)["stage"] for line in said.splitlines()} == {"dev"}
    code, said, problems = run("rollout", "audit", "dev", "test", "--csv")
    assert (code, said) == (2, "")
    assert "one stage at most" in problems
    with world.database.write() as session:
        session.execute(delete(Event).where(Event.number == 1))
    code, said, beside = run("rollout", "audit", "--jsonl")
    assert code == 1
    assert said
    assert "chain broken at event 1" in beside


def test_a_command_from_a_terminal_is_sealed_before_it_ends(world: World, run: Run) -> None:
    code, said, _ = run("rollout", "--as", "U0SAND0002", "resume")
    assert code == 0
    assert said
    found = chain.verify(world.database, world.rollout_id)
    assert (found.intact, found.unsealed) == (True, 0)
    assert found.count > 2


def test_a_database_that_is_not_there_is_said(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    monkeypatch.setenv("ROLLOUT_SECRET_KEYS", KEY)
    code, said, problems = run("audit", "verify")
    assert (code, said) == (2, "")
    assert "no rollout in this database" in problems
