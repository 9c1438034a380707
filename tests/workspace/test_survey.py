"""A first look at whole workspaces of the local Databricks: what it finds, and that it costs paging only."""

from collections import Counter
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pytest

from rollout.firstlook import Looked
from rollout.propose import propose
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from workspace.access import access
from workspace.client import Client
from workspace.survey import survey


def look(databricks: Databricks, key: str, **more: Any) -> Looked:
    ws = databricks.workspaces[key]
    client = Client(access(ws.host, token=ws.token), read_only=True)
    now = datetime.fromtimestamp(databricks.now() / 1000, UTC)
    return survey(client, key, "13.3", "17.3", now, lambda line: None, **more)


def calls(databricks: Databricks, key: str) -> Counter[tuple[str, str]]:
    probes = "/.well-known/databricks-config"
    return Counter((c.method, c.path) for c in databricks.calls if c.workspace == key and c.path != probes)


@pytest.mark.parametrize("fleet", ["sample", pytest.param("large", marks=pytest.mark.soak)])
def test_it_costs_paging_only_and_nothing_is_written(fleet: str) -> None:
    with running(fleet) as databricks:
        for key, ws in databricks.workspaces.items():
            found = look(databricks, key)
            jobs, clusters = len(ws.jobs), len(ws.clusters)
            big = sum(len(job.shape.tasks) > 100 for job in ws.jobs.values())
            seen = calls(databricks, key)
            runs = seen.pop(("GET", "/api/2.2/jobs/runs/list"))
            assert runs <= max(ceil(len(found.runs) / 24) + 1, 1)
            assert seen.pop(("GET", "/api/2.2/jobs/get"), 0) == 2 * big  # only jobs of over 100 tasks, which are paged
            # Of each pool with a runtime loaded it is asked who may use it: can one like it be made?
            asked = [path for _, path in seen if path.startswith("/api/2.0/permissions/instance-pools/")]
            assert all(seen.pop(("GET", path)) == 1 for path in asked)
            assert len(asked) <= len(ws.shelf("pools"))
            assert seen.pop(("GET", "/api/2.0/preview/scim/v2/Me"), 0) == (1 if asked else 0)
            assert seen == {
                ("GET", "/api/2.0/instance-pools/list"): 1,
                ("GET", "/api/2.1/clusters/list-node-types"): 1,
                ("GET", "/api/2.1/clusters/spark-versions"): 1,
                ("GET", "/api/2.0/policies/clusters/list"): 1,
                ("GET", "/api/2.1/clusters/list"): max(ceil(clusters / 100), 1),
                ("GET", "/api/2.2/jobs/list"): max(ceil(jobs / 100), 1),
                ("GET", "/api/2.0/pipelines"): 1,
            }
            assert found.complete
            assert len(found.seen) == jobs + clusters
        assert databricks.calls.writes() == []


def test_the_sample_fleet_gives_the_three_jobs_that_suit_a_canary_and_explains_the_rest() -> None:
    with running("sample") as databricks:
        proposal = propose([look(databricks, key) for key in databricks.workspaces])
    assert {c.seen.name for c in proposal.chosen} == {"orders-hourly", "clickstream-hourly", "inventory-sync"}
    assert all(c.suits for c in proposal.chosen)
    words = {c.seen.name: c.words() for c in proposal.ranked}
    assert "is started by job nightly-orchestrator" in words["catalog-snapshot"]
    assert "starts job exports-partners" in words["nightly-orchestrator"]
    assert "it runs continuously" in words["ingest-events-stream"]
    assert "it is paused" in words["marketing-winback"]
    assert "marketing-attribution" not in words  # a bundle deploys it: it would not be changed
    assert [s.key for s in proposal.stages] == ["dev", "test", "staging", "canary", "full"]
    assert proposal.orphans == ()
    skipped = {s.name: s.skip for s in proposal.seen if s.skip}
    assert skipped["fraud-custom-image"] == "custom_image"
    users = {s.name: s.ties.clusters for s in proposal.seen if s.ties.clusters}
    assert {"orders-returns", "bi-extracts"} <= users.keys()


def test_more_runs_than_it_is_willing_to_read_shorten_the_week_and_say_so() -> None:
    with running("sample") as databricks:
        whole, short = look(databricks, "prod"), look(databricks, "prod", run_pages=4)
    assert whole.complete
    assert not short.complete
    assert 72 <= len(short.runs) <= 96
    assert short.since == min(r.started for r in short.runs) > whole.since
    assert set(short.runs) <= set(whole.runs)
    ranked = propose([short]).ranked
    assert "7 days" not in ranked[0].words()
