"""The five stages from the first start to the final summary, played in the page by the people whose part it is, and
the last stage taken back; a picture of every step in artefacts/. ROLLOUT_PICTURES=1 renews those of docs/images.

Each chapter stands on the one before; all of them share one sandbox.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.story.driving import KEPT, ROOT, Sandbox, sandbox
from tests.story.pages import (
    Keep,
    Open,
    ask,
    become,
    button,
    card,
    channel,
    close,
    dialog,
    home,
    opened,
    posted,
    press,
    rows,
    send,
    show,
    submit,
    tap,
)

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.longest]

HOUR = 3_600.0
NIGHT_AND_DAY = 24 * HOUR
#: Step -> the picture of docs/images that it renews.
PICTURES = {
    "five-27-home-items": "home.png",
    "five-34-approve-canary": "sign-off.png",
    "five-41-final-summary": "final-summary.png",
}
PICTURE_BYTES = 300_000
PATIENCE = 180.0
"""Seconds that the work of a stage may take on a slow machine."""
FOUND = "The sums of billing-export-dev are wrong since this morning."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Sandbox]:
    """The sandbox with its sample fleet and the bot, a little after nine on Monday."""
    with sandbox(tmp_path_factory.mktemp("stages"), speed=60) as started:
        started.start_bot()
        started.step(HOUR)
        yield started


@pytest.fixture
def page(visit: Open) -> Page:
    """One page, in which one person after the other acts."""
    return visit("devops")


# -- what people do in several chapters --------------------------------------------------------------------------------


def start(page: Page, stage: str, person: str = "devops") -> Locator:
    """Ask to start a stage; its dialog, which shows the effects from their beginning."""
    become(page, person)
    send(page, f"/rollout start {stage}")
    shown = dialog(page, f"Start {stage}")
    expect(shown.get_by_text(re.compile(r"\d+ targets? will be changed"))).to_be_in_viewport()
    return shown


def reaches(page: Page, world: Sandbox, stage: str, state: str, words: str) -> Locator:
    """Wait until a stage has come so far, however long the work takes; its card, once it says so."""
    world.until_stage(stage, state, seconds=PATIENCE)
    expect(card(page, stage)).to_contain_text(words)
    return card(page, stage)


def sign(page: Page, stage: str, person: str, comment: str) -> str:
    """Sign a stage off at its card; what the dialog said afterwards."""
    become(page, person)
    tap(button(card(page, stage), f"Approve {stage}"))
    dialog(page, f"Approve {stage}").get_by_label("Comment").fill(comment)
    said = submit(page).inner_text()
    close(page)
    return said


def attest(page: Page, person: str, titles: list[str], evidence: str) -> None:
    """Tick several items at once, in the checklist of canary."""
    become(page, person)
    tap(button(ask(page, "/rollout checklist canary", "Checklist of canary"), "Mark done…"))
    shown = dialog(page, "Mark done")
    for title in titles:
        shown.get_by_label(title, exact=True).check()
    shown.get_by_label("Comment").fill(evidence)
    expect(submit(page)).to_contain_text(f"{len(titles)} item{'s' if len(titles) > 1 else ''} done")
    close(page)


def deploy(world: Sandbox, workspace: str, job: str) -> None:
    """What the pipeline of a repository does once its edit was merged: the job as it is written there."""
    host, token = (world.settings[f"DATABRICKS_{workspace.upper()}_{word}"] for word in ("HOST", "TOKEN"))
    target = world.fleet()[(workspace, "job", job)]
    clusters = target["configuration"]["settings"]["job_clusters"]
    for cluster in clusters:
        cluster["new_cluster"]["spark_version"] = "17.3.x-scala2.13"
    body = {"job_id": int(target["id"]), "new_settings": {"job_clusters": clusters}}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{host}/api/2.2/jobs/update", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=10).close()


def skip(page: Page, world: Sandbox, stage: str, state: str) -> None:
    """Skip to the next deadline, by the button of the calendar, until a stage has come so far."""

    def skipped() -> bool:
        if world.state_of(stage) == state:
            return True
        if page.get_by_test_id("clock-next").is_enabled():
            page.get_by_test_id("clock-next").click()
        return False

    world.until(skipped, f"{stage} {state}", PATIENCE)


def now(world: Sandbox) -> datetime:
    """The calendar's instant."""
    return datetime.fromisoformat(world.get("clock")["now"])


