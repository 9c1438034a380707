"""Uploads: an address that is good once, the bytes, and the file in a channel or a thread."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack import people
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import GENERAL, QA, SCOPES, SUPPORT, Json, manifest, refusal, refused, section

DATA = b"stage,target\r\ndev,\xff\x00nightly\n" * 20


@pytest.fixture
def slack(start: Callable[..., Slack]) -> Slack:
    return start(limits=Limits(upload_bytes=100_000))


def seen(slack: Slack, channel: str = SUPPORT, **more: str) -> list[Json]:
    return list(slack.get("messages", **{"as": "qa", "channel": channel, **more})["messages"])


def send(url: str, data: bytes, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def uploaded(client: WebClient, name: str = "report.csv", data: bytes = DATA, **more: Any) -> str:
    """A file whose bytes are there, and which is not finished yet."""
    given = client.files_getUploadURLExternal(filename=name, length=len(data), **more)
    assert send(given["upload_url"], data) == (200, f"OK - {len(data)}")
    return str(given["file_id"])


@pytest.mark.conforms("slack-upload-in-three-steps", "slack-upload-alt-txt")
def test_the_sdk_uploads_a_file_into_a_channel(slack: Slack, client: WebClient) -> None:
    answer = client.files_upload_v2(
        channel=SUPPORT, content=DATA, filename="runs dev.csv", title="Runs", alt_txt="the runs", initial_comment="Look"
    )
    (shown,) = seen(slack)
    (file,) = shown["files"]
    assert (shown["text"], shown["user"], shown["thread_ts"]) == ("Look", "U0ROLLBOT1", None)
    assert {k: v for k, v in file.items() if k not in ("id", "url")} == {
        "name": "runs dev.csv",
        "title": "Runs",
        "size": len(DATA),
        "mimetype": "text/csv",
        "alt_txt": "the runs",
    }
    with urllib.request.urlopen(slack.url + file["url"]) as reply:
        assert reply.read() == DATA
        assert reply.headers["content-disposition"].startswith("attachment")
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert (answer["file"]["id"], answer["file"]["title"]) == (file["id"], "Runs")
    told = client.conversations_history(channel=SUPPORT)["messages"][0]["files"][0]
    assert (told["id"], told["size"], told["alt_txt"], told["mode"]) == (file["id"], len(DATA), "the runs", "hosted")


@pytest.mark.conforms("slack-upload-shared-after-answer")
def test_the_answer_does_not_say_yet_where_a_file_was_shared(client: WebClient) -> None:
    file = client.files_completeUploadExternal(files=[{"id": uploaded(client)}], channel_id=SUPPORT)["files"][0]
    assert (file["shares"], file["channels"]) == ({}, [])


@pytest.mark.conforms("slack-upload-in-threads")
def test_a_file_goes_into_a_thread(slack: Slack, client: WebClient) -> None:
    root = client.chat_postMessage(channel=SUPPORT, text="root")["ts"]
    client.files_upload_v2(channel=SUPPORT, content="x", filename="a.txt", thread_ts=root)
    assert [(m["text"], len(m["files"])) for m in seen(slack)] == [("root", 0)]
    assert [(m["text"], len(m["files"])) for m in seen(slack, thread=root)] == [("root", 0), ("", 1)]


@pytest.mark.conforms("slack-upload-in-threads")
def test_several_files_come_in_one_message_and_into_several_channels(slack: Slack, client: WebClient) -> None:
    two = [{"filename": f"{n}.txt", "content": n, "title": n} for n in ("one", "two")]
    client.files_upload_v2(file_uploads=two, channels=[SUPPORT, QA], initial_comment="both")
    for channel in (SUPPORT, "D0SAND0003"):
        (shown,) = seen(slack, channel)
        assert [file["title"] for file in shown["files"]] == ["one", "two"]


@pytest.mark.conforms("slack-upload-in-threads")
def test_blocks_may_say_something_beside_a_file(slack: Slack, client: WebClient) -> None:
    files = [{"id": uploaded(client)}]
    finish = client.files_completeUploadExternal
    bad = json.dumps([{"type": "nonsense"}])
    assert refusal(finish, files=files, channel_id=SUPPORT, blocks=bad) == "invalid_blocks"
    finish(files=files, channel_id=SUPPORT, blocks=json.dumps([section("said")]))
    assert seen(slack)[0]["blocks"][0]["text"]["text"] == "said"


@pytest.mark.conforms("slack-upload-without-channel")
def test_a_file_without_a_channel_is_shown_nowhere(slack: Slack, client: WebClient) -> None:
    file = client.files_completeUploadExternal(files=[{"id": uploaded(client), "title": "private"}])["files"][0]
    assert file["title"] == "private"
    assert seen(slack) == []


@pytest.mark.conforms("slack-upload-url-once")
def test_an_address_takes_one_upload_of_the_announced_length(client: WebClient) -> None:
    given = client.files_getUploadURLExternal(filename="a.txt", length=3)
    assert send(given["upload_url"], b"four")[0] == 400
    assert refusal(client.files_completeUploadExternal, files=[{"id": given["file_id"]}]) == "file_not_found"
    assert send(given["upload_url"], b"abc") == (200, "OK - 3")
    assert send(given["upload_url"], b"abc")[0] == 404
    assert send(given["upload_url"][:-1], b"abc")[0] == 404
    assert send(given["upload_url"], b"x" * 100_001)[0] == 413


def test_a_form_with_one_file_is_taken_too(slack: Slack, client: WebClient) -> None:
    given = client.files_getUploadURLExternal(filename="a.bin", length=len(DATA))
    head = b'--b\r\nContent-Disposition: form-data; name="filename"; filename="a.bin"\r\n'
    form = head + b"Content-Type: application/octet-stream\r\n\r\n" + DATA + b"\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    for broken in (b"", b"--b--\r\n", form.replace(b"; filename=", b"; nothing="), form[:-7] + form):
        assert send(given["upload_url"], broken, **kind)[0] == 400
    assert send(given["upload_url"], form, **kind) == (200, f"OK - {len(DATA)}")
    client.files_completeUploadExternal(files=[{"id": given["file_id"]}], channel_id=SUPPORT)
    with urllib.request.urlopen(slack.url + seen(slack)[0]["files"][0]["url"]) as reply:
        assert reply.read() == DATA


@pytest.mark.conforms("slack-upload-url-refusals")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"length": 0}, "missing_argument"),
        ({"filename": ""}, "missing_argument"),
        ({"length": "long"}, "invalid_arguments"),
        ({"length": -3}, "invalid_arguments"),
        ({"length": 100_001}, "file_upload_size_restricted"),
        ({"alt_txt": "x" * 1001}, "alt_txt_too_large"),
        ({"length": 1_000_001, "snippet_type": "python"}, "snippet_too_large"),
    ],
)
def test_an_upload_is_refused_before_it_begins(client: WebClient, fields: Json, error: str) -> None:
    assert refusal(client.files_getUploadURLExternal, **{"filename": "a.txt", "length": 3, **fields}) == error
    assert client.files_getUploadURLExternal(filename="a.txt", length=3, alt_txt="x" * 1000)["ok"]


@pytest.mark.conforms("slack-upload-channel-id", "slack-upload-membership")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"channel_id": "platform-support"}, "channel_not_found"),
        ({"channel_id": "#platform-support"}, "channel_not_found"),
        ({"channel_id": QA}, "channel_not_found"),
        ({"channel_id": GENERAL}, "not_in_channel"),
        ({"channel_id": "C0OLD"}, "is_archived"),
        ({"channel_id": "C0SECRET"}, "channel_not_found"),
        ({"channels": [SUPPORT, GENERAL]}, "not_in_channel"),
        ({"channels": [f"C{n}" for n in range(101)]}, "channels_limit_exceeded"),
        ({"channel_id": SUPPORT, "thread_ts": "1700000000.000001"}, "thread_not_found"),
        ({"channels": [SUPPORT, QA], "thread_ts": "1700000000.000001"}, "invalid_arguments"),
        ({"files": []}, "invalid_arguments"),
        ({"files": [{"title": "x"}]}, "invalid_arguments"),
        ({"files": [{"id": "F0NOWHERE1"}]}, "file_not_found"),
    ],
)
def test_the_end_of_an_upload_is_refused_and_may_be_repeated(
    start: Callable[..., Slack], fields: Json, error: str
) -> None:
    cast = people.load()
    cast.channels["C0OLD"] = people.Channel(id="C0OLD", name="old", is_archived=True, bot=True)
    cast.channels["C0SECRET"] = people.Channel(id="C0SECRET", name="secret", is_private=True)
    slack = start(cast=cast, manifest=manifest(scopes=[*SCOPES, "chat:write.public"]))
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    files = [{"id": uploaded(client)}]
    assert refusal(client.files_completeUploadExternal, **{"files": files, **fields}) == error
    assert seen(slack) == []
    assert client.files_completeUploadExternal(files=files, channel_id=SUPPORT)["ok"]
    assert refusal(client.files_completeUploadExternal, files=files, channel_id=SUPPORT) == "file_not_found"


@pytest.mark.conforms("slack-upload-scope")
def test_uploads_need_their_scope(start: Callable[..., Slack]) -> None:
    slack = start(manifest=manifest(scopes=["chat:write"]))
    client = WebClient(slack.bot_token, base_url=slack.api_url)
    answer = refused(client.files_getUploadURLExternal, filename="a.txt", length=3)
    assert (answer["error"], answer["needed"]) == ("missing_scope", "files:write")
    answer = refused(client.files_completeUploadExternal, files=[{"id": "F1"}])
    assert (answer["error"], answer["needed"]) == ("missing_scope", "files:write")


def test_a_faulty_upload_can_be_repeated(slack: Slack, client: WebClient) -> None:
    slack.post("faults", path="upload", kind="503", times=1)
    given = client.files_getUploadURLExternal(filename="a.txt", length=3)
    assert send(given["upload_url"], b"abc")[0] == 503
    assert send(given["upload_url"], b"abc")[0] == 200


def test_files_survive_a_restart(start: Callable[..., Slack], tmp_path: Path) -> None:
    first = start(state=tmp_path / "kept")
    WebClient(first.bot_token, base_url=first.api_url).files_upload_v2(
        channel=SUPPORT, file=io.BytesIO(DATA), filename="kept.csv"
    )
    first.workspace.store.save()
    second = start(state=tmp_path / "kept")
    (shown,) = seen(second)
    with urllib.request.urlopen(second.url + shown["files"][0]["url"]) as reply:
        assert reply.read() == DATA


def test_a_deleted_message_shows_no_files(slack: Slack, client: WebClient) -> None:
    client.files_upload_v2(channel=SUPPORT, content="x", filename="a.txt")
    ts = seen(slack)[0]["ts"]
    client.chat_postMessage(channel=SUPPORT, text="reply", thread_ts=ts)
    client.chat_delete(channel=SUPPORT, ts=ts)
    assert seen(slack)[0]["files"] == []


def test_an_unknown_file_and_a_private_address_are_refused(slack: Slack, client: WebClient) -> None:
    with pytest.raises(LookupError, match="404 There is no such file"):
        slack.get("files/F0NOWHERE1/a.txt")
    file = client.files_completeUploadExternal(files=[{"id": uploaded(client)}])["files"][0]
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(file["url_private"])
