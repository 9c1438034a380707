"""chat.*: posting, updating, deleting, and every refusal of theirs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sandbox.slack import people
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import (
    GENERAL,
    GONE,
    OUTSIDER,
    QA,
    SUPPORT,
    Machine,
    actions,
    button,
    manifest,
    plain,
    refusal,
    refused,
    section,
)


def seen(slack: Slack, person: str = "qa", channel: str = SUPPORT, **more: str) -> list[dict[str, Any]]:
    return list(slack.get("messages", **{"as": person, "channel": channel, **more})["messages"])


def test_a_post_is_seen_by_members(slack: Slack, client: WebClient) -> None:
    answer = client.chat_postMessage(channel=SUPPORT, text="Hello", blocks=[section(), actions(button())])
    (shown,) = seen(slack)
    assert (shown["ts"], shown["text"], shown["bot"], shown["user"]) == (answer["ts"], "Hello", True, "U0ROLLBOT1")
    assert shown["blocks"][0]["block_id"]
    assert answer["message"]["bot_id"] == "B0ROLLOUT1"
    assert seen(slack, "outsider") == []


@pytest.mark.conforms("slack-places")
def test_a_channel_may_be_named_only_when_posting(client: WebClient) -> None:
    posted = client.chat_postMessage(channel="#platform-support", text="x")
    assert posted["channel"] == SUPPORT
    assert refusal(client.chat_update, channel="#platform-support", ts=posted["ts"], text="y") == "channel_not_found"


@pytest.mark.conforms("slack-places")
def test_a_post_to_a_person_goes_to_their_direct_messages(slack: Slack, client: WebClient) -> None:
    assert client.chat_postMessage(channel=QA, text="psst")["channel"] == "D0SAND0003"
    assert [m["text"] for m in seen(slack, channel="D0SAND0003")] == ["psst"]
    with pytest.raises(LookupError, match="no channel"):
        seen(slack, "developer", "D0SAND0003")


@pytest.mark.conforms(
    "slack-attachments-100",
    "slack-markdown-text",
    "slack-blocks-too-long",
    "slack-no-text",
    "slack-metadata",
    "slack-places",
    "slack-threads",
)
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"channel": "C0NOWHERE1"}, "channel_not_found"),
        ({"channel": ""}, "channel_not_found"),
        ({"channel": GENERAL}, "not_in_channel"),
        ({"channel": GONE}, "user_disabled"),
        ({"text": ""}, "no_text"),
        ({"text": "  "}, "no_text"),
        ({"text": "", "blocks": []}, "no_text"),
        ({"blocks": "no json"}, "invalid_blocks_format"),
        ({"blocks": '{"type": "divider"}'}, "invalid_blocks_format"),
        ({"blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"blocks": [section("x" * 3000) for _ in range(5)]}, "msg_blocks_too_long"),
        ({"thread_ts": "yesterday"}, "invalid_thread_ts"),
        ({"thread_ts": "1700000000.000001"}, "thread_not_found"),
        ({"metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"metadata": {"event_type": "x", "event_payload": {}, "more": 1}}, "invalid_metadata_schema"),
        ({"metadata": {"event_type": "x", "event_payload": {"a": "b" * 20_000}}}, "metadata_too_large"),
        ({"attachments": [{"text": "x"}] * 101}, "too_many_attachments"),
        ({"attachments": "x"}, "invalid_attachments"),
        ({"attachments": [{"blocks": [{"type": "nonsense"}]}]}, "invalid_attachments"),
        ({"markdown_text": "x"}, "markdown_text_conflict"),
    ],
)
def test_a_post_is_refused(shared_client: WebClient, fields: dict[str, Any], error: str) -> None:
    assert refusal(shared_client.chat_postMessage, **{"channel": SUPPORT, "text": "x", **fields}) == error


@pytest.mark.conforms("slack-markdown-text")
def test_markdown_text_stands_alone_up_to_its_limit(client: WebClient) -> None:
    posted = client.chat_postMessage(channel=SUPPORT, markdown_text="**x**" + "y" * 11_995)
    assert posted["message"]["blocks"][0]["type"] == "markdown"
    assert refusal(client.chat_postMessage, channel=SUPPORT, markdown_text="y" * 12_001) == "msg_too_long"


@pytest.mark.conforms("slack-invalid-blocks-pointer")
def test_an_invalid_block_is_pointed_at(client: WebClient) -> None:
    answer = refused(client.chat_postMessage, channel=SUPPORT, text="x", blocks=[section(), section("x" * 3001)])
    sentence = "must be less than 3001 characters [json-pointer:/blocks/1/text/text]"
    assert answer["response_metadata"]["messages"] == [f"[ERROR] {sentence}"]
    assert answer["errors"] == [sentence]


@pytest.mark.conforms("slack-text-truncated")
def test_a_very_long_text_is_cut_with_a_warning(client: WebClient) -> None:
    posted = client.chat_postMessage(channel=SUPPORT, text="x" * 40_001)
    assert (len(posted["message"]["text"]), posted["warning"]) == (40_000, "message_truncated")


@pytest.mark.conforms("slack-post-one-a-second")
def test_posts_are_limited_to_one_a_second_a_channel_after_a_small_burst(client: WebClient, machine: Machine) -> None:
    for _ in range(4):
        client.chat_postMessage(channel=SUPPORT, text="x")
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel=SUPPORT, text="x")
    assert (error.value.response.status_code, error.value.response.headers["Retry-After"]) == (429, "1")
    assert error.value.response["error"] == "ratelimited"
    client.chat_postMessage(channel=QA, text="another channel has its own rate")
    machine.advance(1.0)
    client.chat_postMessage(channel=SUPPORT, text="x")


@pytest.mark.conforms("slack-update-tier")
def test_updates_are_limited_to_fifty_a_minute(client: WebClient, machine: Machine) -> None:
    ts = client.chat_postMessage(channel=SUPPORT, text="x")["ts"]
    for number in range(50):
        client.chat_update(channel=SUPPORT, ts=ts, text=f"{number}")
    with pytest.raises(SlackApiError) as error:
        client.chat_update(channel=SUPPORT, ts=ts, text="x")
    assert error.value.response.status_code == 429
    replica = WebClient(client.token, base_url=client.base_url)
    assert refusal(replica.chat_update, channel=SUPPORT, ts=ts, text="x") == "ratelimited"
    machine.advance(float(error.value.response.headers["Retry-After"]))
    client.chat_update(channel=SUPPORT, ts=ts, text="x")


@pytest.mark.conforms("slack-missing-text-warns", "slack-top-level-text")
def test_blocks_without_a_text_are_taken_with_a_warning_of_the_sdk(slack: Slack, client: WebClient) -> None:
    with pytest.warns(UserWarning, match="text"):
        client.chat_postMessage(channel=SUPPORT, blocks=[section()])
    assert seen(slack)[0]["text"] == ""


@pytest.mark.conforms("slack-tiers")
def test_reading_user_groups_is_limited_to_twenty_a_minute(client: WebClient, machine: Machine) -> None:
    for _ in range(20):
        client.usergroups_list()
    assert refusal(client.usergroups_list) == "ratelimited"
    machine.advance(60)
    client.usergroups_list()


@pytest.mark.conforms("slack-update-keeps-or-removes")
def test_an_update_changes_what_is_given_and_keeps_the_rest(slack: Slack, client: WebClient) -> None:
    metadata = {"event_type": "card", "event_payload": {"stage": "dev"}}
    ts = client.chat_postMessage(channel=SUPPORT, text="x", blocks=[section()], metadata=metadata)["ts"]
    client.chat_update(channel=SUPPORT, ts=ts, text="w", blocks=[section("more")])
    (shown,) = seen(slack)
    assert (shown["blocks"][0]["text"]["text"], shown["metadata"], shown["edited"]) == ("more", metadata, None)
    client.chat_update(channel=SUPPORT, ts=ts, attachments=[{"text": "beside"}])
    (shown,) = seen(slack)
    assert (shown["blocks"][0]["text"]["text"], shown["attachments"]) == ("more", [{"text": "beside"}])
    client.chat_update(channel=SUPPORT, ts=ts, text="z", metadata={})
    (shown,) = seen(slack)
    assert (shown["text"], shown["blocks"], shown["metadata"]) == ("z", [], None)
    assert shown["edited"]["user"] == "U0ROLLBOT1"


@pytest.mark.conforms("slack-update-text-4000", "slack-update-refusals")
def test_an_update_is_refused(slack: Slack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=SUPPORT, text="x")["ts"]
    assert refusal(client.chat_update, channel=SUPPORT, ts="1700000000.000001", text="y") == "message_not_found"
    assert refusal(client.chat_update, channel="C0NOWHERE1", ts=ts, text="y") == "channel_not_found"
    assert refusal(client.chat_update, channel=SUPPORT, ts=ts, text="") == "no_text"
    assert refusal(client.chat_update, channel=SUPPORT, ts=ts, text="y" * 4001) == "msg_too_long"
    assert refusal(client.chat_update, channel=SUPPORT, ts=ts, text="y", blocks=[{"type": "x"}]) == "invalid_blocks"
    slack.command("qa", "a person's own words")
    theirs = seen(slack)[-1]["ts"]
    assert refusal(client.chat_update, channel=SUPPORT, ts=theirs, text="y") == "cant_update_message"
    assert refusal(client.chat_delete, channel=SUPPORT, ts=theirs) == "cant_delete_message"


@pytest.mark.conforms("slack-ephemeral-not-updated")
def test_an_ephemeral_message_is_seen_by_one_and_cannot_be_updated(slack: Slack, client: WebClient) -> None:
    ts = client.chat_postEphemeral(channel=SUPPORT, user=QA, text="only you")["message_ts"]
    assert [(m["text"], m["ephemeral"]) for m in seen(slack)] == [("only you", True)]
    assert seen(slack, "developer") == []
    assert refusal(client.chat_update, channel=SUPPORT, ts=ts, text="y") == "message_not_found"
    assert refusal(client.chat_delete, channel=SUPPORT, ts=ts) == "message_not_found"
    assert client.conversations_history(channel=SUPPORT)["messages"] == []


@pytest.mark.conforms("slack-ephemeral-membership")
def test_an_ephemeral_message_needs_both_in_the_channel(client: WebClient) -> None:
    assert refusal(client.chat_postEphemeral, channel=GENERAL, user=QA, text="x") == "not_in_channel"
    assert refusal(client.chat_postEphemeral, channel=SUPPORT, user=OUTSIDER, text="x") == "user_not_in_channel"


@pytest.mark.conforms("slack-update-refusals")
def test_a_deleted_message_is_gone_and_one_with_replies_leaves_a_stone(slack: Slack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=SUPPORT, text="root")["ts"]
    reply = client.chat_postMessage(channel=SUPPORT, text="reply", thread_ts=ts)["ts"]
    client.chat_delete(channel=SUPPORT, ts=ts)
    assert [(m["deleted"], m["replies"]) for m in seen(slack)] == [(True, 1)]
    assert refusal(client.chat_update, channel=SUPPORT, ts=ts, text="y") == "message_not_found"
    client.chat_delete(channel=SUPPORT, ts=reply)
    assert [m["text"] for m in seen(slack, thread=ts)] == ["This message was deleted."]


@pytest.mark.conforms("slack-threads")
def test_replies_stay_in_their_thread(slack: Slack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=SUPPORT, text="root")["ts"]
    reply = client.chat_postMessage(channel=SUPPORT, text="reply", thread_ts=ts)
    again = client.chat_postMessage(channel=SUPPORT, text="a reply to the reply", thread_ts=reply["ts"])
    assert again["message"]["thread_ts"] == ts
    assert [(m["text"], m["replies"]) for m in seen(slack)] == [("root", 2)]
    assert [m["text"] for m in seen(slack, thread=ts)] == ["root", "reply", "a reply to the reply"]
    found = client.conversations_replies(channel=SUPPORT, ts=ts)["messages"]
    assert (found[0]["text"], found[0]["reply_count"]) == ("root", 2)
    assert refusal(client.conversations_replies, channel=SUPPORT, ts="1700000000.000001") == "thread_not_found"


@pytest.mark.conforms("slack-metadata")
def test_metadata_is_given_back_only_on_request(client: WebClient) -> None:
    metadata = {"event_type": "card", "event_payload": {"stage": "dev"}}
    client.chat_postMessage(channel=SUPPORT, text="x", metadata=metadata)
    assert "metadata" not in client.conversations_history(channel=SUPPORT)["messages"][0]
    found = client.conversations_history(channel=SUPPORT, include_all_metadata=True)["messages"][0]
    assert found["metadata"] == metadata


@pytest.mark.conforms("slack-permalink")
def test_a_permalink_leads_to_the_page(slack: Slack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=SUPPORT, text="x")["ts"]
    link = client.chat_getPermalink(channel=SUPPORT, message_ts=ts)["permalink"]
    assert link == f"{slack.url}/archives/{SUPPORT}/p{ts.replace('.', '')}"
    assert refusal(client.chat_getPermalink, channel=SUPPORT, message_ts="1700000000.000001") == "message_not_found"


@pytest.mark.conforms("slack-unfurl-flags")
def test_unfurl_flags_are_kept(slack: Slack, client: WebClient) -> None:
    client.chat_postMessage(channel=SUPPORT, text="x", unfurl_links=False, unfurl_media=True)
    client.chat_postMessage(channel=SUPPORT, text="y")
    assert [(m["unfurl_links"], m["unfurl_media"]) for m in seen(slack)] == [(False, True), (None, None)]


@pytest.mark.conforms("slack-ephemeral-keeps-little")
def test_ephemeral_messages_keep_no_metadata(slack: Slack, client: WebClient) -> None:
    metadata = {"event_type": "card", "event_payload": {}}
    client.chat_postEphemeral(channel="#platform-support", user=QA, text="x", metadata=metadata)
    assert seen(slack)[0]["metadata"] is None


@pytest.mark.conforms("slack-ephemeral-keeps-little")
def test_an_ephemeral_reply_is_shown_only_in_a_thread_that_has_replies(slack: Slack, client: WebClient) -> None:
    root = client.chat_postMessage(channel=SUPPORT, text="root")["ts"]
    whisper = {"channel": SUPPORT, "user": QA, "thread_ts": root}
    assert client.chat_postEphemeral(**whisper, text="unseen")["message_ts"]
    client.chat_postMessage(channel=SUPPORT, text="reply", thread_ts=root)
    client.chat_postEphemeral(**whisper, text="seen")
    assert [m["text"] for m in seen(slack, thread=root)] == ["root", "reply", "seen"]


@pytest.mark.conforms("slack-messages-tab-disabled")
def test_without_a_messages_tab_nobody_is_written_to(start: Callable[..., Slack]) -> None:
    granted = manifest()
    granted["features"]["app_home"] = {"home_tab_enabled": True, "messages_tab_enabled": False}
    slack = start(manifest=granted)
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    assert refusal(client.chat_postMessage, channel=QA, text="x") == "messages_tab_disabled"
    assert refusal(client.chat_postMessage, channel="D0SAND0003", text="x") == "messages_tab_disabled"
    client.chat_postMessage(channel=SUPPORT, text="x")
    with pytest.raises(LookupError, match="turned off"):
        slack.command("qa", "hello", "D0SAND0003")


@pytest.mark.conforms("slack-attachments-100")
def test_attachments_are_kept_with_their_blocks(slack: Slack, client: WebClient) -> None:
    beside = [{"color": "#2eb67d", "blocks": [section("inside")]}] * 100
    posted = client.chat_postMessage(channel=SUPPORT, text="x", attachments=beside)["message"]
    assert posted["attachments"][99]["blocks"][0]["text"]["text"] == "inside"
    assert len(seen(slack)[0]["attachments"]) == 100


@pytest.mark.conforms("slack-places")
def test_uninvited_posts_need_their_scope_or_an_invitation(start: Callable[..., Slack]) -> None:
    slack = start(manifest=manifest(scopes=["chat:write", "commands"]))
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    assert refusal(client.chat_postMessage, channel=GENERAL, text="x") == "not_in_channel"
    slack.command("qa", "/invite @rollout", GENERAL)
    client.chat_postMessage(channel=GENERAL, text="x")
    slack.command("qa", "/remove @rollout", GENERAL)
    assert refusal(client.chat_postMessage, channel=GENERAL, text="x") == "not_in_channel"


@pytest.mark.conforms("slack-places")
def test_public_posting_scope_allows_uninvited_posts(start: Callable[..., Slack]) -> None:
    slack = start(manifest=manifest(scopes=["chat:write", "chat:write.public"]))
    WebClient(slack.bot_token, base_url=slack.api_url).chat_postMessage(channel=GENERAL, text="x")


@pytest.mark.conforms("slack-places")
def test_archived_and_private_channels_are_closed(start: Callable[..., Slack]) -> None:
    cast = people.load()
    cast.channels["C0OLD"] = people.Channel(id="C0OLD", name="old", is_archived=True, bot=True)
    cast.channels["C0SECRET"] = people.Channel(id="C0SECRET", name="secret", is_private=True)
    slack = start(cast=cast)
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    cast.channels["C0OLD"] = dataclasses.replace(cast.channels["C0OLD"], is_archived=False)
    ts = client.chat_postMessage(channel="C0OLD", text="x")["ts"]
    cast.channels["C0OLD"] = dataclasses.replace(cast.channels["C0OLD"], is_archived=True)
    assert refusal(client.chat_postMessage, channel="C0OLD", text="x") == "is_archived"
    assert refusal(client.chat_update, channel="C0OLD", ts=ts, text="y") == "is_inactive"
    assert refusal(client.chat_postMessage, channel="C0SECRET", text="x") == "channel_not_found"
    assert refusal(client.conversations_info, channel="C0SECRET") == "channel_not_found"
    listed = client.conversations_list(types="public_channel,private_channel", exclude_archived=True)["channels"]
    assert {"old", "secret"}.isdisjoint({c["name"] for c in listed})


def test_stored_blocks_have_ids_and_text_defaults(client: WebClient) -> None:
    blocks = [{"type": "header", "text": plain("H")}, section(), actions({"type": "button", "text": plain("P")})]
    stored = client.chat_postMessage(channel=SUPPORT, text="x", blocks=blocks)["message"]["blocks"]
    assert all(len(block["block_id"]) == 5 for block in stored)
    assert stored[0]["text"]["emoji"] is True
    assert stored[1]["text"]["verbatim"] is False
    assert len(stored[2]["elements"][0]["action_id"]) == 5
