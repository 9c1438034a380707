"""A scripted server and a client of it: real sockets, real SDK."""

from collections.abc import Iterator

import pytest

from tests.workspace.scripted import TOKEN, Script, serving
from workspace.access import access
from workspace.client import Client


@pytest.fixture
def script() -> Iterator[Script]:
    """The server's script; the server runs while the test does."""
    with serving() as made:
        yield made


@pytest.fixture
def client(script: Script) -> Client:
    """A client with short limits: half a second for an answer, three seconds of reading."""
    return Client(access(script.host, token=TOKEN), time_limit=4.0, read_budget=3.0)
