"""What an acknowledgement does: the first answer to a command, the fate of a submitted modal, or an error."""

from __future__ import annotations

from typing import Any

from sandbox.slack import modals, posting
from sandbox.slack.api.content import Content
from sandbox.slack.delivery import Outcome
from sandbox.slack.errors import Refused
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

CONNECTING = "We had some trouble connecting. Try again?"
INVALID_COMMAND_RESPONSE = "invalid_command_response"
INVALID_VIEW_RESPONSE = "invalid_view_response"


def command(ws: Workspace, request: Json, name: str, channel: str, outcome: Outcome) -> None:
    """A command was acknowledged, perhaps with a first answer; or the person learns that it failed."""
    error = outcome.error
    if error is None and outcome.body is not None:
        try:
            answer_in_place(ws, request, channel, outcome.body)
        except Refused:
            error = INVALID_COMMAND_RESPONSE
    if error:
        ws.requests.changed(request, error=error)
        posting.whisper(ws, channel, request["user"], f'{name} failed with the error "{error}"')


def answer_in_place(ws: Workspace, request: Json, channel: str, body: Any) -> None:
    """Post what a bot said in its acknowledgement of a command; an empty text says nothing."""
    if not isinstance(body, dict):
        raise Refused(INVALID_COMMAND_RESPONSE)
    if not body or body == {"text": ""}:
        return
    kind = body.get("response_type", "ephemeral")
    if kind not in ("ephemeral", "in_channel"):
        raise Refused(INVALID_COMMAND_RESPONSE)
    content = Content.read(body)
    posting.post(
        ws,
        channel,
        ws.cast.bot_user,
        bot=True,
        to=request["user"] if kind == "ephemeral" else None,
        request=request["id"],
        **content.fields(),
    )


def submission(ws: Workspace, request: Json, view_id: str, outcome: Outcome) -> None:
    """A submitted modal was acknowledged: it closes, changes, shows errors, is covered by another; or it failed."""
    record = modals.get(ws, view_id)
    if record is None:
        return
    record["pending"] = False
    if outcome.error:
        ws.requests.changed(request, error=outcome.error)
        modals.trouble(ws, record, error=CONNECTING)
        return
    try:
        _obey(ws, request, record, outcome.body)
    except Refused as refused:
        ws.requests.changed(request, error=INVALID_VIEW_RESPONSE, detail=[refused.error, *refused.messages])
        modals.trouble(ws, record, error=CONNECTING)


def _obey(ws: Workspace, request: Json, record: Json, body: Any) -> None:
    """Do what `response_action` says; Refused when it is not one of Slack's."""
    if body is None or body == {} or body == "":
        modals.close(ws, record)
        return
    if not isinstance(body, dict):
        raise Refused(INVALID_VIEW_RESPONSE)
    wanted = body.get("response_action")
    person = ws.cast.by_id[record["user"]]
    if wanted == "clear":
        modals.close(ws, record, everything=True)
    elif wanted == "errors":
        errors = _field_errors(record, body.get("errors"))
        ws.requests.changed(request, errors=errors)
        modals.trouble(ws, record, errors=errors)
    elif wanted == "update":
        modals.replace(ws, record, modals.checked(body.get("view"), "modal"), request["id"])
    elif wanted == "push":
        modals.push(ws, person, modals.checked(body.get("view"), "modal"), request["id"])
    else:
        raise Refused(INVALID_VIEW_RESPONSE, [f"response_action {wanted!r}"])


def _field_errors(record: Json, errors: Any) -> dict[str, str]:
    """Field errors must name input blocks of this view, and say something."""
    inputs = {block["block_id"] for block in record["view"]["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors:
        raise Refused(INVALID_VIEW_RESPONSE, ["errors must be an object with at least one entry"])
    for block_id, sentence in errors.items():
        if block_id not in inputs:
            raise Refused(INVALID_VIEW_RESPONSE, [f"no input block {block_id}"])
        if not isinstance(sentence, str) or not sentence:
            raise Refused(INVALID_VIEW_RESPONSE, [f"the error of {block_id} must be a text"])
    return dict(errors)


def action(ws: Workspace, request: Json, view_id: str | None, outcome: Outcome) -> None:
    """A press was acknowledged (a body is ignored), or the person sees a warning."""
    if outcome.error is None:
        return
    ws.requests.changed(request, error=outcome.error)
    record = modals.get(ws, view_id) if view_id else None
    if record is not None:
        modals.trouble(ws, record, error=CONNECTING)
