"""How long a command waits for its acknowledgement: a bare Bolt app, the bot at rest, the bot at work on 2,000 targets.

The clock is that of the local Slack: from handing the envelope to the socket until its acknowledgement arrived. All
three are measured one after the other against the same server.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.report import Figure

ROOT = Path(__file__).resolve().parent.parent
GOAL = 0.100  # seconds, at the median, while the stage runs
COMMANDS = 150
PACE = 0.2  # seconds between two commands
PLAN = """
key: bench
title: Two thousand targets in one stage
runtimes: {source: "13.3", target: "17.3"}
workspaces: [dev, test, staging, prod]
channel: C0SUPPORT1
roles:
  developer: {title: Developer, members: [U0SAND0001]}
  devops: {title: DevOps, members: [U0SAND0004, U0SAND0005]}
capabilities: {start: [devops], rollback: [devops], pause: [devops]}
stages:
  - key: dev
    title: Everything
    targets: {workspaces: [dev, test, staging, prod]}
    sign_offs: {developer: 1}
    max_parallel: 4
    max_failures: 2000
"""


def main() -> list[Figure]:
    """Measure, print, and return the figures."""
    with tempfile.TemporaryDirectory() as directory, sandbox(Path(directory), "large") as (url, settings):
        rows = [("bare Bolt app", _with_process([sys.executable, "-m", "bench.bare"], settings, url, _measure))]
        plan = Path(directory) / "plan.yml"
        plan.write_text(PLAN)
        settings["ROLLOUT_PLANS"] = str(plan)
        database = Path(settings["DATABASE_URL"].removeprefix("sqlite:///"))

        def ours(page: str) -> list[float]:
            _until(lambda: _looked(database), 120, "the first look at 2,000 targets")
            rows.append(("the bot, at rest", _measure(page)))
            _start(page)
            _until(lambda: _state(database) in {"preparing", "upgrading"}, 30, "the stage to start")
            begun = _done(database)
            samples = _measure(page)
            state, done = _state(database), _done(database)
            print(f"while measuring, {done - begun} actions ended; the stage is now {state}")
            if state not in {"preparing", "upgrading", "validating"}:
                print("the stage ended before the measurement did: the last row is not all under load")
            return samples

        rows.append(("the bot, stage of 2,000 running", _with_process([sys.executable, "app.py"], settings, url, ours)))
    _print(rows)
    bare, busy = statistics.median(rows[0][1]), statistics.median(rows[-1][1])
    of = f"{busy * 1000:.0f} ms to {bare * 1000:.0f} ms of a bare Bolt app"
    return [Figure("acknowledgement while 2,000 targets change, ms", busy * 1000, GOAL * 1000, of)]


def _print(rows: Sequence[tuple[str, list[float]]]) -> None:
    bare = statistics.median(rows[0][1])
    print(f"{'acknowledgement of /rollout status':<36}{'n':>6}{'median ms':>12}{'p99 ms':>10}{'x bare':>9}")
    for name, samples in rows:
        middle = statistics.median(samples)
        p99 = sorted(samples)[min(len(samples) - 1, int(0.99 * len(samples)))]
        print(f"{name:<36}{len(samples):>6}{middle * 1000:>12.1f}{p99 * 1000:>10.1f}{middle / bare:>9.1f}")


def _measure(page: str) -> list[float]:
    samples = []
    for _ in range(COMMANDS):
        began = time.monotonic()
        asked = _post(page, "command", {"as": "developer", "channel": "platform-support", "text": "/rollout status"})
        request = _acknowledged(page, str(asked["request"]))
        samples.append(request["acknowledged"] - request["delivered"])
        time.sleep(max(0.0, PACE - (time.monotonic() - began)))
    return samples


def _acknowledged(page: str, request: str) -> dict[str, Any]:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        found = _get(page, f"requests/{request}")
        if found.get("error"):
            raise SystemExit(f"a command failed: {found['error']}")
        if found.get("acknowledged"):
            return found
        time.sleep(0.02)
    raise SystemExit("a command was not acknowledged within 5 s")


def _start(page: str) -> None:
    _post(page, "command", {"as": "devops", "channel": "platform-support", "text": "/rollout start dev"})
    views: list[dict[str, Any]] = []

    def opened() -> bool:
        views[:] = _get(page, "views?as=devops")["views"]
        return bool(views)

    _until(opened, 15, "the form that starts the stage")
    _post(page, "submit", {"as": "devops", "view": views[-1]["id"]})


def _with_process(
    command: Sequence[str], settings: dict[str, str], page: str, measure: Callable[[str], list[float]]
) -> list[float]:
    environment = {**{k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}, **settings}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            _until(lambda: bool(state_of(page)["bot"]["connected"]), 30, f"{command[-1]} to connect")
            return measure(page)
        except BaseException:
            output.seek(0)
            sys.stderr.write(output.read().decode(errors="replace")[-3000:])
            raise
        finally:
            process.terminate()
            process.wait(15)


@contextmanager
def sandbox(directory: Path, fleet: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A sandbox without a bot: the address of its page, and the settings for a bot."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--speed", "1", "--fleet", fleet, "--without-bot"]
    process = subprocess.Popen(
        [*command, "--state", str(directory / "state")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    settings: dict[str, str] = {}
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready: "):
                yield line.removeprefix("ready: ").strip(), settings
                return
            name, _, value = line.strip().partition("=")
            settings[name] = value
        raise SystemExit("the sandbox did not start")
    finally:
        process.terminate()
        process.wait(15)


def _query(database: Path, sql: str) -> Any:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5) as connection:
        return connection.execute(sql).fetchone()[0]


def _looked(database: Path) -> bool:
    try:
        return bool(_query(database, "SELECT count(*) = 4 FROM workspace WHERE looked_at IS NOT NULL"))
    except sqlite3.Error:
        return False


def _state(database: Path) -> str:
    return str(_query(database, "SELECT state FROM stage ORDER BY position LIMIT 1"))


def _done(database: Path) -> int:
    return int(_query(database, "SELECT count(*) FROM action WHERE state = 'done'"))


def _until(done: Callable[[], bool], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise SystemExit(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)


def state_of(page: str) -> dict[str, Any]:
    """What the page shows a developer."""
    return _get(page, "state?as=developer")


def _get(page: str, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{page}/sandbox/{path}", timeout=10) as response:
        found: dict[str, Any] = json.load(response)
        return found


def _post(page: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{page}/sandbox/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        found: dict[str, Any] = json.load(response)
        return found
