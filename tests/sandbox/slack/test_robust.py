"""Whatever is sent: an answer in Slack's form, never an internal error; and nothing secret in a log."""

from __future__ import annotations

import copy
import http.client
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

from sandbox.slack.api.registry import METHODS
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import (
    GENERAL,
    QA,
    SCOPES,
    SUPPORT,
    Json,
    Machine,
    RawBot,
    actions,
    button,
    home,
    manifest,
    modal,
    option,
    plain,
    section,
    text_input,
)

ARGUMENTS = (
    *("channel", "text", "blocks", "attachments", "metadata", "thread_ts", "ts", "user", "users", "limit", "cursor"),
    *("view", "view_id", "trigger_id", "external_id", "hash", "user_id", "markdown_text", "types", "oldest", "latest"),
    *("files", "filename", "length", "channel_id", "channels", "usergroup", "email", "message_ts", "reply_broadcast"),
    *("alt_txt", "initial_comment", "include_all_metadata", "unfurl_links", "token", "response_type"),
)
SAMPLE = [
    section("hello", accessory=button("beside")),
    actions(button(), {"type": "static_select", "action_id": "s", "options": [option("a")]}, block_id="row"),
    text_input(),
    {"type": "context", "elements": [plain("x")]},
    {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]},
    {
        "type": "data_visualization",
        "title": "Runs",
        "chart": {"type": "pie", "segments": [{"label": "a", "value": 1}]},
    },
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]},
    {"type": "container", "title": plain("t"), "child_blocks": [section("inside")]},
    {"type": "carousel", "elements": [{"type": "card", "title": plain("t"), "actions": [button("c")]}]},
]
REAL = [
    SUPPORT,
    GENERAL,
    QA,
    "D0SAND0003",
    "C0PARTNER1",
    "S0DEVOPS01",
    "1700000000.000001",
    "next:1",
    "1",
    "im",
    "xoxb-1",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(REAL)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a structure."""
    if isinstance(value, dict):
        pairs = [(value, key) for key in value]
    else:
        pairs = [(value, index) for index in range(len(value))] if isinstance(value, list) else []
    return pairs + [deep for container, key in pairs for deep in nodes(container[key])]


@st.composite
def damaged(draw: st.DrawFn, whole: Any) -> Any:
    """A valid structure of which one part was replaced, taken out or doubled."""
    found = copy.deepcopy(whole)
    container, key = draw(st.sampled_from(nodes(found)))
    way = draw(st.sampled_from(["replace", "remove", "double"]))
    if way == "replace":
        container[key] = draw(ANYTHING)
    elif way == "remove":
        del container[key]
    elif isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))
    return found


VALUES = ANYTHING | damaged(SAMPLE) | damaged(modal(*SAMPLE)) | damaged(home(*SAMPLE)) | st.just(SAMPLE)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def send(slack: Slack, path: str, body: bytes, kind: str) -> tuple[int, Any]:
    """POST with the bot's token; the status and the JSON that came back."""
    assert isinstance(slack.workspace.machine, Machine)
    slack.workspace.machine.advance(61)  # rates are not what is looked at here
    line = http.client.HTTPConnection(urlsplit(slack.url).netloc, timeout=60)
    try:
        line.request("POST", path, body, {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": kind})
        answer = line.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if "json" in answer.headers.get("content-type", "") else text
    finally:
        line.close()


@pytest.mark.conforms("slack-never-an-internal-error")
@FEW
@given(st.sampled_from(sorted(METHODS)), st.dictionaries(st.sampled_from(ARGUMENTS), VALUES, max_size=6), st.booleans())
def test_no_arguments_break_a_method(shared: Slack, method: str, arguments: Json, as_form: bool) -> None:
    if as_form:
        fields = {k: v if isinstance(v, str) else json.dumps(v) for k, v in arguments.items()}
        encoded = urlencode(fields, errors="replace").encode()
        status, answer = send(shared, f"/api/{method}", encoded, "application/x-www-form-urlencoded")
    else:
        status, answer = send(
            shared, f"/api/{method}", json.dumps(arguments).encode(), "application/json; charset=utf-8"
        )
    assert status == 200
    assert answer["ok"] is True or (answer["ok"] is False and answer["error"] != "internal_error")


@FEW
@given(
    st.sampled_from(sorted(METHODS)),
    st.binary(max_size=60),
    st.sampled_from(
        ["application/json", "", "multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "text/plain"]
    ),
)
def test_no_bytes_break_a_method(shared: Slack, method: str, body: bytes, kind: str) -> None:
    status, answer = send(shared, f"/api/{method}", body, kind)
    assert (status, isinstance(answer["ok"], bool)) == (200, True)
    assert answer.get("error") != "internal_error"


@pytest.mark.conforms("slack-invalid-blocks-pointer")
@FEW
@given(damaged(SAMPLE))
def test_no_block_breaks_a_message(shared: Slack, blocks: Any) -> None:
    body = json.dumps({"channel": SUPPORT, "text": "x", "blocks": blocks}).encode()
    status, answer = send(shared, "/api/chat.postMessage", body, "application/json; charset=utf-8")
    assert status == 200
    if not answer["ok"] and answer["error"] == "invalid_blocks":
        assert all("[json-pointer:/blocks" in sentence for sentence in answer["errors"])


PAGE = ("command", "act", "input", "submit", "close", "clock", "sockets", "faults")
FIELDS = (
    "as",
    "text",
    "channel",
    "thread",
    "container",
    "block_id",
    "action_id",
    "value",
    "view",
    "home",
    "speed",
    "step",
)
KNOWN = st.sampled_from(
    ["qa", SUPPORT, "hello", "press", {"home": True}, {"channel": SUPPORT, "ts": "1700000000.000001"}]
)


@FEW
@given(st.sampled_from(PAGE), st.dictionaries(st.sampled_from(FIELDS), ANYTHING | KNOWN, max_size=6))
def test_no_request_of_a_page_breaks_it(shared: Slack, path: str, body: Json) -> None:
    status, answer = send(shared, f"/sandbox/{path}", json.dumps({"as": "qa", **body}).encode(), "application/json")
    assert status in (200, 400, 404)
    assert status == 200 or isinstance(answer["error"], str)


@FEW
@given(st.dictionaries(st.sampled_from([*ARGUMENTS, "replace_original", "delete_original"]), VALUES, max_size=5))
def test_no_response_breaks_a_response_url(shared: Slack, body: Json) -> None:
    key = shared.workspace.handles.response_url(QA, "r0", SUPPORT, None)
    status, answer = send(shared, f"/response/{key}", json.dumps(body).encode(), "application/json")
    assert (status, answer) == (200, b"ok") or (status in (400, 404) and answer["ok"] is False)


def test_many_callers_at_once_get_their_own_answers(start: Callable[..., Slack], machine: Machine) -> None:
    slack = start(limits=Limits(post_burst=50))
    client = WebClient(slack.bot_token, base_url=slack.api_url)

    def call(number: int) -> Any:
        machine.advance(10.0)
        if number % 4 == 0:
            return client.chat_postMessage(channel=SUPPORT, text=f"n{number}")["message"]["text"] == f"n{number}"
        if number % 4 == 1:
            return client.views_publish(user_id=QA, view=home(section(f"n{number}")))["ok"]
        if number % 4 == 2:
            return client.users_info(user=QA)["user"]["id"] == QA
        return slack.get("messages", **{"as": "qa", "channel": SUPPORT})["messages"] is not None

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(call, range(200)))
    posted = [m["text"] for m in slack.get("messages", **{"as": "qa", "channel": SUPPORT})["messages"]]
    assert sorted(posted) == sorted(f"n{number}" for number in range(0, 200, 4))


@pytest.mark.conforms("slack-bearer-handles-not-logged")
def test_no_secret_is_logged(slack: Slack, caplog: pytest.LogCaptureFixture) -> None:
    """Tokens, the signing secret, trigger ids, response_urls and upload addresses are bearer handles."""
    with caplog.at_level(logging.DEBUG):
        bot = RawBot(slack, lambda envelope: None)
        client = WebClient(slack.bot_token, base_url=slack.api_url)
        slack.command("qa", "/rollout")
        payload = bot.payload()
        client.views_open(trigger_id=payload["trigger_id"], view=modal(section()))
        for _ in range(7):
            WebhookClient(payload["response_url"]).send(text="x")
        for method, arguments in (("views.open", {"trigger_id": payload["trigger_id"]}), ("chat.postMessage", {})):
            send(slack, f"/api/{method}", json.dumps(arguments).encode(), "application/json")
        send(slack, "/api/nothing.here", b"", "")
        slack.post("faults", kind="500", path="auth.test")
        send(slack, "/api/auth.test", b"", "")
    logged = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("sandbox", "uvicorn", "starlette"))
    )
    assert "auth.test" in logged
    ticket = str(bot.socket.request.path if bot.socket.request else "?").partition("ticket=")[2].partition("&")[0]
    secrets = (slack.bot_token, slack.app_token, slack.signing_secret, payload["trigger_id"], ticket)
    for secret in (*secrets, payload["response_url"].rsplit("/", 1)[1], payload["token"]):
        assert secret
        assert secret not in logged


@pytest.mark.parametrize("path", ["/api/conversations.join", "/api/canvases.create", "/api/chat.scheduleMessage"])
@pytest.mark.conforms("slack-unknown-methods-say-so")
def test_what_is_not_modelled_says_501(shared: Slack, path: str) -> None:
    status, answer = send(shared, path, b"", "")
    assert (status, answer["error"], answer["method"]) == (501, "not_modelled", path[5:])


def test_every_method_is_driven_by_the_sdk(start: Callable[..., Slack], machine: Machine) -> None:
    """Each with its own function of WebClient, in one round of a bot's life."""
    slack = start(manifest=manifest(scopes=[*SCOPES, "users:read.email"]))
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    bot = RawBot(slack, lambda envelope: None)
    called: set[str] = {"apps.connections.open"}
    press = actions(button("press"), block_id="row")

    def call(method: str, **arguments: Any) -> Any:
        function: Callable[..., Any] = getattr(client, method.replace(".", "_"))
        called.add(method)
        machine.advance(0.5)
        return function(**arguments)

    assert call("auth.test")["user_id"] == "U0ROLLBOT1"
    ts = call("chat.postMessage", channel=SUPPORT, text="card", blocks=[press])["ts"]
    call("chat.update", channel=SUPPORT, ts=ts, text="card", blocks=[press])
    call("chat.postEphemeral", channel=SUPPORT, user=QA, text="psst")
    assert ts.replace(".", "") in call("chat.getPermalink", channel=SUPPORT, message_ts=ts)["permalink"]
    assert call("conversations.history", channel=SUPPORT)["messages"][0]["ts"] == ts
    assert call("conversations.replies", channel=SUPPORT, ts=ts)["messages"][0]["ts"] == ts
    assert call("conversations.info", channel=SUPPORT)["channel"]["id"] == SUPPORT
    assert SUPPORT in [c["id"] for c in call("conversations.list")["channels"]]
    assert QA in call("conversations.members", channel=SUPPORT)["members"]
    assert call("conversations.open", users=QA)["channel"]["id"] == "D0SAND0003"
    person = call("users.info", user=QA)["user"]
    assert person["id"] in [u["id"] for u in call("users.list")["members"]]
    assert call("users.lookupByEmail", email=person["profile"]["email"])["user"]["id"] == QA
    group = call("usergroups.list")["usergroups"][0]["id"]
    assert call("usergroups.users.list", usergroup=group)["users"]
    machine.ahead = 0.0
    slack.command("qa", "/rollout")
    view = client.views_open(trigger_id=bot.payload()["trigger_id"], view=modal(press))["view"]["id"]
    called.add("views.open")
    call("views.update", view_id=view, view=modal(press))
    slack.post("act", **{"as": "qa", "container": {"view": view}, "block_id": "row", "action_id": "press"})
    client.views_push(trigger_id=bot.payload()["trigger_id"], view=modal(section()))
    called.add("views.push")
    call("views.publish", user_id=QA, view=home(section()))
    given = call("files.getUploadURLExternal", filename="a.txt", length=1)
    send(slack, urlsplit(given["upload_url"]).path, b"x", "")
    call("files.completeUploadExternal", files=[{"id": given["file_id"]}], channel_id=SUPPORT)
    call("chat.delete", channel=SUPPORT, ts=ts)
    assert called == set(METHODS)
