"""What is looked at when a bake has ended: the targets as they are then, and the runs as far as they could be read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from checks import CHECKS
from checks.evidence import StageLook
from engine import watch
from engine.resting import Waits
from engine.targetlook import look_at_targets
from rollout.plan import Plan
from rollout.states import ActionKind, ActionState, StageState, Verdict
from storage.models import Evidence, Run
from tests.engine.desk import NEW, OLD, Desk, desk, seen
from tests.engine.harness import plan_of_two
from workspace.errors import Gone, Unavailable


def watched() -> Plan:
    """The plan of two stages, with a bake in the first and a look at whether its targets came to rest."""
    plan = plan_of_two()
    first = plan.stages[0]
    rest = first.criteria[0].model_copy(update={"key": "rest", "check": "targets_settled"})
    baking = first.model_copy(update={"bake": 3600, "criteria": (*first.criteria, rest)})
    return plan.model_copy(update={"stages": (baking, *plan.stages[1:])})


@pytest.fixture
def bench(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk(migrated_url, monkeypatch, watched()) as made:
        made.put(StageState.BAKING, bake_until=made.now)
        yield made


def changed(bench: Desk, name: str, **raw: Any) -> int:
    target = bench.target(name, state="RUNNING", version=NEW)
    bench.action(target, ActionKind.CHANGE, ActionState.DONE, seen=seen({"state": "RUNNING"}))
    bench.action(target, ActionKind.VALIDATE, ActionState.DONE)
    bench.kind.raws[name].update({"last_restarted_time": 2, **raw})
    return target


def verdicts(bench: Desk) -> dict[str, Verdict]:
    look = watch.stage_look(bench.parts, bench.stage().id)
    return {name: CHECKS[name](look).verdict for name in ("targets_on_target_runtime", "targets_settled")}


def test_targets_that_run_on_the_new_runtime_are_good(bench: Desk) -> None:
    changed(bench, "a")
    changed(bench, "stopped", state="TERMINATED", termination_reason={"code": "INACTIVITY"})
    assert set(verdicts(bench).values()) == {Verdict.PASS}


def test_a_cluster_that_went_down_while_it_baked_has_not_come_to_rest(bench: Desk) -> None:
    changed(bench, "a")
    changed(bench, "down", state="TERMINATED", termination_reason={"code": "DRIVER_UNREACHABLE"})
    present = look_at_targets(bench.parts, bench.stage().id)
    assert present.down == ("down",)
    assert verdicts(bench) == {"targets_on_target_runtime": Verdict.PASS, "targets_settled": Verdict.FAIL}


def test_a_cluster_on_its_way_decides_nothing(bench: Desk) -> None:
    changed(bench, "a", state="RESTARTING")
    assert verdicts(bench)["targets_settled"] is Verdict.INCONCLUSIVE


def settled(bench: Desk) -> Verdict:
    """What the review was given about targets coming to rest."""
    with bench.database.read() as session:
        wanted = select(Evidence.verdict).where(Evidence.criterion == "rest").order_by(Evidence.id.desc())
        return Verdict(session.execute(wanted).scalars().first())


def test_a_review_waits_for_a_cluster_on_its_way_and_each_is_seen_at_rest_once(bench: Desk) -> None:
    changed(bench, "a", state="RESTARTING")
    changed(bench, "b")
    waits: Waits = {}
    assert watch.finish_bake(bench.parts, bench.stage().id, waits) is False
    assert bench.stage().state is StageState.BAKING
    bench.kind.raws["a"]["state"], bench.kind.raws["b"]["state"] = "RUNNING", "RESTARTING"  # some cluster always does
    assert watch.finish_bake(bench.parts, bench.stage().id, waits) is False, "not looked at so soon"
    bench.database.push(5)
    assert watch.finish_bake(bench.parts, bench.stage().id, waits) is True
    assert bench.stage().state is StageState.REVIEW
    assert settled(bench) is Verdict.PASS
    assert waits == {}


def test_a_cluster_that_never_comes_to_rest_holds_the_review_for_a_quarter_of_an_hour(bench: Desk) -> None:
    changed(bench, "a", state="RESTARTING")
    waits: Waits = {}
    for _ in range(3):
        assert watch.finish_bake(bench.parts, bench.stage().id, waits) is False
        bench.database.push(5)
        bench.now += timedelta(minutes=4)
    bench.now += timedelta(minutes=4)
    assert watch.finish_bake(bench.parts, bench.stage().id, waits) is True
    assert settled(bench) is Verdict.INCONCLUSIVE


def test_what_was_on_its_way_and_cannot_be_looked_at_again_is_not_called_good(bench: Desk) -> None:
    changed(bench, "a", state="RESTARTING")
    waits: Waits = {}
    assert watch.finish_bake(bench.parts, bench.stage().id, waits) is False

    def fail(name: str) -> None:
        raise Unavailable(name)

    bench.kind.on_read = fail
    bench.database.push(5)
    bench.now += timedelta(minutes=16)
    assert watch.finish_bake(bench.parts, bench.stage().id, waits) is True
    assert settled(bench) is Verdict.INCONCLUSIVE


def test_a_target_that_somebody_put_back_is_not_on_the_new_runtime(bench: Desk) -> None:
    changed(bench, "a")
    changed(bench, "back", spark_version=OLD)
    assert verdicts(bench)["targets_on_target_runtime"] is Verdict.FAIL


def test_a_target_that_the_listing_leaves_out_is_asked_for_by_itself(bench: Desk) -> None:
    changed(bench, "a")
    changed(bench, "hidden")
    bench.kind.discover = lambda _client: iter(())  # type: ignore[method-assign]
    assert set(verdicts(bench).values()) == {Verdict.PASS}

    def gone(name: str) -> None:
        raise Gone(name)

    bench.kind.on_read = gone
    assert look_at_targets(bench.parts, bench.stage().id).elsewhere == ("a", "hidden")


def test_a_pinned_target_is_nobody_s_evidence(bench: Desk) -> None:
    changed(bench, "a")
    target = bench.target("pinned", pinned_reason="keep")
    bench.action(target, ActionKind.CHANGE, ActionState.DONE)
    assert set(verdicts(bench).values()) == {Verdict.PASS}


@pytest.mark.parametrize("how", ["no answer", "no settings"])
def test_what_could_not_be_looked_at_is_not_called_good(bench: Desk, how: str) -> None:
    changed(bench, "a")
    if how == "no settings":
        bench.parts.clients.clear()  # type: ignore[attr-defined]
    else:

        def fail(_client: Any) -> Any:
            raise Unavailable("no answer")

        bench.kind.discover = fail  # type: ignore[method-assign]
    assert set(verdicts(bench).values()) == {Verdict.INCONCLUSIVE}
    assert watch.finish_bake(bench.parts, bench.stage().id) is True, "the review opens; people see that it is unknown"
    assert bench.stage().state is StageState.REVIEW


def test_runs_of_which_not_all_could_be_read_are_said_to_be_so() -> None:
    side = {"release": "17.3", "runs": 3, "failures": 0, "median": 1.0}
    facts = {"old": side, "new": side, "jobs": [], "since": "", "complete": False}
    found = CHECKS["runs_compared"](StageLook("17.3", 1, (), (), facts))
    assert "not all" in found.sentence.lower()


def test_a_run_that_does_not_tell_its_runtime_counts_by_when_it_began() -> None:
    before = datetime(2026, 11, 23, 8, tzinfo=UTC)
    changed = before + timedelta(hours=1)
    jobs = {("dev", "7"): ("nightly", changed)}

    def ran(started: datetime, release: str | None = None) -> Run:
        return Run(workspace="dev", job_id="7", run_id="1", release=release, result="success", started_at=started)

    plan = plan_of_two()
    assert watch._release(ran(before), jobs, plan) == "13.3"
    assert watch._release(ran(changed), jobs, plan) == "17.3"
    assert watch._release(ran(changed, "15.4"), jobs, plan) == "15.4"
