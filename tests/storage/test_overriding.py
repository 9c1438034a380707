"""One unmet condition that two people pass over: who may, what it covers, when it ends, and that nothing else opens."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from engine import watch
from rollout.gates import Refuse
from rollout.plan import Override as Rule
from rollout.plan import Plan
from rollout.states import StageState, Verdict
from storage import chain, evidence, intents_review, intents_signing, overriding
from storage.acting import Who
from storage.intents_signing import Signed
from storage.models import Evidence, Item, Outbox, Override, SignOff, Stage
from storage.sealing import Sealer
from tests.commands.world import PEOPLE, TEAM, World, sandbox_plan

S = StageState
RULE = Rule(role="devops", second="tech-lead")


def who(person: str) -> Who:
    return Who(PEOPLE[person], TEAM)


def ruled(rule: Rule | None = RULE, **stage: Any) -> Plan:
    """The sandbox's plan with that rule for the whole of it, and values of its staging stage."""
    plan = sandbox_plan()
    stages = tuple(s.model_copy(update=stage) if s.key == "staging" else s for s in plan.stages)
    return plan.model_copy(update={"override": rule, "stages": stages})


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url, plan=ruled())
    made.tick_all()
    yield made
    made.close()


def criterion(w: World, stage: str = "staging") -> str:
    return next(c.key for c in w.plan.stage(stage).criteria if c.check is not None)


def found(w: World, verdict: Verdict, code: str = "", stage: str = "staging") -> None:
    """What the check of the stage finds now."""
    with w.database.write() as session:
        session.add(
            Evidence(
                stage_id=w.stage(stage).id,
                generation=w.stage(stage).generation,
                criterion=criterion(w, stage),
                verdict=verdict,
                reason_code=code,
                sentence="2 of 3 targets went down",
                at=w.now,
            )
        )


def in_review(w: World, verdict: Verdict = Verdict.FAIL, code: str = "cluster_error", by: str = "on-call") -> None:
    w.passed("dev", "test")
    found(w, verdict, code)
    w.started("staging", S.REVIEW, by=by)


def ask(w: World, person: str = "devops", condition: str | None = None, stage: str = "staging") -> Any:
    named = condition or f"criterion:{criterion(w)}"
    return overriding.ask(w.database, who(person), w.now, w.rollout_id, stage, named, "a known flake of dev hardware")


def confirm(w: World, asked: Any, person: str = "tech-lead") -> Any:
    assert isinstance(asked, overriding.Asked), asked
    return overriding.confirm(w.database, who(person), w.now, w.rollout_id, asked.override)


def sign(w: World, person: str, stage: str = "staging") -> Any:
    return intents_signing.approve(w.database, who(person), w.now, w.rollout_id, stage)


def codes(refused: object) -> list[str]:
    assert isinstance(refused, Refuse), refused
    return [r.code for r in refused.reasons]


@pytest.mark.parametrize(
    ("verdict", "code"), [(Verdict.FAIL, "cluster_error"), (Verdict.INCONCLUSIVE, "workspace_unreachable")]
)
def test_a_check_that_does_not_hold_holds_the_stage_until_two_people_pass_over_it(
    world: World, verdict: Verdict, code: str
) -> None:
    in_review(world, verdict, code)
    assert codes(sign(world, "qa")) == ["criteria_unmet"]
    before = world.stage("staging").evidence_digest
    asked = ask(world)
    assert codes(sign(world, "qa")) == ["criteria_unmet"], "one person opens nothing"
    done = confirm(world, asked)
    assert done.confirmed
    assert world.stage("staging").evidence_digest != before, "whoever signs has seen it"
    form = world.say("qa", "approve staging").form
    assert form is not None
    assert "Overridden" in str(form.body)
    assert "a known flake of dev hardware" in str(form.body)
    assert isinstance(sign(world, "qa"), Signed)
    for role in world.plan.stage("staging").sign_offs:
        if role != "qa":
            assert isinstance(sign(world, role), Signed)
    assert world.stage("staging").state is S.PASSED
    assert [e.kind for e in world.events() if e.kind.startswith("override")] == ["override", "override_confirmed"]
    while Sealer(world.database, "test").tick():
        pass
    assert chain.verify(world.database, world.rollout_id).intact


