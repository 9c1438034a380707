"""Bad weather on request, what the SDK's own retries make of it, and what a person then sees."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)
from slack_sdk.http_retry.handler import RetryHandler
from slack_sdk.webhook import WebhookClient

from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import (
    SUPPORT,
    HttpBot,
    Json,
    Play,
    RawBot,
    acknowledged_within,
    actions,
    button,
    modal,
    refusal,
    section,
)


def quick(ack_seconds: float = 60.0) -> Limits:
    """Slack's limits with events that are repeated soon."""
    return Limits(ack_seconds=ack_seconds, event_retry_delays=(0.0, 0.01, 0.02))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the SDK's retry handlers wanted to sleep; they do not."""
    found: list[float] = []
    for module in ("handler", "builtin_handlers"):
        monkeypatch.setattr(f"slack_sdk.http_retry.{module}.time", SimpleNamespace(sleep=found.append))
    return found


@pytest.fixture
def patient(slack: Slack) -> Callable[..., WebClient]:
    """A client with these retry handlers."""

    def client(*handlers: RetryHandler) -> WebClient:
        return WebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=list(handlers))

    return client


def texts(slack: Slack, person: str = "qa") -> list[str]:
    return [m["text"] for m in slack.get("messages", **{"as": person, "channel": SUPPORT})["messages"]]


def fault(slack: Slack, **rule: Any) -> Json:
    return dict(slack.post("faults", **rule)["faults"][-1])


@pytest.mark.conforms("slack-rate-limit-answer")
def test_too_many_requests_are_429_with_retry_after(slack: Slack, client: WebClient) -> None:
    fault(slack, path="chat.*", kind="429", retry_after=7)
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel=SUPPORT, text="x")
    answer = error.value.response
    assert (answer.status_code, answer.headers["Retry-After"], answer["error"]) == (429, "7", "ratelimited")
    assert client.auth_test()["ok"]
    assert texts(slack) == []


@pytest.mark.conforms("slack-sdk-retries-connections-only")
def test_the_sdk_by_itself_repeats_after_a_reset_and_not_after_429(
    slack: Slack, client: WebClient, slept: list[float]
) -> None:
    fault(slack, path="chat.postMessage", kind="429", times=1)
    assert refusal(client.chat_postMessage, channel=SUPPORT, text="x") == "ratelimited"
    fault(slack, path="chat.postMessage", kind="reset", times=1)
    client.chat_postMessage(channel=SUPPORT, text="came through")
    assert texts(slack) == ["came through"]
    assert len(slept) == 1


@pytest.mark.conforms("slack-sdk-rate-limit-handler")
def test_the_rate_limit_handler_waits_as_long_as_it_is_told(
    slack: Slack, patient: Callable[..., WebClient], slept: list[float]
) -> None:
    fault(slack, path="chat.postMessage", kind="429", times=2, retry_after=3)
    patient(RateLimitErrorRetryHandler(max_retry_count=2)).chat_postMessage(channel=SUPPORT, text="x")
    assert [int(seconds) for seconds in slept] == [3, 3]
    assert texts(slack) == ["x"]


@pytest.mark.conforms("slack-sdk-server-error-handler")
@pytest.mark.parametrize(("kind", "error"), [("500", "internal_error"), ("503", "service_unavailable")])
def test_the_server_error_handler_asks_again(
    slack: Slack, patient: Callable[..., WebClient], slept: list[float], kind: str, error: str
) -> None:
    fault(slack, path="chat.postMessage", kind=kind, times=2)
    client = patient(ServerErrorRetryHandler())
    assert refusal(client.chat_postMessage, channel=SUPPORT, text="x") == error
    client.chat_postMessage(channel=SUPPORT, text="x")
    assert (texts(slack), len(slept)) == (["x"], 1)


@pytest.mark.conforms("slack-retried-post-posts-twice")
def test_a_post_whose_answer_got_lost_stands_twice_after_the_retry(
    slack: Slack, patient: Callable[..., WebClient], slept: list[float]
) -> None:
    fault(slack, path="chat.postMessage", kind="lost-answer", times=1)
    patient(ConnectionErrorRetryHandler()).chat_postMessage(channel=SUPPORT, text="once?")
    assert texts(slack) == ["once?", "once?"]


def test_a_reset_did_nothing_and_is_a_connection_error_without_retries(
    slack: Slack, patient: Callable[..., WebClient]
) -> None:
    fault(slack, path="chat.*", kind="reset")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        patient().chat_postMessage(channel=SUPPORT, text="x")
    assert texts(slack) == []


def test_a_slow_answer_comes_after_the_patience_of_the_client(slack: Slack) -> None:
    fault(slack, path="auth.test", kind="slow", seconds=0.3)
    hasty = WebClient(slack.bot_token, base_url=slack.api_url, timeout=0.05, retry_handlers=[])  # type: ignore[arg-type]
    with pytest.raises(TimeoutError):
        hasty.auth_test()
    assert WebClient(slack.bot_token, base_url=slack.api_url).auth_test()["ok"]


