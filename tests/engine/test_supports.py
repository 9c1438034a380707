"""Policies that pin the old runtime: widened before the targets, put back after them, never under somebody's feet."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from rollout.gates import Refuse
from rollout.states import ActionKind, ActionState, StageState
from storage import drifting, dryrun, facts, intents_pins
from storage.models import Action, Rollout, Target, Workspace
from tests.engine.harness import OPS, World, world

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
DEFINITION = (
    '{ "spark_version":  {"type":"fixed", "value":"13.3.x-scala2.12"},\n'
    ' "custom_tags.team": {"type": "unlimited", "isOptional": true} }'
)
SPEC = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}
FLEET: dict[str, Any] = {
    "seed": 5,
    "templates": {"job_clusters": {"small": SPEC, "governed": {**SPEC, "policy_id": "AAAA000000000001"}}},
    "workspaces": {
        "dev": {
            "policies": [
                {"policy_id": "AAAA000000000001", "name": "etl", "definition": DEFINITION, "max_clusters_per_user": 9},
                {"policy_id": "AAAA000000000002", "name": "unused", "definition": DEFINITION},
                {
                    "policy_id": "AAAA000000000003",
                    "name": "floating",
                    "definition": '{"spark_version": {"type": "forbidden"}}',
                },
            ],
            "clusters": [
                {"name": "governed", "state": "TERMINATED", **SPEC, "policy_id": "AAAA000000000001"},
                {"name": "free", "state": "TERMINATED", **SPEC},
                {"name": "stuck", "state": "TERMINATED", **SPEC, "policy_id": "AAAA000000000003"},
            ],
            "jobs": [{"name": "nightly", "minutes": 5, "compute": "governed"}],
        },
        "prod": {"clusters": [], "jobs": [{"name": "hourly", "minutes": 5, "compute": "small"}]},
    },
}


@pytest.fixture
def governed(migrated_url: str, tmp_path: Path) -> Any:
    with world(migrated_url, tmp_path, FLEET) as made:
        made.engine()
        made.looked()
        yield made


def policy(made: World, policy_id: str = "AAAA000000000001") -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(made.databricks.workspaces["dev"].shelf("policies")[policy_id])
    return found


def rule(made: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(policy(made)["definition"])["spark_version"]
    return found


def of_policies(made: World) -> list[Action]:
    with made.database.read() as session:
        return list(
            session.execute(
                select(Action)
                .join(Target, Target.id == Action.target_id)
                .where(Target.kind == "policy", Action.kind != ActionKind.COMPARE)
                .order_by(Action.id)
            ).scalars()
        )


def test_the_policy_that_a_target_needs_is_in_the_change_set_before_the_targets(governed: World) -> None:
    with governed.database.read() as session:
        planned = dryrun.change_set(session, governed.rollout_id(), "first")
    assert [(p.kind, p.name) for p in planned] == [
        ("policy", "etl"),
        ("cluster", "free"),
        ("cluster", "governed"),
        ("job", "nightly"),
    ]
    targets = {t.name: t for t in governed.targets("first")}
    assert targets["governed"].change["notes"][1] == "its policy etl is widened first"
    assert targets["stuck"].skip_code == "policy_refuses"
    assert "forbids to name a spark_version" in targets["stuck"].skip_sentence


def test_a_policy_is_widened_first_and_its_old_default_is_kept(governed: World) -> None:
    governed.start("first")
    governed.until("first", StageState.REVIEW)
    assert rule(governed) == {"type": "allowlist", "values": [OLD, NEW], "defaultValue": OLD}
    assert policy(governed)["max_clusters_per_user"] == 9
    assert policy(governed, "AAAA000000000002")["definition"] == DEFINITION
    assert governed.raw("dev", "cluster", "governed")["spark_version"] == NEW
    writes = [c.path for c in governed.databricks.calls.writes()]
    assert writes[0] == "/api/2.0/policies/clusters/edit"
    assert writes.count("/api/2.0/policies/clusters/edit") == 1


def test_a_rollback_puts_the_policy_back_last_and_leaves_the_very_same_text(governed: World) -> None:
    before = policy(governed)
    governed.start("first")
    governed.until("first", StageState.REVIEW)
    governed.roll_back("first")
    governed.until("first", StageState.ROLLED_BACK)
    assert governed.databricks.calls.writes()[-1].path == "/api/2.0/policies/clusters/edit"
    assert policy(governed) == before
    assert governed.raw("dev", "cluster", "governed")["spark_version"] == OLD
    assert governed.raw("dev", "job", "nightly")["settings"]["job_clusters"][0]["new_cluster"]["spark_version"] == OLD


def test_a_policy_stays_widened_while_somebody_needs_the_new_runtime(governed: World) -> None:
    governed.start("first")
    governed.until("first", StageState.REVIEW)
    client = governed.client("dev")
    new = {**SPEC, "spark_version": NEW, "policy_id": "AAAA000000000001", "cluster_name": "of-somebody-else"}
    client.write("/api/2.1/clusters/create", new)
    governed.roll_back("first")
    governed.until("first", StageState.ROLLED_BACK)
    newest = of_policies(governed)[-1]
    assert (newest.kind, newest.state, newest.reason_code) == (ActionKind.REVERT, ActionState.SKIPPED, "support_in_use")
    assert "of-somebody-else" in (newest.sentence or "")
    assert NEW in rule(governed)["values"]
    assert governed.raw("dev", "cluster", "governed")["spark_version"] == OLD


def test_a_policy_that_a_target_still_needed_is_put_back_by_the_rollback_that_puts_the_target_back(
    governed: World,
) -> None:
    before = policy(governed)
    governed.start("first")
    governed.until("first", StageState.REVIEW)
    governed.databricks.faults.add("/api/2.1/clusters/update", "403")
    governed.roll_back("first")
    governed.until("first", StageState.ROLLED_BACK)
    assert of_policies(governed)[-1].reason_code == "support_in_use"
    governed.databricks.faults.rules.clear()
    governed.roll_back("first")
    governed.until("first", StageState.ROLLED_BACK)
    assert governed.raw("dev", "cluster", "governed")["spark_version"] == OLD
    assert policy(governed) == before


def test_a_policy_that_somebody_else_changed_meanwhile_is_a_conflict(governed: World) -> None:
    governed.start("first")
    governed.until("first", StageState.REVIEW)
    theirs = policy(governed)
    theirs["definition"] = json.dumps(
        {"spark_version": {"type": "allowlist", "values": [OLD, NEW, "16.4.x-scala2.12"]}}
    )
    fields = ("policy_id", "name", "definition")
    governed.client("dev").write("/api/2.0/policies/clusters/edit", {name: theirs[name] for name in fields})
    governed.roll_back("first")
    governed.until("first", StageState.ROLLED_BACK)
    assert of_policies(governed)[-1].state is ActionState.CONFLICT
    assert policy(governed)["definition"] == theirs["definition"]


def test_no_target_is_touched_while_its_policy_could_not_be_widened(governed: World) -> None:
    governed.databricks.faults.add("/api/2.0/policies/clusters/edit", "403")
    governed.start("first")
    governed.until("first", StageState.BLOCKED)
    assert [a.state for a in of_policies(governed) if a.kind is ActionKind.CHANGE] == [ActionState.FAILED]
    assert governed.raw("dev", "cluster", "free")["spark_version"] == OLD
    assert governed.databricks.calls.writes(path="/clusters/update") == []


def test_a_policy_is_no_target_of_drift_pins_or_counts(governed: World) -> None:
    governed.start("first")
    assert governed.until("first", StageState.REVIEW) is StageState.REVIEW
    governed.client("dev").write(
        "/api/2.0/policies/clusters/edit",
        {"policy_id": "AAAA000000000001", "name": "etl", "definition": '{"spark_version": {"type": "unlimited"}}'},
    )
    before = governed.database.machine()
    with governed.database.write() as session:
        session.execute(update(Workspace).where(Workspace.key == "dev").values(look_wanted_at=governed.calendar()))
        policy_id = session.execute(select(Target.id).where(Target.kind == "policy", Target.name == "etl")).scalar_one()

    def seen() -> bool:
        with governed.database.read() as session:
            return session.get_one(Target, policy_id).seen_machine > before

    governed.wait(seen, "a fresh look")
    refused = intents_pins.pin(
        governed.database, OPS, governed.calendar(), governed.rollout_id(), policy_id, "keep", OPS.user_id
    )
    assert isinstance(refused, Refuse)
    assert [r.code for r in refused.reasons] == ["support_in_use"]
    with governed.database.read() as session:
        watched = drifting.watched(session, governed.rollout_id(), "dev")
        standing = facts.standing(session, session.get_one(Rollout, governed.rollout_id()))
        assert session.get_one(Target, policy_id).drift is None
    assert {w.kind for w in watched} == {"cluster", "job"}
    assert (standing.unassigned, standing.orphans, standing.overlaps, standing.pins) == (0, 0, {}, ())
