"""What people and workspaces do meanwhile: edits, deletions, rights that are lost, targets that move on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout.gates import Refuse
from rollout.states import ActionKind, ActionState, StageState
from sandbox.databricks import acl
from sandbox.databricks.call import Call
from sandbox.databricks.workspace import Workspace
from storage import intents, intents_rollback
from storage.models import Action
from tests.engine.harness import OPS, PATIENCE, World, world

OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
PLAIN = {"spark_version": OLD, "node_type_id": "i3.xlarge", "num_workers": 1}
FLEET: dict[str, Any] = {
    "seed": 7,
    "templates": {"job_clusters": {"plain": PLAIN}},
    "workspaces": {
        "dev": {
            "clusters": [
                {"name": f"c{n}", "state": "TERMINATED", "permission": "CAN_MANAGE", **PLAIN} for n in range(3)
            ],
            "jobs": [
                {
                    "name": "nightly",
                    "compute": "plain",
                    "cron": "0 0 3 * * ?",
                    "permission": "CAN_MANAGE",
                    "tasks": ["load", {"key": "other", "new_cluster": {**PLAIN, "spark_version": "15.4.x-scala2.12"}}],
                }
            ],
        },
        "prod": {"clusters": [], "jobs": []},
    },
}


@pytest.fixture
def fleet(migrated_url: str, tmp_path: Path) -> Iterator[World]:
    with world(migrated_url, tmp_path, FLEET) as made:
        made.engine()
        made.looked()
        yield made


def just_before(made: World, path: str, act: Callable[[Workspace, Call], None]) -> None:
    """Have ``act`` done once: between our look and the first write to ``path``."""
    real = made.databricks.answer
    left = [act]

    def answer(ws: Workspace, call: Call, authorization: str, late: Any = None) -> dict[str, Any]:
        if call.path == path and left:
            left.pop()(ws, call)
        found: dict[str, Any] = real(ws, call, authorization, late)
        return found

    made.databricks.answer = answer


def person(made: World, path: str, body: dict[str, Any]) -> None:
    """Somebody else edits something, by the API."""
    made.client("dev").write(path, body)


def at_once(made: World, ws: Workspace, path: str, body: dict[str, Any]) -> None:
    """The same from within an answer."""
    type(made.databricks).answer(made.databricks, ws, Call("POST", path, body=body), f"Bearer {ws.token}")


def target(made: World, name: str) -> str:
    return next(t.object_id for t in made.targets("first") if t.name == name)


def runtime(made: World, name: str) -> str:
    return str(made.raw("dev", "cluster", name)["spark_version"])


def bad(made: World) -> list[tuple[str, str, str | None]]:
    names = {t.id: t.name for t in made.targets("first")}
    found: list[Action] = made.actions("first")
    return [
        (names[a.target_id], str(a.kind), a.reason_code)
        for a in found
        if a.state in (ActionState.FAILED, ActionState.CONFLICT)
    ]


def revoke(made: World, kind: str, object_id: str) -> list[dict[str, Any]]:
    """Take the bot's right on one thing away; what it had is returned, to be given back."""
    ws = made.databricks.workspaces["dev"]
    had = list(acl.direct(ws, kind, object_id))
    acl.write(ws, kind, object_id, [e for e in had if e.get("service_principal_name") != ws.client_id])
    return had


def roll_back_again(made: World) -> None:
    made.roll_back("first")
    made.until("first", StageState.ROLLED_BACK)


def test_what_a_person_edits_between_our_look_and_our_write_is_kept(fleet: World) -> None:
    def tag(ws: Workspace, call: Call) -> None:
        body = {
            "cluster_id": call.body["cluster_id"],
            "update_mask": "custom_tags",
            "cluster": {"custom_tags": {"by": "person"}},
        }
        at_once(fleet, ws, "/api/2.1/clusters/update", body)
        tagged.append(ws.clusters[str(call.body["cluster_id"])].name)

    tagged: list[str] = []
    just_before(fleet, "/api/2.1/clusters/update", tag)
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    [name] = tagged
    assert (runtime(fleet, name), fleet.raw("dev", "cluster", name)["custom_tags"]) == (NEW, {"by": "person"})
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    assert (runtime(fleet, name), fleet.raw("dev", "cluster", name)["custom_tags"]) == (OLD, {"by": "person"})
    assert bad(fleet) == []


def test_what_a_person_edits_elsewhere_in_a_job_between_our_look_and_our_write_is_kept(fleet: World) -> None:
    def edit(ws: Workspace, call: Call) -> None:
        [other] = [t for t in ws.jobs[int(call.body["job_id"])].settings["tasks"] if t["task_key"] == "other"]
        theirs = {"timeout_seconds": 600, "tasks": [{**other, "max_retries": 2}]}
        at_once(fleet, ws, "/api/2.2/jobs/update", {"job_id": call.body["job_id"], "new_settings": theirs})

    just_before(fleet, "/api/2.2/jobs/update", edit)
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    settings = fleet.raw("dev", "job", "nightly")["settings"]
    assert settings["timeout_seconds"] == 600
    assert {t["task_key"]: t.get("max_retries") for t in settings["tasks"]} == {"load": None, "other": 2}
    assert settings["job_clusters"][0]["new_cluster"]["spark_version"] == OLD


def test_a_target_deleted_after_its_change_fails_by_name_on_the_way_back_and_the_others_go_back(fleet: World) -> None:
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    person(fleet, "/api/2.1/clusters/permanent-delete", {"cluster_id": target(fleet, "c1")})
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    assert bad(fleet) == [("c1", ActionKind.REVERT, "target_gone")]
    assert {runtime(fleet, name) for name in ("c0", "c2")} == {OLD}
    assert fleet.stage("first").block_code == "actions_failed"
    assert "1 could not be put back" in (fleet.stage("first").block_sentence or "")


