"""Three hundred targets forward and back while every fourth call goes wrong in one way or another."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rollout.states import ActionKind, ActionState, StageState
from tests.engine.weather import NEW, Ledger, Weathered, as_backed_up, configurations, faults, weathered

WORKSPACES = ("dev", "test", "int", "stage", "prod", "lab")
EACH = 25  # clusters, and as many jobs, in each workspace
POLICY = "AAAA00000000000{}"
OLD_KEY = "13.3.x-scala2.12"
DEFINITION = f'{{"spark_version": {{"type":"fixed", "value":"{OLD_KEY}"}}}}'
PLAIN = {"spark_version": OLD_KEY, "node_type_id": "i3.xlarge", "num_workers": 1}


def fleet() -> dict[str, Any]:
    """Half of the clusters run; a policy pins every fifth target."""
    made: dict[str, Any] = {"seed": 31, "templates": {"job_clusters": {"plain": PLAIN}}, "workspaces": {}}
    for place, key in enumerate(WORKSPACES):
        policy = POLICY.format(place)
        made["templates"]["job_clusters"][f"governed-{key}"] = {**PLAIN, "policy_id": policy}
        governed = {"policy_id": policy}
        made["workspaces"][key] = {
            "policies": [
                {"policy_id": policy, "name": "etl", "definition": DEFINITION}
            ],
            "clusters": [
                {"name": f"{key}-c{n}", "state": ("RUNNING", "TERMINATED")[n % 2], "autotermination_minutes": 0,
                 **PLAIN, **(governed if n % 5 == 0 else {})}
                for n in range(EACH)
            ],
            "jobs": [
                {"name": f"{key}-j{n}", "tasks": ["load", "mart"],
                 "compute": f"governed-{key}" if n % 5 == 0 else "plain"}
                for n in range(EACH)
            ],
        }  # fmt: skip
    return made


def forward(made: Weathered, ledger: Ledger, seconds: float) -> None:
    """Start the stage, and see that every target was changed once and each running cluster came up once."""
    up = {f"{ws.key} {c.cluster_id}" for ws in made.databricks.workspaces.values() for c in ws.clusters.values()
          if c.state == "RUNNING"}  # fmt: skip
    made.start("all")
    made.through(StageState.REVIEW, ActionKind.CHANGE, NEW, seconds)
    assert set(ledger.changed.values()) == {1}
    assert len(ledger.changed) == len(WORKSPACES) * (2 * EACH + 1)
    assert not ledger.idle
    assert ledger.came_up == Counter(up)


@pytest.fixture(scope="module")
def undisturbed(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], dict[str, str]]:
    """How everything is configured before a stage, and after one in fine weather."""
    home = tmp_path_factory.mktemp("undisturbed")
    (home / "rollout.db").write_bytes(sqlite_template.read_bytes())
    with weathered(f"sqlite:///{home / 'rollout.db'}", home, fleet()) as made:
        before = configurations(made.databricks)
        forward(made, Ledger(made.databricks), 300)
        return before, configurations(made.databricks)


@pytest.mark.soak
def test_three_hundred_targets_go_forward_and_back_through_bad_weather(
    migrated_url: str, tmp_path: Path, undisturbed: tuple[dict[str, str], dict[str, str]]
) -> None:
    before, after = undisturbed
    with weathered(migrated_url, tmp_path, fleet()) as made:
        assert configurations(made.databricks) == before
        ledger = Ledger(made.databricks)
        faults(made.databricks)
        began = time.monotonic()
        forward(made, ledger, 900)
        print(f"forward in {time.monotonic() - began:.0f} s", made.databricks.calls.next, "calls")
        assert configurations(made.databricks) == after
        assert {a.state for a in made.actions("all")} == {ActionState.DONE}
        made.back(ledger, 900)
        assert configurations(made.databricks) == before
        made.clear_up()
        assert as_backed_up(made) == (len(WORKSPACES) * (2 * EACH + 1), {})
