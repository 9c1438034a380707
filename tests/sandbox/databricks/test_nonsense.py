"""Any JSON at any method, and valid requests with something wrong in them: never a failure of the server."""

import copy
import itertools
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.databricks.databricks import ROUTER, Databricks
from sandbox.databricks.rates import Rates
from sandbox.databricks.server import running

CLUSTER = {
    "spark_version": "13.3.x-scala2.12",
    "node_type_id": "i3.xlarge",
    "autoscale": {"min_workers": 1, "max_workers": 2},
    "spark_conf": {"a": "b"},
    "custom_tags": {"a": "b"},
    "aws_attributes": {"zone_id": "auto"},
    "init_scripts": [{"workspace": {"destination": "/x"}}],
    "docker_image": {"url": "x"},
    "data_security_mode": "SINGLE_USER",
    "autotermination_minutes": 30,
}
INNER = {"task_key": "i", "new_cluster": CLUSTER, "notebook_task": {"notebook_path": "/Shared/x"}}
SETTINGS: dict[str, Any] = {
    "name": "x",
    "tasks": [
        {**INNER, "task_key": "a", "max_retries": 2, "min_retry_interval_millis": 5, "timeout_seconds": 600},
        {"task_key": "b", "depends_on": [{"task_key": "a"}], "job_cluster_key": "k", "run_if": "ALL_DONE"},
        {"task_key": "c", "for_each_task": {"inputs": "[1,2]", "concurrency": 2, "task": INNER}},
        {"task_key": "d", "run_job_task": {"job_id": 7}, "libraries": [{"maven": {"coordinates": "a:b_2.12:1"}}]},
        {"task_key": "e", "pipeline_task": {"pipeline_id": "x"}, "disabled": False},
    ],
    "job_clusters": [{"job_cluster_key": "k", "new_cluster": CLUSTER}],
    "parameters": [{"name": "p", "default": "v"}],
    "environments": [{"environment_key": "e", "spec": {"environment_version": "3"}}],
    "queue": {"enabled": True},
    "tags": {"a": "b"},
    "run_as": {"user_name": "x"},
    "max_concurrent_runs": 2,
    "timeout_seconds": 3600,
}
SCHEDULE = {"quartz_cron_expression": "0 0 1 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}
TRIGGERS = [{"schedule": SCHEDULE}, {"periodic": {"interval": 1, "unit": "HOURS"}}, {"file_arrival": {"url": "s3://x"}}]
SPEC = {
    "name": "p",
    "channel": "CURRENT",
    "continuous": False,
    "clusters": [{"label": "default", "num_workers": 1}],
    "libraries": [{"notebook": {"path": "/x"}}],
    "configuration": {"a": "b"},
    "run_as": {"user_name": "x"},
    "expected_last_modified": None,
}
NAMES = sorted(
    {
        *CLUSTER,
        *SETTINGS,
        *SPEC,
        *(name for task in SETTINGS["tasks"] for name in task),
        "cluster_id",
        "job_id",
        "run_id",
        "new_settings",
        "update_mask",
        "cluster",
        "fields_to_remove",
        "limit",
        "offset",
        "page_token",
        "max_results",
        "filter",
        "order_by",
        "path",
        "format",
        "definition",
        "policy_id",
        "instance_pool_id",
        "full_name",
        "statement",
        "warehouse_id",
        "access_control_list",
    }
)
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    0.5,
    "",
    "x",
    "\x00",
    "null",
    "9" * 30,
    [],
    {},
    [None],
    [[]],
    {"": None},
    [{}],
]


@pytest.fixture(scope="module")
def served() -> Iterator[Databricks]:
    """One server for all of it, with runs under way."""
    with running("sample") as found:
        found.step(1800)
        found.rates = Rates(itertools.count().__next__)  # a second passes with each request
        yield found


def known(databricks: Databricks) -> list[Any]:
    """Ids that are there."""
    ws = databricks.workspaces["prod"]
    run = next(reversed(ws.runs))
    return [*list(ws.clusters)[:2], *list(ws.jobs)[:2], run, run + 1, *ws.shelf("pipelines"), "/Shared/common/partners"]


def scribbled(luck: random.Random, ids: list[Any], depth: int = 3) -> Any:
    """Random JSON, often with names and ids that mean something."""
    if depth == 0 or luck.random() < 0.4:
        return copy.deepcopy(luck.choice([*JUNK, *ids]))
    if luck.random() < 0.4:
        return [scribbled(luck, ids, depth - 1) for _ in range(luck.randrange(4))]
    return {luck.choice([*NAMES, ""]): scribbled(luck, ids, depth - 1) for _ in range(luck.randrange(5))}


def spoilt(luck: random.Random, ids: list[Any], body: Any) -> Any:
    """A copy with one to three places replaced or removed."""
    result = copy.deepcopy(body)
    for _ in range(luck.randrange(1, 4)):
        holder, place = result, None
        while True:
            places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not places:
                break
            place = luck.choice(places)
            if not isinstance(holder[place], dict | list) or luck.random() < 0.25:
                break
            holder = holder[place]
        if place is None or place not in (holder if isinstance(holder, dict) else range(len(holder))):
            continue
        if luck.random() < 0.2:
            del holder[place]
        else:
            holder[place] = scribbled(luck, ids, 2)
    return result


