"""A workspace with warehouses, tables and credentials, and a way to run a statement and get its rows."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.sql import StatementParameterListItem, StatementResponse, StatementState

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace

JOB_CLUSTER = {
    "spark_version": "13.3.x-scala2.12",
    "node_type_id": "i3.xlarge",
    "num_workers": 2,
    "data_security_mode": "SINGLE_USER",
}
ORDERS = {"id": "BIGINT NOT NULL", "country": "STRING", "amount": "DECIMAL(10,2)", "at": "TIMESTAMP"}
SMALL = {"id": "BIGINT", "day": "DATE"}
DATA: dict[str, Any] = {
    "seed": 3,
    "templates": {
        "job_clusters": {"old": JOB_CLUSTER, "new": {**JOB_CLUSTER, "spark_version": "17.3.x-scala2.13"}},
        "clusters": {"shared": {**JOB_CLUSTER, "data_security_mode": "USER_ISOLATION"}},
    },
    "workspaces": {
        "dev": {
            "clusters": [{"name": "shared", "like": "shared", "state": "RUNNING"}],
            "jobs": [
                {"name": "writer-13", "compute": "old", "minutes": 5, "failure": 0, "writes": ["shop.sales.written"]},
                {"name": "writer-17", "compute": "new", "minutes": 5, "failure": 0, "writes": ["shop.sales.written"]},
                {"name": "replacer", "compute": "old", "minutes": 5, "failure": 0, "writes": ["shop.sales.stock"]},
                {
                    "name": "failing",
                    "compute": "new",
                    "minutes": 5,
                    "failure": 0,
                    "writes": ["shop.sales.written"],
                    "breaks": {"from": 17},
                },
                {"name": "long", "cron": "0 0 22 * * ?", "compute": "old", "minutes": 200, "spread": 0, "failure": 0},
            ],
            "warehouses": [
                {"name": "main", "id": "wh-main"},
                {"name": "stopped", "id": "wh-stopped", "state": "STOPPED"},
                {"name": "classic", "id": "wh-classic", "state": "STOPPED", "serverless": False, "auto_stop_mins": 10},
                {"name": "closed", "id": "wh-closed", "permission": "CAN_VIEW"},
                {"name": "slow", "id": "wh-slow", "slow": 90},
            ],
            "catalogs": [
                {
                    "name": "shop",
                    "grants": {"bot": ["USE_CATALOG", "USE_SCHEMA", "SELECT"], "engineers": ["ALL_PRIVILEGES"]},
                    "schemas": {
                        "sales": {"grants": {"platform-automation": ["MODIFY", "CREATE_TABLE"]}},
                        "backup": {"grants": {"bot": ["CREATE_TABLE"]}},
                        "readonly": {},
                    },
                },
                {"name": "hidden", "schemas": {"deep": {"grants": {"bot": ["SELECT"]}}}},
            ],
            "tables": [
                {
                    "name": "shop.sales.orders",
                    "age_days": 2,
                    "columns": ORDERS,
                    "rows": 50,
                    "properties": {"delta.constraints.plus": "amount >= 0"},
                },
                {
                    "name": "shop.sales.parts",
                    "age_days": 2,
                    "columns": ORDERS,
                    "rows": 30,
                    "partitioned_by": ["country"],
                },
                {
                    "name": "shop.sales.written",
                    "age_days": 2,
                    "columns": SMALL,
                    "rows": 10,
                    "grows": 4,
                    "newer": {"from": 17, "features": ["typeWidening", "rowTracking"]},
                },
                {"name": "shop.sales.stock", "age_days": 2, "columns": SMALL, "rows": 10, "mode": "overwrite"},
                {"name": "shop.sales.tended", "age_days": 2, "columns": SMALL, "rows": 10, "optimized": True},
                {"name": "shop.sales.slow", "columns": SMALL, "rows": 10, "slow": 60},
                {
                    "name": "shop.sales.vectors",
                    "age_days": 2,
                    "columns": SMALL,
                    "rows": 10,
                    "properties": {"delta.enableDeletionVectors": "true"},
                },
                {
                    "name": "shop.sales.view",
                    "view": "SELECT country, count(*) AS n FROM shop.sales.orders GROUP BY country",
                },
                {"name": "shop.sales.live", "columns": SMALL, "rows": 5, "type": "STREAMING_TABLE"},
                {"name": "shop.sales.material", "columns": SMALL, "rows": 5, "type": "MATERIALIZED_VIEW"},
                {"name": "shop.readonly.prices", "columns": SMALL, "rows": 5},
                {"name": "hidden.deep.secret", "columns": SMALL, "rows": 5},
            ],
            "metastore_grants": {"bot": ["CREATE_EXTERNAL_LOCATION"]},
            "credentials": [
                {"name": "good", "grants": {"bot": ["CREATE_EXTERNAL_LOCATION"]}},
                {
                    "name": "bad",
                    "grants": {"bot": ["CREATE_EXTERNAL_LOCATION"]},
                    "results": {"WRITE": "FAIL", "DELETE": "SKIP"},
                },
                {"name": "foreign"},
                {"name": "service", "purpose": "SERVICE", "grants": {"bot": ["ACCESS"]}},
                {"name": "broken", "purpose": "SERVICE", "grants": {"bot": ["ACCESS"]}, "results": {"ASSUME": "FAIL"}},
            ],
            "external_locations": [
                {"name": "landing", "url": "s3://landing/in", "credential": "good", "grants": {"bot": ["READ_FILES"]}},
                {
                    "name": "reference",
                    "url": "s3://reference",
                    "credential": "bad",
                    "read_only": True,
                    "grants": {"bot": ["READ_FILES"]},
                },
            ],
        },
        "prod": {
            "warehouses": [{"name": "main", "id": "wh-prod"}],
            "catalogs": [{"name": "prod", "grants": {"bot": ["ALL_PRIVILEGES"]}}],
        },
    },
}


@pytest.fixture
def data() -> dict[str, Any]:
    """The content of the fleet, for a second server."""
    return DATA


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    """A fresh one with these tables, its calendar stopped on a Monday at 08:00."""
    with running(DATA) as found:
        yield found


Run = Callable[..., StatementResponse]


@pytest.fixture
def run(w: WorkspaceClient) -> Run:
    """Sends a statement; keyword arguments are its parameters (text, or text and type)."""

    def sent(text: str, warehouse: str = "wh-main", **parameters: Any) -> StatementResponse:
        given = [
            StatementParameterListItem(name=name, value=value[0], type=value[1])
            if isinstance(value, tuple)
            else StatementParameterListItem(name=name, value=value)
            for name, value in parameters.items()
        ]
        return w.statement_execution.execute_statement(
            text, warehouse, catalog="shop", schema="sales", parameters=given or None, wait_timeout="50s"
        )

    return sent


@pytest.fixture
def rows(run: Run) -> Callable[..., list[list[Any]]]:
    """The rows of a statement that must succeed."""

    def found(text: str, **parameters: Any) -> list[list[Any]]:
        answer = run(text, **parameters)
        assert answer.status
        assert answer.status.state is StatementState.SUCCEEDED, answer.status.error
        return (answer.result and answer.result.data_array) or []

    return found


@pytest.fixture
def failure(run: Run) -> Callable[..., str]:
    """The message of a statement that must fail (with HTTP 200)."""

    def found(text: str, **parameters: Any) -> str:
        answer = run(text, **parameters)
        assert answer.status
        assert answer.status.state is StatementState.FAILED
        assert answer.status.error
        assert answer.status.error.message
        return answer.status.error.message

    return found


@pytest.fixture
def table(rows: Callable[..., list[list[Any]]], run: Run) -> Callable[[str], dict[str, Any]]:
    """DESCRIBE DETAIL of a table, by column."""

    def found(name: str) -> dict[str, Any]:
        answer = run(f"DESCRIBE DETAIL {name}")
        assert answer.manifest
        assert answer.manifest.schema
        assert answer.result
        assert answer.result.data_array
        names = [column.name for column in answer.manifest.schema.columns or []]
        return dict(zip(names, answer.result.data_array[0], strict=True))  # type: ignore[arg-type]

    return found


@pytest.fixture
def run_job(
    dev: Workspace, databricks: Databricks, w: WorkspaceClient, job: Callable[[str], int]
) -> Callable[[str], None]:
    """Runs a job to its end, on the calendar."""

    def done(name: str) -> None:
        w.jobs.run_now(job(name))
        databricks.step(3600)
        w.current_user.me()  # any request lets happen what was due

    return done
