"""What happens in the page when a message or dialog changes at the very moment at which somebody acts on it."""

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.page.conftest import Open
from tests.sandbox.say.blocks import Json
from tests.sandbox.say.local import Local

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

pytestmark = pytest.mark.browser

CHANNEL = "C0SUPPORT1"
MESSAGES = f"**/sandbox/messages?*channel={CHANNEL}*"


def blocks(text: str) -> list[Json]:
    button = {"type": "button", "action_id": "more", "text": {"type": "plain_text", "text": "Show more"}}
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}}, {"type": "actions", "elements": [button]}]


def posted(local: Local, text: str) -> str:
    """The app's message with a button; its ts."""
    return str(local.client().chat_postMessage(channel=CHANNEL, text=text, blocks=blocks(text))["ts"])


def change(local: Local, ts: str, text: str) -> None:
    local.client().chat_update(channel=CHANNEL, ts=ts, text=text, blocks=blocks(text))


def message(page: "Page", ts: str, text: str) -> "Locator":
    """That message, once it says this."""
    found = page.locator(f"[data-testid=message][data-ts='{ts}']").filter(has_text=text)
    found.wait_for()
    return found


def withhold(page: "Page", path: str, times: int | None = None) -> list["Route"]:
    """The page's requests to a path (the first ones, or all) from now on: unanswered, as they come."""
    kept: list[Route] = []
    page.route(path, lambda route: kept.append(route), times=times)
    return kept


def first(page: "Page", kept: list["Route"]) -> "Route":
    while not kept:
        page.wait_for_timeout(20)  # the page goes on meanwhile
    return kept[0]


def test_a_press_on_what_has_just_changed_is_answered_with_what_to_do(visit: Open, local: Local) -> None:
    page = visit("devops", "platform-support")
    ts = posted(local, "20 of 25")
    shown = message(page, ts, "20 of 25")
    kept = withhold(page, MESSAGES)
    change(local, ts, "21 of 25")
    late = first(page, kept)
    shown.get_by_role("button", name="Show more").click()
    said = "This has just changed: look at it again, then press once more."
    page.get_by_test_id("toast").get_by_text(said).wait_for()
    late.continue_()
    message(page, ts, "21 of 25")


def test_a_button_is_not_drawn_anew_while_it_is_held_down(visit: Open, local: Local) -> None:
    page = visit("devops", "platform-support")
    ts = posted(local, "30 of 45")
    message(page, ts, "30 of 45").get_by_role("button", name="Show more").hover()
    page.mouse.down()
    with page.expect_response(MESSAGES):
        change(local, ts, "31 of 45")
    with page.expect_request("**/sandbox/act"):  # the click arrives, and says that it comes too late
        page.mouse.up()
    message(page, ts, "31 of 45")


def test_an_answer_that_is_overtaken_by_a_later_one_changes_nothing(visit: Open, local: Local) -> None:
    page = visit("devops", "general")
    ts = posted(local, "40 of 66")
    old = local.get(f"messages?as=devops&channel={CHANNEL}")
    change(local, ts, "41 of 66")
    kept = withhold(page, MESSAGES, times=1)
    page.locator("[data-testid=channel][data-name=platform-support]").click()
    late = first(page, kept)
    change(local, ts, "42 of 66")
    message(page, ts, "42 of 66")
    with page.expect_response(MESSAGES):
        late.fulfill(json=old)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    message(page, ts, "42 of 66")
