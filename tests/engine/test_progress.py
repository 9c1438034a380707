"""Stages move on from what their actions say: none is stuck for ever, none leaves behind what it changed."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import event, select

from engine import progress
from engine.execute import execute
from engine.loop import Engine
from rollout.gates import Refuse
from rollout.states import ACTION_OPEN, ActionKind, ActionState, StageState
from storage import intents, intents_rollback
from storage.models import Action, Stage, Workspace
from tests.engine.desk import NEW, OLD, Desk, desk, seen
from tests.engine.harness import OPS
from workspace.errors import OutcomeUnknown
from workspace.kinds import KINDS


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        yield made


def roll_back(bench: Desk, *keys: str) -> None:
    done = intents_rollback.roll_back(bench.database, OPS, bench.now, 1, keys or ("first",), "test")
    assert not isinstance(done, Refuse), done


def to_the_end(bench: Desk, key: str = "first", rounds: int = 60) -> StageState:
    """Let the engine work until the stage stands still."""
    for _ in range(rounds):
        state = bench.advance(key)
        if state in (StageState.REVIEW, StageState.BLOCKED, StageState.ROLLED_BACK):
            break
        bench.work(key)
    return bench.advance(key)


# -- back --------------------------------------------------------------------------------------------------------------


def test_a_rollback_puts_back_what_a_failed_attempt_wrote_though_its_retry_was_never_begun(bench: Desk) -> None:
    bench.put(StageState.BLOCKED, left_state=StageState.UPGRADING)
    target = bench.backed_up("c", state="RUNNING")
    bench.kind.raws["c"].update(spark_version=NEW, state="TERMINATED", termination_reason={"code": "DRIVER_ERROR"})
    wrote = {"seen": seen({"state": "RUNNING"}), "intent_at": bench.now, "written_at": bench.now}
    bench.action(target, ActionKind.CHANGE, ActionState.FAILED, reason_code="cluster_error", **wrote)
    assert not isinstance(intents.retry(bench.database, OPS, bench.now, 1, "first"), Refuse)
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert bench.kind.raws["c"]["spark_version"] == OLD


def brought_down(bench: Desk) -> int:
    """A stage that is blocked because its change brought a running cluster down; now it is being rolled back."""
    bench.put(StageState.UPGRADING)
    target = bench.backed_up("c", state="RUNNING")
    bench.action(target, ActionKind.CHANGE)
    bench.work()
    bench.kind.raws["c"].update(state="TERMINATED", termination_reason={"code": "DRIVER_ERROR"})
    assert to_the_end(bench) is StageState.BLOCKED
    roll_back(bench)
    return target


def test_a_cluster_that_the_change_brought_down_is_started_again_when_it_is_put_back(bench: Desk) -> None:
    target = brought_down(bench)

    def come_up(name: str) -> None:
        bench.kind.raws[name] |= {"state": "RUNNING", "last_restarted_time": 9}

    bench.kind.on_start = come_up
    assert to_the_end(bench) is StageState.ROLLED_BACK
    (revert,) = bench.of(target, ActionKind.REVERT)
    assert (revert.state, bench.kind.starts) == (ActionState.DONE, ["c"])
    assert bench.kind.raws["c"]["spark_version"] == OLD


def test_a_cluster_that_does_not_come_up_on_its_old_runtime_either_is_a_failure(bench: Desk) -> None:
    target = brought_down(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    (revert,) = bench.of(target, ActionKind.REVERT)
    assert (revert.state, revert.reason_code, bench.kind.starts) == (ActionState.FAILED, "cluster_error", ["c"])
    assert bench.stage().block_code == "actions_failed"


def test_a_rollback_waits_for_a_write_of_unknown_outcome_and_then_ends(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    target = bench.backed_up("c")
    change = bench.action(target, ActionKind.CHANGE)

    def lost(_object_id: str) -> None:
        bench.kind.on_apply = lambda _: None
        raise OutcomeUnknown("lost")

    bench.kind.on_apply = lost
    bench.work()
    roll_back(bench)
    for _ in range(4):
        assert bench.advance() is StageState.ROLLING_BACK
        assert bench.of(target, ActionKind.REVERT) == [], "no revert beside a write that may still take effect"
        bench.work()
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert bench.get(change).state is ActionState.SKIPPED
    assert bench.kind.writes == []


def test_a_lost_write_that_did_happen_is_put_back_by_the_rollback_that_came_between(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    target = bench.backed_up("c")
    bench.action(target, ActionKind.CHANGE)

    def late(_object_id: str) -> None:
        bench.kind.on_apply = lambda _: None
        raise OutcomeUnknown("lost")

    bench.kind.on_apply = late
    bench.work()
    roll_back(bench)
    bench.advance()
    bench.kind.raws["c"]["spark_version"] = NEW
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert bench.kind.raws["c"]["spark_version"] == OLD


def test_a_support_waits_for_the_way_back_of_a_target_whose_write_is_still_in_doubt(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "policy", bench.kind)
    raws = bench.kind.raws

    def needed(_client: object, object_id: str, _backup: object) -> str | None:
        return "c uses it" if object_id == "etl" and raws["c"]["spark_version"] == NEW else None

    monkeypatch.setattr(bench.kind, "needed", needed)
    bench.put(StageState.UPGRADING)
    policy, target = bench.backed_up("etl", kind="policy"), bench.backed_up("c")
    bench.action(policy, ActionKind.CHANGE, ActionState.DONE)
    raws["etl"]["spark_version"] = NEW
    bench.action(target, ActionKind.CHANGE)

    def answer_lost(_object_id: str) -> None:
        bench.kind.on_apply = lambda _: None
        raws["c"]["spark_version"] = NEW
        raise OutcomeUnknown("lost")

    bench.kind.on_apply = answer_lost
    bench.work(seconds=0)
    roll_back(bench)
    bench.advance()
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert bench.kind.writes == ["c", "etl"], "the support is put back last, and is put back"
    assert {raw["spark_version"] for raw in raws.values()} == {OLD}


def test_an_action_that_is_given_back_after_its_stage_began_to_roll_back_holds_nobody(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    targets = [bench.backed_up(name) for name in ("a", "b")]
    claims_of = [bench.action(target, ActionKind.CHANGE) for target in targets]
    first, second = bench.claim()
    execute(bench.parts, first)
    roll_back(bench)
    bench.advance()
    execute(bench.parts, second)
    assert bench.get(claims_of[1]).state is ActionState.PENDING
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert bench.kind.writes == ["a", "a"]


def test_a_stage_with_a_target_that_is_being_put_back_alone_rolls_back_as_a_whole(bench: Desk) -> None:
    bench.put(StageState.PASSED)
    targets = [bench.backed_up(name) for name in ("a", "b")]
    for target, name in zip(targets, ("a", "b"), strict=True):
        bench.kind.raws[name]["spark_version"] = NEW
        bench.action(target, ActionKind.CHANGE, ActionState.DONE)
    done = intents_rollback.roll_back_target(bench.database, OPS, bench.now, 1, targets[0], "odd")
    assert not isinstance(done, Refuse), done
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert [len(bench.of(t, ActionKind.REVERT)) for t in targets] == [1, 1]
    assert {raw["spark_version"] for raw in bench.kind.raws.values()} == {OLD}


def test_an_earlier_stage_waits_for_a_later_one_without_writing(bench: Desk) -> None:
    for key, name in (("first", "a"), ("second", "b")):
        bench.put(StageState.PASSED, key)
        bench.action(bench.backed_up(name, key), ActionKind.CHANGE, ActionState.DONE)
        bench.kind.raws[name]["spark_version"] = NEW
    roll_back(bench, "first", "second")
    assert bench.advance("second") is StageState.ROLLING_BACK
    begun: list[str] = []
    monitored = bench.database.write
    bench.database.write = lambda: begun.append("write") or monitored()  # type: ignore[method-assign,func-returns-value]
    assert progress.advance(bench.parts, bench.stage().id) is False
    bench.database.write = monitored  # type: ignore[method-assign]
    assert begun == [], "an idle pass takes no write transaction"
    assert to_the_end(bench, "second") is StageState.ROLLED_BACK
    assert to_the_end(bench, "first") is StageState.ROLLED_BACK


def test_after_a_rollback_the_workspaces_are_looked_at_once_more(bench: Desk) -> None:
    bench.put(StageState.PASSED)
    bench.action(bench.backed_up("a"), ActionKind.CHANGE, ActionState.DONE)
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    with bench.database.read() as session:
        wanted = {w.key: w.look_wanted_at for w in session.execute(select(Workspace)).scalars()}
    assert wanted == {"dev": bench.now, "prod": None}


# -- pinned targets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (ActionKind.BACKUP, ActionState.PENDING),
        (ActionKind.BACKUP, ActionState.FAILED),
        (ActionKind.CHANGE, ActionState.PENDING),
        (ActionKind.CHANGE, ActionState.FAILED),
        (ActionKind.CHANGE, ActionState.CONFLICT),
        (ActionKind.CHANGE, ActionState.DONE),
        (ActionKind.VALIDATE, ActionState.PENDING),
        (ActionKind.VALIDATE, ActionState.FAILED),
    ],
)
def test_a_target_that_is_pinned_in_any_phase_holds_no_stage(
    bench: Desk, kind: ActionKind, state: ActionState, everything: bool
) -> None:
    order = [ActionKind.BACKUP, ActionKind.CHANGE, ActionKind.VALIDATE]
    where = dict(zip(order, (StageState.PREPARING, StageState.UPGRADING, StageState.VALIDATING), strict=True))[kind]
    names = ("a",) if everything else ("a", "b")
    bench.put(where)
    for name in names:
        if kind is ActionKind.BACKUP and name == "b":
            bench.backed_up(name)
            continue
        target = bench.backed_up(name) if kind is not ActionKind.BACKUP else bench.target(name)
        for before in order[1 : order.index(kind)]:
            bench.action(target, before, ActionState.DONE)
            bench.kind.raws[name]["spark_version"] = NEW
        bench.action(target, kind, state if name == "a" else ActionState.DONE)
        if kind is ActionKind.CHANGE and (name == "b" or state is ActionState.DONE):
            bench.kind.raws[name]["spark_version"] = NEW
    with bench.database.read() as session:
        pinned = session.execute(select(Action.target_id).order_by(Action.target_id)).scalars().first()
    assert pinned is not None
    done = intents_rollback.roll_back_target(bench.database, OPS, bench.now, 1, pinned, "keep")
    assert not isinstance(done, Refuse), done
    assert to_the_end(bench) is StageState.REVIEW
    bench.work(rounds=4)
    assert bench.kind.raws["a"]["spark_version"] == OLD
    with bench.database.read() as session:
        assert session.execute(select(Action.id).where(Action.state.in_(ACTION_OPEN))).first() is None


# -- generations -------------------------------------------------------------------------------------------------------


def test_nothing_of_an_older_generation_is_open_once_a_stage_is_unlocked(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    done, never = bench.backed_up("a"), bench.backed_up("b")
    bench.action(done, ActionKind.CHANGE)
    bench.work(rounds=2)
    bench.action(never, ActionKind.CHANGE)
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert not isinstance(intents_rollback.unlock(bench.database, OPS, bench.now, 1, "first", "again"), Refuse)
    with bench.database.read() as session:
        assert session.execute(select(Action.id).where(Action.state.in_(ACTION_OPEN))).first() is None
        assert session.execute(select(Stage.generation).where(Stage.key == "first")).scalar_one() == 2


# -- the loop ----------------------------------------------------------------------------------------------------------


def test_a_stage_that_cannot_be_moved_holds_no_other(bench: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put(StageState.PASSED, "second")
    bench.action(bench.backed_up("b", "second"), ActionKind.CHANGE, ActionState.DONE)
    bench.put(StageState.PREPARING)
    bench.action(bench.target("a"), ActionKind.BACKUP, ActionState.DONE)
    roll_back(bench, "second")
    real = progress.advance
    broken = bench.stage("second").id

    def advance(parts: object, stage_id: int) -> bool:
        if stage_id == broken:
            raise RuntimeError("a defect")
        return real(parts, stage_id)  # type: ignore[arg-type]

    monkeypatch.setattr(progress, "advance", advance)
    Engine(bench.parts).pass_once()
    assert bench.stage("first").state is not StageState.PREPARING


@pytest.mark.parametrize("held", ["paused", "windows", "waiting", "baking"])
def test_an_engine_that_has_nothing_to_do_does_not_write(bench: Desk, held: str) -> None:
    target = bench.backed_up("a")
    bench.put(StageState.UPGRADING)
    action = bench.action(target, ActionKind.CHANGE)
    if held == "paused":
        assert not isinstance(intents.pause(bench.database, OPS, bench.now, 1, "hold"), Refuse)
    engine = Engine(bench.parts)
    if held == "windows":
        engine.wants = lambda: [w for w in Engine.wants(engine) if not w.forward]  # type: ignore[method-assign]
    if held in ("waiting", "baking"):
        state = StageState.READY if held == "waiting" else StageState.BAKING
        bench.put(state, bake_until=bench.now.replace(year=2027))
        with bench.database.write() as session:
            session.execute(select(Action).where(Action.id == action)).scalar_one().state = ActionState.DONE
    engine.pass_once()
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(bench.database.engine, "before_cursor_execute", note)
    for _ in range(3):
        engine.pass_once()
    engine.stop()
    event.remove(bench.database.engine, "before_cursor_execute", note)
    writes = [s for s in statements if not s.lstrip().startswith("SELECT") or "FOR UPDATE" in s]
    writes = [s for s in writes if not s.startswith("BEGIN") or "IMMEDIATE" in s]
    assert writes == []
    assert len(statements) < 60


def test_an_engine_does_not_run_hot_while_a_stage_bakes(bench: Desk) -> None:
    bench.put(StageState.BAKING, bake_until=bench.now.replace(year=2027))
    passes = [0]
    engine = Engine(bench.parts)
    real = engine.pass_once

    def counted() -> None:
        passes[0] += 1
        real()

    engine.pass_once = counted  # type: ignore[method-assign]
    bench.parts.clients.clear()  # type: ignore[attr-defined]
    engine.start()
    time.sleep(2)  # what is measured is what happens by itself
    engine.stop()
    assert 2 <= passes[0] <= 8
