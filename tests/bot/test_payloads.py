"""Payloads of any shape, signed as Slack signs, through the whole bot over HTTP: none is answered with an error.

A payload is one that Slack sends, with parts left out, replaced by something else, or blown up.
"""

import copy
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from bot.build import Bot, build_app
from commands.registry import VERBS
from rollout.states import StageState
from sandbox.slack.limits import Limits
from sandbox.slack.server import Slack, running
from storage.models import Inbox
from tests.bot.harness import settings_for, soon, started
from tests.bot.test_fuzz import EVIL, ODD, PIECES, STAGES
from tests.bot.test_http import send
from tests.commands.world import PEOPLE, TEAM, World
from tests.ports import free_port

AT_ONCE = 20
NOBODY_THERE = ("channel_not_found", "user_not_found")  # how Slack says that somebody made up cannot be answered
USER = {"id": PEOPLE["qa"], "team_id": TEAM, "username": "quinn", "name": "quinn"}
COMMON = {"team": {"id": TEAM, "domain": "sandbox"}, "user": USER, "api_app_id": "A0ROLLOUT1", "trigger_id": "1.2.3"}
BUTTON = {"type": "button", "action_id": "a", "block_id": "b", "action_ts": "1.2"}
VIEW = {
    "id": "V1",
    "type": "modal",
    "callback_id": "form",
    "hash": "1.a",
    "app_installed_team_id": TEAM,
    "title": {"type": "plain_text", "text": "Start dev"},
    "state": {"values": {"in:reason": {"reason": {"type": "plain_text_input", "value": "because"}}}},
    "blocks": [{"type": "input", "block_id": "in:reason", "element": {"type": "plain_text_input"}}],
}
MESSAGE = {"type": "message", "user": PEOPLE["qa"], "text": "it is broken", "ts": "1700000000.000100"}
CHANNEL = {"id": "C0SUPPORT1", "name": "platform-support"}


