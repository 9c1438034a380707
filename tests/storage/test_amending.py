"""A changed plan: who may put it in force, what it makes stale, and that nothing but what was shown ever rules."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from rollout.gates import Refuse
from rollout.plan import Contact, Plan, Stage
from rollout.planfile import digest
from rollout.states import StageState
from storage import amending, chain, evidence, intents_signing
from storage.acting import Who
from storage.amending import Decided, Proposed
from storage.database import Database
from storage.intents_signing import Signed
from storage.keyring import Keyring
from storage.models import Amendment, Outbox, Override, PlanRevision, Rollout, ScheduledStart, Target, Workspace
from storage.models import Stage as StageRow
from storage.plans import open_plans
from storage.sealing import Sealer
from tests.commands.world import KEY, PEOPLE, TEAM, World

S = StageState


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url)
    made.tick_all()
    yield made
    made.close()


def who(person: str) -> Who:
    return Who(PEOPLE[person], TEAM)


def changed(plan: Plan, stage: str | None = None, **values: Any) -> Plan:
    """The plan with other values, of the whole or of one stage."""
    if stage is None:
        return plan.model_copy(update=values)
    stages = tuple(s.model_copy(update=values) if s.key == stage else s for s in plan.stages)
    return plan.model_copy(update={"stages": stages})


def propose(w: World, plan: Plan, by: str = "devops") -> Proposed:
    done = amending.propose(w.database, who(by), w.now, w.rollout_id, plan)
    assert isinstance(done, Proposed), done
    return done


def accept(w: World, asked: Proposed, by: str = "tech-lead") -> Decided | Refuse:
    return amending.accept(w.database, who(by), w.now, w.rollout_id, asked.amendment, asked.digest)


def codes(refused: object) -> list[str]:
    assert isinstance(refused, Refuse), refused
    return [r.code for r in refused.reasons]


def ruling(w: World) -> tuple[str, int]:
    with w.database.read() as session:
        rollout = session.get_one(Rollout, w.rollout_id)
        return rollout.revision.digest, rollout.revision.revision


def refusals(w: World, plan: Plan) -> list[str]:
    done = amending.propose(w.database, who("devops"), w.now, w.rollout_id, plan)
    assert isinstance(done, Refuse), done
    assert {r.code for r in done.reasons} == {"amendment_impossible"}
    return [r.sentence for r in done.reasons]


def signed(w: World, stage: str = "staging", person: str = "qa") -> None:
    w.passed(*[s.key for s in w.plan.before(stage)])
    w.started(stage, S.REVIEW)
    done = intents_signing.approve(w.database, who(person), w.now, w.rollout_id, stage)
    assert isinstance(done, Signed)


CONTACTS = (Contact(role="Night desk", contact="night@example.net"),)


def test_a_second_person_puts_the_plan_in_force_and_the_record_tells_of_both(world: World) -> None:
    plan = changed(world.plan, contacts=CONTACTS)
    asked = propose(world, plan)
    assert asked.stale == ()
    assert any("Night desk" in line for line in asked.lines)
    assert ruling(world)[0] == digest(world.plan), "nothing changes by a proposal"
    assert accept(world, asked) == Decided(True, digest(plan))
    assert ruling(world) == (digest(plan), 2)
    with world.database.read() as session:
        assert open_plans(session) == [plan], "who asks next gets the new plan"
    event = world.events("plan_amended")[-1]
    assert (event.actor, event.data["plan_digest"]) == (PEOPLE["tech-lead"], digest(plan))
    assert event.data["proposed_by"] == PEOPLE["devops"]
    while Sealer(world.database, "test").tick():
        pass
    assert chain.verify(world.database, world.rollout_id).intact
    assert world.outbox() == ["amendment_proposed", "plan_amended"]


def test_who_proposed_it_and_who_holds_no_such_role_may_not_accept_it(world: World) -> None:
    asked = propose(world, changed(world.plan, contacts=CONTACTS))
    assert codes(accept(world, asked, "devops")) == ["proposed_by_you"]
    assert codes(accept(world, asked, "qa")) == ["not_permitted"]
    assert codes(accept(world, asked, "nobody")) == ["not_permitted"]
    assert ruling(world)[1] == 1
    refused = amending.propose(
        world.database, who("nobody"), world.now, world.rollout_id, changed(world.plan, title="x")
    )
    assert codes(refused) == ["not_permitted"]


def test_the_plan_may_say_who_administers_it(world: World) -> None:
    caps = world.plan.capabilities.model_copy(update={"administer": ("product-owner",)})
    world.adopt(changed(world.plan, capabilities=caps))
    asked = propose(world, changed(world.plan, capabilities=caps, contacts=CONTACTS))
    assert codes(accept(world, asked)) == ["not_permitted"]
    assert isinstance(accept(world, asked, "product-owner"), Decided)


def test_only_what_was_shown_is_accepted_and_a_newer_proposal_takes_its_place(world: World) -> None:
    first = propose(world, changed(world.plan, contacts=CONTACTS))
    again = Proposed(first.amendment, "f" * 64, (), ())
    assert codes(accept(world, again)) == ["amendment_over"]
    second = propose(world, changed(world.plan, title="Another title"))
    assert codes(accept(world, first)) == ["amendment_over"]
    assert isinstance(accept(world, second), Decided)
    assert codes(accept(world, second)) == ["amendment_over"], "once"
    assert ruling(world)[1] == 2


def test_a_proposal_on_a_plan_that_no_longer_rules_is_not_accepted(world: World) -> None:
    asked = propose(world, changed(world.plan, contacts=CONTACTS))
    world.adopt(changed(world.plan, title="meanwhile"))
    assert codes(accept(world, asked)) == ["amendment_over"]


def test_a_text_that_was_changed_in_the_database_is_not_accepted(world: World) -> None:
    asked = propose(world, changed(world.plan, contacts=CONTACTS))
    with world.database.write() as session:
        row = session.get_one(Amendment, asked.amendment)
        session.execute(update(Amendment).values(plan_text=row.plan_text.replace("Night desk", "Day desk")))
    assert codes(accept(world, asked)) == ["amendment_over"]


def test_declined_it_leaves_everything_as_it_was(world: World) -> None:
    asked = propose(world, changed(world.plan, contacts=CONTACTS))
    refused = amending.decline(world.database, who("qa"), world.now, world.rollout_id, asked.amendment, asked.digest)
    assert codes(refused) == ["not_permitted"]
    done = amending.decline(world.database, who("devops"), world.now, world.rollout_id, asked.amendment, asked.digest)
    assert done == Decided(False, asked.digest), "who proposed it may take it back"
    assert codes(accept(world, asked)) == ["amendment_over"]
    assert ruling(world)[1] == 1


# -- what cannot be ----------------------------------------------------------------------------------------------------


def test_what_has_begun_stays(world: World) -> None:
    world.passed("dev", "test")
    world.started("staging", S.UPGRADING)
    plan = world.plan
    assert refusals(world, plan) == ["this is the plan that is in force already: nothing differs."]
    assert "the rollout is one of" in refusals(world, changed(plan, key="other"))[0]
    rest = tuple(s for s in plan.stages if s.key not in {"dev", "staging"})
    said = refusals(world, changed(plan, stages=rest))
    assert said == ["stage dev has begun and cannot be left out.", "stage staging has begun and cannot be left out."]
    moved = (plan.stages[1], plan.stages[0], *plan.stages[2:])
    assert "stay in their order" in refusals(world, changed(plan, stages=moved))[0]
    new = Stage.model_validate({**plan.stages[0].model_dump(), "key": "early"})
    assert "new ones come after them" in refusals(world, changed(plan, stages=(new, *plan.stages)))[0]
    runtimes = plan.runtimes.model_copy(update={"target": "18.1"})
    assert "staging is under way" in refusals(world, changed(plan, runtimes=runtimes))[0]
    assert "dev has passed" in refusals(world, changed(plan, "dev", sign_offs={"qa": 1}))[0]
    kept = tuple(w for w in plan.workspaces if w != "dev")
    assert "workspace dev cannot be left out" in refusals(world, changed(plan, workspaces=kept))[0]
    assert [e.outcome for e in world.events("plan_amend")] == ["refused"] * 8


def test_what_began_after_it_was_proposed_holds_the_acceptance(world: World) -> None:
    world.passed("dev")
    asked = propose(world, changed(world.plan, stages=tuple(s for s in world.plan.stages if s.key != "test")))
    world.started("test", S.UPGRADING)
    assert codes(accept(world, asked)) == ["amendment_impossible"]


# -- what becomes stale ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"contacts": CONTACTS},
        {"freezes": ()},
        {"stage": "staging", "max_parallel": 3},
        {"stage": "full", "bake": 60},
    ],
    ids=str,
)
def test_contacts_windows_and_other_stages_make_nothing_stale(world: World, values: dict[str, Any]) -> None:
    signed(world)
    plan = changed(world.plan, **values)
    if plan == world.plan:
        members = (*world.plan.roles["qa"].members, "U0SAND0042")
        roles = {**world.plan.roles, "qa": world.plan.roles["qa"].model_copy(update={"members": members})}
        plan = changed(world.plan, roles=roles)
    asked = propose(world, plan)
    assert asked.stale == (), "what has not come to its review has nothing that could become stale"
    before = world.stage("staging")
    assert isinstance(accept(world, asked), Decided)
    after = world.stage("staging")
    assert (after.state, after.evidence_digest, after.version) == (S.REVIEW, before.evidence_digest, before.version)
    with world.database.read() as session:
        assert evidence.freeze(session, session.get_one(StageRow, after.id)).digest == before.evidence_digest


@pytest.mark.parametrize(
    "values",
    [
        {"sign_offs": {"qa": 1, "developer": 1}},
        {"criteria": ()},
    ],
    ids=lambda v: next(iter(v)),
)
def test_criteria_make_the_sign_offs_of_an_unfinished_stage_stale_and_their_givers_are_told(
    world: World, values: dict[str, Any]
) -> None:
    signed(world)
    asked = propose(world, changed(world.plan, "staging", **values))
    assert asked.stale == ("staging",)
    assert accept(world, asked) == Decided(True, asked.digest, ("staging",))
    stage = world.stage("staging")
    assert (stage.state, stage.evidence_digest) == (S.BAKING, None), "the checks look once more"
    with world.database.read() as session:
        told = session.execute(select(Outbox).where(Outbox.kind == "sign_offs_stale")).scalar_one()
    assert told.ids["givers"] == [PEOPLE["qa"]]
    # What was signed before counts no more on the evidence of the new plan.
    world.set_stage("staging", state=S.REVIEW, reviewed_at=world.now)
    world.freeze("staging")
    assert world.door.card(stage.id).text == "staging is in review."
    reply = world.say("qa", "approve staging")
    assert reply.form is not None, "who signed before is asked again"


def test_targets_are_assigned_anew_before_anything_starts_and_finished_work_stays(world: World) -> None:
    world.passed("dev")
    selection = world.plan.stage("test").targets.model_copy(update={"names": ("a*",)})
    asked = propose(world, changed(world.plan, "test", targets=selection))
    assert asked.stale == ()
    assert isinstance(accept(world, asked), Decided)
    assert world.stage("dev").state is S.PASSED
    assert world.say("devops", "start test").refused == "no_discovery"
    with world.database.read() as session:
        assert set(session.execute(select(Workspace.looked_at)).scalars()) == {None}


def test_stages_come_and_go_after_those_that_have_begun(world: World) -> None:
    world.passed("dev")
    extra = Stage.model_validate({**world.plan.stage("test").model_dump(), "key": "pilot", "title": "Pilot"})
    kept = [s for s in world.plan.stages if s.key not in {"test", "canary"}]
    stages = (kept[0], extra, *kept[1:])
    with world.database.write() as session:
        row = ScheduledStart(
            stage_id=world.stage("test").id,
            generation=1,
            begin_at=world.now,
            confirm="x",
            user_id=PEOPLE["devops"],
            team_id=TEAM,
            created_at=world.now,
        )
        session.add(row)
        session.add(
            Override(
                stage_id=world.stage("test").id,
                generation=1,
                condition="item:x",
                title="x",
                reason="x",
                evidence_digest="",
                asked_by=PEOPLE["devops"],
                asked_at=world.now,
            )
        )
    summary = tuple(line.model_copy(update={"stages": ()}) for line in world.plan.summary)
    asked = propose(world, changed(world.plan, stages=stages, summary=summary))
    assert isinstance(accept(world, asked), Decided)
    with world.database.read() as session:
        rows = session.execute(select(StageRow).order_by(StageRow.position)).scalars().all()
        assert [(r.key, r.position, r.state) for r in rows] == [
            ("dev", 0, S.PASSED),
            ("pilot", 1, S.READY),
            ("staging", 2, S.WAITING),
            ("full", 3, S.WAITING),
        ]
        assert "test" not in set(session.execute(select(Target.stage_key)).scalars())
    assert world.say("devops", "status").refused is None


def test_two_replicas_put_it_in_force_once(migrated_postgresql_url: str) -> None:
    world = World(migrated_postgresql_url)
    other = Database(migrated_postgresql_url, keyring=Keyring([KEY]))
    try:
        signed(world)
        asked = propose(world, changed(world.plan, "staging", bake=60))

        def press(at: tuple[Database, str]) -> object:
            return amending.accept(at[0], who(at[1]), world.now, world.rollout_id, asked.amendment, asked.digest)

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(press, [(world.database, "tech-lead"), (other, "devops-2")]))
        assert sorted(type(d).__name__ for d in done) == ["Decided", "Refuse"]
        assert ruling(world)[1] == 2
        assert world.outbox().count("plan_amended") == 1
        assert len(world.events("plan_amended")) == 1
    finally:
        other.close()
        world.close()


def test_a_crash_in_the_middle_leaves_the_former_plan_and_the_button(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed(world)
    asked = propose(world, changed(world.plan, "staging", bake=60))

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("storage.amended._sign_anew", dies)
        with pytest.raises(KeyboardInterrupt):
            accept(world, asked)
    assert ruling(world)[1] == 1
    with world.database.read() as session:
        assert len(session.execute(select(PlanRevision)).scalars().all()) == 1
    assert world.stage("staging").state is S.REVIEW
    assert isinstance(accept(world, asked), Decided)
