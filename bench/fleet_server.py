"""The local Databricks as a process of its own, with a latency, and how many calls of which kind it was sent."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Server:
    """Where it answers, its workspaces (key to host and token), and the file of its calendar."""

    admin: str
    workspaces: dict[str, dict[str, str]]
    clock: Path

    def latency(self, seconds: float) -> None:
        """From now on every answer comes so many seconds late; 0: at once."""
        _send("DELETE", f"{self.admin}/sandbox/faults")
        if seconds:
            _send("POST", f"{self.admin}/sandbox/faults", {"path": "/api/*", "kind": "slow", "seconds": seconds})

    def calls(self, since: int = 0) -> tuple[Counter[str], int]:
        """The calls of the API since a number, by method and path, and the number to ask from the next time."""
        found = _send("GET", f"{self.admin}/sandbox/calls?since={since}")
        counted = Counter(f"{call['method']} {call['path']}" for call in found["calls"])
        return counted, int(found["next"])


def _send(method: str, url: str, body: Any = None) -> Any:
    content = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@contextmanager
def served(fleet: str, directory: Path, speed: float) -> Iterator[Server]:
    """A server with that fleet; ``speed``: calendar seconds for each second."""
    command = [sys.executable, "-m", "sandbox.databricks", "--port", "0", "--fleet", fleet]
    command += ["--state", str(directory), "--speed", str(speed)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the local Databricks did not start")
        ready = json.loads(line)
        yield Server(ready["admin"], ready["workspaces"], directory / "clock.json")
    finally:
        process.terminate()
        process.wait(30)
