"""Who may call: tokens, scopes, and methods that exist."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack import manifest as manifests
from sandbox.slack.api.registry import METHODS
from sandbox.slack.server import Slack, running
from tests.sandbox.slack.playing import QA, SUPPORT, manifest, refusal, refused


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebClient]:
    """An app that was granted next to nothing."""
    granted = manifests.load(manifest(scopes=["commands"]))
    with running(tmp_path_factory.mktemp("bare"), manifest=granted) as slack:
        yield WebClient(slack.bot_token, base_url=slack.api_url)


def raw(slack: Slack, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    request = urllib.request.Request(f"{slack.url}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, dict(reply.headers), json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), json.load(error)


@pytest.mark.conforms("slack-auth-test")
def test_auth_test_tells_the_bot_who_it_is(client: WebClient) -> None:
    answer = client.auth_test()
    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == ("T0SANDBOX1", "U0ROLLBOT1", "B0ROLLOUT1")
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


@pytest.mark.conforms("slack-token-kinds")
def test_a_call_without_token_is_not_authed(slack: Slack) -> None:
    assert refusal(WebClient(base_url=slack.api_url).auth_test) == "not_authed"


@pytest.mark.conforms("slack-token-kinds")
def test_an_unknown_token_is_invalid(slack: Slack) -> None:
    assert refusal(WebClient("xoxb-wrong", base_url=slack.api_url).auth_test) == "invalid_auth"


@pytest.mark.conforms("slack-token-kinds")
def test_an_app_token_may_not_post(slack: Slack) -> None:
    client = WebClient(slack.app_token, base_url=slack.api_url)
    assert refusal(client.chat_postMessage, channel=SUPPORT, text="x") == "not_allowed_token_type"


@pytest.mark.conforms("slack-token-kinds")
def test_a_bot_token_may_not_open_a_socket(slack: Slack) -> None:
    client = WebClient(base_url=slack.api_url)
    assert refusal(client.apps_connections_open, app_token=slack.bot_token) == "not_allowed_token_type"


@pytest.mark.conforms("slack-token-kinds")
def test_a_token_in_the_query_does_not_count(slack: Slack) -> None:
    assert raw(slack, f"/api/auth.test?token={slack.bot_token}", None, {})[2]["error"] == "not_authed"


@pytest.mark.conforms("slack-token-kinds")
def test_a_token_in_a_form_counts(slack: Slack) -> None:
    assert raw(slack, "/api/auth.test", f"token={slack.bot_token}".encode(), {})[2]["ok"]


@pytest.mark.conforms("slack-scopes")
@pytest.mark.parametrize(
    ("scope", "call"),
    [
        ("chat:write", lambda c: c.chat_postMessage(channel=SUPPORT, text="x")),
        ("chat:write", lambda c: c.chat_update(channel=SUPPORT, ts="1.1", text="x")),
        ("chat:write", lambda c: c.chat_postEphemeral(channel=SUPPORT, user=QA, text="x")),
        ("chat:write", lambda c: c.chat_delete(channel=SUPPORT, ts="1.1")),
        ("users:read", lambda c: c.users_info(user=QA)),
        ("users:read", lambda c: c.users_list()),
        ("users:read.email", lambda c: c.users_lookupByEmail(email="x")),
        ("files:write", lambda c: c.files_getUploadURLExternal(filename="x", length=1)),
        ("files:write", lambda c: c.files_completeUploadExternal(files=[])),
        ("usergroups:read", lambda c: c.usergroups_list()),
        ("usergroups:read", lambda c: c.usergroups_users_list(usergroup="S0DEVOPS01")),
        ("channels:read", lambda c: c.conversations_info(channel=SUPPORT)),
        ("channels:read", lambda c: c.conversations_list()),
        ("groups:read", lambda c: c.conversations_list(types="private_channel")),
        ("channels:read", lambda c: c.conversations_members(channel=SUPPORT)),
        ("channels:history", lambda c: c.conversations_history(channel=SUPPORT)),
        ("channels:history", lambda c: c.conversations_replies(channel=SUPPORT, ts="1.1")),
        ("im:write", lambda c: c.conversations_open(users=QA)),
        ("im:read", lambda c: c.conversations_info(channel="D0SAND0003")),
    ],
)
def test_a_missing_scope_is_named(bare: WebClient, scope: str, call: Callable[[WebClient], Any]) -> None:
    answer = refused(call, bare)
    assert (answer["error"], answer["needed"], answer["provided"]) == ("missing_scope", scope, "commands")


@pytest.mark.conforms("slack-tiers")
def test_each_method_has_slacks_tier() -> None:
    tiers = {
        2: {"users.list", "usergroups.list", "usergroups.users.list", "conversations.list"},
        3: {
            *("chat.update", "chat.delete", "users.lookupByEmail", "conversations.info", "conversations.open"),
            *("conversations.history", "conversations.replies"),
        },
        4: {
            *("chat.postEphemeral", "views.open", "views.push", "views.update", "views.publish", "users.info"),
            *("conversations.members", "files.getUploadURLExternal", "files.completeUploadExternal"),
        },
        None: {"auth.test", "apps.connections.open", "chat.postMessage", "chat.getPermalink"},
    }
    assert {name: method.tier for name, method in METHODS.items()} == {
        name: tier for tier, names in tiers.items() for name in names
    }


@pytest.mark.conforms("slack-scopes")
def test_optional_scopes_are_granted_too(start: Callable[..., Slack]) -> None:
    granted = manifest(scopes=["commands"])
    granted["oauth_config"]["scopes"]["bot_optional"] = ["users:read"]
    slack = start(manifest=granted)
    assert WebClient(slack.bot_token, base_url=slack.api_url).users_info(user=QA)["ok"]


def test_a_method_that_is_not_modelled_says_so(slack: Slack) -> None:
    status, _, body = raw(slack, "/api/files.upload", b"", {"Authorization": f"Bearer {slack.bot_token}"})
    assert (status, body) == (501, {"ok": False, "error": "not_modelled", "method": "files.upload"})


@pytest.mark.conforms("slack-bodies")
@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        ("application/json; charset=utf-8", b'{"channel":', "invalid_json"),
        ("application/json; charset=utf-8", b"[1]", "json_not_object"),
        ("application/json; charset=utf-8", b'{"channel": {"a": 1}, "text": "x"}', "invalid_arguments"),
        ("application/json; charset=utf-8", b'{"channel": "C0SUPPORT1", "text": NaN}', "invalid_json"),
        ("application/json; charset=utf-8", b'{"channel": "C0SUPPORT1", "text": "\\ud800"}', "invalid_json"),
        ("application/json; charset=utf-8", b"[" * 100_000, "invalid_json"),
        ("application/x-www-form-urlencoded", b"\xff\xfe", "invalid_form_data"),
        ("text/csv", b"a,b", "invalid_post_type"),
        ("multipart/form-data", b"a,b", "invalid_form_data"),
        ("multipart/form-data; boundary=b", b"--c--", "invalid_form_data"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: x; name="a"\r\n\r\n\xff\r\n--b--',
            "invalid_form_data",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(shared: Slack, kind: str, body: bytes, error: str) -> None:
    headers = {"Authorization": f"Bearer {shared.bot_token}", "Content-Type": kind}
    assert raw(shared, "/api/chat.postMessage", body, headers)[2]["error"] == error


@pytest.mark.conforms("slack-bodies")
def test_a_huge_body_is_refused(slack: Slack) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}
    assert raw(slack, "/api/chat.postMessage", b'"' + b"x" * 1_100_000 + b'"', headers)[0] == 413


@pytest.mark.conforms("slack-bodies")
def test_json_without_charset_is_answered_with_a_warning(slack: Slack) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}
    assert raw(slack, "/api/auth.test", b"{}", headers)[2]["warning"] == "missing_charset"


@pytest.mark.conforms("slack-bodies")
def test_a_form_in_parts_is_read(slack: Slack, client: WebClient) -> None:
    """As the SDK sends `data`."""
    assert client.api_call("chat.postMessage", data={"channel": SUPPORT, "text": "in parts"})["ok"]
    assert slack.get("messages", **{"as": "qa", "channel": SUPPORT})["messages"][0]["text"] == "in parts"


def test_a_refusal_names_itself_in_a_header(slack: Slack) -> None:
    assert raw(slack, "/api/auth.test", b"", {})[1]["x-slack-failure"] == "not_authed"


@pytest.mark.conforms("slack-bodies")
def test_reading_methods_do_not_see_a_json_body(slack: Slack) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json; charset=utf-8"}
    body = json.dumps({"user": QA}).encode()
    assert raw(slack, "/api/users.info", body, headers)[2]["error"] == "user_not_found"


def test_tokens_survive_a_restart(start: Callable[..., Slack], tmp_path: Any) -> None:
    first = start(state=tmp_path / "one")
    again = start(state=tmp_path / "one")
    assert (first.bot_token, first.app_token, first.signing_secret) == (
        again.bot_token,
        again.app_token,
        again.signing_secret,
    )
    assert (tmp_path / "one" / "slack-tokens.json").stat().st_mode & 0o077 == 0
