"""Cards: the live message of each stage, edited in place. Always the current state, final states first, one budget."""

import hashlib
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from slack_sdk import WebClient

from bot.answers import renderings
from bot.clients import NotSent, RateLimited, Refused, Unknown
from bot.door import Door
from bot.pace import Budget, Pace
from bot.posting import ADVICE, backoff, edit_card, post_card, refuse_shared
from bot.render.messages import message
from rollout.states import StageState
from storage import cards, closings
from storage.database import Database
from storage.models import Card, Stage

log = structlog.get_logger("bot.cards")

_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


def metadata(stage: Stage) -> dict[str, Any]:
    """What the card tells machines: which stage, its state, and when its bake ends."""
    payload: dict[str, Any] = {"stage": stage.key, "state": str(stage.state)}
    if stage.state == StageState.BAKING and stage.bake_until is not None:
        payload["bake_until"] = stage.bake_until.isoformat()
    return {"event_type": "rollout_card", "event_payload": payload}


class Cardboard:
    """Posts and edits cards. ``turn`` does at most one call.

    A card whose first posting is unknown after a crash is posted again: finding it would need the right to read the
    channel, which the bot does not ask for. The older message then stays as it was.
    """

    def __init__(
        self,
        database: Database,
        door: Door,
        web: WebClient,
        pace: Pace,
        budget: Budget,
        gap: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
        internal: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._internal = internal
        self._database, self._door, self._web = database, door, web
        self._pace, self._budget, self._gap, self._clock = pace, budget, gap, clock
        self._again: dict[int, float] = {}  # card -> not before (monotonic)
        self._failures: dict[int, int] = {}
        self._closing_again: dict[int, float] = {}  # message -> not before (monotonic)

    def taken_over(self) -> None:
        """Another replica may have edited until now: count what it did in the last minute."""
        with self._database.read() as session:
            self._budget.spend(cards.shown_since(session, self._database.machine() - timedelta(minutes=1)))

    def turn(self) -> bool:
        """Bring one card up to date; False when there is nothing that may be done now."""
        with self._database.read() as session:
            found = cards.out_of_date(session)
        for card, stage in found:
            if self._clock() < self._again.get(card.id, 0.0):
                continue
            if card.ts is None:
                if self._pace.ready(card.channel):
                    self._show(card, stage)
                    return True
            elif self._budget.may(card.final) and self._show(card, stage):
                return True
        return False

    def close_one(self) -> bool:
        """Take the buttons from one message whose time is over; False when there is none, or no budget for it now."""
        with self._database.read() as session:
            found = [c for c in closings.over(session) if self._clock() >= self._closing_again.get(c.id, 0.0)]
        if not found or not self._budget.may(False):
            return False
        closing = found[0]
        reply = self._door.closing(closing.kind, closing.stage_id, closing.rollout_id, closing.ids)
        self._budget.spend()
        try:
            edit_card(self._web, closing.channel, closing.ts, list(renderings(lambda detail: message(reply, detail))))
        except (RateLimited, NotSent, Unknown) as error:
            self._closing_again[closing.id] = self._clock() + (
                error.seconds if isinstance(error, RateLimited) else 30.0
            )
            return True
        except Refused as error:
            log.warning("a message could not be closed", kind=closing.kind, error=str(error))
        self._closing_again.pop(closing.id, None)
        with self._database.write() as session:
            closings.closed(session, closing)
        return True

    def _show(self, card: Card, stage: Stage) -> bool:
        """Show the state of now; False when it was shown already."""
        extra = metadata(stage)
        try:
            reply = self._door.card(stage.id)
        except Exception:
            log.exception("a card could not be made", stage_id=stage.id)
            self._again[card.id] = self._clock() + 30.0
            return True
        bodies = [{**body, "metadata": extra} for body in renderings(lambda detail: message(reply, detail))]
        digest = hashlib.sha256(json.dumps(bodies[0], sort_keys=True).encode()).hexdigest()
        if card.ts is not None and digest == card.shown_digest:
            self._shown(card, digest, called=False)
            return False
        try:
            refuse_shared(self._internal, card.channel)
            if card.ts is None:
                self._pace.used(card.channel)
                ts = post_card(self._web, card.channel, bodies)
            else:
                self._budget.spend()
                edit_card(self._web, card.channel, card.ts, bodies)
                ts = card.ts
        except (RateLimited, Refused, NotSent, Unknown) as error:
            self._failed(card, error)
            return True
        self._failures.pop(card.id, None)
        self._again[card.id] = self._clock() + self._gap
        self._shown(card, digest, called=True, ts=ts)
        return True

    def _shown(self, card: Card, digest: str, called: bool, ts: str | None = None) -> None:
        with self._database.write() as session:
            cards.shown(session, card, digest, self._database.machine() if called else None, ts)

    def _failed(self, card: Card, error: Exception) -> None:
        failures = self._failures[card.id] = self._failures.get(card.id, 0) + 1
        wait = backoff(failures)
        if isinstance(error, RateLimited):
            wait = error.seconds
            if card.ts is None:
                self._pace.hold(card.channel, wait)
            else:
                self._budget.hold(wait)
        elif isinstance(error, Refused) and error.error in _GONE and card.ts is not None:
            with self._database.write() as session:
                cards.lost(session, card)
            wait = 0.0
        self._again[card.id] = self._clock() + wait
        name = error.error if isinstance(error, Refused) else ""
        log.warning(
            "a card could not be shown",
            channel=card.channel,
            stage_id=card.stage_id,
            error=str(error),
            again_in=round(wait, 1),
            todo=ADVICE.get(name, ""),
        )
