"""The boundaries at which the engine may die: after each commit, and before, during and after each call."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.orm import Session

from crash.shared import MachineTime, StillDatabase
from crash.turns import Crew
from storage.database import away
from storage.together import Piece, Together
from workspace.access import Access
from workspace.client import Client, Json

#: The exit code of a process that was ended by SIGKILL, as a shell shows it.
KILLED: Final = 137
_IDS: Final = ("cluster_id", "job_id", "policy_id", "instance_pool_id", "page_token")


class Boundaries:
    """Counts from ``first`` on, and ends the process at the boundary ``last`` as SIGKILL would; None: never.

    ``farewell`` is told how that boundary is called; for a call that died on its way, the call too.
    """

    def __init__(self, crew: Crew, first: int, last: int | None, farewell: Callable[..., None]) -> None:
        self.crew: Final = crew
        self._last, self._farewell = last, farewell
        self._first = first
        self._work = threading.local()
        self.names: list[str] = []

    @property
    def count(self) -> int:
        """How many boundaries there were up to now, those before ``first`` too."""
        return self._first - 1 + len(self.names)

    @contextmanager
    def doing(self, work: str) -> Iterator[None]:
        """Name what this thread does now."""
        self._work.name = work
        yield
        self._work.name = ""

    def reach(self, what: str, call: Mapping[str, Any] | None = None) -> None:
        """Here is one; perhaps the last one."""
        name = f"{getattr(self._work, 'name', '') or 'pass'}: {what}"
        self.names.append(name)
        if self.count == self._last:
            self._farewell(name=name, call=call)
            os._exit(KILLED)
        self.crew.switch()


class InTurns(Together):
    """Writes of several actions in one transaction, where one thread runs at a time: whose turn it is, writes."""

    def __init__(self, write: Callable[[], AbstractContextManager[Session]], crew: Crew) -> None:
        super().__init__(write, away)
        self._crew = crew

    def _join(self, key: int, piece: Piece[Any]) -> None:
        super()._join(key, piece)
        self._crew.switch()  # others may join before it is written

    def _wait(self, key: int, piece: Piece[Any]) -> None:
        self._crew.switch()


class Journal(StillDatabase):
    """The database of the engine: each commit of a transaction that wrote something is a boundary."""

    def __init__(self, url: str, time: MachineTime, boundaries: Boundaries) -> None:
        super().__init__(url, time)
        self._boundaries = boundaries
        self._together = InTurns(self.write, boundaries.crew)
        self._written = threading.local()
        event.listen(self.engine, "before_cursor_execute", self._note)

    @contextmanager
    def write(self) -> Iterator[Session]:
        self._written.verbs = []
        with super().write() as session:
            yield session
        # Reached when nothing is held any more: whoever comes next may write.
        if self._written.verbs:
            self._boundaries.reach("committed " + ", ".join(dict.fromkeys(self._written.verbs)))

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        verb, *rest = statement.split(None, 3)
        if verb.upper() in ("INSERT", "UPDATE", "DELETE") and hasattr(self._written, "verbs"):
            table = rest[0] if verb.upper() == "UPDATE" else rest[1]
            self._written.verbs.append(f"{verb.lower()} {table}")


class Caller(Client):
    """A client each of whose calls has a boundary before it is sent and after the answer arrived.

    A write has one more: it was sent, the engine died, and only later does the workspace carry it out.
    """

    def __init__(self, access: Access, boundaries: Boundaries, *, time_limit: float, read_budget: float) -> None:
        super().__init__(access, time_limit=time_limit, read_budget=read_budget)
        self._boundaries = boundaries

    def _do(
        self, method: str, path: str, *, query: Json | None = None, body: Json | None = None, writing: bool = False
    ) -> Json:
        what = f"{method} {path}{_of(query or body or {})}"
        self._boundaries.reach(f"before {what}")
        if writing:
            call = {"host": self.host, "method": method, "path": path, "body": body}
            self._boundaries.reach(f"during {what}", call)
        try:
            return super()._do(method, path, query=query, body=body, writing=writing)
        finally:
            self._boundaries.reach(f"after {what}")


def _of(given: Mapping[str, Any]) -> str:
    found = [str(given[name]) for name in _IDS if given.get(name)]
    return f" ({', '.join(found)})" if found else ""
