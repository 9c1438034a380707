"""The client against real sockets: what a write sends, what a read repeats, what errors mean and do not tell."""

import contextlib
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rollout.change import SUPPORTS, Change, Upgrade
from tests.ports import free_port
from tests.workspace.scripted import TOKEN, Answer, Script
from workspace.access import access
from workspace.client import PREPARE_LIMIT, Client
from workspace.errors import (
    Busy,
    Forbidden,
    Gone,
    Held,
    Incomplete,
    OutcomeUnknown,
    ReadOnly,
    Refused,
    Throttled,
    Unavailable,
    WorkspaceError,
)
from workspace.kinds import KINDS

UPDATE = "/api/2.1/clusters/update"
GET = "/api/2.1/clusters/get"
BODY = {"cluster_id": "1", "spark_conf": {"password": "hunter2-hunter2"}}


def error(status: int, code: str, message: str = "No.", **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, {"error_code": code, "message": message}, named)


BOTH_WAYS = [
    # answer, what a write means, what a read means
    (error(400, "INVALID_STATE", "Cluster 1 is in state RESIZING."), Busy, Busy),
    (error(409, "RESOURCE_CONFLICT"), Busy, Busy),
    (error(409, "ABORTED"), Busy, Busy),
    (error(409, "ALREADY_EXISTS"), Refused, Refused),
    (error(400, "INVALID_PARAMETER_VALUE", "Cluster 0101-1-a does not exist"), Gone, Gone),
    (error(400, "INVALID_PARAMETER_VALUE", "Job 12 does not exist."), Gone, Gone),
    (error(400, "INVALID_PARAMETER_VALUE", "Cluster validation error: pool p does not exist"), Refused, Refused),
    (error(404, "RESOURCE_DOES_NOT_EXIST", "Job 12 does not exist."), Gone, Gone),
    (error(404, "RESOURCE_DOES_NOT_EXIST", "Can't find a cluster policy with id: A1."), Refused, Gone),
    (error(404, "ENDPOINT_NOT_FOUND", "No API found"), Refused, Refused),
    (Answer(404, "<html><title>404 page</title></html>"), Refused, Refused),
    (error(404, "NOT_FOUND", "Job 12 does not exist."), Gone, Gone),
    (error(401, "UNAUTHENTICATED"), Forbidden, Forbidden),
    (error(403, "PERMISSION_DENIED"), Forbidden, Forbidden),
    (error(403, "403", "Invalid access token."), Forbidden, Forbidden),
    (error(400, "INVALID_PARAMETER_VALUE", "spark_version is wrong"), Refused, Refused),
    (error(400, "MALFORMED_REQUEST"), Refused, Refused),
    (error(501, "NOT_IMPLEMENTED"), Refused, Refused),
    (error(500, "INTERNAL_ERROR"), OutcomeUnknown, Unavailable),
    (Answer(502, "<html><title>Bad gateway</title></html>"), OutcomeUnknown, Unavailable),
    (error(504, "DEADLINE_EXCEEDED"), OutcomeUnknown, Unavailable),
    (error(418, "TEAPOT"), OutcomeUnknown, Unavailable),
    (Answer(200, "<html>log in</html>"), OutcomeUnknown, Unavailable),
    (Answer(500, "\x00\x01"), OutcomeUnknown, Unavailable),
    (Answer(200, {"a": "b" * 999}, fault="torn"), OutcomeUnknown, Unavailable),
]


@pytest.mark.parametrize(("answer", "meaning", "reading"), BOTH_WAYS)
def test_what_an_answer_means(
    script: Script, client: Client, answer: Answer, meaning: type[WorkspaceError], reading: type[WorkspaceError]
) -> None:
    script.on(UPDATE, answer)
    with pytest.raises(WorkspaceError) as raised:
        client.write(UPDATE, BODY)
    assert type(raised.value) is meaning
    assert len(script.asked) == 1
    script.on(GET, answer)
    quick = Client(access(script.host, token=TOKEN), time_limit=4.0, read_budget=0.0)
    with pytest.raises(WorkspaceError) as read:
        quick.get(GET)
    assert type(read.value) is reading


