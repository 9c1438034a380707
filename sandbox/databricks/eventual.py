"""Reads that lag behind writes: for a while after a write the thing that it changed is shown as it was before.

A thing that was made is not there yet, one that was deleted still is; alone (get) and in lists alike.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.databricks.call import Call
from sandbox.databricks.faults import Fault
from sandbox.databricks.workspace import Workspace

HELD = {"clusters": "clusters", "jobs": "jobs", "runs": "runs"}
"""Where a workspace keeps what is not on a shelf, by the part of the path that names it."""
Things = dict[Any, Any]


@dataclass(slots=True)
class Past:
    """A thing as it was before a write (None: it was not there), and how long that is what readers see."""

    ws: Workspace
    family: str
    key: Any
    before: Any
    until: float
    reads: int
    """How many more reads see it; 0 where only the time counts."""


class Lag:
    """What readers do not see yet. `ticks` is the machine's time in seconds, which a test may move itself."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._pasts: list[Past] = []

    def hides(self, ws: Workspace, family: str, key: Any) -> bool:
        """Whether readers are shown a thing as it was."""
        return any(p.ws is ws and p.family == family and p.key == key and self._alive(p) for p in self._pasts)

    @contextlib.contextmanager
    def writing(self, ws: Workspace, call: Call, fault: Fault) -> Iterator[None]:
        """Around a write: remember what it changes as it was."""
        family = _family(call.path)
        things = _things(ws, family)
        if things is None:
            yield
            return
        named = {key: _copied(things[key]) for key in _named(call) if key in things}
        keys = set(things)
        yield
        fresh = dict.fromkeys(_things(ws, family).keys() - keys) if len(things) > len(keys) else {}
        until = self._ticks() + fault.seconds if not fault.reads else float("inf")
        for key, before in {**named, **fresh}.items():
            if not any(past.ws is ws and past.key == key and self._alive(past) for past in self._pasts):
                self._pasts.append(Past(ws, family, key, before, until, fault.reads))

    @contextlib.contextmanager
    def reading(self, ws: Workspace, call: Call) -> Iterator[None]:
        """Around a read: show what is remembered in place of what is."""
        self._pasts = [past for past in self._pasts if self._alive(past)]
        family = _family(call.path)
        things = _things(ws, family) if self._pasts else None
        if things is None:
            yield
            return
        named = {key for key in _named(call) if key in things}
        shown = [p for p in self._pasts if p.ws is ws and p.family == family and (not named or p.key in named)]
        patched = dict(things)
        for past in shown:
            if past.before is None:
                patched.pop(past.key, None)
            else:
                patched[past.key] = past.before
            past.reads -= 1 if past.reads else 0
            past.until = past.until if past.reads or past.until < float("inf") else 0.0
        _put(ws, family, patched)
        try:
            yield
        finally:
            _put(ws, family, things)

    def clear(self) -> None:
        """Everybody sees everything."""
        self._pasts.clear()

    def _alive(self, past: Past) -> bool:
        return past.until > self._ticks()


def _family(path: str) -> str:
    parts = path.split("/")
    return "runs" if "runs" in parts or parts[-1] == "run-now" else parts[3] if len(parts) > 3 else ""


def _things(ws: Workspace, family: str) -> Any:
    if family in HELD:
        return getattr(ws, HELD[family])
    return ws.shelves.get(family)


def _put(ws: Workspace, family: str, things: Things) -> None:
    if family in HELD:
        setattr(ws, HELD[family], things)
    else:
        ws.shelves[family] = things


def _named(call: Call) -> Iterator[Any]:
    """Everything in a request that may be the key of a thing."""
    for value in (*call.body.values(), *call.named.values(), *(v for vs in call.query.values() for v in vs)):
        if isinstance(value, int | str) and not isinstance(value, bool):
            yield value
            if isinstance(value, str) and value.isdecimal() and len(value) < 20:
                yield int(value)


def _copied(thing: Any) -> Any:
    """Configurations are replaced whole and never changed in place, but for plain JSON."""
    return copy.deepcopy(thing) if isinstance(thing, dict) else copy.copy(thing)
