"""The pace at which this replica asks one workspace: it waits for its turn in the schedule that all replicas share."""

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from storage import rates
from storage.database import Database
from workspace.errors import Held

log = structlog.get_logger(__name__)

#: A turn that was not used lapses after so long: turns must not be saved up for a burst.
LAPSES = timedelta(seconds=rates.PIECE)


class Pace:
    """For ``workspace.client.Client``: its permit, and whom it tells that it was throttled. Threads may share it."""

    def __init__(self, database: Database, workspace: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._database, self._workspace, self._sleep = database, workspace, sleep
        self._lock = threading.Lock()
        self._turns: deque[datetime] = deque()
        self._sent = threading.local()

    def permit(self, most: float) -> None:
        """Wait until a call may be sent. Raises Held when that takes longer than ``most`` machine seconds."""
        wait = self._turn(most)
        if wait > 0:
            self._sleep(wait)
        self._sent.at = self._database.machine()

    def throttled(self, retry_after: float) -> None:
        """The last call of this thread was answered with "too many calls"."""
        with self._lock:
            self._turns.clear()
        try:
            with self._database.write() as session:
                now = self._database.machine_now(session)
                rates.slow_down(session, now, self._workspace, getattr(self._sent, "at", now), retry_after)
        except SQLAlchemyError as error:  # what the call was for matters more; it is told again soon enough
            log.warning("throttle_not_stored", workspace=self._workspace, error=type(error).__name__)

    def _turn(self, most: float) -> float:
        with self._lock:
            now = self._database.machine()
            while self._turns and self._turns[0] < now - LAPSES:
                self._turns.popleft()
            if not self._turns:
                with self._database.write() as session:
                    piece = rates.take(session, self._database.machine_now(session), self._workspace)
                self._turns.extend(piece.instants())
            wait = (self._turns[0] - now).total_seconds()
            if wait > most:
                raise Held(wait)
            self._turns.popleft()
            return max(wait, 0.0)
