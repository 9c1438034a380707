"""A pool of threads that never holds up the end of the process, which the interpreter's own pools do."""

import threading
import time
from collections import deque
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Pool:
    """At most ``size`` pieces of work at once; threads are made when they are first needed."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], object]] = deque()
        self._threads = self._idle = self._running = 0
        self._closed = False

    def submit(self, work: Callable[[], object]) -> bool:
        """Have ``work`` done; False once the pool is closed."""
        with self._changed:
            if self._closed:
                return False
            self._waiting.append(work)
            if self._idle < len(self._waiting) and self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
            else:
                self._changed.notify()
        return True

    def close(self) -> None:
        """Take nothing more, drop what waits; what is in hand goes on."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def join(self, until: float) -> bool:
        """Wait until what was in hand has ended, at most until that moment (monotonic); whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, max(until - time.monotonic(), 0.0))

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._waiting or self._closed)
                self._idle -= 1
                if not self._waiting:
                    return
                work = self._waiting.popleft()
                self._running += 1
            try:
                work()
            except Exception:
                log.exception("work_failed", pool=self._name)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()
