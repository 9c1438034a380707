"""Presses and choices in messages: payloads, state, and what is refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import QA, SUPPORT, Json, RawBot, actions, button, option, plain, section, text_input

SELECT = {"type": "static_select", "action_id": "stage", "options": [option("dev"), option("test")]}
OVERFLOW = {"type": "overflow", "action_id": "more", "options": [option("pin"), option("check")]}


def posted(client: WebClient, *blocks: Json, **more: Any) -> str:
    return str(client.chat_postMessage(channel=SUPPORT, text="card", blocks=list(blocks), **more)["ts"])


def act(slack: Slack, ts: str, person: str = "qa", **more: Any) -> str:
    body = {"as": person, "container": {"channel": SUPPORT, "ts": ts}, "action_id": "press", **more}
    return str(slack.post("act", **body)["request"])


def test_a_press_arrives_as_slack_sends_it(slack: Slack, client: WebClient, bot: RawBot) -> None:
    metadata = {"event_type": "card", "event_payload": {"stage": "dev"}}
    row = actions(button(value="7", style="primary"), block_id="row")
    ts = posted(client, row, metadata=metadata)
    act(slack, ts, "tech-lead")
    payload = bot.payload()
    assert payload["type"] == "block_actions"
    assert payload["user"] == {
        "id": "U0SAND0002",
        "username": "tech-lead",
        "name": "tech-lead",
        "team_id": "T0SANDBOX1",
    }
    assert payload["team"] == {"id": "T0SANDBOX1", "domain": "sandbox"}
    assert payload["channel"] == {"id": SUPPORT, "name": "platform-support"}
    assert payload["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": SUPPORT,
        "is_ephemeral": False,
    }
    assert payload["message"]["metadata"] == metadata
    assert payload["message"]["blocks"][0]["block_id"] == "row"
    assert payload["response_url"].startswith(f"{slack.url}/response/")
    assert payload["trigger_id"]
    (pressed,) = payload["actions"]
    assert float(pressed.pop("action_ts")) > 0
    assert pressed == {
        "type": "button",
        "action_id": "press",
        "block_id": "row",
        "text": {"type": "plain_text", "text": "Press", "emoji": True},
        "value": "7",
        "style": "primary",
    }


@pytest.mark.conforms("slack-user-team-in-presses", "slack-team-of-a-press", "slack-everybody-who-sees-may-press")
def test_the_team_of_a_press_is_ours_and_the_users_own_is_beside_it(
    slack: Slack, client: WebClient, bot: RawBot
) -> None:
    act(slack, posted(client, actions(button())), "outsider")
    payload = bot.payload()
    assert (payload["team"]["id"], payload["user"]["team_id"]) == ("T0SANDBOX1", "T0PARTNER1")


def test_an_ephemeral_message_is_not_sent_along(slack: Slack, client: WebClient, bot: RawBot) -> None:
    sent = client.chat_postEphemeral(channel=SUPPORT, user=QA, text="x", blocks=[actions(button())])
    act(slack, sent["message_ts"])
    payload = bot.payload()
    assert payload["container"]["is_ephemeral"] is True
    assert "message" not in payload
    with pytest.raises(LookupError, match="no such message"):
        act(slack, sent["message_ts"], "developer")


def test_a_reply_names_its_thread(slack: Slack, client: WebClient, bot: RawBot) -> None:
    root = posted(client, section())
    act(slack, posted(client, actions(button()), thread_ts=root))
    assert bot.payload()["container"]["thread_ts"] == root


def test_choices_arrive_and_stay_in_the_state(slack: Slack, client: WebClient, bot: RawBot) -> None:
    ts = posted(client, actions(SELECT, button(), OVERFLOW, block_id="row"))
    act(slack, ts, action_id="stage", selected_option={"value": "test"})
    chosen = bot.payload()["actions"][0]
    assert chosen["selected_option"]["value"] == "test"
    assert chosen["selected_option"]["text"]["text"] == "TEST"
    act(slack, ts)
    assert bot.payload()["state"]["values"]["row"]["stage"]["selected_option"]["value"] == "test"
    act(slack, ts, "developer")
    assert bot.payload()["state"]["values"]["row"]["stage"]["selected_option"] is None
    act(slack, ts, action_id="more", value="check")
    assert bot.payload()["actions"][0]["selected_option"]["value"] == "check"


@pytest.mark.parametrize(
    ("element", "given", "key", "found"),
    [
        ({"type": "users_select"}, {"selected_user": QA}, "selected_user", QA),
        ({"type": "multi_users_select"}, {"selected_users": [QA]}, "selected_users", [QA]),
        ({"type": "channels_select"}, {"selected_channel": SUPPORT}, "selected_channel", SUPPORT),
        ({"type": "conversations_select"}, {"value": SUPPORT}, "selected_conversation", SUPPORT),
        ({"type": "datepicker"}, {"selected_date": "2026-11-23"}, "selected_date", "2026-11-23"),
        ({"type": "timepicker"}, {"selected_time": "09:30"}, "selected_time", "09:30"),
        ({"type": "datetimepicker"}, {"value": "1795000000"}, "selected_date_time", 1795000000),
        ({"type": "datepicker"}, {"selected_date": None}, "selected_date", None),
    ],
)
def test_every_picker_holds_its_own_key(
    slack: Slack, client: WebClient, bot: RawBot, element: Json, given: Json, key: str, found: Any
) -> None:
    ts = posted(client, actions({**element, "action_id": "pick"}))
    act(slack, ts, action_id="pick", **given)
    assert bot.payload()["actions"][0][key] == found


@pytest.mark.parametrize(
    ("element", "given", "sentence"),
    [
        (SELECT, {"value": "canary"}, "no option 'canary'"),
        ({"type": "datepicker", "action_id": "stage"}, {"value": "tomorrow"}, "does not fit selected_date"),
        ({"type": "users_select", "action_id": "stage"}, {"value": 7}, "not a text"),
        ({"type": "datetimepicker", "action_id": "stage"}, {"value": "soon"}, "not a unix time"),
        (
            {"type": "multi_users_select", "action_id": "stage", "max_selected_items": 1},
            {"value": ["U0A", "U0B"]},
            "No more than 1",
        ),
    ],
)
def test_what_no_client_would_send_is_refused(
    slack: Slack, client: WebClient, element: Json, given: Json, sentence: str
) -> None:
    with pytest.raises(LookupError, match=sentence):
        act(slack, posted(client, actions(element)), action_id="stage", **given)


@pytest.mark.conforms("slack-stale-buttons")
def test_a_press_on_what_is_not_there_is_refused(slack: Slack, client: WebClient) -> None:
    ts = posted(client, actions(button()))
    with pytest.raises(LookupError, match="no element"):
        act(slack, ts, action_id="other")
    with pytest.raises(LookupError, match="no such message"):
        act(slack, "1700000000.000001")
    client.chat_delete(channel=SUPPORT, ts=ts)
    with pytest.raises(LookupError, match="no such message"):
        act(slack, ts)


def test_an_input_in_a_message_waits_unless_it_dispatches(slack: Slack, client: WebClient, bot: RawBot) -> None:
    ts = posted(client, text_input(), text_input("now", dispatch_action=True), actions(button()))
    body = {"as": "qa", "container": {"channel": SUPPORT, "ts": ts}, "action_id": "text", "value": "because"}
    assert slack.post("act", **body, block_id="why")["request"] is None
    assert slack.post("act", **body, block_id="now")["request"]
    payload = bot.payload()
    assert payload["actions"][0]["value"] == "because"
    assert payload["state"]["values"]["why"]["text"]["value"] == "because"


@pytest.mark.conforms("slack-dispatch-failed")
def test_a_press_that_is_not_taken_is_an_error_of_the_request(slack: Slack, client: WebClient) -> None:
    request = act(slack, posted(client, actions(button())))
    assert slack.until(request, lambda r: r["error"])["error"] == "dispatch_failed"


@pytest.mark.conforms("slack-confirm-unseen")
def test_nobody_can_tell_a_confirmed_press_from_any_other(slack: Slack, client: WebClient, bot: RawBot) -> None:
    dialog = {"title": plain("Sure?"), "text": plain("x"), "confirm": plain("Yes"), "deny": plain("No")}
    seen = []
    for element in (button(), button(confirm=dialog)):
        act(slack, posted(client, actions(element, block_id="row")))
        seen.append({**bot.payload()["actions"][0], "action_ts": ""})
    assert seen[0] == seen[1]


@pytest.mark.conforms("slack-double-click")
def test_a_double_click_is_two_presses(slack: Slack, client: WebClient, bot: RawBot) -> None:
    ts = posted(client, actions(button()))
    act(slack, ts)
    act(slack, ts)
    assert bot.payload()["trigger_id"] != bot.payload()["trigger_id"]


@pytest.mark.conforms("slack-feedback-buttons")
def test_feedback_buttons_send_the_chosen_one(slack: Slack, client: WebClient, bot: RawBot) -> None:
    both = {name: {"text": plain(name), "value": name} for name in ("positive_button", "negative_button")}
    element = {"type": "feedback_buttons", "action_id": "press", **both}
    act(slack, posted(client, {"type": "context_actions", "elements": [element]}), value="negative_button")
    assert bot.payload()["actions"][0]["value"] == "negative_button"
