"""`python -m sandbox.clock` and `python -m sandbox.fleet`, against a page server that only answers what they ask."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import clock, fleet

CLOCK = {"now": "2026-11-23T08:00:00Z", "speed": 60, "next": "2026-11-24T08:00:00Z"}
TARGET = {
    "workspace": "dev",
    "kind": "job",
    "id": "7",
    "name": "orders",
    "runtime": "13.3.x-scala2.12",
    "state": "SCHEDULED",
    "runs": {"active": 1, "ok": 5, "failed": 2, "last": None},
}
FLEET = {"now": "2026-11-23T08:00:00Z", "workspaces": [{"key": "dev", "host": "http://h", "targets": [TARGET]}]}


class Page(http.server.BaseHTTPRequestHandler):
    """Remembers what was asked."""

    asked: list[tuple[str, Any]]

    def do_GET(self) -> None:
        type(self).asked.append((self.path, None))
        self._answer(200, FLEET if "fleet" in self.path else CLOCK)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((self.path, body))
        self._answer(*((400, {"error": "nothing is due"}) if body == {"to": "next"} else (200, CLOCK)))

    def _answer(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Its port, and what it was asked."""
    Page.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield str(server.server_port), Page.asked
    server.shutdown()
    server.server_close()


def test_no_option_prints_the_calendar(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert clock.main(["--port", page[0]]) == 0
    assert capsys.readouterr().out == "2026-11-23T08:00:00Z (60x, next 2026-11-24T08:00:00Z)\n"
    assert page[1] == [("/sandbox/clock", None)]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--step", "24h"], {"step": 86_400}),
        (["--step", "1d12h"], {"step": 129_600}),
        (["--step", "90m"], {"step": 5400}),
        (["--step", "1.5h"], {"step": 5400}),
        (["--step", "30"], {"step": 30}),
        (["--speed", "600"], {"speed": 600}),
        (["--stop"], {"speed": 0}),
    ],
)
def test_each_option_is_one_change(page: Any, options: list[str], sent: dict[str, float]) -> None:
    assert clock.main(["--port", page[0], *options]) == 0
    assert page[1] == [("/sandbox/clock", sent)]


def test_a_refusal_is_shown_as_a_sentence(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert clock.main(["--port", page[0], "--to", "next"]) == 1
    assert capsys.readouterr().err == "The sandbox refused: nothing is due\n"


@pytest.mark.parametrize("options", [["--step", "soon"], ["--step", "0"], ["--step", "h"], ["--speed", "-1"]])
def test_what_cannot_be_is_refused_before_asking(page: Any, options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        clock.main(["--port", page[0], *options])
    assert caught.value.code == 2
    assert page[1] == []


@pytest.mark.parametrize("command", [clock.main, fleet.main])
def test_without_a_sandbox_both_say_so(command: Any, free_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["--port", str(free_port)]) == 1
    assert "make sandbox" in capsys.readouterr().err


def test_the_fleet_as_a_table(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.main(["--port", page[0]]) == 0
    out = capsys.readouterr().out
    assert "job  orders  13.3.x-scala2.12  SCHEDULED  1 active, 5 ok, 2 failed" in out
    assert page[1] == [("/sandbox/fleet", None)]


def test_the_fleet_as_json_is_one_list_with_raw_configurations(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.main(["--port", page[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [TARGET]
    assert page[1] == [("/sandbox/fleet?raw=1", None)]
