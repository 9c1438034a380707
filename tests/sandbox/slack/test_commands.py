"""Slash commands: payload, acknowledgement, what the person sees, and Slack's own errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import GENERAL, PARTNER, SUPPORT, RawBot, manifest, plain


def texts(answered: dict[str, Any]) -> list[str]:
    return [answer["message"]["text"] for answer in answered["answers"]]


@pytest.mark.conforms("slack-command-fields", "slack-user-team-in-presses")
def test_the_payload_has_slacks_fields(slack: Slack, bot: RawBot) -> None:
    slack.command("tech-lead", "/rollout status dev")
    envelope = bot.next()
    payload = envelope["payload"]
    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    assert payload.pop("trigger_id").count(".") == 2
    assert payload.pop("response_url").startswith(f"{slack.url}/response/")
    assert payload.pop("token")
    assert payload == {
        "team_id": "T0SANDBOX1",
        "team_domain": "sandbox",
        "channel_id": SUPPORT,
        "channel_name": "platform-support",
        "user_id": "U0SAND0002",
        "user_name": "tech-lead",
        "command": "/rollout",
        "text": "status dev",
        "api_app_id": "A0ROLLOUT1",
        "is_enterprise_install": "false",
    }


@pytest.mark.conforms("slack-everybody-who-sees-may-press")
@pytest.mark.parametrize("person", ["outsider", "guest", "deactivated"])
def test_commands_of_everybody_are_delivered(slack: Slack, bot: RawBot, person: str) -> None:
    slack.command(person, "/rollout status")
    payload = bot.payload()
    assert payload["user_name"] == person
    assert payload["team_id"] == "T0SANDBOX1"
    assert payload["channel_id"] == (PARTNER if person == "outsider" else SUPPORT)


@pytest.mark.conforms("slack-command-anywhere")
def test_a_command_may_be_typed_where_the_bot_is_not_and_in_direct_messages(slack: Slack, bot: RawBot) -> None:
    slack.command("qa", "/rollout", GENERAL)
    assert bot.payload()["channel_name"] == "general"
    slack.command("qa", "/rollout", "D0SAND0003")
    assert bot.payload()["channel_name"] == "directmessage"


@pytest.mark.conforms("slack-should-escape")
def test_names_channels_and_links_are_escaped(slack: Slack, bot: RawBot) -> None:
    slack.command("qa", "/rollout assign @tech-lead @devops-2 #general @nobody <@U1> a&b https://x.net/?a=1&b=2 now")
    assert bot.payload()["text"] == (
        "assign <@U0SAND0002> <@U0SAND0005> <#C0GENERAL1|general> @nobody &lt;@U1&gt; a&amp;b"
        " <https://x.net/?a=1&amp;b=2> now"
    )


@pytest.mark.conforms("slack-should-escape")
def test_groups_and_display_names_are_escaped_too(slack: Slack, bot: RawBot) -> None:
    slack.command("qa", "/rollout ask @platform-devops @Theo Techlead @channel")
    assert bot.payload()["text"] == "ask <!subteam^S0DEVOPS01> <@U0SAND0002> <!channel>"


@pytest.mark.conforms("slack-should-escape-off")
def test_text_arrives_as_typed_without_should_escape(start: Callable[..., Slack]) -> None:
    slack = start(manifest=manifest(escape=False))
    bot = RawBot(slack, lambda envelope: None)
    slack.command("qa", "/rollout ask @tech-lead <!channel>")
    assert bot.payload()["text"] == "ask @tech-lead <!channel>"


@pytest.mark.conforms("slack-unknown-command")
def test_an_unknown_command_is_not_sent(slack: Slack) -> None:
    with pytest.raises(LookupError, match="400 /foo is not a valid command"):
        slack.command("qa", "/foo bar")


@pytest.mark.conforms("slack-command-not-in-threads")
def test_a_command_cannot_be_used_in_a_thread(slack: Slack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=SUPPORT, text="root")["ts"]
    with pytest.raises(LookupError, match="not supported in threads"):
        slack.post("command", **{"as": "qa", "channel": SUPPORT, "text": "/rollout", "thread": ts})


@pytest.mark.conforms("slack-dispatch-failed")
def test_without_a_bot_the_person_sees_dispatch_failed_at_once(slack: Slack) -> None:
    seen = slack.until(slack.command("qa", "/rollout status"), lambda r: r["error"] and r["answers"])
    assert seen["error"] == "dispatch_failed"
    assert texts(seen) == ['/rollout failed with the error "dispatch_failed"']
    assert seen["answers"][0]["message"]["user"] == "USLACKBOT"
    assert seen["answers"][0]["message"]["ephemeral"]


@pytest.mark.conforms("slack-ack-three-seconds")
def test_an_unacknowledged_command_times_out_after_three_seconds(start: Callable[..., Slack]) -> None:
    slack = start(limits=Limits())
    bot = RawBot(slack)
    request = slack.command("qa", "/rollout status")
    envelope = bot.next()
    seen = slack.until(request, lambda r: r["error"])
    assert seen["error"] == "operation_timeout"
    assert 2.9 <= seen["changed"] - seen["delivered"] <= 30, "later only where the machine is busy"
    assert texts(seen) == ['/rollout failed with the error "operation_timeout"']
    bot.ack(envelope, {"text": "too late"})
    slack.until(slack.command("qa", "/rollout again"), lambda r: r["delivered"])
    assert texts(slack.request(request))[:1] == ['/rollout failed with the error "operation_timeout"']
    assert slack.request(request)["acknowledged"] is None


def test_delivery_and_acknowledgement_are_timed(slack: Slack, bot: RawBot) -> None:
    seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])
    assert 0 < seen["acknowledged"] - seen["delivered"] < 1
    assert seen["error"] is None
    assert seen["answers"] == []


@pytest.mark.conforms("slack-command-acknowledgement-answers")
@pytest.mark.parametrize(
    ("payload", "ephemeral"),
    [
        ({"text": "first answer"}, True),
        ({"text": "first answer", "response_type": "in_channel"}, False),
        ({"text": "first answer", "blocks": [{"type": "header", "text": plain("h")}]}, True),
    ],
)
def test_an_acknowledgement_may_answer(slack: Slack, payload: dict[str, Any], ephemeral: bool) -> None:
    RawBot(slack, lambda envelope: payload)
    seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["answers"])
    assert texts(seen) == ["first answer"]
    assert seen["answers"][0]["message"]["ephemeral"] is ephemeral


@pytest.mark.conforms("slack-command-acknowledgement-answers")
@pytest.mark.parametrize("payload", [{"blocks": [{"type": "nonsense"}]}, {"text": "x", "response_type": "loud"}, ["x"]])
def test_a_bad_answer_in_the_acknowledgement_shows_an_error(slack: Slack, payload: Any) -> None:
    RawBot(slack, lambda envelope: payload)
    seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["error"] and r["answers"])
    assert texts(seen) == ['/rollout failed with the error "invalid_command_response"']


@pytest.mark.conforms("slack-anybody-can-say-approved")
def test_plain_words_become_a_message_of_that_person(slack: Slack) -> None:
    slack.command("qa", "is @tech-lead here? <3")
    (message,) = slack.get("messages", **{"as": "developer", "channel": SUPPORT})["messages"]
    assert (message["user"], message["bot"], message["text"]) == ("U0SAND0003", False, "is <@U0SAND0002> here? &lt;3")


def test_who_is_not_in_a_channel_cannot_talk_there(slack: Slack) -> None:
    with pytest.raises(LookupError, match="outsider is not in #platform-support"):
        slack.command("outsider", "hello", SUPPORT)


def test_answers_are_what_the_person_sees_and_not_ordinary_posts(slack: Slack, client: WebClient, bot: RawBot) -> None:
    request = slack.command("qa", "/rollout")
    payload = bot.payload()
    client.chat_postMessage(channel=SUPPORT, text="a card in the channel")
    client.chat_postEphemeral(channel=SUPPORT, user="U0SAND0001", text="for somebody else")
    assert slack.request(request)["answers"] == []
    client.chat_postEphemeral(channel=SUPPORT, user=payload["user_id"], text="ephemeral")
    client.chat_postMessage(channel=payload["user_id"], text="direct")
    before = slack.request(request)
    assert texts(before) == ["ephemeral", "direct"]
    direct = before["answers"][1]["message"]
    client.chat_update(channel=direct["channel"], ts=direct["ts"], text="direct, changed")
    after = slack.request(request)
    assert texts(after) == ["ephemeral", "direct, changed"]
    assert after["changed"] > before["changed"]


@pytest.mark.conforms("slack-defaults-are-slacks", "slack-event-retries")
def test_slacks_own_limits_are_the_defaults() -> None:
    limits = Limits()
    assert (limits.ack_seconds, limits.trigger_seconds, limits.modal_stack, limits.sockets) == (3.0, 3.0, 3, 10)
    assert (limits.response_url_seconds, limits.response_url_uses) == (1800.0, 5)
    assert (limits.event_retry_delays, limits.tiers) == ((0.0, 60.0, 300.0), {2: 20, 3: 50, 4: 100})
