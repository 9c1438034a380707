"""response_url: five uses, thirty minutes, and what it may do."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import QA, SUPPORT, Machine, RawBot, actions, button, section


@pytest.fixture
def respond(slack: Slack, bot: RawBot) -> WebhookClient:
    slack.command("qa", "/rollout status")
    return WebhookClient(bot.payload()["response_url"])


def seen(slack: Slack, person: str = "qa") -> list[dict[str, Any]]:
    return list(slack.get("messages", **{"as": person, "channel": SUPPORT})["messages"])


@pytest.mark.conforms("slack-response-type")
def test_a_response_is_private_unless_told_otherwise(slack: Slack, respond: WebhookClient) -> None:
    assert respond.send(text="only you").body == "ok"
    assert respond.send(text="everybody", response_type="in_channel").status_code == 200
    assert [(m["text"], m["ephemeral"]) for m in seen(slack)] == [("only you", True), ("everybody", False)]
    assert [m["text"] for m in seen(slack, "developer")] == ["everybody"]
    assert [a["message"]["text"] for a in slack.request("r1")["answers"]] == ["only you", "everybody"]


@pytest.mark.conforms("slack-response-url-five-uses")
def test_it_works_five_times(respond: WebhookClient) -> None:
    assert [respond.send(text="x").status_code for _ in range(6)] == [200] * 5 + [404]
    assert '"used_url"' in respond.send(text="x").body


@pytest.mark.conforms("slack-response-url-thirty-minutes")
def test_it_works_for_thirty_minutes(respond: WebhookClient, machine: Machine) -> None:
    machine.advance(1799)
    assert respond.send(text="x").status_code == 200
    machine.advance(2)
    answer = respond.send(text="x")
    assert (answer.status_code, '"expired_url"' in answer.body) == (404, True)


@pytest.mark.conforms("slack-response-url-returns-4xx")
def test_a_refused_response_is_no_use(respond: WebhookClient) -> None:
    for _ in range(6):
        answer = respond.send(text="x", blocks=[{"type": "nonsense"}])
        assert (answer.status_code, '"invalid_blocks"' in answer.body) == (404, True)
    assert respond.send(text="x").status_code == 200


@pytest.mark.conforms("slack-response-url-returns-4xx")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x", "response_type": "loud"}, "invalid_response_type"),
        ({"delete_original": True}, "message_not_found"),
        ({"text": "x", "thread_ts": "1700000000.000001"}, "thread_not_found"),
    ],
)
def test_a_response_is_refused(respond: WebhookClient, fields: dict[str, Any], error: str) -> None:
    answer = respond.send_dict(fields)
    assert (answer.status_code, f'"{error}"' in answer.body) == (404, True)


@pytest.mark.conforms("slack-response-url-replaces")
def test_it_replaces_and_deletes_the_message_that_was_pressed(slack: Slack, client: WebClient, bot: RawBot) -> None:
    sent = client.chat_postEphemeral(channel=SUPPORT, user=QA, text="sure?", blocks=[actions(button())])
    where = {"as": "qa", "container": {"channel": SUPPORT, "ts": sent["message_ts"]}, "action_id": "press"}
    request = slack.post("act", **where)["request"]
    respond = WebhookClient(bot.payload()["response_url"])
    respond.send(text="working", blocks=[section()], replace_original=True)
    (shown,) = seen(slack)
    assert (shown["ts"], shown["text"], shown["ephemeral"]) == (sent["message_ts"], "working", True)
    answered = slack.request(request)
    assert [a["message"]["text"] for a in answered["answers"]] == ["working"]
    respond.send_dict({"delete_original": True})
    assert seen(slack) == []
    assert slack.request(request)["changed"] > answered["changed"]


@pytest.mark.conforms("slack-update-keeps-or-removes")
def test_a_replaced_card_is_marked_as_edited(slack: Slack, client: WebClient, bot: RawBot) -> None:
    ts = client.chat_postMessage(channel=SUPPORT, text="card", blocks=[actions(button())])["ts"]
    slack.post("act", **{"as": "qa", "container": {"channel": SUPPORT, "ts": ts}, "action_id": "press"})
    WebhookClient(bot.payload()["response_url"]).send(text="new", replace_original=True)
    (shown,) = seen(slack, "developer")
    assert (shown["text"], shown["blocks"], bool(shown["edited"])) == ("new", [], True)


@pytest.mark.conforms("slack-response-url-replaces")
def test_without_an_original_a_replacement_is_a_new_message(slack: Slack, respond: WebhookClient) -> None:
    respond.send(text="first")
    respond.send(text="second", replace_original=True)
    assert [m["text"] for m in seen(slack)] == ["first", "second"]
