"""Where each team signs: it sees and signs its own targets only, and what nobody signed in time is left behind once."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from commands.plaintext import render
from commands.reply import Reply
from rollout.gates import Refuse
from rollout.plan import Criterion, EachTeam, OfTeam, Plan, Team
from rollout.states import ActionKind, ActionState, StageState
from storage import intents_issues, teamdue
from storage.models import Action, Event, KnownPerson, Outbox, SignOff, Target
from tests.commands.world import NOW, PEOPLE, TEAM, World, sandbox_plan

S = StageState
#: Beside the people of the sandbox's plan.
MORE = {"bo": "U0TEAM0001", "sam": "U0TEAM0002", "both": "U0TEAM0003"}


def planned(**rule: Any) -> Plan:
    """Two teams, and a target of none; the canary is signed by each of them as developer."""
    plan = sandbox_plan()
    teams = {
        "billing": Team(title="Billing", select=OfTeam(tags=("team=billing",)), members=(MORE["bo"], MORE["both"])),
        "search": Team(
            title="Search",
            select=OfTeam(tags=("team=search",)),
            members=(MORE["sam"], MORE["both"]),
            channel="C0SEARCH01",
        ),
    }
    stages = tuple(
        s.model_copy(
            update={"sign_offs": {"developer": 1, **s.sign_offs}, "each_team": {"developer": EachTeam(**rule)}}
        )
        if s.key == "canary"
        else s
        for s in plan.stages
    )
    return plan.model_copy(update={"teams": teams, "stages": stages})


def made(url: str, **rule: Any) -> World:
    PEOPLE.update(MORE)
    world = World(url, plan=planned(**rule))
    whose = ("billing", "search", None)
    with world.database.write() as session:
        for number, target in enumerate(
            session.execute(select(Target).where(Target.stage_key == "canary").order_by(Target.id)).scalars()
        ):
            target.team = whose[number]
    world.passed("dev", "test", "staging")
    world.tick_all()
    return world


@pytest.fixture
def pinning(migrated_sqlite_url: str) -> Iterator[World]:
    world = made(migrated_sqlite_url, after=2 * 86_400, unsigned="pin")
    yield world
    world.close()


@pytest.fixture
def blocking(migrated_sqlite_url: str) -> Iterator[World]:
    world = made(migrated_sqlite_url, after=86_400)
    yield world
    world.close()


@pytest.fixture(autouse=True)
def _only_here() -> Iterator[None]:
    yield
    for name in MORE:
        PEOPLE.pop(name, None)


def text(reply: Reply) -> str:
    return render(reply)


def review(world: World) -> World:
    world.started("canary", S.REVIEW)
    return world


def signed(world: World) -> list[tuple[str, str | None]]:
    with world.database.read() as session:
        rows = session.execute(
            select(SignOff)
            .where(SignOff.stage_id == world.stage("canary").id, SignOff.revoked_at.is_(None))
            .order_by(SignOff.id)
        ).scalars()
        return [(row.user_id, row.team) for row in rows]


def the_rest_signs(world: World) -> None:
    for person in ("developer", "tech-lead", "qa", "devops-2", "product-owner"):
        if person.replace("-2", "") in world.plan.stage("canary").sign_offs:
            world.confirm(person, "approve canary")


def test_a_team_is_shown_its_own_targets_and_signs_for_them_only(pinning: World) -> None:
    world = review(pinning)
    form = world.say("bo", "approve canary").form
    assert form is not None
    shown = text(Reply("", form.body))
    assert "Billing: 1 of 3 targets" in shown
    assert "canary etl 0" in shown
    assert "canary nightly 1" not in shown
    world.submit("bo", form)
    assert signed(world) == [(MORE["bo"], "billing")]
    status = text(world.say("qa", "status canary"))
    assert "teams 1 of 2, waiting: Search" in status
    assert "Developer of Billing" in status
    card = text(world.door.card(world.stage("canary").id))
    assert "teams 1 of 2, waiting: Search" in card
    assert "teams 1 of 2" in text(world.say("qa", "report"))
    checklist = world.say("sam", "checklist canary")
    assert "waiting: Search" in text(checklist)
    assert "Approve canary" in str(checklist.blocks)


def test_nobody_signs_for_a_team_that_they_are_not_in(pinning: World) -> None:
    world = review(pinning)
    form = world.say("bo", "approve canary").form
    for place in ("developer@search", "developer", "qa", "developer@nothing", "@billing"):
        refused = world.submit("bo", form, role=place)
        assert refused.refused in {"not_in_team", "not_a_role_holder"}, place
    assert world.submit("bo", form, role="developer@search").refused == "not_in_team"
    qa = world.say("qa", "approve canary").form
    assert world.submit("qa", qa, role="developer@billing").refused == "not_in_team"
    # The role itself is for what belongs to no team.
    developer = world.say("developer", "approve canary").form
    assert world.submit("developer", developer, role="developer@billing").refused == "not_in_team"
    assert signed(world) == []


def test_one_person_counts_once_for_each_team_and_not_besides(pinning: World) -> None:
    world = review(pinning)
    form = world.say("both", "approve canary").form
    assert form is not None
    assert "Billing: 1 of 3" in text(Reply("", form.body))
    assert "Search: 1 of 3" in text(Reply("", form.body))
    world.submit("both", form, role="developer@billing")
    assert signed(world) == [(MORE["both"], "billing")]
    assert "waiting: Search" in text(world.say("qa", "status canary"))
    again = world.submit("both", form, role="developer@billing")
    assert again.refused in {"role_filled", "not_a_role_holder"}
    world.confirm("both", "approve canary")
    assert signed(world) == [(MORE["both"], "billing"), (MORE["both"], "search")]
    assert world.say("both", "approve canary").refused == "already_signed"


def test_who_started_a_stage_does_not_sign_for_their_team(pinning: World) -> None:
    pinning.started("canary", S.REVIEW, by="bo")
    assert pinning.say("bo", "approve canary").refused == "started_by_you"


def test_a_rejection_of_a_team_is_lifted_by_the_same_team_only(pinning: World) -> None:
    world = review(pinning)
    world.confirm("bo", "reject canary", reason="our invoices are late")
    world.confirm("sam", "approve canary")
    the_rest_signs(world)
    assert world.stage("canary").state is S.REVIEW
    assert "Developer of Billing" in text(world.say("qa", "status canary"))
    world.confirm("both", "approve canary")  # of the same team
    assert world.stage("canary").state is S.PASSED


def test_the_last_team_passes_the_stage_and_it_stays_passed(pinning: World) -> None:
    world = review(pinning)
    the_rest_signs(world)
    world.confirm("sam", "approve canary")
    assert world.stage("canary").state is S.REVIEW
    world.now += timedelta(minutes=1)
    world.confirm("bo", "approve canary")
    assert world.stage("canary").state is S.PASSED
    world.now += timedelta(hours=1)
    mine = next(t for t in world.targets("canary") if t.team == "billing")
    world.confirm("devops", f"rollback {mine.name}", reason="it got slow")
    assert world.actions("canary", ActionKind.REVERT)
    assert "counts as passed, but" not in text(world.say("qa", "status"))


def test_only_the_team_whose_evidence_changed_signs_again_and_its_giver_is_told(pinning: World) -> None:
    world = review(pinning)
    world.confirm("bo", "approve canary")
    world.confirm("sam", "approve canary")
    assert "teams 2 of 2" in text(world.say("qa", "status canary"))
    world.now += timedelta(minutes=5)
    with world.database.write() as session:  # a second target of the team, so that something is left to sign
        session.execute(update(Target).where(Target.name == "canary etl 2").values(team="billing"))
    mine = next(t for t in world.targets("canary") if t.team == "search")
    world.confirm("devops", f"rollback {mine.name}", reason="late")
    teamdue.tick(world.database, world.now)
    teamdue.tick(world.database, world.now)
    # Nothing is left for Search to sign; Billing's sign-off stands.
    status = text(world.say("qa", "status canary"))
    assert "teams 1 of 1" in status
    assert "Nothing to sign for, all of it is left behind: Search" in status


def test_a_stale_sign_off_does_not_count_and_the_giver_is_told_once_what_changed(migrated_sqlite_url: str) -> None:
    world = made(migrated_sqlite_url)
    with world.database.write() as session:
        session.execute(update(Target).where(Target.stage_key == "canary").values(team="billing"))
        session.execute(update(Target).where(Target.name == "canary nightly 1").values(team="search"))
    review(world)
    world.confirm("bo", "approve canary")
    world.confirm("sam", "approve canary")
    world.now += timedelta(minutes=5)
    world.confirm("devops", "rollback canary etl 0", reason="late")
    for _ in range(3):
        teamdue.tick(world.database, world.now)
    assert world.outbox().count("sign_off_stale") == 1
    assert "teams 1 of 2, waiting: Billing" in text(world.say("qa", "status canary"))
    with world.database.read() as session:
        letter = session.execute(select(Outbox).where(Outbox.kind == "sign_off_stale")).scalar_one()
    said = world.door.document("sign_off_stale", world.rollout_id, letter.stage_id, letter.ids)
    assert said is not None
    assert "put back since: canary etl 0" in text(said)
    world.confirm("bo", "approve canary")
    assert "teams 2 of 2" in text(world.say("qa", "status canary"))
    world.close()


def test_whose_a_target_was_cannot_be_changed_afterwards(pinning: World) -> None:
    world = review(pinning)
    world.confirm("bo", "approve canary")
    with world.database.write() as session:
        session.execute(update(Action).where(Action.team == "search").values(team="billing"))
    assert world.say("sam", "approve canary").refused == "not_a_role_holder"
    assert world.say("qa", "approve canary").refused == "evidence_altered"


def test_the_team_of_a_sign_off_is_signed(pinning: World) -> None:
    world = review(pinning)
    world.confirm("bo", "approve canary")
    world.alter(SignOff.__table__, team="search")
    assert "not counted: sign_off_altered" in text(world.say("qa", "status canary"))
    assert "teams 0 of 2" in text(world.say("qa", "status canary"))


# -- the start ---------------------------------------------------------------------------------------------------------


def test_the_plan_and_the_start_say_who_signs_for_what(pinning: World) -> None:
    shown = text(pinning.say("devops", "plan canary"))
    assert "each signs as Developer for its own targets: Billing 1 and Search 1" in shown
    assert "1 target of no team: signed for by the role itself (Developer ×1)" in shown
    form = pinning.say("devops", "start canary").form
    assert form is not None
    assert "Billing 1 and Search 1" in text(Reply("", form.body))


def test_a_stage_does_not_start_when_a_team_has_nobody_left(pinning: World) -> None:
    with pinning.database.write() as session:
        gone = update(KnownPerson).where(KnownPerson.user_id.in_([MORE["bo"], MORE["both"]]))
        session.execute(gone.values(available=False))
    refused = pinning.say("devops", "start canary")
    assert refused.refused == "roles_unfilled"
    assert "Developer of Billing" in text(refused)


def test_one_person_in_two_teams_does_not_fill_both_places(pinning: World) -> None:
    pinning.forget_people("bo", "sam")
    refused = pinning.say("devops", "start canary")
    assert refused.refused == "roles_unfilled"
    assert "Developer of" in text(refused)


def test_a_target_of_two_teams_holds_the_start_and_is_named(pinning: World) -> None:
    with pinning.database.write() as session:
        session.execute(update(Target).where(Target.name == "canary etl 0").values(team="billing+search"))
    refused = pinning.say("devops", "start canary")
    assert refused.refused == "team_overlap"
    assert "canary etl 0 (billing, search)" in text(refused)
    assert "team_overlap" in text(pinning.say("devops", "plan canary"))


def test_a_start_keeps_whose_each_target_was(pinning: World) -> None:
    pinning.confirm("devops", "start canary")
    teams = [a.team for a in pinning.actions("canary", ActionKind.BACKUP)]
    assert sorted(teams, key=str) == [None, "billing", "search"]


# -- the deadline ------------------------------------------------------------------------------------------------------


def test_a_team_that_does_not_sign_is_warned_and_then_left_behind_once(pinning: World) -> None:
    world = review(pinning)
    world.confirm("bo", "approve canary")
    the_rest_signs(world)
    teamdue.tick(world.database, world.now)
    assert [k for k in world.outbox() if k.startswith("team_")] == ["team_wanted"]
    world.now = NOW + timedelta(days=1, hours=11)
    assert not teamdue.tick(world.database, world.now)
    world.now = NOW + timedelta(days=1, hours=12)
    assert teamdue.tick(world.database, world.now)
    assert not teamdue.tick(world.database, world.now)
    with world.database.read() as session:
        warned = session.execute(select(Outbox).where(Outbox.kind == "team_warned")).scalar_one()
    assert warned.ids["to"] == "C0SEARCH01"
    said = world.door.document("team_warned", world.rollout_id, warned.stage_id, warned.ids)
    assert said is not None
    assert "put back to the old runtime and pinned" in text(said)
    assert "canary nightly 1" in text(said)
    world.now = NOW + timedelta(days=2)
    assert teamdue.tick(world.database, world.now)
    assert not teamdue.tick(world.database, world.now)
    (revert,) = world.actions("canary", ActionKind.REVERT)
    assert revert.state is ActionState.PENDING
    (pinned,) = [t for t in world.targets("canary") if t.pinned_reason]
    assert (pinned.name, pinned.team, pinned.pinned_by) == ("canary nightly 1", "search", None)
    assert pinned.pinned_reason == "team Search did not sign by 2026-03-04 10:00 UTC"
    assert pinned.pinned_owner in (MORE["sam"], MORE["both"])
    # One team held eleven no longer: everybody else had signed, and the stage passed.
    assert world.stage("canary").state is S.PASSED
    (event,) = world.events("team_unsigned")
    assert (event.actor, event.reason_code, event.data["team"]) == (None, "team_unsigned", "search")
    assert world.outbox().count("team_pinned") == 2  # in the thread, and where the team is


def test_after_an_outage_a_team_is_warned_before_its_targets_go_back(pinning: World) -> None:
    world = review(pinning)
    world.now = NOW + timedelta(days=9)
    teamdue.tick(world.database, world.now)
    assert world.actions("canary", ActionKind.REVERT) == []
    assert world.outbox().count("team_warned") == 2
    world.now += timedelta(hours=11)
    teamdue.tick(world.database, world.now)
    assert world.actions("canary", ActionKind.REVERT) == []
    world.now += timedelta(hours=1)
    teamdue.tick(world.database, world.now)
    assert len(world.actions("canary", ActionKind.REVERT)) == 2


def test_who_said_no_is_not_left_behind_for_it(pinning: World) -> None:
    world = review(pinning)
    world.confirm("sam", "reject canary", reason="no")
    world.now = NOW + timedelta(days=1, hours=12)
    teamdue.tick(world.database, world.now)
    world.now = NOW + timedelta(days=2)
    teamdue.tick(world.database, world.now)
    assert [t.team for t in world.targets("canary") if t.pinned_reason] == ["billing"]
    assert world.stage("canary").state is S.REVIEW


def test_while_the_rollout_is_paused_nobody_is_left_behind(pinning: World) -> None:
    world = review(pinning)
    world.say("devops", "pause")
    world.now = NOW + timedelta(days=9)
    assert not teamdue.tick(world.database, world.now)


def test_a_team_that_blocks_is_named_once_and_the_stage_waits_on(blocking: World) -> None:
    world = review(blocking)
    world.confirm("bo", "approve canary")
    for days in (1, 2, 3):
        world.now = NOW + timedelta(days=days)
        teamdue.tick(world.database, world.now)
    assert world.outbox().count("team_overdue") == 2
    assert [e.data["team"] for e in world.events("team_overdue")] == ["search"]
    assert world.stage("canary").state is S.REVIEW
    assert world.actions("canary", ActionKind.REVERT) == []


def test_two_replicas_leave_a_team_behind_once(migrated_url: str) -> None:
    world = review(made(migrated_url, after=2 * 86_400, unsigned="pin"))
    world.now = NOW + timedelta(days=1, hours=12)
    teamdue.tick(world.database, world.now)
    world.now = NOW + timedelta(days=2)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            teamdue.tick(world.database, world.now)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert len(world.actions("canary", ActionKind.REVERT)) == 2
    assert len([e for e in world.events() if e.kind == "team_unsigned"]) == 2
    assert len([e for e in world.events() if e.kind == "rollback"]) == 2
    world.close()


def test_sixty_teams_are_told_in_few_words(migrated_sqlite_url: str) -> None:
    plan = planned()
    many = {
        f"team-{n:02}": Team(title=f"Team {n:02}", select=OfTeam(tags=(f"team={n}",)), members=(f"U0MANY00{n:02}",))
        for n in range(60)
    }
    world = World(migrated_sqlite_url, targets=61, plan=plan.model_copy(update={"teams": many}))
    with world.database.write() as session:
        rows = session.execute(select(Target).where(Target.stage_key == "canary").order_by(Target.id)).scalars().all()
        for number, target in enumerate(rows[:60]):
            target.team = f"team-{number:02}"
            session.add(KnownPerson(user_id=f"U0MANY00{number:02}", team_id=TEAM, available=True, checked_at=NOW))
    world.passed("dev", "test", "staging")
    review(world)
    shown = text(world.say("qa", "status canary"))
    assert "teams 0 of 60, waiting: Team 00, Team 01, Team 02, Team 03, Team 04, Team 05 and 54 more" in shown
    refused = world.say("devops", "start full")
    assert len(text(refused)) < 3000
    assert "predecessor_not_passed" in (refused.refused or "")
    world.close()


def test_the_event_says_in_which_group_the_person_was(pinning: World) -> None:
    world = review(pinning)
    world.confirm("bo", "approve canary")
    approved = [e for e in world.events("approve") if e.outcome == "done"][-1]
    assert approved.data["team"] == "billing"
    assert approved.data["role"] == "developer"
    assert isinstance(approved, Event)


def report(world: World, critical: bool, about: str) -> int:
    found = intents_issues.Found("Totals are wrong", critical, about, PEOPLE["qa"], stage="canary")
    done = intents_issues.report(world.database, world.who("qa"), world.now, world.rollout_id, found)
    assert not isinstance(done, Refuse)
    return done.number


def test_a_deadline_passes_no_stage_that_an_open_issue_holds_and_its_end_does(pinning: World) -> None:
    counts = Criterion(key="data-clean", title="No issue about data", source="x", by="issues", issues="data")
    stages = tuple(
        s.model_copy(update={"criteria": (*s.criteria, counts)}) if s.key == "canary" else s
        for s in pinning.plan.stages
    )
    pinning.adopt(pinning.plan.model_copy(update={"stages": stages}))
    world = review(pinning)
    the_rest_signs(world)
    world.confirm("bo", "approve canary")
    number = report(world, False, "data")
    for hours in (36, 48, 49):
        world.now = NOW + timedelta(hours=hours)
        teamdue.tick(world.database, world.now)
    assert [t.team for t in world.targets("canary") if t.pinned_reason] == ["search"]
    assert world.stage("canary").state is S.REVIEW
    done = intents_issues.resolve(
        world.database, world.who("qa"), world.now, world.rollout_id, number, "a late partition", "it was loaded again"
    )
    assert not isinstance(done, Refuse)
    assert world.stage("canary").state is S.PASSED


def test_a_critical_issue_makes_every_team_sign_again(pinning: World) -> None:
    world = review(pinning)
    world.confirm("bo", "approve canary")
    assert "teams 1 of 2" in text(world.say("qa", "status canary"))
    report(world, True, "other")
    assert "teams 0 of 2" in text(world.say("qa", "status canary"))


def test_what_one_said_for_two_teams_is_taken_back_together(pinning: World) -> None:
    world = review(pinning)
    form = world.say("both", "approve canary").form
    for _ in range(2):
        world.submit("both", world.say("both", "approve canary").form)
    assert [team for _, team in signed(world)] == ["billing", "search"], form
    world.say("both", "revoke canary")
    assert signed(world) == []
    assert world.say("both", "revoke canary").refused is not None


def test_the_review_asks_teams_without_a_channel_by_name_and_says_when_nobody_is_left(pinning: World) -> None:
    world = review(pinning)
    asked = world.door.document("decision_wanted", world.rollout_id, world.stage("canary").id, {})
    assert asked is not None
    shown = text(asked)
    assert f"Developer of Billing: <@{MORE['bo']}>" in shown or "Developer of Billing: @" in shown
    assert "Developer of Search: " not in shown  # it is asked in its channel
    assert "teams 0 of 2, waiting: Billing and Search" in shown
    world.forget_people("bo", "both")
    status = text(world.say("qa", "status"))
    assert "Nobody who is available is left to sign as Developer of Billing (roles_unfilled)" in status


def test_a_plan_that_asks_teams_only_after_the_evidence_was_frozen_asks_the_role(migrated_sqlite_url: str) -> None:
    world = made(migrated_sqlite_url)
    asks = world.plan
    quiet = tuple(s.model_copy(update={"each_team": {}}) for s in asks.stages)
    world.adopt(asks.model_copy(update={"stages": quiet}))
    review(world)
    world.adopt(asks.model_copy(update={"title": "Asked later"}))
    assert world.say("bo", "approve canary").refused == "not_a_role_holder"
    world.confirm("developer", "approve canary")
    assert signed(world) == [(PEOPLE["developer"], None)]
    world.close()


def test_who_said_no_hears_nothing_of_a_deadline(pinning: World) -> None:
    world = review(pinning)
    world.confirm("bo", "reject canary", reason="no")
    world.confirm("sam", "reject canary", reason="no")
    world.now = NOW + timedelta(days=9)
    assert not teamdue.tick(world.database, world.now)
    assert not [kind for kind in world.outbox() if kind.startswith("team_")]
