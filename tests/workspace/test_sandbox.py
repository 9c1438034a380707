"""All of it against the local Databricks, over real sockets with the real SDK."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rollout.change import SUPPORTS, Change, Found, Holds, Raw, Skip, Upgrade, compare, three_way_revert
from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from workspace.access import access
from workspace.client import Client
from workspace.discovery import discover
from workspace.errors import Busy, Forbidden, Gone, OutcomeUnknown, Refused, Throttled
from workspace.governed import widenings
from workspace.kinds import KINDS
from workspace.runs import collect_runs
from workspace.settling import Settled

KEYS = ("dev", "test", "staging", "prod")


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running("sample") as made:
        yield made


def reach(databricks: Databricks, key: str) -> Client:
    ws = databricks.workspaces[key]
    return Client(access(ws.host, token=ws.token), time_limit=10.0, read_budget=3.0)


@pytest.fixture
def prod(databricks: Databricks) -> Client:
    return reach(databricks, "prod")


def upgrade(client: Client) -> Upgrade:
    seen = discover(client)
    asked = Upgrade("13.3", "17.3", seen.versions, seen.policies)
    return dataclasses.replace(asked, policies=widenings(seen.found, seen.policies, asked))


def one(client: Client, kind: str, name: str) -> Found:
    return next(f for f in discover(client).found if (f.kind, f.name) == (kind, name))


def change_of(client: Client, found: Found) -> Change:
    planned = KINDS[found.kind].plan(found.raw, upgrade(client))
    assert isinstance(planned, Change), planned
    return planned


def now_of(databricks: Databricks) -> datetime:
    return datetime.fromtimestamp(databricks.now() / 1000, UTC)


@pytest.mark.parametrize("key", KEYS)
def test_discovery_finds_everything_with_a_handful_of_calls(databricks: Databricks, key: str) -> None:
    client, ws = reach(databricks, key), databricks.workspaces[key]
    seen = discover(client)
    assert {f.object_id for f in seen.found if f.kind == "cluster"} == set(ws.clusters)
    assert {f.object_id for f in seen.found if f.kind == "job"} == {str(job_id) for job_id in ws.jobs}
    assert "17.3.x-scala2.13" in seen.versions
    large = sum(len(job.settings.get("tasks", ())) > 100 for job in ws.jobs.values())
    # Versions, machine types, a page of clusters, one of jobs, pools, policies, pipelines; and of what has the old
    # runtime loaded whether we may make such a pool with the same permissions.
    loaded = sum(f.raw.get("preloaded_spark_versions") is not None for f in seen.found if f.kind == "pool")
    assert seen.calls == 7 + 2 * large + (1 + loaded if loaded else 0)
    for found in (f for f in seen.found if f.kind in KINDS and f.kind != "pool"):
        assert KINDS[found.kind].read(client, found.object_id)["creator_user_name"] == found.raw["creator_user_name"]


def test_the_sample_has_every_awkward_case(databricks: Databricks) -> None:
    codes: set[str] = set()
    for key in KEYS:
        client = reach(databricks, key)
        offered = upgrade(client)
        plans = [KINDS[f.kind].plan(f.raw, offered) for f in discover(client).found if f.kind in KINDS]
        codes |= {p.code for p in plans if isinstance(p, Skip)}
    assert codes >= {
        "already_target",
        "custom_image",
        "legacy_access_mode",
        "managed_by_bundle",
        "managed_pipeline",
        "other_runtime",
        "scala_library",
        "serverless",
        "uses_shared_cluster",
    }


def _kept(kind: str, raw: Raw) -> Raw:
    """What a change there and back must leave exactly as it was: all that a person wrote."""
    kept: Raw = raw["spec"] if kind == "cluster" else raw["settings"]
    return kept


@pytest.mark.parametrize("key", KEYS)
def test_every_change_goes_there_with_one_write_and_back_without_a_trace(databricks: Databricks, key: str) -> None:
    client = reach(databricks, key)
    offered = upgrade(client)
    changed = 0
    seen = [f for f in discover(client).found if f.kind in KINDS]
    # Pools are made and deleted, not changed there and back: tests/engine/test_pools.py.
    widened = [_widen(client, found, offered) for found in seen if found.kind == "policy"]
    for found in seen:
        if found.kind in SUPPORTS:
            continue
        kind = KINDS[found.kind]
        before = kind.read(client, found.object_id)
        change = kind.plan(before, offered)
        if isinstance(change, Skip):
            continue
        assert change == kind.plan(found.raw, offered)  # the listing tells as much as the object itself
        if not kind.editable(before):
            continue
        kind.apply(client, found.object_id, change, before)
        after = kind.read(client, found.object_id)
        assert compare(change, kind.values(after, change)) is Holds.AFTER
        assert isinstance(kind.plan(after, offered), Skip)
        if change.restarts:
            databricks.step(900)
        again = kind.read(client, found.object_id)
        assert kind.settled(again, before).settled is Settled.YES
        revert = three_way_revert(change, kind.values(again, change)).change
        assert revert is not None
        kind.apply(client, found.object_id, revert, again)
        back = kind.read(client, found.object_id)
        assert _kept(found.kind, back) == _kept(found.kind, before)
        assert len(databricks.calls.writes(found.object_id)) == 2
        changed += 1
    assert changed >= 5
    for found, before, revert in filter(None, widened):
        policies = KINDS["policy"]
        assert policies.needed(client, found.object_id, before) is None
        policies.apply(client, found.object_id, revert, policies.read(client, found.object_id))
        assert policies.backup_of(policies.read(client, found.object_id)) == policies.backup_of(before)


def _widen(client: Client, found: Found, offered: Upgrade) -> tuple[Found, Raw, Change] | None:
    """Widen a policy where a target needs it; returns what puts it back."""
    policies = KINDS["policy"]
    before = policies.read(client, found.object_id)
    change = policies.plan(before, offered)
    if isinstance(change, Skip):
        return None
    policies.apply(client, found.object_id, change, before)
    after = policies.read(client, found.object_id)
    assert compare(change, policies.values(after, change)) is Holds.AFTER
    assert policies.settled(after, before).settled is Settled.YES
    revert = three_way_revert(change, policies.values(after, change)).change
    assert revert is not None
    return found, before, revert


def test_a_running_cluster_restarts_once_and_settles(databricks: Databricks, prod: Client) -> None:
    clusters, found = KINDS["cluster"], one(prod, "cluster", "bi-reporting")
    change = change_of(prod, found)
    assert change.restarts
    before = clusters.read(prod, found.object_id)
    asked = now_of(databricks)
    assert clusters.edited_since(prod, found.object_id, asked) is False
    clusters.apply(prod, found.object_id, change, before)
    raw = clusters.read(prod, found.object_id)
    assert raw["state"] == "RESTARTING"
    assert clusters.settled(raw, before).settled is Settled.NOT_YET
    assert not clusters.editable(raw)
    with pytest.raises(Busy):
        clusters.apply(prod, found.object_id, change.inverse(), raw)
    assert clusters.edited_since(prod, found.object_id, asked) is True
    assert clusters.edited_since(prod, found.object_id, asked + timedelta(seconds=1)) is False
    databricks.step(600)
    raw = clusters.read(prod, found.object_id)
    assert clusters.settled(raw, before).settled is Settled.YES
    assert clusters.release_of(raw) == "17.3"
    assert databricks.workspaces["prod"].restarts_of(found.object_id) == 1


def test_a_lost_answer_is_unknown_and_a_look_tells(databricks: Databricks, prod: Client) -> None:
    clusters, found = KINDS["cluster"], one(prod, "cluster", "bi-reporting")
    change = change_of(prod, found)
    databricks.faults.add("/api/2.1/clusters/update", "lost-answer")
    with pytest.raises(OutcomeUnknown):
        clusters.apply(prod, found.object_id, change, found.raw)
    assert len(databricks.calls.writes(found.object_id)) == 1
    raw = clusters.read(prod, found.object_id)
    assert compare(change, clusters.values(raw, change)) is Holds.AFTER
    assert databricks.workspaces["prod"].restarts_of(found.object_id) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [("reset", OutcomeUnknown), ("500", OutcomeUnknown), ("503", OutcomeUnknown), ("429", Throttled)],
)
def test_a_failed_write_is_sent_once_and_a_look_tells_that_nothing_happened(
    databricks: Databricks, prod: Client, fault: str, error: type[Exception]
) -> None:
    jobs, found = KINDS["job"], one(prod, "job", "orders-hourly")
    change = change_of(prod, found)
    databricks.faults.add("/api/2.2/jobs/update", fault)
    with pytest.raises(error):
        jobs.apply(prod, found.object_id, change, found.raw)
    assert len(databricks.calls.writes(found.object_id)) == 1
    raw = jobs.read(prod, found.object_id)
    assert compare(change, jobs.values(raw, change)) is Holds.BEFORE
    assert jobs.edited_since(prod, found.object_id, now_of(databricks)) is None


def test_a_large_job_is_read_and_changed_as_a_whole(databricks: Databricks, prod: Client) -> None:
    jobs, found = KINDS["job"], one(prod, "job", "warehouse-load-all")
    tasks = databricks.workspaces["prod"].jobs[int(found.object_id)].settings["tasks"]
    assert len(found.raw["settings"]["tasks"]) == len(tasks) > 100
    jobs.apply(prod, found.object_id, change_of(prod, found), found.raw)
    after = jobs.read(prod, found.object_id)
    assert after["settings"]["tasks"] == found.raw["settings"]["tasks"]
    assert jobs.release_of(after) == "17.3"


def test_what_is_not_there(databricks: Databricks, prod: Client) -> None:
    clusters, jobs = KINDS["cluster"], KINDS["job"]
    found = one(prod, "cluster", "bi-reporting")
    with pytest.raises(Gone):
        clusters.read(prod, "0101-000000-nothere1")
    with pytest.raises(Gone):
        clusters.apply(prod, "0101-000000-nothere1", change_of(prod, found), found.raw)
    with pytest.raises(Gone):
        clusters.edited_since(prod, "0101-000000-nothere1", now_of(databricks))
    with pytest.raises(Gone):
        jobs.read(prod, "1")


def test_a_runtime_that_does_not_exist_is_refused(databricks: Databricks, prod: Client) -> None:
    clusters, found = KINDS["cluster"], one(prod, "cluster", "bi-reporting")
    change = change_of(prod, found)
    wrong = Change.from_json(
        {**change.to_json(), "fields": [{"path": ["spark_version"], "before": "", "after": "99.x"}]}
    )
    with pytest.raises(Refused):
        clusters.apply(prod, found.object_id, wrong, found.raw)


def test_a_service_principal_and_a_wrong_secret(databricks: Databricks) -> None:
    ws = databricks.workspaces["dev"]
    client = Client(access(ws.host, client_id=ws.client_id, client_secret=ws.client_secret))
    assert client.identity() == ws.client_id
    assert discover(client).found
    with pytest.raises(Forbidden):
        Client(access(ws.host, client_id=ws.client_id, client_secret="wrong-secret")).identity()
    with pytest.raises(Forbidden):
        Client(access(ws.host, token="dapi-wrong-token"), read_budget=0).identity()


def test_runs_of_a_day_are_complete(databricks: Databricks) -> None:
    client, ws = reach(databricks, "dev"), databricks.workspaces["dev"]
    since = now_of(databricks) - timedelta(days=1)
    seen = collect_runs(client, None, since)
    start = int(since.timestamp() * 1000)
    assert {r.run_id for r in seen.runs} == {r.run_id for r in ws.runs.values() if r.start >= start and r.closed}
    assert seen.complete
    assert len(seen.runs) > 24  # more than one page
    assert {r.result for r in seen.runs} <= {"success", "failed", "timedout", "canceled", "skipped", "platform"}
    assert [r.started for r in seen.runs] == sorted((r.started for r in seen.runs), reverse=True)
    busiest = str(seen.runs[0].job_id)
    assert [r for r in seen.runs if str(r.job_id) == busiest] == list(collect_runs(client, [busiest], since).runs)
    shared = one(client, "cluster", "shared-dev").object_id
    assert any(shared in r.cluster_ids and r.runtime is None for r in seen.runs)


def test_runs_after_a_change_are_on_the_new_runtime(databricks: Databricks) -> None:
    client = reach(databricks, "dev")
    jobs, found = KINDS["job"], one(client, "job", "ingest-smoke-dev")
    jobs.apply(client, found.object_id, change_of(client, found), found.raw)
    databricks.step(1)  # a run that starts at this very instant has the old settings
    since = now_of(databricks)
    databricks.step(3 * 3600)
    after = collect_runs(client, [found.object_id], since, active=True)
    assert {r.runtime for r in after.runs} == {"17.3"}
    assert len(after.runs) >= 5


def test_a_stopped_cluster_is_started_and_a_second_start_does_no_harm(databricks: Databricks) -> None:
    client = reach(databricks, "dev")
    found = one(client, "cluster", "orders-playground")
    assert found.state == "TERMINATED"
    kind = KINDS["cluster"]
    assert kind.start(client, found.object_id)
    with pytest.raises(Busy):
        kind.start(client, found.object_id)
    databricks.step(900)
    assert kind.read(client, found.object_id)["state"] == "RUNNING"


def test_a_job_has_nothing_to_start(prod: Client) -> None:
    job = one(prod, "job", "orders-hourly")
    before = prod.calls
    assert not KINDS["job"].start(prod, job.object_id)
    assert prod.calls == before
