"""After a rollback each target is compared with its backup: what is equal was read, and what differs says in what."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.execute import execute
from rollout.comparing import Compared
from rollout.gates import Refuse
from rollout.states import ActionKind, ActionState, StageState
from storage import comparing, facts, intents_rollback
from storage.actions import Claim
from storage.models import Action, Backup, Rollout, Stage
from tests.engine.desk import NEW, OLD, Desk, desk
from tests.engine.harness import OPS, World, world
from tests.engine.test_meanwhile import FLEET, person
from tests.engine.test_progress import roll_back, to_the_end
from workspace.errors import Forbidden, Gone, Unavailable


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        yield made


def compared(bench: Desk, key: str = "first") -> Compared:
    with bench.database.read() as session:
        return facts.standing(session, session.execute(select(Rollout)).scalar_one()).stage(key).compared


def not_equal(bench: Desk, key: str = "first", most: int = 50) -> list[comparing.Result]:
    stage = bench.stage(key)
    with bench.database.read() as session:
        found, total = comparing.not_equal(session, stage.id, stage.generation, stage.back_since or 0, most)
    assert total >= len(found)
    return found


def upgraded(bench: Desk, *names: str) -> list[int]:
    """Targets that were changed, in a stage that goes on."""
    bench.put(StageState.UPGRADING)
    targets = [bench.backed_up(name) for name in names]
    for target in targets:
        bench.action(target, ActionKind.CHANGE)
    bench.work(rounds=2)
    assert all(bench.kind.raws[name]["spark_version"] == NEW for name in names)
    return targets


def untouched(bench: Desk, name: str) -> int:
    """A target that was backed up and not changed: after a rollback it is compared by an action of its own."""
    bench.put(StageState.UPGRADING)
    return bench.backed_up(name)


def test_what_was_put_back_is_compared_before_the_rollback_says_that_it_has_ended(bench: Desk) -> None:
    upgraded(bench, "a", "b")
    roll_back(bench)
    assert compared(bench).waiting == 2, "nothing is equal that was not read"
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=2)


def test_what_was_backed_up_and_never_changed_is_compared_too(bench: Desk) -> None:
    bench.put(StageState.UPGRADING)
    bench.backed_up("untouched")
    roll_back(bench)
    bench.kind.raws["untouched"]["num_workers"] = 7
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(differ=1)
    (one,) = not_equal(bench)
    assert one.fields == ({"field": "num_workers", "before": "none", "ours": "-", "now": "7"},)


def test_a_difference_is_stored_with_its_three_values_and_no_secret(bench: Desk) -> None:
    upgraded(bench, "a")
    bench.kind.raws["a"] |= {"spark_version": "16.4.x-scala2.12", "spark_env_vars": {"PASSWORD": "hunter2"}}
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(differ=1)
    (one,) = not_equal(bench)
    assert one.number == 2
    assert one.fields == (
        {"field": "spark_version", "before": OLD, "ours": NEW, "now": "16.4.x-scala2.12"},
        {"field": "spark_env_vars", "before": "none", "ours": "-", "now": "(hidden)"},
    )
    with bench.database.read() as session:
        assert "hunter2" not in str([a.outcome for a in session.execute(select(Action)).scalars()])


def claimed(bench: Desk) -> list[Claim]:
    """Comparisons that were claimed and not carried out yet."""
    for _ in range(20):
        bench.advance()
        claims = bench.claim()
        if found := [c for c in claims if c.kind is ActionKind.COMPARE]:
            return found
        for claim in claims:
            execute(bench.parts, claim)
        bench.database.push(6)
    raise AssertionError("nothing was compared")


def test_one_read_that_lags_behind_is_not_believed(bench: Desk) -> None:
    target = untouched(bench, "a")
    roll_back(bench)
    (claim,) = claimed(bench)
    bench.kind.raws["a"]["spark_version"] = NEW  # as it was a moment ago
    execute(bench.parts, claim)
    (action,) = bench.of(target, ActionKind.COMPARE)
    assert action.state is ActionState.RUNNING
    bench.kind.raws["a"]["spark_version"] = OLD
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=1)


@pytest.mark.parametrize(
    ("error", "found", "code"),
    [
        (Gone("cluster a does not exist"), Compared(equal=1, gone=1), "target_gone"),
        (Forbidden("no"), Compared(equal=1, unread=1), "permission_denied"),
        (Unavailable("no answer"), Compared(equal=1, unread=1), "workspace_unreachable"),
    ],
)
def test_what_cannot_be_read_is_never_called_equal(bench: Desk, error: Exception, found: Compared, code: str) -> None:
    upgraded(bench, "b")
    first = untouched(bench, "a")
    roll_back(bench)

    def refuse(name: str) -> None:
        if name == "a" and bench.of(first, ActionKind.COMPARE):
            raise error

    bench.kind.on_read = refuse
    assert to_the_end(bench, rounds=120) is StageState.ROLLED_BACK
    assert compared(bench) == found
    (one,) = not_equal(bench)
    assert (one.name, one.code) == ("a", code)


def test_without_a_backup_that_opens_nothing_is_equal(bench: Desk) -> None:
    untouched(bench, "a")
    roll_back(bench)
    (claim,) = claimed(bench)
    with bench.database.write() as session:
        session.execute(update(Backup).values(ciphertext=b"of a key that is gone"))
    execute(bench.parts, claim)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(unread=1)
    assert [one.code for one in not_equal(bench)] == ["no_backup"]


def test_a_comparison_that_a_crash_interrupted_is_made_by_the_next_engine(bench: Desk) -> None:
    target = untouched(bench, "a")
    roll_back(bench)
    claimed(bench)  # and its engine dies with it
    assert bench.advance() is StageState.ROLLING_BACK
    assert compared(bench) == Compared(waiting=1)
    bench.database.push(bench.parts.lease_seconds + 1)
    second = bench.replica("second")
    for claim in bench.claim(parts=second):
        execute(second, claim)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=1)
    assert len(bench.of(target, ActionKind.COMPARE)) == 1


def test_pause_and_pins_do_not_hold_a_comparison(bench: Desk) -> None:
    upgraded(bench, "a")
    with bench.database.write() as session:
        session.execute(update(Rollout).values(paused=True))
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=1)


def test_a_single_target_that_was_put_back_is_compared_and_again_with_its_stage(bench: Desk) -> None:
    target, _ = upgraded(bench, "a", "b")
    done = intents_rollback.roll_back_target(bench.database, OPS, bench.now, 1, target, "slow")
    assert not isinstance(done, Refuse), done
    bench.work(rounds=3)
    (action,) = bench.of(target, ActionKind.COMPARE)
    assert (action.state, action.reason_code) == (ActionState.DONE, None)
    assert compared(bench) == Compared(), "the stage itself was not rolled back"
    bench.kind.raws["a"]["num_workers"] = 3
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=1, differ=1)
    assert [a.attempt for a in bench.of(target, ActionKind.COMPARE)] == [1, 2]


def test_the_look_that_shows_it_put_back_is_its_comparison(bench: Desk) -> None:
    target = upgraded(bench, "a")[0]
    roll_back(bench)
    reads: list[str] = []
    bench.kind.on_read = reads.append
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=1)
    assert reads == ["a", "a"], "before the write, and after it"
    (action,) = bench.of(target, ActionKind.COMPARE)
    assert (action.state, action.reason_code, action.epoch) == (ActionState.DONE, None, 0)


def test_what_is_put_back_and_differs_in_another_field_is_looked_at_twice_before_that_is_said(bench: Desk) -> None:
    target = upgraded(bench, "a")[0]
    bench.kind.raws["a"]["num_workers"] = 9
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(differ=1)
    (action,) = bench.of(target, ActionKind.COMPARE)
    assert action.epoch == 2, "claimed and looked at two times"
    assert bench.of(target, ActionKind.REVERT)[0].state is ActionState.DONE


def test_a_second_rollback_compares_everything_anew(bench: Desk) -> None:
    first, _ = upgraded(bench, "a", "b")
    bench.kind.raws["a"]["spark_version"] = "16.4.x-scala2.12"
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=1, differ=1)
    bench.kind.raws["a"]["spark_version"] = OLD  # somebody mends it by hand
    roll_back(bench)
    assert compared(bench) == Compared(waiting=2), "what was read before this rollback no longer counts"
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=2)
    assert [a.reason_code for a in bench.of(first, ActionKind.COMPARE)] == ["differs_from_backup", None]


def test_a_new_generation_begins_without_the_comparison_of_the_last_one(bench: Desk) -> None:
    upgraded(bench, "a")
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    done = intents_rollback.unlock(bench.database, OPS, bench.now, 1, "first", "mended")
    assert not isinstance(done, Refuse), done
    assert compared(bench) == Compared()


def test_nothing_is_compared_where_nothing_was_backed_up(bench: Desk) -> None:
    bench.put(StageState.PREPARING)
    target = bench.target("a")
    bench.action(target, ActionKind.BACKUP)
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared()
    assert bench.of(target, ActionKind.COMPARE) == []


def test_asking_twice_asks_for_nothing_twice(bench: Desk) -> None:
    bench.put(StageState.ROLLING_BACK, back_since=0)
    stage = bench.stage()
    targets = [bench.target(f"t{n}") for n in range(3)]
    with bench.database.write() as session:
        for target in targets:
            session.add(
                Action(
                    rollout_id=stage.rollout_id,
                    stage_id=stage.id,
                    generation=1,
                    target_id=target,
                    workspace="dev",
                    kind=ActionKind.BACKUP,
                    state=ActionState.DONE,
                    created_at=bench.now,
                )
            )
            session.add(
                Backup(
                    target_id=target,
                    stage_id=stage.id,
                    generation=1,
                    ciphertext=b"",
                    digest="d",
                    state="",
                    created_at=bench.now,
                )
            )
        session.flush()
        locked = session.get_one(Stage, stage.id)
        assert comparing.ask(session, locked, bench.now) == 3
        assert comparing.ask(session, locked, bench.now) == 0


def test_permissions_are_backed_up_and_compared_too(bench: Desk) -> None:
    bench.kind.rights = {"a": {"user anna": ["CAN_MANAGE"]}, "b": {"group all": ["CAN_ATTACH_TO"]}}
    upgraded(bench, "a", "b")
    bench.kind.rights["a"] = {"user anna": ["CAN_RESTART"], "group all": ["CAN_MANAGE"]}
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=1, differ=1)
    (one,) = not_equal(bench)
    assert one.fields == (
        {"field": "permissions.user anna", "before": "CAN_MANAGE", "ours": "-", "now": "CAN_RESTART"},
        {"field": "permissions.group all", "before": "none", "ours": "-", "now": "CAN_MANAGE"},
    )


def test_permissions_that_cannot_be_read_any_more_are_not_called_equal(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.kind.rights = {"a": {"user anna": ["CAN_MANAGE"]}}
    upgraded(bench, "a")

    def refuse(*_: Any) -> dict[str, Any]:
        raise Forbidden("no")

    monkeypatch.setattr(bench.kind, "permissions_of", refuse)
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(unread=1)


def test_where_permissions_cannot_be_read_the_backup_is_taken_all_the_same(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> dict[str, Any]:
        raise Forbidden("no")

    monkeypatch.setattr(bench.kind, "permissions_of", refuse)
    upgraded(bench, "a")
    roll_back(bench)
    assert to_the_end(bench) is StageState.ROLLED_BACK
    assert compared(bench) == Compared(equal=1)


# -- over sockets ------------------------------------------------------------------------------------------------------


@pytest.fixture
def fleet(migrated_url: str, tmp_path: Path) -> Iterator[World]:
    with world(migrated_url, tmp_path, FLEET) as made:
        made.engine()
        made.looked()
        yield made


def results(made: World) -> tuple[Compared, dict[str, list[str]]]:
    stage = made.stage("first")
    with made.database.read() as session:
        found = facts.standing(session, session.get_one(Rollout, made.rollout_id())).stage("first").compared
        rows, _ = comparing.not_equal(session, stage.id, stage.generation, stage.back_since or 0, 50)
    return found, {r.name: [str(f["field"]) for f in r.fields] or [r.code] for r in rows}


def test_a_stage_that_went_forward_and_back_is_equal_to_its_backups(fleet: World) -> None:
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    found, rest = results(fleet)
    assert (found, rest) == (Compared(equal=4), {})


def test_what_people_changed_meanwhile_and_what_they_deleted_is_told_apart(fleet: World) -> None:
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    ids = {t.name: t.object_id for t in fleet.targets("first")}
    body: dict[str, Any] = {
        "cluster_id": ids["c0"],
        "update_mask": "spark_conf,autotermination_minutes",
        "cluster": {"spark_conf": {"spark.my.key": "hunter2"}, "autotermination_minutes": 33},
    }
    person(fleet, "/api/2.1/clusters/update", body)
    person(fleet, "/api/2.1/clusters/permanent-delete", {"cluster_id": ids["c1"]})
    person(
        fleet,
        "/api/2.2/jobs/update",
        {"job_id": int(ids["nightly"]), "new_settings": {"max_concurrent_runs": 5, "name": "nightly"}},
    )
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    found, rest = results(fleet)
    assert rest == {
        "c0": ["autotermination_minutes", "spark_conf"],
        "c1": ["target_gone"],
        "nightly": ["settings.max_concurrent_runs"],
    }
    assert found == Compared(equal=1, differ=2, gone=1)
