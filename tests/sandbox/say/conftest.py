"""The local Slack with its small app, once for the tests of the terminal."""

from collections.abc import Iterator

import pytest

from tests.sandbox.say.app import build
from tests.sandbox.say.blocks import Json
from tests.sandbox.say.local import Local, connected, running, workspace


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A local Slack with the app connected."""
    with running(tmp_path_factory.mktemp("slack"), [workspace("dev", 5)]) as started:
        app, seen = build(started.client())
        with connected(started, app):
            started.seen = seen
            yield started


@pytest.fixture
def seen(local: Local) -> list[Json]:
    """What the app was sent during this test."""
    local.seen.clear()
    return local.seen
