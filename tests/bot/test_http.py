"""Signed HTTP: what is served, what is refused, and that a replayed request acts once."""

import http.client
import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.signature import SignatureVerifier
from sqlalchemy.exc import OperationalError

from bot.build import Bot, NoSlack, build_app
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage.database import Database
from tests.bot.harness import PEOPLE, SUPPORT, TRIGGER_SECONDS, FakeDoor, settings_for, soon, started
from tests.ports import free_port


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[tuple[Slack, Bot, FakeDoor]]:
    """The local Slack with signed HTTP, and the bot behind it."""
    port = free_port()
    file = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("bot") / "rollout.db")
    database = Database(f"sqlite:///{file}")
    door = FakeDoor()
    url = f"http://127.0.0.1:{port}/slack/events"
    limits = Limits(ack_seconds=TRIGGER_SECONDS, trigger_seconds=TRIGGER_SECONDS)
    with running(tmp_path_factory.mktemp("slack"), mode="http", bot_url=url, limits=limits) as slack:
        bot = build_app(settings_for(slack, mode="http", port=port), database, door)
        assert bot.port == port
        with started(bot):
            yield slack, bot, door
    database.close()


@pytest.fixture
def door(served: tuple[Slack, Bot, FakeDoor]) -> FakeDoor:
    """Its door, as new."""
    served[2].reset()
    return served[2]


def send(bot: Bot, body: str, secret: str, **headers: str) -> tuple[int, str]:
    """POST a signed request; status and body."""
    stamp = headers.pop("stamp", str(int(time.time())))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body) or ""
    sent = {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature,
        "Content-Type": "application/x-www-form-urlencoded",
        **headers,
    }
    request = urllib.request.Request(f"http://127.0.0.1:{bot.port}/slack/events", body.encode(), sent)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def a_command(**more: str) -> str:
    """A slash command as Slack posts it."""
    fields = {
        "command": "/rollout",
        "text": "status",
        "team_id": "T0SANDBOX1",
        "api_app_id": "A0ROLLOUT1",
        "user_id": PEOPLE["qa"],
        "channel_id": SUPPORT,
        "trigger_id": f"1.2.{time.time_ns()}",
        "is_enterprise_install": "false",
        **more,
    }
    return urllib.parse.urlencode(fields)


def a_submission(slack: Slack, trigger: str) -> str:
    """A submitted form as Slack posts it."""
    view = {
        "id": "V1",
        "type": "modal",
        "callback_id": "form",
        "app_installed_team_id": "T0SANDBOX1",
        "title": {"type": "plain_text", "text": "Start dev"},
        "private_metadata": json.dumps({"v": "start", "a": {"stage": "dev"}, "c": SUPPORT, "h": False}),
        "state": {"values": {}},
        "blocks": [],
    }
    user = {"id": PEOPLE["qa"], "team_id": "T0SANDBOX1"}
    team = {"id": "T0SANDBOX1"}
    body = {"type": "view_submission", "team": team, "user": user, "api_app_id": "A0ROLLOUT1", "view": view}
    return urllib.parse.urlencode({"payload": json.dumps({**body, "trigger_id": trigger})})


def test_a_command_over_signed_http_is_answered(served: tuple[Slack, Bot, FakeDoor], door: FakeDoor) -> None:
    slack, _, _ = served
    request = slack.command("qa", "/rollout status")
    answer = slack.until(request, lambda r: r["answers"])["answers"][0]
    assert "status page 0" in str(answer["message"]["blocks"])


NO_BUTTON = '{"type":"block_actions","user":{"id":"U1"},"trigger_id":"1.2.3","team":{"id":"T0SANDBOX1"},"actions":[]}'


def test_a_reason_may_be_about_a_payload(served: tuple[Slack, Bot, FakeDoor], door: FakeDoor) -> None:
    slack, _, _ = served
    request = slack.command("qa", "/rollout status the payload= of {orders} is broken")
    slack.until(request, lambda r: r["answers"])
    assert [asked.verb for asked in door.asked] == ["status"]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json"])
@pytest.mark.parametrize(
    "body",
    ["", "payload=%5B5%5D", "payload={", "[]", "5", '{"type":"block_actions","user":5}', NO_BUTTON],
)
def test_a_body_that_is_no_delivery_is_a_bad_request(
    served: tuple[Slack, Bot, FakeDoor], door: FakeDoor, kind: str, body: str
) -> None:
    slack, bot, _ = served
    assert send(bot, body, slack.signing_secret, **{"Content-Type": kind})[0] == 400
    assert door.asked == []


def test_a_form_over_signed_http_shows_its_result(served: tuple[Slack, Bot, FakeDoor], door: FakeDoor) -> None:
    slack, _, _ = served
    opened = slack.until(slack.command("qa", "/rollout start dev"), lambda r: r["answers"])["answers"][0]["view"]
    request = slack.post("submit", **{"as": "qa", "view": opened["id"]})["request"]
    slack.until(request, lambda r: "dev was started" in str(r["answers"]))


