"""Jobs: lists and their pages, writing, merging, refusals."""

from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, PermissionDenied
from databricks.sdk.service import jobs

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.workspace import Workspace

ById = Callable[[str], int]
CLUSTER = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}


def raw(w: WorkspaceClient, verb: str, **body: Any) -> Any:
    return w.api_client.do("POST", f"/api/2.2/jobs/{verb}", body=body)


def shown(w: WorkspaceClient, job_id: int) -> Any:
    return w.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id})["settings"]


def settings(count: int = 1, **more: Any) -> dict[str, Any]:
    tasks = [{"task_key": f"t{n}", "job_cluster_key": "main"} for n in range(count)]
    return {
        "name": "made",
        "tasks": tasks,
        "job_clusters": [{"job_cluster_key": "main", "new_cluster": CLUSTER}],
        **more,
    }


@pytest.mark.conforms("jobs-list-expands-a-hundred")
def test_list_gives_every_job_newest_first_without_tasks_unless_asked(w: WorkspaceClient, dev: Workspace) -> None:
    for number in range(30):
        raw(w, "create", **settings(name=f"job {number}"))
    found = list(w.jobs.list(limit=7))
    assert {j.job_id for j in found} == set(dev.jobs)
    assert [j.created_time for j in found] == sorted((j.created_time or 0 for j in found), reverse=True)
    assert all(j.settings and not j.settings.tasks and not j.settings.job_clusters for j in found)
    expanded = list(w.jobs.list(limit=100, expand_tasks=True))
    assert all(j.settings and j.settings.tasks for j in expanded)
    assert any(j.settings and j.settings.job_clusters for j in expanded)


def test_list_finds_an_exact_name_in_any_case(w: WorkspaceClient) -> None:
    assert [j.settings.name for j in w.jobs.list(name="HOURLY") if j.settings] == ["hourly"]
    assert list(w.jobs.list(name="hour")) == []


@pytest.mark.conforms("list-limits")
@pytest.mark.parametrize("limit", [0, 101, -1])
def test_a_limit_outside_one_to_a_hundred_is_refused(w: WorkspaceClient, limit: int) -> None:
    with pytest.raises(InvalidParameterValue, match="limit"):
        list(w.jobs.list(limit=limit))


@pytest.mark.conforms("jobs-list-expands-a-hundred", "jobs-get-pages")
def test_a_job_with_many_tasks_is_paged_by_a_hundred(w: WorkspaceClient) -> None:
    job_id = raw(w, "create", **settings(230))["job_id"]
    first: Any = w.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id})
    assert (len(first["settings"]["tasks"]), len(first["settings"]["job_clusters"]), first["has_more"]) == (
        100,
        1,
        True,
    )
    token = first["next_page_token"]
    second: Any = w.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job_id, "page_token": token})
    assert (len(second["settings"]["tasks"]), second["settings"]["job_clusters"]) == (100, [])
    typed = w.jobs.get(job_id)
    assert typed.settings is not None
    assert [t.task_key for t in typed.settings.tasks or []] == [f"t{n}" for n in range(230)]
    listed: Any = w.api_client.do("GET", "/api/2.2/jobs/list", query={"expand_tasks": "true", "name": "made"})
    assert (len(listed["jobs"][0]["settings"]["tasks"]), listed["jobs"][0]["has_more"]) == (100, True)
    (whole,) = w.jobs.list(expand_tasks=True, name="made")
    assert whole.settings is not None
    assert len(whole.settings.tasks or []) == 230


