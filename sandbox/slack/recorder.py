"""Keeps one example of each shape of message, modal and Home that was accepted, for tests that draw them in a browser.

With ROLLOUT_RECORD_VIEWS=DIR every accepted one is written to DIR/<surface>-<digest>.json, the first of its shape only:
{"surface": "message", "text", "blocks"} or {"surface": "modal" or "home", "view"}, as it could be sent again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from sandbox.slack.store import Json

VARIABLE = "ROLLOUT_RECORD_VIEWS"
NAMES = frozenset({"block_id", "action_id", "callback_id", "external_id", "private_metadata", "value", "url"})
"""Strings that are not seen: only that they are there belongs to a shape."""
MOST = 1000
"""Examples of each surface; a test that makes texts up would otherwise never end."""
MENTIONS, CODE = re.compile(r"<[^>]*>"), re.compile(r"`[^`]*`")
NUMBERED = re.compile(r"\w*\d\w*")


def _text(text: str) -> str:
    """A text without what differs from day to day: mentions, dates, names in code, and words with digits in them."""
    return NUMBERED.sub("0", CODE.sub("`0`", MENTIONS.sub("<0>", text)))


def _once(items: list[Any]) -> list[Any]:
    return [item for index, item in enumerate(items) if index == 0 or item != items[index - 1]]


def shape(value: Any, name: str = "") -> Any:
    """What a structure looks like: types, nesting and words, without ids and numbers; equal neighbours count once."""
    if isinstance(value, dict):
        return {key: shape(entry, key) for key, entry in sorted(value.items()) if entry is not None}
    if isinstance(value, list):
        return _once([shape(entry) for entry in value])
    if isinstance(value, str):
        return "" if name in NAMES else _text(value)
    return value if isinstance(value, bool) else 0


class Recorder:
    """Writes what it has not seen yet; without a directory it does nothing."""

    def __init__(self, directory: Path | None) -> None:
        """`directory` is made; it may be shared with other processes."""
        self._directory = directory
        self._seen: set[str] = set()
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    @classmethod
    def from_environment(cls) -> Recorder:
        """As ROLLOUT_RECORD_VIEWS says."""
        named = os.environ.get(VARIABLE)
        return cls(Path(named) if named else None)

    def message(self, text: str, blocks: list[Json]) -> None:
        """A message that was accepted and is drawn from blocks."""
        if self._directory is not None and blocks:
            self._keep("message", shape(blocks), {"text": text, "blocks": blocks})

    def view(self, view: Json) -> None:
        """A view that was accepted."""
        if self._directory is not None:
            self._keep(str(view["type"]), shape(view), {"view": view})

    def _keep(self, surface: str, form: Any, content: Json) -> None:
        assert self._directory is not None
        digest = hashlib.blake2b(json.dumps(form).encode(), digest_size=8).hexdigest()
        name = f"{surface}-{digest}.json"
        if name in self._seen or sum(seen.startswith(surface) for seen in self._seen) >= MOST:
            return
        self._seen.add(name)
        aside = self._directory / f".{name}.{os.getpid()}"
        aside.write_text(json.dumps({"surface": surface, **content}, indent=1), encoding="utf-8")
        with contextlib.suppress(FileExistsError):
            os.link(aside, self._directory / name)
        aside.unlink()
