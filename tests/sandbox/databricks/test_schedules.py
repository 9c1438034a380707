"""Jobs run by themselves on the calendar; what becomes of their runs can depend on the runtime."""

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound, ResourceConflict
from databricks.sdk.service import jobs

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.model import Job, Run
from sandbox.databricks.server import running

ById = Callable[[str], int]
DAY = 86_400
SMALL = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}


@contextmanager
def fleet(*entries: dict[str, Any], runtime: str = "13.3.x-scala2.12", **more: Any) -> Iterator[Databricks]:
    """One workspace with these jobs, on job clusters of this runtime."""
    content = {
        "templates": {"job_clusters": {"small": {**SMALL, "spark_version": runtime, **more}}},
        "workspaces": {"dev": {"jobs": [{"compute": "small", "failure": 0, **entry} for entry in entries]}},
    }
    with running(content) as found:
        yield found


def the(databricks: Databricks, name: str) -> Job:
    databricks.advance()
    return next(job for job in databricks.workspaces["dev"].jobs.values() if job.name == name)


def ended(job: Job) -> list[Run]:
    return [run for run in job.runs if run.closed]


def test_a_week_of_history_is_there_at_first_start(w: WorkspaceClient, databricks: Databricks, job: ById) -> None:
    runs = list(w.jobs.list_runs(job_id=job("hourly")))
    assert len(runs) == 7 * 24
    assert (runs[-1].start_time or 0) >= databricks.now() - 7 * DAY * 1000
    assert {r.trigger for r in runs} == {jobs.TriggerType.PERIODIC}


