"""The fleets: the sample has every awkward case, the large one comes from a seed, and both start fast."""

from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from sandbox import fleets
from sandbox.databricks import versions
from sandbox.databricks.server import prepare, running
from sandbox.slack import people

SAMPLE = fleets.sample()
EVERY_CLUSTER = [c for w in SAMPLE["workspaces"].values() for c in w["clusters"]]
EVERY_JOB = [j for w in SAMPLE["workspaces"].values() for j in w["jobs"]]
SPECS = [c["spec"] for c in EVERY_CLUSTER]
SETTINGS = [j["settings"] for j in EVERY_JOB]
TASKS = [t for s in SETTINGS for t in s["tasks"]]
JOB_CLUSTERS = [c["new_cluster"] for s in SETTINGS for c in s.get("job_clusters", [])]


def test_the_sample_has_the_promised_size() -> None:
    assert list(SAMPLE["workspaces"]) == ["dev", "test", "staging", "prod"]
    assert (len(EVERY_CLUSTER), len(EVERY_JOB)) == (26, 61)


def test_ids_are_unique_and_the_same_every_time() -> None:
    assert len({c["id"] for c in EVERY_CLUSTER}) == len(EVERY_CLUSTER)
    assert len({j["id"] for j in EVERY_JOB}) == len(EVERY_JOB)
    assert fleets.sample() == SAMPLE


@pytest.mark.parametrize(
    ("case", "found"),
    [
        ("Photon in the key, cluster", [s for s in SPECS if "-photon-" in s["spark_version"]]),
        ("Photon in the key, job", [s for s in JOB_CLUSTERS if "-photon-" in s.get("spark_version", "")]),
        ("Photon engine", [s for s in SPECS if s.get("runtime_engine") == "PHOTON"]),
        ("ML", [s for s in SPECS if "-cpu-ml-" in s["spark_version"]]),
        ("GPU", [s for s in SPECS if "-gpu-ml-" in s["spark_version"]]),
        ("ARM", [s for s in SPECS if "-aarch64-" in s["spark_version"]]),
        ("from a pool", [s for s in SPECS if "instance_pool_id" in s and "node_type_id" not in s]),
        ("pinned by a policy", [s for s in SPECS if "policy_id" in s]),
        ("single user", [s for s in SPECS if "single_user_name" in s]),
        ("custom image", [s for s in SPECS if "docker_image" in s]),
        ("legacy access mode", [s for s in SPECS if str(s.get("data_security_mode")).startswith("LEGACY_")]),
        ("fake secrets", [s for s in SPECS if "KAFKA_PASSWORD" in s.get("spark_env_vars", {})]),
        ("made by a pipeline", [c for c in EVERY_CLUSTER if c.get("source") == "PIPELINE"]),
        ("already on 15.4", [s for s in SPECS if s["spark_version"].startswith("15.4")]),
        ("already on 17.3", [s for s in SPECS if s["spark_version"].startswith("17.3")]),
        ("resized now and then", [c for c in EVERY_CLUSTER if c.get("resizes")]),
        ("bundle", [s for s in SETTINGS if s.get("edit_mode") == "UI_LOCKED" and s["deployment"]["kind"] == "BUNDLE"]),
        ("130 tasks", [s for s in SETTINGS if len(s["tasks"]) == 130]),
        ("for each", [t for t in TASKS if "for_each_task" in t]),
        ("shared cluster", [t for t in TASKS if "existing_cluster_id" in t]),
        ("runs another job", [t for t in TASKS if "run_job_task" in t]),
        ("cluster in a task", [t for t in TASKS if "new_cluster" in t]),
        ("stream", [s for s in SETTINGS if "continuous" in s]),
        ("paused", [s for s in SETTINGS if s.get("schedule", {}).get("pause_status") == "PAUSED"]),
        ("serverless", [s for s in SETTINGS if "environments" in s and "job_clusters" not in s]),
        ("library for Scala 2.12", [t for t in TASKS if "_2.12" in str(t.get("libraries"))]),
        ("fails on 17.3", [j for j in EVERY_JOB if j["habit"].get("breaks")]),
        ("slower on 17.3", [j for j in EVERY_JOB if j["habit"].get("slower") == {"from": 17, "times": 1.6}]),
        ("file arrival", [s for s in SETTINGS if "file_arrival" in s.get("trigger", {})]),
    ],
)
def test_the_sample_has_every_awkward_case(case: str, found: list[Any]) -> None:
    assert found, case


