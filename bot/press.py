"""A press: what a person did in Slack, cut down to what is needed to act on it and to answer. Stored in the inbox."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from bot.render.views import typed_values
from commands.arguments import cleaned
from commands.grammar import clean, parse
from commands.registry import VERBS
from commands.reply import Actor, Request, Surface

Json = Mapping[str, Any]


class Kind(StrEnum):
    """What was done."""

    COMMAND = "command"
    ACTION = "action"
    SUBMISSION = "submission"
    SHORTCUT = "shortcut"
    HOME = "home"


class Origin(StrEnum):
    """Where it was done, which decides how it is answered."""

    CHANNEL = "channel"  # a command, or a button of a message
    EPHEMERAL = "ephemeral"  # a button of a message that only this person sees
    MODAL = "modal"
    HOME = "home"


@dataclass(frozen=True, slots=True)
class Press:
    """One press. ``team`` is the user's team where the payload says it; ``trigger`` and ``response_url`` are bearer
    handles: they are never logged, and go from the database once the press was answered."""

    kind: Kind
    origin: Origin
    user: str
    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)
    team: str | None = None
    channel: str | None = None
    trigger: str | None = None
    response_url: str | None = None
    view_id: str | None = None
    view_title: str = "Rollout"
    view_context: str = ""
    from_home: bool = False  # the Home tab is to be refreshed afterwards

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(raw: Json) -> "Press":
        known = {f.name: raw[f.name] for f in fields(Press) if f.name in raw}  # another version may have stored it
        return Press(**{**known, "kind": Kind(raw["kind"]), "origin": Origin(raw["origin"])})

    @property
    def message(self) -> tuple[str, str] | None:
        """Channel and ts of the message that a submitted form is about, where it still lacks a link."""
        named = self.arguments.get("message")
        if self.kind != Kind.SUBMISSION or not isinstance(named, str) or "permalink" in self.arguments:
            return None
        channel, _, ts = named.partition(":")
        return (channel, ts) if channel and ts else None

    @property
    def acts(self) -> bool:
        """Whether it may change something: then identity is established without any cache."""
        verb = VERBS.get(self.verb)
        return verb is None or verb.act

    def request(self, actor: Actor, shared_channel: bool) -> Request:
        """What is asked of the door."""
        surface = {Kind.COMMAND: Surface.SLASH, Kind.SUBMISSION: Surface.MODAL, Kind.HOME: Surface.HOME}.get(
            self.kind, Surface.HOME if self.origin == Origin.HOME else Surface.BUTTON
        )
        return Request(actor, cleaned(self.verb), _clean(self.arguments), surface, self.channel, shared_channel)


def key_of(kind: Kind, body: Json) -> str:
    """What makes a delivery the same press as another: the trigger id, or the event id. Raises KeyError."""
    handle = body["event_id"] if kind == Kind.HOME else body["trigger_id"]
    return f"{kind}:{hashlib.sha256(str(handle).encode()).hexdigest()}"


def of_command(body: Json) -> Press:
    """A slash command."""
    verb, arguments = parse(str(body.get("text") or ""))  # it undoes Slack's escapes
    return Press(
        Kind.COMMAND,
        Origin.CHANNEL,
        str(body["user_id"]),
        verb,
        dict(arguments),
        channel=body.get("channel_id"),
        trigger=body.get("trigger_id"),
        response_url=body.get("response_url"),
    )


def of_action(body: Json) -> Press | None:
    """A button; None when it is none of ours."""
    try:
        verb, arguments = _wish(_parsed(body["actions"][0]["value"]))
    except _MALFORMED:
        return None
    arguments.pop("submitted", None)  # only a form is submitted
    container, view = body.get("container") or {}, body.get("view") or {}
    context = _context(view)
    if view.get("type") == "home":
        origin = Origin.HOME
    elif view:
        origin = Origin.MODAL
    else:
        origin = Origin.EPHEMERAL if container.get("is_ephemeral") else Origin.CHANNEL
    return Press(
        Kind.ACTION,
        origin,
        str(body["user"]["id"]),
        verb,
        arguments,
        team=body["user"].get("team_id"),
        channel=(body.get("channel") or {}).get("id") or container.get("channel_id") or context.get("c"),
        trigger=body.get("trigger_id"),
        response_url=body.get("response_url"),
        view_id=view.get("id") if origin == Origin.MODAL else None,
        view_title=_title(view),
        view_context=view.get("private_metadata") or "",
        from_home=origin == Origin.HOME or bool(context.get("h")),
    )


#: The callback id of our message shortcut (manifest.yml).
REPORT = "report_issue"
_TITLE = 150


def of_shortcut(body: Json) -> Press | None:
    """A shortcut on a message; None when it is none of ours. The message's text is the proposed title.

    A link to the message does not come with it: it is asked for when the form is submitted, because a trigger is short.
    """
    try:
        if body["callback_id"] != REPORT:
            return None
        channel, ts = str(body["channel"]["id"]), str(body["message"]["ts"])
        text = body["message"].get("text")
    except _MALFORMED:
        return None
    title = clean(text)[:_TITLE] if isinstance(text, str) else ""
    return Press(
        Kind.SHORTCUT,
        Origin.CHANNEL,
        str(body["user"]["id"]),
        "issue",
        {"message": f"{channel}:{ts}", **({"title": title} if title else {})},
        team=body["user"].get("team_id"),
        channel=channel,
        trigger=body.get("trigger_id"),
        response_url=body.get("response_url"),
    )


def of_submission(body: Json) -> Press | None:
    """A submitted form; None when it is none of ours."""
    view = body["view"]
    context = _context(view)
    try:
        verb, arguments = _wish(context)
        values = typed_values((view.get("state") or {}).get("values") or {})
    except _MALFORMED:
        return None
    return Press(
        Kind.SUBMISSION,
        Origin.MODAL,
        str(body["user"]["id"]),
        verb,
        {**arguments, **values, "submitted": True},
        team=body["user"].get("team_id"),
        channel=context.get("c"),
        trigger=body.get("trigger_id"),
        view_id=view["id"],
        view_title=_title(view),
        view_context=view.get("private_metadata") or "",
        from_home=bool(context.get("h")),
    )


def of_home(body: Json) -> Press | None:
    """Somebody opened the Home tab; None for the Messages tab."""
    event = body["event"]
    if event.get("tab") != "home":
        return None
    return Press(Kind.HOME, Origin.HOME, str(event["user"]), "home", from_home=True)


def _clean(value: Any) -> Any:
    """A value whose texts can be stored and sent back to Slack: halves of a character cannot."""
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, list | tuple):
        return [_clean(entry) for entry in value]
    if isinstance(value, dict):
        return {cleaned(name): _clean(entry) for name, entry in value.items()}
    return value


#: What reading a payload of another shape raises.
_MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)


def _parsed(text: str) -> Any:
    """JSON without NaN and Infinity, which not every database stores. Raises one of ``_MALFORMED``."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no number")

    return json.loads(text, parse_constant=refuse)


def _wish(raw: Any) -> tuple[str, dict[str, Any]]:
    """Verb and arguments of a button or of a form. Raises one of ``_MALFORMED``."""
    verb, arguments = raw["v"], raw["a"]
    if not isinstance(verb, str) or not isinstance(arguments, dict):
        raise TypeError("a verb and its arguments are wanted")
    return verb, dict(arguments)


def _context(view: Json) -> dict[str, Any]:
    """What a modal carries; the channel is left out when it is none."""
    try:
        found = _parsed(view.get("private_metadata") or "{}")
    except _MALFORMED:
        return {}
    if not isinstance(found, dict):
        return {}
    return found if isinstance(found.get("c"), str) else {**found, "c": None}


def _title(view: Json) -> str:
    return str((view.get("title") or {}).get("text") or "Rollout")
