"""The whole upgrade, as its people would do it: five stages forward by the terminal driver, and back again."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.story.driving import Sandbox, sandbox

pytestmark = (
    pytest.mark.soak
)  # minutes, most of them waiting until answers have settled; test_browser.py is its short form

SIGNERS = {
    "dev": ["developer"],
    "test": ["qa"],
    "staging": ["qa", "tech-lead"],
    "canary": ["tech-lead", "qa", "product-owner"],
    "full": ["developer", "tech-lead", "qa", "devops-2", "product-owner"],
}


@pytest.fixture(scope="module", params=["socket", "http"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    directory: Path = tmp_path_factory.mktemp(request.param)
    with sandbox(directory, "--mode", request.param, speed=600) as world:
        world.start_bot()
        yield world


def what_counts(target: dict[str, Any]) -> Any:
    """The configuration without what the platform sets by itself."""
    raw = target["configuration"]
    return raw.get("settings") or {
        k: raw.get(k) for k in ("spark_version", "runtime_engine", "num_workers", "autoscale")
    }


def start(world: Sandbox, stage: str, by: str = "devops") -> str:
    # After a jump of days the workspaces are looked at anew first: a person would press Look again.
    world.until(world.looked_lately, "a fresh look")
    shown = world.say(by, f"/rollout start {stage}")
    assert f"[Start {stage}]" in shown, shown
    done = world.say(by, "--click", f"Start {stage}")
    assert f"{stage} is under way" in done, done
    return shown


def approve(world: Sandbox, stage: str) -> None:
    for person in SIGNERS[stage]:
        shown = world.say(person, f"/rollout approve {stage}")
        assert f"[Approve {stage}]" in shown, shown
        world.say(person, "--click", f"Approve {stage}")
    assert world.state_of(stage) == "passed"


def done(world: Sandbox, kind: str, of: str) -> int:
    """On how many targets (or supports) of that sort an action of a kind was carried out."""
    wanted = f"kind = '{kind}' AND state = 'done' AND target_id IN (SELECT id FROM target WHERE {of})"
    found: int = world.query(f"SELECT count(DISTINCT target_id) FROM action WHERE {wanted}")[0][0]
    return found


def open_window(world: Sandbox) -> None:
    """Go on to the morning when it is late: full may be touched from 06:00 to 22:00."""
    now = datetime.fromisoformat(world.get("clock")["now"])
    if not 6 <= now.hour < 18:
        world.step(((31 - now.hour) % 24 or 24) * 3600)


def test_the_story_from_the_first_look_to_the_last_sign_off_and_back(story: Sandbox) -> None:
    before = story.fleet()
    assert "/rollout start dev" in story.say("devops", "/rollout")
    plan = story.say("developer", "/rollout plan dev")
    assert "shared-dev" in plan
    assert "already_target" in plan or "already on" in plan.lower()

    refused = story.say("qa", "/rollout start dev")
    assert refused.startswith("Refused (not_permitted)"), refused
    assert story.say("devops", "/rollout approve dev").startswith("Refused (")
    assert story.say("devops", "/rollout start test").startswith("Refused (predecessor_not_passed)")
    for stage in ("dev", "test", "staging"):
        start(story, stage)
        story.until_stage(stage, "baking", "review")
        if stage == "staging":
            assert story.state_of(stage) == "baking"
            story.step(2 * 3600)
            story.until_stage(stage, "review")
        approve(story, stage)

    assert story.say("devops", "/rollout start canary").startswith("Refused (items_open)")
    for person in ("tech-lead", "devops"):
        story.say(person, "/rollout checklist canary")
        story.say(person, "--click", "Mark done")
        assert "items done" in story.say(person, "--submit", "Items=*")
    shown = start(story, "canary")
    assert "3 targets" in shown
    story.until_stage("canary", "baking")
    assert story.say("qa", "/rollout approve canary").startswith("Refused (nothing_to_approve)")
    story.step(2 * 3600)
    story.until(
        lambda: story.query("SELECT count(*) FROM fence WHERE job LIKE 'bake:%'")[0][0] >= 1, "an hourly look", 30
    )
    story.step(24 * 3600)
    story.until_stage("canary", "review")
    assert "runs" in story.say("qa", "/rollout status canary")
    approve(story, "canary")

    open_window(story)
    start(story, "full")
    story.until_stage("full", "review", seconds=180)
    self_signed = story.say("devops", "/rollout approve full")
    assert self_signed.startswith("Refused (started_by_you)"), self_signed
    approve(story, "full")
    after = story.fleet()
    moved = [key for key, target in after.items() if what_counts(target) != what_counts(before[key])]
    assert len(moved) == done(story, "change", "kind NOT IN ('policy', 'pool')") > 60
    assert done(story, "change", "kind = 'policy'") == 2

    refused = story.say("on-call", "/rollout rollback dev")
    assert refused.startswith("Refused (later_stage_started)"), refused
    button = re.search(r"\[(Roll back [^]]+)\]", refused)
    assert button is not None, refused
    story.say("on-call", "--click", button[1])
    story.say("on-call", "--submit")
    for stage in ("full", "canary", "staging", "test", "dev"):
        story.until_stage(stage, "rolled_back", seconds=180)
    back = story.fleet()
    assert [key for key, target in back.items() if what_counts(target) != what_counts(before[key])] == []
    assert done(story, "revert", "kind = 'policy'") == 2

    audit = story.say("developer", "/rollout audit")
    assert "rolled back" in audit
    channel = story.say("developer", "--read", "platform-support")
    assert "dev" in channel
    assert story.stop_bot() == 0


def test_a_daily_summary_was_posted_for_a_day_that_passed(story: Sandbox) -> None:
    posted = story.query("SELECT count(*) FROM outbox WHERE kind = 'daily_summary'")[0][0]
    assert posted >= 1