@pytest.mark.conforms("raw-round-trip", "unknown-fields-stay", "apply-policy-default-values-not-shown")
def test_create_keeps_unknown_fields_and_fills_in_defaults(w: WorkspaceClient) -> None:
    cluster = {**CLUSTER, "future_option": {"x": []}, "apply_policy_default_values": True}
    sent = settings(
        job_clusters=[{"job_cluster_key": "main", "new_cluster": cluster}],
        future=[1],
        performance_target="COST_OPTIMIZED",
    )
    found = shown(w, raw(w, "create", **sent)["job_id"])
    assert (found["future"], found["performance_target"]) == ([1], "COST_OPTIMIZED")
    stored = found["job_clusters"][0]["new_cluster"]
    assert stored["future_option"] == {"x": []}
    assert "apply_policy_default_values" not in stored
    assert (found["max_concurrent_runs"], found["format"]) == (1, "MULTI_TASK")


@pytest.mark.conforms("run-as-write-only")
def test_run_as_is_written_in_the_settings_and_read_beside_them(w: WorkspaceClient) -> None:
    job_id = raw(w, "create", **settings(run_as={"user_name": "a@example.com"}))["job_id"]
    assert w.jobs.get(job_id).run_as_user_name == "a@example.com"
    assert "run_as" not in shown(w, job_id)


@pytest.mark.conforms("update-merges-by-key")
def test_update_replaces_top_level_fields_and_merges_arrays_by_key(w: WorkspaceClient) -> None:
    job_id = raw(w, "create", **settings(3, tags={"a": "1", "b": "2"}))["job_id"]
    changed = {"task_key": "t1", "job_cluster_key": "main", "description": "new"}
    raw(w, "update", job_id=job_id, new_settings={"tags": {"c": "3"}, "tasks": [changed]})
    found = shown(w, job_id)
    assert found["tags"] == {"c": "3"}
    assert [t["task_key"] for t in found["tasks"]] == ["t0", "t1", "t2"]
    assert found["tasks"][1]["description"] == "new"
    assert found["name"] == "made"


@pytest.mark.conforms("update-merges-by-key")
def test_a_matched_entry_is_replaced_whole(w: WorkspaceClient) -> None:
    rich = {**CLUSTER, "spark_conf": {"a": "b"}, "custom_tags": {"x": "y"}}
    two = [{"job_cluster_key": "main", "new_cluster": rich}, {"job_cluster_key": "other", "new_cluster": rich}]
    job_id = raw(w, "create", **settings(job_clusters=two))["job_id"]
    moved = {**CLUSTER, "spark_version": "17.3.x-scala2.13"}
    raw(w, "update", job_id=job_id, new_settings={"job_clusters": [{"job_cluster_key": "main", "new_cluster": moved}]})
    main, other = shown(w, job_id)["job_clusters"]
    assert main["new_cluster"]["spark_version"] == "17.3.x-scala2.13"
    assert "spark_conf" not in main["new_cluster"]
    assert other["new_cluster"]["spark_conf"] == {"a": "b"}


@pytest.mark.conforms("update-removes-by-name-only")
def test_fields_to_remove_takes_top_level_fields_and_entries_of_arrays(w: WorkspaceClient) -> None:
    job_id = raw(w, "create", **settings(3, tags={"a": "1"}))["job_id"]
    w.jobs.update(job_id, fields_to_remove=["tags", "tasks/t1"])
    assert "tags" not in shown(w, job_id)
    assert [t["task_key"] for t in shown(w, job_id)["tasks"]] == ["t0", "t2"]
    with pytest.raises(InvalidParameterValue, match="not supported"):
        w.jobs.update(job_id, fields_to_remove=["schedule/pause_status"])


@pytest.mark.conforms("update-removes-by-name-only")
def test_update_never_deletes_by_omission(w: WorkspaceClient) -> None:
    job_id = raw(w, "create", **settings(2))["job_id"]
    w.jobs.update(job_id, new_settings=jobs.JobSettings(name="other"))
    assert len(shown(w, job_id)["tasks"]) == 2


