"""Who is named while nobody looks after what went wrong: one after the other, each once, and nobody any more once
somebody does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from rollout.gates import Refuse
from rollout.plan import Escalation as Rule
from rollout.plan import Plan
from rollout.states import ActionKind, StageState, Verdict
from storage import asking_back, escalating, hooks, open_escalations
from storage.acting import Who
from storage.database import Database
from storage.keyring import Keyring
from storage.models import Escalation, Evidence, Hook, Outbox, Stage
from tests.commands.world import KEY, PEOPLE, TEAM, World, sandbox_plan

S = StageState
RULE = Rule(after=900, to=("on-call", "Databricks Support"), webhook_env="PAGER_URL")


def ruled(rule: Rule | None = RULE) -> Plan:
    return sandbox_plan().model_copy(update={"escalation": rule})


@pytest.fixture
def world(migrated_url: str) -> Iterator[World]:
    made = World(migrated_url, plan=ruled())
    yield made
    made.close()


def who(person: str) -> Who:
    return Who(PEOPLE[person], TEAM)


def begun(w: World, cause: str = "blocked", key: str = "k1") -> int:
    with w.database.write() as session:
        stage = session.get_one(Stage, w.stage("dev").id)
        return escalating.begin(session, stage, cause, "3 changes failed", key, w.now)


def blocked(w: World) -> int:
    w.started("dev", S.BLOCKED)
    return begun(w)


def acknowledge(w: World, number: int, person: str = "on-call") -> Any:
    return escalating.acknowledge(w.database, who(person), w.now, w.rollout_id, number)


def named(w: World) -> list[str]:
    with w.database.read() as session:
        rows = session.execute(select(Outbox).where(Outbox.kind == "escalated").order_by(Outbox.id)).scalars()
        return [str(row.ids["contact"]) for row in rows]


def later(w: World, minutes: float) -> int:
    w.now += timedelta(minutes=minutes)
    return escalating.tick(w.database, w.now)


def code(refused: object) -> str:
    assert isinstance(refused, Refuse), refused
    return refused.reasons[0].code


def test_contacts_are_named_one_after_the_other_and_each_once(world: World) -> None:
    blocked(world)
    assert later(world, 14.9) == 0
    assert later(world, 0.2) == 1
    assert named(world) == ["on-call"]
    assert later(world, 14.9) == 0
    assert later(world, 0.1) == 1
    assert later(world, 10_000) == 0, "nobody is left to name"
    assert named(world) == ["on-call", "Databricks Support"]
    assert [e.data["contact"] for e in world.events("escalated")] == named(world)


def test_a_clock_that_jumps_names_the_next_contact_a_while_after_the_first(world: World) -> None:
    blocked(world)
    assert later(world, 600) == 1
    assert later(world, 0) == 0
    assert named(world) == ["on-call"]


def test_acknowledged_nobody_else_is_named_and_it_is_said_who_looks_after_it(world: World) -> None:
    number = blocked(world)
    later(world, 15)
    assert isinstance(acknowledge(world, number, "qa"), escalating.Acknowledged)
    assert later(world, 1000) == 0
    assert code(acknowledge(world, number)) == "already_acknowledged"
    assert world.outbox()[-1] == "acknowledged"
    assert "looks after it" in str(world.door.card(world.stage("dev").id).blocks)
    world.set_stage("dev", state=S.UPGRADING)
    later(world, 0)
    assert "looks after it" not in str(world.door.card(world.stage("dev").id).blocks), "it is over"
    world.set_stage("dev", state=S.BLOCKED)
    reply = world.press("devops", "acknowledge", {"rollout": world.rollout_id, "escalation": number})
    assert PEOPLE["qa"] in str(reply.blocks)


def test_who_holds_no_role_takes_nothing_on(world: World) -> None:
    number = blocked(world)
    assert code(acknowledge(world, number, "nobody")) == "not_permitted"
    assert code(acknowledge(world, 4711)) == "acknowledgement_over"
    assert later(world, 15) == 1


def test_what_is_over_names_nobody(world: World) -> None:
    number = blocked(world)
    world.set_stage("dev", state=S.UPGRADING)
    assert later(world, 20) == 0
    assert named(world) == []
    assert code(acknowledge(world, number)) == "acknowledgement_over"
    with world.database.read() as session:
        assert session.get_one(Escalation, number).ended_at == world.now


def test_without_a_rule_nobody_is_named_and_the_button_is_there_all_the_same(migrated_sqlite_url: str) -> None:
    world = World(migrated_sqlite_url, plan=ruled(None))
    number = blocked(world)
    assert later(world, 10_000) == 0
    assert isinstance(acknowledge(world, number), escalating.Acknowledged)
    world.close()


def test_a_failed_check_is_over_once_it_holds_or_is_passed_over(world: World) -> None:
    key = next(c.key for c in world.plan.stage("dev").criteria if c.check)

    def found(verdict: Verdict) -> None:
        with world.database.write() as session:
            stage = world.stage("dev")
            session.add(
                Evidence(
                    stage_id=stage.id, generation=1, criterion=key, verdict=verdict, sentence="so it is", at=world.now
                )
            )

    found(Verdict.FAIL)
    world.started("dev", S.REVIEW)
    begun(world, "verdict", "k1")
    assert later(world, 15) == 1
    found(Verdict.PASS)
    assert later(world, 15) == 0
    with world.database.read() as session:
        assert open_escalations.newest(session, world.rollout_id) == {}


def test_the_same_cause_anew_is_another_one(world: World) -> None:
    first = blocked(world)
    assert begun(world) == first
    second = begun(world, key="k2")
    assert second != first
    assert later(world, 15) == 1, "the first one is over"
    with world.database.read() as session:
        assert open_escalations.newest(session, world.rollout_id)[world.stage("dev").id].id == second


def test_the_web_hook_is_told_without_an_address(world: World) -> None:
    number = blocked(world)
    later(world, 15)
    acknowledge(world, number)
    with world.database.read() as session:
        rows = session.execute(select(Hook).order_by(Hook.id)).scalars().all()
    assert [(r.variable, r.body["event"], r.body["stage"]) for r in rows] == [
        ("PAGER_URL", "escalated", "dev"),
        ("PAGER_URL", "acknowledged", "dev"),
    ]
    assert rows[0].body["contact"] == "on-call"


def test_two_replicas_name_each_contact_once_and_one_person_takes_it_on(migrated_postgresql_url: str) -> None:
    world = World(migrated_postgresql_url, plan=ruled())
    other = Database(migrated_postgresql_url, keyring=Keyring([KEY]))
    try:
        number = blocked(world)
        for minutes in (15, 15):
            world.now += timedelta(minutes=minutes)
            with ThreadPoolExecutor(2) as pool:
                done = list(pool.map(lambda d: escalating.tick(d, world.now), [world.database, other]))
            assert sum(done) == 1
        assert named(world) == ["on-call", "Databricks Support"]

        def press(at: tuple[Database, str]) -> object:
            return escalating.acknowledge(at[0], who(at[1]), world.now, world.rollout_id, number)

        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(press, [(world.database, "on-call"), (other, "devops")]))
        assert sorted(type(s).__name__ for s in said) == ["Acknowledged", "Refuse"]
        assert world.outbox().count("acknowledged") == 1
    finally:
        other.close()
        world.close()


def test_a_crash_before_the_end_of_a_step_leaves_it_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked(world)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    world.now += timedelta(minutes=15)
    with monkeypatch.context() as patched:
        patched.setattr(hooks, "queue", dies)
        with pytest.raises(KeyboardInterrupt):
            escalating.tick(world.database, world.now)
    assert named(world) == []
    assert escalating.tick(world.database, world.now) == 1
    assert named(world) == ["on-call"]


# -- asking for a rollback ---------------------------------------------------------------------------------------------


def test_who_may_not_roll_back_asks_those_who_may(world: World) -> None:
    world.started("dev", S.BAKING)
    refused = world.say("qa", "rollback dev it is slow")
    assert refused.refused == "not_permitted"
    assert "Ask for a rollback" in str(refused.blocks)
    assert "Ask for a rollback" not in str(world.say("nobody", "rollback dev").blocks)
    reply = world.confirm("qa", "ask-rollback dev", reason="it is slow")
    assert reply.refused is None, reply.text
    assert world.confirm("developer", "ask-rollback dev", reason="again").refused == "asked_already"
    assert later(world, 15) == 1
    done = world.confirm("on-call", "rollback dev it is slow")
    assert done.refused is None
    assert world.actions("dev", ActionKind.BACKUP)
    assert later(world, 15) == 0, "it is being rolled back"


def test_nothing_is_asked_back_that_has_not_begun(world: World) -> None:
    done = asking_back.ask(world.database, who("qa"), world.now, world.rollout_id, "dev", "x")
    assert code(done) == "nothing_to_roll_back"
    world.started("dev", S.BAKING)
    assert (
        code(asking_back.ask(world.database, who("qa"), world.now, world.rollout_id, "dev", " ")) == "reason_required"
    )
    stranger = asking_back.ask(world.database, who("nobody"), world.now, world.rollout_id, "dev", "x")
    assert code(stranger) == "not_a_role_holder"
