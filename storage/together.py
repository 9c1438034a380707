"""Several threads' writes in one transaction: whoever comes while one is being committed goes with the next.

A commit waits for the disk; beside that, a short write costs little. Nobody is told that something is written before
it is, and what goes wrong for one is undone for nobody else.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

Result = TypeVar("Result")


class Piece:
    """What one thread wants written. ``order``: its place among the others of one transaction."""

    def __init__(self, order: tuple[int, ...], work: Callable[[Session], Any]) -> None:
        self.order: Final = order
        self.work: Final = work
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Together:
    """For each key at most one transaction at a time, of all that was waiting when it began.

    ``write`` gives the transactions; ``away`` tells of an error that it says nothing of what was to be written.
    """

    def __init__(
        self, write: Callable[[], AbstractContextManager[Session]], away: Callable[[SQLAlchemyError], bool]
    ) -> None:
        self._write, self._away = write, away
        self._changed = threading.Condition()
        self._waiting: dict[int, list[Piece]] = defaultdict(list)
        self._writing: set[int] = set()

    def do(self, key: int, order: tuple[int, ...], work: Callable[[Session], Result]) -> Result:
        """Have ``work`` done in a transaction, perhaps with others of that key; returns once it is committed.

        ``work`` may be called twice, in another transaction, when something went wrong for one of the others: what it
        leaves behind outside of the session must not depend on how often. Raises what ``work`` or the commit raised.
        """
        piece = self._join(key, Piece(order, work))
        while not piece.done:
            if (pieces := self._begin(key)) is None:
                self._wait(key, piece)
                continue
            try:
                self._commit(pieces)
            finally:
                self._end(key, pieces)
        if piece.error is not None:
            raise piece.error
        result: Result = piece.result
        return result

    def _join(self, key: int, piece: Piece) -> Piece:
        with self._changed:
            self._waiting[key].append(piece)
        return piece

    def _begin(self, key: int) -> list[Piece] | None:
        """All that waits, to be written by this thread; None where another writes, or has written everything."""
        with self._changed:
            if key in self._writing or not self._waiting[key]:
                return None
            self._writing.add(key)
            return self._waiting.pop(key)

    def _end(self, key: int, pieces: list[Piece]) -> None:
        with self._changed:
            self._writing.discard(key)
            for piece in pieces:
                piece.done = True
            self._changed.notify_all()

    def _wait(self, key: int, piece: Piece) -> None:
        with self._changed:
            self._changed.wait_for(lambda: piece.done or key not in self._writing)

    def _commit(self, pieces: list[Piece]) -> None:
        """One transaction; where anything goes wrong in it, one for each, so that only whom it concerns is told."""
        try:
            with self._write() as session:
                results = [piece.work(session) for piece in sorted(pieces, key=lambda p: p.order)]
        except BaseException as error:
            shared = isinstance(error, SQLAlchemyError) and self._away(error)
            if len(pieces) == 1 or shared or not isinstance(error, Exception):
                for piece in pieces:
                    piece.error = error
                return
        else:
            for piece, result in zip(sorted(pieces, key=lambda p: p.order), results, strict=True):
                piece.result = result
            return
        for piece in pieces:
            self._commit([piece])
