"""What repositories own, what drifts, and the way back to a fallback: on the local Databricks, on both databases."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from checks.managed import edits_arrived
from engine.watch import stage_look
from rollout.drift import APPEARED, FELL_BACK, REDEPLOYED
from rollout.gates import Refuse
from rollout.plan import Plan
from rollout.states import ActionKind, ActionState, StageState, Verdict
from sandbox.databricks import versions
from storage import drifting, facts, intents_rollback, managed
from storage.models import Backup, Card, Fence, Outbox, Rollout, Stage, Target, Workspace
from tests.engine.harness import OPS, World, plan_of_second, plan_of_two, world

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
SPEC: dict[str, Any] = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}
OWNED = {"deployment": {"kind": "BUNDLE", "metadata_file_path": "/x/.bundle/shop/dev/metadata.json"}}
FLEET: dict[str, Any] = {
    "seed": 3,
    "templates": {"job_clusters": {"small": SPEC}},
    "workspaces": {
        "dev": {
            "clusters": [{"name": "etl", "state": "TERMINATED", **SPEC}, {"name": "bi", "state": "TERMINATED", **SPEC}],
            "jobs": [
                {"name": "own", "compute": "small", "minutes": 3},
                {"name": "deployed-1", "compute": "small", "minutes": 3, "settings": OWNED},
                {"name": "deployed-2", "compute": "small", "minutes": 3, "settings": {"tags": {"repository": "git/x"}}},
            ],
        },
        "prod": {"clusters": [], "jobs": []},
    },
}


@pytest.fixture
def fleet(migrated_url: str, tmp_path: Path) -> Any:
    with world(migrated_url, tmp_path, FLEET) as made:
        made.engine()
        made.looked()
        yield made


def target(made: World, name: str) -> Target:
    with made.database.read() as session:
        return session.execute(select(Target).where(Target.name == name)).scalar_one()


def look_again(made: World) -> None:
    """Have dev looked at anew, and wait until it was."""
    with made.database.write() as session:
        session.execute(update(Workspace).where(Workspace.key == "dev").values(look_wanted_at=made.calendar()))

    def looked() -> bool:
        with made.database.read() as session:
            wanted = select(Workspace.look_wanted_at).where(Workspace.key == "dev")
            return session.execute(wanted).scalar_one() is None

    made.wait(looked, "a fresh look")


def drift_of(made: World, name: str, wanted: Callable[[dict[str, Any] | None], bool]) -> dict[str, Any] | None:
    """The drift of a target once it is as wanted: a look passes over what was written a moment before."""

    def seen() -> bool:
        look_again(made)
        return wanted(target(made, name).drift)

    made.wait(seen, f"the drift of {name}: {target(made, name).drift}")
    return target(made, name).drift


def edit_cluster(made: World, name: str, version: str) -> None:
    """Somebody edits a cluster in the workspace."""
    body = {"spark_version": version}
    asked = {"cluster_id": target(made, name).object_id, "update_mask": "spark_version", "cluster": body}
    made.client("dev").write("/api/2.1/clusters/update", asked)


def deploy(made: World, name: str, version: str) -> None:
    """A repository deploys a job."""
    job = made.raw("dev", "job", name)
    cluster = {"job_cluster_key": "main", "new_cluster": {**SPEC, "spark_version": version}}
    body = {"job_id": job["job_id"], "new_settings": {"job_clusters": [cluster]}}
    made.client("dev").write("/api/2.2/jobs/update", body)


def version_of(made: World, name: str) -> str:
    job = made.raw("dev", "job", name)
    return str(job["settings"]["job_clusters"][0]["new_cluster"]["spark_version"])


def in_review(made: World) -> None:
    made.start("first")
    assert made.until("first", StageState.REVIEW) is StageState.REVIEW


def posted(made: World, kind: str) -> int:
    with made.database.read() as session:
        return len(session.execute(select(Outbox.id).where(Outbox.kind == kind)).all())


# -- repositories ------------------------------------------------------------------------------------------------------


def test_what_a_repository_owns_is_backed_up_at_the_freeze_and_never_written(fleet: World) -> None:
    in_review(fleet)
    with fleet.database.read() as session:
        backed_up = set(session.execute(select(Target.name).join(Backup, Backup.target_id == Target.id)).scalars())
        standing = facts.standing(session, session.get_one(Rollout, fleet.rollout_id()))
    assert backed_up == {"etl", "bi", "own", "deployed-1", "deployed-2"}
    assert {version_of(fleet, "deployed-1"), version_of(fleet, "deployed-2")} == {OLD}
    stage = standing.stage("first")
    assert (stage.total, stage.managed, stage.arrived) == (3, 2, 0)
    assert stage.tally(ActionKind.CHANGE).good == 3


def test_edits_are_watched_as_they_arrive(fleet: World) -> None:
    in_review(fleet)

    def arrived() -> list[tuple[str, int, int]]:
        look_again(fleet)
        with fleet.database.read() as session:
            found = managed.arrivals(session, fleet.rollout_id(), "first")
        return sorted((a.repository, a.arrived, a.total) for a in found)

    assert arrived() == [("bundle shop", 0, 1), ("git/x", 0, 1)]
    found = edits_arrived(stage_look(fleet.engines[0]._parts, fleet.stage("first").id))
    assert (found.verdict, found.reason_code) == (Verdict.FAIL, "not_arrived")
    assert "bundle shop: 0 of 1 arrived" in found.sentence
    card = select(Card.wanted).join(Stage, Stage.id == Card.stage_id).where(Stage.key == "first")
    with fleet.database.read() as session:
        before = session.execute(card).scalar_one()
    deploy(fleet, "deployed-1", NEW)
    assert arrived() == [("bundle shop", 1, 1), ("git/x", 0, 1)]
    with fleet.database.read() as session:
        assert session.execute(card).scalar_one() > before, "the card goes on saying that nothing arrived"
    deploy(fleet, "deployed-2", NEW)
    assert arrived() == [("bundle shop", 1, 1), ("git/x", 1, 1)]
    found = edits_arrived(stage_look(fleet.engines[0]._parts, fleet.stage("first").id))
    assert (found.verdict, found.sentence) == (Verdict.PASS, "All 2 edits of repositories have arrived.")


def test_a_stage_of_which_repositories_own_everything_can_be_started_and_reviewed(
    migrated_url: str, tmp_path: Path
) -> None:
    plan = plan_of_two()
    first = plan.stages[0]
    only = first.targets.model_copy(update={"names": ("deployed-*",)})
    plan = plan.model_copy(update={"stages": (first.model_copy(update={"targets": only}), plan.stages[1])})
    with world(migrated_url, tmp_path, FLEET, plan) as made:
        made.engine()
        made.looked()
        in_review(made)
        assert {a.kind for a in made.actions("first")} == {ActionKind.BACKUP}


def test_a_rollback_leaves_what_repositories_deployed_unless_that_is_ticked(fleet: World) -> None:
    in_review(fleet)
    deploy(fleet, "deployed-1", NEW)
    look_again(fleet)
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    assert (version_of(fleet, "own"), version_of(fleet, "deployed-1")) == (OLD, NEW)


def test_an_emergency_puts_back_by_api_what_a_repository_deployed_and_its_next_deploy_is_drift(fleet: World) -> None:
    in_review(fleet)
    deploy(fleet, "deployed-1", NEW)
    look_again(fleet)
    done = intents_rollback.roll_back(
        fleet.database, OPS, fleet.calendar(), fleet.rollout_id(), ["first"], "fire", managed_too=True
    )
    assert not isinstance(done, Refuse)
    fleet.until("first", StageState.ROLLED_BACK)
    assert (version_of(fleet, "deployed-1"), version_of(fleet, "deployed-2")) == (OLD, OLD)
    reverts = [a for a in fleet.actions("first") if a.kind is ActionKind.REVERT]
    assert len(reverts) == 4
    assert {a.state for a in reverts} == {ActionState.DONE}
    # Now it is as we put it back; then its repository deploys again.
    assert drift_of(fleet, "deployed-1", lambda drift: drift is None) is None
    deploy(fleet, "deployed-1", NEW)
    drift = drift_of(fleet, "deployed-1", lambda drift: drift is not None)
    assert drift is not None
    assert (drift["what"], drift["expected"], drift["found"]) == (REDEPLOYED, "13.3", "17.3")


def forced_plan() -> Plan:
    plan = plan_of_two()
    first = plan.stages[0]
    targets = first.targets.model_copy(update={"managed": "force"})
    return plan.model_copy(update={"stages": (first.model_copy(update={"targets": targets}), plan.stages[1])})


def test_what_is_forced_is_changed_by_api_and_put_back(migrated_url: str, tmp_path: Path) -> None:
    with world(migrated_url, tmp_path, FLEET, forced_plan()) as made:
        made.engine()
        made.looked()
        in_review(made)
        assert (version_of(made, "deployed-1"), version_of(made, "deployed-2")) == (NEW, NEW)
        made.roll_back("first")
        made.until("first", StageState.ROLLED_BACK)
        assert (version_of(made, "deployed-1"), version_of(made, "deployed-2")) == (OLD, OLD)


# -- drift -------------------------------------------------------------------------------------------------------------


def test_what_fell_back_is_noticed_with_who_and_when_and_forgotten_once_it_is_mended(fleet: World) -> None:
    in_review(fleet)
    assert drift_of(fleet, "etl", lambda drift: drift is None) is None
    edit_cluster(fleet, "etl", OLD)
    edited = fleet.calendar()
    drift = drift_of(fleet, "etl", lambda drift: drift is not None)
    assert drift is not None
    assert (drift["what"], drift["expected"], drift["found"]) == (FELL_BACK, "17.3", "13.3")
    assert drift["by"] == fleet.databricks.workspaces["dev"].client_id  # as the cluster's EDITED event names it
    assert abs((edited - fleet.calendar()).total_seconds()) < timedelta(hours=1).total_seconds()
    edit_cluster(fleet, "etl", NEW)
    drift_of(fleet, "etl", lambda drift: drift is None)


def test_a_job_that_fell_back_is_noticed_and_the_api_does_not_say_by_whom(fleet: World) -> None:
    in_review(fleet)
    deploy(fleet, "own", OLD)
    drift = drift_of(fleet, "own", lambda drift: drift is not None)
    assert drift is not None
    assert (drift["what"], drift["by"], drift["at"]) == (FELL_BACK, None, None)


def test_what_appears_on_the_old_runtime_after_the_freeze_is_noticed(fleet: World) -> None:
    in_review(fleet)
    made = {"name": "late", "tasks": [{"task_key": "a", "new_cluster": SPEC, "notebook_task": {"notebook_path": "/a"}}]}
    fleet.client("dev").write("/api/2.2/jobs/create", made)
    look_again(fleet)
    drift = drift_of(fleet, "late", lambda drift: drift is not None)
    assert drift is not None
    assert (drift["what"], drift["found"]) == (APPEARED, "13.3")
    assert drift_of(fleet, "own", lambda drift: drift is None) is None


def test_nothing_drifts_before_a_stage_is_upgraded_nor_where_it_is_pinned(fleet: World) -> None:
    look_again(fleet)
    with fleet.database.read() as session:
        assert drifting.drifted(session, fleet.rollout_id()) == []
    in_review(fleet)
    edit_cluster(fleet, "etl", OLD)
    drift_of(fleet, "etl", lambda drift: drift is not None)
    with fleet.database.write() as session:
        session.execute(update(Target).where(Target.name == "etl").values(pinned_reason="left there"))
    drift_of(fleet, "etl", lambda drift: drift is None)


def test_drift_is_reported_once_a_day_for_as_long_as_there_is_some(fleet: World) -> None:
    in_review(fleet)
    edit_cluster(fleet, "etl", OLD)
    drift_of(fleet, "etl", lambda drift: drift is not None)
    fleet.wait(lambda: posted(fleet, "drift") == 1, "the report of today")
    edit_cluster(fleet, "bi", OLD)
    drift_of(fleet, "bi", lambda drift: drift is not None)
    today = f"{fleet.calendar():%Y-%m-%d}"
    assert drifting.report(fleet.database, fleet.rollout_id(), today, fleet.calendar()) is False
    assert posted(fleet, "drift") == 1
    fleet.step(86_400)
    fleet.wait(lambda: posted(fleet, "drift") == 2, "the report of tomorrow")
    edit_cluster(fleet, "etl", NEW)
    edit_cluster(fleet, "bi", NEW)
    drift_of(fleet, "etl", lambda drift: drift is None)
    drift_of(fleet, "bi", lambda drift: drift is None)
    fleet.step(86_400)
    tomorrow = f"{fleet.calendar():%Y-%m-%d}"
    assert drifting.report(fleet.database, fleet.rollout_id(), tomorrow, fleet.calendar()) is False
    with fleet.database.read() as session:
        assert len(session.execute(select(Fence.id).where(Fence.job == "drift")).all()) == 2


# -- the way back ------------------------------------------------------------------------------------------------------


def with_fallback(plan: Plan) -> Plan:
    return plan.model_copy(update={"runtimes": plan.runtimes.model_copy(update={"fallback": "16.4"})})


@pytest.mark.parametrize("fallback", [True, False])
def test_where_the_old_runtime_is_refused_the_way_back_is_the_fallback_of_the_plan(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallback: bool
) -> None:
    plan = with_fallback(plan_of_two()) if fallback else plan_of_two()
    with world(migrated_url, tmp_path, FLEET, plan) as made:
        made.engine()
        made.looked()
        in_review(made)
        monkeypatch.setattr(versions, "_LISTED", frozenset(k for k in versions._LISTED if not k.startswith("13.3")))
        made.roll_back("first")
        made.until("first", StageState.ROLLED_BACK)
        reverts = [a for a in made.actions("first") if a.kind is ActionKind.REVERT]
        if not fallback:
            assert {(a.state, a.reason_code) for a in reverts} == {(ActionState.FAILED, "write_refused")}
            assert version_of(made, "own") == NEW
            return
        assert {a.state for a in reverts} == {ActionState.DONE}
        assert {a.sentence for a in reverts} == {
            "Put back on the fallback runtime: the old one can no longer be selected."
        }
        assert version_of(made, "own") == "16.4.x-scala2.12"
        assert made.raw("dev", "cluster", "etl")["spark_version"] == "16.4.x-scala2.12"


def test_an_old_runtime_that_is_only_not_listed_is_put_back_as_it_was(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [v for v in versions.listed() if not v["key"].startswith("13.3")]
    monkeypatch.setattr(versions, "listed", lambda: listed)
    with world(migrated_url, tmp_path, FLEET, with_fallback(plan_of_two())) as made:
        made.engine()
        made.looked()
        note = "the workspace no longer lists 13.3: where it is refused, the way back is to 16.4"
        assert note in (target(made, "own").change or {})["notes"]
        in_review(made)
        made.roll_back("first")
        made.until("first", StageState.ROLLED_BACK)
        assert version_of(made, "own") == OLD


def test_a_plan_of_one_stage_has_no_overlaps_and_no_orphans_but_what_no_stage_selects(
    migrated_url: str, tmp_path: Path
) -> None:
    plan = plan_of_second()
    with world(migrated_url, tmp_path, FLEET, plan) as made:
        made.engine()
        made.looked()
        with made.database.read() as session:
            standing = facts.standing(session, session.get_one(Rollout, made.rollout_id()))
        assert (standing.unassigned, standing.orphans, standing.overlaps) == (5, 5, {})
