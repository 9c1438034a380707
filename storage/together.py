"""Several threads' writes in one transaction: whoever comes while one is being committed goes with the next.

A commit waits for the disk; beside that, a short write costs little. Nobody is told that something is written before
it is, and what goes wrong for one is undone for nobody else.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

Result = TypeVar("Result")


class Piece(Generic[Result]):
    """What one thread wants written. ``order``: its place among the others of one transaction; ``last`` is done at the
    end of it, once for all that have the same."""

    def __init__(
        self, order: tuple[int, ...], work: Callable[[Session], Result], last: Callable[[Session], None] | None = None
    ) -> None:
        self.order: Final = order
        self.work: Final = work
        self.last: Final = last
        self.done = False
        self.error: BaseException | None = None
        self._result: list[Result] = []

    def keep(self, result: Result) -> None:
        """It was committed, and this came of it."""
        self._result = [result]

    def answer(self) -> Result:
        """What came of it. Raises what went wrong."""
        if self.error is not None:
            raise self.error
        [result] = self._result
        return result


class Together:
    """For each key at most one transaction at a time, of all that was waiting when it began.

    ``write`` gives the transactions; ``away`` tells of an error that it says nothing of what was to be written.
    """

    def __init__(
        self, write: Callable[[], AbstractContextManager[Session]], away: Callable[[SQLAlchemyError], bool]
    ) -> None:
        self._write, self._away = write, away
        self._changed = threading.Condition()
        self._waiting: dict[int, list[Piece[Any]]] = defaultdict(list)
        self._writing: set[int] = set()

    def do(self, key: int, piece: Piece[Result]) -> Result:
        """Have the work of ``piece`` done in a transaction, perhaps with others of that key; returns what it returned,
        once it is committed.

        It may be called twice, in another transaction, when something went wrong for one of the others: what it leaves
        behind outside of the session must not depend on how often. Raises what it or the commit raised.
        """
        self._join(key, piece)
        while not piece.done:
            if (pieces := self._begin(key)) is None:
                self._wait(key, piece)
                continue
            try:
                self._commit(pieces)
            finally:
                self._end(key, pieces)
        return piece.answer()

    def _join(self, key: int, piece: Piece[Any]) -> None:
        with self._changed:
            self._waiting[key].append(piece)

    def _begin(self, key: int) -> list[Piece[Any]] | None:
        """All that waits, to be written by this thread; None where another writes, or has written everything."""
        with self._changed:
            if key in self._writing or not self._waiting[key]:
                return None
            self._writing.add(key)
            return self._waiting.pop(key)

    def _end(self, key: int, pieces: list[Piece[Any]]) -> None:
        with self._changed:
            self._writing.discard(key)
            for piece in pieces:
                piece.done = True
            self._changed.notify_all()

    def _wait(self, key: int, piece: Piece[Any]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: piece.done or key not in self._writing)

    def _commit(self, pieces: list[Piece[Any]]) -> None:
        """One transaction; where anything goes wrong in it, one for each, so that only whom it concerns is told."""
        pieces = sorted(pieces, key=lambda piece: piece.order)
        try:
            with self._write() as session:
                results = [piece.work(session) for piece in pieces]
                for last in dict.fromkeys(piece.last for piece in pieces if piece.last is not None):
                    last(session)
        except BaseException as error:
            shared = isinstance(error, SQLAlchemyError) and self._away(error)
            if len(pieces) == 1 or shared or not isinstance(error, Exception):
                for piece in pieces:
                    piece.error = error
            else:
                for piece in pieces:
                    self._commit([piece])
        else:
            for piece, result in zip(pieces, results, strict=True):
                piece.keep(result)
