"""What people did, when it was delivered and acknowledged, and what they then saw as the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.slack.live import Live
from sandbox.slack.store import Json, Store

KEPT = 1000
LISTENS_SECONDS = 600.0
"""For how long a later ephemeral message or a changed view still counts as an answer."""


class Requests:
    """Request records, newest last."""

    def __init__(self, store: Store, live: Live, machine: Callable[[], float]) -> None:
        """Go on with what the store holds."""
        self._store = store
        self._live = live
        self._machine = machine

    def open(self, user: str, key: str, kind: str, **fields: Any) -> Json:
        """A new request of a person (user id and person key)."""
        now = self._machine()
        record: Json = {
            "id": f"r{self._store.next('request')}",
            "as": key,
            "user": user,
            "kind": kind,
            "created": now,
            "delivered": None,
            "acknowledged": None,
            "error": None,
            "errors": None,
            "answers": [],
            "changed": now,
            **fields,
        }
        table = self._store.tables["requests"]
        if len(table) >= KEPT:
            self._store.drop("requests", next(iter(table)))
        return self._store.put("requests", record["id"], record)

    def get(self, request: str | None) -> Json | None:
        """A request by id."""
        return self._store.get("requests", request) if request else None

    def changed(self, record: Json, **fields: Any) -> None:
        """Set fields of a request and tell the person's pages."""
        record.update(fields, changed=self._machine())
        self._store.touch("requests", record["id"])
        told = {k: record[k] for k in ("id", "kind", "delivered", "acknowledged", "error", "errors", "changed")}
        self._live.send("request", [record["user"]], request=told)

    def answered(self, request: str | None, reference: Json) -> None:
        """A message or a view answers this very request."""
        record = self.get(request)
        if record is None:
            return
        if reference not in record["answers"]:
            record["answers"].append(reference)
        self.changed(record)

    def seen(self, user: str, reference: Json, *, home: bool = False) -> None:
        """Something appeared for this person: it answers what they did lately (a Home view: there)."""
        since = self._machine() - LISTENS_SECONDS
        for record in reversed(self._store.tables["requests"].values()):
            if record["created"] < since:
                break
            if record["user"] == user and (not home or record.get("home")):
                self.answered(record["id"], reference)