def test_a_step_of_a_day_makes_the_runs_of_a_day_at_their_minutes(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    begin = databricks.now()
    databricks.step(DAY)
    runs = list(w.jobs.list_runs(job_id=job("hourly"), start_time_from=begin))
    assert len(runs) == 24
    assert {(r.start_time or 0) % 3_600_000 for r in runs} == {5 * 60_000}


@pytest.mark.conforms("pause-keeps-state")
def test_pausing_stops_new_runs_and_unpausing_starts_them_again(
    w: WorkspaceClient, databricks: Databricks, job: ById
) -> None:
    schedule = jobs.CronSchedule("0 5 * * * ?", "UTC", jobs.PauseStatus.PAUSED)
    w.jobs.update(job("hourly"), new_settings=jobs.JobSettings(schedule=schedule))
    begin = databricks.now()
    databricks.step(DAY)
    assert list(w.jobs.list_runs(job_id=job("hourly"), start_time_from=begin)) == []
    schedule.pause_status = jobs.PauseStatus.UNPAUSED
    w.jobs.update(job("hourly"), new_settings=jobs.JobSettings(schedule=schedule))
    databricks.step(2 * 3600)
    assert len(list(w.jobs.list_runs(job_id=job("hourly"), start_time_from=begin))) == 2


def test_durations_are_log_normal_around_the_median_of_the_job() -> None:
    with fleet({"name": "often", "cron": "0 0/20 * * * ?", "minutes": 10, "spread": 0.3}) as databricks:
        minutes = [(run.end - run.ready) / 60_000 for run in ended(the(databricks, "often"))]
        assert 9 < statistics.median(minutes) < 11
        assert statistics.mean(minutes) > statistics.median(minutes)


def test_the_same_seed_makes_the_same_runs() -> None:
    entry = {"name": "often", "cron": "0 0/20 * * * ?", "failure": 0.2}
    with fleet(entry) as one, fleet(entry) as other:
        assert [(r.run_id, r.start, r.end, r.code) for r in the(one, "often").runs] == [
            (r.run_id, r.start, r.end, r.code) for r in the(other, "often").runs
        ]


def test_base_failures_happen_at_their_rate_and_for_various_reasons() -> None:
    with fleet({"name": "shaky", "cron": "0 0/20 * * * ?", "minutes": 5, "failure": 0.3}) as databricks:
        job = the(databricks, "shaky")
        codes = [run.code for run in ended(job)]
        assert 0.2 < 1 - codes.count("SUCCESS") / len(codes) < 0.4
        assert {"RUN_EXECUTION_ERROR", "CLOUD_FAILURE"} <= set(codes)
        assert job.ok + job.failed > len(codes)


BREAKS = {"name": "casts", "cron": "0 0 * * * ?", "breaks": {"from": 17, "error": "CAST_INVALID_INPUT"}}


def test_a_job_with_a_bad_cast_runs_on_13_and_fails_on_17() -> None:
    with fleet(BREAKS) as databricks:
        assert {run.code for run in ended(the(databricks, "casts"))} == {"SUCCESS"}
    with fleet(BREAKS, runtime="17.3.x-scala2.13") as databricks:
        assert {run.code for run in ended(the(databricks, "casts"))} == {"RUN_EXECUTION_ERROR"}
        ws = databricks.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        run = next(iter(w.jobs.list_runs(completed_only=True)))
        assert run.state is not None
        # Only the output tells the error of the code.
        assert run.state.state_message == "Task main failed with message: Workload failed, see run output for details."
        assert "[CAST_INVALID_INPUT]" in str(w.jobs.get_run_output(run.run_id or 0).error)
        assert run.status is not None
        assert run.status.termination_details is not None
        assert run.status.termination_details.type == jobs.TerminationTypeType.CLIENT_ERROR


def test_ansi_mode_switched_off_lets_it_run_on_17() -> None:
    with fleet(BREAKS, runtime="17.3.x-scala2.13", spark_conf={"spark.sql.ansi.enabled": "false"}) as databricks:
        assert {run.code for run in ended(the(databricks, "casts"))} == {"SUCCESS"}


@pytest.mark.conforms("results-other-than-success")
def test_a_failed_task_leaves_those_after_it_unrun() -> None:
    entry = {**BREAKS, "tasks": ["one", "two", "three"]}
    with fleet(entry, runtime="17.3.x-scala2.13") as databricks:
        ws = databricks.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        run = next(iter(w.jobs.list_runs(completed_only=True, expand_tasks=True)))
        results = [t.state.result_state.value for t in run.tasks or [] if t.state and t.state.result_state]
        assert results == ["FAILED", "UPSTREAM_FAILED", "UPSTREAM_FAILED"]


def test_a_slower_job_takes_its_factor_longer_on_17() -> None:
    entry = {"name": "slow", "cron": "0 0 * * * ?", "minutes": 20, "slower": {"from": 17, "times": 1.6}}

    def median(runtime: str) -> float:
        with fleet(entry, runtime=runtime) as databricks:
            return statistics.median(run.end - run.ready for run in ended(the(databricks, "slow")))

    assert median("17.3.x-scala2.13") == pytest.approx(1.6 * median("13.3.x-scala2.12"), rel=1e-3)


@pytest.mark.parametrize(
    "library",
    [{"maven": {"coordinates": "com.example:x_2.12:1.0"}}, {"jar": "dbfs:/jars/exporter_2.12-4.1.jar"}],
)
def test_a_library_for_scala_2_12_cannot_be_installed_on_2_13(library: dict[str, Any]) -> None:
    entry = {"name": "old", "cron": "0 0 * * * ?", "tasks": [{"key": "a", "libraries": [library]}]}
    for runtime, code in (
        ("13.3.x-scala2.12", "SUCCESS"),
        ("16.4.x-scala2.12", "SUCCESS"),
        ("16.4.x-scala2.13", "LIBRARY_INSTALLATION_ERROR"),
        ("17.3.x-scala2.13", "LIBRARY_INSTALLATION_ERROR"),
    ):
        with fleet(entry, runtime=runtime) as databricks:
            assert {run.code for run in ended(the(databricks, "old"))} == {code}


@pytest.mark.conforms("continuous-runs-on")
def test_a_continuous_job_runs_on_until_cancelled_and_starts_again_on_the_new_runtime() -> None:
    stream = {"name": "stream", "minutes": 60 * 24 * 30, "spread": 0, "settings": {"continuous": {}}}
    with fleet(stream) as databricks:
        job = the(databricks, "stream")
        ws = databricks.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        (active,) = job.active.values()
        moved = {"job_cluster_key": "main", "new_cluster": {**SMALL, "spark_version": "17.3.x-scala2.13"}}
        w.api_client.do(
            "POST", "/api/2.2/jobs/update", body={"job_id": job.job_id, "new_settings": {"job_clusters": [moved]}}
        )
        databricks.step(DAY)
        (still,) = the(databricks, "stream").active.values()
        assert still is active
        w.jobs.cancel_run(active.run_id)
        databricks.step(120)
        (fresh,) = the(databricks, "stream").active.values()
        assert fresh.shape.tasks[0].spark_version == "17.3.x-scala2.13"
        assert w.jobs.get_run(fresh.run_id).trigger == jobs.TriggerType.CONTINUOUS


@pytest.mark.conforms("run-now-replaces-continuous")
def test_starting_a_continuous_job_by_hand_replaces_its_active_run() -> None:
    stream = {"name": "stream", "minutes": 60 * 24 * 30, "settings": {"continuous": {}}}
    with fleet(stream) as databricks:
        job = the(databricks, "stream")
        ws = databricks.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        (active,) = job.active.values()
        fresh = w.jobs.run_now(job.job_id).run_id
        assert list(job.active) == [fresh]
        assert active.cancelled
        databricks.step(3600)
        assert list(the(databricks, "stream").active) == [fresh]


@pytest.mark.conforms("pause-keeps-state")
def test_a_paused_continuous_job_does_not_start() -> None:
    stream = {"name": "stream", "settings": {"continuous": {"pause_status": "PAUSED"}}}
    with fleet(stream) as databricks:
        databricks.step(DAY)
        assert not the(databricks, "stream").runs


def test_file_arrival_and_periodic_triggers_start_runs() -> None:
    arrival = {"name": "files", "settings": {"trigger": {"file_arrival": {"url": "s3://x/"}}}}
    periodic = {"name": "every", "settings": {"trigger": {"periodic": {"interval": 6, "unit": "HOURS"}}}}
    with fleet(arrival, periodic) as databricks:
        assert {run.trigger for run in the(databricks, "files").runs} == {"FILE_ARRIVAL"}
        assert len(the(databricks, "every").runs) == 28


def test_a_run_job_task_runs_the_other_job() -> None:
    child = {"name": "child", "minutes": 3}
    parent = {"name": "parent", "cron": "0 0 12 * * ?", "tasks": ["begin", {"key": "then", "run_job": "child"}]}
    with fleet(child, parent) as databricks:
        databricks.step(8 * 3600)
        (run,) = the(databricks, "child").runs
        assert run.trigger == "RUN_JOB_TASK"
        assert the(databricks, "parent").runs[-1].ready < run.start <= the(databricks, "parent").runs[-1].end


def test_people_start_their_cluster_in_the_morning_and_it_ends_after_work() -> None:
    cluster = {**SMALL, "name": "desk", "state": "RUNNING", "office": True, "autotermination_minutes": 60}
    with running({"workspaces": {"dev": {"clusters": [cluster]}}}) as databricks:
        ws = databricks.workspaces["dev"]
        (desk,) = ws.clusters.values()
        states = []
        for _ in range(24 * 6):
            databricks.step(3600)
            databricks.advance()
            states.append(desk.state)
        day = states[:24]  # from Monday 09:00
        assert day[:9] == ["RUNNING"] * 9
        assert day[12:22] == ["TERMINATED"] * 10
        assert states[24:32] == ["RUNNING"] * 8
        assert set(states[24 * 4 + 12 :]) == {"TERMINATED"}  # Friday evening until Sunday


SEVERAL = [
    {"schedule": {"quartz_cron_expression": "0 0 12 * * ?", "timezone_id": "UTC"}},
    {"periodic": {"interval": 6, "unit": "HOURS"}},
    {"file_arrival": {"url": "s3://x/"}},
    {"table_update": {"table_names": ["a.b.c"]}, "pause_status": "PAUSED"},
]


@pytest.mark.conforms("stored-triggers")
def test_each_of_several_triggers_starts_runs_unless_it_is_paused() -> None:
    with fleet({"name": "many", "settings": {"triggers": SEVERAL, "max_concurrent_runs": 9}}) as databricks:
        causes = [run.trigger for run in the(databricks, "many").runs]
        assert (causes.count("PERIODIC"), causes.count("TABLE")) == (7 + 28, 0)
        assert causes.count("FILE_ARRIVAL") > 20
        ws = databricks.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        job_id = the(databricks, "many").job_id
        found = w.jobs.get(job_id).settings
        assert found is not None
        assert [t.pause_status and t.pause_status.value for t in found.triggers or []] == ["UNPAUSED"] * 3 + ["PAUSED"]
        paused = [{**entry, "pause_status": "PAUSED"} for entry in SEVERAL]
        body = {"job_id": job_id, "new_settings": {"triggers": paused}}
        w.api_client.do("POST", "/api/2.2/jobs/update", body=body)
        begin = databricks.now()
        databricks.step(7 * DAY)
        assert not [run for run in the(databricks, "many").runs if run.start > begin]


@pytest.mark.conforms("stored-triggers")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"triggers": SEVERAL, "continuous": {}}, "Only one of"),
        ({"triggers": [{"pause_status": "PAUSED"}]}, "Exactly one type of trigger"),
        ({"triggers": [{**SEVERAL[0], **SEVERAL[1]}]}, "Exactly one type of trigger"),
        ({"triggers": [{"schedule": {"quartz_cron_expression": "x", "timezone_id": "UTC"}}]}, "cron"),
        ({"triggers": [{"periodic": {"interval": 0}}]}, "periodic"),
        ({"triggers": [{**SEVERAL[0], "pause_status": "NOW"}]}, "pause_status"),
        ({"trigger": {"continuous": {}}}, "is a field of the job"),
    ],
)
def test_triggers_that_cannot_be_are_refused(w: WorkspaceClient, settings: dict[str, Any], message: str) -> None:
    body = {"name": "x", "tasks": [{"task_key": "a", "existing_cluster_id": "c"}], **settings}
    with pytest.raises(InvalidParameterValue, match=message):
        w.api_client.do("POST", "/api/2.2/jobs/create", body=body)


