"""All messages, by channel and time stamp, with their threads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sandbox.slack.store import Json, Store

KEPT_PER_CHANNEL = 5000


# what a new message has unless told otherwise, and one from an older state file that lacks it
BLANK: dict[str, Any] = {
    "thread_ts": None,
    "blocks": [],
    "attachments": [],
    "files": [],
    "metadata": None,
    "unfurl_links": None,
    "unfurl_media": None,
    "edited": None,
    "to": None,
    "deleted": False,
    "request": None,
    "broadcast": False,
}


class Messages:
    """Message records. A record has: channel, ts, user, bot, text, and what BLANK names; `to` is the only reader of an
    ephemeral message."""

    def __init__(self, store: Store, machine: Callable[[], float]) -> None:
        """Index what the store already holds."""
        self._store = store
        self._machine = machine
        self._last = 0
        self._channels: dict[str, dict[str, Json]] = {}
        self._threads: dict[tuple[str, str], list[str]] = {}
        self._with_metadata: set[tuple[str, str]] = set()
        for record in store.tables["messages"].values():
            record.update({name: value for name, value in copy.deepcopy(BLANK).items() if name not in record})
            self._index(record)
            self._last = max(self._last, int(record["ts"].replace(".", "")))

    def stamp(self) -> str:
        """A new time stamp: machine time in microseconds, never the same twice."""
        self._last = max(self._last + 1, int(self._machine() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def _index(self, record: Json) -> None:
        channel, ts = record["channel"], record["ts"]
        self._channels.setdefault(channel, {})[ts] = record
        if record.get("thread_ts"):
            self._threads.setdefault((channel, record["thread_ts"]), []).append(ts)
        if record.get("metadata"):
            self._with_metadata.add((channel, ts))

    def add(self, channel: str, user: str, *, bot: bool, text: str, **fields: object) -> Json:
        """Keep a new message and return its record; the oldest of a very long channel goes."""
        record: Json = {
            "channel": channel,
            "ts": self.stamp(),
            "user": user,
            "bot": bot,
            "text": text,
            **copy.deepcopy(BLANK),
            **fields,
        }
        self._store.put("messages", f"{channel}:{record['ts']}", record)
        self._index(record)
        inside = self._channels[channel]
        if len(inside) > KEPT_PER_CHANNEL:
            self.forget(inside[next(iter(inside))])
        return record

    def get(self, channel: str, ts: str) -> Json | None:
        """A record, also of a deleted or an ephemeral message, or None."""
        return self._channels.get(channel, {}).get(ts)

    def changed(self, record: Json) -> None:
        """Say that a record was changed in place."""
        key = (record["channel"], record["ts"])
        self._store.touch("messages", f"{key[0]}:{key[1]}")
        (self._with_metadata.add if record.get("metadata") else self._with_metadata.discard)(key)

    def forget(self, record: Json) -> None:
        """Remove a record altogether."""
        channel, ts = record["channel"], record["ts"]
        self._channels.get(channel, {}).pop(ts, None)
        self._with_metadata.discard((channel, ts))
        thread = self._threads.get((channel, record.get("thread_ts") or ""))
        if thread and ts in thread:
            thread.remove(ts)
        self._store.drop("messages", f"{channel}:{ts}")

    def in_channel(self, channel: str) -> Iterable[Json]:
        """Every record of a channel, oldest first."""
        return self._channels.get(channel, {}).values()

    def replies(self, channel: str, ts: str, *, ephemeral: bool = False) -> list[Json]:
        """The replies in a thread, oldest first, without deleted ones (and without ephemeral ones unless asked)."""
        found = (self.get(channel, reply) for reply in self._threads.get((channel, ts), ()))
        return [r for r in found if r and not r["deleted"] and (ephemeral or not r["to"])]

    def metadata(self) -> Iterator[Json]:
        """The metadata of every message that stands and has some."""
        for channel, ts in list(self._with_metadata):
            record = self.get(channel, ts)
            if record and not record["deleted"] and record["metadata"]:
                yield record["metadata"]
