"""Drive the whole product as a stranger would: the servers of the sandbox, the bot by its ordinary command, `say`."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class Sandbox:
    """The two servers of `python -m sandbox --without-bot`, and a bot that can be killed and started again."""

    def __init__(self, url: str, settings: Mapping[str, str], state: Path) -> None:
        self.url, self.settings, self.state = url, dict(settings), state
        self.port = url.rsplit(":", 1)[1]
        self.bot: subprocess.Popen[bytes] | None = None
        self.database = state / "rollout.db"

    # -- the bot -------------------------------------------------------------------------------------------------------

    def start_bot(self, wait: bool = True) -> None:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | self.settings
        with (self.state / "bot.log").open("ab") as log:
            self.bot = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        if wait:
            self.until(lambda: self.connected() and self.looked(), "the bot to be ready", 180.0)

    def kill_bot(self) -> None:
        """SIGKILL: no goodbye."""
        assert self.bot is not None
        self.bot.send_signal(signal.SIGKILL)
        self.bot.wait()

    def stop_bot(self) -> int:
        """SIGTERM; the exit code."""
        assert self.bot is not None
        self.bot.terminate()
        code = self.bot.wait(60)
        self.bot = None
        return code

    def connected(self) -> bool:
        return bool(self.get("state?as=developer")["bot"]["connected"])

    def looked(self) -> bool:
        return bool(self.query("SELECT count(*) > 0 AND count(*) = count(looked_at) FROM workspace")[0][0])

    def looked_lately(self) -> bool:
        """Whether every workspace was looked at so lately that a stage can start for hours to come."""
        now = datetime.fromisoformat(self.get("clock")["now"])
        since = (now - timedelta(hours=12)).astimezone(UTC).replace(tzinfo=None).isoformat(" ")
        return self.looked() and not self.query("SELECT count(*) FROM workspace WHERE looked_at < ?", since)[0][0]

    def log(self) -> str:
        return (self.state / "bot.log").read_text(errors="replace")

    # -- people --------------------------------------------------------------------------------------------------------

    def say(self, person: str, *arguments: str, code: int = 0) -> str:
        """`python -m sandbox.say`; what the person then sees."""
        done = subprocess.run(
            [sys.executable, "-m", "sandbox.say", "--port", self.port, "--as", person, "--wait", "60", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode != code:
            raise AssertionError(
                f"{person} {arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log()[-3000:]}"
            )
        return done.stdout + done.stderr

    # -- the world -----------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/sandbox/{path}", timeout=60) as response:
            return json.load(response)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self.url}/sandbox/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def step(self, seconds: float) -> None:
        self.post("clock", {"step": seconds})

    def fleet(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """(workspace, kind, name) -> target, as the local Databricks holds it."""
        return {
            (t["workspace"], t["kind"], t["name"]): t
            for workspace in self.get("fleet?raw=1")["workspaces"]
            for t in workspace["targets"]
        }

    def admin(self, path: str) -> Any:
        """The admin API of the local Databricks."""
        host = next(v for k, v in self.settings.items() if k.startswith("DATABRICKS_") and k.endswith("_HOST"))
        with urllib.request.urlopen(f"{host}/sandbox/{path}", timeout=60) as response:
            return json.load(response)

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Read the bot's SQLite file from outside."""
        if not self.database.exists():
            return [(0,)]
        try:
            connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)
        except sqlite3.Error:
            return [(0,)]
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError:
            return [(0,)]
        finally:
            connection.close()

    def state_of(self, stage: str) -> str:
        return str(self.query("SELECT state FROM stage WHERE key = ?", stage)[0][0])

    def until(self, done: Callable[[], bool], what: str, seconds: float = 180.0) -> None:
        until = time.monotonic() + seconds
        while not done():
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds} s: {what}\n{self.log()[-3000:]}")
            if self.bot is not None and self.bot.poll() is not None:
                raise AssertionError(f"the bot ended with {self.bot.poll()} before: {what}\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def until_stage(self, stage: str, *states: str, seconds: float = 180.0) -> None:
        self.until(
            lambda: self.state_of(stage) in states, f"{stage} in {states}, it is {self.state_of(stage)}", seconds
        )


@contextmanager
def sandbox(
    directory: Path, *flags: str, speed: int = 600, settings: Mapping[str, str] | None = None
) -> Iterator[Sandbox]:
    """The two servers on free ports; everything is gone at the end."""
    state = directory / "state"
    command: Sequence[str] = [sys.executable, "-m", "sandbox", "--port", "0", "--speed", str(speed), "--without-bot"]
    process = subprocess.Popen(
        [*command, "--state", str(state), *flags], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    found: dict[str, str] = {}
    made: Sandbox | None = None
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready: "):
                made = Sandbox(line.removeprefix("ready: ").strip(), {**found, **(settings or {})}, state)
                break
            name, _, value = line.strip().partition("=")
            found[name] = value
        if made is None:
            raise AssertionError(f"the sandbox did not start: {process.stderr.read() if process.stderr else ''}")
        yield made
    finally:
        if made is not None and made.bot is not None and made.bot.poll() is None:
            made.bot.kill()
            made.bot.wait()
        process.terminate()
        process.wait(60)
