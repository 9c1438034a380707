"""`python -m sandbox` starts three programs, keeps the bot alive and leaves nothing behind. Small programs stand in."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

WAIT = """
import json, os, signal, sys, time
def say(**line): print(json.dumps(line), flush=True)
gone = []  # no event: its lock could be held by the wait that the handler interrupts
signal.signal(signal.SIGTERM, lambda *_: gone.append(True))
def wait():
    while not gone: time.sleep(0.05)
"""
DATABRICKS = """
dev = {"host": "http://127.0.0.1:1", "token": "dapi1"}
workspaces = {"dev": dev, "prod_eu": {"host": "http://127.0.0.1:2", "token": "dapi2"}}
say(ready=True, workspaces=workspaces, admin="http://127.0.0.1:1")
wait()
"""
SLACK = """
say(ready=True, url="http://127.0.0.1:8", seen=sys.argv[1:])
wait()
"""
BOT = """
say(event="starting", environment=dict(os.environ))
say(event="ready")
wait()
say(event="stopped")
"""

CLOCK = '{"anchor": "2026-11-25T09:00:00+00:00", "machine": 0, "speed": 0}'
STORY = """
print("dev passed", sys.argv[1:])
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the sandbox with other programs and flags; what is still there at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(
        *flags: str,
        databricks: str = DATABRICKS,
        slack: str = SLACK,
        bot: str = BOT,
        story: str = STORY,
        state: Path | None = None,
    ) -> subprocess.Popen[str]:
        given = {"databricks": databricks, "slack": slack, "bot": bot, "story": story}
        programs = {name: WAIT + code for name, code in given.items()}
        script = (
            "import json, sys; from sandbox.__main__ import main; from sandbox.supervisor import Commands\n"
            "programs = {name: (sys.executable, '-S', '-c', code) for name, code in json.loads(sys.argv[1]).items()}\n"
            "sys.exit(main(sys.argv[2:], Commands(**programs)))"
        )
        where = ("--state", str(state or tmp_path / "state"))
        process = subprocess.Popen(
            [sys.executable, "-c", script, json.dumps(programs), "--port", "0", *where, *flags],
            cwd=ROOT,
            env={**os.environ, "SLACK_BOT_TOKEN": "xoxb-real", "DATABRICKS_HOST": "https://real", "ROLLOUT_PLANS": "x"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        assert process.stdout
        process.stdout.close()


def lines_until(process: subprocess.Popen[str], beginning: str) -> list[str]:
    """What the process prints up to the first line that begins so."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(beginning):
            return lines
    raise AssertionError(f"no line begins with {beginning!r}: {lines}")


def pids(state: Path) -> dict[str, int]:
    read: dict[str, int] = json.loads((state / "pids.json").read_text())
    return read


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def log(state: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (state / f"{name}.log").read_text().splitlines() if line.startswith("{")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_and_exits_0(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = start()
    assert lines_until(process, "ready:") == ["ready: http://127.0.0.1:8"]
    running = pids(tmp_path / "state")
    assert set(running) == {"supervisor", "bot", "slack", "databricks"}
    assert all(alive(pid) for pid in running.values())
    process.send_signal(number)
    assert process.wait(60) == 0
    assert not any(alive(pid) for pid in running.values())
    assert not (tmp_path / "state" / "pids.json").exists()
    assert log(tmp_path / "state", "bot")[-1] == {"event": "stopped"}, "the bot may finish the call in hand"


def test_a_signal_before_ready_exits_0_too(start: Start, tmp_path: Path) -> None:
    process = start(bot="say(event='starting'); wait()")
    wait_until(lambda: (tmp_path / "state" / "bot.log").exists() and log(tmp_path / "state", "bot") != [])
    running = pids(tmp_path / "state")
    process.terminate()
    assert process.wait(60) == 0
    assert not any(alive(pid) for pid in running.values())


def test_what_a_child_started_goes_with_it(start: Start, tmp_path: Path) -> None:
    grandchild = "import subprocess\nsay(event='ready', pid=subprocess.Popen(['sleep', '60']).pid)\nwait()"
    process = start(bot=grandchild)
    lines_until(process, "ready:")
    pid = log(tmp_path / "state", "bot")[-1]["pid"]
    process.terminate()
    assert process.wait(60) == 0
    wait_until(lambda: not alive(pid))


def test_a_second_signal_does_not_wait_for_a_bot_that_hangs(start: Start, tmp_path: Path) -> None:
    process = start(bot="signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay(event='ready')\nwait()")
    lines_until(process, "ready:")
    running = pids(tmp_path / "state")
    process.terminate()
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 0
    assert not any(alive(pid) for pid in running.values())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_children_end_when_the_supervisor_is_killed(start: Start, tmp_path: Path) -> None:
    process = start()
    lines_until(process, "ready:")
    running = pids(tmp_path / "state")
    process.kill()
    process.wait()
    wait_until(lambda: not any(alive(pid) for pid in running.values()))


def test_a_killed_bot_is_started_again(start: Start, tmp_path: Path) -> None:
    process = start()
    lines_until(process, "ready:")
    before = pids(tmp_path / "state")
    os.kill(before["bot"], signal.SIGKILL)
    (died, back) = lines_until(process, "the bot is ready again")
    assert died.startswith("the bot ended (killed by SIGKILL) and is started again at once; see ")
    assert back == "the bot is ready again"
    after = pids(tmp_path / "state")
    assert after["bot"] != before["bot"]
    assert after["slack"] == before["slack"]


def test_a_bot_that_dies_before_it_stands_is_given_time(start: Start, tmp_path: Path) -> None:
    process = start(bot="print('no'); sys.exit(1)")
    first, second = (lines_until(process, "the bot ended")[-1] for _ in range(2))
    assert "is started again in 1 s" in first
    assert "is started again in 2 s" in second


def test_a_story_is_played_before_ready_and_the_calendar_then_runs_as_asked(start: Start, tmp_path: Path) -> None:
    clock = str(tmp_path / "state" / "clock.json")
    story = f"print('dev passed', sys.argv[1:])\nfrom pathlib import Path\nPath({clock!r}).write_text({CLOCK!r})"
    process = start("--story", "rollback", "--speed", "7", story=story)
    assert lines_until(process, "ready:") == ["dev passed ['rollback', '--port', '8']", "ready: http://127.0.0.1:8"]
    assert json.loads(Path(clock).read_text())["speed"] == 7
    process.terminate()
    assert process.wait(60) == 0
    again = start("--story", "rollback")
    assert again.wait(60) == 2
    assert again.stdout
    assert "add --fresh to forget that one" in again.stdout.read()
    lines_until(start("--story", "fresh", "--fresh"), "ready:")


def test_a_story_that_fails_ends_it_with_its_last_words(start: Start) -> None:
    process = start("--story", "rollback", story="print('dev is not to be started'); sys.exit(1)")
    assert process.wait(60) == 1
    assert process.stdout
    output = process.stdout.read()
    assert "dev is not to be started\nthe story rollback was not built (exit code 1); see " in output
    assert "ready:" not in output


def test_a_signal_ends_a_story_that_is_played(start: Start, tmp_path: Path) -> None:
    process = start("--story", "rollback", story="print('it begins', flush=True); wait()")
    lines_until(process, "it begins")
    process.terminate()
    assert process.wait(60) == 0
    assert not (tmp_path / "state" / "pids.json").exists()


@pytest.mark.parametrize("flags", [("--without-bot",), ("--fleet", "large")])
def test_a_story_needs_the_bot_and_the_sample_fleet(start: Start, flags: tuple[str, ...]) -> None:
    assert start("--story", "rollback", *flags).wait(60) == 2


def test_the_local_slack_is_told_where_the_process_ids_are(start: Start, tmp_path: Path) -> None:
    lines_until(start(), "ready:")
    seen = log(tmp_path / "state", "slack")[0]["seen"]
    assert seen[seen.index("--pids") + 1] == str(tmp_path / "state" / "pids.json")


def test_refused_settings_end_it_with_2_and_the_bots_words(start: Start, tmp_path: Path) -> None:
    process = start(bot="print('ROLLOUT_PLANS: no such file'); sys.exit(2)")
    assert process.wait(60) == 2
    assert process.stdout
    output = process.stdout.read()
    assert "ROLLOUT_PLANS: no such file\n" in output
    assert "ready:" not in output
    assert not (tmp_path / "state" / "pids.json").exists()


@pytest.mark.parametrize("dies", ["databricks", "slack"])
@pytest.mark.parametrize("code", [1, 2])
def test_a_server_that_fails_ends_it_with_its_last_words(start: Start, dies: str, code: int) -> None:
    process = start(**{dies: f"print('fleet.yml line 3: no such kind'); sys.exit({code})"})
    assert process.wait(60) == code
    assert process.stdout
    output = process.stdout.read()
    assert "fleet.yml line 3: no such kind" in output
    assert f"the local {dies.capitalize()} ended (exit code {code})" in output


def test_without_bot_prints_the_settings_then_ready(start: Start, tmp_path: Path) -> None:
    process = start("--without-bot", "--database", "postgresql://here/db")
    *printed, ready = lines_until(process, "ready:")
    assert ready == "ready: http://127.0.0.1:8"
    settings = dict(line.split("=", 1) for line in printed)
    assert len(settings.pop("ROLLOUT_SECRET_KEYS")) == 44
    assert settings.pop("SLACK_BOT_TOKEN").startswith("xoxb-sandbox-")
    assert settings.pop("SLACK_APP_TOKEN").startswith("xapp-sandbox-")
    assert settings.pop("SLACK_SIGNING_SECRET")
    assert (tmp_path / "state" / "secret-key").stat().st_mode & 0o777 == 0o600
    assert settings == {
        "SLACK_API_URL": "http://127.0.0.1:8/api/",
        "ROLLOUT_PLANS": str(ROOT / "sandbox" / "plan.yml"),
        "ROLLOUT_CLOCK": str(tmp_path / "state" / "clock.json"),
        "ROLLOUT_MODE": "socket",
        "DATABASE_URL": "postgresql://here/db",
        "DATABRICKS_DEV_HOST": "http://127.0.0.1:1",
        "DATABRICKS_DEV_TOKEN": "dapi1",
        "DATABRICKS_PROD_EU_HOST": "http://127.0.0.1:2",
        "DATABRICKS_PROD_EU_TOKEN": "dapi2",
    }
    assert pids(tmp_path / "state")["bot"] is None


def test_the_bot_gets_its_settings_and_none_of_the_callers(start: Start, tmp_path: Path) -> None:
    lines_until(start(), "ready:")
    environment = log(tmp_path / "state", "bot")[0]["environment"]
    assert environment["SLACK_BOT_TOKEN"].startswith("xoxb-sandbox-")
    assert environment["ROLLOUT_LOG"] == "json"
    assert environment["DATABASE_URL"] == f"sqlite:///{tmp_path}/state/rollout.db"
    assert "DATABRICKS_HOST" not in environment


def test_http_mode_names_one_port_to_both_sides(start: Start, tmp_path: Path) -> None:
    lines_until(start("--mode", "http"), "ready:")
    environment = log(tmp_path / "state", "bot")[0]["environment"]
    seen = log(tmp_path / "state", "slack")[0]["seen"]
    assert environment["ROLLOUT_MODE"] == "http"
    assert environment["ROLLOUT_HOST"] == "127.0.0.1"
    assert f"http://127.0.0.1:{environment['PORT']}/slack/events" in seen
    assert seen[seen.index("--databricks-admin") + 1] == "http://127.0.0.1:1"


def test_a_second_start_with_the_same_directory_is_refused(start: Start, tmp_path: Path) -> None:
    first = start()
    lines_until(first, "ready:")
    second = start()
    assert second.wait(60) == 2
    assert second.stdout
    assert f"already runs with {tmp_path}/state (process {first.pid})" in second.stdout.read()
    assert first.poll() is None


def test_a_port_in_use_is_refused(start: Start, free_port: int) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        process = start("--port", str(free_port))
        assert process.wait(60) == 2
    assert process.stdout
    assert process.stdout.read() == f"Port {free_port} is in use: stop what listens there, or give another --port.\n"


def test_another_fleet_needs_fresh(start: Start, tmp_path: Path) -> None:
    for flags, code in (
        (("--fleet", "sample"), 0),
        (("--fleet", "large"), 2),
        (("--fleet", "large", "--fresh"), 0),
        ((), 0),
    ):
        process = start(*flags)
        if code:
            assert process.wait(60) == code
            assert process.stdout
            assert "add --fresh" in process.stdout.read()
        else:
            lines_until(process, "ready:")
            process.terminate()
            assert process.wait(60) == 0
    assert json.loads((tmp_path / "state" / "sandbox.json").read_text()) == {"fleet": "large"}


def test_fresh_deletes_only_what_a_sandbox_made(start: Start, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    process = start("--fresh", state=tmp_path)
    assert process.wait(60) == 2
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_calendar_stands_still_while_nothing_runs(start: Start, tmp_path: Path) -> None:
    clock = tmp_path / "state" / "clock.json"
    process = start("--speed", "600")
    lines_until(process, "ready:")
    assert json.loads(clock.read_text())["speed"] == 600
    process.terminate()
    process.wait(60)
    stopped = json.loads(clock.read_text())
    assert stopped["speed"] == 0
    lines_until(start("--speed", "1"), "ready:")
    again = json.loads(clock.read_text())
    assert (again["anchor"], again["speed"]) == (stopped["anchor"], 1)


@pytest.mark.parametrize(
    "flags", [("--fleet", "nowhere.yml"), ("--speed", "-1"), ("--speed", "nan"), ("--port", "70000")]
)
def test_a_wrong_flag_exits_2(start: Start, flags: tuple[str, ...]) -> None:
    assert start(*flags).wait(60) == 2