def test_what_people_are_to_judge_is_not_held(world: World) -> None:
    in_review(world, Verdict.INCONCLUSIVE, "people_judge")
    assert isinstance(sign(world, "qa"), Signed)


def test_without_a_rule_in_the_plan_nobody_may(migrated_sqlite_url: str) -> None:
    world = World(migrated_sqlite_url, plan=ruled(None))
    in_review(world)
    assert codes(ask(world)) == ["not_overridable"]
    assert "override" not in world.say("qa", "approve staging").text
    world.close()


def test_each_role_has_its_part(world: World) -> None:
    in_review(world)
    assert codes(ask(world, "tech-lead")) == ["not_permitted"]
    assert codes(ask(world, "nobody")) == ["not_permitted"]
    asked = ask(world)
    assert codes(confirm(world, asked, "devops-2")) == ["not_permitted"]
    assert codes(confirm(world, asked, "devops")) == ["not_permitted", "asked_by_you"]


def test_the_starter_passes_over_nothing(world: World) -> None:
    in_review(world, by="devops")
    assert codes(ask(world)) == ["started_by_you"]
    world.set_stage("staging", started_by=PEOPLE["tech-lead"])
    asked = ask(world)
    assert codes(confirm(world, asked)) == ["started_by_you"]


def test_only_what_is_unmet_can_be_named(world: World) -> None:
    in_review(world)
    for name in ("criterion:none", "sign-off:qa", "item:none", "evidence", "", "criterion:" + "x" * 300):
        assert codes(ask(world, condition=name or "-"))[0] in {"condition_met", "not_overridable"}
    assert "condition_met" in codes(ask(world, stage="dev"))


def test_it_ends_when_the_evidence_changes_and_goes_on_being_shown(world: World) -> None:
    in_review(world)
    confirm(world, ask(world))
    assert isinstance(sign(world, "qa"), Signed)
    found(world, Verdict.INCONCLUSIVE, "stuck")
    world.set_stage("staging", state=S.REVIEW)
    world.freeze("staging")
    assert codes(sign(world, "tech-lead")) == ["criteria_unmet"]
    shown = world.door.card(world.stage("staging").id)
    assert "Overridden" in str(shown.blocks)
    assert "the evidence has changed since" in str(shown.blocks)


def test_a_look_that_finds_the_same_keeps_it(world: World) -> None:
    in_review(world)
    confirm(world, ask(world))
    assert isinstance(sign(world, "qa"), Signed)
    digest = world.stage("staging").evidence_digest
    done = intents_review.recheck(world.database, who("devops"), world.now, world.rollout_id, "staging")
    assert isinstance(done, intents_review.Again)
    assert world.stage("staging").state is S.BAKING
    world.set_stage("staging", state=S.REVIEW)
    assert world.freeze("staging") == digest, "and with it what was signed"


def test_who_signed_is_told_once_when_a_new_look_finds_something_else(world: World) -> None:
    in_review(world, Verdict.INCONCLUSIVE, "people_judge")
    assert isinstance(sign(world, "qa"), Signed)
    for _ in range(2):
        intents_review.recheck(world.database, who("devops"), world.now, world.rollout_id, "staging")
        world.now += timedelta(minutes=1)
        with world.database.write() as session:
            stage = session.get_one(Stage, world.stage("staging").id)
            watch.open_review(session, stage, world.now)
    with world.database.read() as session:
        told = session.execute(select(Outbox).where(Outbox.kind == "sign_offs_stale")).scalar_one()
        assert told.ids["givers"] == [PEOPLE["qa"]]


