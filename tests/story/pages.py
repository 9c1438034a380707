"""What people do in the page of the local Slack, and where they look. A locator names the one thing that it means, by
heading, role or id, so that it finds the same on a slow machine, whatever else was posted meanwhile."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

Open = Callable[..., Page]
Keep = Callable[..., None]

WAIT = 60_000
"""Milliseconds that an element may take to appear, or to say what is expected."""
expect.set_options(timeout=WAIT)

# -- who, and where ----------------------------------------------------------------------------------------------------


def become(page: Page, person: str) -> None:
    """Act as somebody else from now on."""
    switch = page.get_by_test_id("person-switch")
    if switch.get_attribute("data-person") == person:
        return
    switch.click()
    page.locator(f"[data-testid=person][data-person={person}]").click()
    page.locator(f"body[data-ready=true] [data-testid=person-switch][data-person={person}]").wait_for()


def home(page: Page) -> Locator:
    """Open the app's Home tab; its pane."""
    page.get_by_test_id("home-entry").click()
    pane = page.get_by_test_id("home")
    pane.get_by_text("What waits for you").wait_for()
    return pane


def channel(page: Page, name: str = "platform-support") -> None:
    """Go to a channel."""
    entry = page.locator(f"[data-testid=channel][data-name={name}]")
    entry.click()
    page.get_by_test_id("composer").wait_for()


def rows(page: Page, workspace: str, runtime: str = "") -> Locator:
    """The rows of the fleet panel."""
    return page.locator(
        f"[data-testid=fleet-row][data-workspace={workspace}]" + (f"[data-runtime='{runtime}']" if runtime else "")
    )


def in_sight(page: Page, element: Locator) -> bool:
    """Whether the beginning of a message is inside the pane."""
    top: float = element.evaluate("e => e.getBoundingClientRect().top")
    start: float = page.locator(".conversation").evaluate("e => e.getBoundingClientRect().top")
    return top >= start - 1


# -- messages ----------------------------------------------------------------------------------------------------------

_PRIVATE = "[data-testid=messages] > [data-ephemeral=true]"
_PUBLIC = "[data-testid=messages] > [data-ephemeral=false]"
_NEWEST = "all => Math.max(0, ...all.map((e) => Number(e.dataset.ts)))"


def send(page: Page, text: str) -> None:
    """Type a message or a command."""
    composer = page.get_by_test_id("composer")
    composer.fill(text)
    composer.press("Enter")


def answer(page: Page, text: str | re.Pattern[str]) -> Locator:
    """The newest message that only this person sees, once it says this."""
    found = page.locator("[data-testid=message][data-ephemeral=true]", has_text=text).last
    found.wait_for()
    return found


def ask(page: Page, command: str, text: str | re.Pattern[str] = "") -> Locator:
    """Type a command; the private answer to it (no older one) once it says this."""
    before = page.locator(_PRIVATE).evaluate_all(_NEWEST)
    send(page, command)
    return newer(page, before, text)


def tap(button: Locator) -> None:
    """Press a button of the bot; once more where it was drawn anew at that moment, as the page then asks for."""
    for _ in range(5):
        with button.page.expect_response(re.compile("/sandbox/act$")) as told:
            button.click()
        if told.value.ok:
            return
    raise AssertionError(f"{button} changes faster than it can be pressed: {told.value.text()}")


def press(page: Page, button: Locator, text: str | re.Pattern[str] = "") -> Locator:
    """Press a button of a message that is answered privately; that answer."""
    before = page.locator(_PRIVATE).evaluate_all(_NEWEST)
    tap(button)
    return newer(page, before, text)


def newer(page: Page, before: float, text: str | re.Pattern[str]) -> Locator:
    """The private message after the one of that time, once there is one and it says this."""
    page.wait_for_function(
        "([all, before]) => [...document.querySelectorAll(all)].some((e) => Number(e.dataset.ts) > before)",
        arg=[_PRIVATE, before],
    )
    found = page.locator(_PRIVATE).last
    if text:
        expect(found).to_contain_text(text)
    return found


def posted(page: Page, text: str | re.Pattern[str]) -> Locator:
    """The newest message in the channel that says this to everybody."""
    found = page.locator(_PUBLIC, has_text=text).last
    found.wait_for()
    return found


def show(element: Locator) -> None:
    """Scroll to a message, also while it is being drawn anew; to the beginning of one that is taller than the pane."""
    scroll = """e => {
      const pane = e.closest(".scroll");
      if (pane) e.scrollIntoView({ block: e.offsetHeight > pane.clientHeight ? "start" : "nearest" });
    }"""
    for _ in range(5):
        element.evaluate(scroll)
        try:
            expect(element).to_be_in_viewport(timeout=3_000)
            return
        except AssertionError:
            continue
    expect(element).to_be_in_viewport()


def card(page: Page, stage: str) -> Locator:
    """The card of a stage in the channel: the message under its heading, whatever else names the stage by then."""
    heading = page.get_by_role("heading", name=re.compile(rf"^{stage} · "))
    return page.locator(_PUBLIC).filter(has=heading).first


# -- dialogs -----------------------------------------------------------------------------------------------------------


def button(within: Locator, label: str | re.Pattern[str]) -> Locator:
    """The one button of that label."""
    return within.get_by_role("button", name=label, exact=True)


def dialog(page: Page, title: str) -> Locator:
    """The dialog of that title, once it is open."""
    shown = page.get_by_test_id("modal-title").filter(has_text=title)
    late = page.locator(_PRIVATE, has_text="the form could not be opened in time").last
    expect(shown.or_(late).first).to_be_visible()
    if not shown.count():  # Slack gives the bot three seconds: on a slow machine one presses once more, as it says
        tap(button(late, "Open the form"))
        expect(shown).to_be_visible()
        button(late, "Dismiss").evaluate("e => e.click()")  # it lies under the dialog
    expect(page.get_by_test_id("modal-title")).to_have_text(title)
    return page.get_by_test_id("modal")


def opened(page: Page, pressed: Locator, title: str, times: int = 5) -> Locator:
    """Press a button of the Home tab that opens a dialog; once more where the bot was too late for Slack, which gives
    it three seconds and then answers in the app's messages."""
    shown = page.get_by_test_id("modal-title").filter(has_text=title)
    for _ in range(times):
        tap(pressed)
        try:
            expect(shown).to_be_visible(timeout=10_000)
            break
        except AssertionError:
            continue
    return dialog(page, title)


def submit(page: Page) -> Locator:
    """Press the main button of the open dialog, and see that it was accepted; the dialog with what came of it."""
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("modal-submit")).to_have_count(0)
    shown = page.get_by_test_id("modal")
    expect(shown).not_to_contain_text("Working on it")
    return shown


def close(page: Page) -> None:
    """Close the open dialog."""
    page.get_by_test_id("modal-close").click()
    expect(page.get_by_test_id("modal")).to_have_count(0)


def confirm(page: Page, title: str) -> None:
    """Press the dialog's main button, which says what its title says, see that it was accepted, and close it."""
    dialog(page, title)
    expect(page.get_by_test_id("modal-submit")).to_have_text(title)
    submit(page)
    close(page)