@dataclass
class Served:
    """The bot over HTTP in front of the real door, the local Slack behind it."""

    slack: Slack
    bot: Bot
    world: World

    def wait(self) -> None:
        """Until every press was worked on."""

        def left() -> int:
            with self.world.database.read() as session:
                return int(
                    session.execute(select(func.count()).select_from(Inbox).where(Inbox.state != "done")).scalar_one()
                )

        soon(lambda: left() == 0, 60.0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory: Path = tmp_path_factory.mktemp("payloads")
    world = World(f"sqlite:///{directory / 'rollout.db'}")
    world.passed("dev")
    world.started("test", StageState.REVIEW)
    port = free_port()
    url = f"http://127.0.0.1:{port}/slack/events"
    # Nobody talks to a bot so fast: what is measured here is no rate.
    limits = Limits(
        tiers={2: 100_000, 3: 100_000, 4: 100_000}, post_burst=100_000, ack_seconds=60.0, trigger_seconds=60.0
    )
    with running(directory / "slack", mode="http", bot_url=url, limits=limits) as slack:
        bot = build_app(settings_for(slack, mode="http", port=port), world.database, world.door)
        with started(bot):
            yield Served(slack, bot, world)
    world.close()


class Mangler:
    """Makes payloads up. Most are nearly right: what is wholly wrong goes no further than the first look at it."""

    def __init__(self, random: Random) -> None:
        self._random, self._any = random, random.choice

    def body(self) -> tuple[str, str]:
        """Content type and body of one request."""
        made = self._any((self.command, self.action, self.submission, self.closed, self.event, self.shortcut))()
        for _ in range(self._any((0, 1, 1, 2, 3))):
            made = self._mangled(made)
        if isinstance(made, dict) and made.get("trigger_id") == "1.2.3":
            made["trigger_id"] = f"1.2.{self._random.randrange(10**12)}"
        if isinstance(made, dict) and "command" in made:
            fields = {str(k): v if isinstance(v, str) else json.dumps(v) for k, v in made.items()}
            return "application/x-www-form-urlencoded", urllib.parse.urlencode(fields, errors="replace")
        if isinstance(made, dict) and made.get("type") in ("event_callback", "url_verification"):
            return "application/json", json.dumps(made)
        if self._random.random() < 0.02:
            return self._any(("application/json", "text/plain", "")), self.typed()
        return "application/x-www-form-urlencoded", urllib.parse.urlencode({"payload": json.dumps(made)})

    def typed(self) -> str:
        text = " ".join(self._any(PIECES) for _ in range(self._random.randrange(4)))
        return text.encode(errors="replace").decode()

    def verb(self) -> str:
        return self._any(tuple(VERBS)) if self._random.random() < 0.9 else self.typed()

    def wish(self) -> str:
        stage = self._any(STAGES)
        arguments = {"rollout": 1, "stage": stage, "version": self._any((1, 2, 3)), "generation": 1, "page": 0}
        return json.dumps({"v": self.verb(), "a": arguments, "c": "C0SUPPORT1", "h": self._any((True, False))})

    def command(self) -> dict[str, Any]:
        return {
            "command": "/rollout",
            "text": f"{self.verb()} {self._any(STAGES)} {self.typed()}",
            "team_id": TEAM,
            "api_app_id": "A0ROLLOUT1",
            "user_id": PEOPLE["qa"],
            "channel_id": "C0SUPPORT1",
            "trigger_id": "1.2.3",
        }

    def action(self) -> dict[str, Any]:
        view = self._any(
            ({}, {"view": {**VIEW, "private_metadata": self.wish()}}, {"view": {"type": "home", "id": "V2"}})
        )
        container = {"type": "message", "message_ts": "1.2", "channel_id": "C0SUPPORT1", "is_ephemeral": True}
        actions = [{**BUTTON, "value": self.wish()}]
        return {
            "type": "block_actions",
            **COMMON,
            "container": container,
            "channel": CHANNEL,
            "actions": actions,
            **view,
        }

    def submission(self) -> dict[str, Any]:
        return {"type": "view_submission", **COMMON, "view": {**VIEW, "private_metadata": self.wish()}}

    def closed(self) -> dict[str, Any]:
        return {"type": "view_closed", **COMMON, "view": {**VIEW, "private_metadata": self.wish()}}

    def shortcut(self) -> dict[str, Any]:
        kind = self._any(("message_action", "shortcut"))
        name = self._any(("report_issue", "issue", self.typed()))
        return {
            "type": kind,
            **COMMON,
            "callback_id": name,
            "channel": CHANNEL,
            "message": MESSAGE,
            "message_ts": "1.2",
        }

    def event(self) -> dict[str, Any]:
        event = {"type": "app_home_opened", "user": PEOPLE["qa"], "tab": "home", "channel": "D1", "event_ts": "1.2"}
        number = self._random.randrange(10**12)
        outer = {"token": "x", "team_id": TEAM, "api_app_id": "A0ROLLOUT1", "event_id": f"Ev{number}", "event_time": 1}
        return {"type": "event_callback", **outer, "event": event}

    def _mangled(self, made: Any) -> Any:
        """One part left out, replaced, or added; now and then the whole."""
        if self._random.random() < 0.02:
            return self._odd()
        made = copy.deepcopy(made)
        places = list(_places(made))
        if not places:
            return made
        held, name = self._any(places)
        match self._any(("drop", "odd", "odd", "huge", "add")):
            case "drop":
                del held[name]
            case "huge":
                held[name] = self._any(("x" * 100_000, "🦄" * 5_000, ["y"] * 3_000, {"z": {"z": {"z": "z" * 9_000}}}))
            case "add" if isinstance(held, dict):
                held[self.typed() or "x"] = self._odd()
            case _:
                held[name] = self._odd()
        return made

    def _odd(self) -> Any:
        return self._any((*ODD, EVIL, self.typed(), {"text": EVIL}, [EVIL, 5]))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    entries: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    for name, inner in entries:
        yield value, name
        yield from _places(inner)


def play(served: Served, random: Random) -> None:
    mangler = Mangler(random)
    with structlog.testing.capture_logs() as said:
        for _ in range(AT_ONCE):
            kind, body = mangler.body()
            status, answer = send(served.bot, body, served.slack.signing_secret, **{"Content-Type": kind})
            assert status < 500, (status, kind, body[:3000], answer[:300])
        served.wait()
    errors = [entry for entry in said if entry["log_level"] in ("error", "critical") or "exc_info" in entry]
    unexpected = [e for e in errors if not (e["event"] == "a person got no answer" and e["error"] in NOBODY_THERE)]
    assert unexpected == [], unexpected


QUIET = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@settings(QUIET, max_examples=6)
@given(random=st.randoms(use_true_random=True))
def test_no_payload_is_answered_with_an_error(served: Served, random: Random) -> None:
    play(served, random)


@pytest.mark.soak
@settings(QUIET, max_examples=500)
@given(random=st.randoms(use_true_random=True))
def test_of_ten_thousand_payloads_none_is_answered_with_an_error(served: Served, random: Random) -> None:
    play(served, random)


MARKS = ("<!channel>", "<!here>", "<@UEVIL", "<https://evil")


def texts(value: Any) -> Iterator[str]:
    """Every text in a message that somebody may be shown: not what its buttons carry."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("value", "action_id", "block_id"):
                yield from texts(inner)


def marked_up(served: Served) -> list[str]:
    """The texts of the bot in which something that was typed became a mention or a link."""
    found = served.slack.get("messages", **{"as": "qa", "channel": "C0SUPPORT1"})["messages"]
    return [text for text in texts(found) if any(mark in text for mark in MARKS)]


def test_what_was_typed_is_never_markup_in_what_slack_was_given(served: Served) -> None:
    assert marked_up(served) == []


@pytest.mark.soak
def test_nor_is_it_after_ten_thousand_payloads(served: Served) -> None:
    assert marked_up(served) == []
