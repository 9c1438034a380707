"""Pieces of work in forked processes, several at once, from a process that has no threads."""

import os
import pickle
import selectors
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


class Hung(Exception):
    """A piece of work took longer than it may, and was ended."""


def forked(
    pieces: Iterable[Callable[[], Result]], at_once: int, limit: float, until: float = float("inf")
) -> Iterator[Result | Exception]:
    """The results, in the order in which they end. None is begun after ``until`` (monotonic).

    A piece that takes longer than ``limit`` seconds is ended with all that it forked. What one raises is its result.
    """
    waiting = iter(pieces)
    selector = selectors.DefaultSelector()
    try:
        while True:
            while len(selector.get_map()) < at_once and time.monotonic() < until:
                piece = next(waiting, None)
                if piece is None:
                    break
                reader, pid = _begin(piece)
                selector.register(reader, selectors.EVENT_READ, (pid, time.monotonic() + limit, bytearray()))
            if not selector.get_map():
                return
            for key, _ in selector.select(1.0):
                part = os.read(key.fd, 1 << 20)
                if part:
                    key.data[2].extend(part)
                    continue
                selector.unregister(key.fd)
                yield _end(key.fd, key.data[0], bytes(key.data[2]))
            for key in list(selector.get_map().values()):
                if time.monotonic() > key.data[1]:
                    selector.unregister(key.fd)
                    os.killpg(key.data[0], signal.SIGKILL)
                    _end(key.fd, key.data[0], b"")
                    yield Hung(f"it took longer than {limit:.0f} s")
    finally:
        for key in list(selector.get_map().values()):
            os.killpg(key.data[0], signal.SIGKILL)
            _end(key.fd, key.data[0], b"")
        selector.close()


def alone(piece: Callable[[], Result], limit: float) -> Result:
    """The result of one piece of work in a process of its own. Raises what it raised, and Hung."""
    [result] = forked([piece], 1, limit)
    if isinstance(result, Exception):
        raise result
    return result


def _begin(piece: Callable[[], Result]) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        with suppress(OSError):
            os.setpgid(pid, pid)  # here too: whoever comes first
        return reader, pid
    try:
        os.setpgid(0, 0)
        os.close(reader)
        try:
            result: object = piece()
        except Exception:
            result = RuntimeError(traceback.format_exc())
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(result, pipe)
    finally:
        os._exit(0)


def _end(reader: int, pid: int, content: bytes) -> Result | Exception:
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    if not content:
        return RuntimeError(f"it ended with {os.waitstatus_to_exitcode(status)} and said nothing")
    result: Result | Exception = pickle.loads(content)
    return result