def test_a_stale_question_is_not_confirmed(world: World) -> None:
    in_review(world)
    first = ask(world)
    second = ask(world)
    assert codes(confirm(world, first)) == ["override_over"]
    found(world, Verdict.INCONCLUSIVE, "stuck")
    world.freeze("staging")
    assert codes(confirm(world, second)) == ["override_over"]
    third = ask(world)
    declined = overriding.decline(world.database, who("tech-lead"), world.now, world.rollout_id, third.override)
    assert isinstance(declined, overriding.Decided)
    assert codes(confirm(world, third)) == ["override_over"]


@pytest.mark.parametrize(
    "edit",
    [
        {"condition": "sign-off:qa"},
        {"reason": "another"},
        {"decided_by": PEOPLE["qa"]},
        {"evidence_digest": "f" * 64},
        {"signature": None},
    ],
    ids=lambda e: next(iter(e)),
)
def test_a_row_that_was_made_or_changed_by_hand_opens_nothing(world: World, edit: dict[str, Any]) -> None:
    in_review(world)
    confirm(world, ask(world))
    with world.database.write() as session:
        session.execute(update(Override).values(**edit))
    assert codes(sign(world, "qa")) == ["criteria_unmet"]
    assert "it is not as it was confirmed" in str(world.door.card(world.stage("staging").id).blocks)
    while Sealer(world.database, "test").tick():
        pass
    (problem,) = chain.verify(world.database, world.rollout_id).problems
    assert "is not as it was confirmed" in problem


def test_an_override_that_was_taken_out_is_missed_by_the_audit(world: World) -> None:
    in_review(world)
    confirm(world, ask(world))
    while Sealer(world.database, "test").tick():
        pass
    assert chain.verify(world.database, world.rollout_id).problems == ()
    with world.database.write() as session:
        session.execute(delete(Override))
    (problem,) = chain.verify(world.database, world.rollout_id).problems
    assert "is not there any more" in problem


def test_a_question_that_was_set_to_confirmed_by_hand_opens_nothing(world: World) -> None:
    in_review(world)
    ask(world)
    world.alter(Override, state="confirmed", decided_by=PEOPLE["tech-lead"], decided_at=world.now)
    assert codes(sign(world, "qa")) == ["criteria_unmet"]


def test_altered_evidence_and_a_broken_record_are_never_passed_over(world: World) -> None:
    in_review(world)
    asked = ask(world)
    while Sealer(world.database, "test").tick():
        pass
    event = world.events("override")[-1]
    with world.database.write() as session:
        session.execute(update(type(event)).where(type(event).id == event.id).values(sentence="asked for nothing"))
    assert codes(confirm(world, asked)) == ["evidence_altered"]
    with world.database.write() as session:
        session.execute(update(type(event)).where(type(event).id == event.id).values(sentence=event.sentence))
    world.set_stage("staging", evidence_digest="0" * 64)
    assert "evidence_altered" in codes(ask(world))
    assert "evidence_altered" in codes(confirm(world, asked))


# -- items and sign-offs -----------------------------------------------------------------------------------------------


def test_an_item_that_holds_a_start_may_be_passed_over_and_who_did_does_not_start(migrated_url: str) -> None:
    world = World(migrated_url, plan=ruled())
    try:
        world.tick_all()
        world.passed("dev", "test", "staging")
        item = next(i for i in world.plan.checklist if i.required and i.blocks == "canary")
        with world.database.write() as session:
            session.execute(delete(Item).where(Item.key == item.key))
        assert world.say("devops-2", "start canary").refused == "items_open"
        asked = ask(world, condition=f"item:{item.key}", stage="canary")
        assert confirm(world, asked).confirmed
        assert world.say("devops", "start canary").refused == "starter_overrode"
        assert world.confirm("devops-2", "start canary").refused is None
        assert world.stage("canary").state is S.PREPARING
    finally:
        world.close()


def test_a_required_sign_off_of_production_is_never_passed_over(migrated_sqlite_url: str) -> None:
    covers = Rule(role="devops", second="tech-lead", covers=("verdicts", "sign-offs"))
    # The plan check refuses such a plan; one that is stored all the same opens nothing.
    world = World(migrated_sqlite_url, plan=ruled(covers))
    world.passed("dev", "test")
    world.started("staging", S.REVIEW, by="on-call")
    role = next(iter(world.plan.stage("staging").sign_offs))
    assert codes(ask(world, condition=f"sign-off:{role}")) == ["not_overridable"]
    assert world.door.card(world.stage("staging").id).refused is None
    world.close()


