"""Bad weather, impatience and limits: nothing is written twice, nothing is forgotten, nothing is called good."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from rollout.gates import Refuse
from rollout.states import ActionKind, ActionState, StageState
from storage import intents, intents_rollback
from storage.models import Action, Backup, Target
from tests.engine.harness import OPS, World, plan_of_two, world

UPDATE = "/api/2.1/clusters/update"
FLEET: dict[str, Any] = {
    "seed": 7,
    "workspaces": {
        "dev": {
            "clusters": [
                {"name": f"c{n}", "state": "RUNNING" if n % 2 else "TERMINATED", "autotermination_minutes": 0,
                 "spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
                for n in range(6)
            ],
            "jobs": [],
        },
        "prod": {"clusters": [], "jobs": []},
    },
}  # fmt: skip


@pytest.fixture
def fleet(migrated_url: str, tmp_path: Path) -> Any:
    with world(migrated_url, tmp_path, FLEET) as made:
        made.engine()
        made.looked()
        yield made


def updates(made: World) -> dict[str, int]:
    """How often each cluster was really edited."""
    found: dict[str, int] = {}
    for call in made.databricks.calls.writes(path="clusters/update"):
        if call.status == 200:
            found[call.target] = found.get(call.target, 0) + 1
    return found


def restarts(made: World) -> dict[str, int]:
    """How often each cluster came up anew since the start, by the platform's own events."""
    found = {}
    for target in made.targets("first"):
        events = made.client("dev").ask(
            "/api/2.1/clusters/events", {"cluster_id": target.object_id, "event_types": ["RESTARTING"], "page_size": 50}
        )
        found[target.name] = len(events.get("events") or ())
    return found


def test_a_write_whose_answer_was_lost_is_not_sent_again(fleet: World) -> None:
    fleet.databricks.faults.add(UPDATE, "lost-answer", times=3)
    before = restarts(fleet)
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    assert {a.state for a in fleet.actions("first")} == {ActionState.DONE}
    assert len(fleet.databricks.calls.writes(path="clusters/update")) == 6
    after = restarts(fleet)
    assert {n: after[n] - before[n] for n in after} == {"c0": 0, "c1": 1, "c2": 0, "c3": 1, "c4": 0, "c5": 1}


@pytest.mark.parametrize("kind", ["429", *(pytest.param(k, marks=pytest.mark.soak) for k in ("503", "500", "reset"))])
def test_a_stage_ends_well_through_bad_weather(fleet: World, kind: str) -> None:
    fleet.databricks.faults.add("/api/2.1/clusters/*", kind, rate=0.2, seed=3, times=12)
    fleet.start("first")
    fleet.until("first", StageState.REVIEW, seconds=90)
    assert {a.state for a in fleet.actions("first")} == {ActionState.DONE}
    assert all(count == 1 for count in updates(fleet).values())
    assert len(updates(fleet)) == 6


def test_too_many_failures_stop_new_claims_and_block_the_stage_with_the_way_on(fleet: World) -> None:
    fleet.databricks.faults.add(UPDATE, "403")
    fleet.start("first")
    fleet.until("first", StageState.BLOCKED)
    stage = fleet.stage("first")
    assert stage.left_state is StageState.UPGRADING
    changes = [a for a in fleet.actions("first") if a.kind is ActionKind.CHANGE]
    assert {a.reason_code for a in changes if a.state is ActionState.FAILED} == {"permission_denied"}
    fleet.databricks.faults.rules.clear()
    assert not isinstance(intents.retry(fleet.database, OPS, fleet.calendar(), fleet.rollout_id(), "first"), Refuse)
    fleet.until("first", StageState.REVIEW)
    assert all(count == 1 for count in updates(fleet).values())


def test_a_pause_holds_new_claims_and_what_is_in_flight_ends(fleet: World) -> None:
    fleet.databricks.faults.add(UPDATE, "slow", seconds=0.8)
    fleet.start("first")
    fleet.wait(lambda: any(a.intent_at for a in fleet.actions("first")), "the first write to be on its way")
    assert not isinstance(intents.pause(fleet.database, OPS, fleet.calendar(), fleet.rollout_id(), "hold"), Refuse)

    def settled() -> bool:
        return not [a for a in fleet.actions("first") if a.state is ActionState.RUNNING]

    fleet.wait(settled, "nothing in flight", step=30)
    held = len(fleet.databricks.calls.writes(path="clusters/update"))
    for _ in range(4):
        fleet.engines[0].wake()
        fleet.step(60)
    assert len(fleet.databricks.calls.writes(path="clusters/update")) == held
    assert held < 6
    assert not isinstance(intents.resume(fleet.database, OPS, fleet.calendar(), fleet.rollout_id()), Refuse)
    fleet.until("first", StageState.REVIEW)
    assert all(count == 1 for count in updates(fleet).values())


