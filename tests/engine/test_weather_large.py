"""The large fleet, with its policies and pools, forward and back while every fourth call goes wrong."""

import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from rollout.states import ActionKind, ActionState, StageState
from storage.models import Action, Target
from tests.engine.weather import NEW, Ledger, Weathered, as_backed_up, configurations, faults, weathered
from workspace.client import READ_BUDGET

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
    """The lists of a support's users have many pages: reads are tried again for as long as the bot really does."""
    with weathered(migrated_sqlite_url, tmp_path, FLEET, read_budget=READ_BUDGET) as made:
        before, old_pools = configurations(made.databricks), pools(made)
        ledger = Ledger(made.databricks)
        faults(made.databricks)
        began = time.monotonic()
        made.start("all")
        made.through(StageState.REVIEW, ActionKind.CHANGE, NEW, 1500)
        print(f"forward in {time.monotonic() - began:.0f} s", made.databricks.calls.next, "calls", changed(made))
        assert {a.state for a in made.actions("all")} == {ActionState.DONE}
        assert changed(made)["job"] > 1500
        assert changed(made)["cluster"] > 200
        assert set(ledger.changed.values()) == {1}
        assert not ledger.idle
        assert set(pools(made).values()) == {1}, "no pool was made twice"
        assert len(pools(made) - old_pools) == changed(made)["pool"]
        made.back(ledger, 1500)
        now = configurations(made.databricks)
        assert {key: (was, now[key]) for key, was in before.items() if now[key] != was} == {}
        made.clear_up()
        number, different = as_backed_up(made)
        assert different == {}
        assert number == changed(made).total()
