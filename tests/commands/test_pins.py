"""Pins, overlaps, orphans, edits for repositories and drift: what people see of them and are asked about."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.render.views import form_view, typed_values
from commands.plaintext import render
from commands.reply import Buttons, FieldErrors, PersonInput, Reply, Request, Surface
from rollout.drift import FELL_BACK, Drift
from rollout.states import ActionKind, ActionState, StageState
from storage.models import Outbox, Target, Workspace
from tests.commands.world import NOW, PEOPLE, World


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url)
    yield made
    made.close()


def set_target(world: World, name: str, **values: Any) -> None:
    with world.database.write() as session:
        session.execute(update(Target).where(Target.name == name).values(**values))


def target(world: World, name: str) -> Target:
    with world.database.read() as session:
        return session.execute(select(Target).where(Target.name == name)).scalar_one()


def said(reply: Reply) -> str:
    return render(reply)


def pin(world: World, name: str = "dev nightly 1", by: str = "devops", owner: str = "qa") -> Reply:
    return world.confirm(by, f"pin {name}", reason="needs a port", owner=PEOPLE[owner])


# -- pin and un-pin ----------------------------------------------------------------------------------------------------


def test_a_target_is_pinned_with_a_reason_and_an_owner_and_leaves_the_change_set(world: World) -> None:
    assert "pinned" in said(pin(world))
    found = target(world, "dev nightly 1")
    assert (found.pinned_reason, found.pinned_by) == ("needs a port", PEOPLE["devops"])
    assert (found.pinned_owner, found.pinned_at) == (PEOPLE["qa"], NOW)
    assert "pinned" in world.outbox()
    event = world.events("pin")[0]
    assert event.data["owner"] == PEOPLE["qa"]
    assert "2 targets to change, 1 pinned" in said(world.say("qa", "status dev"))


@pytest.mark.parametrize("verb", ["status", "status dev", "plan", "plan dev", "report", ""])
def test_a_pin_is_listed_everywhere_with_its_reason_and_owner(world: World, verb: str) -> None:
    pin(world)
    text = said(world.say("developer", verb))
    assert "dev nightly 1 (job, dev): needs a port" in text
    assert f"owner @{PEOPLE['qa']}" in text


def test_the_card_and_the_daily_summary_list_pins(world: World) -> None:
    pin(world)
    world.started("dev", StageState.UPGRADING)
    card = world.door.card(world.stage("dev").id)
    daily = world.door.document("daily_summary", world.rollout_id, None, {})
    for reply in (card, daily):
        assert reply is not None
        assert "needs a port" in said(reply)


def test_a_pin_without_a_reason_or_an_owner_is_refused_in_its_form(world: World) -> None:
    form = world.say("devops", "pin dev nightly 1").form
    assert form is not None
    with pytest.raises(FieldErrors) as raised:
        world.submit("devops", form, reason=" ", owner="")
    assert set(raised.value.errors) == {"reason", "owner"}
    assert target(world, "dev nightly 1").pinned_reason is None


def test_who_may_neither_start_nor_roll_back_may_not_pin(world: World) -> None:
    assert world.say("product-owner", "pin dev nightly 1").refused == "not_permitted"
    pin(world)
    assert world.say("product-owner", "unpin dev nightly 1").refused == "not_permitted"
    assert target(world, "dev nightly 1").pinned_reason == "needs a port"


def test_what_is_pinned_is_not_pinned_again_and_what_is_not_is_not_lifted(world: World) -> None:
    assert world.say("devops", "unpin dev nightly 1").refused == "not_pinned"
    pin(world)
    assert world.say("devops", "pin dev nightly 1").refused == "pinned"


def test_work_that_has_not_ended_holds_a_pin(world: World) -> None:
    world.carry_out("dev", ActionKind.BACKUP, state=ActionState.PENDING)
    assert world.say("devops", "pin dev nightly 1").refused == "actions_in_flight"


def test_lifting_a_pin_is_recorded_and_the_target_is_planned_again(world: World) -> None:
    pin(world)
    assert "planned in dev" in said(world.say("on-call", "unpin dev nightly 1 it was ported"))
    found = target(world, "dev nightly 1")
    assert (found.pinned_reason, found.pinned_owner, found.stage_key) == (None, None, "dev")
    data = world.events("unpin")[0].data
    assert (data["was"], data["owner"], data["reason"]) == ("needs a port", PEOPLE["qa"], "it was ported")


def test_a_target_whose_stage_has_begun_joins_the_next_one_that_has_not(world: World) -> None:
    pin(world)
    world.passed("dev")
    assert "planned in test" in said(world.say("devops", "unpin dev nightly 1"))
    found = target(world, "dev nightly 1")
    assert (found.stage_key, found.moved_to) == ("test", "test")


def test_where_no_stage_is_left_it_is_said_that_nobody_moves_it(world: World) -> None:
    pin(world, "full nightly 1")
    world.passed("dev", "test", "staging", "canary")
    world.started("full", StageState.REVIEW)
    assert "move it by hand" in said(world.say("devops", "unpin full nightly 1"))


def test_rolling_back_one_target_asks_for_the_owner_of_its_pin(world: World) -> None:
    world.started("dev", StageState.BLOCKED)
    world.confirm("devops", "rollback dev nightly 1", reason="broke", owner=PEOPLE["qa"])
    assert target(world, "dev nightly 1").pinned_owner == PEOPLE["qa"]


def test_pinning_what_was_changed_puts_it_back(world: World) -> None:
    world.started("dev", StageState.BLOCKED)
    form = world.say("devops", "pin dev nightly 1").form
    assert form is not None
    assert form.verb == "rollback"


def test_the_owner_is_chosen_among_people_in_slack(world: World) -> None:
    form = world.say("devops", "pin dev nightly 1").form
    assert form is not None
    assert isinstance(form.inputs[1], PersonInput)
    view = form_view(form, "C0SUPPORT1", home=False)
    element = view["blocks"][-1]["element"]
    assert element == {"type": "users_select", "initial_user": PEOPLE["devops"], "action_id": "owner"}
    chosen = {"in:owner": {"owner": {"type": "users_select", "selected_user": "U0CHOSEN01"}}}
    assert typed_values(chosen) == {"owner": "U0CHOSEN01"}


# -- the last stage asks -----------------------------------------------------------------------------------------------


def ready_for_full(world: World) -> None:
    world.tick_all()
    world.passed("dev", "test", "staging", "canary")


def test_the_last_start_asks_about_each_pin_and_keeps_what_is_not_ticked(world: World) -> None:
    pin(world)
    ready_for_full(world)
    form = world.say("devops", "start full").form
    assert form is not None
    text = said(Reply("", form=form))
    assert "dev nightly 1 (job, dev): needs a port" in text
    assert "Lift these pins" in text
    world.submit("devops", form)
    assert world.stage("full").state is StageState.PREPARING
    assert target(world, "dev nightly 1").pinned_reason == "needs a port"


def test_a_pin_that_is_ticked_at_the_last_start_is_lifted_and_nothing_is_started(world: World) -> None:
    pin(world)
    ready_for_full(world)
    reply = world.confirm("devops", "start full", unpin=[str(target(world, "dev nightly 1").id)])
    assert "it is planned in full" in said(reply)
    assert world.stage("full").state is StageState.READY
    found = target(world, "dev nightly 1")
    assert (found.pinned_reason, found.stage_key) == (None, "full")
    assert "4 targets will be changed" in said(world.say("devops", "start full"))


def test_the_last_approval_asks_about_each_pin_too(world: World) -> None:
    pin(world, "full nightly 1")
    ready_for_full(world)
    world.started("full", StageState.REVIEW)
    form = world.say("qa", "approve full").form
    assert form is not None
    assert "full nightly 1 (job, prod): needs a port" in said(Reply("", form=form))
    reply = world.submit("on-call", form, unpin=[str(target(world, "full nightly 1").id)])
    assert reply.refused is not None  # who does not sign lifts nothing by this form
    assert target(world, "full nightly 1").pinned_reason == "needs a port"


def test_an_earlier_stage_does_not_ask(world: World) -> None:
    pin(world)
    form = world.say("devops", "start dev").form
    assert form is not None
    assert "unpin" not in {question.key for question in form.inputs}


# -- overlaps and orphans ----------------------------------------------------------------------------------------------


def test_an_overlap_is_shown_by_the_plan_and_refuses_the_start_of_both_stages(world: World) -> None:
    set_target(world, "dev nightly 1", also_in=["test"])
    assert world.say("devops", "start dev").refused == "selection_overlap"
    assert "dev nightly 1 (dev, test)" in said(world.say("devops", "start dev"))
    for text in ("plan", "plan dev", "plan test"):
        assert "1 target selected by more than one stage (selection_overlap): dev nightly 1" in said(
            world.say("qa", text)
        )
    assert "selection_overlap" not in said(world.say("qa", "plan staging"))
    assert "dev and test select the same targets" in said(world.say("qa", "status"))
    world.passed("dev")
    assert "selection_overlap" in said(world.say("devops", "start test"))


def test_orphans_are_those_on_the_old_runtime_that_no_stage_takes(world: World) -> None:
    set_target(world, "dev nightly 1", stage_key=None)
    set_target(world, "test nightly 1", stage_key=None, release="17.3")
    set_target(world, "full nightly 1", stage_key=None, release="13.3 + 15.4")
    text = said(world.say("qa", "plan"))
    assert "3 targets in no stage: the plan's selections take none of them; 2 of them on 13.3" in text
    assert "2 targets on 13.3 in no stage: nobody moves them." in said(world.say("qa", "status"))


# -- repositories ------------------------------------------------------------------------------------------------------

FIELD = {
    "path": ["settings", "job_clusters", "main", "new_cluster", "spark_version"],
    "before": "13.3.x-scala2.12",
    "after": "17.3.x-scala2.13",
}


def owned(world: World, name: str, arrived: bool = False, **more: Any) -> None:
    code = "already_target" if arrived else "managed_by_bundle"
    set_target(
        world,
        name,
        change=None,
        skip_code=code,
        skip_sentence="x",
        skip_next="y",
        managed_by="bundle",
        repository="git/x",
        proposal=[FIELD],
        **more,
    )


def test_the_edits_for_repositories_are_text_to_copy_with_their_owner_and_how_many_arrived(world: World) -> None:
    owned(world, "dev nightly 1", owner="ci@example.com")
    owned(world, "test nightly 1", arrived=True)
    text = said(world.say("qa", "plan --managed"))
    assert "git/x: 1 of 2 arrived" in text
    assert "# repository: git/x" in text
    assert "# owner: ci@example.com" in text
    assert 'job: "dev nightly 1"  # dev' in text
    assert '  job cluster "main":\n-   spark_version: "13.3.x-scala2.12"\n+   spark_version: "17.3.x-scala2.13"' in text
    assert "test nightly 1" not in text  # it has arrived
    assert "git/x: 1 of 1 arrived" in said(world.say("qa", "plan test —managed"))
    assert "is deployed from a repository" in said(world.say("qa", "plan staging --managed"))


def test_a_terminal_shows_the_edits_of_all_repositories_at_once(world: World) -> None:
    owned(world, "dev nightly 1")
    owned(world, "test nightly 1")
    set_target(world, "test nightly 1", repository="git/y")
    request = Request(world.actor("qa"), "plan", {"managed": True}, Surface.TERMINAL, world.plan.channel)
    text = said(world.door.handle(request))
    assert "# repository: git/x" in text
    assert "# repository: git/y" in text


def test_the_edits_come_as_a_file_which_is_asked_for_by_a_button_and_made_when_it_is_uploaded(world: World) -> None:
    owned(world, "dev nightly 1")
    owned(world, "test nightly 1")
    set_target(world, "test nightly 1", repository="git/y")
    reply = world.say("qa", "plan --managed")
    buttons = [b for block in reply.blocks if isinstance(block, Buttons) for b in block.buttons]
    one = next(b for b in buttons if b.label == "Download the edits")
    assert "being uploaded" in said(world.press("qa", one.verb, one.arguments))
    assert "just now already" in said(world.press("qa", one.verb, one.arguments)), "a second click asks for nothing"
    assert world.outbox().count("edits") == 1
    with world.database.read() as session:
        ids = session.execute(select(Outbox.ids).where(Outbox.kind == "edits")).scalar_one()
    assert ids == {"stage": None, "repository": one.arguments["repository"], "by": PEOPLE["qa"]}
    made = world.door.document("edits", world.rollout_id, None, ids)
    assert made is not None
    assert made.file is not None
    assert f"# repository: {one.arguments['repository']}" in made.file.text
    assert made.file.text.count("# repository:") == 1
    whole = next(b for b in buttons if b.label == "Download all the edits")
    world.press("qa", whole.verb, whole.arguments)
    both = world.door.document("edits", world.rollout_id, None, {"by": PEOPLE["qa"]})
    assert both is not None
    assert both.file is not None
    assert both.file.text.count("# repository:") == 2
    assert world.events("download")[0].actor == PEOPLE["qa"]


def test_what_has_arrived_meanwhile_is_in_no_file(world: World) -> None:
    owned(world, "dev nightly 1")
    world.say("qa", "download dev")
    owned(world, "dev nightly 1", arrived=True)
    assert world.door.document("edits", world.rollout_id, None, {"stage": "dev", "by": "U1"}) is None
    refused = world.say("qa", "download dev")
    assert refused.refused == "nothing_to_download"
    assert "Download" not in said(world.say("qa", "plan dev --managed"))


def test_a_terminal_prints_the_edits_and_asks_for_no_upload(world: World) -> None:
    owned(world, "dev nightly 1")
    request = Request(world.actor("qa"), "download", {"words": "dev"}, Surface.TERMINAL, world.plan.channel)
    reply = world.door.handle(request)
    assert "# repository: git/x" in said(reply)
    assert reply.file is not None
    assert "edits" not in world.outbox()


@pytest.mark.parametrize("text", ["plan", "plan dev", "status", "status dev", "report"])
def test_the_stage_counts_what_repositories_have_to_change(world: World, text: str) -> None:
    owned(world, "dev nightly 1")
    world.started("dev", StageState.REVIEW)
    shown = said(world.say("qa", text))
    assert "0 of 1 repository edit arrived" in shown or "git/x: 0 of 1 arrived" in shown


def test_before_a_stage_begins_its_repositories_are_a_way_to_go_and_no_count(world: World) -> None:
    owned(world, "dev nightly 1")
    shown = said(world.say("qa", "status"))
    assert "1 deployed from repositories (/rollout plan --managed has the edit)" in shown
    assert "edit arrived" not in shown


def test_to_pin_what_was_changed_is_asked_for_as_a_pin_that_puts_it_back_first(world: World) -> None:
    world.started("dev", StageState.REVIEW)
    form = world.say("devops", "pin dev nightly 1").form
    assert form is not None
    assert (form.title, form.submit) == ("Pin target", "Put back and pin")
    assert "first it is put back from its backup" in str(form.body)
    assert world.submit("devops", form, reason="an old jar").refused is None


def test_the_start_says_what_repositories_change_and_what_is_changed_in_spite_of_them(world: World) -> None:
    owned(world, "dev nightly 1")
    set_target(world, "dev etl 0", managed_by="terraform", repository="git/infra")
    text = said(Reply("", form=world.say("devops", "start dev").form))
    assert "1 target deployed from repositories: backed up now, changed there; 1 still to come." in text
    assert "the next deploy of git/infra (1) writes the old runtime back unless it is changed there" in text
    assert "the next deploy of git/infra (1) writes the old" in said(world.say("qa", "plan dev"))


def test_the_start_of_a_canary_says_what_is_dragged_along(world: World) -> None:
    cluster = target(world, "canary etl 0")
    set_target(world, "full nightly 1", about={"uses": [["cluster", cluster.object_id]]})
    world.tick_all()
    world.passed("dev", "test", "staging")
    text = said(Reply("", form=world.say("devops", "start canary").form))
    assert "Not isolated: drags along job full nightly 1 (by cluster canary etl 0)." in text
    text = said(world.say("qa", "status canary etl 0"))
    assert "Not isolated: drags along job full nightly 1" in text
    assert "Isolated: nothing else moves with it" in said(world.say("qa", "status dev etl 0"))


def test_the_way_back_is_said_before_the_start(world: World) -> None:
    note = "the workspace no longer lists 13.3: where it is refused, the way back is to 16.4"
    planned = {**(target(world, "dev etl 0").change or {}), "notes": [note]}
    set_target(world, "dev etl 0", change=planned)
    assert f"1 target: {note}." in said(Reply("", form=world.say("devops", "start dev").form))


def test_an_emergency_way_back_is_ticked_by_itself_and_names_the_repository(world: World) -> None:
    world.started("dev", StageState.REVIEW)
    assert "Deployed from repositories" not in said(Reply("", form=world.say("devops", "rollback dev").form))
    owned(world, "dev nightly 1", arrived=True)  # it was backed up with the others
    form = world.say("devops", "rollback dev").form
    text = said(Reply("", form=form))
    assert "the way back is a deploy of git/x (1)." in text
    assert "the next deploy of that repository undoes it" in text
    world.submit("devops", form, managed_too=["api"])
    reverts = world.actions("dev", ActionKind.REVERT)
    assert [(a.target_id, (a.change or {})["fields"]) for a in reverts] == [
        (target(world, "dev nightly 1").id, [FIELD])
    ]
    assert world.events("rollback_managed")[0].data == {"repositories": ["git/x"]}


# -- drift and what runs without a job ---------------------------------------------------------------------------------


def test_drift_is_shown_until_it_is_resolved_and_reported_by_repository_and_owner(world: World) -> None:
    world.started("dev", StageState.REVIEW)
    by = Drift(FELL_BACK, "17.3", "13.3", NOW, "mia@example.com", NOW - timedelta(hours=1))
    set_target(world, "dev etl 0", drift=by.to_json(), owner="etl@example.com")
    unknown = Drift(FELL_BACK, "17.3", "13.3", NOW)
    set_target(world, "dev nightly 1", drift=unknown.to_json(), repository="git/x")
    document = world.door.document("drift", world.rollout_id, None, {})
    assert document is not None
    for text in (said(document), said(world.say("qa", "report"))):
        assert "repository git/x: 1 target" in text
        assert "owner etl@example.com: 1 target" in text
        assert "edited by mia@example.com at 2026-03-02 09:00 UTC" in text
        assert "the API does not say by whom" in text
    assert "2 targets are not as we set them" in said(world.say("qa", "status"))
    assert "2 drifted" in said(world.say("qa", "status dev"))
    assert "Drifted: no longer on what we set (17.3 wanted, 13.3 found)" in said(world.say("qa", "status dev etl 0"))
    world.alter(Target, drift=None)
    assert world.door.document("drift", world.rollout_id, None, {}) is None
    assert "drifted" not in said(world.say("qa", "status dev"))


def test_runs_without_a_job_on_the_old_runtime_are_reported_by_creator(world: World) -> None:
    def submitted(release: str, creator: str, runs: int) -> dict[str, Any]:
        return {"creator": creator, "name": "airflow load", "release": release, "runs": runs, "last": NOW.isoformat()}

    with world.database.write() as session:
        found = [submitted("13.3", "airflow@example.com", 40), submitted("17.3", "new@example.com", 9)]
        session.execute(update(Workspace).where(Workspace.key == "prod").values(submitted=found))
    text = said(world.say("qa", "plan"))
    assert "40 runs without a job on 13.3 in the last week:" in text
    assert "airflow@example.com: airflow load (40 in prod)" in text
    assert "new@example.com" not in text


def test_who_ran_it_last_and_whether_it_runs_now(world: World) -> None:
    activity = {"at": NOW.isoformat(), "by": "batch@example.com", "by_schedule": True, "running": 2}
    set_target(world, "dev nightly 1", activity=activity, about={"creator": "mia@example.com", "tags": {"team": "x"}})
    text = said(world.say("qa", "status dev nightly 1"))
    assert "Mon 02 Mar 10:00 UTC by its schedule, as batch@example.com, 2 runs under way at the last look" in text
    assert "made by mia@example.com; tags team" in text
    assert "team=x" not in text  # companies put anything into the values of tags
