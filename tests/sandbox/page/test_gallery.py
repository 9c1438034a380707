"""Every kind of block, drawn in a real browser: nothing flows over, nothing is cut; the pictures are kept."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.page.conftest import Open
from tests.sandbox.page.test_page import send
from tests.sandbox.say.local import Local

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

OVERFLOWS = """() => {
  const found = [];
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  if (wide > 0) found.push(`page is ${wide} px too wide`);
  const apart = "svg, .emoji, [hidden], select, input, textarea, .person-menu, .completions, .overflow-menu";
  for (const element of document.querySelectorAll("body *")) {
    if (element.closest(apart) || !element.offsetParent || element.clientWidth === 0) continue;
    const style = getComputedStyle(element);
    if (style.display === "inline" || element.classList.contains("table-scroll")) continue;
    if (element.querySelector(".person-menu:not([hidden])")) continue;
    if (element.scrollWidth > element.clientWidth + 1)
      found.push(`${element.className}: ${element.scrollWidth} > ${element.clientWidth}: ${element.textContent}`);
  }
  for (const chart of document.querySelectorAll("svg.chart")) {
    const frame = chart.getBoundingClientRect();
    for (const text of chart.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      const beside = box.left < frame.left - 1 || box.right > frame.right + 1;
      if (beside || box.bottom > frame.bottom + 1 || box.top < frame.top - 1)
        found.push(`chart text is cut: ${text.textContent}`);
    }
  }
  return found.map((text) => text.slice(0, 160));
}"""


def picture(page: "Page", artefacts: Path, name: str) -> None:
    page.wait_for_timeout(250)
    page.screenshot(path=artefacts / f"page-{name}.png")


@pytest.fixture(scope="module")
def drawn(local: Local) -> Local:
    """The gallery was posted."""
    assert local.say("--as", "devops", "/rollout gallery").returncode == 0
    local.say("--as", "devops", "--wait", "0.5", "/rollout refuse")
    local.say("--as", "devops", "Starting *dev* today")
    return local


@pytest.mark.parametrize(
    ("width", "height", "dark"), [(1280, 800, False), (1440, 900, True), (1024, 768, False), (1680, 1000, False)]
)
def test_every_block_fits(visit: Open, drawn: Local, artefacts: Path, width: int, height: int, dark: bool) -> None:
    page = visit("devops", width=width, height=height, dark=dark)
    page.locator("[data-block-type=data_visualization]").last.wait_for()
    kinds = page.locator("[data-block-type]").evaluate_all("all => [...new Set(all.map((e) => e.dataset.blockType))]")
    assert set(kinds) >= {
        "header",
        "section",
        "actions",
        "context",
        "rich_text",
        "divider",
        "markdown",
        "image",
        "table",
    }
    assert page.locator(".block-unknown").count() == 0
    assert page.evaluate(OVERFLOWS) == []
    whole = page.evaluate("document.querySelector('.scroll').scrollHeight")
    page.set_viewport_size({"width": width, "height": whole + 150})
    picture(page, artefacts, f"gallery-{width}")


def test_charts_speak(visit: Open, drawn: Local) -> None:
    page = visit("devops")
    labels = page.locator("svg.chart").evaluate_all("all => all.map((e) => e.getAttribute('aria-label'))")
    assert labels[0].startswith("Targets by runtime. bar chart. 13.3: dev 0, test 2, staging 10")
    assert labels[3] == "Runs yesterday. Pie chart: succeeded 120, failed 9, open 22."
    assert page.locator("svg.chart rect").count() == 10


@pytest.mark.parametrize("width", [1280, 1024])
def test_the_modal_fits(visit: Open, local: Local, artefacts: Path, width: int) -> None:
    page = visit("tech-lead", width=width, height=768)
    send(page, "/rollout start dev")
    page.get_by_test_id("modal").wait_for()
    page.get_by_test_id("modal-submit").click()
    page.get_by_text("Please complete this required field.").first.wait_for()
    assert page.evaluate(OVERFLOWS) == []
    picture(page, artefacts, f"modal-{width}-top")
    page.evaluate("document.querySelector('.dialog-body').scrollTop = 9999")
    picture(page, artefacts, f"modal-{width}-bottom")
    page.get_by_test_id("modal-close").click()
    page.get_by_test_id("modal").wait_for(state="detached")


def test_menus_panels_and_the_empty_channel_fit(visit: Open, local: Local, artefacts: Path) -> None:
    page = visit("qa", "general")
    page.get_by_test_id("welcome").wait_for()
    assert page.evaluate(OVERFLOWS) == []
    page.get_by_test_id("composer").fill("/rollout ")
    picture(page, artefacts, "completion")
    page.get_by_test_id("composer").fill("")
    page.get_by_test_id("person-switch").click()
    assert page.evaluate(OVERFLOWS) == []
    picture(page, artefacts, "people")
    page.keyboard.press("Escape")
    send(page, "a message with a thread")
    page.locator("[data-testid=message]").last.hover()
    page.get_by_role("button", name="Reply in thread").last.click()
    page.get_by_test_id("thread").wait_for()
    assert page.evaluate(OVERFLOWS) == []
    picture(page, artefacts, "thread")
    page.get_by_test_id("fleet-toggle").click()
    page.get_by_test_id("fleet").wait_for()
    page.get_by_test_id("fleet-toggle").click()
    assert page.get_by_test_id("fleet").is_hidden()
    page.get_by_test_id("home-entry").click()
    page.get_by_test_id("home").get_by_text("Stage dev").wait_for()
    assert page.evaluate(OVERFLOWS) == []
    picture(page, artefacts, "home")