@pytest.mark.parametrize("name", ["orders-hourly", "clickstream-hourly", "inventory-sync"])
def test_the_canary_jobs_of_prod_are_hourly_and_share_nothing(name: str) -> None:
    (entry,) = [j["settings"] for j in SAMPLE["workspaces"]["prod"]["jobs"] if j["settings"]["name"] == name]
    assert entry["schedule"]["quartz_cron_expression"].endswith("* * * ?")
    assert all(t["job_cluster_key"] == "main" and "existing_cluster_id" not in t for t in entry["tasks"])
    assert entry["job_clusters"][0]["new_cluster"]["spark_version"] == "13.3.x-scala2.12"


def test_every_runtime_of_the_sample_can_be_made_by_the_api() -> None:
    for spec in [*SPECS, *JOB_CLUSTERS]:
        if "spark_version" in spec and not spec["spark_version"].startswith("dlt:"):
            versions.check(spec["spark_version"])


def test_typed_clients_can_read_everything_of_the_sample() -> None:
    with running("sample") as databricks:
        for ws in databricks.workspaces.values():
            w = WorkspaceClient(host=ws.host, token=ws.token)
            clusters = {c.cluster_id for c in w.clusters.list()}
            assert set(ws.clusters) <= clusters
            jobs = list(w.jobs.list(expand_tasks=True, limit=100))
            assert {j.job_id for j in jobs} == set(ws.jobs)
            assert all(r.state and r.status and r.start_time for r in w.jobs.list_runs(limit=24))
            for cluster_id in ws.clusters:
                assert w.clusters.get(cluster_id).state
                assert list(w.clusters.events(cluster_id))


def test_a_week_of_the_sample_has_mostly_good_runs() -> None:
    with running("sample") as databricks:
        runs = [r for ws in databricks.workspaces.values() for r in ws.runs.values() if r.closed]
        bad = [r for r in runs if r.code != "SUCCESS"]
        assert 0.005 < len(bad) / len(runs) < 0.05
        active = [r for ws in databricks.workspaces.values() for j in ws.jobs.values() for r in j.active.values()]
        assert active


def test_the_large_fleet_has_its_size_and_shares_and_comes_from_its_seed() -> None:
    large = fleets.load("large")
    sizes = {key: len(w["clusters"]) + len(w["jobs"]) for key, w in large["workspaces"].items()}
    assert sizes == {"dev": 200, "test": 300, "staging": 500, "prod": 1000}
    assert fleets.generate(100, seed=5) == fleets.generate(100, seed=5) != fleets.generate(100, seed=6)
    ids = [t["id"] for w in large["workspaces"].values() for t in [*w["clusters"], *w["jobs"]]]
    assert len(set(ids)) == 2000


def test_every_fleet_is_prepared_with_its_history(tmp_path: Path) -> None:
    for fleet in ("sample", "large:200"):
        made = prepare(fleet, tmp_path / fleet.partition(":")[0], None)
        assert sum(len(ws.runs) for ws in made.workspaces.values()) > 100


def test_a_file_of_ones_own_is_read_in_the_same_format(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text(
        "workspaces: {only: {clusters: [{name: c, spark_version: 13.3.x-scala2.12, node_type_id: x, num_workers: 1}]}}"
    )
    found = fleets.load(tmp_path / "own.yml")
    assert found["workspaces"]["only"]["clusters"][0]["spec"]["cluster_name"] == "c"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "no workspaces"),
        ("[", "cannot read"),
        ("workspaces: {a: {clusters: [{name: c, like: nothing}]}}", "c: there is no template clusters.nothing"),
        ("workspaces: {a: {jobs: [{name: j, colour: red}]}}", "j: unknown fields colour"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_a_sentence(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "own.yml").write_text(content)
    with pytest.raises(ValueError, match=message):
        fleets.load(tmp_path / "own.yml")


def test_large_needs_a_number() -> None:
    with pytest.raises(ValueError, match="large:N"):
        fleets.load("large:many")


def test_the_sample_belongs_to_people_of_the_local_slack_but_for_one_owner_whom_it_does_not_know() -> None:
    cast = people.load()
    known = {f"{p.key}@{cast.team_of(p.team).domain}.example" for p in cast.people.values() if not p.deleted}
    owners = {key: {job["owner"] for job in of["jobs"]} for key, of in fleets.sample()["workspaces"].items()}
    assert {key: found - known for key, found in owners.items()} == {key: {"ml-team@example.com"} for key in owners}
    assert len(set.union(*owners.values()) & known) >= 4
