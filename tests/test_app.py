"""Settings, exit codes and the ways to run, by the ordinary command."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest
from cryptography.fernet import Fernet

import app
import settings as configuration
from bot.build import NoSlack
from checks import CHECKS
from planning import load_plan
from settings import Settings, SettingsError
from stopping import Stop

ROOT = Path(__file__).resolve().parent.parent
GOOD = {
    "SLACK_API_URL": "http://127.0.0.1:9/api/",
    "SLACK_BOT_TOKEN": "xoxb-test-token",
    "SLACK_APP_TOKEN": "xapp-test-token",
    "SLACK_SIGNING_SECRET": "not-so-secret",
    "ROLLOUT_PLANS": "sandbox/plan.yml",
    "ROLLOUT_SECRET_KEYS": Fernet.generate_key().decode(),
} | {
    f"DATABRICKS_{key}_{name}": value
    for key in ("DEV", "TEST", "STAGING", "PROD")
    for name, value in (("HOST", "http://127.0.0.1:9"), ("TOKEN", "dapi-nothing"))
}


def run(*arguments: str, settings: Mapping[str, str] | None = None, home: Path | None = None) -> tuple[int, str]:
    """`python app.py ...` with these settings and no others; exit code and output."""
    environment = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ} | dict(settings or {})
    if home is not None:
        environment["DATABASE_URL"] = f"sqlite:///{home / 'rollout.db'}"
    done = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


class Refused:
    """`python app.py ...` within the tests' process, for what is refused before anything is built."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        for name in [*os.environ]:
            if name not in ("PATH", "HOME"):
                monkeypatch.delenv(name)
        monkeypatch.setattr(app, "_serve", self._served)

    @staticmethod
    def _served(*_: object, **__: object) -> int:
        raise AssertionError("it was not refused")

    def __call__(self, *arguments: str, settings: Mapping[str, str]) -> tuple[int, str]:
        """Exit code and output, with these settings and no others."""
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)
        code = app.main(arguments)
        said = self._capsys.readouterr()
        return code, said.out + said.err


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    return Refused(monkeypatch, capsys)


def test_without_settings_every_problem_is_said_at_once(tmp_path: Path) -> None:
    code, said = run(home=tmp_path)
    assert code == 2
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "ROLLOUT_SECRET_KEYS", "ROLLOUT_PLANS"):
        assert name in said
    assert "Traceback" not in said


def test_all_that_is_wrong_is_in_one_list_also_what_cannot_be_read(tmp_path: Path, refused: Refused) -> None:
    plan = tmp_path / "mine.yml"
    text = (ROOT / "sandbox" / "plan.yml").read_text()
    plan.write_text(text.replace("kinds: [job]", "kinds: [jub]").replace("channel: C0SUPPORT1", "channel: FILLMEIN"))
    settings = GOOD | {
        "PORT": "many",
        "ROLLOUT_MODE": "both",
        "ROLLOUT_LOG": "loud",
        "DATABASE_URL": "mysql://x/y",
        "ROLLOUT_SECRET_KEYS": "short",
        "SLACK_BOT_TOKEN": "xapp-swapped",
        "DATABRICKS_DEV_HOST": "http://dev.example.com",
        "DATABRICKS_PROD_TOKEN": "",
        "ROLLOUT_PLANS": f"{plan},nowhere.yml",
    }
    code, said = refused(settings=settings)
    assert code == 2
    for one in [*(k for k in settings if k not in GOOD or settings[k] != GOOD[k])]:
        assert one.replace("_HOST", "_*").replace("PROD_TOKEN", "PROD_*") in said, one
    assert "jub" in said
    assert "still to be filled in" in said
    assert len(set(said.splitlines())) == len(said.splitlines()), "nothing is said twice"


class Talking:
    """A bot whose Slack answers when it is let, and then refuses it."""

    def __init__(self) -> None:
        self.answers = threading.Event()

    def start(self) -> None:
        self.answers.wait(30)
        raise NoSlack("Slack refuses us: invalid_auth.")


def test_nothing_is_done_before_a_slow_slack_has_refused_the_tokens() -> None:
    talking = Talking()
    threading.Timer(1.5, talking.answers.set).start()
    with pytest.raises(SettingsError, match="invalid_auth"):
        app._connecting(talking, Stop())  # type: ignore[arg-type]


def test_who_ends_the_bot_does_not_wait_for_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "SLACK_FIRST", 3600.0)
    talking, stop = Talking(), Stop()
    stop._asked.put(None)
    assert not app._connecting(talking, stop).done()  # type: ignore[arg-type]
    talking.answers.set()