SENT_ONCE = [
    (Answer(429, {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slow"}, {"Retry-After": "7"}), Throttled),
    (error(429, "RESOURCE_EXHAUSTED"), Throttled),
    (error(400, "BAD_REQUEST", "RPC token bucket limit has been exceeded"), Throttled),
    (error(503, "TEMPORARILY_UNAVAILABLE", Retry_After="1"), OutcomeUnknown),
    (error(500, "INTERNAL_ERROR", "Unexpected error"), OutcomeUnknown),
    (error(400, "BAD_REQUEST", "ClusterNotReadyException: wait"), Refused),
    (Answer(fault="reset"), OutcomeUnknown),
    (Answer(fault="silent"), OutcomeUnknown),
    (Answer(200, {"a": "b" * 999}, fault="torn"), OutcomeUnknown),
]


@pytest.mark.parametrize(("answer", "meaning"), SENT_ONCE)
def test_a_write_is_sent_exactly_once(
    script: Script, client: Client, answer: Answer, meaning: type[WorkspaceError]
) -> None:
    script.on(UPDATE, answer, Answer(200, {"second": "time"}))
    started = time.monotonic()
    with pytest.raises(WorkspaceError) as raised:
        client.write(UPDATE, BODY)
    assert type(raised.value) is meaning
    assert len(script.asked) == 1
    assert script.asked[0].body == BODY
    assert time.monotonic() - started < 30
    time.sleep(0.05)
    assert len(script.asked) == 1


def test_a_write_is_sent_once_by_each_of_many_threads_while_others_read(script: Script, client: Client) -> None:
    # Patience belongs to the thread: a read that may wait must not lend it to a write beside it.
    script.on(UPDATE, error(503, "TEMPORARILY_UNAVAILABLE"))
    script.on(GET, *[error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="0") for _ in range(8)], Answer(200, {"ok": 1}))
    outcomes: list[str] = []

    def work(number: int) -> None:
        for _ in range(3):
            if number % 2:
                client.get(GET)
            with pytest.raises(OutcomeUnknown):
                client.write(UPDATE, {"number": number})
            outcomes.append("once")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(outcomes) == 24
    assert sum(a.path == UPDATE for a in script.asked) == 24
    assert script.probes == 1


def test_retry_after_is_handed_on(script: Script, client: Client) -> None:
    script.on(UPDATE, error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="7"))
    with pytest.raises(Throttled) as raised:
        client.write(UPDATE, {})
    assert raised.value.retry_after == 7


def test_a_read_waits_as_told_and_tries_again(script: Script, client: Client) -> None:
    script.on(GET, error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="1"), Answer(200, {"state": "RUNNING"}))
    started = time.monotonic()
    assert client.get(GET, {"cluster_id": "1"}) == {"state": "RUNNING"}
    assert time.monotonic() - started >= 1
    assert [a.query for a in script.asked] == [{"cluster_id": ["1"]}] * 2
    assert client.calls == 1


def test_a_read_does_not_wait_longer_than_its_budget(script: Script, client: Client) -> None:
    script.on(GET, error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="60"))
    started = time.monotonic()
    with pytest.raises(Throttled) as raised:
        client.get(GET)
    assert raised.value.retry_after == 60
    assert time.monotonic() - started < 30
    assert len(script.asked) == 1


def test_a_read_survives_a_reset_and_a_silence(script: Script, client: Client) -> None:
    script.on(GET, Answer(fault="reset"), Answer(200, {"a": 1}))
    assert client.get(GET) == {"a": 1}
    patient = Client(access(script.host, token=TOKEN), time_limit=2.0, read_budget=8.0)
    script.on(GET, Answer(fault="silent"), Answer(200, {"a": 2}))
    assert patient.get(GET) == {"a": 2}


def test_a_post_that_reads_is_repeated_too(script: Script, client: Client) -> None:
    script.on("/api/2.1/clusters/events", Answer(fault="reset"), Answer(200, {"events": []}))
    assert client.ask("/api/2.1/clusters/events", {"cluster_id": "1"}) == {"events": []}
    assert [a.method for a in script.asked] == ["POST", "POST"]


@pytest.fixture
def closed_port() -> int:
    return free_port()


def test_nobody_there_means_that_nothing_was_sent(closed_port: int) -> None:
    client = Client(access(f"http://127.0.0.1:{closed_port}", token=TOKEN), time_limit=4.0, read_budget=0.0)
    with pytest.raises(Unavailable):
        client.write(UPDATE, {})
    with pytest.raises(Unavailable):
        client.get(GET)


def test_making_a_client_talks_to_nobody(script: Script) -> None:
    client = Client(access(script.host, token=TOKEN))
    assert client.host == script.host
    assert script.probes == 0
    assert client.calls == 0


def test_the_token_and_the_workspace_are_named_in_each_request(script: Script, client: Client) -> None:
    script.on(GET, Answer(200, {}))
    client.get(GET)
    client.write(GET, {})
    for asked in script.asked:
        assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
        assert asked.headers["X-Databricks-Workspace-Id"] == "77"
        assert asked.headers["User-Agent"].startswith("rollout-bot/")


