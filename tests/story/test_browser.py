"""What people see: the real bot, the local Slack's page in a real browser, and pictures of every step in artefacts/.

ROLLOUT_PICTURES=1 also renews the README's picture.
"""

import json
import os
import re
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.story.driving import ROOT, Sandbox, sandbox
from tests.story.pages import WAIT, Keep, Open, answer, become, card, confirm, in_sight, rows, send, show, tap

pytestmark = pytest.mark.browser

README_PICTURE = ROOT / "docs" / "images" / "story.png"
PICTURE_BYTES = 300_000
CHANNEL = "C0SUPPORT1"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Sandbox]:
    """The sandbox with its sample fleet and the bot; all tests here share it, and leave `dev` at 13.3."""
    with sandbox(tmp_path_factory.mktemp("browser"), speed=60) as started:
        started.start_bot()
        started.step(3_600)  # past nine, so that the daily summary stands above the cards however fast the tests are
        yield started


# -- trouble on request -----------------------------------------------------------------------------------------------


@contextmanager
def slow_jobs(world: Sandbox, seconds: float) -> Iterator[None]:
    """Every write of a job takes this long, so that a stage stands half done for as long as one looks."""
    host = next(v for k, v in world.settings.items() if k.startswith("DATABRICKS_") and k.endswith("_HOST"))

    def ask(body: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{host}/sandbox/faults", json.dumps(body).encode(), headers)
        urllib.request.urlopen(request, timeout=60).close()

    ask({"path": "/api/2.*/jobs/*", "method": "POST", "kind": "slow", "seconds": seconds})
    yield
    ask({"clear": True})


# -- looking -----------------------------------------------------------------------------------------------------------


def test_the_first_look_says_what_to_do(world: Sandbox, visit: Open, keep: Keep) -> None:
    page = visit(
        "devops", "general"
    )  # nobody posts there: in the rollout's channel the daily summary may stand already
    page.get_by_test_id("welcome").wait_for()
    keep(page, "01-first-visit")
    page.get_by_test_id("composer").type("/rollout st")
    expect(page.get_by_test_id("completion")).to_have_text(["status", "start"])
    send(page, "/rollout")
    shown = answer(page, "What waits for you")
    expect(shown.get_by_role("button", name="Start dev")).to_be_visible()
    keep(page, "02-rollout")


def test_the_home_tab_tells_the_tech_lead_where_we_are(world: Sandbox, visit: Open, keep: Keep) -> None:
    page = visit("tech-lead")
    page.get_by_test_id("home-entry").click()
    home = page.get_by_test_id("home")
    home.get_by_text("You are Tech Lead.").wait_for()
    for stage in ("dev", "test", "staging", "canary", "full"):
        expect(home.get_by_text(re.compile(rf"\b{stage} · ")).first).to_be_visible()
    keep(page, "03-home")
    home.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_test_id("modal").wait_for()
    keep(page, "04-home-plan")


def test_the_plan_is_read_from_its_beginning_and_its_table_is_whole(world: Sandbox, visit: Open, keep: Keep) -> None:
    page = visit("developer")
    send(page, "/rollout plan test")
    shown = answer(page, "What test would change")
    expect(shown.locator("table")).to_contain_text("orders-legacy-export")
    expect(shown.locator("table")).to_contain_text("13.3 → 17.3")
    page.wait_for_function("document.querySelector('.scroll').scrollTop > 0")
    assert in_sight(page, shown)
    keep(page, "05-plan")
    frame = shown.locator(".table-scroll")
    assert frame.evaluate("e => e.scrollWidth - e.clientWidth") <= 1, "the table is cut at its right side"
    show(frame)
    keep(page, "06-plan-table")
    # What others write meanwhile does not pull the reader away; a button leads there.
    world.post("command", {"as": "qa", "channel": CHANNEL, "text": "Ready when you are."})
    page.get_by_test_id("newest").click()
    expect(page.get_by_text("Ready when you are.")).to_be_in_viewport()
    expect(page.get_by_test_id("newest")).to_be_hidden()


def test_the_checklist_turns_its_pages_and_is_attested_in_a_dialog_that_checks(
    world: Sandbox, visit: Open, keep: Keep
) -> None:
    page = visit("product-owner")
    send(page, "/rollout checklist canary")
    shown = answer(page, "Checklist of canary")
    keep(page, "07-checklist")
    shown.get_by_role("button", name="Next (2 of").click()
    shown.get_by_role("button", name=re.compile("Previous|Back|1 of")).wait_for()
    send(page, "/rollout checklist canary")
    answer(page, "The stakeholders agree to the upgrade").get_by_role("button", name="Mark done").click()
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("field-error").first).to_have_text("Please complete this required field.")
    page.get_by_label("The stakeholders agree to the upgrade").check()
    page.get_by_label("Does not apply here").check()
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("field-error").locator("visible=true")).not_to_have_text(re.compile("required field"))
    keep(page, "08-checklist-error")
    page.get_by_test_id("modal-close").click()
    expect(page.get_by_test_id("modal")).to_have_count(0)