def test_a_write_that_arrives_after_we_gave_up_on_it_is_put_back_by_the_rollback_that_came_between(
    fleet: World,
) -> None:
    # Longer than we wait for an answer, and no longer than we reckon with.
    late = fleet.databricks.faults.add("/api/2.1/clusters/update", "slow", seconds=0.6 * PATIENCE.http, times=1)
    fleet.start("first")
    fleet.wait(lambda: late.hits == 1, "a write on its way")
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    arrived = [c.target for c in fleet.databricks.calls.writes(path="clusters/update") if c.status == 200]
    assert 2 in {arrived.count(cluster_id) for cluster_id in arrived}, "there, late, and back"
    assert {runtime(fleet, f"c{n}") for n in range(3)} == {OLD}
    assert (bad(fleet), fleet.stage("first").block_code) == ([], None)


def test_a_right_that_is_lost_before_the_write_fails_that_target_and_a_retry_ends_well(fleet: World) -> None:
    def lose(ws: Workspace, call: Call) -> None:
        cluster_id = str(call.body["cluster_id"])
        lost.append((cluster_id, revoke(fleet, "clusters", cluster_id)))

    lost: list[tuple[str, list[dict[str, Any]]]] = []
    just_before(fleet, "/api/2.1/clusters/update", lose)
    fleet.start("first")
    fleet.until("first", StageState.BLOCKED)
    [(cluster_id, had)] = lost
    name = next(t.name for t in fleet.targets("first") if t.object_id == cluster_id)
    assert bad(fleet) == [(name, ActionKind.CHANGE, "permission_denied")]
    assert runtime(fleet, name) == OLD
    assert {runtime(fleet, f"c{n}") for n in range(3) if f"c{n}" != name} == {NEW}
    acl.write(fleet.databricks.workspaces["dev"], "clusters", cluster_id, had)
    done = intents.retry(fleet.database, OPS, fleet.calendar(), fleet.rollout_id(), "first")
    assert not isinstance(done, Refuse), done
    fleet.until("first", StageState.REVIEW)
    assert {runtime(fleet, f"c{n}") for n in range(3)} == {NEW}


@pytest.mark.parametrize(("kind", "name"), [("clusters", "c2"), ("jobs", "nightly")])
def test_a_right_that_is_lost_before_the_way_back_is_said_and_a_second_rollback_puts_back_the_rest(
    fleet: World, kind: str, name: str
) -> None:
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    had = revoke(fleet, kind, target(fleet, name))
    fleet.roll_back("first")
    fleet.until("first", StageState.ROLLED_BACK)
    assert bad(fleet) == [(name, ActionKind.REVERT, "permission_denied")]
    assert fleet.stage("first").block_code == "actions_failed"
    acl.write(fleet.databricks.workspaces["dev"], kind, target(fleet, name), had)
    roll_back_again(fleet)
    assert fleet.stage("first").block_code is None
    assert {runtime(fleet, f"c{n}") for n in range(3)} == {OLD}
    job = fleet.raw("dev", "job", "nightly")["settings"]
    assert job["job_clusters"][0]["new_cluster"]["spark_version"] == OLD


@pytest.mark.parametrize("theirs", ["15.4.x-scala2.12", NEW])
def test_a_target_that_its_owner_moved_on_between_two_generations_is_left_alone(fleet: World, theirs: str) -> None:
    fleet.start("first")
    fleet.until("first", StageState.REVIEW)
    roll_back_again(fleet)
    done = intents_rollback.unlock(fleet.database, OPS, fleet.calendar(), fleet.rollout_id(), "first", "again")
    assert not isinstance(done, Refuse), done
    moved = {"spark_version": theirs}
    body = {"cluster_id": target(fleet, "c1"), "update_mask": "spark_version", "cluster": moved}
    person(fleet, "/api/2.1/clusters/update", body)
    intents.look_again(fleet.database, OPS, fleet.calendar(), fleet.rollout_id())
    fleet.wait(
        lambda: any(t.name == "c1" and t.change is None for t in fleet.targets("first")), "the owner's edit to be seen"
    )
    fleet.start("first")
    assert fleet.stage("first").generation == 2
    fleet.until("first", StageState.REVIEW)
    second = [a for a in fleet.actions("first") if a.generation == 2]
    names = {t.id: t.name for t in fleet.targets("first")}
    assert {names[a.target_id] for a in second} == {"c0", "c2", "nightly"}
    roll_back_again(fleet)
    assert runtime(fleet, "c1") == theirs
    assert {runtime(fleet, name) for name in ("c0", "c2")} == {OLD}


def test_a_target_that_its_owner_moved_on_since_it_was_planned_is_a_conflict_and_not_written_over(fleet: World) -> None:
    moved = {"spark_version": "15.4.x-scala2.12"}
    body = {"cluster_id": target(fleet, "c1"), "update_mask": "spark_version", "cluster": moved}
    person(fleet, "/api/2.1/clusters/update", body)
    fleet.start("first")
    fleet.until("first", StageState.BLOCKED)
    assert bad(fleet) == [("c1", ActionKind.CHANGE, "edit_conflict")]
    assert {name: runtime(fleet, name) for name in ("c0", "c1", "c2")} == {
        "c0": NEW,
        "c1": "15.4.x-scala2.12",
        "c2": NEW,
    }
    roll_back_again(fleet)
    assert {name: runtime(fleet, name) for name in ("c0", "c1", "c2")} == {
        "c0": OLD,
        "c1": "15.4.x-scala2.12",
        "c2": OLD,
    }