@pytest.mark.conforms("reset-replaces-all-but-run-as")
def test_reset_replaces_everything_but_run_as(w: WorkspaceClient) -> None:
    job_id = raw(w, "create", **settings(2, tags={"a": "1"}, run_as={"user_name": "a@example.com"}))["job_id"]
    raw(w, "reset", job_id=job_id, new_settings=settings(1, name="again"))
    found = shown(w, job_id)
    assert (found["name"], len(found["tasks"]), found.get("tags")) == ("again", 1, None)
    assert w.jobs.get(job_id).run_as_user_name == "a@example.com"
    raw(w, "reset", job_id=job_id, new_settings=settings(run_as={"user_name": "b@example.com"}))
    assert w.jobs.get(job_id).run_as_user_name == "b@example.com"


SHARED = {"task_key": "t", "existing_cluster_id": "x", "job_cluster_key": "main"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"job_clusters": [{"job_cluster_key": "main", "new_cluster": {**CLUSTER, "spark_version": "9.x"}}]}, "spark"),
        ({"tasks": [{"task_key": "t", "new_cluster": {**CLUSTER, "spark_version": "auto:latest-lts"}}]}, "auto:latest"),
        (
            {
                "tasks": [
                    {"task_key": "t", "for_each_task": {"inputs": "[]", "task": {"task_key": "i", "new_cluster": {}}}}
                ],
                "job_clusters": [{"job_cluster_key": "main", "new_cluster": {**CLUSTER, "spark_version": "1"}}],
            },
            "Invalid spark version 1",
        ),
        ({"tasks": [{"task_key": "t", "job_cluster_key": "none"}]}, "'none' is not defined in field 'job_clusters'"),
        ({"tasks": [SHARED]}, "more than one compute"),
        ({"tasks": [{"task_key": "t"}, {"task_key": "t"}]}, "Duplicate task_key: t"),
        ({"tasks": [{"task_key": "t", "depends_on": [{"task_key": "u"}]}]}, "depends on 'u'"),
        ({"tasks": [{"description": "no key"}]}, "task_key"),
        ({"schedule": {"quartz_cron_expression": "* * * * *", "timezone_id": "UTC"}}, "cron"),
        ({"schedule": {"quartz_cron_expression": "0 0 1 * * ?", "timezone_id": "Mars/Base"}}, "time zone"),
        ({"schedule": {"quartz_cron_expression": "0 0 1 * * ?"}}, "timezone_id"),
        ({"schedule": {"quartz_cron_expression": "0 0 1 * * ?", "timezone_id": "UTC", "pause_status": "OFF"}}, "pause"),
        (
            {"continuous": {}, "schedule": {"quartz_cron_expression": "0 0 1 * * ?", "timezone_id": "UTC"}},
            "Only one of",
        ),
        ({"max_concurrent_runs": 1001}, "max_concurrent_runs"),
    ],
)
def test_settings_that_cannot_be_are_refused_everywhere_and_change_nothing(
    w: WorkspaceClient, job: ById, change: dict[str, Any], message: str
) -> None:
    before = shown(w, job("manual"))
    for verb, body in (
        ("create", settings(**change)),
        ("reset", {"job_id": job("manual"), "new_settings": settings(**change)}),
    ):
        with pytest.raises(InvalidParameterValue, match=message):
            raw(w, verb, **body)
    assert shown(w, job("manual")) == before


@pytest.mark.conforms("malformed-is-refused")
@pytest.mark.parametrize("change", [{"tasks": "x"}, {"tasks": ["x"]}, {"schedule": "daily"}, {"tags": 3}])
def test_settings_of_the_wrong_type_are_malformed(w: WorkspaceClient, change: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="Could not parse request object"):
        raw(w, "create", **settings(**change))


@pytest.mark.conforms("errors-unknown-object", "jobs-missing-is-invalid-but-for-get")
def test_a_job_that_is_not_there_is_not_found_by_get_and_invalid_for_all_others(w: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match="Job 12 does not exist"):
        w.jobs.get(12)
    for verb in ("update", "reset", "delete", "run-now"):
        with pytest.raises(InvalidParameterValue, match="Job 12 does not exist"):
            raw(w, verb, job_id=12, new_settings={})


