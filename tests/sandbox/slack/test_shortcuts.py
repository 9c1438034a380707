"""Shortcuts in the menu of a message: only what the manifest declares, and the payload as Slack sends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import QA, SUPPORT, Json, RawBot, manifest, modal, refusal, text_input

SHORTCUTS = [
    {"name": "Report it", "type": "message", "callback_id": "report", "description": "Reports a message"},
    {"name": "Anywhere", "type": "global", "callback_id": "anywhere", "description": "From the composer"},
]


def declared(**changes: Any) -> Json:
    raw = manifest(**changes)
    raw["features"]["shortcuts"] = SHORTCUTS
    return raw


@pytest.fixture
def slack(start: Callable[..., Slack]) -> Slack:
    return start(manifest=declared())


def said(slack: Slack, text: str, thread: str | None = None) -> str:
    slack.post("command", **{"as": "qa", "channel": SUPPORT, "text": text, "thread": thread})
    more = {"thread": thread} if thread else {}
    return str(slack.get("messages", **{"as": "qa", "channel": SUPPORT, **more})["messages"][-1]["ts"])


def choose(slack: Slack, ts: str, callback_id: str = "report", person: str = "devops", channel: str = SUPPORT) -> str:
    body = {"as": person, "channel": channel, "ts": ts, "callback_id": callback_id}
    return str(slack.post("shortcut", **body)["request"])


@pytest.mark.conforms("slack-message-shortcuts")
def test_a_shortcut_on_a_reply_arrives_as_slack_sends_it(slack: Slack, bot: RawBot) -> None:
    parent = said(slack, "since when is this slow?")
    ts = said(slack, "orders are late", parent)
    choose(slack, ts)
    payload = bot.payload()
    assert payload["type"] == "message_action"
    assert payload["callback_id"] == "report"
    assert payload["user"]["id"] == "U0SAND0004"
    assert payload["team"] == {"id": "T0SANDBOX1", "domain": "sandbox"}
    assert payload["channel"] == {"id": SUPPORT, "name": "platform-support"}
    assert payload["message_ts"] == ts
    message = payload["message"]
    assert (message["text"], message["user"], message["ts"], message["thread_ts"]) == (
        "orders are late",
        QA,
        ts,
        parent,
    )
    assert "permalink" not in str(payload)
    assert payload["response_url"].startswith(f"{slack.url}/response/")
    assert float(payload["action_ts"]) > float(ts)


def test_its_trigger_opens_one_modal(slack: Slack, client: WebClient, bot: RawBot) -> None:
    request = choose(slack, said(slack, "orders are late"))
    trigger = bot.payload()["trigger_id"]
    client.views_open(trigger_id=trigger, view=modal(text_input()))
    assert slack.until(request, lambda r: r["answers"])["answers"][0]["kind"] == "view"
    assert refusal(client.views_open, trigger_id=trigger, view=modal(text_input())) == "exchanged_trigger_id"


@pytest.mark.conforms("slack-shortcuts-of-the-manifest")
def test_only_message_shortcuts_of_the_manifest_are_offered(slack: Slack, client: WebClient) -> None:
    ts = said(slack, "hello")
    offered = slack.get("state", **{"as": "qa"})["shortcuts"]
    assert [shortcut["callback_id"] for shortcut in offered] == ["report"]
    for callback_id in ("anywhere", "unknown", ""):
        with pytest.raises(LookupError, match="404 The app has no message shortcut"):
            choose(slack, ts, callback_id)
    client.chat_postEphemeral(channel=SUPPORT, user=QA, text="for you")
    private = slack.get("messages", **{"as": "qa", "channel": SUPPORT})["messages"][-1]
    assert private["ephemeral"]
    with pytest.raises(LookupError, match="404 There is no such message"):
        choose(slack, private["ts"], person="qa")


def test_a_message_that_the_person_does_not_see_has_no_menu(slack: Slack) -> None:
    ts = said(slack, "hello")
    with pytest.raises(LookupError, match="404 There is no such message"):
        choose(slack, ts, person="outsider")
    with pytest.raises(LookupError, match="404 There is no such message"):
        choose(slack, "1.000001")


def test_without_the_scope_for_commands_there_are_no_shortcuts(start: Callable[..., Slack]) -> None:
    slack = start(manifest=declared(scopes=["chat:write"]))
    with pytest.raises(LookupError, match="no message shortcut"):
        choose(slack, said(slack, "hello"))


def test_one_that_is_not_acknowledged_is_an_error_for_the_person(slack: Slack) -> None:
    request = choose(slack, said(slack, "hello"))  # no bot is connected
    assert slack.until(request, lambda r: r["error"])["error"]
