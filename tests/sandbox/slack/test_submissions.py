"""Submitting a modal: what a client checks itself, what is sent, and what each acknowledgement does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import (
    Json,
    Play,
    RawBot,
    acknowledged_within,
    actions,
    home,
    modal,
    option,
    plain,
    section,
    text_input,
)


@pytest.fixture
def play(slack: Slack) -> Play:
    return Play(slack)


def test_a_required_input_is_checked_before_anything_is_sent(play: Play) -> None:
    view = play.open()
    seen = play.submit(view)
    assert (seen["errors"], seen["delivered"]) == ({"why": "Please complete this required field."}, None)
    assert play.stack()[0]["errors"] == seen["errors"]
    play.enter(view, "because")
    assert play.stack()[0]["errors"] == {}
    assert play.submit(view)["errors"] is None


@pytest.mark.parametrize(
    ("element", "value", "complaint"),
    [
        ({"min_length": 5}, "four", "at least 5"),
        ({"max_length": 3}, "four", "at most 3"),
        ({"type": "email_text_input"}, "me", "valid email"),
        ({"type": "url_text_input"}, "me", "valid URL"),
        ({"type": "number_input", "is_decimal_allowed": False}, "1.5", "whole number"),
        ({"type": "number_input", "is_decimal_allowed": True, "min_value": "2"}, "1.5", "at least 2"),
        ({"type": "number_input", "is_decimal_allowed": True, "max_value": "1"}, "1.5", "at most 1"),
    ],
)
def test_a_client_checks_what_was_typed(play: Play, element: Json, value: str, complaint: str) -> None:
    view = play.open(text_input(element=element))
    play.enter(view, value)
    assert complaint in play.submit(view)["errors"]["why"]


@pytest.mark.conforms("slack-user-team-in-presses", "slack-submission-team")
def test_the_submission_carries_the_state(play: Play) -> None:
    choice = {"type": "static_select", "action_id": "stage", "options": [option("dev"), option("test")]}
    stage = {"type": "input", "block_id": "where", "label": plain("Stage"), "element": choice}
    ticks = {"type": "checkboxes", "action_id": "items", "options": [option("a"), option("b")]}
    view = play.open(text_input(), stage, actions(ticks, block_id="some"), private_metadata="m", callback_id="c")
    play.enter(view, "because")
    play.enter(view, "test", "where", "stage")
    play.enter(view, ["a", "b"], "some", "items")
    assert play.bot.payload()["actions"][0]["selected_options"][1]["value"] == "b"
    play.submit(view)
    payload = play.bot.payload()
    assert (payload["type"], payload["team"]["id"], payload["user"]["team_id"]) == (
        "view_submission",
        "T0SANDBOX1",
        "T0SANDBOX1",
    )
    assert payload["response_urls"] == []
    assert (payload["view"]["private_metadata"], payload["view"]["callback_id"]) == ("m", "c")
    values = payload["view"]["state"]["values"]
    assert values["why"]["text"]["value"] == "because"
    assert values["where"]["stage"]["selected_option"]["value"] == "test"
    assert [o["value"] for o in values["some"]["items"]["selected_options"]] == ["a", "b"]
    assert play.stack() == []


def test_a_select_may_ask_for_a_response_url(play: Play) -> None:
    element = {"type": "conversations_select", "action_id": "to", "response_url_enabled": True}
    view = play.open({"type": "input", "block_id": "where", "label": plain("To"), "element": element})
    play.enter(view, "C0SUPPORT1", "where", "to")
    play.submit(view)
    (given,) = play.bot.payload()["response_urls"]
    assert (given["block_id"], given["channel_id"]) == ("where", "C0SUPPORT1")
    assert given["response_url"].startswith(play.slack.url)


@pytest.mark.conforms("slack-submission-answers")
def test_an_acknowledgement_may_show_errors(play: Play) -> None:
    view = play.open(text_input(optional=True))
    seen = play.submit(view, {"response_action": "errors", "errors": {"why": "Not good enough."}})
    assert seen["errors"] == {"why": "Not good enough."}
    assert play.stack()[0]["errors"] == {"why": "Not good enough."}


@pytest.mark.conforms("slack-submission-answers")
def test_an_acknowledgement_may_update_push_and_clear(play: Play) -> None:
    view = play.open(text_input(optional=True))
    seen = play.submit(view, {"response_action": "update", "view": modal(section("working"), submit=plain("More"))})
    assert seen["answers"][0]["view"]["blocks"][0]["text"]["text"] == "working"
    play.submit(view, {"response_action": "push", "view": modal(section("on top"))})
    assert len(play.stack()) == 2
    play.submit(play.stack()[1]["id"])
    assert [v["id"] for v in play.stack()] == [view]
    play.submit(view, {"response_action": "clear"})
    assert play.stack() == []


@pytest.mark.conforms("slack-submission-answers")
@pytest.mark.parametrize(
    "response",
    [
        {"response_action": "dance"},
        {"text": "thanks"},
        ["x"],
        {"response_action": "errors", "errors": {}},
        {"response_action": "errors", "errors": {"nowhere": "x"}},
        {"response_action": "errors", "errors": {"why": ""}},
        {"response_action": "update"},
        {"response_action": "update", "view": home(section())},
        {"response_action": "push", "view": modal({"type": "data_visualization"})},
    ],
)
def test_a_bad_acknowledgement_shows_the_person_an_error(play: Play, response: Any) -> None:
    view = play.open(text_input(optional=True))
    play.submit(view, response)
    assert play.slack.until(play.request, lambda r: r["answers"][0]["view"]["error"])
    (shown,) = play.stack()
    assert (shown["id"], shown["error"]) == (view, "We had some trouble connecting. Try again?")


@pytest.mark.conforms("slack-modal-stack")
def test_a_push_beyond_three_by_acknowledgement_is_an_error(play: Play) -> None:
    view = play.open(text_input(optional=True))
    for _ in range(2):
        play.submit(play.stack()[-1]["id"], {"response_action": "push", "view": modal(text_input(optional=True))})
    seen = play.submit(play.stack()[-1]["id"], {"response_action": "push", "view": modal(section())})
    assert play.slack.until(seen["id"], lambda r: r["error"])["error"] == "invalid_view_response"
    assert [len(play.stack()), play.stack()[0]["id"]] == [3, view]


@pytest.mark.conforms("slack-ack-three-seconds")
def test_an_unacknowledged_submission_shows_an_error_and_can_be_repeated(start: Callable[..., Slack]) -> None:
    slack = start()
    bot = RawBot(slack)
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    slack.command("qa", "/rollout")
    envelope = bot.next()
    bot.ack(envelope)
    view = client.views_open(trigger_id=envelope["payload"]["trigger_id"], view=modal(section()))["view"]["id"]
    acknowledged_within(slack, 2.0)  # long enough to try again meanwhile
    request = slack.post("submit", **{"as": "qa", "view": view})["request"]
    with pytest.raises(LookupError, match="being submitted"):
        slack.post("submit", **{"as": "qa", "view": view})
    assert slack.until(request, lambda r: r["error"])["error"] == "operation_timeout"
    assert "trouble" in slack.get("views", **{"as": "qa"})["views"][0]["error"]
    bot.next()
    acknowledged_within(slack, 60.0)
    again = slack.post("submit", **{"as": "qa", "view": view})["request"]
    bot.ack(bot.next())
    assert slack.until(again, lambda r: r["acknowledged"])["error"] is None
