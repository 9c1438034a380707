"""What the app was granted and what it declared: read from manifest.yml, as an installation would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
FALLBACK: dict[str, Any] = {
    "display_information": {"name": "rollout"},
    "features": {
        "app_home": {"home_tab_enabled": True},
        "bot_user": {"display_name": "rollout"},
        "slash_commands": [
            {
                "command": "/rollout",
                "description": "Move to the next runtime",
                "usage_hint": "[status | plan | start STAGE]",
                "should_escape": True,
            }
        ],
    },
    "oauth_config": {
        "scopes": {"bot": ["commands", "chat:write", "users:read", "usergroups:read", "channels:read", "groups:read"]}
    },
    "settings": {
        "event_subscriptions": {"bot_events": ["app_home_opened"]},
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
    },
}


@dataclass(frozen=True)
class Command:
    """One slash command as declared."""

    command: str
    description: str
    usage_hint: str
    should_escape: bool


@dataclass(frozen=True)
class Shortcut:
    """One shortcut of messages as declared; global ones are not played."""

    name: str
    callback_id: str
    description: str


@dataclass(frozen=True)
class Manifest:
    """The parts of a manifest that rule what the app may do."""

    name: str
    scopes: tuple[str, ...]
    commands: dict[str, Command]
    home_tab: bool
    messages_tab: bool
    people_may_write: bool
    bot_events: tuple[str, ...]
    interactivity: bool
    shortcuts: dict[str, Shortcut]  # of messages, by callback_id

    @property
    def verbs(self) -> list[str]:
        """The lower-case words of all usage hints, once each: what a composer can complete."""
        words = [word for c in self.commands.values() for word in re.findall(r"\b[a-z][a-z-]+\b", c.usage_hint)]
        return list(dict.fromkeys(words))


def load(source: Path | dict[str, Any] | None = None) -> Manifest:
    """Read a manifest; without a source the repository's manifest.yml, or a minimal one while there is none."""
    if source is None:
        source = ROOT / "manifest.yml"
        if not source.exists():
            source = FALLBACK
    raw: Any = source if isinstance(source, dict) else yaml.safe_load(source.read_text(encoding="utf-8"))
    features = raw.get("features") or {}
    settings = raw.get("settings") or {}
    app_home = features.get("app_home") or {}
    scopes = (raw.get("oauth_config") or {}).get("scopes") or {}
    commands = {
        item["command"]: Command(
            command=item["command"],
            description=item.get("description", ""),
            usage_hint=item.get("usage_hint", ""),
            should_escape=bool(item.get("should_escape", False)),
        )
        for item in features.get("slash_commands") or []
    }
    return Manifest(
        name=(features.get("bot_user") or {}).get("display_name") or raw["display_information"]["name"],
        scopes=tuple(dict.fromkeys([*(scopes.get("bot") or []), *(scopes.get("bot_optional") or [])])),
        commands=commands,
        home_tab=bool(app_home.get("home_tab_enabled")),
        messages_tab=bool(app_home.get("messages_tab_enabled", True)),
        people_may_write=bool(app_home.get("messages_tab_enabled", True))
        and not app_home.get("messages_tab_read_only_enabled"),
        bot_events=tuple((settings.get("event_subscriptions") or {}).get("bot_events") or ()),
        interactivity=bool((settings.get("interactivity") or {}).get("is_enabled")),
        shortcuts={
            item["callback_id"]: Shortcut(item["name"], item["callback_id"], item["description"])
            for item in features.get("shortcuts") or []
            if item["type"] == "message"
        },
    )
