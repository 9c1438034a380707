"""Pools that have the old runtime loaded: a new one is made once, everything moves to it, and back from it."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from rollout.change import Change
from rollout.states import ActionKind, ActionState, StageState
from storage import drifting, dryrun
from storage.backups import CONFIGURATION, PERMISSIONS, place_of
from storage.models import Action, Backup, Target
from storage.secrets import Vault
from tests.engine.harness import KEY, World, world

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
POOL, SPARE, PLAIN = (
    "0118-070000-etl1-pool-aaaaaaaa",
    "0118-070000-etl2-pool-bbbbbbbb",
    "0118-070000-etl3-pool-cccccccc",
)
POLICY = "AAAA000000000001"
SPEC = {"spark_version": OLD, "num_workers": 1}
DOWN = {"state": "TERMINATED"}
DEFINITION = json.dumps({"instance_pool_id": {"type": "fixed", "value": POOL}, "spark_version": {"type": "unlimited"}})
CREATE, DELETE = "/api/2.0/instance-pools/create", "/api/2.0/instance-pools/delete"
FLEET: dict[str, Any] = {
    "seed": 5,
    "templates": {
        "job_clusters": {
            "pooled": {**SPEC, "instance_pool_id": POOL},
            "small": {**SPEC, "node_type_id": "i3.xlarge"},
        }
    },
    "workspaces": {
        "dev": {
            "policies": [{"policy_id": POLICY, "name": "warm-only", "definition": DEFINITION}],
            "pools": [
                {
                    "instance_pool_id": POOL,
                    "instance_pool_name": "warm",
                    "node_type_id": "i3.xlarge",
                    "min_idle_instances": 1,
                    "max_capacity": 40,
                    "custom_tags": {"team": "etl"},
                    "preloaded_spark_versions": [OLD],
                    "acl": [
                        {"group_name": "etl-developers", "permission_level": "CAN_ATTACH_TO"},
                        {"user_name": "mia@example.com", "permission_level": "CAN_MANAGE"},
                    ],
                },
                {"instance_pool_id": SPARE, "instance_pool_name": "spare", "node_type_id": "i3.xlarge"},
            ],
            "clusters": [
                {"name": "pooled", **DOWN, **SPEC, "instance_pool_id": POOL},
                {"name": "both", **DOWN, **SPEC, "instance_pool_id": POOL, "driver_instance_pool_id": POOL},
                {"name": "own-driver", **DOWN, **SPEC, "instance_pool_id": POOL, "driver_instance_pool_id": SPARE},
                {"name": "governed", **DOWN, **SPEC, "instance_pool_id": POOL, "policy_id": POLICY},
                {"name": "unloaded", **DOWN, **SPEC, "instance_pool_id": SPARE},
            ],
            "jobs": [{"name": "nightly", "minutes": 5, "compute": "pooled", "cron": "0 0 3 * * ?", "paused": True}],
        },
        "prod": {"clusters": [], "jobs": [{"name": "hourly", "minutes": 5, "compute": "small"}]},
    },
}
#: Cluster -> the pools that it names, as it was made.
NAMED = {
    "pooled": (POOL, None),
    "both": (POOL, POOL),
    "own-driver": (POOL, SPARE),
    "governed": (POOL, None),
    "unloaded": (SPARE, None),
}


@pytest.fixture
def made(migrated_url: str, tmp_path: Path) -> Iterator[World]:
    with _made(migrated_url, tmp_path) as one:
        yield one


def _made(url: str, tmp_path: Path, prepare: Callable[[dict[str, Any]], None] = lambda _: None) -> Any:
    fleet = copy.deepcopy(FLEET)
    prepare(fleet["workspaces"]["dev"])
    return world(url, tmp_path, fleet)


def begin(one: World) -> World:
    one.engine()
    one.looked()
    return one


def shelf(one: World, name: str = "pools") -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = copy.deepcopy(one.databricks.workspaces["dev"].shelf(name))
    return found


def new_pools(one: World) -> list[dict[str, Any]]:
    return [pool for key, pool in shelf(one).items() if key not in (POOL, SPARE, PLAIN)]


def named(one: World, name: str) -> tuple[str | None, str | None]:
    spec = one.raw("dev", "cluster", name)["spec"]
    return spec.get("instance_pool_id"), spec.get("driver_instance_pool_id")


def of_job(one: World) -> Any:
    return one.raw("dev", "job", "nightly")["settings"]["job_clusters"][0]["new_cluster"]


def rule(one: World) -> Any:
    return json.loads(shelf(one, "policies")[POLICY]["definition"])["instance_pool_id"]


def of_pools(one: World, kind: ActionKind) -> list[Action]:
    with one.database.read() as session:
        return list(
            session.execute(
                select(Action)
                .join(Target, Target.id == Action.target_id)
                .where(Target.kind == "pool", Action.kind == kind)
                .order_by(Action.id)
            ).scalars()
        )


def upgraded(one: World) -> str:
    """The first stage is changed and in review; the id of the new pool."""
    one.start("first")
    one.until("first", StageState.REVIEW)
    [pool] = new_pools(one)
    return str(pool["instance_pool_id"])


def rolled_back(one: World) -> None:
    one.roll_back("first")
    one.until("first", StageState.ROLLED_BACK)


def test_the_new_pool_and_the_policy_that_names_the_old_one_are_in_the_change_set_before_the_targets(
    made: World,
) -> None:
    begin(made)
    with made.database.read() as session:
        planned = dryrun.change_set(session, made.rollout_id(), "first")
    assert [(p.kind, p.name) for p in planned[:2]] == [("policy", "warm-only"), ("pool", "warm")]
    pool = planned[1].change
    assert pool.notes == (
        "a new pool warm-17.3 with 17.3 loaded; this one is kept",
        "the new pool keeps 1 idle machine from the moment it is made",
    )
    settings = json.loads(pool.fields[0].after)
    assert settings["max_capacity"] == 40
    assert settings["preloaded_spark_versions"] == [NEW]
    targets = {t.name: Change.from_json(t.change or {}) for t in made.targets("first")}
    assert "moves from the pool warm to warm-17.3, which has 17.3 loaded" in targets["pooled"].notes
    assert set(targets["governed"].supports) == {POLICY, POOL}
    assert targets["unloaded"].supports == ()


def test_everything_moves_to_one_new_pool_with_the_same_settings_and_permissions_and_the_old_one_is_kept(
    made: World,
) -> None:
    before = shelf(made)
    pool_id = upgraded(begin(made))
    after = shelf(made)
    assert {key: after[key] for key in before} == before
    [new] = new_pools(made)
    ours = ("instance_pool_id", "instance_pool_name", "preloaded_spark_versions", "custom_tags", "creator_user_name")
    shown = made.client("dev").get("/api/2.0/instance-pools/get", {"instance_pool_id": POOL})
    assert new["instance_pool_name"] == "warm-17.3"
    assert new["preloaded_spark_versions"] == [NEW]
    assert new["custom_tags"] == {"team": "etl", "rollout-stands-in-for": POOL}
    assert {k: v for k, v in new.items() if k not in ours} == {
        k: v for k, v in shown.items() if k not in (*ours, "default_tags", "state", "stats", "status")
    }
    granted = shelf(made, "permissions")[f"instance-pools/{pool_id}"]["entries"]
    assert {"group_name": "etl-developers", "permission_level": "CAN_ATTACH_TO"} in granted
    assert {"user_name": "mia@example.com", "permission_level": "CAN_MANAGE"} in granted
    assert named(made, "pooled") == (pool_id, None)
    assert made.raw("dev", "cluster", "pooled")["driver_instance_pool_id"] == pool_id
    assert named(made, "both") == (pool_id, pool_id)
    assert named(made, "own-driver") == (pool_id, SPARE)
    assert named(made, "governed") == (pool_id, None)
    assert named(made, "unloaded") == (SPARE, None)
    assert of_job(made)["instance_pool_id"] == pool_id
    assert rule(made) == {"type": "allowlist", "values": [POOL, pool_id], "defaultValue": POOL}
    writes = [c.path for c in made.databricks.calls.writes()]
    assert writes[0] == CREATE
    assert writes.count(CREATE) == 1
    assert writes.index("/api/2.0/policies/clusters/edit") < writes.index("/api/2.1/clusters/update")
    with made.database.read() as session:  # nor is a pool held to anything, and the targets are held to the real id
        watched = drifting.watched(session, made.rollout_id(), "dev")
    assert {w.kind for w in watched} == {"cluster", "job"}
    assert not [f for w in watched for f in (w.change or {})["fields"] if "new-pool-for" in str(f["after"])]


def test_a_rollback_moves_everything_back_and_deletes_the_new_pool_last(made: World) -> None:
    before = {name: shelf(made, name) for name in ("pools", "policies")}
    job = of_job(begin(made))
    upgraded(made)
    rolled_back(made)
    assert {name: shelf(made, name) for name in ("pools", "policies")} == before
    assert {name: named(made, name) for name in NAMED} == NAMED
    assert of_job(made) == job
    assert made.databricks.calls.writes()[-1].path == DELETE


@pytest.mark.parametrize(
    "fault", ["lost-answer", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("500", "reset", "eventual"))]
)
def test_one_new_pool_is_made_whatever_becomes_of_the_answer(made: World, fault: str) -> None:
    more = {"seconds": 0.4} if fault == "eventual" else {}
    made.databricks.faults.add(CREATE, fault, times=2, **more)
    upgraded(begin(made))
    assert len(new_pools(made)) == 1
    rolled_back(made)
    assert new_pools(made) == []


@pytest.mark.soak
def test_a_lost_answer_to_the_deletion_leaves_nothing_behind(made: World) -> None:
    upgraded(begin(made))
    made.databricks.faults.add(DELETE, "lost-answer", times=1)
    rolled_back(made)
    assert new_pools(made) == []
    assert of_pools(made, ActionKind.REVERT)[-1].state is ActionState.DONE


@pytest.mark.soak
@pytest.mark.parametrize("fault", ["lost-answer", "500"])
def test_permissions_are_copied_although_an_answer_is_lost(made: World, fault: str) -> None:
    made.databricks.faults.add("/api/2.0/permissions/instance-pools/*", fault, method="PATCH", times=1)
    pool_id = upgraded(begin(made))
    granted = shelf(made, "permissions")[f"instance-pools/{pool_id}"]["entries"]
    assert {"group_name": "etl-developers", "permission_level": "CAN_ATTACH_TO"} in granted


def test_no_target_moves_to_a_pool_that_not_everybody_may_use(made: World) -> None:
    made.databricks.faults.add("/api/2.0/permissions/instance-pools/*", "403", method="PATCH")
    begin(made).start("first")
    made.until("first", StageState.BLOCKED)
    assert [(a.state, a.reason_code) for a in of_pools(made, ActionKind.CHANGE)] == [
        (ActionState.FAILED, "permission_denied")
    ]
    assert named(made, "pooled") == (POOL, None)
    assert made.databricks.calls.writes(path="/clusters/update") == []
    rolled_back(made)  # what was half made goes as well
    assert new_pools(made) == []


def test_the_new_pool_stays_while_somebody_else_refers_to_it_and_goes_with_the_next_rollback(made: World) -> None:
    pool_id = upgraded(begin(made))
    client = made.client("dev")
    theirs = {**SPEC, "spark_version": NEW, "instance_pool_id": pool_id, "cluster_name": "of-somebody-else"}
    cluster = client.write("/api/2.1/clusters/create", theirs)["cluster_id"]
    rolled_back(made)
    [left] = of_pools(made, ActionKind.REVERT)
    assert (left.state, left.reason_code) == (ActionState.SKIPPED, "support_in_use")
    assert "of-somebody-else" in (left.sentence or "")
    assert len(new_pools(made)) == 1
    assert named(made, "pooled") == (POOL, None)
    client.write("/api/2.1/clusters/permanent-delete", {"cluster_id": cluster})
    rolled_back(made)
    assert new_pools(made) == []


@pytest.mark.soak
def test_the_new_pool_stays_while_a_policy_of_somebody_else_names_it(made: World) -> None:
    pool_id = upgraded(begin(made))
    definition = json.dumps({"instance_pool_id": {"type": "fixed", "value": pool_id}})
    made.client("dev").write("/api/2.0/policies/clusters/create", {"name": "theirs", "definition": definition})
    rolled_back(made)
    [left] = of_pools(made, ActionKind.REVERT)
    assert (left.state, left.reason_code) == (ActionState.SKIPPED, "support_in_use")
    assert "policy theirs" in (left.sentence or "")


def test_a_new_pool_that_somebody_edited_is_a_conflict_and_stays(made: World) -> None:
    pool_id = upgraded(begin(made))
    edit = {"instance_pool_id": pool_id, "instance_pool_name": "warm-17.3", "node_type_id": "i3.xlarge"}
    tags = {"team": "etl", "rollout-stands-in-for": POOL}
    made.client("dev").write("/api/2.0/instance-pools/edit", {**edit, "max_capacity": 7, "custom_tags": tags})
    rolled_back(made)
    [left] = of_pools(made, ActionKind.REVERT)
    assert (left.state, left.reason_code) == (ActionState.CONFLICT, "edit_conflict")
    assert '"max_capacity": 7' in (left.sentence or "")
    assert len(new_pools(made)) == 1
    assert named(made, "pooled") == (POOL, None)
    assert made.databricks.calls.writes(path=DELETE) == []


@pytest.mark.soak
def test_a_second_generation_uses_the_pool_that_was_left_and_takes_it_back_in_the_end(made: World) -> None:
    pool_id = upgraded(begin(made))
    client = made.client("dev")
    theirs = {**SPEC, "spark_version": NEW, "instance_pool_id": pool_id, "cluster_name": "of-somebody-else"}
    cluster = client.write("/api/2.1/clusters/create", theirs)["cluster_id"]
    rolled_back(made)
    made.unlock("first")
    assert upgraded(made) == pool_id
    assert made.databricks.calls.writes(path=CREATE) == made.databricks.calls.writes(path=CREATE)[:1]
    client.write("/api/2.1/clusters/permanent-delete", {"cluster_id": cluster})
    rolled_back(made)
    assert new_pools(made) == []


def _not_admin(dev: dict[str, Any]) -> None:
    dev["admin"] = False


def _name_taken(dev: dict[str, Any]) -> None:
    dev["pools"].append({"instance_pool_id": PLAIN, "instance_pool_name": "warm-17.3", "node_type_id": "i3.xlarge"})


@pytest.mark.parametrize(
    ("prepare", "code", "sentence"),
    [
        (_not_admin, "pool_not_allowed", "the bot may not make pools in this workspace"),
        (_name_taken, "pool_name_taken", "another pool is called warm-17.3"),
    ],
)
def test_what_stands_against_a_new_pool_is_said_before_the_start_and_targets_keep_their_pool(
    migrated_url: str, tmp_path: Path, prepare: Callable[[dict[str, Any]], None], code: str, sentence: str
) -> None:
    with _made(migrated_url, tmp_path, prepare) as one:
        begin(one)
        with one.database.read() as session:
            kept = dryrun.kept_pools(session, one.rollout_id(), "first")
            planned = dryrun.change_set(session, one.rollout_id(), "first")
        assert [(name, workspace, why) for name, workspace, why, _ in kept] == [("warm", "dev", code)]
        assert sentence in kept[0][3]
        assert "starts slower" in kept[0][3]
        assert {p.kind for p in planned} == {"cluster", "job"}
        note = f"keeps its pool warm, which has the old runtime loaded, and starts slower: {sentence} ({code})"
        assert note in Change.from_json(next(p.change.to_json() for p in planned if p.name == "pooled")).notes
        before = shelf(one)
        one.start("first")
        one.until("first", StageState.REVIEW)
        assert shelf(one) == before
        assert one.raw("dev", "cluster", "pooled")["spark_version"] == NEW
        assert named(one, "pooled") == (POOL, None)


def test_a_policy_whose_pool_rule_others_live_by_is_left_and_its_targets_keep_their_pool(
    migrated_url: str, tmp_path: Path
) -> None:
    def omits(dev: dict[str, Any]) -> None:
        dev["clusters"].append({"name": "omits", **DOWN, **SPEC, "policy_id": POLICY})  # its policy gives it the pool

    with _made(migrated_url, tmp_path, omits) as one:
        begin(one)
        change = next(Change.from_json(t.change or {}) for t in one.targets("first") if t.name == "governed")
        assert [f.path for f in change.fields] == [("spark_version",)]
        assert any("starts slower: its policy takes no other pool" in note for note in change.notes)


def test_backups_hold_who_might_do_what_and_whether_it_was_paused(made: World) -> None:
    upgraded(begin(made))
    vault = Vault([KEY])
    with made.database.read() as session:
        rows = session.execute(select(Target, Backup).join(Backup, Backup.target_id == Target.id))
        backups = {(target.kind, target.name): (place_of(target, backup), backup) for target, backup in rows}
    assert {kind for kind, _ in backups} == {"cluster", "job", "policy", "pool"}
    for place, backup in backups.values():
        assert backup.permissions is not None
        assert b"access_control_list" not in backup.permissions
        assert "access_control_list" in place.opened(vault, backup.permissions, PERMISSIONS)
    place, nightly = backups["job", "nightly"]
    settings = place.opened(vault, nightly.ciphertext, CONFIGURATION, nightly.digest)["settings"]
    assert settings["schedule"]["pause_status"] == "PAUSED"
    owners = place.opened(vault, nightly.permissions or b"", PERMISSIONS)["access_control_list"]
    assert any(p["permission_level"] == "IS_OWNER" for entry in owners for p in entry["all_permissions"])


def test_a_backup_without_the_right_to_read_permissions_is_taken_all_the_same(made: World) -> None:
    begin(made)
    made.databricks.faults.add("/api/2.0/permissions/*", "403", method="GET")
    made.start("first")
    made.wait(lambda: made.state("first") is not StageState.PREPARING, "the backups")
    with made.database.read() as session:
        backups = (
            session.execute(select(Backup).join(Target).where(Target.kind.in_(["cluster", "job"]))).scalars().all()
        )
    assert backups
    assert all(b.permissions is None for b in backups)
