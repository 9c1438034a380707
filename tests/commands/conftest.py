"""One rollout of the sandbox's plan for each test."""

from collections.abc import Iterator

import pytest

from tests.commands.world import World


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    made = World(sqlite_url)
    yield made
    made.close()
