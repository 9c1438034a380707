"""Answers as bytes. Lists of many entries are put together from entries that were encoded before."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sandbox.databricks.errors import Json


class Listing(Json):
    """An answer with a list whose entries are encoded already; all else in it is plain JSON."""

    def __init__(self, name: str, entries: Iterable[bytes], rest: Json) -> None:
        super().__init__(rest)
        self.name = name
        self.entries = list(entries)


def encode(answer: Any) -> bytes:
    """The answer, as short as JSON can be."""
    text = json.dumps(answer, separators=(",", ":")).encode()
    if not isinstance(answer, Listing) or not answer.entries:
        return text
    listed = b'"%s":[%s]' % (answer.name.encode(), b",".join(answer.entries))
    return b"{%s%s%s" % (listed, b"," if len(answer) else b"", text[1:])
