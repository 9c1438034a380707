"""`python app.py ...` in this process, with the settings of a local Databricks and of nothing else."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

import app
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.slack import server as slack_server
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack

#: Arguments -> exit code, standard output, standard error.
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def databricks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databricks]:
    """The sample fleet, its calendar stopped."""
    with running("sample", clock_path=tmp_path_factory.mktemp("clock") / "clock.json") as made:
        yield made


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slack]:
    """A local Slack in Socket Mode that does not count calls: the doctor is asked more often than anybody would."""
    limits = Limits(tiers={2: 10_000, 3: 10_000, 4: 10_000})
    with slack_server.running(tmp_path_factory.mktemp("slack"), limits=limits) as made:
        yield made


@pytest.fixture
def settings(databricks: Databricks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Settings of four workspaces and the sandbox's calendar, and no others; logging is put back afterwards."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    for name in list(os.environ):
        if re.match(r"(SLACK|ROLLOUT|DATABRICKS|DATABASE)_", name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ROLLOUT_CLOCK", str(databricks.clock.path))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'rollout.db'}")
    for key, ws in databricks.workspaces.items():
        monkeypatch.setenv(f"DATABRICKS_{key.upper()}_HOST", ws.host)
        monkeypatch.setenv(f"DATABRICKS_{key.upper()}_TOKEN", ws.token)
    yield monkeypatch
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command."""

    def ran(*arguments: object) -> tuple[int, str, str]:
        code = app.main([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran
