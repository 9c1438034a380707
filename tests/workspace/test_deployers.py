"""The tool of the last change, by the audit log: a hint where it can be read, and nothing where it cannot."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.databricks.databricks import Databricks
from sandbox.databricks.server import running
from workspace.access import access
from workspace.client import Client
from workspace.deployers import deployers

SPEC = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
BUNDLE = "cli/0.270.0 databricks-sdk-go/0.80 cmd/bundle_deploy auth/pat"
TERRAFORM = "databricks-tf-provider/1.80.0 databricks-sdk-go/0.80 terraform/1.9.5"
PERSON = "Mozilla/5.0"


def fleet(audit: list[dict[str, Any]] | None, warehouse: str = "RUNNING") -> dict[str, Any]:
    dev: dict[str, Any] = {
        "jobs": [{"name": name, "compute": "small"} for name in ("by-bundle", "by-terraform", "by-hand", "untold")],
        "clusters": [{"name": "etl", **SPEC, "data_security_mode": "SINGLE_USER", "state": "TERMINATED"}],
        "warehouses": [{"name": "main", "id": "wh", "state": warehouse}],
    }
    if audit is not None:
        dev["audit"] = audit
    return {"seed": 1, "templates": {"job_clusters": {"small": SPEC}}, "workspaces": {"dev": dev}}


TOLD = [
    {"job": "by-bundle", "user_agent": BUNDLE},
    {"job": "by-terraform", "user_agent": PERSON, "days_ago": 9},
    {"job": "by-terraform", "user_agent": TERRAFORM, "days_ago": 2},
    {"job": "by-hand", "user_agent": TERRAFORM, "days_ago": 9},
    {"job": "by-hand", "user_agent": PERSON, "days_ago": 2},
    {"cluster": "etl", "user_agent": TERRAFORM},
    {"cluster": "etl", "user_agent": "rollout-bot/0.1.0 databricks-sdk-py/0.156.0", "days_ago": 1},
]


@pytest.fixture
def databricks() -> Iterator[Databricks]:
    with running(fleet(TOLD)) as made:
        yield made


def client(databricks: Databricks, **more: Any) -> Client:
    dev = databricks.workspaces["dev"]
    return Client(access(host=dev.host, token=dev.token), **more)


def test_the_last_change_that_was_not_ours_names_its_tool(databricks: Databricks) -> None:
    dev = databricks.workspaces["dev"]
    ids = {job.name: str(job_id) for job_id, job in dev.jobs.items()}
    (cluster,) = dev.clusters
    assert deployers(client(databricks), SINCE) == {
        f"job/{ids['by-bundle']}": "a bundle",
        f"job/{ids['by-terraform']}": "Terraform",
        f"cluster/{cluster}": "Terraform",
    }


def test_changes_before_the_time_that_is_asked_for_do_not_count(databricks: Databricks) -> None:
    assert deployers(client(databricks), datetime(2100, 1, 1, tzinfo=UTC)) == {}


@pytest.mark.parametrize(("audit", "state"), [(None, "RUNNING"), (TOLD, "STOPPED"), (TOLD, "STOPPING")])
def test_a_log_that_cannot_be_read_says_nothing_and_starts_no_warehouse(
    audit: list[dict[str, Any]] | None, state: str
) -> None:
    with running(fleet(audit, state)) as databricks:
        assert deployers(client(databricks), SINCE) is None
        assert databricks.workspaces["dev"].shelf("statements") == {}


def test_a_bot_that_only_looks_sends_no_statement(databricks: Databricks) -> None:
    assert deployers(client(databricks, read_only=True), SINCE) is None
    assert databricks.workspaces["dev"].shelf("statements") == {}


def test_a_log_that_never_answers_is_left_in_peace(databricks: Databricks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workspace.deployers._TRIES", 2)
    monkeypatch.setattr("workspace.deployers._APART", 0.01)
    databricks.workspaces["dev"].shelf("warehouses")["wh"]["slow"] = 3600
    assert deployers(client(databricks), SINCE) is None
    assert [s["state"] for s in databricks.workspaces["dev"].shelf("statements").values()] == ["CANCELED"]
