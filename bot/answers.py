"""Answering a press: privately where it was made, in the modal it came from, or in a form that it opens."""

import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.webhook import WebhookClient

from bot.clients import NotSent, RateLimited, Refused, Unknown, call, retry_after
from bot.press import Origin, Press
from bot.render.blocks import Detail
from bot.render.messages import message
from bot.render.views import TooMuch, form_view, home_view, result_view
from commands.reply import Button, Buttons, Paragraph, Reply, Request

log = structlog.get_logger("bot.answers")

Failure = (RateLimited, Refused, NotSent, Unknown)
#: Errors after which the same thing is tried with older blocks.
BLOCKS = frozenset({"invalid_blocks", "invalid_arguments", "invalid_blocks_format", "msg_blocks_too_long"})
_TRIGGER = frozenset({"expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id", "trigger_expired"})


class Answers:
    """Sends the reply to one press. ``seconds`` is the time limit of one call to Slack."""

    def __init__(self, web: WebClient, seconds: float = 5.0) -> None:
        self._web = web
        self._seconds = seconds

    def give(self, press: Press, request: Request, reply: Reply) -> str:
        """Show ``reply`` to who pressed; gives a word on how. Raises when there is no way left to show it."""
        if reply.form is not None:
            try:
                return self._form(press, request, reply)
            except TooMuch as error:
                log.error("a form is too large for Slack", verb=request.verb, error=str(error))
                said = f"This form is too large for Slack ({error}); nothing has happened."
                reply = Reply(f"{said} Name one stage or one target, or use the terminal: python app.py rollout.")
        if press.origin == Origin.MODAL:
            return self._in_modal(press, request, reply)
        if press.origin == Origin.HOME:
            return self._over_home(press, request, reply)
        return self._private(press, request, reply)

    def home(self, user: str, reply: Reply) -> None:
        """Show the Home tab of a person. Raises as ``call`` does."""
        call(self._web.views_publish, user_id=user, view=home_view(reply))

    def permalink(self, channel: str, ts: str) -> str:
        """A link to a message; empty where Slack gives none: the bot may not be in that channel."""
        try:
            return str(_twice(lambda: call(self._web.chat_getPermalink, channel=channel, message_ts=ts))["permalink"])
        except (*Failure, KeyError) as error:
            log.info("there is no link to a message", channel=channel, error=str(error))
            return ""

    # -- forms -------------------------------------------------------------------------------------------------------

    def _form(self, press: Press, request: Request, reply: Reply) -> str:
        assert reply.form is not None
        view = form_view(reply.form, press.channel, press.from_home)
        try:
            if press.origin == Origin.MODAL:
                _twice(lambda: call(self._web.views_update, view_id=press.view_id, view=view))
                return "form"
            if press.trigger is not None:
                call(self._web.views_open, trigger_id=press.trigger, view=view)
                return "form"
        except Refused as error:
            if error.error in BLOCKS or error.error == "view_too_large":
                log.error("Slack refused a form", verb=request.verb, error=str(error))
                said = f"Slack refused to show the form ({error.error}); nothing has happened."
                return self._private(press, request, Reply(f"{said} Tell the people who run the bot."))
            if error.error not in _TRIGGER:
                log.warning("a form could not be opened", verb=request.verb, error=str(error))
        except (RateLimited, NotSent, Unknown) as error:
            log.warning("a form could not be opened", verb=request.verb, error=str(error))
        return self._private(press, request, late(reply, request))

    # -- documents ---------------------------------------------------------------------------------------------------

    def _in_modal(self, press: Press, request: Request, reply: Reply) -> str:
        view = result_view(reply, press.view_title, press.view_context, request)
        try:
            _twice(lambda: call(self._web.views_update, view_id=press.view_id, view=view))
            return "view"
        except Failure as error:
            log.info("the modal of an answer is gone", error=str(error))
            return self._private(press, request, reply)

    def _over_home(self, press: Press, request: Request, reply: Reply) -> str:
        view = result_view(reply, "Rollout", press.view_context or '{"h":true}', request)
        if press.trigger is not None:
            try:
                call(self._web.views_open, trigger_id=press.trigger, view=view)
                return "view"
            except Failure as error:
                log.info("a modal over the Home tab could not be opened", error=str(error))
        return self._private(press, request, reply)

    def _private(self, press: Press, request: Request, reply: Reply) -> str:
        """By response_url; else as an ephemeral message in the channel; else as a direct message."""
        ways: list[tuple[str, Callable[[dict[str, Any]], Any]]] = []
        if press.response_url:
            paging = "page" in request.arguments and not press.acts
            replace = press.origin == Origin.EPHEMERAL and paging and reply.refused is None
            url = press.response_url
            ways.append(("response_url", lambda body: self._respond(url, body, replace)))
        if press.channel and not press.channel.startswith("D"):
            ephemeral = {"channel": press.channel, "user": press.user}
            ways.append(("ephemeral", lambda body: call(self._web.chat_postEphemeral, **ephemeral, **body)))
        ways.append(("direct", lambda body: call(self._web.chat_postMessage, channel=press.user, **body)))
        failure: Exception | None = None
        for name, way in ways:
            try:
                self._in_any_detail(way, request, reply)
                return name
            except Failure as error:
                log.warning("an answer could not be given", way=name, error=str(error))
                failure = error
        assert failure is not None
        raise failure

    def _in_any_detail(self, way: Callable[[dict[str, Any]], Any], request: Request, reply: Reply) -> None:
        bodies = renderings(lambda detail: message(reply, detail, request))
        for body in bodies:
            try:
                _twice(partial(way, body))
                return
            except Refused as error:
                if error.error not in BLOCKS or body is bodies[-1]:
                    raise
                log.warning("Slack refused blocks; sent again with older ones", error=str(error))

    def _respond(self, url: str, body: dict[str, Any], replace: bool) -> None:
        hook = WebhookClient(url, timeout=self._seconds, retry_handlers=[])  # type: ignore[arg-type]
        try:
            answer = hook.send_dict({**body, "response_type": "ephemeral", "replace_original": replace})
        except URLError as error:
            raise Unknown(f"no answer: {error.reason}") from error
        except (OSError, HTTPException, SlackClientError) as error:
            raise Unknown(f"no answer: {type(error).__name__}") from error
        if answer.status_code == 429:
            raise RateLimited(retry_after(answer.headers))
        if answer.status_code >= 500:
            raise Unknown(f"Slack answered {answer.status_code}")
        if answer.status_code != 200:
            found = next((name for name in sorted(BLOCKS) if name in answer.body), answer.body[:60] or "refused")
            raise Refused(found)


def renderings(render: Callable[[Detail], dict[str, Any]]) -> list[dict[str, Any]]:
    """The same message with ever older blocks, without repetitions: native, with one table, as text."""
    made: list[dict[str, Any]] = []
    for detail in Detail:
        body = render(detail)
        if body not in made:
            made.append(body)
    return made


def late(reply: Reply, request: Request) -> Reply:
    """When a form can no longer be opened: a button that opens it."""
    arguments = {k: v for k, v in request.arguments.items() if k != "submitted"}
    submit = reply.form.submit if reply.form is not None else request.verb
    return Reply(
        f"{submit}: the form could not be opened in time. Press the button to open it now.",
        (
            Paragraph(((f"{submit}: the form could not be opened in time. Nothing has happened yet.",),)),
            Buttons((Button("Open the form", request.verb, arguments, "primary"),)),
        ),
    )


def _twice(attempt: Callable[[], Any]) -> Any:
    """Try once more where that does no harm: after a short 429, or when nothing came back."""
    try:
        return attempt()
    except RateLimited as error:
        if error.seconds > 3:
            raise
        time.sleep(error.seconds)
    except (NotSent, Unknown):
        time.sleep(0.3)
    return attempt()
