"""Saying, pressing, choosing and submitting for one person, where Slack's client would do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.say import entering, finding
from sandbox.say import text as said
from sandbox.say.client import Json, Page, Trouble
from sandbox.say.finding import Button, Field
from sandbox.say.inline import Names, words
from sandbox.say.settling import STILL, Answer, settle, shown_error

RECENT = 25  # how many messages back a press still looks for a name that is given in full


def channel(wanted: str | None, me: Json) -> str:
    """A channel by name or id; without one the person's usual one; `app` is their direct message with the app."""
    if wanted in ("app", "dm"):
        return "D" + str(me.get("id"))[1:]
    return (wanted or str(me.get("default_channel") or "")).lstrip("#")


@dataclass
class Stage:
    """Where one person acts."""

    page: Page
    names: Names
    channel: str
    wait: float
    at_home: bool
    tell: Callable[[str], None]
    still: float = STILL

    def say(self, what: str) -> Answer | None:
        """Send a command or a message (it has no answer). Nobody types behind a dialog: that is closed first."""
        for view in reversed(self.page.views()):
            self.page.post("close", view=view["id"])
        made = self.page.post("command", channel=self.channel, text=what)
        if not what.startswith("/") or not made.get("request"):
            return None
        return settle(self.page, str(made["request"]), self.wait, self.still)

    def _top(self) -> Json | None:
        views = self.page.views()
        return views[-1] if views else None

    def shortcut(self, wanted: str, text: str | None) -> Answer | None:
        """Choose a shortcut of the app by name in the menu of a message: of the newest one that holds ``text``."""
        offered = {str(s["name"]): str(s["callback_id"]) for s in self.page.state().get("shortcuts") or []}
        fits = [name for name in offered if name.casefold() == wanted.casefold()] or [
            name for name in offered if wanted.casefold() in name.casefold()
        ]
        if len(fits) != 1:
            raise Trouble(f"no message shortcut {wanted!r}; there are: {', '.join(offered) or 'none'}")
        messages = self.page.messages(self.channel)
        for parent in [m for m in messages if m.get("replies")]:
            messages += [m for m in self.page.messages(self.channel, parent["ts"]) if m["ts"] != parent["ts"]]
        shown = [m for m in messages if not m.get("ephemeral")]
        if text is not None:
            shown = [m for m in shown if text.casefold() in "\n".join(said.message(m, self.names)).casefold()]
        if not shown:
            raise Trouble(f"no message in {self.channel} holds {text!r}" if text else f"{self.channel} has no message")
        message = max(shown, key=lambda m: float(m["ts"]))
        made = self.page.post("shortcut", channel=message["channel"], ts=message["ts"], callback_id=offered[fits[0]])
        return settle(self.page, str(made["request"]), self.wait, self.still)

    def _places(self) -> Iterator[tuple[Json, Json]]:
        """(thing, container) in the order in which a press looks for its button."""
        top = self._top()
        if top:
            yield top, {"view": top["id"]}
            return
        if self.at_home:
            view = self.page.get("home").get("view")
            if view:
                yield view, {"home": True}
            return
        messages = self.page.messages(self.channel)
        private = [m for m in messages if m.get("ephemeral")]
        others = [m for m in messages if not m.get("ephemeral")]
        for message in [*private[-1:], *others[-1:]]:
            yield message, {"channel": message["channel"], "ts": message["ts"]}

    def _older(self) -> Iterator[tuple[Json, Json]]:
        """Further messages and replies, newest first, for a name that is given in full."""
        if self.at_home or self._top():
            return
        messages = self.page.messages(self.channel)[-RECENT:]
        for parent in [m for m in messages if m.get("replies")]:
            messages += [m for m in self.page.messages(self.channel, parent["ts"]) if m["ts"] != parent["ts"]]
        for message in sorted(messages, key=lambda m: float(m["ts"]), reverse=True):
            yield message, {"channel": message["channel"], "ts": message["ts"]}

    def click(self, wanted: str) -> Answer | None:
        """Press a button (its confirm question is told and accepted)."""
        places = [finding.buttons(thing, container, self.names) for thing, container in self._places()]
        try:
            button = finding.button(places, wanted)
        except Trouble:
            button = self._further(wanted) or finding.button(places, wanted)
        return self._press(button)

    def _further(self, wanted: str) -> Button | None:
        """A button with exactly this name in an older message."""
        for thing, container in self._older():
            exact = [b for b in finding.buttons(thing, container, self.names) if b.name.casefold() == wanted.casefold()]
            if exact:
                return finding.button([exact], wanted)
        return None

    def _press(self, button: Button) -> Answer | None:
        if button.foot == "submit":
            return self._send(str(button.container["view"]))
        if button.foot == "close":
            self.page.post("close", view=button.container["view"])
            top = self._top()
            return Answer({"id": None}, views=[top] if top else [])
        self._confirm(button.element)
        value = {"selected_option": button.option} if button.option else {"value": button.element.get("value")}
        address = button.element.get("url")
        if address:
            self.tell(f"Opens {address}")
        return self._act(button.container, button.block, button.element, value)

    def _confirm(self, element: Json) -> None:
        question = element.get("confirm")
        if question:
            title, body = words(question.get("title"), self.names), words(question.get("text"), self.names)
            yes = words(question.get("confirm"), self.names) or "Yes"
            self.tell(f"{title}\n{body}\n[{yes}]\n")

    def _act(self, container: Json, block: Json, element: Json, value: Json) -> Answer | None:
        ids = {"block_id": block.get("block_id"), "action_id": element.get("action_id")}
        made = self.page.post("act", container=container, **ids, **value)
        return settle(self.page, str(made["request"]), self.wait, self.still) if made.get("request") else None

    def select(self, assignment: str, pressing: bool = False) -> Answer | None:
        """Choose LABEL=OPTION; in a dialog this shows the dialog as it then is, unless a press follows."""
        name, value = entering.split(assignment)
        places = [finding.fields(thing, container, self.names) for thing, container in self._places()]
        field = finding.field(places, name)
        self._confirm(field.element)
        answer = self._enter(field, value)
        if answer and answer.error:
            raise shown_error(answer.error)
        if answer is None and not pressing:
            top = self._top()
            return Answer({"id": None}, views=[top]) if top else None
        return answer

    def _enter(self, field: Field, value: str) -> Answer | None:
        entry = entering.payload(field, value, self.names)
        if field.container.get("home") and field.block.get("type") == "input":
            ids = {"block_id": field.block.get("block_id"), "action_id": field.element.get("action_id")}
            made = self.page.post("input", home=True, **ids, **entry)
            return settle(self.page, str(made["request"]), self.wait, silent=0.0) if made.get("request") else None
        if "view" not in field.container:
            return self._act(field.container, field.block, field.element, entry)
        ids = {"block_id": field.block.get("block_id"), "action_id": field.element.get("action_id")}
        made = self.page.post("input", view=field.container["view"], **ids, **entry)
        return settle(self.page, str(made["request"]), self.wait, silent=0.0) if made.get("request") else None

    def submit(self, assignments: list[str]) -> Answer | None:
        """Fill fields of the top dialog by label, then press its submit button."""
        top = self._top()
        if top is None:
            raise Trouble(f"no dialog is open for {self.page.person}")
        for assignment in assignments:
            name, value = entering.split(assignment)
            view = self._top() or top
            answer = self._enter(finding.field([finding.fields(view, {"view": view["id"]}, self.names)], name), value)
            if answer and answer.error:
                raise shown_error(answer.error)
        view = self._top() or top
        if "submit" not in said.view_buttons(view, self.names):
            there = finding.listed([b.name for b in finding.buttons(view, {"view": view["id"]}, self.names)])
            raise Trouble(f"this dialog has nothing to submit; there are: {there}")
        return self._send(str(view["id"]))

    def _send(self, view: str) -> Answer:
        made = self.page.post("submit", view=view)
        if made.get("request"):
            answer = settle(self.page, str(made["request"]), self.wait, self.still)
        else:
            answer = Answer({"id": None, "errors": made.get("errors")})
        if answer.errors and not answer.views:
            top = self._top()
            answer.views = [top] if top else []
        return answer
