"""The page of the local Slack in a real browser: what people do there, and what they see."""

import re
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.page.conftest import Open
from tests.sandbox.say.blocks import Json
from tests.sandbox.say.local import Local, workspace

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser


def send(page: "Page", text: str) -> None:
    composer = page.get_by_test_id("composer")
    composer.fill(text)
    composer.press("Enter")


def ask_for_card(page: "Page") -> "Locator":
    """The app's card in answer to a command: none of the cards that stood in the channel before."""
    newest = "[...document.querySelectorAll('[data-testid=message][data-bot=true]')].at(-1)?.dataset.ts ?? ''"
    before = page.evaluate(newest)
    send(page, "/rollout card")
    page.wait_for_function(f"before => {newest} !== before", arg=before)
    return page.locator(f"[data-testid=message][data-ts='{page.evaluate(newest)}']").first


def next_action(page: "Page", seen: list[Json], count: int) -> Json:
    """The count-th action that the app was sent, as soon as it is there."""
    while len(actions := [body for body in seen if body.get("actions")]) < count:
        page.wait_for_timeout(20)  # the page goes on meanwhile
    found: Json = actions[count - 1]["actions"][0]
    return found


def field(page: "Page", block_id: str) -> "Locator":
    return page.locator(f"[data-testid=field][data-block-id={block_id}]")


def test_a_first_visitor_is_told_what_to_type(visit: Open) -> None:
    page = visit("devops", "partner-shared")
    assert "Type /rollout to see what waits for you" in page.get_by_test_id("welcome").inner_text()
    assert "/rollout" in (page.get_by_test_id("composer").get_attribute("placeholder") or "")
    page.get_by_test_id("welcome").get_by_role("button", name="/rollout status").click()
    assert page.get_by_test_id("composer").input_value() == "/rollout status"


def test_the_composer_completes_commands_and_verbs_and_remembers(visit: Open) -> None:
    page = visit("devops")
    composer = page.get_by_test_id("composer")
    composer.type("/ro")
    assert "/rollout" in page.get_by_test_id("completion").inner_text()
    composer.press("Enter")
    assert composer.input_value() == "/rollout "
    composer.type("sta")
    assert page.get_by_test_id("completion").all_inner_texts() == ["status", "start"]
    composer.press("ArrowDown")
    composer.press("Tab")
    assert composer.input_value() == "/rollout start"
    composer.fill("/rollout refuse")
    composer.press("Enter")
    page.get_by_text("Refused (role_missing)").wait_for()
    assert composer.input_value() == ""
    composer.press("ArrowUp")
    assert composer.input_value() == "/rollout refuse"


def test_an_ephemeral_answer_is_seen_by_one_person_and_a_message_by_all_at_once(visit: Open) -> None:
    one, other = visit("product-owner"), visit("tech-lead")
    send(one, "/rollout status")
    answer = one.locator("[data-testid=message][data-ephemeral=true]").last
    answer.get_by_text("Where we are").wait_for()
    assert "Only visible to you" in answer.inner_text()
    send(one, "hello <img src=x onerror=document.title='hacked'> *all*")
    other.get_by_text("hello <img src=x").wait_for()
    assert other.locator("[data-testid=message]", has_text="hello <img").locator("img").count() == 0
    assert other.title() != "hacked"
    assert other.get_by_text("Where we are").count() == 0
    answer.get_by_role("button", name="Show more").click()
    one.get_by_text("More of it").wait_for()


def test_a_modal_shows_its_errors_below_the_fields_and_keeps_what_was_typed(visit: Open, seen: list[Json]) -> None:
    page = visit("devops")
    send(page, "/rollout start dev")
    modal = page.get_by_test_id("modal")
    modal.wait_for()
    assert page.get_by_test_id("modal-title").inner_text() == "Start dev"
    page.get_by_test_id("modal-submit").click()
    field(page, "reason").get_by_text("Please complete this required field.").wait_for()
    page.get_by_label("Reason").fill("no")
    page.get_by_label("Role").select_option(label="QA")
    field(page, "items").get_by_label("Item 3 of the list").check()
    field(page, "how").get_by_label("Later").check()
    modal.get_by_label("Owner").select_option(label="Gus Guest · guest account")
    page.get_by_test_id("modal-submit").click()
    field(page, "reason").get_by_text("Say more.").wait_for()
    assert page.get_by_label("Reason").input_value() == "no"
    page.get_by_label("Reason").fill("because")
    page.get_by_test_id("modal-submit").click()
    modal.wait_for(state="detached")
    values = {block: entry["v"] for block, entry in seen[-1]["view"]["state"]["values"].items()}
    assert values["reason"]["value"] == "because"
    assert values["role"]["selected_option"]["value"] == "qa"
    assert [option["value"] for option in values["items"]["selected_options"]] == ["3"]
    assert values["how"]["selected_option"]["value"] == "later"
    assert values["owner"]["selected_user"] == "U0SAND0009"


