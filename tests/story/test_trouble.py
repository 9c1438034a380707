"""The page's own troubles, with the real bot under the real supervisor: bad weather, and a bot that is killed."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.sandbox.page.test_gallery import OVERFLOWS
from tests.story.driving import ROOT

pytestmark = pytest.mark.browser
WAIT = 60_000
RESTART = 90_000  # a whole start of the bot, on a machine that has other work


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`python -m sandbox`, as a stranger starts it."""
    state = tmp_path_factory.mktemp("trouble") / "state"
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--speed", "60", "--state", str(state)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield next(line.split()[1] for line in process.stdout if line.startswith("ready: "))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    """The page as devops sees it; a script error there fails the test."""
    problems: list[str] = []
    opened = chromium.new_page(viewport={"width": 1280, "height": 800})
    opened.set_default_timeout(WAIT)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(f"{url}/?as=devops")
    opened.wait_for_selector("body[data-ready=true]")
    yield opened
    opened.close()
    assert problems == []


def weather(url: str) -> list[dict[str, Any]]:
    """What is set on the Databricks side."""
    with urllib.request.urlopen(f"{url}/sandbox/weather", timeout=60) as answer:
        return list(json.load(answer)["faults"])


def preset(page: Page, key: str) -> None:
    page.locator(f"[data-testid=weather-preset][data-preset={key}]").click()
    page.locator(f"[data-testid=weather][data-weather={key}]").wait_for()


def test_a_storm_is_one_click_and_fine_weather_another(page: Page, url: str, artefacts: Path) -> None:
    expect(page.get_by_test_id("weather-now")).to_have_text("nothing fails")
    assert weather(url) == []
    preset(page, "storm")
    assert {rule["kind"] for rule in weather(url)} == {"429", "500", "503", "reset", "lost-answer", "slow"}
    expect(page.get_by_test_id("weather-says")).to_contain_text("every third call")
    page.get_by_test_id("composer").fill("/rollout refresh")
    page.get_by_test_id("composer").press("Enter")
    expect(page.get_by_test_id("weather-now")).to_contain_text("struck", timeout=WAIT)
    page.wait_for_function("/struck (once|[0-9]+ times)/.test(document.querySelector('.weather-now').textContent)")
    page.screenshot(path=artefacts / "weather-storm.png")
    assert sum(rule["hits"] for rule in weather(url)) > 0
    preset(page, "rain")
    assert sum(rule["rate"] for rule in weather(url)) == pytest.approx(0.05)
    preset(page, "fine")
    assert weather(url) == []


def test_weather_of_ones_own_names_its_place_and_ends_one_by_one(page: Page, url: str, artefacts: Path) -> None:
    page.get_by_test_id("weather-more").click()
    for kind, place, rate in (("503", "clusters", "always"), ("slow", "jobs and runs", "30 %")):
        page.get_by_test_id("weather-kind").select_option(kind)
        page.get_by_test_id("weather-place").select_option(label=place)
        page.get_by_test_id("weather-rate").select_option(label=rate)
        page.get_by_test_id("weather-add").click()
        page.locator(f"[data-testid=weather-rule][data-kind='{kind}']").wait_for()
    assert page.get_by_test_id("weather").get_attribute("data-weather") == "own"
    assert [(rule["kind"], rule["path"], rule["rate"]) for rule in weather(url)] == [
        ("503", "/api/*/clusters/*", 1.0),
        ("slow", "/api/*/jobs/*", 0.3),
    ]
    assert page.evaluate(OVERFLOWS) == []
    page.screenshot(path=artefacts / "weather-own.png")
    page.get_by_role("button", name="End Databricks: unavailable (503)").click()
    expect(page.get_by_test_id("weather-rule")).to_have_count(1)
    assert [rule["kind"] for rule in weather(url)] == ["slow"]
    preset(page, "fine")
    expect(page.get_by_test_id("weather-rule")).to_have_count(0)


def test_the_bot_is_killed_and_comes_back(page: Page, artefacts: Path) -> None:
    line = page.get_by_test_id("kill-line")
    expect(line).to_be_hidden()
    for times in ("once", "twice"):
        page.get_by_test_id("kill-bot").click()
        expect(line).to_contain_text("is starting again")
        expect(page.get_by_test_id("bot-state")).to_have_attribute("data-connected", "false")
        expect(page.get_by_test_id("kill-bot")).to_be_disabled()
        page.screenshot(path=artefacts / "bot-killed.png")
        expect(line).to_contain_text(f"killed {times}; back after", timeout=RESTART)
        expect(page.get_by_test_id("bot-state")).to_have_attribute("data-connected", "true")
    page.get_by_test_id("composer").fill("/rollout")
    page.get_by_test_id("composer").press("Enter")
    page.get_by_text("What waits for you").last.wait_for()
