"""The page's API: state, live pushes, the calendar and the fleet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from slack_sdk import WebClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from sandbox import calendar
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import QA, SUPPORT, Json, RawBot, home, section

MORNING = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    path = tmp_path / "clock.json"
    calendar.write(path, MORNING, 0)
    return path


@pytest.fixture
def databricks() -> Iterator[Json]:
    """A stand-in for the Databricks admin API: what it holds under "fleet" and "next" is what it answers."""
    held: Json = {"fleet": {"now": "x", "workspaces": []}, "next": {"next": None}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(held[self.path.partition("?")[0].rsplit("/", 1)[1]]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held["url"] = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield held
    server.shutdown()
    server.server_close()


def live(slack: Slack, person: str = "qa") -> ClientConnection:
    return connect(f"ws{slack.url.removeprefix('http')}/sandbox/live?as={person}")


def push(socket: ClientConnection, kind: str) -> Json:
    """The next push of a kind."""
    while True:
        found: Json = json.loads(socket.recv(timeout=60))
        if found["type"] == kind:
            return found


def test_state_tells_a_person_what_the_page_needs(slack: Slack) -> None:
    state = slack.get("state", **{"as": "outsider"})
    assert (state["me"]["key"], state["me"]["team"], state["me"]["default_channel"]) == (
        "outsider",
        "T0PARTNER1",
        "C0PARTNER1",
    )
    assert [p["key"] for p in state["people"]][:2] == ["developer", "tech-lead"]
    assert [(c["name"], c["ext_shared"]) for c in state["channels"]] == [("partner-shared", True)]
    assert state["commands"][0]["command"] == "/rollout"
    assert state["verbs"] == ["status", "plan", "start"]
    assert state["bot"] == {
        "user_id": "U0ROLLBOT1",
        "name": "rollout",
        "connected": False,
        "mode": "socket",
        "kill": {"back": None, "can": False, "down": None, "times": 0},
    }
    assert state["clock"]["speed"] == 1.0


def test_guests_and_deactivated_accounts_are_marked(slack: Slack) -> None:
    people = {p["key"]: p for p in slack.get("state", **{"as": "qa"})["people"]}
    assert people["guest"]["guest"] is True
    assert people["deactivated"]["deactivated"] is True
    assert people["outsider"]["outside"] is True


@pytest.mark.parametrize("path", ["state", "messages", "home", "views"])
def test_an_unknown_person_is_a_plain_sentence(slack: Slack, path: str) -> None:
    with pytest.raises(LookupError, match="404 There is no person 'nobody'"):
        slack.get(path, **{"as": "nobody"})


def test_bad_requests_are_plain_sentences(slack: Slack) -> None:
    cases: list[tuple[str, Json, str]] = [
        ("command", {"as": "qa", "text": 7}, "must be a text"),
        ("command", {"as": "qa", "text": " "}, "nothing to send"),
        ("command", {"as": "qa", "text": "hi", "channel": "nowhere"}, "no channel 'nowhere'"),
        ("act", {"as": "qa"}, "container"),
        ("act", {"as": "qa", "container": {"view": "V1"}}, "no such view"),
        ("submit", {"as": "qa"}, "must be the id of a view"),
        ("submit", {"as": "qa", "view": "V1"}, "no such view"),
        ("clock", {"speed": 2}, "without a calendar"),
        ("sockets", {"disconnect": "gently"}, "disconnect"),
    ]
    for path, body, sentence in cases:
        with pytest.raises(LookupError, match=sentence):
            slack.post(path, **body)
    with pytest.raises(LookupError, match="no such request"):
        slack.request("r99")


def test_messages_are_pushed_to_who_sees_them(slack: Slack, client: WebClient) -> None:
    with live(slack) as qa, live(slack, "developer") as developer:
        client.chat_postEphemeral(channel=SUPPORT, user=QA, text="private")
        ts = client.chat_postMessage(channel=SUPPORT, text="public")["ts"]
        assert push(qa, "message")["message"]["text"] == "private"
        assert push(developer, "message")["message"]["text"] == "public"
        client.chat_update(channel=SUPPORT, ts=ts, text="changed")
        assert push(developer, "message_changed")["message"]["text"] == "changed"
        client.chat_delete(channel=SUPPORT, ts=ts)
        assert push(developer, "message_deleted")["ts"] == ts


def test_requests_homes_and_the_bots_connection_are_pushed(slack: Slack, client: WebClient) -> None:
    with live(slack) as qa:
        RawBot(slack, lambda envelope: None)
        assert push(qa, "bot")["connected"] is True
        request = slack.command("qa", "/rollout")
        assert push(qa, "request")["request"]["id"] == request
        client.views_publish(user_id=QA, view=home(section("hi")))
        assert push(qa, "home")["view"]["type"] == "home"


def test_nobody_listens_as_nobody(slack: Slack) -> None:
    with pytest.raises(InvalidStatus):
        live(slack, "nobody")


def test_the_calendar_is_read_set_and_stepped(start: Callable[..., Slack], clock: Path) -> None:
    slack = start(clock=clock)
    assert slack.get("clock") == {"now": MORNING.isoformat(), "speed": 0.0, "next": None}
    with live(slack) as qa:
        stepped = slack.post("clock", step=3600)
        assert stepped["now"] == (MORNING + timedelta(hours=1)).isoformat()
        assert push(qa, "clock")["clock"] == stepped
    assert slack.post("clock", speed=600)["speed"] == 600
    assert calendar.read(clock).speed == 600
    for bad in ({"speed": -1}, {"step": -5}, {"step": "x"}, {"to": "bed"}, {}, {"speed": 1, "step": 1}, {"speed": 1e9}):
        with pytest.raises(LookupError, match="400"):
            slack.post("clock", **bad)


def test_the_next_deadline_is_what_the_bot_announced(
    start: Callable[..., Slack], clock: Path, databricks: Json
) -> None:
    slack = start(clock=clock, databricks_admin=databricks["url"])
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    with pytest.raises(LookupError, match="Nothing is due"):
        slack.post("clock", to="next")
    databricks["next"] = {"next": "2026-11-23T08:10:00+00:00"}
    assert slack.get("clock")["next"] == "2026-11-23T08:10:00+00:00"
    payload = {
        "bake_until": "2026-11-23T12:00:00Z",
        "reports": [{"next_report_at": "2026-11-23T10:00:00+00:00"}],
        "started_at": "2026-11-23T07:00:00Z",
        "note": "2026-11-23T09:00:00Z",
    }
    metadata = {"event_type": "rollout_card", "event_payload": payload}
    ts = client.chat_postMessage(channel=SUPPORT, text="card", metadata=metadata)["ts"]
    assert slack.get("clock")["next"] == "2026-11-23T10:00:00+00:00"
    assert slack.post("clock", to="next")["now"] == "2026-11-23T10:00:01+00:00"
    assert slack.post("clock", to="next")["now"] == "2026-11-23T12:00:01+00:00"
    client.chat_delete(channel=SUPPORT, ts=ts)
    assert slack.get("clock")["next"] is None


def test_the_fleet_is_passed_on(start: Callable[..., Slack], databricks: Json) -> None:
    slack = start(databricks_admin=databricks["url"])
    assert slack.get("fleet") == databricks["fleet"]
    with live(slack) as qa:
        assert push(qa, "fleet")["type"] == "fleet"


def test_without_a_databricks_side_there_is_no_fleet(start: Callable[..., Slack], slack: Slack, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"404 .*without a Databricks side"):
        slack.get("fleet")
    gone = start(state=tmp_path / "gone", databricks_admin="http://127.0.0.1:9")
    with pytest.raises(LookupError, match=r"502 .*does not answer"):
        gone.get("fleet")
    assert gone.get("clock")["next"] is None
