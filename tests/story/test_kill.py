"""The bot is killed at random moments of a stage and started again: nothing is lost, nothing is done twice."""

import json
import random
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.story.driving import Sandbox, sandbox

PLAN = """
key: kill
title: Killed at every moment
runtimes: {source: "13.3", target: "17.3"}
workspaces: [dev]
channel: C0SUPPORT1
roles:
  developer: {title: Developer, members: [U0SAND0001]}
  devops: {title: DevOps, members: [U0SAND0004, U0SAND0005]}
capabilities: {start: [devops], rollback: [devops], pause: [devops]}
stages:
  - {key: dev, title: Development, targets: {workspaces: [dev]}, sign_offs: {developer: 1}, max_parallel: 4}
"""
PLAIN = {"spark_version": "13.3.x-scala2.12", "node_type_id": "i3.xlarge", "num_workers": 1}
STEADY = {"autotermination_minutes": 0, **PLAIN}


def fleet(clusters: int, jobs: int) -> dict[str, Any]:
    """Half of the clusters run; every job has a cluster of its own."""
    return {
        "seed": 11,
        "templates": {"job_clusters": {"small": PLAIN}},
        "workspaces": {
            "dev": {
                "clusters": [
                    {"name": f"c{n:02}", "state": ("RUNNING", "TERMINATED")[n % 2], **STEADY} for n in range(clusters)
                ],
                "jobs": [
                    {"name": f"j{n:02}", "cron": "0 0 3 * * ?", "compute": "small", "minutes": 5} for n in range(jobs)
                ],
            }
        },
    }  # fmt: skip


def prepare(directory: Path, clusters: int, jobs: int) -> tuple[str, str]:
    """The fleet file and the plan file."""
    (directory / "fleet.yml").write_text(yaml.safe_dump(fleet(clusters, jobs)))
    (directory / "plan.yml").write_text(PLAN)
    return str(directory / "fleet.yml"), str(directory / "plan.yml")


def slow_down(world: Sandbox, seconds: float) -> None:
    """Make every call of the workspace slow, so that a kill hits calls in flight."""
    host = next(v for k, v in world.settings.items() if k.startswith("DATABRICKS_") and k.endswith("_HOST"))
    body = json.dumps({"path": "/api/2.*", "kind": "slow", "rate": 1.0, "seconds": seconds}).encode()
    request = urllib.request.Request(f"{host}/sandbox/faults", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


def backups(world: Sandbox) -> dict[tuple[int, int], tuple[int, bytes]]:
    rows = world.query("SELECT target_id, generation, id, ciphertext FROM backup")
    return {(target, generation): (number, text) for target, generation, number, text in rows}


def writes(world: Sandbox) -> dict[str, int]:
    """Edits that got through, per target, by the platform's own log."""
    found: dict[str, int] = {}
    for call in world.admin("calls?since=0")["calls"]:
        if (
            call["path"].endswith(("clusters/update", "clusters/edit", "jobs/update", "jobs/reset"))
            and call["status"] == 200
        ):
            found[call["target"]] = found.get(call["target"], 0) + 1
    return found


def kill_at_random(directory: Path, kills: int, clusters: int, jobs: int, seed: int) -> None:
    """Start the stage, kill and restart the bot ``kills`` times while it runs, and compare the end with the aim."""
    chance = random.Random(seed)
    files = prepare(directory, clusters, jobs)
    quick = {"ROLLOUT_PLANS": files[1], "ROLLOUT_HTTP_TIMEOUT": "2", "ROLLOUT_SETTLE": "0.3"}
    with sandbox(directory, "--fleet", files[0], speed=600, settings=quick) as world:
        world.start_bot()
        before = world.fleet()
        slow_down(world, 0.25)
        world.say("devops", "/rollout start dev")
        world.say("devops", "--click", "Start dev")
        first_backups: dict[tuple[int, int], tuple[int, bytes]] = {}
        done = 0
        while done < kills and world.state_of("dev") in {"preparing", "upgrading", "validating"}:
            time.sleep(chance.uniform(0.05, 2.0))
            world.kill_bot()
            done += 1
            for key, stored in backups(world).items():
                assert first_backups.setdefault(key, stored) == stored, "a backup was overwritten"
            world.start_bot(wait=False)
            world.until(world.connected, "the bot to be back")
        assert done == kills, f"the stage ended after {done} kills: make the fleet larger"
        world.until_stage("dev", "review", seconds=180)
        after = world.fleet()
        for key, target in after.items():
            assert target["runtime"] == "17.3.x-scala2.13", key
            assert target["state"] in (before[key]["state"], "PENDING", "RUNNING"), key
        assert set(writes(world).values()) == {1}, "a target was written to twice"
        assert len(writes(world)) == clusters + jobs
        for key, stored in backups(world).items():
            assert first_backups.setdefault(key, stored) == stored, "a backup was overwritten"
        assert len(backups(world)) == clusters + jobs
        assert world.query("SELECT count(*) FROM action WHERE state NOT IN ('done')") == [(0,)]
        cards = [m for m in world.get("messages?as=developer&channel=platform-support")["messages"] if m["metadata"]]
        assert len({m["ts"] for m in cards}) == 1, "one stage has one card"


@pytest.mark.soak
def test_three_kills_in_one_stage_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, kills=3, clusters=10, jobs=10, seed=1)


@pytest.mark.soak
def test_twenty_kills_in_one_stage_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, kills=20, clusters=60, jobs=60, seed=2)
