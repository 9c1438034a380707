"""The secrets of the local installation: made at the first start, kept in DIR, readable by their owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tokens:
    """What the bot is given in its settings."""

    bot: str
    app: str
    signing_secret: str


def load(directory: Path) -> Tokens:
    """Read DIR/slack-tokens.json, or make it."""
    path = directory / "slack-tokens.json"
    if path.exists():
        return Tokens(**json.loads(path.read_text(encoding="utf-8")))
    directory.mkdir(parents=True, exist_ok=True)
    tokens = Tokens(
        bot=f"xoxb-sandbox-{secrets.token_hex(16)}",
        app=f"xapp-sandbox-{secrets.token_hex(16)}",
        signing_secret=secrets.token_hex(16),
    )
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(tokens), file)
    return tokens
