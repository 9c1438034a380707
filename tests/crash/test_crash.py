"""`make crash` in short: some dozen points on both databases; and that it notices an engine that is careless."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: An engine that takes a write whose answer it does not know for one that never happened.
HASTY = """
import sys
from dataclasses import replace
import engine.execute
real = engine.execute.decide
engine.execute.decide = lambda look, patience: real(replace(look, intended=look.answered), patience)
from crash.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
#: An engine that commits its intent only after the write.
FORGETFUL = """
import sys
import engine.execute
engine.execute._Execution._commit_intent = lambda self, raw: True
from crash.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    how = ["-m", "crash"] if code is None else ["-c", code]
    return subprocess.run(
        [sys.executable, *how, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.soak
def test_a_stage_that_dies_at_some_dozen_boundaries_ends_as_if_nothing_had_happened() -> None:
    done = run("--most", "15", "--minutes", "15")
    assert done.returncode == 0, done.stdout
    found = re.findall(r"^((?:sqlite|postgresql)(?:, rolled back)?) +(\d+) +\d+ +(\d+) +(\d+) ", done.stdout, re.M)
    assert {name: numbers for name, *numbers in found} == {
        name: ["15", "15", "0"] for name in ("sqlite", "sqlite, rolled back", "postgresql", "postgresql, rolled back")
    }, done.stdout


@pytest.mark.soak
@pytest.mark.parametrize("code", [pytest.param(HASTY, id="hasty"), pytest.param(FORGETFUL, id="forgetful")])
def test_an_engine_that_does_not_wait_for_a_write_that_may_be_on_its_way_is_found_out(code: str) -> None:
    # From a pool it is up again before the late write arrives, which then brings it down once more.
    done = run("--database", "sqlite", "--then", "finish", "--at", "change cluster pooled: during POST", code=code)
    assert done.returncode == 1, done.stdout
    assert "start dev pooled: 2 times, undisturbed 1" in done.stdout
    assert "SOMETHING BROKE" in done.stdout
    assert "again: python -m crash --database sqlite --then finish --only" in done.stdout


@pytest.mark.soak
def test_a_boundary_that_does_not_exist_is_refused() -> None:
    done = run("--database", "sqlite", "--only", "100000")
    assert done.returncode == 2, done.stdout
    assert "there is no such boundary" in done.stdout
