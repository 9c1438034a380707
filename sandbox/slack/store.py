"""What the local Slack remembers: tables of JSON records, kept in one file that is replaced atomically."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

Json = dict[str, Any]
TABLES = (
    "messages",
    "files",
    "message_state",
    "views",
    "stacks",
    "homes",
    "members",
    "triggers",
    "requests",
    "response_urls",
    "counters",
)


class Store:
    """Records by table and key. Change a record in place, then `touch` it; only touched ones are encoded again."""

    def __init__(self, directory: Path) -> None:
        """Read DIR/slack.json if it is there; a file that cannot be read is set aside, not overwritten."""
        self.path = directory / "slack.json"
        self.tables: dict[str, dict[str, Json]] = {name: {} for name in TABLES}
        self._encoded: dict[str, dict[str, str]] = {name: {} for name in TABLES}
        self._touched: set[tuple[str, str]] = set()
        self.dirty = False
        self._writing = threading.Lock()
        self._encodings = 0
        self._written = 0
        directory.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        try:
            tables = json.loads(self.path.read_text(encoding="utf-8"))["tables"]
        except (ValueError, KeyError, TypeError):
            self.path.replace(self.path.with_suffix(".unreadable.json"))
            return
        for name in TABLES:
            for key, record in tables.get(name, {}).items():
                self.put(name, key, record)
        self.dirty = False

    def put(self, table: str, key: str, record: Json) -> Json:
        """Store a record and return it."""
        self.tables[table][key] = record
        self.touch(table, key)
        return record

    def touch(self, table: str, key: str) -> None:
        """Say that a record has changed."""
        self._touched.add((table, key))
        self.dirty = True

    def drop(self, table: str, key: str) -> None:
        """Forget a record."""
        self.tables[table].pop(key, None)
        self._encoded[table].pop(key, None)
        self._touched.discard((table, key))
        self.dirty = True

    def get(self, table: str, key: str) -> Json | None:
        """A record, or None."""
        return self.tables[table].get(key)

    def next(self, counter: str) -> int:
        """The next number of a counter, from 1 on, also after a restart."""
        record = self.tables["counters"].setdefault(counter, {"n": 0})
        record["n"] += 1
        self.touch("counters", counter)
        return int(record["n"])

    def encode(self) -> tuple[int, str]:
        """The file's text and its serial number; encodes only what was touched since the last time."""
        for table, key in self._touched:
            record = self.tables[table].get(key)
            if record is not None:
                self._encoded[table][key] = f"{json.dumps(key)}: {json.dumps(record)}"
        self._touched.clear()
        self.dirty = False
        parts = [f"{json.dumps(name)}: {{{','.join(self._encoded[name].values())}}}" for name in TABLES]
        self._encodings += 1
        return self._encodings, '{"version": 1, "tables": {' + ",\n".join(parts) + "}}\n"

    def write(self, encoded: tuple[int, str]) -> None:
        """Replace the file, from any thread; what is older than the file is dropped."""
        serial, text = encoded
        with self._writing:
            if serial <= self._written:
                return
            aside = self.path.with_suffix(".tmp")
            aside.write_text(text, encoding="utf-8")
            os.replace(aside, self.path)
            self._written = serial

    def save(self) -> None:
        """Encode and write, now."""
        self.write(self.encode())
