"""Pages of the sandbox's people in a real browser, and pictures of what they saw; each module brings its `world`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.sandbox.page.test_gallery import OVERFLOWS
from tests.story.driving import Sandbox
from tests.story.pages import WAIT, Keep, Open, rows


@pytest.fixture
def visit(chromium: Browser, world: Sandbox, artefacts: Path, request: pytest.FixtureRequest) -> Iterator[Open]:
    """visit("qa") opens the page as somebody; a script error there fails the test. What each page showed last is kept
    as left-*.png: there one sees where a failed test stood."""
    pages: list[Page] = []
    problems: list[str] = []

    def open_page(person: str, place: str = "") -> Page:
        page = chromium.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: problems.append(str(error)))
        pages.append(page)
        page.goto(f"{world.url}/?as={person}" + (f"&channel={place}" if place else ""))
        page.wait_for_selector("body[data-ready=true]")
        rows(page, "dev").first.wait_for()
        return page

    yield open_page
    for number, page in enumerate(pages):
        page.screenshot(path=artefacts / f"left-{request.node.name}-{number}.png")
        page.close()
    assert problems == []


@pytest.fixture
def keep(artefacts: Path) -> Keep:
    """keep(page, "start-dialog") leaves a picture, after a look that nothing flows over or is cut."""

    def picture(page: Page, name: str) -> None:
        page.mouse.move(1, 1)
        page.screenshot(path=artefacts / f"story-{name}.png")
        assert page.evaluate(OVERFLOWS) == []

    return picture
