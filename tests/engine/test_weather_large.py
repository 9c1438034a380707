"""The large fleet, with its policies and pools, forward and back while every fourth call goes wrong."""

import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from rollout.states import ActionKind, ActionState, StageState
from storage.models import Action, Target
from tests.engine.weather import NEW, OLD, Ledger, Weathered, as_backed_up, configurations, faults, weathered

FLEET = "large:2000+300"


def changed(made: Weathered) -> Counter[str]:
    """What the stage holds: how many of each kind."""
    with made.database.read() as session:
        held = select(Target.kind).join(Action, Action.target_id == Target.id).where(Action.kind == ActionKind.CHANGE)
        return Counter(session.execute(held).scalars())


def pools(made: Weathered) -> Counter[tuple[str, str]]:
    """The pools by workspace and name."""
    return Counter(
        (ws.key, str(pool["instance_pool_name"]))
        for ws in made.databricks.workspaces.values()
        for pool in ws.shelf("pools").values()
    )


@pytest.mark.soak
@pytest.mark.longest
def test_the_large_fleet_goes_forward_and_back_through_bad_weather(migrated_sqlite_url: str, tmp_path: Path) -> None:
    with weathered(migrated_sqlite_url, tmp_path, FLEET) as made:
        before = configurations(made.databricks)
        old_pools = pools(made)
        ledger = Ledger(made.databricks)
        faults(made.databricks)
        began = time.monotonic()
        made.start("all")
        made.through(StageState.REVIEW, ActionKind.CHANGE, NEW, 1500)
        print(f"forward in {time.monotonic() - began:.0f} s", made.databricks.calls.next, "calls", changed(made))
        assert {a.state for a in made.actions("all")} == {ActionState.DONE}
        assert changed(made)["job"] > 1500
        assert changed(made)["cluster"] > 200
        print(Counter(ledger.changed.values()), ledger.idle, pools(made) - old_pools)
        ledger.turn()
        began = time.monotonic()
        made.roll_back("all")
        made.through(StageState.ROLLED_BACK, ActionKind.REVERT, OLD, 1500)
        print(f"back in {time.monotonic() - began:.0f} s", {f.kind: f.hits for f in made.databricks.faults.rules})
        assert made.stage("all").block_code is None, made.bad()
        print(Counter(ledger.changed.values()), ledger.idle, pools(made) - old_pools)
        now = configurations(made.databricks)
        assert {k: (v, now[k]) for k, v in before.items() if now[k] != v} == {}
        made.databricks.faults.clear()
        made.databricks.lag.clear()
        backups, different = as_backed_up(made)
        assert different == {}
        print(backups)
