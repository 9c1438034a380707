"""Once the last stage that uses a policy has passed its default flips, and where the plan says so, it is narrowed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from rollout.plan import Plan, Supports
from rollout.states import ActionKind, ActionState, StageState
from storage import dryrun, tallies
from storage.models import Action, Target
from tests.engine.harness import World, plan_of_two, world

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
POLICY = "AAAA000000000001"
DEFINITION = (
    '{ "spark_version":  {"type":"fixed", "value":"13.3.x-scala2.12"},\n'
    ' "custom_tags.team": {"type": "unlimited", "isOptional": true} }'
)
SPEC = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1, "policy_id": POLICY}
DEPLOYED = {"deployment": {"kind": "BUNDLE", "metadata_file_path": "/x/.bundle/shop/dev/metadata.json"}}
FLEET: dict[str, Any] = {
    "seed": 5,
    "templates": {"job_clusters": {"governed": SPEC}},
    "workspaces": {
        "dev": {
            "policies": [{"policy_id": POLICY, "name": "etl", "definition": DEFINITION}],
            "clusters": [
                {"name": "canary", "state": "TERMINATED", **SPEC},
                {"name": "rest", "state": "TERMINATED", **SPEC},
            ],
            "jobs": [],
        }
    },
}
WIDE = {"type": "allowlist", "values": [OLD, NEW], "defaultValue": OLD}
FLIPPED = {**WIDE, "defaultValue": NEW}
NARROW = {"type": "allowlist", "values": [NEW], "defaultValue": NEW}


def one_stage(**more: Any) -> Plan:
    plan = plan_of_two()
    return plan.model_copy(update={"workspaces": ("dev",), "stages": plan.stages[:1], **more})


def two_stages(**more: Any) -> Plan:
    """A canary with one cluster, and the rest of the workspace."""
    first = plan_of_two().stages[0]
    canary = first.model_copy(update={"targets": first.targets.model_copy(update={"names": ("canary",)})})
    return one_stage(stages=(canary, first.model_copy(update={"key": "second"})), **more)


@pytest.fixture
def single(migrated_url: str, tmp_path: Path) -> Iterator[World]:
    with world(migrated_url, tmp_path, FLEET, one_stage()) as made:
        yield begin(made)


def begin(made: World) -> World:
    made.engine()
    made.looked()
    return made


def text(made: World) -> str:
    return str(made.databricks.workspaces["dev"].shelf("policies")[POLICY]["definition"])


def rule(made: World) -> Any:
    return json.loads(text(made))["spark_version"]


def version(made: World, name: str) -> str:
    return str(made.raw("dev", "cluster", name)["spark_version"])


def passed(made: World, key: str) -> None:
    made.start(key)
    made.until(key, StageState.REVIEW)
    made.approve(key)
    made.looked_again()


def becomes(made: World, wanted: Any) -> None:
    """The rule is as wanted, and what was done for it has ended."""

    def so() -> bool:
        with made.database.read() as session:
            open_ = select(Action.id).where(Action.state.in_([ActionState.PENDING, ActionState.RUNNING]))
            return rule(made) == wanted and session.execute(open_).first() is None

    made.wait(so, f"the rule {wanted}, now {rule(made)}", step=30)


def of_policy(made: World) -> list[Action]:
    with made.database.read() as session:
        rows = select(Action).join(Target, Target.id == Action.target_id).where(Target.kind == "policy")
        return list(session.execute(rows.order_by(Action.id)).scalars())


def test_the_default_flips_when_its_only_stage_has_passed_and_is_not_narrowed_by_itself(single: World) -> None:
    single.start("first")
    single.until("first", StageState.REVIEW)
    assert rule(single) == WIDE
    single.approve("first")
    becomes(single, FLIPPED)
    single.looked_again()
    becomes(single, FLIPPED)  # and that is all: nothing is done twice
    assert [a.kind for a in of_policy(single)] == [
        ActionKind.BACKUP,
        ActionKind.CHANGE,
        ActionKind.VALIDATE,
        ActionKind.CHANGE,
    ]
    assert single.state("first") is StageState.PASSED
    with single.database.read() as session:
        assert tallies.left_widened(session, single.rollout_id()) == [("etl", "dev")]
    single.roll_back("first")
    single.until("first", StageState.ROLLED_BACK)
    assert text(single) == DEFINITION
    assert version(single, "rest") == OLD


@pytest.mark.soak
def test_the_default_flips_in_the_last_stage_that_uses_it_and_back_with_that_stage(
    migrated_url: str, tmp_path: Path
) -> None:
    with world(migrated_url, tmp_path, FLEET, two_stages()) as made:
        passed(begin(made), "first")
        assert rule(made) == WIDE
        assert len(of_policy(made)) == 3
        passed(made, "second")
        becomes(made, FLIPPED)
        made.roll_back("second")
        made.until("second", StageState.ROLLED_BACK)
        assert rule(made) == WIDE  # the canary needs both, the rest is back
        assert (version(made, "canary"), version(made, "rest")) == (NEW, OLD)
        made.roll_back("first")
        made.until("first", StageState.ROLLED_BACK)
        assert text(made) == DEFINITION


def test_a_policy_is_narrowed_where_the_plan_says_so_and_widened_again_before_its_targets_go_back(
    migrated_url: str, tmp_path: Path
) -> None:
    with world(migrated_url, tmp_path, FLEET, one_stage(supports=Supports(narrow=True))) as made:
        passed(begin(made), "first")
        becomes(made, FLIPPED)
        again(made)
        becomes(made, NARROW)
        with made.database.read() as session:
            assert tallies.left_widened(session, made.rollout_id()) == []
        made.roll_back("first")
        made.until("first", StageState.ROLLED_BACK)
        assert (version(made, "canary"), version(made, "rest")) == (OLD, OLD)
        assert text(made) == DEFINITION
        assert [a.state for a in of_policy(made) if a.kind is ActionKind.REVERT] == [ActionState.DONE] * 2


@pytest.mark.soak
def test_a_second_rollback_widens_a_policy_again_that_could_not_be(migrated_url: str, tmp_path: Path) -> None:
    with world(migrated_url, tmp_path, FLEET, one_stage(supports=Supports(narrow=True))) as made:
        passed(begin(made), "first")
        becomes(made, FLIPPED)
        again(made)
        becomes(made, NARROW)
        made.databricks.faults.add("/api/2.0/policies/clusters/edit", "403")
        made.roll_back("first")
        made.until("first", StageState.ROLLED_BACK)
        assert (version(made, "canary"), rule(made)) == (NEW, NARROW)
        made.databricks.faults.rules.clear()
        made.roll_back("first")
        made.until("first", StageState.ROLLED_BACK)
        assert (version(made, "canary"), version(made, "rest")) == (OLD, OLD)
        assert text(made) == DEFINITION


def again(made: World) -> None:
    made.look_again()
    made.looked_again()


def test_nothing_is_narrowed_under_what_is_still_on_the_old_runtime(migrated_url: str, tmp_path: Path) -> None:
    fleet = copy.deepcopy(FLEET)
    fleet["workspaces"]["dev"]["clusters"].append({"name": "of-nobody", "state": "TERMINATED", **SPEC})
    plan = one_stage(supports=Supports(narrow=True))
    targets = plan.stages[0].targets.model_copy(update={"names": ("canary", "rest")})
    plan = plan.model_copy(update={"stages": (plan.stages[0].model_copy(update={"targets": targets}),)})
    with world(migrated_url, tmp_path, fleet, plan) as made:
        passed(begin(made), "first")
        becomes(made, FLIPPED)
        again(made)
        again(made)
        becomes(made, FLIPPED)
        assert version(made, "of-nobody") == OLD


def test_a_policy_that_somebody_edited_is_not_flipped_over_them(single: World) -> None:
    single.start("first")
    single.until("first", StageState.REVIEW)
    theirs = json.dumps({"spark_version": {**WIDE, "values": [OLD, NEW, "16.4.x-scala2.12"]}})
    edit = {"policy_id": POLICY, "name": "etl", "definition": theirs}
    single.client("dev").write("/api/2.0/policies/clusters/edit", edit)
    single.approve("first")
    single.wait(lambda: of_policy(single)[-1].state is ActionState.CONFLICT, "the conflict", step=30)
    assert text(single) == theirs
    assert single.state("first") is StageState.PASSED


def test_a_policy_that_governs_only_what_a_repository_deploys_is_widened_with_its_stage(
    migrated_url: str, tmp_path: Path
) -> None:
    fleet = copy.deepcopy(FLEET)
    dev = fleet["workspaces"]["dev"]
    dev["clusters"] = [{"name": "free", "state": "TERMINATED", **SPEC, "policy_id": None}]
    dev["jobs"] = [{"name": "deployed", "compute": "governed", "minutes": 3, "settings": DEPLOYED}]
    with world(migrated_url, tmp_path, fleet, one_stage()) as made:
        begin(made)
        with made.database.read() as session:
            planned = dryrun.change_set(session, made.rollout_id(), "first")
        assert [(p.kind, p.name) for p in planned] == [("policy", "etl"), ("cluster", "free")]
        made.start("first")
        made.until("first", StageState.REVIEW)
        assert rule(made) == WIDE
        job = made.raw("dev", "job", "deployed")
        cluster = {"job_cluster_key": "main", "new_cluster": {**SPEC, "spark_version": NEW}}
        body = {"job_id": job["job_id"], "new_settings": {"job_clusters": [cluster]}}
        made.client("dev").write("/api/2.2/jobs/update", body)  # its owners' deploy is taken
        made.roll_back("first")
        made.until("first", StageState.ROLLED_BACK)
        assert rule(made) == WIDE  # left under them
