"""`python -m sandbox.fault`, against the real server and against a page that only remembers what it is asked."""

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox import fault
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.faults import KINDS
from sandbox.databricks.server import running
from tests.ports import free_port


@pytest.fixture
def port(tiny: dict[str, Any]) -> Iterator[int]:
    """The page's port of a sandbox whose Databricks runs at the port after it."""
    with running(tiny) as found:
        yield int(found.admin.rpartition(":")[2]) - 1


def test_a_fault_is_set_shown_and_removed(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    on = ["--on", "databricks", "--port", str(port)]
    narrow = ["--rate", "0.5", "--workspace", "dev", "--method", "GET", "--times", "2", "--retry-after", "3"]
    assert fault.main([*on, "--path", "/api/2.1/clusters/*", "--kind", "429", *narrow, "--seed", "4"]) == 0
    assert fault.main([*on, "--path", "/api/2.2/*", "--kind", "eventual", "--reads", "2"]) == 0
    (rule, late) = requests.get(f"http://127.0.0.1:{port + 1}/sandbox/faults", timeout=60).json()["faults"]
    assert rule == {**rule, "kind": "429", "rate": 0.5, "workspace": "dev", "method": "GET", "times": 2, "seed": 4}
    assert (rule["retry_after"], late["reads"]) == (3, 2)
    capsys.readouterr()
    assert fault.main([*on, "--list"]) == 0
    titles, first, second = capsys.readouterr().out.splitlines()
    assert titles.split()[:4] == ["number", "kind", "path", "rate"]
    assert first.split()[:4] == ["1", "429", "/api/2.1/clusters/*", "0.5"]
    assert second.split()[1] == "eventual"
    assert fault.main([*on, "--clear", "1"]) == 0
    assert "clusters" not in capsys.readouterr().out
    assert fault.main([*on, "--clear"]) == 0
    assert capsys.readouterr().out == "No faults are set.\n"


def test_the_command_knows_the_kinds_of_the_server() -> None:
    assert set(fault.KINDS["databricks"]) == set(KINDS)


def test_a_number_that_is_not_there_is_refused_with_a_sentence(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert fault.main(["--on", "databricks", "--port", str(port), "--clear", "9"]) == 1
    assert capsys.readouterr().err == "The sandbox refused: there is no fault number 9\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--on"),
        (["--on", "databricks"], "say one of --kind"),
        (["--on", "databricks", "--list", "--clear"], "say one of --kind"),
        (["--on", "databricks", "--kind", "drop"], "databricks has no fault 'drop'"),
        (["--on", "slack", "--kind", "eventual"], "slack has no fault 'eventual'"),
        (["--on", "databricks", "--kind", "500", "--rate", "2"], "2 is not between 0 and 1"),
        (["--on", "databricks", "--clear", "x"], "'x' is not a number"),
    ],
)
def test_a_command_that_makes_no_sense_says_why(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        fault.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_without_a_sandbox_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    free = free_port()
    assert fault.main(["--on", "slack", "--port", str(free), "--list"]) == 1
    assert f"No local Slack answers at http://127.0.0.1:{free}" in capsys.readouterr().err


class Page(http.server.BaseHTTPRequestHandler):
    """Remembers what was asked."""

    asked: list[tuple[str, str, Any]]

    def do_GET(self) -> None:
        self._answer(None)

    def do_DELETE(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        type(self).asked.append((self.command, self.path, body))
        content = json.dumps({"faults": [{"number": 1, "method": "chat.*", "kind": "429", "rate": 1.0, "hits": 0}]})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: Any) -> None:
        """Silent."""


def test_on_slack_it_asks_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    Page.asked = []
    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        on = ["--on", "slack", "--port", str(server.server_address[1])]
        for arguments in (["--kind", "late", "--path", "chat.*"], ["--clear", "2"], ["--clear"], ["--list"]):
            assert fault.main([*on, *arguments]) == 0
        server.shutdown()
    assert Page.asked == [
        ("POST", "/sandbox/faults", {"kind": "late", "path": "chat.*"}),
        ("POST", "/sandbox/faults", {"clear": 2}),
        ("DELETE", "/sandbox/faults", None),
        ("GET", "/sandbox/faults", None),
    ]
    assert capsys.readouterr().out.splitlines()[0].split() == ["number", "kind", "rate", "method", "hits"]


def test_a_fault_is_of_the_whole_sandbox_and_not_of_one_workspace(databricks: Databricks) -> None:
    databricks.faults.add("*", "500")
    assert {databricks.faults.strike(ws, "GET", "/api/x") is not None for ws in databricks.workspaces} == {True}