@pytest.mark.conforms("run-now-races-continuous")
def test_starting_a_continuous_job_that_is_just_being_started_is_a_conflict() -> None:
    stream = {"name": "stream", "minutes": 60 * 24 * 30, "settings": {"continuous": {}}}
    with fleet(stream) as databricks:
        job = the(databricks, "stream")
        ws = databricks.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        (active,) = job.active.values()
        w.jobs.cancel_run(active.run_id)
        while the(databricks, "stream").active:
            databricks.step(1)
        databricks.step((job.due - databricks.now()) / 1000 - 5)
        with pytest.raises(ResourceConflict):
            w.jobs.run_now(job.job_id)
        databricks.step(10)
        (fresh,) = the(databricks, "stream").active.values()
        assert fresh.trigger == "CONTINUOUS"


def test_durations_are_log_normal_by_their_quantiles_and_outcomes_follow_the_runtime() -> None:
    entry = {"name": "often", "cron": "0 0/30 * * * ?", "minutes": 10, "spread": 0.4, "failure": 0.1}
    with fleet(
        entry, {**entry, "name": "moved", "breaks": {"from": 17}, "slower": {"from": 17, "times": 2}}
    ) as databricks:
        ws = databricks.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        moved = {"job_cluster_key": "main", "new_cluster": {**SMALL, "spark_version": "17.3.x-scala2.13"}}
        good: list[float] = []
        before, since = ended(the(databricks, "moved")), databricks.now()
        body = {"job_id": the(databricks, "moved").job_id, "new_settings": {"job_clusters": [moved]}}
        w.api_client.do("POST", "/api/2.2/jobs/update", body=body)
        for _ in range(20):
            databricks.step(6 * DAY)
            runs = [r for r in ended(the(databricks, "often")) if r.start > databricks.now() - 6 * DAY * 1000]
            good += [math.log((r.end - r.ready) / 600_000) for r in runs if r.code == "SUCCESS"]
        assert len(good) > 4000
        # The logarithms are normal, with mean 0 and deviation 0.4: Kolmogorov and Smirnov, at one in a thousand.
        normal = statistics.NormalDist(0, 0.4)
        good.sort()
        gap = max(abs((place + 0.5) / len(good) - normal.cdf(value)) for place, value in enumerate(good))
        assert gap < 1.95 / math.sqrt(len(good))
        after = [r for r in ended(the(databricks, "moved")) if r.start > since]
        assert {r.code for r in after} == {"RUN_EXECUTION_ERROR"}
        assert 0.8 < sum(r.code == "SUCCESS" for r in before) / len(before) < 0.98


@pytest.mark.conforms("runs-purged-after-60-days")
def test_runs_are_gone_after_sixty_days() -> None:
    with fleet({"name": "daily", "cron": "0 0 12 * * ?"}) as databricks:
        ws = databricks.workspaces["dev"]
        w = WorkspaceClient(host=ws.host, token=ws.token)
        (first, *_) = the(databricks, "daily").runs
        databricks.step(52 * DAY)
        assert w.jobs.get_run(first.run_id).run_id == first.run_id
        databricks.step(10 * DAY)
        with pytest.raises(NotFound):
            w.jobs.get_run(first.run_id)
        oldest = min(r.start_time or 0 for r in w.jobs.list_runs(job_id=first.job_id))
        assert databricks.now() - 62 * DAY * 1000 < oldest < databricks.now() - 58 * DAY * 1000
        assert ws.runs.keys() == {r.run_id for r in the(databricks, "daily").runs}
