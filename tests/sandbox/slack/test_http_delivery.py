"""Signed HTTP: the same payloads by POST, with Slack's signature; and events, with their retries."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import SUPPORT, HttpBot, RawBot, acknowledged_within, actions, button, manifest


@pytest.fixture
def http() -> Iterator[HttpBot]:
    bot = HttpBot()
    yield bot
    bot.stop()


@pytest.fixture
def signed(start: Callable[..., Slack], http: HttpBot) -> Slack:
    return start(mode="http", bot_url=http.url, limits=Limits(ack_seconds=60.0, event_retry_delays=(0.0, 0.01, 0.02)))


def open_home(slack: Slack) -> str:
    return str(slack.get("home", **{"as": "qa", "open": "1"})["request"])


@pytest.mark.conforms("slack-signature")
def test_a_command_is_a_signed_form(signed: Slack, http: HttpBot) -> None:
    signed.until(signed.command("qa", "/rollout status"), lambda r: r["acknowledged"])
    headers, body = http.requests.get(timeout=60)
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(body.decode())["text"] == ["status"]
    assert SignatureVerifier(signed.signing_secret).is_valid_request(body, headers)
    assert not SignatureVerifier("another").is_valid_request(body, headers)


@pytest.mark.conforms("slack-signature")
def test_a_press_is_a_payload_field(signed: Slack, http: HttpBot) -> None:
    client = WebClient(signed.bot_token, base_url=signed.api_url)
    ts = client.chat_postMessage(channel=SUPPORT, text="x", blocks=[actions(button())])["ts"]
    signed.post("act", **{"as": "qa", "container": {"channel": SUPPORT, "ts": ts}, "action_id": "press"})
    payload = json.loads(parse_qs(http.requests.get(timeout=60)[1].decode())["payload"][0])
    assert (payload["type"], payload["actions"][0]["action_id"]) == ("block_actions", "press")


@pytest.mark.conforms("slack-command-acknowledgement-answers")
@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        ({"content-type": "text/plain"}, b"plain words", "plain words"),
        ({"content-type": "application/json"}, b'{"text": "from json"}', "from json"),
    ],
)
def test_the_answer_may_say_something(
    signed: Slack, http: HttpBot, headers: dict[str, str], body: bytes, text: str
) -> None:
    http.answer = lambda h, b: (200, headers, body)
    seen = signed.until(signed.command("qa", "/rollout"), lambda r: r["answers"])
    assert seen["answers"][0]["message"]["text"] == text


@pytest.mark.conforms("slack-dispatch-failed")
@pytest.mark.parametrize("status", [401, 404, 500, 302])
def test_anything_but_200_is_dispatch_failed(signed: Slack, http: HttpBot, status: int) -> None:
    http.answer = lambda h, b: (status, {}, b"")
    assert signed.until(signed.command("qa", "/rollout"), lambda r: r["error"])["error"] == "dispatch_failed"


@pytest.mark.conforms("slack-command-acknowledgement-answers")
def test_unreadable_json_is_an_invalid_response(signed: Slack, http: HttpBot) -> None:
    http.answer = lambda h, b: (200, {"content-type": "application/json"}, b"{")
    seen = signed.until(signed.command("qa", "/rollout"), lambda r: r["error"])
    assert seen["error"] == "invalid_command_response"


@pytest.mark.conforms("slack-dispatch-failed")
def test_a_bot_that_is_not_there_is_dispatch_failed(start: Callable[..., Slack]) -> None:
    slack = start(mode="http", bot_url="http://127.0.0.1:9/slack/events")
    assert slack.until(slack.command("qa", "/rollout"), lambda r: r["error"])["error"] == "dispatch_failed"
    assert slack.get("state", **{"as": "qa"})["bot"]["connected"] is False


@pytest.mark.conforms("slack-ack-three-seconds")
def test_a_bot_that_is_slow_is_a_timeout(signed: Slack, http: HttpBot) -> None:
    done = threading.Event()

    def late(headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        done.wait(60)
        return 200, {}, b""

    http.answer = late
    acknowledged_within(signed, 0.3)
    seen = signed.until(signed.command("qa", "/rollout"), lambda r: r["error"])
    done.set()
    assert (seen["error"], seen["acknowledged"]) == ("operation_timeout", None)


@pytest.mark.conforms("slack-event-retries")
def test_an_event_is_json_and_is_retried_three_times(signed: Slack, http: HttpBot) -> None:
    http.answer = lambda h, b: (500, {}, b"")
    open_home(signed)
    calls = [http.requests.get(timeout=60) for _ in range(4)]
    assert [headers.get("x-slack-retry-num") for headers, _ in calls] == [None, "1", "2", "3"]
    assert calls[1][0]["x-slack-retry-reason"] == "http_error"
    bodies = [json.loads(body) for _, body in calls]
    assert len({body["event_id"] for body in bodies}) == 1
    event = bodies[0]["event"]
    assert (event["type"], event["user"], event["tab"]) == ("app_home_opened", "U0SAND0003", "home")
    assert bodies[0]["authorizations"][0]["user_id"] == "U0ROLLBOT1"


@pytest.mark.conforms("slack-event-2xx")
def test_an_event_is_acknowledged_by_any_2xx_and_a_command_only_by_200(signed: Slack, http: HttpBot) -> None:
    http.answer = lambda h, b: (204, {}, b"")
    signed.until(open_home(signed), lambda r: r["acknowledged"])
    assert signed.until(signed.command("qa", "/rollout"), lambda r: r["error"])["error"] == "dispatch_failed"


@pytest.mark.conforms("slack-home-opened-for-both-tabs")
def test_opening_the_messages_tab_is_the_same_event_with_another_tab(signed: Slack, http: HttpBot) -> None:
    request = signed.get("home", **{"as": "qa", "open": "1", "tab": "messages"})["request"]
    event = json.loads(http.requests.get(timeout=60)[1])["event"]
    assert (event["type"], event["tab"], "view" in event) == ("app_home_opened", "messages", False)
    signed.until(request, lambda r: r["acknowledged"])
    with pytest.raises(LookupError, match="must be home or messages"):
        signed.get("home", **{"as": "qa", "tab": "about"})


def test_an_acknowledged_event_is_not_retried(signed: Slack, http: HttpBot) -> None:
    answers: Iterator[tuple[int, dict[str, str], bytes]] = iter([(500, {}, b""), (200, {}, b"")])
    http.answer = lambda h, b: next(answers)
    request = open_home(signed)
    assert signed.until(request, lambda r: r["acknowledged"])["delivered"]
    assert http.requests.qsize() == 2


@pytest.mark.conforms("slack-event-no-retry")
def test_an_app_can_refuse_retries(signed: Slack, http: HttpBot) -> None:
    http.answer = lambda h, b: (500, {"X-Slack-No-Retry": "1"}, b"")
    open_home(signed)
    http.requests.get(timeout=60)
    signed.until(signed.command("qa", "/rollout"), lambda r: r["error"])
    assert b"event_id" not in http.requests.get(timeout=60)[1]
    assert http.requests.empty()


@pytest.mark.conforms("slack-socket-retry-fields")
def test_events_in_socket_mode_say_which_attempt_it_is(start: Callable[..., Slack]) -> None:
    slack = start(limits=Limits(ack_seconds=0.3, event_retry_delays=(0.0, 0.01, 0.02)))
    bot = RawBot(slack)
    open_home(slack)
    envelopes = [bot.next() for _ in range(4)]
    assert [e["retry_attempt"] for e in envelopes] == [0, 1, 2, 3]
    assert [e["retry_reason"] for e in envelopes] == ["", "timeout", "timeout", "timeout"]
    assert len({e["payload"]["event_id"] for e in envelopes}) == 1
    assert envelopes[0]["accepts_response_payload"] is False


@pytest.mark.conforms("slack-home-opened-only-if-subscribed")
def test_an_event_that_was_not_subscribed_to_is_not_sent(start: Callable[..., Slack]) -> None:
    granted: dict[str, Any] = manifest()
    granted["settings"]["event_subscriptions"]["bot_events"] = []
    slack = start(manifest=granted)
    assert slack.get("home", **{"as": "qa", "open": "1"}) == {"view": None, "request": None}
