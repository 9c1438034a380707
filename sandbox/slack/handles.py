"""One-shot handles: trigger ids (3 s, once) and response_urls (30 min, five uses)."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sandbox.slack.errors import Refused
from sandbox.slack.limits import Limits
from sandbox.slack.store import Json, Store


class Handles:
    """Makes and redeems both kinds."""

    def __init__(self, store: Store, limits: Limits, machine: Callable[[], float]) -> None:
        """`machine` gives machine time in seconds."""
        self._store = store
        self._limits = limits
        self._machine = machine

    def _forget(self, table: str, before: float) -> None:
        records = self._store.tables[table]
        while records and records[oldest := next(iter(records))]["created"] < before:
            self._store.drop(table, oldest)

    def trigger(self, user: str, request: str, view: str | None) -> str:
        """A new trigger id for what `user` just did (`view`: the modal in which it was done)."""
        now = self._machine()
        self._forget("triggers", now - 600.0)
        trigger = f"{int(now * 1000)}.{secrets.randbelow(10**10):010d}.{secrets.token_hex(16)}"
        record = {"user": user, "request": request, "view": view, "created": now, "used": False}
        self._store.put("triggers", trigger, record)
        return trigger

    def redeem(self, trigger: str) -> Json:
        """Use a trigger up and return its record; refuse an unknown, a used or an expired one."""
        record = self._store.get("triggers", trigger)
        if record is None:
            raise Refused("invalid_trigger_id")
        if record["used"]:
            raise Refused("exchanged_trigger_id")
        if self._machine() - record["created"] > self._limits.trigger_seconds:
            raise Refused("expired_trigger_id")
        record["used"] = True
        self._store.touch("triggers", trigger)
        return record

    def response_url(self, user: str, request: str, channel: str, message: str | None) -> str:
        """The id of a new response_url (`message`: ts of the message on which the person acted)."""
        now = self._machine()
        self._forget("response_urls", now - 2 * self._limits.response_url_seconds)
        key = secrets.token_urlsafe(24)
        record = {"user": user, "request": request, "channel": channel, "message": message, "created": now, "uses": 0}
        self._store.put("response_urls", key, record)
        return key

    def spend(self, key: str) -> Json:
        """The record of a response_url that may still be used; `used` counts the use."""
        record = self._store.get("response_urls", key)
        if record is None or self._machine() - record["created"] > self._limits.response_url_seconds:
            raise Refused("expired_url")
        if record["uses"] >= self._limits.response_url_uses:
            raise Refused("used_url")
        return record

    def used(self, key: str) -> None:
        """Count one successful use."""
        record = self._store.get("response_urls", key)
        if record is not None:
            record["uses"] += 1
            self._store.touch("response_urls", key)
