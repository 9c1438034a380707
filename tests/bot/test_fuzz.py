"""Malformed commands, buttons and forms, thrown at the whole way from a payload to what is drawn.

Whatever comes: no error of our own, nothing that Slack would refuse, and nothing that a person typed becomes a mention,
a link or markup.
"""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from bot.answers import late
from bot.press import Press, of_action, of_command, of_submission
from bot.render.blocks import Detail
from bot.render.messages import message
from bot.render.views import TooMuch, form_view, home_view, result_view
from bot.workers import guarded
from commands.door import Door
from commands.grammar import ALIASES
from commands.registry import VERBS
from commands.reply import Actor, FieldErrors, Reply
from rollout.states import StageState
from sandbox.slack.blocks.check import CHARACTERS_PER_MESSAGE, characters, check_blocks, check_view, too_large
from storage.database import Database
from storage.models import Outbox, Target
from tests.commands.world import NOW, PEOPLE, TEAM, World

EXAMPLES, MANY = 12, 60
STAGES = ("dev", "test", "staging", "canary", "full")
EVIL = "<@UEVIL00001> <!channel> <!here> <https://evil.example|click> <#CEVIL00001> *bold* `code` :tada: &lt;!here&gt;"
PIECES = (
    EVIL,
    "<!channel>",
    "<@UEVIL00001|x>",
    "<https://evil.example|click>",
    "https://dev.example.net/compute/clusters/0101-101010-abcd",
    "https://[",
    "\u202eevil",
    "\x00",
    "\ud83d",
    "שלום",
    "```",
    '"',
    "'",
    "“",
    "&amp;",
    "%s{x}%",
    "dev etl 0",
    "nightly",
    "🦄" * 300,
    "x" * 10_000,
    "y " * 3_000,
    "\n",
    "-1",
    *STAGES,
)
ODD = (None, True, False, 0, -1, 1.5, 10**30, -(10**30), 2**31, 2**63, "", "x", [], ["dev"], [["dev"]], {}, {"a": [1]})
NAMES = (
    *("rollout", "version", "generation", "page", "stage", "target", "target_id", "words", "reason", "role", "comment"),
    *("confirm", "state", "verb", "stages", "items", "arguments", "submitted", "unheard-of"),
)
KNOWN = (*VERBS, *ALIASES)
WHO = ("devops", "devops-2", "qa", "qa", "tech-lead", "on-call", "developer", "nobody")


class Monkey:
    """Makes presses up. Most are nearly right, for what is wholly wrong goes no further than the first look at it."""

    def __init__(self, random: Random) -> None:
        self._random, self._any = random, random.choice

    def typed(self) -> str:
        return " ".join(self._any(PIECES) for _ in range(self._random.randrange(4)))

    def odd(self) -> Any:
        return self._any((*ODD, self.typed(), {self.typed(): self.typed()}, [self.typed(), 5]))

    def verb(self) -> str:
        return self._any(KNOWN) if self._random.random() < 0.9 else self.typed()

    def arguments(self) -> dict[str, Any]:
        """What a button or form of ours carries, with one thing or another left out, replaced or added."""
        subject = self._any(({"stage": self._any(STAGES)}, {"target_id": self._random.randrange(1, 16)}, {}))
        made = {"rollout": 1, "version": self._random.randrange(1, 4), "generation": 1, **subject}
        made |= {"page": self._any((0, 1, 2, 3, 10**9)), "reason": self.typed(), "comment": self.typed()}
        made |= {"items": self._any(([], ["runbooks"], ["runbooks", "cluster-setup"], [self.typed()]))}
        made |= {"state": self._any(("done", "not_applicable", "open")), "role": self._any(("qa", "tech-lead", "x"))}
        for name in self._random.sample(list(made), self._random.randrange(len(made))):
            if name != "rollout":
                del made[name]
        for _ in range(self._any((0, 0, 1, 1, 2))):
            made[self._any((*NAMES, self.typed()))] = self.odd()
        if self._random.random() < 0.1:
            made |= {"verb": self._any(KNOWN), "arguments": self._any((self.arguments(), self.odd()))}
        return made

    def fields(self) -> dict[str, Any]:
        options = [{"value": self._any((self.typed(), "runbooks"))} for _ in range(2)]
        made: dict[str, Any] = {
            "reason": {"type": "plain_text_input", "value": self._any((self.typed(), None))},
            "comment": {"type": "plain_text_input", "value": self.typed()},
            "role": {"type": "static_select", "selected_option": {"value": self._any(("qa", self.typed()))}},
            "items": {"type": "checkboxes", "selected_options": options},
            "state": self.odd(),
        }
        return {name: made[name] for name in self._random.sample(list(made), self._random.randrange(4))}

    def press(self) -> tuple[str, str, Any]:
        """A kind of payload, a person, and what it carries."""
        kind, person = self._any(("command", "action", "submission", "submission")), self._any(WHO)
        if kind == "command":
            return kind, person, f"{self.verb()} {self._any((*STAGES, self.typed()))} {self.typed()}"
        if kind == "submission":
            return kind, person, (self.verb(), self.arguments(), self.fields())
        wild = self._random.random() < 0.1
        return kind, person, (self.odd() if wild else self.verb(), self.odd() if wild else self.arguments())


