"""What Slack should never send, or sends on a bad day: malformed payloads, odd headers, lookups of another shape."""

import json
from http.client import IncompleteRead
from typing import Any

import pytest

from bot.answers import Answers
from bot.build import build_app
from bot.clients import client, retry_after
from bot.press import Kind, Origin, Press, of_action, of_command, of_submission
from commands.reply import Actor, Reply, Request, Surface
from sandbox.slack.server import Slack
from storage.database import Database
from tests.bot.harness import PEOPLE, SUPPORT, FakeDoor, settings_for, soon, started
from tests.bot.test_identity import FakeSlack, a_press, identity


def an_action(value: Any, **more: Any) -> dict[str, Any]:
    """A pressed button as Slack sends it."""
    user = {"id": PEOPLE["qa"], "team_id": "T0SANDBOX1"}
    return {"user": user, "actions": [{"value": value}], "channel": {"id": SUPPORT}, "trigger_id": "1.2.3", **more}


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "",
        "x",
        "[]",
        "5",
        '"x"',
        '{"v":"start"}',
        '{"v":"start","a":5}',
        '{"v":"start","a":[1]}',
        '{"v":"start","a":"ab"}',
        '{"v":["start"],"a":{}}',
        '{"v":null,"a":{}}',
        '{"v":"start","a":{"version":NaN}}',
        '{"v":"start","a":{"version":Infinity}}',
        "[" * 1900,
    ],
)
def test_a_button_that_is_none_of_ours_is_no_press(value: Any) -> None:
    assert of_action(an_action(value)) is None


def test_a_button_never_says_that_a_form_was_submitted() -> None:
    made = of_action(an_action('{"v":"start","a":{"stage":"dev","submitted":true}}'))
    assert made is not None
    assert made.arguments == {"stage": "dev"}


@pytest.mark.parametrize("channel", [["C1"], {"id": "C1"}, 5, True])
def test_a_context_of_another_shape_is_as_none(channel: Any) -> None:
    view = {"id": "V1", "type": "modal", "private_metadata": json.dumps({"c": channel, "h": 1})}
    made = of_action(an_action('{"v":"status","a":{}}', channel=None, view=view))
    assert made is not None
    assert made.channel is None


@pytest.mark.parametrize(
    "view",
    [
        {"private_metadata": '{"v":"start","a":[1]}'},
        {"private_metadata": '{"v":"start","a":"x"}'},
        {"private_metadata": '{"v":["start"],"a":{}}'},
        {"private_metadata": "[" * 2900},
        {"private_metadata": '{"v":"start","a":{}}', "state": {"values": {"in:x": {"x": None}}}},
        {"private_metadata": '{"v":"start","a":{}}', "state": {"values": {"in:x": []}}},
        {"private_metadata": '{"v":"start","a":{}}', "state": {"values": "x"}},
        {"private_metadata": '{"v":"start","a":{}}', "state": {"values": {"in:x": {"x": {"selected_options": [5]}}}}},
    ],
)
def test_a_form_of_another_shape_is_no_press(view: dict[str, Any]) -> None:
    user = {"id": PEOPLE["qa"], "team_id": "T0SANDBOX1"}
    assert of_submission({"user": user, "trigger_id": "1.2.3", "view": {"id": "V1", **view}}) is None


def test_a_press_of_a_newer_version_can_be_read() -> None:
    press = of_command({"user_id": "U1", "text": "status", "trigger_id": "1.2.3"})
    assert Press.from_json({**press.to_json(), "not_known_yet": 5}) == press


@pytest.mark.parametrize("answer", [None, [], "U1", {"team_id": "T1", "enterprise_user": "E1"}])
@pytest.mark.parametrize("verb", ["start", "status"])
def test_a_lookup_of_another_shape_refuses(answer: Any, verb: str) -> None:
    slack = FakeSlack()
    slack.user = answer
    assert identity(slack).find(a_press(verb)).actor.problem == "identity_unknown"
    slack = FakeSlack()
    slack.members = 5
    assert identity(slack).find(a_press(verb)).actor.problem == "identity_unknown"
    slack = FakeSlack()
    slack.channel = None
    found = identity(slack).find(a_press(verb))
    assert (found.actor.problem, found.shared_channel) == ("identity_unknown" if verb == "start" else None, False)


@pytest.mark.parametrize(
    ("said", "seconds"), [("inf", 600.0), ("1e12", 600.0), ("nan", 30.0), ("-5", 1.0), ("x", 30.0)]
)
def test_what_slack_asks_to_wait_is_believed_within_reason(said: str, seconds: float) -> None:
    assert retry_after({"Retry-After": said}) == seconds


def test_an_answer_that_breaks_off_goes_another_way(slack: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise IncompleteRead(b"")

    monkeypatch.setattr("bot.answers.WebhookClient.send_dict", broken)
    press = Press(
        Kind.COMMAND, Origin.CHANNEL, PEOPLE["qa"], "status", channel=SUPPORT, response_url="https://a.example/x"
    )
    request = Request(Actor("T0SANDBOX1", PEOPLE["qa"]), "status", {}, Surface.SLASH, SUPPORT)
    assert Answers(client(slack.bot_token, slack.api_url, 5.0)).give(press, request, Reply("here")) == "ephemeral"


def test_a_press_that_no_code_can_work_on_is_answered_with_an_error_id(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = build_app(settings_for(slack, mode="http", port=0), database, FakeDoor())
    before = len(_seen(slack))
    with started(bot):
        assert bot._workers is not None
        assert bot._identity is not None
        monkeypatch.setattr(bot._identity, "find", lambda _: 1 / 0)
        taken = bot._workers.accept("k", Press(Kind.COMMAND, Origin.CHANNEL, PEOPLE["qa"], "status", channel=SUPPORT))
        assert taken is not None
        bot._workers.hand(taken)
        answer = soon(lambda: _seen(slack)[before:])[0]
        assert "error id" in str(answer["blocks"])
        soon(lambda: bot._workers is not None and bot._workers.is_done("k"))


def _seen(slack: Slack) -> list[dict[str, Any]]:
    found = slack.get("messages", **{"as": "qa", "channel": SUPPORT})["messages"]
    return [message for message in found if message["ephemeral"]]


def test_an_error_while_connecting_does_not_end_the_attempts(
    slack: Slack, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = build_app(settings_for(slack, mode="http", port=0), database, FakeDoor())
    really, left = bot._connect, [ZeroDivisionError("the database, say")]

    def connect() -> bool:
        if left:
            raise left.pop()
        return really()

    monkeypatch.setattr(bot, "_connect", connect)
    monkeypatch.setattr(bot._stopping, "wait", lambda _: False)
    try:
        bot._keep_connecting()
        assert bot._own is not None
    finally:
        bot.stop(4.0)