def test_a_replayed_request_is_acknowledged_and_acts_once(served: tuple[Slack, Bot, FakeDoor], door: FakeDoor) -> None:
    slack, bot, _ = served
    body = a_submission(slack, "9.9.replayed")
    answers = [send(bot, body, slack.signing_secret) for _ in range(3)]
    assert [status for status, _ in answers] == [200] * 3
    assert json.loads(answers[0][1])["view"]["blocks"][0]["block_id"] == "working"
    soon(lambda: door.acts == 1)
    soon(lambda: "already" in send(bot, body, slack.signing_secret)[1])
    assert door.acts == 1


def test_a_press_that_cannot_be_stored_is_not_acknowledged_and_has_no_effect(
    served: tuple[Slack, Bot, FakeDoor], door: FakeDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack, bot, _ = served

    def broken() -> None:
        raise OperationalError("insert", {}, Exception("disk full"))

    assert bot._workers is not None
    monkeypatch.setattr(bot._workers._database, "machine", broken)
    assert send(bot, a_command(), slack.signing_secret)[0] == 500
    monkeypatch.undo()
    assert door.asked == []


def test_unsigned_stale_and_malformed_requests_get_401(served: tuple[Slack, Bot, FakeDoor], door: FakeDoor) -> None:
    slack, bot, _ = served
    assert send(bot, a_command(), "another secret")[0] == 401
    assert send(bot, a_command(), slack.signing_secret, stamp=str(int(time.time()) - 600))[0] == 401
    for stamp in ("soon", "", "-5", "1e9", "²"):
        signed = {"X-Slack-Signature": "v0=0", "X-Slack-Request-Timestamp": stamp.encode().decode("latin-1")}
        assert send(bot, a_command(), slack.signing_secret, **signed)[0] == 401
    for stamp in ("9" * 13, "9" * 5000):
        assert send(bot, a_command(), slack.signing_secret, stamp=stamp)[0] == 401
    signed = {"X-Slack-Signature": "v0=é".encode().decode("latin-1")}
    assert send(bot, a_command(), slack.signing_secret, **signed)[0] == 401
    assert door.asked == []


def test_a_body_that_is_too_large_is_refused(served: tuple[Slack, Bot, FakeDoor], door: FakeDoor) -> None:
    _, bot, _ = served
    connection = http.client.HTTPConnection("127.0.0.1", bot.port or 0, timeout=60)
    connection.putrequest("POST", "/slack/events")
    connection.putheader("Content-Length", "1100000")
    connection.endheaders()
    status = connection.getresponse().status  # said before anything of it was sent
    connection.close()
    assert status == 413
    assert door.asked == []


@pytest.mark.parametrize(
    "other",
    [{"team_id": "T0PARTNER1"}, {"team_id": ""}, {"enterprise_id": "E2", "team_id": "T9"}],
)
def test_another_installation_is_refused(
    served: tuple[Slack, Bot, FakeDoor], door: FakeDoor, other: dict[str, str]
) -> None:
    slack, bot, _ = served
    assert send(bot, a_command(**other), slack.signing_secret)[0] == 403
    assert door.asked == []


def test_health_and_readiness(served: tuple[Slack, Bot, FakeDoor]) -> None:
    _, bot, _ = served
    assert get(bot, "healthz") == (200, {"ok": True})
    assert get(bot, "readyz") == (200, {"ok": True, "database": True, "migrations": True, "slack": True})


def get(bot: Bot, page: str) -> tuple[int, Any]:
    """GET a page of the bot."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{bot.port}/{page}", timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_it_starts_while_slack_is_away_and_connects_when_it_comes(
    tmp_path: Path, database: Database, free_port: int
) -> None:
    with running(tmp_path / "slack", port=free_port) as slack:
        settings = settings_for(slack, mode="http", port=0)
    bot = build_app(settings, database, FakeDoor())
    with started(bot):
        assert get(bot, "healthz")[0] == 200
        assert get(bot, "readyz")[0] == 503
        assert send(bot, a_command(), settings.signing_secret)[0] == 503
        with running(tmp_path / "slack", port=free_port):
            soon(lambda: get(bot, "readyz")[0] == 200)


def test_a_refused_token_is_said_at_start(slack: Slack, database: Database) -> None:
    bot = build_app(settings_for(slack, mode="http", port=0, bot_token="xoxb-wrong"), database, FakeDoor())
    try:
        with pytest.raises(NoSlack, match="SLACK_BOT_TOKEN"):
            bot.start()
    finally:
        bot.stop(2.0)


def test_a_refused_app_token_is_said_at_start(slack: Slack, database: Database) -> None:
    bot = build_app(settings_for(slack, app_token="xapp-wrong"), database, FakeDoor())
    try:
        with pytest.raises(NoSlack, match="SLACK_APP_TOKEN"):
            bot.start()
    finally:
        bot.stop(2.0)
