"""Home tabs that are kept as things are: drawn again when something happened, published when they would differ."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from bot.answers import Answers
from bot.clients import NotSent, RateLimited, Refused, Unknown
from bot.door import Door
from bot.pace import Budget
from bot.posting import backoff
from bot.render.views import home_view
from commands.reply import Actor, Reply
from storage import homes
from storage.database import Database
from storage.homes import Watched

log = structlog.get_logger("bot.homes")

#: Whoever has not opened the tab for so long sees it as it was, until it is opened again: that draws it anew.
KEPT: Final = timedelta(days=2)


class Homes:
    """The Home tabs of everybody who opened one lately. ``turn`` makes at most one call; one replica does it.

    A tab changes at most every ``gap`` seconds, so that nobody reads a page that moves under the eyes; whether anything
    happened is looked at every ``every`` seconds. Machine time.
    """

    def __init__(
        self,
        database: Database,
        door: Door,
        answers: Answers,
        budget: Budget,
        *,
        gap: float = 20.0,
        every: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._door, self._answers, self._budget = database, door, answers, budget
        self._gap, self._every, self._clock = gap, every, clock
        self._look_at = 0.0
        self._moment = (-1, -1)
        self._tabs: list[Watched] = []
        self._drawn: dict[str, tuple[datetime, tuple[int, int]]] = {}  # user -> which opening, at which moment
        self._again: dict[str, float] = {}  # user -> not before
        self._failures: dict[str, int] = {}

    def turn(self) -> bool:
        """Bring one tab up to date; False when there is nothing that may be done now."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + self._every
            self._look()
        if not self._budget.may(False):
            return False
        for tab in self._tabs:
            if now >= self._again.get(tab.user_id, 0.0) and self._is_old(tab):
                self._draw(tab)
                return True
        return False

    def _is_old(self, tab: Watched) -> bool:
        return tab.shown_digest is None or self._drawn.get(tab.user_id) != (tab.opened_at, self._moment)

    def _look(self) -> None:
        machine = self._database.machine()
        with self._database.read() as session:
            self._moment = homes.moment(session)
            self._tabs = homes.watched(session, machine - KEPT)
        kept = {tab.user_id for tab in self._tabs}
        for memory in (self._drawn, self._again, self._failures):
            for user in memory.keys() - kept:
                memory.pop(user)

    def _draw(self, tab: Watched) -> None:
        moment = self._moment
        self._again[tab.user_id] = self._clock() + self._gap
        try:
            reply = self._door.home(Actor(tab.team_id, tab.user_id, tab.groups))
        except Exception:
            log.exception("a Home tab could not be made", user=tab.user_id)
            self._failed(tab, None)
            return
        if digest_of(reply) != tab.shown_digest:
            self._budget.spend()
            try:
                publish(self._database, self._answers, tab.user_id, reply)
            except (RateLimited, Refused, NotSent, Unknown) as error:
                self._failed(tab, error)
                return
            self._look_at = 0.0  # it may have been opened in between
        self._failures.pop(tab.user_id, None)
        self._drawn[tab.user_id] = (tab.opened_at, moment)

    def _failed(self, tab: Watched, error: Exception | None) -> None:
        failures = self._failures[tab.user_id] = self._failures.get(tab.user_id, 0) + 1
        wait = max(self._gap, backoff(failures))
        if isinstance(error, RateLimited):
            self._budget.hold(error.seconds)
        self._again[tab.user_id] = self._clock() + wait
        if error is not None:
            log.warning("a Home tab could not be kept", user=tab.user_id, error=str(error), again_in=round(wait, 1))


def publish(database: Database, answers: Answers, user: str, reply: Reply, team: str | None = None) -> None:
    """Show a Home tab and note what it shows; ``team`` (of its person): it was opened just now. Raises as Answers.home.

    While it is on its way the row holds a mark instead of a digest. Who does not find the own mark afterwards was not
    alone: which of the two Slack shows is not known, and the tab is drawn anew.
    """
    mark = secrets.token_hex(16)
    with database.write() as session:
        if team is None:
            homes.begun(session, user, mark)
        else:
            homes.opened(session, user, team, mark, database.machine())
    answers.home(user, reply)
    with database.write() as session:
        homes.settled(session, user, mark, digest_of(reply))


def digest_of(reply: Reply) -> str:
    """What a Home tab shows, in short."""
    view: dict[str, Any] = home_view(reply)
    return hashlib.sha256(json.dumps(view, sort_keys=True).encode()).hexdigest()
