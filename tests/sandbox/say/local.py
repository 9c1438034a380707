"""A real local Slack process, a small Bolt app connected to it by Socket Mode, and a fleet that tests may change."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from sandbox import calendar

ROOT = Path(__file__).resolve().parents[3]
Json = dict[str, Any]


class Fleet:
    """Stands in for the admin API of the Databricks double: GET /sandbox/fleet and /sandbox/next."""

    def __init__(self, workspaces: list[Json]) -> None:
        self.workspaces = workspaces
        fleet = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body: Json = {"now": "2026-11-23T08:00:00Z", "workspaces": fleet.workspaces}
                if self.path.startswith("/sandbox/next"):
                    body = {"next": "2026-11-23T20:00:00+00:00"}
                raw = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def workspace(key: str, count: int, runtime: str = "13.3.x-scala2.12") -> Json:
    """A workspace with `count` targets."""
    names = ["orders-daily-ingest", "customer_360_feature_store_backfill", "clickstream-hourly", "finance-reporting"]
    targets = [
        {
            "workspace": key,
            "kind": "cluster" if number % 3 == 0 else "job",
            "id": str(1000 + number),
            "name": f"{names[number % 4]}-{number}",
            "runtime": runtime.replace("-scala", "-photon-scala") if number % 5 == 0 else runtime,
            "state": "RUNNING" if number % 3 == 0 else "SCHEDULED",
            "runs": {"active": number % 2, "ok": number * 3, "failed": 2 if number % 7 == 6 else 0, "last": None},
        }
        for number in range(count)
    ]
    return {"key": key, "host": "http://127.0.0.1:1", "targets": targets}


class Local:
    """One running local Slack."""

    def __init__(self, directory: Path, fleet: Fleet, port: int = 0) -> None:
        self.directory = directory
        self.fleet = fleet
        self.clock = directory / "clock.json"
        calendar.make(self.clock)
        command = [sys.executable, "-m", "sandbox.slack", "--port", str(port), "--state", str(directory)]
        command += ["--clock", str(self.clock), "--databricks-admin", fleet.url, "--mode", "socket"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        ready = {}
        for line in self.process.stdout:
            with suppress(ValueError):
                ready = json.loads(line)
            if ready.get("ready"):
                break
        self.url = str(ready["url"]).rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])
        tokens = json.loads((directory / "slack-tokens.json").read_text())
        self.bot_token, self.app_token = tokens["bot"], tokens["app"]
        self.seen: list[Json] = []

    def client(self) -> WebClient:
        return WebClient(token=self.bot_token, base_url=f"{self.url}/api/")

    def get(self, path: str) -> Json:
        with urlopen(f"{self.url}/sandbox/{path}") as answer:
            return dict(json.load(answer))

    def say(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m sandbox.say`, as a process."""
        command = [sys.executable, "-m", "sandbox.say", "--port", str(self.port), *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        if self.process.stdout:
            self.process.stdout.close()


@contextmanager
def running(directory: Path, workspaces: list[Json]) -> Iterator[Local]:
    """A local Slack without a bot."""
    fleet = Fleet(workspaces)
    local = Local(directory, fleet)
    try:
        yield local
    finally:
        local.close()
        fleet.close()


@contextmanager
def connected(local: Local, app: App) -> Iterator[None]:
    """A Bolt app on the socket of a local Slack."""
    handler = SocketModeHandler(app, local.app_token)
    handler.connect()
    until = time.monotonic() + 60
    while not local.get("state?as=devops")["bot"]["connected"]:
        assert time.monotonic() < until, "the app did not connect"
        time.sleep(0.02)
    try:
        yield
    finally:
        handler.close()
