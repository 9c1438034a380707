"""Changed targets are looked at in one listing; what that does not show at rest is looked at by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.confirm import confirm
from engine.execute import execute
from rollout.change import Found
from rollout.states import ActionKind, ActionState, StageState
from storage.models import Action
from tests.engine.desk import NEW, OLD, Desk, desk
from tests.engine.harness import world
from workspace.errors import Unavailable


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch) as made:
        yield made


def changed(bench: Desk, *names: str) -> list[int]:
    """Targets whose change has ended well, in a stage that looks once more; returns the looks that wait."""
    waiting = []
    for name in names:
        target = bench.target(name)
        bench.kind.raws[name]["spark_version"] = NEW
        bench.action(target, ActionKind.CHANGE, ActionState.DONE)
        waiting.append(bench.action(target, ActionKind.VALIDATE))
    bench.put(StageState.VALIDATING)
    return waiting


def states(bench: Desk, waiting: list[int]) -> list[ActionState]:
    return [bench.get(action).state for action in waiting]


def test_what_the_listing_shows_changed_and_at_rest_is_done_and_read_no_more(bench: Desk) -> None:
    waiting = changed(bench, "a", "b", "c", "d")
    reads: list[str] = []
    bench.kind.on_read = reads.append
    confirm(bench.parts, bench.stage().id)
    assert states(bench, waiting) == [ActionState.DONE] * 4
    assert reads == []
    assert bench.advance() is StageState.REVIEW


def test_what_fell_back_or_moves_still_is_left_to_a_look_of_its_own(bench: Desk) -> None:
    waiting = changed(bench, "a", "b", "c", "d")
    bench.kind.raws["b"]["spark_version"] = OLD
    bench.kind.raws["c"]["state"] = "RESTARTING"
    del bench.kind.raws["d"]
    confirm(bench.parts, bench.stage().id)
    assert states(bench, waiting) == [ActionState.DONE, *[ActionState.PENDING] * 3]
    for claim in bench.claim():
        if claim.target_name == "b":
            execute(bench.parts, claim)
    bench.work(rounds=2)
    assert bench.get(waiting[1]).state is ActionState.CONFLICT


def test_a_listing_that_fails_leaves_everything_to_looks_one_by_one(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = changed(bench, "a", "b", "c")

    def refuse(_client: object) -> None:
        raise Unavailable("not now")

    monkeypatch.setattr(bench.kind, "discover", refuse)
    confirm(bench.parts, bench.stage().id)
    assert states(bench, waiting) == [ActionState.PENDING] * 3
    bench.work()
    assert states(bench, waiting) == [ActionState.DONE] * 3


def test_looks_that_somebody_began_or_a_rollback_dropped_meanwhile_are_left_alone(bench: Desk) -> None:
    waiting = changed(bench, "a", "b", "c")
    listed = bench.kind.discover
    meanwhile = [ActionState.RUNNING, ActionState.SKIPPED, ActionState.PENDING]

    def slowly(client: object) -> Iterator[Found]:
        with bench.database.write() as session:
            for action, state in zip(waiting, meanwhile, strict=True):
                session.get_one(Action, action).state = state
        yield from listed(client)

    bench.kind.discover = slowly  # type: ignore[method-assign]
    confirm(bench.parts, bench.stage().id)
    assert states(bench, waiting) == [ActionState.RUNNING, ActionState.SKIPPED, ActionState.DONE]


def test_a_changed_job_is_read_for_its_backup_and_before_its_write_and_not_again(
    migrated_sqlite_url: str, tmp_path: Path
) -> None:
    compute = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}
    jobs = [{"name": f"job-{n}", "cron": "0 0 3 * * ?", "compute": "small"} for n in range(4)]
    fleet = {
        "seed": 5,
        "workspaces": {"dev": {"jobs": jobs}, "prod": {"jobs": jobs[:1]}},
        "templates": {"job_clusters": {"small": compute}},
    }
    with world(migrated_sqlite_url, tmp_path, fleet) as made:
        made.engine()
        made.looked()
        began = made.databricks.calls.next
        made.start("first")
        made.until("first", StageState.REVIEW)
        assert len(made.targets("first")) == 4
        for job in made.targets("first"):
            calls = [c.path for c in made.databricks.calls.since(began) if c.target == job.object_id]
            assert calls == ["/api/2.2/jobs/get", "/api/2.2/jobs/get", "/api/2.2/jobs/update"]
