"""What one call costs the local Databricks, and how long it takes to start and to stop.

The cost is the CPU time of the server's process (Linux counts it in nanoseconds), call by call on one connection, on
the large fleet. A bare application on the same server and protocol class, which answers a constant, is measured beside.
"""

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.report import Figure

ROOT = Path(__file__).resolve().parent.parent
GOAL = 2.0  # milliseconds of CPU, at the median
CALLS = 300
FLEETS = {"sample": 1.0, "large:12000": 5.0}
STOP = 2.0
"""Seconds from the start of the process until it is ready, for each fleet, and to its end."""
Ask = Callable[[], object]


def main() -> list[Figure]:
    """Measure, print, and return the figures."""
    rows: list[tuple[str, list[float]]] = []
    with _served([sys.executable, "-m", "bench.bare_http"]) as (process, ready, _):
        bare = _Client(ready["url"], "none")
        rows.append(("bare application", _measure(process.pid, lambda: bare.ask("GET", "/"))))
    with tempfile.TemporaryDirectory() as state, _double("large", Path(state)) as (process, ready, _):
        workspace = ready["workspaces"]["prod"]
        for name, ask in _calls(workspace["host"], workspace["token"]):
            rows.append((name, _measure(process.pid, ask)))
    _print(rows)
    slowest, samples = max(rows, key=lambda row: statistics.median(row[1]))
    of = f"of the slowest call, {slowest}; a bare application {statistics.median(rows[0][1]):.2f}"
    found = [Figure("local Databricks, CPU of a call, ms", statistics.median(samples), GOAL, of)]
    for fleet, goal in FLEETS.items():
        with tempfile.TemporaryDirectory() as state:
            with _double(fleet, Path(state)) as (process, _, took):
                began = time.monotonic()
                used = _cpu(process.pid) / 1e9
                process.terminate()
                process.wait(30)
                ended = time.monotonic() - began
            print(f"{fleet:<14} ready after {took:.2f} s of which {used:.2f} of CPU, gone after {ended:.2f} s")
            found.append(Figure(f"local Databricks, start with {fleet}, seconds", took, goal, f"{used:.2f} s of CPU"))
            found.append(Figure(f"local Databricks, end with {fleet}, seconds", ended, STOP, "SIGTERM to the end"))
    return found


def _print(rows: Sequence[tuple[str, list[float]]]) -> None:
    bare = statistics.median(rows[0][1])
    print(f"{'CPU of the server for one call':<36}{'n':>6}{'median ms':>12}{'p99 ms':>10}{'x bare':>9}")
    for name, samples in rows:
        middle = statistics.median(samples)
        p99 = sorted(samples)[int(0.99 * len(samples))]
        print(f"{name:<36}{len(samples):>6}{middle:>12.2f}{p99:>10.2f}{middle / bare:>9.1f}")


def _calls(host: str, token: str) -> Iterator[tuple[str, Ask]]:
    server = _Client(host, token)
    clusters, jobs = "/api/2.1/clusters/list?page_size=100", "/api/2.2/jobs/list?limit=100&expand_tasks=true"
    stopped = server.ask(
        "GET", "/api/2.1/clusters/list?filter_by.cluster_states=TERMINATED"
    )  # an update restarts no one
    cluster = stopped["clusters"][0]["cluster_id"]
    job = server.ask("GET", jobs)["jobs"][0]["job_id"]
    tags = {"cluster_id": cluster, "update_mask": "custom_tags", "cluster": {"custom_tags": {"team": "bench"}}}
    settings = {"job_id": job, "new_settings": {"tags": {"team": "bench"}, "max_concurrent_runs": 2}}
    yield "clusters/get", lambda: server.ask("GET", f"/api/2.1/clusters/get?cluster_id={cluster}")
    yield "clusters/list, a page of 100", lambda: server.ask("GET", clusters)
    yield "clusters/update", lambda: server.ask("POST", "/api/2.1/clusters/update", tags)
    yield "jobs/get", lambda: server.ask("GET", f"/api/2.2/jobs/get?job_id={job}")
    yield "jobs/list, 100 with their tasks", lambda: server.ask("GET", jobs)
    yield "jobs/update", lambda: server.ask("POST", "/api/2.2/jobs/update", settings)
    yield "runs/list, a page of 24", lambda: server.ask("GET", "/api/2.2/jobs/runs/list?limit=24")
    yield (
        "runs/list, 24 with their tasks",
        lambda: server.ask("GET", "/api/2.2/jobs/runs/list?limit=24&expand_tasks=true"),
    )


class _Client:
    """One connection that stays."""

    def __init__(self, host: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(host).netloc, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, which must be a good one."""
        content = json.dumps(body).encode() if body is not None else None
        self._connection.request(method, path, content, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300].decode(errors='replace')}")
        return json.loads(text)


def _measure(pid: int, ask: Ask) -> list[float]:
    samples = []
    for _ in range(CALLS):
        before = _cpu(pid)
        ask()
        samples.append((_cpu(pid) - before) / 1e6)
    return samples


def _cpu(pid: int) -> int:
    """Nanoseconds of CPU that the process used so far."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def _double(fleet: str, state: Path) -> Any:
    command = [sys.executable, "-m", "sandbox.databricks", "--port", "0", "--fleet", fleet, "--state", str(state)]
    return _served(command)


@contextmanager
def _served(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any], float]]:
    """A server as a child, what it said when it was ready, and after how many seconds it said so."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(command)} did not start")
        yield process, json.loads(line), time.monotonic() - began
    finally:
        process.terminate()
        process.wait(30)
