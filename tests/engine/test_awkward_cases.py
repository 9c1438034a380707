"""The dry run of the sample fleet explains every awkward case, as the engine found and stored it."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from rollout.change import SUPPORTS, Change
from sandbox.databricks.server import running
from storage.database import Database
from storage.migrate import migrate
from storage.models import Target, Workspace
from tests.commands.world import sandbox_plan
from tests.engine.harness import World


def _runs_were_read(database: Database) -> bool:
    with database.read() as session:
        return all(session.execute(select(Workspace.runs_seen_at)).scalars())


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str, str], Target]]:
    folder = tmp_path_factory.mktemp("fleet")
    clock = folder / "clock.json"
    with running("sample", clock_path=clock) as databricks:
        database = Database(f"sqlite:///{folder / 'fleet.db'}")
        migrate(database)
        world = World(database, databricks, clock, sandbox_plan())
        try:
            world.engine()
            world.looked()
            world.wait(lambda: _runs_were_read(database), "the runs of every workspace")
            world.stop()
            with database.read() as session:
                rows = session.execute(select(Target)).scalars().all()
            yield {(t.workspace, t.kind, t.name): t for t in rows}
        finally:
            world.stop()
            database.close()


OLD, NEW = "13.3.x-scala2.12", "17.3.x-scala2.13"
POOL, ML_POOL = "0118-070000-pool31-pool-prod0001", "0305-081500-pool12-pool-ml000001"


@pytest.mark.parametrize(
    ("workspace", "kind", "name", "code", "sentence", "following"),
    [
        ("dev", "cluster", "platform-canary-17", "already_target", "It is on 17.3 already.", "Nothing to do."),
        ("staging", "cluster", "catalog-staging", "other_runtime", "It is on 15.4; this rollout moves", "by hand"),
        ("staging", "cluster", "fraud-custom-image", "custom_image", "a container image of its own", "Build an image"),
        ("prod", "cluster", "legacy-table-acl", "legacy_access_mode", "mode LEGACY_TABLE_ACL", "standard or dedicated"),
        ("prod", "cluster", "dlt-execution-orders", "managed_pipeline", "A pipeline made it", "channel decides"),
        ("test", "job", "orders-legacy-export", "scala_library", "legacy-exporter_2.12:4.7.1, which is built", "build"),
        ("test", "job", "quality-checks-test", "serverless", "Its tasks run serverless", "Nothing to do here."),
        ("prod", "job", "quality-suite", "serverless", "Its tasks run serverless", "Nothing to do here."),
        ("prod", "job", "bi-extracts", "uses_shared_cluster", "the shared cluster", "it moves with the cluster"),
        ("staging", "job", "ingest-erp-staging", "uses_shared_cluster", "the shared cluster", "moves with the cluster"),
        (
            "prod",
            "job",
            "marketing-attribution",
            "managed_by_bundle",
            "It is deployed from a repository by a bundle; the next deploy would write the old runtime back.",
            "git.example.com/marketing/attribution and /Workspace/Users/ci@example.com/.bundle/marketing/prod/",
        ),
    ],
)
def test_what_is_left_alone_says_why_and_what_to_do(
    fleet: dict[tuple[str, str, str], Target],
    workspace: str,
    kind: str,
    name: str,
    code: str,
    sentence: str,
    following: str,
) -> None:
    target = fleet[workspace, kind, name]
    assert target.change is None
    assert target.skip_code == code
    assert sentence in (target.skip_sentence or "")
    assert following in (target.skip_next or "")


@pytest.mark.parametrize(
    ("workspace", "kind", "name", "fields", "note"),
    [
        # Variants of the runtime, and Photon, which became a field of its own.
        ("dev", "cluster", "ml-features-sandbox", [("13.3.x-cpu-ml-scala2.12", "17.3.x-cpu-ml-scala2.13")], ""),
        ("prod", "cluster", "ml-training-gpu", [("13.3.x-gpu-ml-scala2.12", "17.3.x-gpu-ml-scala2.13")], ""),
        ("test", "cluster", "orders-graviton", [("13.3.x-aarch64-scala2.12", "17.3.x-aarch64-scala2.13")], ""),
        ("test", "cluster", "billing-photon-legacy", [("13.3.x-photon-scala2.12", NEW), (None, "PHOTON")], ""),
        ("prod", "job", "finance-ledger", [("13.3.x-photon-scala2.12", NEW), (None, "PHOTON")], ""),
        ("dev", "cluster", "bi-exploration", [(OLD, NEW)], "restarts the running cluster: attached notebooks"),
        # States.
        ("dev", "cluster", "orders-playground", [(OLD, NEW)], "takes effect at the next start"),
        ("dev", "cluster", "ingest-debug", [(OLD, NEW)], "takes effect at the next start"),
        ("dev", "job", "catalog-cleanup-dev", [(OLD, NEW)], "takes effect at the next run"),
        ("prod", "job", "ingest-events-stream", [(OLD, NEW)], "runs continuously: its run is ended and begun anew"),
        # Where a version hides.
        (
            "test",
            "job",
            "catalog-sync-test",
            [(OLD, NEW), ("13.3.x-cpu-ml-scala2.12", "17.3.x-cpu-ml-scala2.13")],
            "job cluster main: 1 task uses it",
        ),
        ("prod", "job", "warehouse-load-all", [(OLD, NEW)], "job cluster main: 130 tasks use it"),
        ("prod", "job", "logistics-routes", [("13.3.x-aarch64-scala2.12", "17.3.x-aarch64-scala2.13")], "2 tasks use"),
        ("staging", "job", "ml-scoring-staging", [("13.3.x-cpu-ml-scala2.12", "17.3.x-cpu-ml-scala2.13")], "next run"),
        ("prod", "job", "nightly-orchestrator", [(OLD, NEW)], "starts 2 other jobs, which move with their own stages"),
        # Policies that take the old one only, policies that take both, and pools.
        ("prod", "cluster", "finance-closing", [(OLD, NEW)], "its policy finance-frozen is widened first"),
        ("test", "cluster", "etl-governed", [(OLD, NEW)], "its policy etl-13.3-only is widened first"),
        ("staging", "cluster", "shared-staging", [(OLD, NEW)], "restarts the running cluster"),
        (
            "prod",
            "cluster",
            "orders-etl-pool",
            [(OLD, NEW), *[(POOL, f"new-pool-for:{POOL}")] * 2],
            "moves from the pool prod-etl-pool to prod-etl-pool-17.3, which has 17.3 loaded",
        ),
        (
            "prod",
            "job",
            "billing-dunning",
            [(OLD, NEW), (POOL, f"new-pool-for:{POOL}")],
            "moves from the pool prod-etl-pool to prod-etl-pool-17.3, which has 17.3 loaded",
        ),
        (
            "staging",
            "cluster",
            "ml-research-mia",
            [("13.3.x-cpu-ml-scala2.12", "17.3.x-cpu-ml-scala2.13"), (ML_POOL, f"new-pool-for:{ML_POOL}")],
            "moves from the pool ml-pool to ml-pool-17.3, which has 17.3 loaded",
        ),
    ],
)
def test_what_would_be_changed_says_exactly_what_and_what_it_does(
    fleet: dict[tuple[str, str, str], Target],
    workspace: str,
    kind: str,
    name: str,
    fields: list[tuple[Any, Any]],
    note: str,
) -> None:
    target = fleet[workspace, kind, name]
    assert target.skip_code is None, target.skip_sentence
    change = Change.from_json(target.change or {})
    assert [(f.before, f.after) for f in change.fields] == fields
    assert any(note in n for n in change.notes)


def test_what_a_bundle_owns_comes_with_its_exact_edit(fleet: dict[tuple[str, str, str], Target]) -> None:
    target = fleet["prod", "job", "marketing-attribution"]
    assert (target.managed_by, target.repository) == ("bundle", "git.example.com/marketing/attribution")
    assert [(f["path"][-1], f["before"], f["after"]) for f in target.proposal or ()] == [("spark_version", OLD, NEW)]


def test_the_canary_takes_its_three_jobs_and_full_the_rest(fleet: dict[tuple[str, str, str], Target]) -> None:
    of_prod = [(kind, name, t) for (workspace, kind, name), t in fleet.items() if workspace == "prod"]
    assert {t.stage_key for kind, _, t in of_prod if kind in {"pipeline", *SUPPORTS}} == {None}
    prod = {name: t.stage_key for kind, name, t in of_prod if kind in {"cluster", "job"}}
    canary = {name for name, stage in prod.items() if stage == "canary"}
    assert canary == {"orders-hourly", "clickstream-hourly", "inventory-sync"}
    assert set(prod.values()) == {"canary", "full"}
    assert not any(t.also_in for t in fleet.values())


def test_whose_it_is_what_it_shares_and_who_ran_it(fleet: dict[tuple[str, str, str], Target]) -> None:
    job, cluster = fleet["prod", "job", "orders-restock"], fleet["prod", "cluster", "orders-etl-pool"]
    assert job.about["uses"] == [["cluster", cluster.object_id]]
    assert cluster.about["uses"] == [["pool", "0118-070000-pool31-pool-prod0001"]]
    assert fleet["dev", "cluster", "shared-dev"].about["tags"] == {"team": "platform", "env": "dev"}
    for target in (job, cluster):
        assert target.activity is not None
        assert (target.activity["by"], target.activity["by_schedule"]) == ("developer@sandbox.example", True)
    stream = fleet["prod", "job", "ingest-events-stream"].activity
    assert stream is not None
    assert stream["running"] == 1  # since long before the runs that are read
