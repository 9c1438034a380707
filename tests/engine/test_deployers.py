"""A look asks the audit log for the tools of the last changes, now and then, and goes on without it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine import discover
from storage import managed
from storage.models import Workspace
from tests.engine.harness import World, world

TERRAFORM = "databricks-tf-provider/1.80.0 terraform/1.9.5"
SPEC = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}


def fleet(**more: Any) -> dict[str, Any]:
    dev = {"jobs": [{"name": "nightly", "compute": "small"}], "warehouses": [{"name": "main", "id": "wh"}], **more}
    return {"seed": 1, "templates": {"job_clusters": {"small": SPEC}}, "workspaces": {"dev": dev, "prod": {}}}


def asked_at(made: World) -> Any:
    with made.database.read() as session:
        return session.execute(select(Workspace.deployers_at).where(Workspace.key == "dev")).scalar_one()


def read(made: World, later_than: Any = None) -> None:
    """Look until the log was read: a statement may take longer than a look waits for it."""

    def done() -> bool:
        at = asked_at(made)
        if at is not None and (later_than is None or at > later_than):
            return True
        made.look_again()
        return False

    made.wait(done, "the audit log was read", 120)


def stop(made: World) -> None:
    """Nobody may read the log any more."""
    made.databricks.workspaces["dev"].shelf("audit").clear()


def test_what_the_log_says_is_known_asked_for_again_after_half_a_day_and_forgotten_when_it_cannot_be_read(
    migrated_sqlite_url: str, tmp_path: Path
) -> None:
    audit = [{"job": "nightly", "user_agent": TERRAFORM}]
    with world(migrated_sqlite_url, tmp_path, fleet(audit=audit)) as made:
        made.engine()
        read(made)
        with made.database.read() as session:
            found = managed.perhaps(session, made.rollout_id(), "first")
        assert found == [("Terraform: by the audit log it made the last change", ["nightly (job, dev)"])]
        first = asked_at(made)
        made.look_again()
        made.looked_again()
        assert asked_at(made) == first
        made.step((discover.DEPLOYERS_EVERY + timedelta(minutes=1)).total_seconds())
        read(made, first)
        stop(made)
        made.step((discover.DEPLOYERS_EVERY + timedelta(minutes=1)).total_seconds())
        made.look_again()
        made.wait(lambda: asked_at(made) is None, "the log is known to be unreadable")
        with made.database.read() as session:
            assert managed.perhaps(session, made.rollout_id(), "first") == []


@pytest.mark.parametrize("more", [{}, {"audit": [], "warehouses": []}])
def test_without_a_log_or_a_warehouse_nothing_is_claimed(
    migrated_sqlite_url: str, tmp_path: Path, more: dict[str, Any]
) -> None:
    with world(migrated_sqlite_url, tmp_path, fleet(**more)) as made:
        made.engine()
        made.looked()
        made.look_again()
        made.looked_again()
        assert asked_at(made) is None
        with made.database.read() as session:
            assert managed.perhaps(session, made.rollout_id(), "first") == []
