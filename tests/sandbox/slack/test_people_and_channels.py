"""users.*, usergroups.* and conversations.*."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import GENERAL, GONE, GUEST, OUTSIDER, PARTNER, QA, SUPPORT, Machine, manifest, refusal


def user(client: WebClient, wanted: str) -> dict[str, Any]:
    return dict(client.users_info(user=wanted)["user"])


@pytest.mark.conforms("slack-account-flags")
def test_a_colleague_is_of_our_team(client: WebClient) -> None:
    found = user(client, QA)
    assert (found["name"], found["team_id"], found["deleted"]) == ("qa", "T0SANDBOX1", False)
    assert (found["is_restricted"], found["is_bot"]) == (False, False)
    assert "email" not in found["profile"]


@pytest.mark.conforms("slack-no-stranger")
def test_the_outsider_is_of_another_team_and_no_stranger(client: WebClient) -> None:
    found = user(client, OUTSIDER)
    assert (found["team_id"], found["is_stranger"]) == ("T0PARTNER1", False)


@pytest.mark.conforms("slack-account-flags")
def test_the_guest_is_restricted(client: WebClient) -> None:
    assert user(client, GUEST)["is_restricted"] is True


@pytest.mark.conforms("slack-account-flags")
def test_the_deactivated_account_has_fewer_fields(client: WebClient) -> None:
    found = user(client, GONE)
    assert found["deleted"] is True
    assert "is_restricted" not in found


@pytest.mark.conforms("slack-account-flags")
def test_the_bot_is_a_bot(client: WebClient) -> None:
    assert user(client, "U0ROLLBOT1")["is_bot"] is True
    assert user(client, "USLACKBOT")["is_bot"] is False


@pytest.mark.conforms("slack-account-flags")
def test_an_unknown_user_is_not_found(client: WebClient) -> None:
    assert refusal(client.users_info, user="U0NOBODY") == "user_not_found"


@pytest.mark.conforms("slack-lookup-by-email")
def test_an_address_finds_an_active_account(start: Callable[..., Slack]) -> None:
    slack = start(manifest=manifest(scopes=["users:read", "users:read.email"]))
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    address = user(client, QA)["profile"]["email"]
    assert client.users_lookupByEmail(email=address.upper())["user"]["id"] == QA
    assert refusal(client.users_lookupByEmail, email="nobody@example.com") == "users_not_found"
    assert refusal(client.users_lookupByEmail, email=user(client, GONE)["profile"]["email"]) == "users_not_found"
    assert user(client, OUTSIDER)["profile"]["email"] == "outsider@partner.example"


@pytest.mark.conforms("slack-user-list")
def test_the_list_pages_by_cursor(client: WebClient, machine: Machine) -> None:
    pages = [list(page["members"]) for page in client.users_list(limit=5)]
    assert [len(page) for page in pages] == [5, 5, 2]
    assert len({member["id"] for page in pages for member in page}) == 12
    assert refusal(client.users_list, cursor="bad") == "invalid_cursor"
    assert refusal(client.users_list, limit=0) == "invalid_limit"


@pytest.mark.conforms("slack-user-groups")
def test_groups_list_their_members(client: WebClient) -> None:
    (group,) = client.usergroups_list(include_users=True, include_count=True)["usergroups"]
    assert (group["handle"], group["users"], group["user_count"]) == (
        "platform-devops",
        ["U0SAND0004", "U0SAND0005"],
        "2",
    )
    assert client.usergroups_users_list(usergroup=group["id"])["users"] == group["users"]
    assert refusal(client.usergroups_users_list, usergroup="S0NONE") == "no_such_subteam"


@pytest.mark.conforms("slack-shared-channels")
def test_a_channel_says_whether_it_is_shared_and_whether_the_bot_is_in(client: WebClient) -> None:
    found = {c: client.conversations_info(channel=c)["channel"] for c in (SUPPORT, GENERAL, PARTNER)}
    assert [found[c]["is_ext_shared"] for c in found] == [False, False, True]
    assert [found[c]["is_member"] for c in found] == [True, False, True]
    assert found[SUPPORT]["topic"]["value"] == "The rollout to Databricks Runtime 17.3"
    with_count = client.conversations_info(channel=SUPPORT, include_num_members=True)["channel"]
    assert with_count["num_members"] == len(client.conversations_members(channel=SUPPORT)["members"])


@pytest.mark.conforms("slack-shared-channels")
def test_a_name_is_no_channel_id(client: WebClient) -> None:
    assert refusal(client.conversations_info, channel="platform-support") == "channel_not_found"


@pytest.mark.conforms("slack-shared-channels")
def test_members_are_active_people_and_the_bot(client: WebClient) -> None:
    inside = client.conversations_members(channel=SUPPORT)["members"]
    assert {QA, GUEST, "U0ROLLBOT1"} <= set(inside)
    assert {GONE, OUTSIDER}.isdisjoint(inside)
    assert OUTSIDER in client.conversations_members(channel=PARTNER)["members"]
    assert GUEST not in client.conversations_members(channel=GENERAL)["members"]


@pytest.mark.conforms("slack-shared-channels")
def test_channels_are_listed_by_type(client: WebClient) -> None:
    assert {c["id"] for c in client.conversations_list()["channels"]} == {SUPPORT, GENERAL, PARTNER}
    assert all(c["is_im"] for c in client.conversations_list(types="im")["channels"])
    assert refusal(client.conversations_list, types="secret_channel") == "invalid_types"


@pytest.mark.conforms("slack-direct-messages")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"users": "U0NOBODY"}, "user_not_found"),
        ({"users": GONE}, "user_disabled"),
        ({"channel": "D0NOBODY"}, "channel_not_found"),
        ({"users": ""}, "users_list_not_supplied"),
    ],
)
def test_a_direct_message_cannot_be_opened(shared_client: WebClient, fields: dict[str, str], error: str) -> None:
    assert refusal(shared_client.conversations_open, **fields) == error


@pytest.mark.conforms("slack-direct-messages")
def test_a_direct_message_is_opened(client: WebClient) -> None:
    opened = client.conversations_open(users=QA, return_im=True)["channel"]
    assert (opened["id"], opened["user"]) == ("D0SAND0003", QA)
    assert client.conversations_info(channel=opened["id"])["channel"]["is_im"] is True


@pytest.mark.conforms("slack-history")
def test_history_is_newest_first_and_pages(client: WebClient) -> None:
    stamps = [client.chat_postMessage(channel=SUPPORT, text=f"{n}")["ts"] for n in range(3)]
    pages = [page["messages"] for page in client.conversations_history(channel=SUPPORT, limit=2)]
    assert [[m["text"] for m in page] for page in pages] == [["2", "1"], ["0"]]
    newer = client.conversations_history(channel=SUPPORT, oldest=stamps[1])["messages"]
    assert [m["text"] for m in newer] == ["2"]
    both = client.conversations_history(channel=SUPPORT, oldest=stamps[1], inclusive=True)["messages"]
    assert [m["text"] for m in both] == ["2", "1"]
    assert refusal(client.conversations_history, channel=SUPPORT, latest="soon") == "invalid_ts_latest"


@pytest.mark.conforms("slack-history")
def test_history_needs_membership(client: WebClient) -> None:
    assert refusal(client.conversations_history, channel=GENERAL) == "not_in_channel"
    assert refusal(client.conversations_history, channel="C0NOWHERE1") == "channel_not_found"
