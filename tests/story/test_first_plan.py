"""A proposed plan, filled in, carries its first stage: the round trip of the first day."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks import CHECKS
from planning import load_plan, new
from rollout.states import ItemState, StageState
from sandbox.databricks.server import running
from storage.database import Database
from storage.models import Item, KnownPerson
from tests.engine.harness import World
from workspace.access import access
from workspace.client import Client

FLEET: dict[str, Any] = {
    "seed": 7,
    "workspaces": {
        "dev": {
            "clusters": [{"name": "shared", "like": "standard", "state": "RUNNING", "age_days": 3}],
            "jobs": [{"name": "nightly", "compute": "small", "minutes": 4}],
        },
        "prod": {
            "clusters": [{"name": "bi", "like": "standard", "state": "TERMINATED", "age_days": 3}],
            "jobs": [{"name": "hourly *", "cron": "0 5 * * * ?", "compute": "small", "minutes": 4}],
        },
    },
    "templates": {
        "clusters": {"standard": {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 2}},
        "job_clusters": {"small": {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}},
    },
}
PEOPLE = ["U0DEV00001", "U0LEAD0001", "U0QA000001", "U0OPS00001", "U0OPS00002", "U0OWNER001", "U0CALL0001"]


def test_a_plan_that_was_proposed_and_filled_in_carries_its_first_stage(migrated_url: str, tmp_path: Path) -> None:
    clock, file = tmp_path / "clock.json", tmp_path / "plan.yml"
    with running(FLEET, clock_path=clock) as databricks:
        clients = {
            key: Client(access(ws.host, token=ws.token), read_only=True) for key, ws in databricks.workspaces.items()
        }
        now = datetime.fromtimestamp(databricks.now() / 1000, UTC)
        assert new(clients, now, file, force=False) == 0
        people = iter(PEOPLE)
        text = re.sub(r"U0FILLMEIN\d\d", lambda _: next(people), file.read_text())
        file.write_text(text.replace("C0FILLMEIN", "C0TEST0001"))
        plan = load_plan(file, CHECKS)
        assert [s.key for s in plan.stages] == ["dev", "canary", "full"]
        database = Database(migrated_url)
        world = World(database, databricks, clock, plan)
        try:
            with database.write() as session:
                for user in {*PEOPLE} - {"U0OPS00001", "U0LEAD0001", "U0QA000001"}:
                    known = {"team_id": "T0TEST", "available": True, "checked_at": datetime.now(UTC)}
                    session.add(KnownPerson(user_id=user, **known))
                for item in plan.checklist:
                    done = {"state": ItemState.DONE, "by": "U0LEAD0001", "at": now}
                    session.add(Item(rollout_id=1, key=item.key, **done))
            world.engine()
            world.looked()
            assert {t.name for t in world.targets("canary")} == {"hourly *"}
            assert {t.name for t in world.targets("full")} == {"bi"}
            world.start("dev")
            world.until("dev", StageState.REVIEW)
            assert world.raw("dev", "cluster", "shared")["spark_version"] == "17.3.x-scala2.13"
            assert world.raw("prod", "cluster", "bi")["spark_version"] == "13.3.x-scala2.12"
        finally:
            world.stop()
            database.close()
