"""How soon the bot is there: from its start until Slack sees it, and from a kill until another engine works."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.acknowledgement import sandbox, state_of
from bench.engine_room import engine_room, until
from bench.fleet_server import ROOT, served
from bench.report import Figure
from rollout.states import ActionKind

READY, NEW_ACTION = 2.0, 3.0
LATENCY = 0.050


def main() -> list[Figure]:
    """Measure, print, and return the figures."""
    ready, again = _ready(), _new_action()
    print(f"ready after {ready:.2f} s; first new action {again:.2f} s after the kill")
    return [
        Figure("start of the bot until Slack sees it, seconds", ready, READY, "second start on the same database"),
        Figure("kill until the next engine begins an action, seconds", again, NEW_ACTION, "SQLite, stage half done"),
    ]


def _ready() -> float:
    with tempfile.TemporaryDirectory() as directory, sandbox(Path(directory), "sample") as (url, settings):
        settings["ROLLOUT_PLANS"] = "sandbox/plan.yml"
        environment = {**{k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}, **settings}
        for _ in range(2):  # the first makes the database
            began = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "app.py"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            until(lambda: bool(state_of(url)["bot"]["connected"]), "the bot to connect", 60)
            took = time.monotonic() - began
            process.terminate()
            process.wait(15)
            until(lambda: not state_of(url)["bot"]["connected"], "the bot to be gone", 30)
    return took


def _new_action() -> float:
    with tempfile.TemporaryDirectory() as directory, served("large:200+30", Path(directory), 60.0) as server:
        server.latency(LATENCY)
        with engine_room(server, Path(directory)) as room:
            room.begin()
            room.looked()
            room.start()
            until(lambda: room.done(ActionKind.CHANGE) > 20, "some changes")
            assert room.engine is not None
            room.engine.die()
            began = time.monotonic()
            owner = room.begin().owner
            until(lambda: room.begun_by(owner), "a new action", 60)
            return time.monotonic() - began