@pytest.mark.parametrize("verb", ["web", "worker"])
def test_web_and_worker_need_postgresql_and_say_so(verb: str, tmp_path: Path, refused: Refused) -> None:
    code, said = refused(verb, settings=GOOD | {"DATABASE_URL": f"sqlite:///{tmp_path / 'rollout.db'}"})
    assert code == 2
    assert "PostgreSQL" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SLACK_BOT_TOKEN": "xapp-swapped"}, "SLACK_BOT_TOKEN: does not begin with xoxb-"),
        ({"SLACK_APP_TOKEN": ""}, "SLACK_APP_TOKEN: missing"),
        ({"SLACK_API_URL": "slack.example"}, "SLACK_API_URL: a full address"),
        ({"ROLLOUT_MODE": "both"}, "ROLLOUT_MODE"),
        ({"PORT": "many"}, "PORT"),
        ({"DATABASE_URL": "mysql://x/y"}, "DATABASE_URL: mysql is not supported"),
        ({"ROLLOUT_SECRET_KEYS": "short"}, "ROLLOUT_SECRET_KEYS"),
        ({"ROLLOUT_PLANS": "nowhere.yml"}, "there is no file nowhere.yml"),
        ({"ROLLOUT_CLOCK": "nowhere.json"}, "ROLLOUT_CLOCK: there is no file"),
        ({"DATABRICKS_PROD_TOKEN": ""}, "DATABRICKS_PROD_*"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_with_what_was_expected(
    change: dict[str, str], said: str, tmp_path: Path, refused: Refused
) -> None:
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'rollout.db'}"} | GOOD | change
    code, output = refused(settings=settings)
    assert code == 2, output
    assert said in output
    assert "Traceback" not in output
    assert "not-so-secret" not in output


def test_a_calendar_clock_together_with_the_real_slack_is_refused(tmp_path: Path) -> None:
    clock = tmp_path / "clock.json"
    clock.write_text("{}")
    found = Settings.model_validate({**GOOD, "SLACK_API_URL": configuration.REAL_SLACK, "ROLLOUT_CLOCK": clock})
    problems = configuration.check(found, slack=True, workspaces=False)
    assert [p for p in problems if p.startswith("ROLLOUT_CLOCK") and "real Slack" in p]


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    shown = repr(configuration.read())
    assert "not-so-secret" not in shown
    assert GOOD["ROLLOUT_SECRET_KEYS"] not in shown


def test_a_workspace_is_reached_in_one_way_only() -> None:
    plans = [load_plan(ROOT / "sandbox" / "plan.yml", CHECKS)]
    with pytest.raises(SettingsError) as error:
        configuration.workspace_access(plans, {**GOOD, "DATABRICKS_DEV_CLIENT_ID": "x"})
    assert "DATABRICKS_DEV_" in str(error.value)


def test_the_sample_plan_is_accepted_and_a_broken_one_is_refused_by_file_and_line(
    tmp_path: Path, refused: Refused
) -> None:
    assert run("plan", "check", "sandbox/plan.yml") == (
        0,
        "sandbox/plan.yml: plan sandbox, 5 stages, 140 items: ok\n"
        "not asked: whether the workspaces offer 17.3; --online asks them\n",
    )
    broken = tmp_path / "broken.yml"
    text = (ROOT / "sandbox" / "plan.yml").read_text()
    broken.write_text(text.replace("kinds: [job]", "kinds: [jub]").replace("stages:", "stages:\n  nowhere: {}"))
    code, said = refused("plan", "check", str(broken), settings={})
    assert code == 2
    assert f"{broken}:" in said
    assert "jub" in said
    assert "stages[5].sign_offs: is missing" in said


def test_a_base_says_that_it_is_to_be_extended_and_how(refused: Refused, tmp_path: Path) -> None:
    code, said = refused("plan", "check", "plans/dbr-17.3.yml", settings={})
    assert code == 2
    assert said.startswith("plans/dbr-17.3.yml:1: this plan is a base")
    assert "'extends: dbr-17.3' and 'key: mine'" in said
    mine = tmp_path / "mine.yml"
    mine.write_text("extends: dbr-17.3\nkey: mine\n")
    code, said = refused("plan", "check", str(mine), settings={})
    assert code == 2
    assert "is a base" not in said


def test_a_new_key_fits(refused: Refused) -> None:
    code, key = refused("key", settings={})
    assert code == 0
    Fernet(key.strip())


def test_the_terminal_door_needs_a_database_with_a_rollout(tmp_path: Path, refused: Refused) -> None:
    settings = GOOD | {"DATABASE_URL": f"sqlite:///{tmp_path / 'rollout.db'}"}
    code, said = refused("rollout", "status", settings=settings)
    assert code == 2
    assert "database" in said


def start(settings: Mapping[str, str], home: Path) -> "subprocess.Popen[str]":
    environment = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ} | dict(settings)
    environment["DATABASE_URL"] = f"sqlite:///{home / 'rollout.db'}"
    return subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def says(output: IO[str], what: str) -> None:
    """Read until a line says so; AssertionError when it ends before."""
    for line in output:
        if what in line:
            return
    raise AssertionError(f"it ended before it said {what!r}")


def test_without_slack_and_databricks_it_runs_keeps_trying_refuses_a_second_self_and_stops(
    tmp_path: Path,
) -> None:
    process = start(GOOD, tmp_path)
    try:
        assert process.stdout is not None
        says(process.stdout, "Slack cannot be reached; trying again")  # by then it holds the database
        code, said = run(settings=GOOD, home=tmp_path)
        assert code == 2
        assert "another process" in said
        code, said = run("rollout", "--as", "U0SAND0004", "status", settings=GOOD, home=tmp_path)
        assert code == 0, said
        assert "dev" in said
        says(process.stdout, '"event": "ready"')  # each workspace was asked until the patience with it ended
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, "it finishes what is in hand, and gives the rest back"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
