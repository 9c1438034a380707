"""Fixtures: a local Slack per test, a Web API client, machine time, and a raw bot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack import manifest as manifests
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from tests.sandbox.slack.playing import Machine, RawBot, manifest


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture(scope="session")
def closer() -> Iterator[ThreadPoolExecutor]:
    """Stops servers behind the next test's back: each takes a tenth of a second, nearly all of it waiting."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def start(tmp_path: Path, machine: Machine, closer: ThreadPoolExecutor) -> Iterator[Callable[..., Slack]]:
    """Starts a local Slack: start(manifest=..., limits=..., mode=...)."""
    stack = ExitStack()

    def starting(**options: Any) -> Slack:
        granted = manifests.load(options.pop("manifest", None) or manifest())
        directory = options.pop("state", tmp_path / "state")
        options.setdefault("limits", Limits(ack_seconds=60.0))  # late is only what a test makes late
        return stack.enter_context(running(directory, manifest=granted, machine=machine, **options))

    yield starting
    closer.submit(stack.close)


@pytest.fixture
def slack(start: Callable[..., Slack]) -> Slack:
    return start()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slack]:
    """One local Slack for all tests of a module that only see refusals; its machine time is moved on for each."""
    directory = tmp_path_factory.mktemp("shared")
    with running(directory, manifest=manifests.load(manifest()), machine=Machine()) as slack:
        yield slack


@pytest.fixture
def shared_client(shared: Slack) -> WebClient:
    assert isinstance(shared.workspace.machine, Machine)
    shared.workspace.machine.advance(120)
    return WebClient(shared.bot_token, base_url=shared.api_url)


@pytest.fixture
def client(slack: Slack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def bot(slack: Slack) -> RawBot:
    """A bot that acknowledges everything."""
    return RawBot(slack, lambda envelope: None)


@pytest.fixture(autouse=True)
def _silent(recwarn: pytest.WarningsRecorder) -> None:
    """The SDK warns about messages without text, which these tests send on purpose."""