def test_a_service_principal_logs_in_once(script: Script) -> None:
    endpoints = {"authorization_endpoint": f"{script.host}/x", "token_endpoint": f"{script.host}/oidc/v1/token"}
    script.on("/oidc/.well-known/oauth-authorization-server", Answer(200, endpoints))
    script.on(
        "/oidc/v1/token",
        Answer(200, {"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}),
        error(500, "SECOND"),
    )
    script.on(GET, Answer(200, {"a": 1}))
    client = Client(access(script.host, client_id="id", client_secret="very-secret"), time_limit=2.0)
    assert client.get(GET) == {"a": 1}
    assert client.write(GET, {}) == {"a": 1}
    assert script.asked[-1].headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    ("token_answer", "meaning"),
    [
        (Answer(401, {"error": "invalid_client", "error_description": "very-secret is wrong"}), Forbidden),
        (Answer(429, {"error": "slow_down"}, {"Retry-After": "9"}), Throttled),
        (Answer(500, {"error": "server_error"}), Unavailable),
        (Answer(200, {"access_token": "abc"}), Unavailable),
        (Answer(200, ["very-secret"]), Unavailable),
        (Answer(200, "very-secret"), Unavailable),
        (Answer(fault="reset"), Unavailable),
    ],
)
def test_a_write_whose_login_fails_was_not_sent(
    script: Script, token_answer: Answer, meaning: type[WorkspaceError]
) -> None:
    endpoints = {"authorization_endpoint": f"{script.host}/x", "token_endpoint": f"{script.host}/oidc/v1/token"}
    script.on("/oidc/.well-known/oauth-authorization-server", Answer(200, endpoints))
    script.on("/oidc/v1/token", token_answer)
    client = Client(access(script.host, client_id="id", client_secret="very-secret"), time_limit=2.0)
    with pytest.raises(meaning) as raised:
        client.write(UPDATE, {})
    assert "very-secret" not in _everything(raised.value)
    assert script.asked == []


def test_the_environment_names_another_workspace_and_is_not_believed(
    script: Script, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "https://elsewhere.invalid")
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-of-another")
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "another")
    monkeypatch.setenv("DATABRICKS_WORKSPACE_ID", "99")
    script.on(GET, Answer(200, {"a": 1}))
    assert client.get(GET) == {"a": 1}
    assert script.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert script.asked[0].headers["X-Databricks-Workspace-Id"] == "77"


def _everything(err: BaseException) -> str:
    """All that a log could show of an error: its text, its chain, its attributes."""
    chain = repr(err.__cause__) + repr(err.__context__)
    return "".join(traceback.format_exception(err)) + repr(err) + repr(vars(err)) + chain


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, "\x00 not json"),
        Answer(500, "\x00 not json"),
        error(400, "INVALID_PARAMETER_VALUE", f"bad token {TOKEN}"),
        error(403, "PERMISSION_DENIED", f"{TOKEN} may not"),
        error(400, "INVALID_PARAMETER_VALUE", "Bearer eyJhbGciOiJ.eyJzdWIiOiJ1.c2lnbmF0 is bad"),
        Answer(fault="reset"),
        Answer(fault="silent"),
        Answer(200, "hunter2-hunter2"),
    ],
)
def test_errors_tell_no_secrets(script: Script, client: Client, answer: Answer) -> None:
    script.on(UPDATE, answer)
    with pytest.raises(WorkspaceError) as raised:
        client.write(UPDATE, BODY)
    told = _everything(raised.value)
    for secret in (TOKEN, "hunter2", "eyJhbGciOiJ"):
        assert secret not in told
    assert "Config:" not in str(raised.value)


def test_a_refusal_keeps_the_servers_sentence_shortened(script: Script, client: Client) -> None:
    script.on(UPDATE, error(400, "INVALID_PARAMETER_VALUE", "Cluster validation error: " + "x" * 900))
    with pytest.raises(Refused) as raised:
        client.write(UPDATE, {})
    assert raised.value.message.startswith("Cluster validation error: xxx")
    assert len(raised.value.message) == 300


def test_a_refusal_by_a_policy_has_its_own_reason(script: Script, client: Client) -> None:
    message = "Cluster validation error: Validation failed for spark_version, the value must be X (is Y)"
    script.on(UPDATE, error(400, "INVALID_PARAMETER_VALUE", message))
    with pytest.raises(Refused) as raised:
        client.write(UPDATE, {})
    assert raised.value.code == "policy_refuses"


def test_pages_are_followed_over_empty_ones_and_not_for_ever(script: Script, client: Client) -> None:
    first, empty = Answer(200, {"a": [1], "next_page_token": "t1"}), Answer(200, {"next_page_token": "t2"})
    script.on("/list", first, empty, Answer(200, {}))
    assert len(list(client.pages("/list", {"limit": 5}))) == 3
    assert [a.query.get("page_token") for a in script.asked] == [None, ["t1"], ["t2"]]
    script.on("/endless", Answer(200, {"next_page_token": "again"}))
    seen: list[Any] = []
    with pytest.raises(Incomplete):
        seen.extend(client.pages("/endless", {}, 4))
    assert sum(a.path == "/endless" for a in script.asked) == 4


