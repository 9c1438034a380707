"""How a process is asked to end."""

import queue
import signal


class Stop:
    """SIGTERM and SIGINT, as something the main thread waits for.

    Not a `threading.Event`: a handler runs in the thread that waits, between any two of its steps, and the lock of an
    event that this thread holds just then would never be free again. `SimpleQueue.put` may be called there.
    """

    def __init__(self) -> None:
        """Nobody has asked yet; signals are heard from `listen` on."""
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()

    def listen(self) -> None:
        """Take both signals; from the main thread only (ValueError elsewhere)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._asked.put(None))

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until a signal came, or that many seconds; say whether one came. It stays true once it was."""
        try:
            self._asked.get(timeout=seconds)
        except queue.Empty:
            return False
        self._asked.put(None)
        return True
