"""system.access.audit: who changed jobs and clusters with which tool, late, and only where it is enabled."""

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.sql import StatementState

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running

SPEC = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
AGENT = "databricks-tf-provider/1.80 terraform/1.9"
TOLD = [{"job": "nightly", "user_agent": AGENT, "by": "ci@example.com", "days_ago": 2}]
FLEET: dict[str, Any] = {
    "seed": 1,
    "templates": {"job_clusters": {"small": SPEC}},
    "workspaces": {
        "dev": {
            "jobs": [{"name": "nightly", "compute": "small"}],
            "clusters": [{"name": "etl", **SPEC, "data_security_mode": "SINGLE_USER", "state": "TERMINATED"}],
            "warehouses": [{"name": "main", "id": "wh"}],
            "audit": TOLD,
        },
        "prod": {"warehouses": [{"name": "main", "id": "wh"}]},
    },
}
ASKED = (
    "SELECT user_agent, user_identity.email, service_name, action_name, request_params.job_id, "
    "request_params.cluster_id, response.status_code FROM system.access.audit ORDER BY event_time"
)


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running(FLEET) as made:
        yield made


def client(databricks: Databricks, key: str) -> WorkspaceClient:
    ws = databricks.workspaces[key]
    return WorkspaceClient(host=ws.host, token=ws.token)


def rows(w: WorkspaceClient, sql: str) -> list[list[str]]:
    answer = w.statement_execution.execute_statement(sql, "wh", wait_timeout="30s")
    assert answer.status is not None
    assert answer.status.state is StatementState.SUCCEEDED, answer.status
    return (answer.result.data_array or []) if answer.result else []


@pytest.mark.conforms("system-audit")
def test_changes_are_told_of_with_their_tool_some_minutes_later(databricks: Databricks) -> None:
    w = client(databricks, "dev")
    job = str(next(iter(databricks.workspaces["dev"].jobs)))
    before = [[AGENT, "ci@example.com", "jobs", "reset", job, None, "200"]]
    assert rows(w, ASKED) == before
    cluster = next(c.cluster_id for c in w.clusters.list())
    body = {"cluster_id": cluster, "update_mask": "num_workers", "cluster": {"num_workers": 2}}
    w.api_client.do("POST", "/api/2.1/clusters/update", body=body)
    with pytest.raises(Exception, match="update_mask"):
        w.api_client.do("POST", "/api/2.1/clusters/update", body={**body, "update_mask": ""})
    assert rows(w, ASKED) == before
    databricks.step(20 * 60)
    after = rows(w, ASKED)[1:]
    assert [(row[2], row[3], row[5], row[6]) for row in after] == [
        ("clusters", "edit", cluster, "200"),
        ("clusters", "edit", cluster, "400"),
    ]
    assert all("databricks-sdk-py" in row[0] for row in after)
    shown = w.tables.get("system.access.audit")
    assert "user_agent" in {column.name for column in shown.columns or []}


@pytest.mark.conforms("system-audit-not-enabled")
def test_where_it_is_not_enabled_it_is_not_there(databricks: Databricks) -> None:
    w = client(databricks, "prod")
    answer = w.statement_execution.execute_statement(ASKED, "wh", wait_timeout="30s")
    assert answer.status is not None
    assert answer.status.error is not None
    assert "TABLE_OR_VIEW_NOT_FOUND" in str(answer.status.error.message)
    with pytest.raises((NotFound, PermissionDenied)):
        w.tables.get("system.access.audit")


def test_a_fleet_that_tells_of_a_job_that_is_not_there_is_refused() -> None:
    wrong = {**FLEET["workspaces"]["dev"], "audit": [{"job": "x", "user_agent": "y"}]}
    with pytest.raises(ValueError, match="no job x"), running({**FLEET, "workspaces": {"dev": wrong}}):
        pass
