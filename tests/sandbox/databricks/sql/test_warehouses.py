"""SQL warehouses on the calendar."""

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.sql import State

from sandbox.databricks.databricks import Databricks


@pytest.mark.conforms("warehouses")
def test_warehouses_are_listed_started_and_stopped_on_the_calendar(w: WorkspaceClient, databricks: Databricks) -> None:
    assert [found.name for found in w.warehouses.list()] == ["main", "stopped", "classic", "slow"]
    assert w.warehouses.get("wh-main").state is State.RUNNING
    w.warehouses.start("wh-classic")
    assert w.warehouses.get("wh-classic").state is State.STARTING
    databricks.step(239)
    assert w.warehouses.get("wh-classic").state is State.STARTING
    databricks.step(1)
    running = w.warehouses.get("wh-classic")
    assert (running.state, running.num_clusters) == (State.RUNNING, 1)
    w.warehouses.start("wh-classic")
    assert w.warehouses.get("wh-classic").state is State.RUNNING
    w.warehouses.stop("wh-classic")
    assert w.warehouses.get("wh-classic").state is State.STOPPING
    databricks.step(30)
    assert w.warehouses.get("wh-classic").state is State.STOPPED
    w.warehouses.stop("wh-classic")
    assert w.warehouses.get("wh-classic").state is State.STOPPED


@pytest.mark.conforms("warehouses-stop-by-themselves")
def test_an_idle_warehouse_stops_by_itself(w: WorkspaceClient, databricks: Databricks) -> None:
    w.warehouses.start("wh-classic")
    databricks.step(240 + 9 * 60)
    assert w.warehouses.get("wh-classic").state is State.RUNNING
    w.statement_execution.execute_statement("SELECT 1", "wh-classic")
    databricks.step(9 * 60)
    assert w.warehouses.get("wh-classic").state is State.RUNNING
    databricks.step(60)
    assert w.warehouses.get("wh-classic").state is State.STOPPED


def test_unknown_and_closed_warehouses_are_refused(w: WorkspaceClient) -> None:
    with pytest.raises(NotFound):
        w.warehouses.get("nope")
    with pytest.raises(NotFound):
        w.warehouses.start("nope")
    with pytest.raises(PermissionDenied):
        w.warehouses.get("wh-closed")