def ask(databricks: Databricks, method: str, path: str, body: Any, session: requests.Session) -> None:
    ws = databricks.workspaces["prod"]
    query = None
    if method in ("GET", "DELETE") and isinstance(body, dict):
        query = {name: str(value) for name, value in body.items()}
    content = None if method == "GET" else body
    headers = {"Authorization": f"Bearer {ws.token}"}
    answer = session.request(method, f"{ws.host}{path}", params=query, json=content, headers=headers, timeout=60)
    assert answer.status_code != 500, (answer.text, body)
    if answer.status_code >= 400:
        assert answer.json()["error_code"]
        assert answer.json()["message"]


def many(examples: int) -> Any:
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.conforms("malformed-is-refused")
@pytest.mark.parametrize(("method", "path"), [pytest.param(m, p, id=f"{m} {p}") for m, p in ROUTER])
def test_random_json_is_never_a_failure_of_the_server(served: Databricks, method: str, path: str) -> None:
    ids, session = known(served), requests.Session()

    @many(15)
    @given(st.integers(0, 2**32))
    def send(seed: int) -> None:
        luck, filled = random.Random(seed), path
        while "{" in filled:
            left, _, rest = filled.partition("{")
            filled = left + quote(str(luck.choice([*ids, "x", "\x00"])), safe="") + rest.partition("}")[2]
        ask(served, method, filled, scribbled(luck, ids), session)

    send()


@pytest.mark.conforms("malformed-is-refused")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/2.2/jobs/create", SETTINGS),
        ("POST", "/api/2.2/jobs/create", {**SETTINGS, "schedule": SCHEDULE}),
        ("POST", "/api/2.2/jobs/create", {**SETTINGS, "triggers": TRIGGERS}),
        ("POST", "/api/2.2/jobs/create", {**SETTINGS, "trigger": TRIGGERS[1]}),
        ("POST", "/api/2.2/jobs/create", {**SETTINGS, "continuous": {"pause_status": "PAUSED"}}),
        ("POST", "/api/2.2/jobs/update", {"job_id": "JOB", "new_settings": SETTINGS, "fields_to_remove": ["tasks/b"]}),
        ("POST", "/api/2.2/jobs/reset", {"job_id": "JOB", "new_settings": SETTINGS}),
        ("POST", "/api/2.2/jobs/run-now", {"job_id": "JOB", "only": ["x"], "job_parameters": {"a": "b"}}),
        (
            "POST",
            "/api/2.2/jobs/runs/submit",
            {"tasks": SETTINGS["tasks"][:1], "run_name": "x", "idempotency_token": ""},
        ),
        ("POST", "/api/2.2/jobs/runs/repair", {"run_id": "RUN", "rerun_tasks": ["x"], "rerun_all_failed_tasks": True}),
        ("POST", "/api/2.1/clusters/create", {"cluster_name": "x", **CLUSTER}),
        ("POST", "/api/2.1/clusters/edit", {"cluster_id": "CLUSTER", **CLUSTER}),
        ("POST", "/api/2.1/clusters/update", {"cluster_id": "CLUSTER", "update_mask": "*", "cluster": CLUSTER}),
        ("PUT", "/api/2.0/pipelines/PIPELINE", SPEC),
        ("POST", "/api/2.0/pipelines/PIPELINE/updates", {"full_refresh": True, "refresh_selection": ["a"]}),
        (
            "POST",
            "/api/2.0/workspace/import",
            {"path": "/Shared/x", "content": "", "format": "AUTO", "overwrite": True},
        ),
    ],
)
def test_a_request_with_something_wrong_in_it_is_never_a_failure_of_the_server(
    served: Databricks, method: str, path: str, body: dict[str, Any]
) -> None:
    ids, session = known(served), requests.Session()
    ws = served.workspaces["prod"]
    stands_for = {"JOB": next(iter(ws.jobs)), "RUN": next(iter(ws.runs)), "CLUSTER": next(iter(ws.clusters))}
    filled = {name: stands_for.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    path = path.replace("PIPELINE", next(iter(ws.shelf("pipelines"))))
    ask(served, method, path, filled, session)

    @many(60)
    @given(st.integers(0, 2**32))
    def send(seed: int) -> None:
        ask(served, method, path, spoilt(random.Random(seed), ids, filled), session)

    send()
    # What was taken can be shown, run and read again.
    for reading in ("/api/2.2/jobs/list?expand_tasks=true&limit=100", "/api/2.1/clusters/list", "/api/2.0/pipelines"):
        ask(served, "GET", reading, None, session)
    for job in list(ws.jobs.values())[-10:]:
        ask(served, "GET", "/api/2.2/jobs/get", {"job_id": job.job_id}, session)
        ask(served, "POST", "/api/2.2/jobs/run-now", {"job_id": job.job_id}, session)
    served.step(7200)
    for run_id in list(ws.runs)[-20:]:
        ask(served, "GET", "/api/2.2/jobs/runs/get", {"run_id": run_id}, session)