@pytest.mark.conforms("errors-job-permission-before-existence", "denial-before-existence", "change-needs-manage")
def test_without_the_right_a_job_can_be_seen_but_not_changed_and_denial_comes_before_existence(
    w: WorkspaceClient, dev: Workspace, job: ById
) -> None:
    assert w.jobs.get(job("view-only")).job_id == job("view-only")
    for verb in ("update", "reset", "delete", "run-now"):
        with pytest.raises(PermissionDenied):
            raw(w, verb, job_id=job("view-only"), new_settings={})
    del dev.jobs[job("view-only")]
    with pytest.raises(PermissionDenied):
        raw(w, "update", job_id=job("view-only"), new_settings={})


@pytest.mark.parametrize("job_id", ["abc", None, True, 1.5])
def test_an_id_that_is_no_number_is_refused(w: WorkspaceClient, job_id: Any) -> None:
    with pytest.raises(InvalidParameterValue, match="job_id"):
        raw(w, "update", job_id=job_id, new_settings={})


def test_delete_cancels_what_runs_and_ends_the_schedule(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    run: Any = w.jobs.run_now(job("hourly")).response
    databricks.step(60)
    w.jobs.delete(job("hourly"))
    with pytest.raises(NotFound):
        w.jobs.get(job("hourly"))
    databricks.step(86_400)
    assert w.jobs.get_run(run.run_id).state.result_state == jobs.RunResultState.CANCELED  # type: ignore[union-attr]
    assert [
        r for r in w.jobs.list_runs(start_time_from=databricks.now() - 80_000_000) if r.job_id == job("hourly")
    ] == []


@pytest.mark.conforms("places-of-a-version", "job-cluster-without-new-cluster")
def test_every_place_of_a_version_is_checked_and_a_job_cluster_may_be_without_one(w: WorkspaceClient) -> None:
    bad = {**CLUSTER, "spark_version": "9"}
    inner = {"task_key": "i", "new_cluster": bad}
    places: list[dict[str, Any]] = [
        {"job_clusters": [{"job_cluster_key": "main", "new_cluster": bad}]},
        {"tasks": [{"task_key": "t", "new_cluster": bad}]},
        {"tasks": [{"task_key": "t", "for_each_task": {"inputs": "[1]", "task": inner}}]},
    ]
    for place in places:
        with pytest.raises(InvalidParameterValue, match="Invalid spark version 9"):
            raw(w, "create", **settings(**place))
    made = raw(w, "create", **settings(job_clusters=[{"job_cluster_key": "main", "serverless_compute_id": "x"}]))
    assert shown(w, made["job_id"])["job_clusters"] == [{"job_cluster_key": "main", "serverless_compute_id": "x"}]


@pytest.mark.conforms("ui-locked-takes-api-writes")
def test_a_job_of_a_bundle_is_locked_for_people_and_not_for_the_api(w: WorkspaceClient) -> None:
    bundle = {"edit_mode": "UI_LOCKED", "deployment": {"kind": "BUNDLE", "metadata_file_path": "/x"}}
    job_id = raw(w, "create", **settings(**bundle))["job_id"]
    raw(w, "update", job_id=job_id, new_settings={"name": "other"})
    found = shown(w, job_id)
    assert (found["name"], found["edit_mode"], found["deployment"]["kind"]) == ("other", "UI_LOCKED", "BUNDLE")


@pytest.mark.conforms("no-lock-on-jobs")
def test_the_last_of_two_writers_wins(w: WorkspaceClient, job: ById) -> None:
    before = shown(w, job("manual"))
    raw(w, "update", job_id=job("manual"), new_settings={"name": "first"})
    raw(w, "reset", job_id=job("manual"), new_settings={**before, "name": "second"})
    assert shown(w, job("manual"))["name"] == "second"