def test_a_rollback_in_the_middle_puts_back_what_was_changed_and_begins_nothing_more(fleet: World) -> None:
    fleet.databricks.faults.add(UPDATE, "slow", seconds=0.2)
    fleet.start("first")
    fleet.wait(lambda: len(fleet.databricks.calls.writes(path="clusters/update")) >= 2, "two writes")
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    for n in range(6):
        assert fleet.raw("dev", "cluster", f"c{n}")["spark_version"] == "13.3.x-scala2.12"
    assert fleet.stage("first").block_code is None
    assert not [a for a in fleet.actions("first") if a.state in (ActionState.PENDING, ActionState.RUNNING)]


def test_one_target_is_put_back_and_pinned_while_the_rest_stays(fleet: World) -> None:
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    target = next(t for t in fleet.targets("first") if t.name == "c1")
    done = intents_rollback.roll_back_target(
        fleet.database, OPS, fleet.calendar(), fleet.rollout_id(), target.id, "odd results"
    )
    assert not isinstance(done, Refuse), done
    fleet.wait(lambda: fleet.raw("dev", "cluster", "c1")["spark_version"] == "13.3.x-scala2.12", "c1 is back", step=30)
    assert fleet.raw("dev", "cluster", "c3")["spark_version"] == "17.3.x-scala2.13"
    with fleet.database.read() as session:
        assert session.get(Target, target.id).pinned_reason == "odd results"  # type: ignore[union-attr]


def test_a_target_deleted_meanwhile_fails_by_name_and_the_others_go_on(fleet: World) -> None:
    gone = next(t for t in fleet.targets("first") if t.name == "c0")
    fleet.client("dev").write("/api/2.1/clusters/permanent-delete", {"cluster_id": gone.object_id})
    fleet.start("first")
    fleet.until("first", StageState.BLOCKED)
    bad = [a for a in fleet.actions("first") if a.state is ActionState.FAILED]
    assert [(a.target_id, a.reason_code) for a in bad] == [(gone.id, "target_gone")]


def test_an_engine_that_died_between_intent_and_answer_is_taken_over_without_a_second_write(
    migrated_url: str, tmp_path: Path
) -> None:
    with world(migrated_url, tmp_path, FLEET) as made:
        first = made.engine("engine-1")
        made.looked()
        made.databricks.faults.add(UPDATE, "slow", seconds=0.5)
        made.start("first")
        made.wait(lambda: bool(made.databricks.calls.writes(path="clusters/update")), "a write in flight")
        first.die()
        made.engines.remove(first)
        made.databricks.faults.rules.clear()
        made.engine("engine-2")
        made.until("first", StageState.REVIEW, seconds=90)
        assert len(made.databricks.calls.writes(path="clusters/update")) == 6
        with made.database.read() as session:
            assert len(session.execute(select(Backup)).scalars().all()) == 6
            assert session.execute(select(Action).where(Action.state == ActionState.RUNNING)).first() is None


def test_a_change_waits_for_its_window(migrated_url: str, tmp_path: Path) -> None:
    plan = plan_of_two()
    window = {"days": ["sun"], "start": "01:00", "end": "02:00", "zone": "UTC"}
    first = plan.stages[0].model_validate({**plan.stages[0].model_dump(), "windows": [window]})
    with world(migrated_url, tmp_path, FLEET, plan.model_copy(update={"stages": (first, plan.stages[1])})) as made:
        made.engine()
        made.looked()
        made.start("first")
        made.wait(lambda: made.state("first") is StageState.UPGRADING, "backed up")
        for _ in range(4):
            made.step(600)
            made.engines[0].wake()
        assert made.databricks.calls.writes(path="clusters/update") == []
        made.step((made.sunday() - made.calendar()).total_seconds())
        made.until("first", StageState.REVIEW)
