"""The Slack app that people create from manifest.yml may do what the bot needs, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import registry

ROOT = Path(__file__).resolve().parent.parent

VERBS = ["status", "plan", "start", "approve", "reject", "pause", "resume", "rollback", "checklist"]
VERBS += ["report", "audit", "help", "issues", "issue", "pin", "override", "unlock", "contacts", "reminders"]


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text())
    return loaded


def test_scopes_are_the_fewest_that_do(manifest: dict[str, Any]) -> None:
    scopes = manifest["oauth_config"]["scopes"]
    assert scopes == {
        "bot": ["commands", "chat:write", "users:read", "channels:read", "groups:read", "files:write"],
        "bot_optional": ["usergroups:read", "users:read.email"],
    }


def test_one_command_whose_hint_names_the_verbs(manifest: dict[str, Any]) -> None:
    (command,) = manifest["features"]["slash_commands"]
    assert command["command"] == "/rollout"
    assert command["should_escape"] is True, "names are never parsed: people and channels must arrive as ids"
    words = re.findall(r"[a-z]+", command["usage_hint"])
    assert [word for word in VERBS if word not in words] == []
    assert [word for word in words if word not in registry.VERBS] == [], "it names no command that there is not"
    assert words[:2] == ["help", "status"], "what fits into one line comes first"
    assert "url" not in command, "Socket Mode is the default; docs/install.md says what HTTP mode adds"


def test_home_tab_and_its_event(manifest: dict[str, Any]) -> None:
    assert manifest["features"]["app_home"]["home_tab_enabled"] is True
    assert manifest["settings"]["event_subscriptions"]["bot_events"] == ["app_home_opened"]


def test_socket_mode_and_interactivity_are_on(manifest: dict[str, Any]) -> None:
    settings = manifest["settings"]
    assert settings["socket_mode_enabled"] is True
    assert settings["interactivity"]["is_enabled"] is True
    assert settings["org_deploy_enabled"] is False
    assert settings["token_rotation_enabled"] is False


def test_texts_fit_slacks_limits(manifest: dict[str, Any]) -> None:
    display = manifest["display_information"]
    assert len(display["name"]) <= 35
    assert len(display["description"]) <= 140
    assert len(manifest["features"]["slash_commands"][0]["usage_hint"]) <= 1000
