"""A local Slack with the small app and a large fleet, and pages of its people in a real browser."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.say.app import build
from tests.sandbox.say.blocks import Json
from tests.sandbox.say.local import Local, connected, running, workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A local Slack with the app connected, beside 2,022 targets."""
    fleet = [workspace("dev", 22), workspace("prod", 2000)]
    with running(tmp_path_factory.mktemp("slack"), fleet) as started:
        app, seen = build(started.client())
        with connected(started, app):
            started.seen = seen
            yield started


@pytest.fixture
def seen(local: Local) -> list[Json]:
    """What the app was sent during this test."""
    local.seen.clear()
    return local.seen


@pytest.fixture
def visit(chromium: "Browser", local: Local) -> Iterator[Open]:
    """visit("qa", "general", width=1280) opens the page as somebody; a script error there fails the test."""
    pages: list[Page] = []
    problems: list[str] = []

    def open_page(person: str, channel: str = "", width: int = 1280, height: int = 800, dark: bool = False) -> "Page":
        scheme = "dark" if dark else "light"
        page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        pages.append(page)
        page.goto(f"{local.url}/?as={person}" + (f"&channel={channel}" if channel else ""))
        page.wait_for_selector("body[data-ready=true]")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert problems == []