def test_the_calendar_can_be_set_while_a_dialog_is_open(visit: Open) -> None:
    page = visit("devops")
    send(page, "/rollout start dev")
    page.get_by_test_id("modal").wait_for()
    for speed in ("600", "0"):
        page.locator(f"[data-testid=clock-speed][data-speed='{speed}']").click()
        page.locator(f"[data-testid=clock-speed][data-speed='{speed}'][aria-pressed=true]").wait_for()
    page.get_by_test_id("modal-close").click()
    page.get_by_test_id("modal").wait_for(state="detached")


def test_modals_stack_and_close_one_by_one(visit: Open) -> None:
    page = visit("devops-2")
    send(page, "/rollout stack")
    page.get_by_test_id("modal").get_by_role("button", name="Open").click()
    page.get_by_test_id("modal-submit").wait_for()
    page.keyboard.press("Escape")
    page.get_by_test_id("modal").get_by_text("One of them:").wait_for()
    page.get_by_test_id("modal-close").click()
    page.get_by_test_id("modal").wait_for(state="detached")


def test_a_confirm_dialog_sends_only_what_was_confirmed(visit: Open, seen: list[Json]) -> None:
    page = visit("developer")
    card = ask_for_card(page)
    card.get_by_role("button", name="Roll back dev").click()
    page.get_by_test_id("confirm").get_by_text("20 targets return to 13.3.").wait_for()
    page.get_by_test_id("confirm-cancel").click()
    page.get_by_test_id("confirm").wait_for(state="detached")
    assert [body for body in seen if body.get("actions")] == []
    card.get_by_role("button", name="Roll back dev").click()
    page.get_by_test_id("confirm-ok").click()
    assert next_action(page, seen, 1)["action_id"] == "rollback"
    card.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Contacts").click()
    assert next_action(page, seen, 2)["selected_option"]["value"] == "who"


def test_a_thread_opens_beside_the_channel_and_takes_replies(visit: Open) -> None:
    page = visit("developer")
    card = ask_for_card(page)
    card.get_by_role("button", name="Approve dev").click()
    card.get_by_test_id("open-thread").click()
    thread = page.get_by_test_id("thread")
    thread.get_by_text("Approved by you").wait_for()
    page.get_by_test_id("thread-composer").fill("thank you")
    page.get_by_test_id("thread-composer").press("Enter")
    thread.locator("[data-testid=message]").get_by_text("thank you").wait_for()
    page.get_by_text("2 replies ›").last.wait_for()
    thread.get_by_role("button", name="Close thread").click()
    assert thread.is_hidden()


def test_acting_as_another_person_shows_their_channels_and_marks(visit: Open) -> None:
    page = visit("devops")
    page.get_by_test_id("person-switch").click()
    people = page.get_by_test_id("person").all_inner_texts()
    assert len(people) == 10
    assert [text.split(" · ")[1] for text in people if " · " in text] == [
        "other company",
        "guest account",
        "account deactivated",
    ]
    page.locator("[data-testid=person][data-person=outsider]").click()
    page.locator("[data-testid=person-switch][data-person=outsider]").wait_for()
    page.wait_for_url("**as=outsider&channel=partner-shared")
    names = page.get_by_test_id("channel").evaluate_all("entries => entries.map((entry) => entry.dataset.name)")
    assert names == ["partner-shared", "dm"]
    page.reload()
    page.locator("[data-testid=person-switch][data-person=outsider]").wait_for()


def test_errors_of_slack_are_shown_where_slack_shows_them(visit: Open) -> None:
    page = visit("qa", "general")
    send(page, "/foo")
    page.get_by_test_id("notice").get_by_text("/foo is not a valid command").wait_for()
    assert page.get_by_test_id("composer").input_value() == "/foo"
    send(page, "/rollout silent")
    page.get_by_text('failed with the error "operation_timeout"').wait_for()