def test_response_urls_meet_faults_too(slack: Slack, bot: RawBot) -> None:
    fault(slack, path="response_url", kind="500", times=1)
    slack.command("qa", "/rollout")
    respond = WebhookClient(bot.payload()["response_url"])
    assert respond.send(text="lost").status_code == 500
    assert respond.send(text="said").status_code == 200
    assert texts(slack) == ["said"]


def test_the_same_seed_brings_the_same_weather(slack: Slack, patient: Callable[..., WebClient]) -> None:
    seen = []
    for _ in range(2):
        slack.post("faults", clear=True, path="auth.test", kind="500", rate=0.5, seed=4)
        client = patient()
        seen.append([lucky(client) for _ in range(12)])
    assert seen[0] == seen[1]
    assert {True, False} == set(seen[0])


def lucky(client: WebClient) -> bool:
    try:
        return bool(client.auth_test()["ok"])
    except SlackApiError:
        return False


def test_faults_are_listed_with_their_hits_and_cleared(slack: Slack, client: WebClient) -> None:
    first = fault(slack, path="auth.*", kind="500", times=1)
    second = fault(slack, path="command", kind="late", seconds=5, seed=3)
    assert refusal(client.auth_test) == "internal_error"
    assert client.auth_test()["ok"]
    listed = slack.get("faults")["faults"]
    assert listed == [{**first, "hits": 1}, second]
    assert second == {
        "number": 2,
        "path": "command",
        "kind": "late",
        "rate": 1.0,
        "times": 0,
        "seconds": 5.0,
        "retry_after": 1,
        "seed": 3,
        "hits": 0,
    }
    assert [f["number"] for f in slack.post("faults", clear=1)["faults"]] == [2]
    several = [{"path": "views.*", "kind": "503"}, {"kind": "drop"}]
    assert [f["kind"] for f in slack.post("faults", faults=several)["faults"]] == ["late", "503", "drop"]
    with urllib.request.urlopen(urllib.request.Request(f"{slack.url}/sandbox/faults", method="DELETE")) as reply:
        assert reply.read() == b'{"faults":[]}'


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"kind": "hail"}, "unknown kind of fault 'hail'"),
        ({"kind": "500", "rate": 2}, "rate must be between 0 and 1"),
        ({"kind": "500", "rate": "often"}, "cannot be the rate"),
        ({"kind": "500", "times": -1}, "cannot be the times"),
        ({"kind": "500", "seconds": 1e999}, "cannot be the seconds"),
        ({"kind": "500", "retry_after": True}, "cannot be the retry_after"),
        ({"kind": "500", "workspace": "dev"}, "unknown field 'workspace'"),
        ({"kind": "drop", "path": "chat.*"}, "about deliveries"),
        ({"kind": "duplicate", "path": "action"}, "only events twice"),
        ({"clear": 9}, "404 There is no fault 9"),
        ({"faults": "rain"}, "400"),
    ],
)
def test_a_rule_that_makes_no_sense_is_a_plain_sentence(shared: Slack, rule: Json, sentence: str) -> None:
    if rule.get("seconds"):
        rule = {**rule, "seconds": "inf"}
    with pytest.raises(LookupError, match=sentence):
        shared.post("faults", **rule)
    assert shared.get("faults") == {"faults": []}


def test_faults_do_not_survive_a_restart(start: Callable[..., Slack]) -> None:
    fault(start(), kind="500")
    assert start().get("faults") == {"faults": []}


@pytest.mark.conforms("slack-socket-cut-before-delivery")
def test_a_socket_cut_before_a_delivery_leaves_it_to_another(slack: Slack) -> None:
    bots = [RawBot(slack, lambda envelope: None) for _ in range(2)]
    fault(slack, path="command", kind="drop", times=1)
    assert slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])["error"] is None
    cut, other = sorted(bots, key=lambda bot: bot.envelopes.qsize())
    assert (cut.envelopes.qsize(), other.envelopes.qsize()) == (0, 1)
    assert cut.closed.wait(60)
    assert slack.get("state", **{"as": "qa"})["bot"]["connected"] is True


@pytest.mark.conforms("slack-socket-cut-loses-commands")
def test_a_socket_cut_after_a_delivery_is_an_error_for_the_person(start: Callable[..., Slack]) -> None:
    slack = start(limits=quick())
    only = RawBot(slack)
    fault(slack, path="command", kind="drop", times=2)
    seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["error"])
    assert (seen["error"], only.closed.wait(60), only.envelopes.empty()) == ("dispatch_failed", True, True)
    again = RawBot(slack)
    acknowledged_within(slack, 0.3)
    seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["error"])
    assert (seen["error"], again.next()["type"], again.closed.wait(60)) == (
        "operation_timeout",
        "slash_commands",
        True,
    )
    assert RawBot(slack).envelopes.empty()