def test_the_report_draws_its_chart(world: Sandbox, visit: Open, keep: Keep) -> None:
    page = visit("qa")
    send(page, "/rollout report")
    shown = answer(page, "Targets by runtime")
    chart = shown.locator("svg.chart")
    show(chart)
    expect(chart).to_have_attribute("aria-label", re.compile(r"Targets by runtime\. .*dev"))
    assert chart.locator("rect").count() >= 5
    keep(page, "09-report")


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "text", "refusal"),
    [
        ("outsider", "/rollout start dev", "Refused (other_team)"),
        ("guest", "/rollout status", "Refused (guest_account)"),
        ("qa", "/rollout start dev", "Refused (not_permitted)"),
        ("devops", "/rollout start canary", "Refused (predecessor_not_passed)"),
        ("devops", "/rollout approve dev", "Refused ("),
    ],
)
def test_who_may_not_is_told_why_and_sees_no_dialog(
    world: Sandbox, visit: Open, keep: Keep, person: str, text: str, refusal: str
) -> None:
    page = visit(person)
    send(page, text)
    shown = answer(page, refusal)
    expect(shown).to_contain_text("Next:")
    expect(page.get_by_test_id("modal")).to_have_count(0)
    keep(page, f"10-refused-{person}-{text.split()[1]}")


# -- the story ---------------------------------------------------------------------------------------------------------


def test_dev_is_started_watched_approved_and_rolled_back(
    world: Sandbox, visit: Open, keep: Keep, artefacts: Path
) -> None:
    page = visit("devops")
    on_old = rows(page, "dev", "13.3").count()
    on_new = rows(page, "dev", "17.3").count()
    assert on_old > 10

    # What was answered before is put away.
    old = page.get_by_role("button", name="Dismiss")
    while old.count():
        old.first.click()

    # Started from the composer, after a dialog with the exact effects.
    send(page, "/rollout start dev")
    modal = page.get_by_test_id("modal")
    expect(modal).to_contain_text("12 targets will be changed")
    expect(modal).to_contain_text("shared-dev")
    keep(page, "20-start-dialog")
    with slow_jobs(world, 8.0):
        confirm(page, "Start dev")

        # Progress, on the card and in the panel.
        expect(card(page, "dev")).to_contain_text(re.compile(r"\b([1-9]|1[01]) of 12\b"), timeout=WAIT)
        expect(page.locator("[data-workspace=dev] .just-changed").first).to_be_visible()
        keep(page, "21-upgrading")
        assert rows(page, "dev", "17.3").count() > on_new
    world.until(lambda: world.state_of("dev") != "upgrading", "all jobs of dev to be written")
    expect(card(page, "dev")).to_contain_text("in review", timeout=WAIT)
    expect(card(page, "dev")).to_contain_text("12 of 12")
    expect(rows(page, "dev", "13.3")).to_have_count(0)
    expect(rows(page, "dev", "17.3")).to_have_count(on_old + on_new)
    show(card(page, "dev"))
    keep(page, "22-review")
    card(page, "dev").get_by_test_id("open-thread").click()
    expect(page.get_by_test_id("thread")).to_contain_text("ready for review")
    keep(page, "23-thread")
    page.get_by_role("button", name="Close thread").click()

    # Who started it may not sign; the developer may.
    become(page, "developer")
    tap(card(page, "dev").get_by_role("button", name="Approve dev"))
    expect(modal).to_contain_text("12 of 12 targets upgraded")
    keep(page, "24-approve-dialog")
    confirm(page, "Approve dev")
    expect(card(page, "dev")).to_contain_text("dev · passed")
    keep(page, "25-passed")

    # On-call takes it back.
    become(page, "on-call")
    send(page, "/rollout rollback dev")
    expect(modal).to_contain_text("12 targets will be put back")
    keep(page, "26-rollback-dialog")
    confirm(page, "Roll back dev")
    expect(rows(page, "dev", "13.3")).to_have_count(on_old)
    expect(rows(page, "dev", "17.3")).to_have_count(on_new)
    keep(page, "27-rolling-back")
    expect(card(page, "dev")).to_contain_text("rolled back", timeout=WAIT)
    page.get_by_text("dev is rolled back").last.wait_for()
    keep(page, "28-rolled-back")

    # Locked, until somebody who may start says what was fixed.
    become(page, "devops")
    send(page, "/rollout start dev")
    answer(page, "Refused (stage_locked)").get_by_role("button", name="Unlock dev").click()
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("field-error").locator("visible=true")).to_have_text(
        "Please complete this required field."
    )
    keep(page, "29-unlock-dialog")
    page.get_by_label("What was fixed?").fill("The job clusters had too little memory.")
    confirm(page, "Unlock dev")
    expect(card(page, "dev")).to_contain_text("dev · ready")
    keep(page, "30-unlocked")

    if os.environ.get("ROLLOUT_PICTURES") == "1":
        shutil.copy(artefacts / "story-21-upgrading.png", README_PICTURE)


def test_the_picture_of_the_readme_is_there_and_small() -> None:
    assert 10_000 < README_PICTURE.stat().st_size < PICTURE_BYTES


def test_a_browser_never_mixes_old_and_new_files_of_the_page(world: Sandbox) -> None:
    for path in ("", "page/js/main.js", "page/css/base.css"):
        with urllib.request.urlopen(f"{world.url}/{path}", timeout=60) as response:
            assert response.headers["Cache-Control"] == "no-cache"
