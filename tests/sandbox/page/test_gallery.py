"""Every kind of block, drawn in a real browser: nothing flows over, nothing is cut; the pictures are kept."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.page.conftest import Open
from tests.sandbox.page.measuring import flaws
from tests.sandbox.page.test_page import send
from tests.sandbox.say import blocks
from tests.sandbox.say.blocks import Json
from tests.sandbox.say.local import Local

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

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
    for verb in ("selects", "gallery"):
        assert local.say("--as", "devops", f"/rollout {verb}").returncode == 0
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
    controls = page.get_by_test_id("action").evaluate_all("all => all.length")
    assert controls >= len(blocks.PICKERS) + len(blocks.SELECTS) - 2
    for message in page.get_by_test_id("message").all():
        assert flaws(message) == []
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


EVERYTHING = [name for name, _ in [*blocks.PICKERS, *blocks.TYPED]]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (900, True)])
def test_a_dialog_with_everything_fits_and_shows_every_error(
    visit: Open, local: Local, seen: list[Json], artefacts: Path, width: int, dark: bool
) -> None:
    page = visit("tech-lead", width=width, height=2400, dark=dark)
    send(page, "/rollout everything")
    modal = page.get_by_test_id("modal")
    modal.wait_for()
    assert page.get_by_test_id("field").count() == len(EVERYTHING)
    assert page.locator("[data-block-type=alert]").count() == len(blocks.LEVELS)
    assert page.locator(".block-unknown").count() == 0
    page.get_by_test_id("modal-submit").click()
    page.get_by_text("Please complete this required field.").first.wait_for()
    modal.get_by_label("Mail").fill("qa@example.com")
    modal.get_by_label("Address").fill("https://example.com/runs/17")
    modal.get_by_label("Number").fill("17")
    modal.get_by_label("Lines").fill("the first\nthe second")
    modal.get_by_label("Rich").fill("in bold words")
    modal.get_by_label(re.compile("^Conversation( |$)")).select_option(label="#general")
    for name, choice in (("Channels", "#general"), ("Conversations", "#platform-support")):
        modal.get_by_role("group", name=re.compile(f"^{name}")).get_by_label(choice).check()
    modal.get_by_label("At once").check()
    modal.get_by_label("Static").select_option(label="test")
    page.get_by_test_id("modal-submit").click()
    page.get_by_text("Not so, says the app of field 20.").wait_for()
    assert page.locator("[data-testid=field-error]:not([hidden])").count() == len(EVERYTHING)
    assert flaws(modal) == []
    assert page.evaluate(OVERFLOWS) == []
    picture(page, artefacts, f"everything-{width}")
    values = {block: next(iter(entry.values())) for block, entry in seen[-1]["view"]["state"]["values"].items()}
    held = {name: values[f"e{number}"] for number, name in enumerate(EVERYTHING)}
    assert held["Static"]["selected_option"]["value"] == "test"
    assert held["Channels"]["selected_channels"] == ["C0GENERAL1"]
    assert held["Conversations"]["selected_conversations"] == ["C0SUPPORT1"]
    assert held["People"]["selected_users"] == ["U0SAND0002", "U0SAND0009"]
    assert held["Asked"]["selected_option"]["value"] == "x"
    assert held["Moment"]["selected_date_time"] == 1795516200
    assert held["Rich"]["rich_text_value"]["elements"][0]["elements"][0]["text"] == "in bold words"
    page.get_by_test_id("modal-close").click()
    modal.wait_for(state="detached")


def test_a_shared_channel_is_not_offered_where_the_app_excludes_it(visit: Open, local: Local) -> None:
    page = visit("tech-lead")
    send(page, "/rollout everything")
    modal = page.get_by_test_id("modal")
    modal.wait_for()
    assert modal.get_by_label(re.compile("^Conversation( |$)")).locator("option:not([hidden])").all_inner_texts() == [
        "#platform-support",
        "#general",
    ]
    assert "#partner-shared" in modal.get_by_label(re.compile("^Channel( |$)")).locator("option").all_inner_texts()
    assert modal.get_by_label(re.compile("^Asked( .optional.)?$")).is_disabled()
    page.get_by_test_id("modal-close").click()
    modal.wait_for(state="detached")


def test_a_file_is_shown_with_its_name_and_size_and_can_be_downloaded(
    visit: Open, drawn: Local, artefacts: Path
) -> None:
    files = [
        {"id": "F1", "name": "report.csv", "title": "Report of dev", "size": 48_213, "url": "/sandbox/files/F1/r.csv"},
        {"id": "F2", "name": f"{'a-long-name-' * 8}.json", "title": "", "size": 12, "url": "/sandbox/files/F2/x.json"},
        {"id": "F3", "name": "bad", "title": "bad", "size": 2_400_000, "url": "javascript:alert(1)"},
    ]  # fmt: skip
    page = visit("qa")

    def with_files(route: "Route") -> None:
        answer = route.fetch().json()
        answer["messages"][-1]["files"] = files
        route.fulfill(json=answer)

    page.route("**/sandbox/messages?*", with_files)
    page.route("**/sandbox/files/F1/*", lambda route: route.fulfill(body="stage,target\n", content_type="text/csv"))
    page.reload()
    shown = page.get_by_test_id("file")
    shown.nth(2).wait_for()
    assert [text.split("\n")[-2:] for text in shown.all_inner_texts()] == [
        ["Report of dev", "report.csv · 48 kB"],
        [f"{'a-long-name-' * 8}.json", "12 bytes"],
        ["bad", "2.4 MB"],
    ]
    assert shown.nth(2).get_attribute("href") is None, "only links to http and to this page are links"
    with page.expect_download() as download:
        shown.first.click()
    assert download.value.suggested_filename == "report.csv"
    assert flaws(shown.first.locator("xpath=ancestor::article")) == []
    picture(page, artefacts, "files")


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
