"""Waiting for the answer. Settled: acknowledged, the answers unchanged for a second, none of them still working."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from sandbox.say.client import Json, Page, Trouble, working

STILL = 1.0  # unchanged for so long
SILENT = 3.0  # an acknowledged request without any answer is given so long to get one
LOOK = 0.08


@dataclass
class Answer:
    """What a person saw after a request."""

    request: Json
    messages: list[Json] = field(default_factory=list)
    views: list[Json] = field(default_factory=list)  # open dialogs that answered, top last
    settled: bool = True

    @property
    def error(self) -> str | None:
        """Slack's own error, if it would show one."""
        return self.request.get("error") or None

    @property
    def errors(self) -> Json:
        """Errors below the fields of a dialog."""
        return dict(self.request.get("errors") or {})


def look(page: Page, request: str) -> Answer:
    """The answers to a request as they are now."""
    record = page.request(request)
    found = Answer(record)
    open_now = {view["id"]: view for view in page.views()}
    for item in record.get("answers") or []:
        message = item.get("message")
        view = item.get("view")
        if message and not message.get("deleted"):
            found.messages.append(message)
        elif view and view.get("id") in open_now:
            found.views.append(open_now[view["id"]])
        elif view and view.get("type") == "home":
            found.views.append(view)
    order = list(open_now)
    found.views.sort(key=lambda view: order.index(view["id"]) if view["id"] in order else -1)
    return found


def _over(answer: Answer) -> bool:
    """Acknowledged; or held back by the client's own checks, or answered by Slack itself, without ever being sent."""
    request = answer.request
    unsent = not request.get("delivered") and bool(answer.messages or answer.errors)
    return bool(request.get("acknowledged")) or unsent


def settle(page: Page, request: str, wait: float, still: float = STILL, silent: float = SILENT) -> Answer:
    """Look until the answers are settled or `wait` seconds are over."""
    started = time.monotonic()
    before, since = "", started
    while True:
        now = look(page, request)
        clock = time.monotonic()
        shape = json.dumps(
            [now.messages, now.views, now.error, now.errors, now.request.get("acknowledged")], sort_keys=True
        )
        if shape != before:
            before, since = shape, clock
        quiet = clock - since
        spoken = bool(now.messages or now.views or now.errors)
        if now.error and quiet >= min(still, 0.3):
            return now
        enough = still if spoken else max(still, silent)
        if _over(now) and quiet >= enough and not working([*now.messages, *now.views]):
            return now
        if clock - started >= wait:
            now.settled = False
            return now
        time.sleep(LOOK)


def home(page: Page, wait: float) -> Json | None:
    """The Home tab after it was opened: unchanged for a second; None when the bot publishes none."""
    started = time.monotonic()
    view = page.get("home", open=1).get("view")
    before, since = json.dumps(view, sort_keys=True), started
    while True:
        time.sleep(LOOK)
        view = page.get("home").get("view")
        clock = time.monotonic()
        shape = json.dumps(view, sort_keys=True)
        if shape != before:
            before, since = shape, clock
        if view and not working([view]) and clock - since >= STILL:
            return dict(view)
        if clock - started >= wait or (not view and clock - since >= SILENT):
            return dict(view) if view else None


SENTENCES = {
    "operation_timeout": "the app did not acknowledge within 3 seconds (operation_timeout)",
    "dispatch_failed": "the app could not be reached (dispatch_failed); is the bot running?",
}


def shown_error(error: str) -> Trouble:
    """The error that Slack would show, as a sentence."""
    return Trouble(f"Slack shows an error: {SENTENCES.get(error, error)}")
