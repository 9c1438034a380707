"""What comes next, and whose it is: said at every place alike, and no button leads to a refusal that is known."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from commands.plaintext import render
from commands.reply import Buttons, Progress, Reply
from rollout.plan import Override
from rollout.states import ItemState, StageState, Verdict
from storage import closings
from storage.models import Evidence, Item, Outbox
from tests.commands.world import NOW, PEOPLE, World, sandbox_plan

S = StageState


@pytest.fixture
def overridable(migrated_sqlite_url: str) -> Iterator[World]:
    made = World(
        migrated_sqlite_url,
        plan=sandbox_plan().model_copy(update={"override": Override(role="devops", second="tech-lead")}),
    )
    yield made
    made.close()


def labels(reply: Reply) -> list[str]:
    return [b.label for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons]


def card(world: World, stage: str) -> Reply:
    return world.door.card(world.stage(stage).id)


def posted(world: World, kind: str, stage: str) -> Reply:
    found = world.door.document(kind, world.rollout_id, world.stage(stage).id, {})
    assert found is not None
    return found


def report(world: World, **values: str) -> Reply:
    asked = {"rollout": world.rollout_id, "title": "Orders are late", "about": "other", "owner": PEOPLE["qa"]}
    return world.press("qa", "issue", {**asked, "of_stage": "dev", "critical": "yes", **values, "submitted": True})


def tick(world: World, *keys: str) -> None:
    with world.database.write() as session:
        for key in keys:
            row = Item(rollout_id=world.rollout_id, key=key, state=ItemState.DONE, by=PEOPLE["devops"], at=NOW)
            session.add(row)


def found(world: World, stage: str, criterion: str, verdict: Verdict) -> None:
    """What a check found, as the engine keeps it."""
    row = {"stage_id": world.stage(stage).id, "generation": 1, "criterion": criterion, "verdict": verdict}
    with world.database.write() as session:
        session.add(Evidence(**row, sentence="So it is.", facts={}, at=NOW))


# -- what comes next ---------------------------------------------------------------------------------------------------


def test_a_passed_stage_leads_to_the_checklist_while_that_holds_the_next_one(world: World) -> None:
    world.passed("dev", "test", "staging")
    said = posted(world, "stage_passed", "staging")
    assert "Next: 12 checklist items hold canary: /rollout checklist canary" in render(said)
    assert labels(said) == ["Plan canary", "Checklist"]
    assert "12 checklist items hold canary" in render(card(world, "staging"))
    world.tick_all()
    said = posted(world, "stage_passed", "staging")
    assert "Next: /rollout start canary" in render(said)
    assert labels(said) == ["Plan canary", "Start canary"]


def test_open_items_name_the_roles_that_tick_them(world: World) -> None:
    world.passed("dev", "test", "staging")
    tick(world, *[i.key for i in world.plan.checklist if i.blocks == "canary" and i.key != "quality-validated"])
    assert "QA and Tech Lead: /rollout checklist canary" in render(world.say("devops", "status"))


def test_a_bake_says_until_when_and_who_signs_after_it(world: World) -> None:
    world.passed("dev", "test", "staging")
    world.started("canary", S.BAKING)
    said = render(card(world, "canary"))
    assert "it bakes until" in said
    assert "Product Owner, QA and Tech Lead can sign it after that." in said


def test_a_rejection_waits_for_those_who_started_the_work(world: World) -> None:
    world.started("dev", S.REVIEW)
    world.confirm("developer", "reject dev", reason="Wrong sums.")
    assert "dev was rejected: look into it, or /rollout rollback dev" in render(world.say("tech-lead", ""))
    assert "was rejected: look into it" not in render(world.say("product-owner", ""))


def test_the_end_says_what_is_still_to_come(world: World) -> None:
    world.passed(*[s.key for s in world.plan.stages])
    assert "checklist items (/rollout checklist)" in render(posted(world, "stage_passed", "full"))
    assert "Still to come: " in render(world.say("qa", "status"))
    assert "checklist items you could tick are left." in render(world.say("qa", ""))
    world.tick_all()
    assert "Nothing waits for you now." in render(world.say("qa", ""))
    assert "The upgrade is complete." in render(posted(world, "stage_passed", "full"))
    assert "Still to come" not in render(world.say("qa", "status"))


# -- no button that is refused -----------------------------------------------------------------------------------------


def test_nobody_is_offered_to_approve_what_an_issue_holds(world: World) -> None:
    world.started("dev", S.REVIEW)
    assert "Approve dev" in labels(card(world, "dev"))
    assert report(world).refused is None
    assert "Approve dev" not in labels(card(world, "dev"))
    assert labels(card(world, "dev"))[0] == "Issue #1"


def test_what_counts_issues_is_one_of_the_criteria(world: World) -> None:
    world.started("dev", S.REVIEW)
    found(world, "dev", "settled", Verdict.PASS)
    assert "Criteria: 2 hold, 1 not checked yet" in render(card(world, "dev"))
    report(world)
    assert "Criteria: 1 hold, 1 FAIL, 1 not checked yet" in render(card(world, "dev"))


def test_the_way_back_is_the_last_button_of_a_card(world: World) -> None:
    world.passed("dev")
    assert labels(card(world, "dev")) == ["Details", "Report an issue…", "Roll back dev"]


def test_many_open_items_are_work_and_no_row_of_exceptions(overridable: World) -> None:
    overridable.passed("dev", "test", "staging")
    refused = overridable.say("devops", "start canary")
    assert [b for b in labels(refused) if b.startswith("Override")] == ["Override one…"]
    keys = [i.key for i in overridable.plan.checklist if i.blocks == "canary" and i.key != "libraries"]
    tick(overridable, *keys)
    refused = overridable.say("devops", "start canary")
    assert [b for b in labels(refused) if b.startswith("Override")] == [
        "Override All libraries work on the new runtime"
    ]


# -- what is shown is as it is -----------------------------------------------------------------------------------------


def test_only_work_under_way_has_a_bar_on_the_home_tab(world: World) -> None:
    world.started("dev", S.UPGRADING)
    assert any(isinstance(b, Progress) for b in world.say("qa", "").blocks)
    for state in (S.REVIEW, S.ROLLED_BACK):
        world.started("dev", state)
        assert not any(isinstance(b, Progress) for b in world.say("qa", "").blocks)


def test_the_post_about_a_critical_issue_ends_when_that_holds_nothing_any_more(world: World) -> None:
    report(world)
    with world.database.write() as session:
        session.execute(update(Outbox).where(Outbox.kind == "issue_reported").values(state="sent", message_ts="1.1"))
        assert closings.over(session) == []
    resolve = {"rollout": world.rollout_id, "issue": 1, "cause": "Load", "fix": "More of it", "submitted": True}
    assert world.press("qa", "resolve", resolve).refused is None
    with world.database.read() as session:
        (found,) = closings.over(session)
    assert (found.kind, found.ts, found.channel) == ("issue_reported", "1.1", world.plan.channel)
    said = render(world.door.closing(found.kind, found.stage_id, found.rollout_id, found.ids))
    assert "Issue #1 no longer holds dev: it is resolved" in said
    assert "More of it" in said
    with world.database.write() as session:
        closings.closed(session, found)
        assert closings.over(session) == []


def test_an_issue_that_is_not_critical_any_more_ends_its_post_too(world: World) -> None:
    report(world)
    world.alter(Outbox, state="sent", message_ts="1.1")
    lower = {"rollout": world.rollout_id, "issue": 1, "critical": "no", "owner": PEOPLE["qa"], "submitted": True}
    assert world.press("devops", "triage", lower).refused is None
    with world.database.read() as session:
        found = next(c for c in closings.over(session) if c.kind == "issue_reported")
    assert "it is not critical any more" in render(
        world.door.closing(found.kind, found.stage_id, found.rollout_id, found.ids)
    )


def test_a_title_ends_without_the_full_stop_of_its_message(world: World) -> None:
    report(world, title="Orders are late.")
    world.started("dev", S.REVIEW)
    refused = world.say("developer", "approve dev")
    assert "#1 Orders are late." in refused.text
    assert ".." not in refused.text


def test_events_name_people_and_no_ids(world: World) -> None:
    asked = {"rollout": world.rollout_id, "items": ["runbooks"], "owner": PEOPLE["on-call"], "submitted": True}
    assert world.press("devops", "assign", asked).refused is None
    for text in ("", "audit"):
        said = render(world.say("qa", text))
        assert f"assigned to @{PEOPLE['on-call']}" in said
    assert "by button" not in render(world.say("qa", ""))
    assert "by button" in render(world.say("qa", "audit"))


def test_a_look_of_the_bot_is_ticked_by_nobody_and_shows_what_it_found(world: World) -> None:
    world.passed("dev", "test", "staging")
    asked = {"rollout": world.rollout_id, "items": ["canary-errors-watched"], "submitted": True}
    assert world.press("qa", "mark", asked).refused == "not_attestable"
    world.started("canary", S.REVIEW)
    found(world, "canary", "runs_compared", Verdict.PASS)
    at = {"rollout": world.rollout_id, "stage": "canary"}
    shown = [render(world.press("qa", "checklist", {**at, "page": page})) for page in (0, 1)]
    assert "Failures and durations are watched · by the bot: So it is." in "".join(shown)


def test_the_dialog_of_an_item_says_what_became_of_it(world: World) -> None:
    asked = {"rollout": world.rollout_id, "item": "runbooks", "submitted": True}
    assert "is done." in world.press("devops", "item", {**asked, "state": "done"}).text
    again = world.press("devops", "item", {**asked, "state": "open", "owner": PEOPLE["on-call"]})
    assert "is open again and is assigned." in again.text
    assert "is as it was." in world.press("devops", "item", {**asked, "owner": PEOPLE["on-call"]}).text
