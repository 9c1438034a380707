"""How much a rollout of the large fleet says in fourteen days: counted in Slack, day by day."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.story.driving import ROOT, Sandbox, sandbox
from tests.story.test_five_stages import SIGNERS, approve, open_window, start

pytestmark = pytest.mark.soak

#: Day of the rollout -> the stage that is started on its morning (the days of the spec).
BEGINS = {1: "dev", 3: "test", 6: "staging", 8: "canary", 11: "full"}
DAYS = 14
PEOPLE = ("developer", "tech-lead", "qa", "devops", "devops-2", "product-owner", "on-call")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    directory: Path = tmp_path_factory.mktemp("noise")
    with sandbox(directory, "--fleet", "large", speed=60) as made:
        names = often(made)
        text = (ROOT / "sandbox" / "plan.yml").read_text()
        text = re.sub(
            r"names: \[orders-hourly, clickstream-hourly, inventory-sync\]", f"names: [{', '.join(names)}]", text
        )
        assert names[0] in text
        (directory / "plan.yml").write_text(text)
        made.settings["ROLLOUT_PLANS"] = str(directory / "plan.yml")
        made.start_bot()
        yield made


def often(world: Sandbox) -> list[str]:
    """Three production jobs on the old runtime that run every hour."""
    found = []
    for (workspace, kind, name), target in sorted(world.fleet().items()):
        settings = target["configuration"].get("settings") or {}
        cron = (settings.get("schedule") or {}).get("quartz_cron_expression", "")
        clusters = settings.get("job_clusters") or [{}]
        version = str(clusters[0].get("new_cluster", {}).get("spark_version", ""))
        plain = "policy_id" not in clusters[0].get("new_cluster", {})
        if (
            workspace == "prod"
            and kind == "job"
            and cron.endswith("* * * ?")
            and version == "13.3.x-scala2.12"
            and plain
        ):
            found.append(name)
    assert len(found) >= 3
    return found[:3]


@dataclass
class Heard:
    """What was said: the messages seen so far, by their ids."""

    world: Sandbox
    seen: set[tuple[str, str]] = field(default_factory=set)

    def channel(self) -> list[dict[str, Any]]:
        """The bot's messages in the channel that are new; what only stands in a thread is none of the channel's."""
        return self._new("C0SUPPORT1", self.world.get("messages?as=devops&channel=C0SUPPORT1")["messages"])

    def direct(self) -> Counter[str]:
        """Person -> new direct messages."""
        found: Counter[str] = Counter()
        for person in PEOPLE:
            channel = self.world.get(f"state?as={person}")["me"]["dm"]
            messages = self.world.get(f"messages?as={person}&channel={channel}")["messages"]
            found[person] = len(self._new(channel, messages))
        return found

    def _new(self, channel: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        fresh = [m for m in messages if m["bot"] and not m["ephemeral"] and (channel, m["ts"]) not in self.seen]
        self.seen |= {(channel, m["ts"]) for m in fresh}
        return fresh


def now(world: Sandbox) -> datetime:
    return datetime.fromisoformat(world.get("clock")["now"])


def quiet(world: Sandbox) -> None:
    """Until the bot has said all it had to say."""
    world.until(
        lambda: (
            world.query("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending', 'unknown')")[0][0] == 0
            and world.query("SELECT count(*) FROM card WHERE wanted > shown")[0][0] == 0
        ),
        "everything to be said",
    )


def pass_to(world: Sandbox, moment: datetime) -> None:
    """Let the time pass by hours, each with what it brings."""
    while (left := (moment - now(world)).total_seconds()) > 0:
        world.step(min(3600.0, left))
        if (hour := now(world)).hour == 9:
            world.until(partial(has_summary, world, hour), "the daily summary")
    world.until(partial(has_baked, world), "bakes to end that are over", 120)
    quiet(world)


def has_summary(world: Sandbox, hour: datetime) -> bool:
    daily = f"{hour:%Y-%m-%dT%H}:00%"
    return bool(world.query("SELECT count(*) FROM fence WHERE job = 'daily' AND period LIKE ?", daily)[0][0])


def has_baked(world: Sandbox) -> bool:
    over = now(world).astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    return not world.query("SELECT count(*) FROM stage WHERE state = 'baking' AND bake_until < ?", over)[0][0]


def worse(world: Sandbox) -> int:
    """How often people were told that a baking stage's runs got worse: a day on which that happens is no quiet one."""
    return int(world.query("SELECT count(*) FROM outbox WHERE kind = 'bake_worse'")[0][0])


def test_a_rollout_of_the_large_fleet_stays_quiet(world: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard(world)
    first = now(world)
    table, told_worse = [], 0
    for day in range(1, DAYS + 1):
        morning = (first + timedelta(days=day)).replace(hour=7, minute=30, second=0, microsecond=0)
        pass_to(world, morning)
        stage = BEGINS.get(day)
        acted = ""
        review = world.query("SELECT key FROM stage WHERE state = 'review'")
        if review and review[0][0]:
            approve(world, str(review[0][0]))
            acted = f"{review[0][0]} signed"
        if stage is not None:
            if stage == "canary":
                for person in ("tech-lead", "devops"):
                    world.say(person, "/rollout checklist canary")
                    world.say(person, "--click", "Mark done")
                    world.say(person, "--submit", "Items=*")
            if stage == "full":
                open_window(world)
            start(world, stage)
            world.until_stage(stage, "baking", "review", seconds=600)
            acted = f"{acted}, {stage} started".strip(", ")
        pass_to(world, morning + timedelta(hours=23))
        said, direct = heard.channel(), heard.direct()
        if worse(world) > told_worse:
            told_worse = worse(world)
            acted = f"{acted}, runs got worse".strip(", ")
        table.append((day, acted, len(said), direct))
        assert max(direct.values(), default=0) <= 1, (day, direct)
        if not acted:
            assert len(said) <= 2, [m.get("text") for m in said]
    passed = [s for s in SIGNERS if world.state_of(s) == "passed"]
    assert passed == list(SIGNERS)
    with capsys.disabled():
        print("\nday  posts in the channel  direct messages  what happened")
        for day, acted, posts, direct in table:
            print(f"{day:>3}  {posts:>20}  {sum(direct.values()):>15}  {acted or '-'}")