def test_versions_and_identity(script: Script, client: Client) -> None:
    script.on("/api/2.1/clusters/spark-versions", Answer(200, {"versions": [{"key": "a", "name": "A"}, {"key": "b"}]}))
    script.on("/api/2.0/preview/scim/v2/Me", Answer(200, {"userName": "app-id", "displayName": "bot"}))
    assert client.versions() == frozenset({"a", "b"})
    assert client.identity() == "app-id"


def test_the_permit_is_asked_before_each_call_and_may_refuse_it(script: Script) -> None:
    asked = threading.Semaphore(2)

    def permit(_most: float) -> None:
        if not asked.acquire(blocking=False):
            raise Held(3)

    client = Client(access(script.host, token=TOKEN), permit=permit)
    script.on(GET, Answer(200, {}))
    client.get(GET)
    client.write(GET, {})
    with pytest.raises(Held):
        client.write(GET, {})
    assert len(script.asked) == 2


# -- a client that may only look ---------------------------------------------------------------------------------------


def test_a_client_that_may_only_look_sends_no_write_and_no_other_post(script: Script) -> None:
    looking = Client(access(script.host, token=TOKEN), time_limit=4.0, read_budget=1.0, read_only=True)
    script.on(GET, Answer(200, {"cluster_id": "1", "state": "RUNNING"}))
    script.on("/api/2.1/clusters/events", Answer(200, {"events": []}))
    for path in (UPDATE, "/api/2.1/clusters/start", "/api/2.2/jobs/update", "/api/2.1/clusters/events"):
        with pytest.raises(ReadOnly) as refusal:
            looking.write(path, BODY)
        assert refusal.value.code == "read_only"
    with pytest.raises(ReadOnly):
        looking.ask(UPDATE, BODY)
    assert script.asked == []
    assert looking.calls == 0
    assert looking.get(GET, {"cluster_id": "1"})["state"] == "RUNNING"
    assert looking.ask("/api/2.1/clusters/events", {"cluster_id": "1"}) == {"events": []}
    assert [a.method for a in script.asked] == ["GET", "POST"]


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - SUPPORTS))
def test_no_kind_of_target_can_be_written_or_started_by_a_client_that_may_only_look(kind: str, script: Script) -> None:
    looking = Client(access(script.host, token=TOKEN), time_limit=4.0, read_budget=1.0, read_only=True)
    raws: dict[str, dict[str, Any]] = {
        "cluster": {"cluster_id": "7", "spark_version": "13.3.x-scala2.12", "state": "RUNNING"},
        "job": {
            "job_id": 7,
            "settings": {
                "tasks": [{"task_key": "a", "job_cluster_key": "main", "notebook_task": {}}],
                "job_clusters": [{"job_cluster_key": "main", "new_cluster": {"spark_version": "13.3.x-scala2.12"}}],
            },
        },
    }
    offered = frozenset({"13.3.x-scala2.12", "17.3.x-scala2.13"})
    change = KINDS[kind].plan(raws[kind], Upgrade("13.3", "17.3", offered))
    assert isinstance(change, Change)
    with pytest.raises(ReadOnly):
        KINDS[kind].apply(looking, "7", change, raws[kind])
    with contextlib.suppress(ReadOnly):  # there may be nothing to start
        assert KINDS[kind].start(looking, "7") is False
    assert script.asked == []


def test_each_repetition_of_a_throttled_read_asks_for_its_permit_and_is_told_of(script: Script) -> None:
    waits: list[float] = []
    told: list[float] = []
    client = Client(access(script.host, token=TOKEN), permit=waits.append, throttled=told.append)
    script.on(GET, *[error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="1")] * 2, Answer(200, {"a": 1}))
    assert client.get(GET) == {"a": 1}
    assert (told, len(waits), client.calls) == ([1.0, 1.0], 3, 1)
    script.on(UPDATE, error(429, "REQUEST_LIMIT_EXCEEDED", Retry_After="7"))
    with pytest.raises(Throttled):
        client.write(UPDATE, {})
    assert told == [1.0, 1.0, 7.0]


def test_a_write_waits_for_its_permit_no_longer_than_its_lease_was_counted_for(script: Script) -> None:
    waits: list[float] = []
    client = Client(access(script.host, token=TOKEN), permit=waits.append, read_budget=20)
    script.on(UPDATE, Answer(200, {}))
    client.write(UPDATE, {})
    assert waits == [PREPARE_LIMIT]
