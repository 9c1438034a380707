"""A sender without its thread, driven by hand, over a rollout of two stages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.cardboard import Cardboard
from bot.clients import client
from bot.pace import Budget, Pace
from bot.sender import Sender
from sandbox.slack.server import Slack
from storage.database import Database
from storage.models import Card, Outbox
from storage.record import post, touch_card
from storage.transitions import lock_stage
from tests.bot.harness import NOW, SUPPORT, FakeDoor, open_rollout, plan


@dataclass
class Desk:
    """A sender without its thread, and what it works on. ``now`` is its monotonic clock."""

    slack: Slack
    database: Database
    door: FakeDoor
    rollout: int
    stages: list[int]
    sender: Sender
    now: list[float]

    def run(self, turns: int = 60) -> None:
        """Take turns until nothing is left to do."""
        for _ in range(turns):
            if not self.sender.turn():
                self.now[0] += 1.0
                if not self.sender.turn():
                    return

    def guard(self, internal: Callable[[str], bool]) -> None:
        """From now on that says whether a channel is our own."""
        self.sender._internal = self.sender._cardboard._internal = internal

    def post(self, key: str, kind: str = "daily_summary", stage: int | None = None, repeat: bool = False) -> None:
        with self.database.write() as session:
            post(session, NOW, key, kind, rollout_id=self.rollout, stage_id=stage, repeat=repeat, ids={"key": key})

    def touch(self, stage: int, final: bool = False) -> None:
        with self.database.write() as session:
            touch_card(session, lock_stage(session, stage), final)

    def letters(self) -> list[Outbox]:
        with self.database.read() as session:
            return list(session.query(Outbox).order_by(Outbox.id))

    def card(self, stage: int) -> Card:
        with self.database.read() as session:
            return session.query(Card).filter(Card.stage_id == stage).one()

    def seen(self, thread: str | None = None) -> list[dict[str, Any]]:
        more = {"thread": thread} if thread else {}
        found = self.slack.get("messages", **{"as": "qa", "channel": SUPPORT, **more})["messages"]
        return [m for m in found if m["bot"] and not m["ephemeral"]]


def desk(slack: Slack, database: Database, **paces: Any) -> Desk:
    """Everything a sender needs, over a rollout of two stages."""
    door = FakeDoor()
    rollout, stages = open_rollout(database, plan())
    now = [1000.0]
    web = client(slack.bot_token, slack.api_url, 60.0)

    def clock() -> float:
        return now[0]

    pace = Pace(paces.get("gap", 0.0), clock)
    budget = Budget(paces.get("most", 40), paces.get("reserve", 8), clock)
    cards = Cardboard(database, door, web, pace, budget, paces.get("card_gap", 0.5), clock)
    return Desk(slack, database, door, rollout, stages, Sender(database, door, web, cards, pace, "one"), now)
