"""Plays people and calendar of a running sandbox by the page's own API, and waits for what the stage cards say."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.say import text
from sandbox.say.acting import Stage, channel
from sandbox.say.client import Json, Page, Trouble
from sandbox.say.inline import Names
from sandbox.say.settling import Answer

PATIENCE = 60.0
LOOK = 0.1
STILL = 0.25
"""Seconds without a change after which an answer is complete; a person's 1 s would add up to half a minute."""


class Player:
    """Everybody in the story. `tell` takes one line for whoever waits for it."""

    def __init__(self, port: int, tell: Callable[[str], None]) -> None:
        """`port` is the page's."""
        self._port = port
        self._tell = tell
        self._people: dict[str, Stage] = {}

    def _person(self, key: str) -> Stage:
        if key not in self._people:
            page = Page(self._port, key)
            state = page.state()
            where = channel(None, state["me"])
            self._people[key] = Stage(page, Names(state), where, PATIENCE, False, lambda _: None, still=STILL)
        return self._people[key]

    def tell(self, sentence: str) -> None:
        """One line of progress."""
        self._tell(sentence)

    def does(self, person: str, typed: str, pressed: str | None = None) -> None:
        """Type a command and press a button of what it answers. Raises Trouble with what the bot refuses with."""
        stage = self._person(person)
        answer = stage.say(typed)
        if pressed is not None and not _refusal(answer, stage.names):
            answer = stage.click(pressed)
        refusal = _refusal(answer, stage.names)
        if refusal:
            raise Trouble(f"{person}, {typed}: {refusal}")

    def says(self, person: str, words: str) -> None:
        """Write a message to the person's usual channel."""
        self._person(person).say(words)

    def fills(self, person: str, **fields: str) -> None:
        """Fill the fields of the dialog that is open and submit it."""
        answer = self._person(person).submit([f"{label}={value}" for label, value in fields.items()])
        if answer and answer.errors:
            raise Trouble(f"{person}: the dialog was not accepted: {' '.join(map(str, answer.errors.values()))}")

    def leave(self) -> None:
        """Close every dialog that was left open, so that who comes next sees the channel."""
        for stage in self._people.values():
            for view in reversed(stage.page.views()):
                stage.page.post("close", view=view["id"])

    def starts(self, stage: str, by: str = "devops") -> None:
        """Start a stage, by command and dialog; where the bot has not looked for long, ask it to look first."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.does(by, f"/rollout start {stage}", f"Start {stage}")
            except Trouble as trouble:
                if "(discovery_stale)" not in str(trouble) or time.monotonic() > until:
                    raise
            self.does(by, "/rollout refresh")

    def approve(self, stage: str, *signers: str) -> None:
        """Each signs the stage off, by command and dialog; then it has passed."""
        for signer in signers:
            self.does(signer, f"/rollout approve {stage}", f"Approve {stage}")
        self.until(stage, "passed")
        self.tell(f"{stage} passed, signed off by {' and '.join(signers)}")

    def card(self, stage: str) -> Json:
        """What the card of a stage tells machines: its `state`, and when its bake ends; empty without a card."""
        watcher = self._person("devops")
        for message in reversed(watcher.page.messages(watcher.channel)):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("stage") == stage:
                return dict(payload)
        return {}

    def until(self, stage: str, *states: str) -> None:
        """Wait until the card of a stage shows one of these states. Trouble after PATIENCE without a change of it."""
        before, since = "", time.monotonic()
        while (state := str(self.card(stage).get("state", "without a card"))) not in states:
            if state != before:
                before, since = state, time.monotonic()
            if time.monotonic() - since > PATIENCE:
                raise Trouble(f"{stage} is {state}, and does not become {' or '.join(states)}")
            time.sleep(LOOK)

    def runtimes(self, workspace: str) -> dict[tuple[str, str], str]:
        """The runtime of every target of a workspace, by kind and id, as the local Databricks holds it."""
        found = self._person("devops").page.get("fleet")["workspaces"]
        return {
            (t["kind"], t["id"]): str(t["runtime"]) for ws in found if ws["key"] == workspace for t in ws["targets"]
        }

    def until_moved(self, workspace: str, before: dict[tuple[str, str], str], count: int) -> None:
        """Wait until so many targets of a workspace name another runtime than before."""
        until = time.monotonic() + PATIENCE
        while sum(before.get(key, now) != now for key, now in self.runtimes(workspace).items()) < count:
            if time.monotonic() > until:
                raise Trouble(f"fewer than {count} targets of {workspace} were changed within {PATIENCE:g} s")
            time.sleep(LOOK)

    def weather(self, **fault: object) -> None:
        """Set a fault of the Databricks side; without one all is fine again."""
        self._person("devops").page.post("weather", **(fault or {"clear": True}))

    # -- the calendar --------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The calendar's instant."""
        return datetime.fromisoformat(self._person("devops").page.get("clock")["now"])

    def run_at(self, speed: float) -> None:
        """Calendar seconds in a second from now on."""
        self._person("devops").page.post("clock", speed=speed)

    def look(self, seconds: float) -> None:
        """Let this much of the calendar pass by itself (it must run), so that servers and bot see the present hour."""
        then = self.now() + timedelta(seconds=seconds)
        while self.now() < then:
            time.sleep(LOOK)

    def skip(self, seconds: float) -> None:
        """Jump ahead."""
        self._person("devops").page.post("clock", step=seconds)

    def skip_to(self, hour: int) -> None:
        """Jump to the next time that it is this full hour, UTC."""
        now = self.now()
        then = now.replace(hour=hour, minute=0, second=0, microsecond=0)
        self.skip(((then if then > now else then + timedelta(days=1)) - now).total_seconds())


def _refusal(answer: Answer | None, names: Names) -> str:
    """What the bot, or Slack itself, refused with; empty when it was done."""
    if answer is None:
        return ""
    said = ["\n".join(text.message(message, names)) for message in answer.messages]
    said += ["\n".join(text.view(view, names)) for view in answer.views]
    refused = [words for words in said if words.startswith("Refused (") or "\nRefused (" in words]
    return "\n".join([*([answer.error] if answer.error else []), *map(str, answer.errors.values()), *refused])
