"""The recorder: one example of each shape, that can be sent again as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.blocks.check import check_blocks, check_view
from sandbox.slack.recorder import VARIABLE, Recorder
from sandbox.slack.server import Slack
from tests.sandbox.slack.playing import QA, SUPPORT, Json, Play, actions, button, home, modal, refusal, section


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Json]]:
    """What was recorded, by name."""
    directory = tmp_path / "views"
    monkeypatch.setenv(VARIABLE, str(directory))

    def read() -> list[Json]:
        assert not [file for file in directory.iterdir() if file.name.startswith(".")]
        found = [{"name": file.name, **json.loads(file.read_text())} for file in sorted(directory.iterdir())]
        assert all(one["name"].startswith(one["surface"] + "-") for one in found)
        return found

    return read


def test_each_shape_of_message_is_kept_once(
    kept: Callable[[], list[Json]], slack: Slack, client: WebClient, machine: Any
) -> None:
    def post(*blocks: Json, **more: Any) -> str:
        machine.advance(2)
        return str(client.chat_postMessage(channel=SUPPORT, text="t", blocks=list(blocks), **more)["ts"])

    ts = post(section("3 of 7 done, `etl-3`, <@U0SAND0003>"), actions(button(value="1")))
    post(section("4 of 9 done, `etl-44`, <@U0SAND0004>"), actions(button(value="2")))
    assert len(kept()) == 1
    post(section("3 of 7 failed, `etl-3`, <@U0SAND0003>"), actions(button(value="1")))
    client.chat_update(channel=SUPPORT, ts=ts, text="t", blocks=[section("changed")])
    client.chat_postMessage(channel=QA, text="words only")
    assert refusal(client.chat_postMessage, channel=SUPPORT, text="t", blocks=[{"type": "x"}]) == "invalid_blocks"
    found = kept()
    assert [one["surface"] for one in found] == ["message"] * 3
    assert all(check_blocks(one["blocks"], "message") == [] and one["text"] == "t" for one in found)


def test_modals_and_homes_are_kept_as_they_were_sent(kept: Callable[[], list[Json]], slack: Slack) -> None:
    play = Play(slack)
    view = play.open(section("1 target"), private_metadata="a")
    play.client.views_update(view_id=view, view=modal(section("22 target"), private_metadata="b"))
    play.client.views_publish(user_id=QA, view=home(section("home")))
    found = {one["surface"]: one for one in kept()}
    assert len(kept()) == 2
    assert found["modal"]["view"] == modal(section("1 target"), private_metadata="a")
    assert check_view(found["home"]["view"], "home") == []


def test_two_processes_share_a_directory_and_an_explosion_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.slack.recorder.MOST", 20)
    first, second = Recorder(tmp_path), Recorder(tmp_path)
    for recorder in (first, second):
        recorder.message("t", [section("same")])
    assert len(list(tmp_path.iterdir())) == 1
    for number in range(30):
        first.message("t", [section("x" * number + "y")])
    assert len(list(tmp_path.iterdir())) == 20


def test_nothing_is_kept_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    Recorder.from_environment().message("t", [section()])
    assert list(tmp_path.iterdir()) == []