@pytest.mark.conforms("slack-socket-cut-repeats-events")
def test_an_event_on_a_cut_socket_is_delivered_again(start: Callable[..., Slack]) -> None:
    slack = start(limits=quick(0.3))
    bots = [RawBot(slack) for _ in range(3)]
    fault(slack, path="event", kind="drop", times=2)
    request = slack.get("home", **{"as": "qa", "open": "1"})["request"]
    left = slack.until(request, lambda r: sum(bot.envelopes.qsize() for bot in bots) == 4)
    envelopes = [bot.next() for bot in bots for _ in range(bot.envelopes.qsize())]
    assert sorted(e["retry_attempt"] for e in envelopes) == [0, 1, 2, 3]
    assert len({e["payload"]["event_id"] for e in envelopes}) == 1
    assert left["acknowledged"] is None
    assert [bot.closed.is_set() for bot in bots].count(True) == 2


@pytest.mark.conforms("slack-socket-refresh")
def test_a_refreshed_socket_took_its_delivery_and_is_told_to_come_back(slack: Slack, bot: RawBot) -> None:
    fault(slack, path="command", kind="refresh", times=1)
    slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])
    assert bot.next()["type"] == "slash_commands"
    told = bot.next()
    assert (told["type"], told["reason"]) == ("disconnect", "refresh_requested")
    RawBot(slack, lambda envelope: None)
    slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])


@pytest.mark.conforms("slack-late-command-times-out", "slack-trigger-three-seconds")
def test_a_command_that_arrives_too_late_has_shown_a_timeout_already(start: Callable[..., Slack]) -> None:
    slack = start(limits=Limits(ack_seconds=0.2, trigger_seconds=0.2))
    bot = RawBot(slack, lambda envelope: None)
    fault(slack, path="command", kind="late", seconds=0.5, times=1)
    seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["error"])
    assert (seen["error"], seen["delivered"]) == ("operation_timeout", None)
    trigger = bot.payload()["trigger_id"]
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    assert refusal(client.views_open, trigger_id=trigger, view=modal(section())) == "expired_trigger_id"
    assert slack.until(seen["id"], lambda r: r["delivered"])["acknowledged"] is None
    acknowledged_within(slack, 60.0)
    slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])


def test_what_is_a_little_late_is_still_acknowledged(slack: Slack, bot: RawBot) -> None:
    fault(slack, path="command", kind="late", seconds=0.1)
    seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])
    assert seen["delivered"] - seen["created"] >= 0.1


def test_presses_and_submissions_have_their_own_weather(start: Callable[..., Slack]) -> None:
    slack = start(limits=quick())
    play = Play(slack)
    slack.post("faults", faults=[{"path": "view", "kind": "drop"}, {"path": "action", "kind": "late", "seconds": 0.4}])
    view = play.open(section(), actions(button(), block_id="row"))
    acknowledged_within(slack, 0.2)
    request = slack.post("act", **{"as": "qa", "container": {"view": view}, "action_id": "press"})["request"]
    assert slack.until(request, lambda r: r["error"])["error"] == "operation_timeout"
    assert slack.until(slack.post("submit", **{"as": "qa", "view": view})["request"], lambda r: r["error"])
    assert "trouble" in play.stack()[0]["error"]


@pytest.mark.conforms("slack-events-at-least-once")
def test_an_event_may_come_twice_under_one_id(slack: Slack, bot: RawBot) -> None:
    fault(slack, path="event", kind="duplicate", times=1)
    request = slack.get("home", **{"as": "qa", "open": "1"})["request"]
    slack.until(request, lambda r: r["acknowledged"])
    first, second = bot.next(), bot.next()
    assert first["payload"]["event_id"] == second["payload"]["event_id"]
    assert [(e["retry_attempt"], e["retry_reason"]) for e in (first, second)] == [(0, ""), (1, "timeout")]
    assert first["envelope_id"] != second["envelope_id"]


@pytest.fixture
def http() -> Iterator[HttpBot]:
    bot = HttpBot()
    yield bot
    bot.stop()


def test_deliveries_over_http_are_cut_before_and_after(start: Callable[..., Slack], http: HttpBot) -> None:
    slack = start(mode="http", bot_url=http.url, limits=quick())
    fault(slack, path="command", kind="drop", times=2)
    for reached in (0, 1):
        seen = slack.until(slack.command("qa", "/rollout"), lambda r: r["error"])
        assert (seen["error"], http.requests.qsize()) == ("dispatch_failed", reached)
    slack.until(slack.command("qa", "/rollout"), lambda r: r["acknowledged"])


def test_an_event_over_http_may_come_twice(start: Callable[..., Slack], http: HttpBot) -> None:
    slack = start(mode="http", bot_url=http.url, limits=quick())
    fault(slack, kind="duplicate", times=1)
    slack.get("home", **{"as": "qa", "open": "1"})
    headers = [http.requests.get(timeout=60)[0] for _ in range(2)]
    assert [h.get("x-slack-retry-num") for h in headers] == [None, "1"]
    assert headers[1]["x-slack-retry-reason"] == "http_timeout"
