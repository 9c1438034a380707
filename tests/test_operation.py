"""The terminal writes a file that comes with an answer, and never over another one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from operation import Operator, operate
from tests.commands.test_pins import owned
from tests.commands.world import PEOPLE, World


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url)
    yield made
    made.close()


def typed(world: World, words: str, out: Path | None = None) -> int:
    return operate(world.database, world.door, Operator(PEOPLE["qa"], False, out), words, None)


def test_the_edits_are_written_to_a_file(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    owned(world, "dev nightly 1")
    out = tmp_path / "edits.txt"
    assert typed(world, "download dev", out) == 0
    assert "# repository: git/x" in out.read_text()
    assert "written to" in capsys.readouterr().out
    assert typed(world, "download dev", out) == 2
    assert "exists already" in capsys.readouterr().err


def test_without_a_name_they_go_to_standard_output(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    owned(world, "dev nightly 1")
    assert typed(world, "download") == 0
    assert "# repository: git/x" in capsys.readouterr().out


def test_an_answer_without_a_file_and_a_place_that_cannot_be_are_said(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owned(world, "dev nightly 1")
    assert typed(world, "status", tmp_path / "x") == 2
    assert "this answer has no file" in capsys.readouterr().err
    assert typed(world, "download", tmp_path / "no" / "x") == 2
    assert "No such file" in capsys.readouterr().err
    assert typed(world, "download test", tmp_path / "y") == 0, "a refusal is an answer"
    assert "nothing_to_download" in capsys.readouterr().out
    assert not any((tmp_path / name).exists() for name in ("x", "y")), "nothing was written"
