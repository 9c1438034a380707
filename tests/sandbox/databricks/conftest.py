"""A local Databricks with a small fleet, on real sockets, and real SDK clients. Time is stepped, never awaited."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from sandbox.databricks.workspace import Workspace
from sandbox.fleets import short_form

STANDARD = {
    "spark_version": "13.3.x-scala2.12",
    "node_type_id": "i3.xlarge",
    "num_workers": 2,
    "data_security_mode": "USER_ISOLATION",
}
TINY: dict[str, Any] = {
    "seed": 3,
    "templates": {
        "clusters": {"standard": STANDARD},
        "job_clusters": {"small": {**STANDARD, "data_security_mode": "SINGLE_USER"}},
    },
    "workspaces": {
        "dev": {
            "pools": [{"instance_pool_id": "pool-1", "node_type_id": "i3.2xlarge"}],
            "clusters": [
                {"name": "running", "like": "standard", "state": "RUNNING", "spark_conf": {"a": "b"}},
                {"name": "stopped", "like": "standard", "state": "TERMINATED"},
                {"name": "shared", "like": "standard", "state": "RUNNING"},
                {"name": "idle", "like": "standard", "state": "RUNNING", "autotermination_minutes": 30},
                {"name": "growing", "like": "standard", "state": "RESIZING"},
                {"name": "leaving", "like": "standard", "state": "TERMINATING"},
                {"name": "arriving", "like": "standard", "state": "PENDING"},
                {"name": "coming-back", "like": "standard", "state": "RESTARTING"},
                {
                    "name": "made-by-pipeline",
                    "state": "RUNNING",
                    "source": "PIPELINE",
                    "spark_version": "dlt:17.3.4-delta",
                    "node_type_id": "i3.xlarge",
                    "num_workers": 1,
                },
                {"name": "pooled", "like": "standard", "node_type_id": None, "instance_pool_id": "pool-1"},
                {"name": "photon", "like": "standard", "spark_version": "13.3.x-photon-scala2.12"},
                {"name": "view-only", "like": "standard", "state": "RUNNING", "permission": "CAN_ATTACH_TO"},
            ],
            "jobs": [
                {"name": "hourly", "cron": "0 5 * * * ?", "compute": "small", "tasks": ["one", "two"], "failure": 0},
                {"name": "on-shared", "cron": "0 30 3 * * ?", "compute": "@shared", "minutes": 30, "failure": 0},
                {"name": "manual", "compute": "small", "tasks": ["only"], "minutes": 20, "failure": 0},
                {"name": "view-only", "compute": "small", "permission": "CAN_VIEW"},
            ],
        },
        "prod": {"clusters": [{"name": "running", "like": "standard", "state": "RUNNING"}], "jobs": []},
    },
}


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    """A fresh one with the tiny fleet, its calendar stopped on a Monday at 08:00."""
    with running(TINY) as found:
        yield found


@pytest.fixture
def dev(databricks: Databricks) -> Workspace:
    """Its first workspace."""
    return databricks.workspaces["dev"]


@pytest.fixture
def connect() -> Callable[..., WorkspaceClient]:
    """Makes a real SDK client for a workspace, with its token or with other credentials."""

    def connected(ws: Workspace, **more: Any) -> WorkspaceClient:
        return WorkspaceClient(host=ws.host, **(more or {"token": ws.token}))

    return connected


@pytest.fixture
def w(dev: Workspace, connect: Callable[..., WorkspaceClient]) -> WorkspaceClient:
    """A real SDK client for the first workspace."""
    return connect(dev)


@pytest.fixture
def cluster() -> Callable[[str], str]:
    """The id of a cluster of the fleet by its name."""
    return lambda name: short_form.cluster_id("dev", name)


@pytest.fixture
def job() -> Callable[[str], int]:
    """The id of a job of the fleet by its name."""
    return lambda name: short_form.job_id("dev", name)


@pytest.fixture
def kinds(w: WorkspaceClient) -> Callable[[str], list[str]]:
    """The types of a cluster's events, oldest first."""

    def found(cluster_id: str) -> list[str]:
        body = {"cluster_id": cluster_id, "order": "ASC", "page_size": 500}
        answer: Any = w.api_client.do("POST", "/api/2.1/clusters/events", body=body)
        return [event["type"] for event in answer["events"]]

    return found


@pytest.fixture
def tiny() -> dict[str, Any]:
    """The content of the tiny fleet, for a second server."""
    return TINY