def open_window(world: Sandbox) -> None:
    """Go on to the morning when it is late: full may be touched from 06:00 to 22:00."""
    hour = now(world).hour
    if not 6 <= hour < 20:
        world.step(((31 - hour) % 24 or 24) * HOUR)


def terminal(world: Sandbox, *words: str) -> str:
    """``python app.py WORDS`` beside the bot, with its settings; what it printed."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | world.settings
    done = subprocess.run(
        [sys.executable, "app.py", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- the chapters ------------------------------------------------------------------------------------------------------


def test_1_each_home_tab_says_what_waits_for_whom(world: Sandbox, page: Page, keep: Keep) -> None:
    shown = home(page)
    expect(button(shown, "Start dev")).to_be_visible()
    expect(shown).to_contain_text("dev may be started: 12 targets.")
    keep(page, "five-01-home-devops")
    for number, person in (("02", "product-owner"), ("03", "on-call")):
        become(page, person)
        shown = home(page)
        expect(shown).to_contain_text("Nothing waits for you now.")
        expect(button(shown, "Start dev")).to_have_count(0)
        keep(page, f"five-{number}-home-{person}")


def test_2_dev_is_held_by_an_issue_that_was_found_in_a_message(world: Sandbox, page: Page, keep: Keep) -> None:
    become(page, "developer")
    send(page, FOUND)
    start(page, "dev")
    keep(page, "five-04-start-dev")
    expect(submit(page)).to_contain_text("dev is under way")
    close(page)
    reaches(page, world, "dev", "review", "in review")

    become(page, "qa")
    message = posted(page, FOUND)
    message.hover()
    message.get_by_test_id("more-actions").click()
    message.get_by_role("menuitem", name=re.compile("Report as an issue")).click()
    form = dialog(page, "Report an issue")
    expect(form.get_by_label("What is wrong?")).to_have_value(FOUND.removesuffix("."))
    form.get_by_label("Critical: it holds the stage").check()
    form.get_by_label("the quality of data").check()
    form.get_by_label(re.compile("Target, if")).fill("billing-export-dev")
    form.get_by_label("Who looks after it").select_option(label="Dana Developer")
    keep(page, "five-05-report")
    expect(submit(page)).to_contain_text("Issue #1 is reported")
    close(page)
    held = posted(page, "Critical issue #1 holds dev")
    expect(card(page, "dev")).to_contain_text("1 open issue")
    expect(button(card(page, "dev"), "Approve dev")).to_have_count(0)
    show(held)
    keep(page, "five-06-held")

    become(page, "developer")
    refused = ask(page, "/rollout approve dev", "Refused (issues_open)")
    expect(refused).to_contain_text("Next:")
    keep(page, "five-07-refused")
    shown = home(page)
    expect(button(shown, "Approve dev")).to_have_count(0)
    keep(page, "five-08-home-with-issue")
    tap(button(opened(page, button(shown, "Issue #1"), "Rollout"), "Resolve…"))
    form = dialog(page, "Resolve #1")
    form.get_by_label("What was the cause?").fill("The export rounded decimals that 17.3 keeps.")
    form.get_by_label("What was done?").fill("It rounds by itself now.")
    keep(page, "five-09-resolve")
    expect(submit(page)).to_contain_text("is resolved")
    close(page)
    expect(button(shown, "Approve dev")).to_be_visible()
    channel(page)
    posted(page, "Issue #1 no longer holds dev")
    expect(page.get_by_text("Critical issue #1 holds dev")).to_have_count(0)

    assert "dev has passed" in sign(page, "dev", "developer", "The suite is green: ci.example.com/1842")
    expect(card(page, "dev")).to_contain_text("dev · passed")
    keep(page, "five-10-dev-passed")


def test_3_test_is_rejected_and_the_rejection_lifted(world: Sandbox, page: Page, keep: Keep) -> None:
    assert world.state_of("dev") == "passed"
    become(page, "tech-lead")
    tap(button(ask(page, "/rollout checklist canary", "Checklist of canary"), "Assign…"))
    form = dialog(page, "Assign items")
    form.get_by_label("The quality validation was passed").check()
    form.get_by_label(re.compile("Assigned to")).select_option(label="Quinn Tester")
    form.get_by_label("Due").fill("2026-11-25")
    keep(page, "five-11-assign")
    expect(submit(page)).to_contain_text("1 item assigned to @Quinn Tester")
    close(page)
    become(page, "qa")
    shown = home(page)
    expect(shown).to_contain_text("The quality validation was passed")
    expect(shown).to_contain_text("assigned to @Quinn Tester")
    expect(shown).not_to_contain_text("U0SAND0003")
    keep(page, "five-12-home-with-item")

    start(page, "test")
    submit(page)
    close(page)
    reaches(page, world, "test", "review", "in review")
    become(page, "qa")
    tap(button(card(page, "test"), "Reject test"))
    form = dialog(page, "Reject test")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("field-error").locator("visible=true")).to_have_text(
        "Please complete this required field."
    )
    form.get_by_label("What is wrong?").fill("The end-to-end run of orders is red: two totals differ.")
    keep(page, "five-13-reject")
    expect(submit(page)).to_contain_text("You rejected test as QA.")
    close(page)
    expect(card(page, "test")).to_contain_text("rejected by @Quinn Tester (QA)")
    show(posted(page, "test is rejected by @Quinn Tester"))
    keep(page, "five-14-rejected")
    become(page, "devops")
    shown = home(page)
    expect(shown).to_contain_text("test was rejected: look into it")
    keep(page, "five-15-home-rejected")
    channel(page)
    ask(page, "/rollout start staging", "Refused (predecessor_not_passed)")
    keep(page, "five-16-next-is-refused")

    assert "test has passed" in sign(page, "test", "qa", "Green, now that the fixture is renewed.")
    expect(card(page, "test")).to_contain_text("test · passed")


def test_4_staging_bakes_an_edit_arrives_and_a_sign_off_is_taken_back(world: Sandbox, page: Page, keep: Keep) -> None:
    assert world.state_of("test") == "passed"
    form = start(page, "staging")
    expect(form).to_contain_text("1 target deployed from repositories")
    keep(page, "five-17-start-staging")
    submit(page)
    close(page)
    reaches(page, world, "staging", "baking", "baking")
    expect(card(page, "staging")).to_contain_text("0 of 1 repository edit arrived")
    expect(card(page, "staging")).to_contain_text("QA and Tech Lead can sign it after that")
    ask(page, "/rollout approve staging", "(nothing_to_approve) Nothing to approve yet: staging is baking")
    shown = ask(page, "/rollout plan staging --managed", "Edits for repositories")
    expect(shown).to_contain_text("git.example.com/marketing/attribution: 0 of 1 arrived")
    keep(page, "five-18-edits")
    deploy(world, "staging", "marketing-attribution-staging")
    tap(button(shown, "Look again"))
    expect(card(page, "staging")).to_contain_text("1 of 1 repository edit arrived")
    show(card(page, "staging"))
    keep(page, "five-19-edit-arrived")
    skip(page, world, "staging", "review")

    expect(card(page, "staging")).to_contain_text("in review")
    become(page, "qa")
    shown = home(page)
    form = opened(page, button(shown, "Approve staging"), "Approve staging")
    expect(form).to_contain_text("After yours it still needs Tech Lead.")
    keep(page, "five-20-approve-staging")
    expect(submit(page)).to_contain_text("You approved staging as QA.")
    close(page)
    expect(button(shown, "Approve staging")).to_have_count(0)
    keep(page, "five-21-home-signed")
    tap(button(shown, "Take mine back"))
    expect(button(shown, "Take mine back")).to_have_count(0)
    keep(page, "five-22-taken-back")
    if page.get_by_test_id("modal").count():  # else the answer came too late for a dialog, and is in the messages
        close(page)
    channel(page)
    expect(card(page, "staging")).to_contain_text("QA and Tech Lead still missing")
    assert "Still missing: Tech Lead" in sign(page, "staging", "qa", "Looked at the load test, too.")
    assert "staging has passed" in sign(page, "staging", "tech-lead", "As fast as production.")
    expect(card(page, "staging")).to_contain_text("staging · passed")
    keep(page, "five-23-staging-passed")


def test_5_the_plan_is_changed_by_two_people_and_one_item_passed_over_by_two_others(
    world: Sandbox, page: Page, keep: Keep
) -> None:
    assert world.state_of("staging") == "passed"
    become(page, "devops")
    passed = posted(page, "staging has passed")
    expect(passed).to_contain_text("12 checklist items hold canary")
    expect(button(passed, "Start canary")).to_have_count(0)
    refused = ask(page, "/rollout start canary", "Refused (items_open)")
    expect(refused.get_by_role("button", name=re.compile("Override"))).to_have_count(0)  # the plan lets nobody
    keep(page, "five-24-items-open")

    changed = world.state / "changed.yml"
    text = (ROOT / "sandbox" / "plan.yml").read_text()
    changed.write_text(text.replace("\nstages:\n", "\noverride: {role: devops, second: tech-lead}\n\nstages:\n", 1))
    assert "override: nothing → " in terminal(world, "plan", "amend", str(changed), "--as", "U0SAND0004")
    proposed = posted(page, "A change of the plan is proposed")
    show(proposed)
    keep(page, "five-25-proposed")
    refused = press(page, button(proposed, "Accept"), "Refused (proposed_by_you)")
    expect(refused).to_contain_text("Ask DevOps/Platform or Tech Lead to press Accept.")
    become(page, "tech-lead")
    press(page, button(posted(page, "A change of the plan is proposed"), "Accept"), "The plan is amended")
    show(posted(page, "accepted by @Theo Techlead"))
    keep(page, "five-26-accepted")

    shown = home(page)
    expect(shown).to_contain_text("6 checklist items you could tick hold canary.")
    keep(page, "five-27-home-items")
    channel(page)
    attest(
        page,
        "tech-lead",
        ["The performance tests were run to the end", "Breaking changes are on record and dealt with"],
        "wiki.example.com/dbr-17",
    )
    attest(
        page,
        "product-owner",
        ["The stakeholders agree to the upgrade", "The change went through change management"],
        "CHG-2087",
    )
    attest(page, "on-call", ["The runbooks fit the new runtime"], "runbooks.example.com/dbr-17")
    attest(
        page,
        "devops",
        [
            "There is a written plan for going back",
            "Policies, pools and spot settings are ready for 17.3",
            "Catalog and metastore answer to the new runtime",
            "Critical tables can be restored to before the upgrade",
            "Going back was tried out",
        ],
        "runbooks.example.com/dbr-17#back",
    )
    become(page, "qa")
    shown = home(page)
    form = opened(page, button(shown, "Open"), "Checklist item")
    form.get_by_label("Done", exact=True).check()
    form.get_by_label("Evidence").fill("https://wiki.example.com/quality-17.3")
    keep(page, "five-28-item")
    expect(submit(page)).to_contain_text("“The quality validation was passed” is done.")
    close(page)
    expect(shown).not_to_contain_text("The quality validation was passed ·")

    channel(page)
    become(page, "devops-2")
    listed = ask(page, "/rollout override canary", "Not met in canary")
    tap(button(listed, "Override All libraries work on the new runtime"))
    form = dialog(page, "Override")
    form.get_by_label("Why may it be passed over?").fill("The last one is replaced next week; canary has none of it.")
    keep(page, "five-29-override")
    expect(submit(page)).to_contain_text("Tech Lead has to confirm it.")
    close(page)
    wanted = posted(page, "an override is asked for")
    press(page, button(wanted, "Confirm"), "asked_by_you")
    show(wanted)
    keep(page, "five-30-override-asked")
    become(page, "tech-lead")
    press(page, button(posted(page, "an override is asked for"), "Confirm"), "Passed over: All libraries work")
    posted(page, "a condition is passed over by @Ola Ops and @Theo Techlead")
    expect(page.get_by_text("an override is asked for")).to_have_count(0)
    keep(page, "five-31-overridden")
    ask(page, "/rollout start canary", "Refused (starter_overrode)")  # who passed over it does not start on it


def test_6_canary_bakes_a_night_and_a_day_and_three_people_sign(world: Sandbox, page: Page, keep: Keep) -> None:
    assert world.state_of("staging") == "passed"
    form = start(page, "canary")
    expect(form).to_contain_text("3 targets will be changed")
    keep(page, "five-32-start-canary")
    submit(page)
    close(page)
    reaches(page, world, "canary", "baking", "baking")
    expect(card(page, "canary")).to_contain_text("Overridden")
    show(card(page, "canary"))
    keep(page, "five-33-canary-bakes")
    became = now(world)
    skip(page, world, "canary", "review")
    assert (now(world) - became).total_seconds() >= NIGHT_AND_DAY - HOUR

    expect(card(page, "canary")).to_contain_text("in review")
    become(page, "tech-lead")
    tap(button(card(page, "canary"), "Approve canary"))
    form = dialog(page, "Approve canary")
    expect(form).to_contain_text(re.compile(r"now \(17\.3\): \d+ runs"))
    keep(page, "five-34-approve-canary")
    form.get_by_label("Comment").fill("No more failures than before.")
    expect(submit(page)).to_contain_text("Still missing: Product Owner and QA")
    close(page)
    show(card(page, "canary"))
    expect(card(page, "canary")).to_contain_text("@Theo Techlead (Tech Lead)")
    keep(page, "five-35-one-of-three")
    become(page, "devops")
    refused = ask(page, "/rollout override canary sign-off:qa They are on holiday.", "Refused (not_overridable)")
    show(refused)
    keep(page, "five-36-no-override-of-a-sign-off")
    assert "Still missing: Product Owner" in sign(page, "canary", "qa", "Counts and key figures compared.")
    assert "canary has passed" in sign(page, "canary", "product-owner", "")
    expect(card(page, "canary")).to_contain_text("canary · passed")
    keep(page, "five-37-canary-passed")


def test_7_full_is_signed_by_all_five_roles_and_the_summary_is_posted(world: Sandbox, page: Page, keep: Keep) -> None:
    assert world.state_of("canary") == "passed"
    become(page, "developer")
    listed = ask(page, "/rollout checklist full", "1 item must be done before full may start")
    tap(button(listed, "Open").first)
    form = dialog(page, "Checklist item")
    form.get_by_label("Done", exact=True).check()
    form.get_by_label("Evidence").fill("replaced: git.example.com/orders/pull/211")
    submit(page)
    close(page)
    open_window(world)
    become(page, "devops")
    ask(page, "/rollout refresh", "look")  # a day later the workspaces are looked at anew first
    form = start(page, "full")
    expect(form).to_contain_text("Only every day 06:00-22:00 UTC.")
    keep(page, "five-38-start-full")
    submit(page)
    close(page)
    reaches(page, world, "full", "review", "in review")
    ask(page, "/rollout approve full", "Refused (started_by_you)")
    keep(page, "five-39-not-the-starter")
    people = {"developer": "Developer", "tech-lead": "Tech Lead", "qa": "QA", "devops-2": "DevOps/Platform"}
    for person, title in people.items():
        assert f"You approved full as {title}." in sign(page, "full", person, "")
    become(page, "product-owner")
    tap(button(card(page, "full"), "Approve full"))
    form = dialog(page, "Approve full")
    expect(form).to_contain_text("Yours is the last sign-off.")
    expect(form).to_contain_text("Still to come: 1 repository edit")
    keep(page, "five-40-last-sign-off")
    expect(submit(page)).to_contain_text("full has passed")
    close(page)
    expect(card(page, "full")).to_contain_text("full · passed")
    summary = posted(page, re.compile(r"Final summary · \d+ of 14 lines hold"))
    for phase in ("Pre-Rollout", "During Rollout", "Post-Rollout"):
        expect(summary).to_contain_text(phase)
    show(summary)
    keep(page, "five-41-final-summary")


def test_8_home_report_and_audit_tell_how_it_went(world: Sandbox, page: Page, keep: Keep) -> None:
    assert world.state_of("full") == "passed"
    for number, person in (("42", "product-owner"), ("43", "devops")):
        become(page, person)
        shown = home(page)
        expect(shown).to_contain_text("All 5 stages have passed.")
        expect(shown).to_contain_text("on 17.3")
        keep(page, f"five-{number}-home-at-the-end-{person}")
    channel(page)
    report = ask(page, "/rollout report", "Sign-offs")
    for signer in ("@Dana Developer", "@Theo Techlead", "@Quinn Tester", "@Ola Ops", "@Petra Owner"):
        expect(report.locator("table", has_text="Signature")).to_contain_text(signer)
    show(report.locator("table", has_text="Signature"))
    keep(page, "five-44-sign-offs")
    audit = ask(page, "/rollout audit", "chain intact")
    show(audit)
    keep(page, "five-45-audit")
    tap(button(audit, re.compile(r"^Next \(2 of")))
    expect(page.get_by_role("button", name="Previous")).to_be_visible()
    lines = terminal(world, "rollout", "--as", "U0SAND0004", "audit", "--jsonl").splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    kinds = Counter((e["kind"], e["outcome"]) for e in told)
    assert kinds["approve", "done"] == 1 + 1 + 3 + 3 + 5  # one of staging's was taken back
    for kind in ("assign", "issue", "reject", "revoke", "override", "override_confirmed", "plan_amended"):
        assert kinds[kind, "done"] >= 1, kind
    assert "started_by_you" in {e["reason_code"] for e in told if e["outcome"] == "refused"}
    assert len(terminal(world, "rollout", "--as", "U0SAND0004", "audit", "--csv").splitlines()) == len(told) + 1


def test_9_on_call_takes_the_last_stage_back(world: Sandbox, page: Page, keep: Keep, artefacts: Path) -> None:
    assert world.state_of("full") == "passed"
    become(page, "on-call")
    on_old = rows(page, "prod", "13.3")
    page.locator("[data-testid=workspace-toggle]", has_text="prod").click()
    refused = ask(page, "/rollout rollback canary", "Refused (later_stage_started)")
    expect(button(refused, "Roll back full and canary")).to_be_visible()
    keep(page, "five-46-later-stage")
    send(page, "/rollout rollback full")
    form = dialog(page, "Roll back full")
    expect(form).to_contain_text("23 targets will be put back")
    form.get_by_label(re.compile("Why")).fill("The dashboards of finance are red.")
    keep(page, "five-47-rollback")
    submit(page)
    close(page)
    world.until_stage("full", "rolled_back", seconds=PATIENCE)
    ended = posted(page, "full is rolled back")
    expect(ended).to_contain_text("23 of 23 targets put back")
    expect(on_old.first).to_be_attached()
    expect(card(page, "full")).to_contain_text("equal to their backups")
    show(ended)
    keep(page, "five-48-rolled-back")
    shown = home(page)
    expect(shown).to_contain_text("full · rolled back · 23 of 23 targets put back")
    expect(shown).not_to_contain_text("upgraded █")
    keep(page, "five-49-home-after-the-rollback")

    if os.environ.get("ROLLOUT_PICTURES") == "1":
        for name, picture in PICTURES.items():
            shutil.copy(artefacts / f"story-{name}.png", ROOT / "docs" / "images" / picture)


def test_the_pictures_of_the_docs_are_there_and_small() -> None:
    for picture in PICTURES.values():
        assert 10_000 < (ROOT / "docs" / "images" / picture).stat().st_size < PICTURE_BYTES