def test_elsewhere_one_may_be_where_the_plan_says_so(migrated_sqlite_url: str) -> None:
    covers = Rule(role="devops", second="tech-lead", covers=("sign-offs",))
    world = World(migrated_sqlite_url, plan=ruled(covers, production=False))
    world.passed("dev", "test")
    world.started("staging", S.REVIEW, by="on-call")
    assert isinstance(sign(world, "qa"), Signed)
    for role in [r for r in world.plan.stage("staging").sign_offs if r != "qa"]:
        assert confirm(world, ask(world, condition=f"sign-off:{role}")).confirmed
    assert codes(ask(world, condition="sign-off:qa")) == ["condition_met"], "somebody has to sign"
    with world.database.read() as session:
        stage = session.execute(select(Stage).where(Stage.key == "staging")).scalar_one()
        assert stage.state is S.REVIEW, "an override alone passes nothing"
        assert evidence.overrides(session, stage)
    done = sign(world, "qa")  # what was signed before the overrides counts no more
    assert isinstance(done, Signed)
    assert done.passed
    assert world.say("devops", "plan").refused is None
    world.close()


# -- taking back -------------------------------------------------------------------------------------------------------


def test_a_sign_off_is_taken_back_by_its_giver_before_the_stage_passed(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.REVIEW, by="on-call")
    sign(world, "qa")

    def back(person: str) -> Any:
        return intents_review.revoke(world.database, who(person), world.now, world.rollout_id, "staging")

    assert codes(back("developer")) == ["nothing_to_revoke"]
    assert back("qa") == intents_review.Revoked("staging", "granted", False)
    assert codes(back("qa")) == ["nothing_to_revoke"]
    with world.database.read() as session:
        row = session.execute(select(SignOff).where(SignOff.stage_id == world.stage("staging").id)).scalar_one()
    assert row.revoked_by == PEOPLE["qa"]
    while Sealer(world.database, "test").tick():
        pass
    assert chain.verify(world.database, world.rollout_id).doubts == ()
    world.alter(SignOff, revoked_at=None, revoked_by=None)
    assert chain.verify(world.database, world.rollout_id).doubts, "bringing it back by hand is found"
    passed = intents_review.revoke(world.database, who("qa"), world.now, world.rollout_id, "dev")
    assert codes(passed) == ["stage_passed"]


def test_a_rejection_that_is_taken_back_lets_the_stage_pass_where_nothing_else_holds_it(
    migrated_sqlite_url: str,
) -> None:
    plan = ruled()
    qa = plan.roles["qa"].model_copy(update={"members": (*plan.roles["qa"].members, PEOPLE["developer"])})
    world = World(migrated_sqlite_url, plan=plan.model_copy(update={"roles": {**plan.roles, "qa": qa}}))
    world.passed("dev", "test")
    world.started("staging", S.REVIEW, by="on-call")
    sign(world, "qa")
    rejected = intents_signing.reject(world.database, who("developer"), world.now, world.rollout_id, "staging", "wait")
    assert isinstance(rejected, Signed)
    last = sign(world, "tech-lead")
    assert not last.passed
    intents_review.recheck(world.database, who("devops"), world.now, world.rollout_id, "staging")
    early = intents_review.revoke(world.database, who("developer"), world.now, world.rollout_id, "staging")
    assert codes(early) == ["stage_busy"], "else all would be said, and nobody left whose word passes it"
    world.set_stage("staging", state=S.REVIEW)
    world.freeze("staging")
    done = intents_review.revoke(world.database, who("developer"), world.now, world.rollout_id, "staging")
    assert done == intents_review.Revoked("staging", "rejected", True)
    assert world.stage("staging").state is S.PASSED
    assert world.stage("canary").state is S.READY
    world.close()
