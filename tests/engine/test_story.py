"""A stage forward and back on the local Databricks, on both databases."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from rollout.states import ActionKind, ActionState, StageState
from storage.models import Backup, Evidence, Outbox
from tests.engine.harness import World, plan_of_second, world

SMALL = {
    "seed": 5,
    "workspaces": {
        "dev": {
            "clusters": [
                {
                    "name": "running",
                    "state": "RUNNING",
                    "spark_version": "13.3.x-scala2.12",
                    "node_type_id": "i3.xlarge",
                    "num_workers": 1,
                    "autotermination_minutes": 0,
                },
                {
                    "name": "stopped",
                    "state": "TERMINATED",
                    "spark_version": "13.3.x-scala2.12",
                    "num_workers": 1,
                    "node_type_id": "i3.xlarge",
                },
                {
                    "name": "new-already",
                    "state": "TERMINATED",
                    "spark_version": "17.3.x-scala2.13",
                    "num_workers": 1,
                    "node_type_id": "i3.xlarge",
                },
            ],
            "jobs": [
                {"name": "nightly", "cron": "0 0 3 * * ?", "minutes": 5, "compute": "small", "tasks": ["a", "b"]},
            ],
        },
        "prod": {
            "clusters": [],
            "jobs": [
                {"name": "hourly", "cron": "0 5 * * * ?", "minutes": 5, "compute": "small"},
                {
                    "name": "breaks",
                    "cron": "0 10 * * * ?",
                    "minutes": 5,
                    "compute": "small",
                    "breaks": {"from": 17, "how": "ansi"},
                },
            ],
        },
    },
    "templates": {
        "job_clusters": {"small": {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}}
    },
}


@pytest.fixture
def small(migrated_url: str, tmp_path: Path) -> Any:
    with world(migrated_url, tmp_path, SMALL) as made:
        made.engine()
        made.looked()
        yield made


@pytest.fixture
def baking(migrated_url: str, tmp_path: Path) -> Any:
    with world(migrated_url, tmp_path, SMALL, plan_of_second()) as made:
        made.engine()
        made.looked()
        made.start("second")
        made.until("second", StageState.BAKING)
        yield made


def test_discovery_plans_every_target_and_says_why_one_is_left_alone(small: World) -> None:
    targets = {t.name: t for t in small.targets("first")}
    assert set(targets) == {"running", "stopped", "new-already", "nightly"}
    assert targets["running"].change is not None
    assert targets["new-already"].change is None
    assert targets["new-already"].skip_code == "already_target"


def test_a_stage_backs_up_changes_validates_and_ends_in_review(small: World) -> None:
    before = small.raw("dev", "job", "nightly")
    small.start("first")
    small.until("first", StageState.REVIEW)
    assert small.raw("dev", "cluster", "running")["spark_version"] == "17.3.x-scala2.13"
    assert small.raw("dev", "cluster", "running")["state"] == "RUNNING"
    assert small.raw("dev", "cluster", "stopped")["state"] == "TERMINATED"
    after = small.raw("dev", "job", "nightly")
    assert after["settings"]["job_clusters"][0]["new_cluster"]["spark_version"] == "17.3.x-scala2.13"
    assert after["settings"]["tasks"] == before["settings"]["tasks"]
    with small.database.read() as session:
        assert len(session.execute(select(Backup)).scalars().all()) == 3
        assert [e.verdict for e in session.execute(select(Evidence)).scalars()] == ["PASS"]
        assert "decision_wanted" in {o.kind for o in session.execute(select(Outbox)).scalars()}
    kinds = [a.kind for a in small.actions("first")]
    assert kinds.count(ActionKind.CHANGE) == kinds.count(ActionKind.BACKUP) == kinds.count(ActionKind.VALIDATE) == 3


def test_a_rollback_puts_back_every_changed_field_and_nothing_else(small: World) -> None:
    before = {
        n: small.raw("dev", k, n) for k, n in (("cluster", "running"), ("cluster", "stopped"), ("job", "nightly"))
    }
    small.start("first")
    small.until("first", StageState.REVIEW)
    small.roll_back("first")
    small.until("first", StageState.ROLLED_BACK)
    assert small.raw("dev", "job", "nightly")["settings"] == before["nightly"]["settings"]
    for name in ("running", "stopped"):
        now = small.raw("dev", "cluster", name)
        assert now["spark_version"] == "13.3.x-scala2.12"
        assert now["state"] == before[name]["state"]
        assert now.get("runtime_engine") == before[name].get("runtime_engine")
    assert small.stage("first").locked
    assert {t.release for t in small.targets("first")} == {"13.3", "17.3"}


def test_a_bake_outlives_its_deadline_before_the_review(baking: World) -> None:
    until = baking.stage("second").bake_until
    assert until is not None
    baking.step((until - baking.calendar()).total_seconds() - 60)
    for engine in baking.engines:
        engine.wake()
    assert baking.state("second") is StageState.BAKING
    baking.step(120)
    baking.wait(lambda: baking.state("second") is StageState.REVIEW, "review")


def test_a_look_at_the_runs_compares_both_runtimes_and_posts_only_what_got_worse(baking: World) -> None:

    def posted() -> list[Outbox]:
        with baking.database.read() as session:
            return [o for o in session.execute(select(Outbox)).scalars() if o.kind == "bake_worse"]

    baking.wait(lambda: bool(posted()), "something got worse", step=600)
    assert "breaks failed" in posted()[0].ids["sentence"]
    with baking.database.read() as session:
        facts = session.execute(select(Evidence).order_by(Evidence.id.desc())).scalars().first()
    assert facts is not None
    assert facts.facts["old"]["runs"] > 20
    assert facts.facts["new"]["runs"] >= 1
    baking.step(3600 * 3)
    baking.wait(lambda: baking.stage("second").bake_until is not None, "x")
    assert len(posted()) == 1, "the same cause is said once"


def test_what_somebody_else_changed_meanwhile_is_a_conflict_and_is_not_overwritten(small: World) -> None:
    small.start("first")
    small.until("first", StageState.REVIEW)
    from workspace.access import access
    from workspace.client import Client

    ws = small.databricks.workspaces["dev"]
    client = Client(access(host=ws.host, token=ws.token))
    stopped = small.raw("dev", "cluster", "stopped")
    client.write(
        "/api/2.1/clusters/update",
        {
            "cluster_id": stopped["cluster_id"],
            "update_mask": "spark_version",
            "cluster": {"spark_version": "16.4.x-scala2.12"},
        },
    )
    small.roll_back("first")
    small.until("first", StageState.ROLLED_BACK)
    assert small.raw("dev", "cluster", "stopped")["spark_version"] == "16.4.x-scala2.12"
    reverts = [a for a in small.actions("first") if a.kind is ActionKind.REVERT]
    assert sorted(a.state for a in reverts) == [ActionState.CONFLICT, ActionState.DONE, ActionState.DONE]
    assert small.stage("first").block_code == "actions_failed"