def test_the_home_tab_is_drawn_when_the_app_publishes_it(visit: Open) -> None:
    page = visit("product-owner")
    page.get_by_test_id("home-entry").click()
    page.get_by_test_id("home").get_by_text("Stage dev: upgrading").wait_for()
    assert page.get_by_test_id("composer").count() == 0


def test_the_fleet_stays_small_in_the_page_and_marks_what_changes(visit: Open, local: Local) -> None:
    page = visit("on-call")
    rows = page.get_by_test_id("fleet-row")
    rows.first.wait_for()
    assert rows.count() == 22
    prod = page.locator("[data-testid=workspace][data-workspace=prod]")
    assert prod.get_by_test_id("workspace-counts").inner_text() == "2000 on 13.3"
    prod.get_by_test_id("workspace-toggle").click()
    prod.get_by_test_id("fleet-row").first.wait_for()
    assert prod.get_by_test_id("fleet-row").count() == 25
    prod.get_by_test_id("fleet-more").click()
    prod.get_by_text("26 to 50 of 2000").wait_for()
    page.get_by_test_id("fleet-filter").fill("clickstream-hourly-1998")
    page.wait_for_function("document.querySelectorAll('[data-testid=fleet-row]').length === 1")
    page.get_by_test_id("fleet-filter").fill("")
    local.fleet.workspaces[0] = workspace("dev", 22, "17.3.x-scala2.13")
    page.locator("[data-testid=fleet-row].just-changed[data-runtime='17.3']").first.wait_for()
    dev = page.locator("[data-testid=workspace][data-workspace=dev]")
    assert dev.get_by_test_id("workspace-counts").inner_text() == "22 on 17.3"
    assert "22 just changed" in dev.inner_text()


def test_the_calendar_runs_stops_and_skips(visit: Open) -> None:
    page = visit("qa")
    now = page.get_by_test_id("clock-now")
    now.filter(has_text="UTC").wait_for()  # drawn once the calendar has answered
    assert re.fullmatch(r"Mon 23 Nov 2026, \d\d:\d\d:\d\d UTC", now.inner_text())
    assert "Next: Mon 23 Nov 2026, 20:00" in page.get_by_test_id("clock-deadline").inner_text()
    page.locator("[data-testid=clock-speed][data-speed='600']").click()
    page.locator("[data-testid=clock-speed][data-speed='600'][aria-pressed=true]").wait_for()
    before = now.inner_text()
    page.wait_for_function(
        "before => document.querySelector('[data-testid=clock-now]').innerText !== before", arg=before
    )
    page.locator("[data-testid=clock-speed][data-speed='0']").click()
    page.locator("[data-testid=clock-speed][data-speed='0'][aria-pressed=true]").wait_for()
    page.get_by_test_id("clock-next").click()
    page.get_by_text("Mon 23 Nov 2026, 20:00:01 UTC").wait_for()


def test_the_page_comes_back_after_the_server_was_away(visit: Open, tmp_path_factory: pytest.TempPathFactory) -> None:
    again = Local(tmp_path_factory.mktemp("away"), visit_fleet := _Nothing())
    page = visit("qa", "general")
    try:
        page.goto(f"{again.url}/?as=qa&channel=general")
        page.wait_for_selector("body[data-ready=true]")
        again.close()
        page.get_by_text("does not answer").first.wait_for()
        again = Local(again.directory, visit_fleet, again.port)
        again.say("--as", "devops", "--channel", "general", "we are back")
        page.locator("[data-testid=message]").get_by_text("we are back").wait_for()
    finally:
        again.close()


class _Nothing:
    """A fleet that cannot be reached."""

    url = "http://127.0.0.1:9"


def test_the_menu_of_a_message_has_the_apps_shortcuts_and_works_by_keyboard(visit: Open, seen: list[Json]) -> None:
    page = visit("devops")
    send(page, "the nightly export failed")
    message = page.locator("[data-testid=message]", has_text="the nightly export failed").last
    message.hover()
    message.get_by_role("button", name="Menu of this message").focus()
    page.keyboard.press("Enter")
    item = message.get_by_role("menuitem")
    assert "Report as an issue" in item.inner_text()
    page.keyboard.press("Escape")
    assert item.is_hidden()
    page.keyboard.press("Enter")
    item.click()
    page.get_by_test_id("modal").get_by_text("About: the nightly export failed").wait_for()
    assert seen[-1]["type"] == "message_action"