class Strict:
    """A log on which an error of ours fails the test."""

    def info(self, event: str, **values: Any) -> None:
        json.dumps(values, default=str)

    def exception(self, event: str, **values: Any) -> None:
        error = sys.exc_info()[1]
        raise AssertionError(f"{event}: {error!r}") from error


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a rollout in the midst of things, with hostile names."""
    path = tmp_path_factory.mktemp("fuzz") / "prepared.db"
    world = World(f"sqlite:///{path}")
    world.passed("dev")
    world.started("test", StageState.REVIEW)
    world.started("staging", StageState.BLOCKED, bad=2)
    world.set_stage("staging", block_sentence=EVIL)
    with world.database.write() as session:
        session.execute(update(Target).where(Target.object_id.like("%-2")).values(name=EVIL, owner=EVIL))
        session.execute(update(Target).where(Target.object_id.like("%00001")).values(name="nightly"))
    with world.database.engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    world.close()
    return path


def payload(kind: str, user: str, sent: Any) -> dict[str, Any]:
    """What Slack would deliver."""
    body: dict[str, Any] = {"trigger_id": "1.2.3", "user_id": user, "channel_id": "C0SUPPORT1", "text": sent}
    if kind == "command":
        return body
    body = {"trigger_id": "1.2.3", "user": {"id": user, "team_id": TEAM}, "channel": {"id": "C0SUPPORT1"}}
    if kind == "action":
        return {**body, "actions": [{"value": json.dumps({"v": sent[0], "a": sent[1]})}]}
    verb, carried_along, typed = sent
    metadata = json.dumps({"v": verb, "a": carried_along, "c": "C0SUPPORT1", "h": False})
    values = {f"in:{name}": {name: value} for name, value in typed.items()}
    return {**body, "view": {"id": "V1", "private_metadata": metadata, "state": {"values": values}}}


def drawn(reply: Reply, press: Press | None = None, person: str = "") -> Iterator[dict[str, Any]]:
    """Every way in which a reply may be shown; all of them as Slack takes them."""
    request = press.request(Actor(TEAM, person), False) if press is not None else None
    bodies = [message(reply, detail, request) for detail in Detail]
    views = [result_view(reply, "Rollout", "{}", request)]
    if reply.form is not None:
        try:
            views.append(form_view(reply.form, "C0SUPPORT1", False))
        except TooMuch:
            raise AssertionError(f"the form of {reply.form.verb} is too large") from None
        if request is not None:
            bodies.append(message(late(reply, request)))
    for body in bodies:
        assert check_blocks(body["blocks"], "message") == []
        assert characters(body["blocks"]) <= CHARACTERS_PER_MESSAGE
        yield body
    for view in views:
        assert check_view(view, "modal") == []
        assert not too_large(view)
        yield view


def marked_up(shown: Any) -> Iterator[str]:
    """Every text in which Slack looks for mentions and links."""
    if isinstance(shown, list):
        for entry in shown:
            yield from marked_up(entry)
    elif isinstance(shown, dict):
        if isinstance(shown.get("text"), str) and shown.get("type", "mrkdwn") == "mrkdwn":
            yield shown["text"]
        yield from marked_up(list(shown.values()))


def harmless(shown: dict[str, Any]) -> None:
    json.dumps(shown, ensure_ascii=False).encode()  # it can be sent
    for said in marked_up(shown):
        for mark in ("<!", "<@UEVIL", "<#", "<https://evil", "<http://evil", "\x00", "\u202e"):
            assert mark not in said, said


def tries(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@tries(EXAMPLES)
@given(random=st.randoms(use_true_random=True))
def test_whatever_is_pressed_is_answered_and_draws_nothing_that_was_typed(prepared: Path, random: Random) -> None:
    _pressed(prepared, random)


@pytest.mark.soak
@tries(MANY)
@given(random=st.randoms(use_true_random=True))
def test_whatever_is_pressed_very_often_is_answered_and_draws_nothing_that_was_typed(
    prepared: Path, random: Random
) -> None:
    _pressed(prepared, random)


def _pressed(prepared: Path, random: Random) -> None:
    monkey = Monkey(random)
    made = [monkey.press() for _ in range(5)]
    path = prepared.with_name("copy.db")
    shutil.copyfile(prepared, path)
    for leftover in ("copy.db-wal", "copy.db-shm"):
        prepared.with_name(leftover).unlink(missing_ok=True)
    database = Database(f"sqlite:///{path}")
    try:
        _played(database, made)
    finally:
        database.close()


def _played(database: Database, made: list[tuple[str, str, Any]]) -> None:
    door = Door(database, lambda: NOW, Strict())
    make = {"command": of_command, "action": of_action, "submission": of_submission}
    for kind, person, sent in made:
        press = make[kind](payload(kind, PEOPLE[person], sent))
        if press is None:
            continue
        press = Press.from_json(json.loads(json.dumps(press.to_json(), allow_nan=False)))
        request = press.request(Actor(TEAM, PEOPLE[person]), False)
        with contextlib.suppress(FieldErrors):
            door.check_form(request)
        reply = guarded(lambda request=request: door.handle(request), press.verb)  # type: ignore[misc]
        assert "Something went wrong" not in reply.text
        for shown in drawn(reply, press, PEOPLE[person]):
            harmless(shown)
    _told(database, door)


def _told(database: Database, door: Door) -> None:
    """What everybody sees afterwards."""
    with database.read() as session:
        letters = list(session.scalars(select(Outbox)))
    if not letters:
        return  # nobody did anything
    said = [door.document(row.kind, row.rollout_id, row.stage_id, row.ids) for row in letters]
    for reply in [*(r for r in said if r is not None), *(door.card(row.stage_id) for row in letters if row.stage_id)]:
        for shown in drawn(reply):
            harmless(shown)
    home = home_view(door.home(Actor(TEAM, PEOPLE["devops"])))
    assert check_view(home, "home") == []
    harmless(home)
