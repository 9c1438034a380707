"""Sign-offs are signed, gates verify what they count, and a stage that was set to passed by hand opens no gate."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import delete, select, update

from rollout.gates import Refuse
from rollout.states import ActionKind, Decision, StageState, Verdict
from storage import chain, dryrun, evidence, facts, intents, intents_signing
from storage.acting import Who
from storage.database import Database
from storage.intents import Started
from storage.intents_signing import Signed
from storage.keyring import Keyring
from storage.models import Event, Evidence, Rollout, SignOff, Stage
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
    return Who(PEOPLE[person], TEAM, surface="slash")


def sign(w: World, stage: str, person: str, **more: Any) -> Any:
    return intents_signing.approve(w.database, who(person), w.now, w.rollout_id, stage, **more)


def start(w: World, stage: str) -> Any:
    with w.database.read() as session:
        digest = dryrun.digest_of(dryrun.change_set(session, w.rollout_id, stage))
    return intents.start(w.database, who("devops"), w.now, w.rollout_id, stage, digest)


def signed(w: World, stage: str = "dev") -> None:
    """The stage passes by the ordinary way, signed by everybody it needs."""
    w.started(stage, S.REVIEW)
    for role in w.plan.stage(stage).sign_offs:
        done = sign(w, stage, {"devops": "devops-2"}.get(role, role))
        assert isinstance(done, Signed), done
    assert w.stage(stage).state is S.PASSED


def sign_offs(w: World) -> list[SignOff]:
    with w.database.read() as session:
        return list(session.execute(select(SignOff).order_by(SignOff.id)).scalars())


def only(refused: Any) -> Any:
    assert isinstance(refused, Refuse), refused
    assert len(refused.reasons) == 1, refused
    return refused.reasons[0]


def doubts(w: World) -> list[tuple[str, str]]:
    while Sealer(w.database, "test").tick():
        pass
    return [(d.user_id, d.why) for d in chain.verify(w.database, w.rollout_id).doubts]


def test_a_sign_off_is_signed_over_everything_it_says(world: World) -> None:
    signed(world)
    for row in sign_offs(world):
        assert row.signature is not None
        assert len(row.signature) == 64
        assert row.plan_digest is not None
    assert start(world, "test") == Started("test", 3)
    assert doubts(world) == []


EDITS: tuple[dict[str, Any], ...] = (
    {"user_id": PEOPLE["on-call"]},
    {"team_id": "T0OTHER"},
    {"comment": "with pleasure"},
    {"role": "qa"},
    {"evidence_digest": "f" * 64},
    {"plan_digest": "f" * 64},
    {"key_id": "00000000"},
    {"signature": "0" * 64},
    {"signature": None},
    {"revoked_by": "U0SOMEBODY"},
    {"id": 4711},
)


def test_a_sign_off_that_was_edited_in_the_database_does_not_count_and_is_named(world: World) -> None:
    signed(world)
    (row,) = sign_offs(world)
    for edit in EDITS:
        kept = {c: getattr(row, c) for c in edit}
        world.alter(SignOff, **edit)
        reason = only(start(world, "test"))
        assert reason.code == "predecessor_not_passed"
        assert reason.sentence.startswith("dev counts as passed, but lacks Developer. Not counted: "), reason
        assert "(sign_off_" in reason.sentence
        assert doubts(world), edit
        world.alter(SignOff, **kept)
        assert doubts(world) == []
    assert start(world, "test") == Started("test", 3)


def test_nobody_signs_by_writing_into_the_table(world: World) -> None:
    world.started("dev", S.REVIEW)
    stage = world.stage("dev")
    with world.database.write() as session:
        for role in world.plan.stage("dev").sign_offs:
            row = {"role": role, "team_id": TEAM, "user_id": PEOPLE[role if role != "devops" else "devops-2"]}
            granted = {"decision": Decision.GRANTED, "comment": "", "evidence_digest": stage.evidence_digest}
            session.add(SignOff(stage_id=stage.id, generation=1, at=world.now, signature="a" * 64, **row, **granted))
    world.set_stage("dev", state=S.PASSED)
    assert only(start(world, "test")).code == "predecessor_not_passed"


def test_a_sign_off_of_another_stage_or_generation_does_not_count(world: World) -> None:
    signed(world)
    world.started("test", S.PASSED)
    test = world.stage("test")
    with world.database.write() as session:
        session.execute(update(SignOff).values(stage_id=test.id, evidence_digest=test.evidence_digest))
    assert {r.code for r in start(world, "staging").reasons} == {"predecessor_not_passed"}
    with world.database.write() as session:
        session.execute(update(SignOff).values(stage_id=world.stage("dev").id, generation=2))
    world.set_stage("dev", generation=2)
    assert {r.code for r in start(world, "staging").reasons} == {"predecessor_not_passed"}


@pytest.mark.parametrize("frozen", [False, True], ids=["never started", "in review"])
def test_a_stage_that_was_set_to_passed_by_hand_opens_no_gate(world: World, frozen: bool) -> None:
    if frozen:
        world.started("dev", S.REVIEW)
    world.set_stage("dev", state=S.PASSED, passed_at=world.now)
    world.set_stage("test", state=S.READY)
    reason = only(start(world, "test"))
    assert reason.code == "predecessor_not_passed"
    assert reason.sentence.startswith("dev counts as passed, but lacks ")
    with world.database.read() as session:
        standing = facts.standing(session, session.get_one(Rollout, world.rollout_id))
    assert not standing.predecessors_passed("test")
    current = standing.current()
    assert current is not None
    assert current.key == "dev"


def test_a_stage_that_needs_nobody_is_not_passed_by_its_state_alone(world: World) -> None:
    stages = tuple(s.model_copy(update={"sign_offs": {}}) if s.key == "dev" else s for s in world.plan.stages)
    world.adopt(world.plan.model_copy(update={"stages": stages}))
    world.started("dev", S.PASSED)
    assert "nobody signed it" in only(start(world, "test")).sentence


def test_a_rejection_that_was_taken_out_of_the_table_is_missed(world: World) -> None:
    signed(world)
    rejected = intents_signing.reject(world.database, who("qa"), world.now, world.rollout_id, "dev", "no")
    assert isinstance(rejected, Refuse)  # it has passed
    world.started("test", S.REVIEW)
    intents_signing.reject(world.database, who("qa"), world.now, world.rollout_id, "test", "broken")
    with world.database.write() as session:
        session.execute(delete(SignOff).where(SignOff.decision == Decision.REJECTED))
    assert doubts(world) == [(PEOPLE["qa"], "sign_off_missing")]


def test_a_rejection_whose_words_were_changed_still_holds(world: World) -> None:
    world.started("canary", S.REVIEW)
    intents_signing.reject(world.database, who("qa"), world.now, world.rollout_id, "canary", "broken")
    with world.database.write() as session:
        session.execute(update(SignOff).values(comment="fine"))
    for person in ("product-owner", "tech-lead"):
        assert isinstance(sign(world, "canary", person), Signed)
    assert world.stage("canary").state is S.REVIEW
    assert sign(world, "canary", "qa").passed


def test_a_sign_off_that_was_taken_back_is_not_brought_to_life_again(world: World) -> None:
    world.started("canary", S.REVIEW)
    first = "qa"
    assert isinstance(sign(world, "canary", first), Signed)
    done = intents_signing.reject(world.database, who(first), world.now, world.rollout_id, "canary", "no, after all")
    assert isinstance(done, Signed)
    assert doubts(world) == []
    with world.database.write() as session:
        session.execute(delete(SignOff).where(SignOff.decision == Decision.REJECTED))
        session.execute(update(SignOff).values(revoked_at=None, revoked_by=None))
    with world.database.read() as session:
        stage = facts.standing(session, session.get_one(Rollout, world.rollout_id)).stage("canary")
    assert [(s.user_id, s.doubt) for s in stage.signatures] == [(PEOPLE[first], "sign_off_altered")]
    assert stage.grants == ()
    assert (PEOPLE[first], "sign_off_altered") in doubts(world)


def test_an_older_state_of_a_sign_off_is_found_by_the_audit(world: World) -> None:
    world.started("canary", S.REVIEW)
    assert isinstance(sign(world, "canary", "qa"), Signed)
    kept = {c: getattr(sign_offs(world)[0], c) for c in ("signature", "key_id")}
    intents_signing.reject(world.database, who("qa"), world.now, world.rollout_id, "canary", "no")
    with world.database.write() as session:
        rejection = SignOff.decision == Decision.REJECTED
        session.execute(delete(SignOff).where(rejection))
        session.execute(update(SignOff).values(revoked_at=None, revoked_by=None, **kept))
    assert sorted(doubts(world)) == [
        (PEOPLE["qa"], "sign_off_altered"),
        (PEOPLE["qa"], "sign_off_missing"),
    ]


def test_evidence_that_was_changed_after_it_was_frozen_carries_nothing(world: World) -> None:
    world.started("dev", S.REVIEW)
    criterion = next(c.key for c in world.plan.stage("dev").criteria if c.check)
    stage = world.stage("dev")
    with world.database.write() as session:
        found = {"verdict": Verdict.FAIL, "reason_code": "not_verified", "sentence": "2 are not on it."}
        session.add(Evidence(stage_id=stage.id, generation=1, criterion=criterion, at=world.now, **found))
    world.freeze("dev")
    with world.database.write() as session:
        session.execute(update(Evidence).values(verdict=Verdict.PASS, reason_code=""))
    refused = sign(world, "dev", "developer")
    assert isinstance(refused, Refuse)
    assert "evidence_altered" in {r.code for r in refused.reasons}
    world.freeze("dev")
    for role in world.plan.stage("dev").sign_offs:
        sign(world, "dev", {"devops": "devops-2"}.get(role, role))
    assert world.stage("dev").state is S.PASSED
    for said in ("no JSON", "[]", '{"verdicts": 5}'):
        before = world.stage("dev").evidence_text, world.stage("dev").evidence_digest
        digest = hashlib.sha256(said.encode()).hexdigest()
        world.set_stage("dev", evidence_text=said, evidence_digest=digest)
        assert "cannot be read" in only(start(world, "test")).sentence
        world.set_stage("dev", evidence_text=before[0], evidence_digest=before[1])
    for column, value in (("evidence_text", "{}"), ("evidence_text", None), ("change_set_digest", "d" * 64)):
        before = getattr(world.stage("dev"), column)
        world.set_stage("dev", **{column: value})
        assert only(start(world, "test")).sentence.startswith("dev counts as passed, but ")
        world.set_stage("dev", **{column: before})
    with world.database.write() as session:
        session.execute(update(Evidence).values(verdict=Verdict.FAIL))
    assert criterion in only(start(world, "test")).sentence


def test_sign_offs_from_before_are_given_again_and_the_gate_opens(world: World) -> None:
    signed(world)
    world.alter(SignOff, signature=None, key_id=None, plan_digest=None)
    world.alter(Stage, evidence_text=None, evidence_digest=None)
    world.set_stage("dev", evidence_digest="e" * 64)
    world.alter(SignOff, evidence_digest="e" * 64)
    world.set_stage("test", state=S.WAITING)
    assert only(start(world, "test")).code == "predecessor_not_passed"
    assert evidence.freeze_old(world.database, world.now) == 1  # what the engine does once a second
    assert evidence.freeze_old(world.database, world.now) == 0
    done: Any = None
    for role in world.plan.stage("dev").sign_offs:
        done = sign(world, "dev", {"devops": "devops-2"}.get(role, role))
        assert isinstance(done, Signed), done
    assert (done.passed, done.opened) == (True, ("test",))
    assert world.stage("dev").state is S.PASSED
    assert world.outbox().count("stage_passed") == 1
    again = sign(world, "dev", "on-call")
    assert isinstance(again, Refuse)
    assert start(world, "test") == Started("test", 3)


def test_a_key_that_went_is_said_and_everybody_may_sign_again(world: World, migrated_url: str) -> None:
    signed(world)
    other = Database(migrated_url, keyring=Keyring([Fernet.generate_key().decode()]))
    mine, world.database = world.database, other
    try:
        assert "(sign_off_key_unknown)" in only(start(world, "test")).sentence
        for role in world.plan.stage("dev").sign_offs:
            assert isinstance(sign(world, "dev", {"devops": "devops-2"}.get(role, role)), Signed)
        assert start(world, "test") == Started("test", 3)
    finally:
        world.database = mine
        other.close()


def test_a_new_key_in_front_of_the_old_one_changes_nothing(world: World, migrated_url: str) -> None:
    signed(world)
    both = Database(migrated_url, keyring=Keyring([Fernet.generate_key().decode(), KEY]))
    mine, world.database = world.database, both
    try:
        assert start(world, "test") == Started("test", 3)
    finally:
        world.database = mine
        both.close()


def test_a_process_without_a_key_signs_nothing(world: World, migrated_url: str) -> None:
    world.started("dev", S.REVIEW)
    keyless = Database(migrated_url)
    mine, world.database = world.database, keyless
    try:
        assert only(sign(world, "dev", "developer")).code == "no_signing_key"
        done = intents_signing.reject(keyless, who("qa"), world.now, world.rollout_id, "dev", "no")
        assert only(done).code == "no_signing_key"
    finally:
        world.database = mine
        keyless.close()
    assert sign_offs(world) == []


def test_the_event_of_a_sign_off_names_it_and_what_it_took_back(world: World) -> None:
    world.started("test", S.REVIEW)
    intents_signing.reject(world.database, who("qa"), world.now, world.rollout_id, "test", "no")
    sign(world, "test", "qa")
    rejected, granted = sign_offs(world)
    with world.database.read() as session:
        data = session.execute(select(Event.data).where(Event.kind == "approve")).scalar_one()
    assert (data["sign_off"], data["revoked"]) == (granted.id, [rejected.id])
    assert (rejected.revoked_by, rejected.revoked_at) == (PEOPLE["qa"], world.now)
    assert world.actions("test", ActionKind.CHANGE)
