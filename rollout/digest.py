"""Digests over canonical JSON, so that what a person saw can be compared with what is."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from rollout.change import Change


def canonical(value: Any) -> str:
    """Canonical JSON text: sorted keys, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """SHA-256, in hex, of the canonical text of ``value``."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def change_set_digest(changes: Iterable[tuple[str, str, str, Change]]) -> str:
    """The digest of a change set: (workspace, kind, object id, change) in any order; notes do not count."""
    return digest(sorted([w, k, i, [f.to_json() for f in c.fields]] for w, k, i, c in changes))
