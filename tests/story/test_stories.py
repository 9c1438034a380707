"""`python -m sandbox --story NAME` stands at the moment that it promises, told by the bot itself."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.story.driving import ROOT

pytestmark = pytest.mark.soak


class Told:
    """A sandbox whose story stands."""

    def __init__(self, url: str, lines: list[str]) -> None:
        self.url, self.lines = url, lines

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/sandbox/{path}", timeout=60) as answer:
            return json.load(answer)

    def cards(self) -> dict[str, dict[str, Any]]:
        """What the newest card of each stage tells machines."""
        messages = self.get("messages?as=devops&channel=platform-support")["messages"]
        payloads = [(message["metadata"] or {}).get("event_payload") for message in messages]
        return {payload["stage"]: payload for payload in payloads if payload and "stage" in payload}

    def states(self) -> dict[str, str]:
        return {stage: payload["state"] for stage, payload in self.cards().items()}

    def now(self) -> datetime:
        return datetime.fromisoformat(self.get("clock")["now"])

    def runtimes(self, workspace: str, major: str) -> int:
        targets = next(w["targets"] for w in self.get("fleet")["workspaces"] if w["key"] == workspace)
        return sum(str(target["runtime"]).startswith(major) for target in targets)


@pytest.fixture
def tell(tmp_path: Path) -> Callable[..., Any]:
    """tell("rollback", "--mode", "http") starts the sandbox with a story; it is gone at the end of the block."""

    @contextmanager
    def telling(story: str, *flags: str) -> Iterator[Told]:
        command = [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(tmp_path / "state"), "--story", story]
        process = subprocess.Popen([*command, *flags], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = []
        try:
            for line in process.stdout:
                lines.append(line.strip())
                if line.startswith("ready: "):
                    break
            assert lines[-1].startswith("ready: "), lines
            yield Told(lines[-1].split()[1], lines)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0

    return telling


def test_fresh_is_a_monday_morning_with_nothing_done(tell: Callable[..., Any]) -> None:
    with tell("fresh", "--speed", "0") as told:
        assert told.cards() == {}
        assert told.now().strftime("%a %H:%M") == "Mon 08:00"
        assert told.get("clock")["speed"] == 0


def test_canary_night_bakes_at_two_in_the_morning_with_something_to_look_at(tell: Callable[..., Any]) -> None:
    with tell("canary-night", "--speed", "0") as told:
        assert told.states() == {"dev": "passed", "test": "passed", "staging": "passed", "canary": "baking"}
        assert told.now().hour == 2
        assert datetime.fromisoformat(told.cards()["canary"]["bake_until"]) > told.now()
        assert told.get("clock")["speed"] == 0
        assert told.runtimes("dev", "13.3") == 0
        assert any(line.startswith("canary is upgraded") for line in told.lines)
        newest = told.get("messages?as=on-call&channel=platform-support")["messages"][-1]
        assert newest["ephemeral"]
        assert "Runs of its jobs" in json.dumps(newest["blocks"])
        for person in ("devops", "developer", "qa", "tech-lead"):
            assert told.get(f"views?as={person}")["views"] == [], "no dialog is left open"


@pytest.mark.parametrize("mode", ["socket", "http"])
def test_rollback_has_taken_production_back(tell: Callable[..., Any], mode: str) -> None:
    with tell("rollback", "--speed", "60", "--mode", mode) as told:
        states = told.states()
        assert states.pop("full") == "rolled_back"
        assert states == {"dev": "passed", "test": "passed", "staging": "passed", "canary": "passed"}
        assert told.get("clock")["speed"] == 60
        assert told.get("weather")["faults"] == []
        assert told.runtimes("prod", "13.3") > 20
        assert told.runtimes("staging", "17.3") >= 15
        messages = told.get("messages?as=qa&channel=platform-support")["messages"]
        assert any("I take production back" in message["text"] for message in messages)
