"""Machine types and spot settings: looked at before the start, and equal after it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.confirm import confirm
from engine.targetlook import look_at_targets
from rollout.states import ActionKind, ActionState, StageState
from storage.models import Action
from tests.engine.desk import NEW, Desk, desk
from tests.engine.harness import world

OLD = "13.3.x-scala2.12"
SPOT = {"availability": "SPOT", "first_on_demand": 1}


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        yield made


def changed(bench: Desk, *names: str, **now: Any) -> list[int]:
    """Targets on spot machines that were really changed by an action; ``now`` is what came to hold beside it."""
    targets = {name: bench.backed_up(name) for name in names}
    changes = []
    for name, target in targets.items():
        bench.kind.raws[name].update(node_type_id="i3.xlarge", aws_attributes=dict(SPOT))
        changes.append(bench.action(target, ActionKind.CHANGE))
    bench.put(StageState.UPGRADING)
    bench.work()
    assert [bench.get(change).state for change in changes] == [ActionState.DONE] * len(names)
    waiting = []
    for name, target in targets.items():
        assert bench.kind.raws[name]["spark_version"] == NEW
        bench.kind.raws[name].update(now)
        waiting.append(bench.action(target, ActionKind.VALIDATE))
    bench.put(StageState.VALIDATING)
    return waiting


def test_a_target_whose_spot_settings_moved_fails_its_look_with_both_values(bench: Desk) -> None:
    waiting = changed(bench, "a", aws_attributes={"availability": "ON_DEMAND", "first_on_demand": 1})
    bench.work(rounds=3)
    look = bench.get(waiting[0])
    assert (look.state, look.reason_code) == (ActionState.FAILED, "machine_changed")
    assert "aws_attributes.availability was SPOT before the change and is ON_DEMAND now" in str(look.sentence)


def test_what_the_platform_fills_in_beside_them_is_no_difference(bench: Desk) -> None:
    more = {**SPOT, "spot_bid_price_percent": 100}
    waiting = changed(bench, "a", aws_attributes=more, driver_node_type_id="i3.xlarge")
    bench.work(rounds=2)
    assert bench.get(waiting[0]).state is ActionState.DONE


def test_the_listing_ends_no_look_at_a_target_that_moved_to_other_machines(bench: Desk) -> None:
    waiting = changed(bench, "a", "b", "c")
    bench.kind.raws["b"]["node_type_id"] = "i3.2xlarge"
    confirm(bench.parts, bench.stage().id)
    assert [bench.get(w).state for w in waiting] == [ActionState.DONE, ActionState.PENDING, ActionState.DONE]
    bench.work(rounds=3)
    assert "node_type_id was i3.xlarge before the change and is i3.2xlarge now" in str(bench.get(waiting[1]).sentence)


def test_a_retry_that_had_nothing_to_write_is_compared_with_what_was_before_the_write(bench: Desk) -> None:
    waiting = changed(bench, "a", "b", "c", node_type_id="i3.2xlarge")
    for look in waiting:  # the write came through, and its action failed all the same: the retry found it made
        target = bench.get(look).target_id
        (first,) = bench.of(target, ActionKind.CHANGE)
        with bench.database.write() as session:
            session.get_one(Action, first.id).state = ActionState.FAILED
        bench.action(target, ActionKind.CHANGE, ActionState.DONE, attempt=2)
    confirm(bench.parts, bench.stage().id)
    assert [bench.get(look).state for look in waiting] == [ActionState.PENDING] * 3


def test_what_its_owner_moves_during_the_bake_is_no_failure_of_the_change(bench: Desk) -> None:
    changed(bench, "a", node_type_id="i3.2xlarge")
    present = look_at_targets(bench.parts, bench.stage().id)
    assert (present.elsewhere, present.down, present.moving, present.error) == ((), (), (), None)


def test_a_workspace_says_which_targets_cannot_get_their_machines_and_they_are_left_alone(
    migrated_sqlite_url: str, tmp_path: Path
) -> None:
    spec = {"spark_version": OLD, "num_workers": 1, "state": "TERMINATED", "data_security_mode": "SINGLE_USER"}
    clusters = [
        {"name": "fine", **spec, "node_type_id": "i3.xlarge"},
        {"name": "unoffered", **spec, "node_type_id": "i3.2xlarge"},
        {"name": "sold-out", **spec, "node_type_id": "r5d.2xlarge"},
        {"name": "ageing", **spec, "node_type_id": "m5d.large"},
    ]
    said = {
        "i3.2xlarge": None,
        "r5d.2xlarge": {"node_info": {"status": ["NotAvailableInRegion"]}},
        "m5d.large": {"is_deprecated": True},
    }
    dev = {"clusters": clusters, "node_types": said}
    with world(migrated_sqlite_url, tmp_path, {"seed": 1, "workspaces": {"dev": dev, "prod": {}}}) as made:
        made.engine()
        made.looked()
        found = {t.name: t for t in made.targets("first")}
        assert {name: t.skip_code for name, t in found.items()} == {
            "fine": None,
            "unoffered": "machine_not_offered",
            "sold-out": "machine_not_offered",
            "ageing": None,
        }
        assert "machine_deprecated" in found["ageing"].change["notes"][0]  # type: ignore[index]
        made.start("first")
        made.until("first", StageState.REVIEW)
        on = {name: made.raw("dev", "cluster", name)["spark_version"] for name in found}
        assert on == {"fine": NEW, "unoffered": OLD, "sold-out": OLD, "ageing": NEW}
