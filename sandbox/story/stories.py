"""The stories themselves. Each is told by the bot's own commands, with the people and stages of the sample plan."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.story.player import Player

QUICK = 600.0
"""Calendar seconds in a second while people wait for clusters to come up."""
CALM = 60.0
HOUR = 3600.0


def fresh(player: Player) -> None:
    """A Monday morning on which nothing was done yet."""


def canary_night(player: Player) -> None:
    """Two in the morning: canary went to production in the evening, and bakes."""
    _until_canary(player)
    player.run_at(CALM)
    player.says("devops", "canary runs on 17.3 and bakes until tomorrow evening. Good night, everybody.")
    for hour in (20, 21, 22, 23, 0, 1, 2):
        player.skip_to(hour)
        player.look(CALM)
    player.run_at(0)  # whoever looks at the story finds this hour, however slow the machine is
    player.tell("canary baked through the evening; it is two in the morning")
    player.says("on-call", "Still awake. Let me see how canary is doing.")
    player.does("on-call", "/rollout status canary")
    player.does("devops", "/rollout status canary")


def rollback(player: Player) -> None:
    """The middle of the morning: production was on its way to 17.3 when on-call took it back."""
    _until_canary(player)
    player.skip(24 * HOUR)
    player.until("canary", "review")
    player.approve("canary", "tech-lead", "qa", "product-owner")
    player.skip_to(9)
    player.run_at(CALM)
    before = player.runtimes("prod")
    player.weather(kind="slow", path="/api/2.*", seconds=0.4)  # so that the morning is caught in the middle
    player.starts("full")
    player.until_moved("prod", before, 6)
    player.tell("full is on its way: the first targets of production run on 17.3")
    player.says("on-call", "The dashboards of finance are red since a quarter past nine. I take production back.")
    player.does("on-call", "/rollout rollback full", "Roll back full")
    player.weather()
    player.until("full", "rolled_back")
    player.tell("on-call rolled full back; the stages before it stay on 17.3")


def _until_canary(player: Player) -> None:
    """A Monday: dev, test and staging pass, and canary bakes from seven in the evening on."""
    player.run_at(QUICK)
    player.says("devops", "We begin with dev.")
    _pass(player, "dev", "developer")
    _pass(player, "test", "qa")
    player.starts("staging")
    player.until("staging", "baking")
    player.skip(2 * HOUR)
    player.until("staging", "review")
    player.approve("staging", "qa", "tech-lead")
    for person in ("tech-lead", "devops"):
        player.does(person, "/rollout checklist canary", "Mark done")
        player.fills(person, Items="*")
    player.tell("the checklist of canary is done")
    player.skip_to(19)
    player.starts("canary")
    player.until("canary", "baking")
    player.tell("canary is upgraded and bakes for 24 hours")


def _pass(player: Player, stage: str, signer: str) -> None:
    player.starts(stage)
    player.until(stage, "review")
    player.approve(stage, signer)


STORIES: dict[str, Callable[[Player], None]] = {"fresh": fresh, "canary-night": canary_night, "rollback": rollback}


def play(name: str, player: Player) -> None:
    """Tell one story to its end. Raises Trouble with what stood in the way, KeyError for an unknown name."""
    began = time.monotonic()
    STORIES[name](player)
    player.leave()
    player.tell(f"the story {name} stands after {time.monotonic() - began:.0f} s")
