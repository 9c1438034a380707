"""Uploaded files: reserved, received once, then finished. Their records are in the store, their bytes in files."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Callable
from pathlib import Path

from sandbox.slack.errors import Refused
from sandbox.slack.store import Json, Store

WAITING, RECEIVED, FINISHED = "waiting", "received", "finished"


class Files:
    """File records. A record has: id, name, title, size, alt_txt, mimetype, snippet, created, user, ticket, state."""

    def __init__(self, store: Store, directory: Path, machine: Callable[[], float]) -> None:
        """`directory` is where the bytes go; it is made when the first file comes."""
        self._store = store
        self._directory = directory
        self._machine = machine

    def reserve(self, user: str, name: str, size: int, alt_txt: str, snippet: str) -> Json:
        """A file that is going to be uploaded, with the ticket that is good for one upload."""
        record: Json = {
            "id": "F" + secrets.token_hex(5).upper(),
            "name": name,
            "title": name,
            "size": size,
            "alt_txt": alt_txt,
            "mimetype": mimetypes.guess_type(name)[0] or "application/octet-stream",
            "snippet": snippet,
            "created": int(self._machine()),
            "user": user,
            "ticket": secrets.token_urlsafe(24),
            "state": WAITING,
        }
        return self._store.put("files", record["id"], record)

    def receive(self, ticket: str, data: bytes) -> Json | None:
        """Keep the bytes of the upload with this ticket; None for a ticket that is unknown or used, ValueError (and the
        ticket stays good) where it is not as long as announced."""
        records = self._store.tables["files"].values()
        record = next((r for r in records if r["state"] == WAITING and r["ticket"] == ticket), None)
        if record is None:
            return None
        if len(data) != record["size"]:
            raise ValueError(f"{len(data)} bytes instead of {record['size']}")
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / record["id"]).write_bytes(data)
        record["state"] = RECEIVED
        self._store.touch("files", record["id"])
        return record

    def received(self, file_id: str) -> Json:
        """A file that was uploaded and not finished yet, or file_not_found."""
        record = self._store.get("files", file_id)
        if record is None or record["state"] != RECEIVED:
            raise Refused("file_not_found")
        return record

    def finish(self, record: Json, title: str | None) -> None:
        """From now on it is a file, perhaps with a title."""
        record.update(state=FINISHED, title=title or record["name"])
        self._store.touch("files", record["id"])

    def get(self, file_id: str) -> Json | None:
        """A finished file."""
        record = self._store.get("files", file_id)
        return record if record and record["state"] == FINISHED else None

    def path(self, record: Json) -> Path:
        """Where its bytes are."""
        return self._directory / str(record["id"])
