"""What Bolt calls: store the press, acknowledge it, no more. Everything else happens in the workers."""

import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog
from slack_bolt import App
from slack_sdk import WebClient

from bot import guard, press
from bot.clients import Own
from bot.door import Door
from bot.press import Kind, Press
from bot.render.views import INPUT, result_view, working_view
from bot.workers import Workers
from commands.reply import Actor, FieldErrors, Paragraph, Reply

log = structlog.get_logger("bot.listeners")
Body = dict[str, Any]

ALREADY = "This form was already sent and worked on. /rollout status shows what came of it."


def bolt_app(web: WebClient, signing_secret: str, own: Own, door: Door, workers: Workers, threads: int = 32) -> App:
    """The Bolt app with its listeners. Calls auth.test once more (Bolt does)."""
    app = App(
        client=web,
        signing_secret=signing_secret,
        before_authorize=guard.middleware(own),
        listener_executor=ThreadPoolExecutor(threads, thread_name_prefix="listener"),
        logger=logging.getLogger("slack_bolt"),
        name="rollout",
    )
    listeners = Listeners(door, workers)
    app.command("/rollout")(listeners.command)
    app.action(re.compile(".*"))(listeners.action)
    app.message_shortcut(re.compile(".*"))(listeners.shortcut)
    app.view(re.compile(".*"))(listeners.submission)
    app.view_closed(re.compile(".*"))(listeners.closed)
    app.event("app_home_opened")(listeners.home)
    return app


class Listeners:
    """One method per kind of delivery. A press that cannot be stored raises, and so is not acknowledged."""

    def __init__(self, door: Door, workers: Workers) -> None:
        self._door, self._workers = door, workers

    def command(self, body: Body, ack: Callable[..., Any]) -> None:
        """A slash command."""
        self._keep(Kind.COMMAND, body, press.of_command(body), ack)

    def action(self, body: Body, ack: Callable[..., Any]) -> None:
        """A button. A press on something that is none of ours is only acknowledged."""
        self._keep(Kind.ACTION, body, press.of_action(body), ack)

    def shortcut(self, body: Body, ack: Callable[..., Any]) -> None:
        """A shortcut in the menu of a message."""
        self._keep(Kind.SHORTCUT, body, press.of_shortcut(body), ack)

    def submission(self, body: Body, ack: Callable[..., Any]) -> None:
        """A form: wrong fields are answered at once; else a view that says so is shown until the result is known."""
        made = press.of_submission(body)
        if made is None:
            ack()
            return
        errors = self._field_errors(made)
        if errors:
            shown = {block["block_id"] for block in body["view"]["blocks"] if block.get("type") == "input"}
            known = {INPUT + key: text for key, text in errors.items() if INPUT + key in shown}
            if known:
                ack(response_action="errors", errors=known)
            else:  # about no field that is there: say it in the form's place
                reply = Reply("; ".join(errors.values()), (Paragraph(tuple((text,) for text in errors.values())),))
                ack(response_action="update", view=result_view(reply, made.view_title, made.view_context))
            return
        view = working_view(made.view_title, made.view_context)
        if not self._keep(Kind.SUBMISSION, body, made, partial(ack, response_action="update", view=view)):
            if self._workers.is_done(press.key_of(Kind.SUBMISSION, body)):
                view = result_view(Reply(ALREADY), made.view_title, made.view_context)
            ack(response_action="update", view=view)

    def closed(self, ack: Callable[..., Any]) -> None:
        """A closed modal: nothing had happened, nothing happens."""
        ack()

    def home(self, body: Body, ack: Callable[..., Any]) -> None:
        """The Home tab was opened."""
        self._keep(Kind.HOME, body, press.of_home(body), ack)

    def _keep(self, kind: Kind, body: Body, made: Press | None, ack: Callable[..., Any]) -> bool:
        """Store, acknowledge, hand on. A duplicate is only acknowledged, by the caller if it is a form: gives False."""
        taken = self._workers.accept(press.key_of(kind, body), made) if made is not None else None
        if taken is None:
            if kind != Kind.SUBMISSION:
                ack()
            return False
        ack()
        self._workers.hand(taken)
        return True

    def _field_errors(self, made: Press) -> dict[str, str]:
        """What is wrong with the fields; identity is not known yet and does not matter here."""
        try:
            self._door.check_form(made.request(Actor(made.team or "", made.user), False))
        except FieldErrors as error:
            return error.errors
        except Exception:
            log.exception("fields could not be checked", verb=made.verb)
        return {}
