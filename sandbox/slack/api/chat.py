"""chat.*: post, post to one person, update, delete, and link."""

from __future__ import annotations

import re

from sandbox.slack import posting
from sandbox.slack.api.arguments import Arguments
from sandbox.slack.api.content import Content
from sandbox.slack.api.registry import method
from sandbox.slack.errors import Refused
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

WRITE = ("chat:write",)
STAMP = re.compile(r"\d{10}\.\d{6}")


def _place(ws: Workspace, given: str | None, names: bool = False) -> str:
    """The channel that a call means: an id, where `names` also a name or a person (their direct messages)."""
    found = None
    if given:
        found = given if ws.seats.knows(given) else None
        if found is None and names:
            channel = ws.cast.channel(given)
            person = ws.cast.by_id.get(given)
            if person is not None and person.deleted:
                raise Refused("user_disabled")
            found = channel.id if channel else person.dm if person else None
    if found is None or (_private(ws, found) and not ws.seats.bot(found)):
        raise Refused("channel_not_found")
    return found


def _private(ws: Workspace, channel: str) -> bool:
    known = ws.cast.channels.get(channel)
    return bool(known and known.is_private)


def _may_write(ws: Workspace, channel: str, uninvited: bool = False) -> None:
    """The bot must be a member; `uninvited` posting in public needs its own scope."""
    known = ws.cast.channels.get(channel)
    if known and known.is_archived:
        raise Refused("is_archived")
    if not ws.seats.bot(channel) and not (uninvited and "chat:write.public" in ws.manifest.scopes):
        raise Refused("not_in_channel")


def _thread(ws: Workspace, channel: str, given: str | None) -> str | None:
    """The root of the thread that a reply goes to."""
    if not given:
        return None
    if not STAMP.fullmatch(given):
        raise Refused("invalid_thread_ts")
    parent = ws.messages.get(channel, given)
    if parent is None or parent["to"] or (parent["deleted"] and not ws.messages.replies(channel, given)):
        raise Refused("thread_not_found")
    return parent["thread_ts"] or given


def _warned(answer: Json, content: Content) -> Json:
    if content.warnings:
        answer["warning"] = ",".join(content.warnings)
        answer["response_metadata"] = {"warnings": content.warnings}
    return answer


@method("chat.postMessage", scopes=WRITE)
def post_message(ws: Workspace, arguments: Arguments) -> Json:
    """Post into a channel, a thread, or a person's direct messages; one a second in each."""
    channel = _place(ws, arguments.text("channel"), names=True)
    _may_write(ws, channel, uninvited=True)
    content = Content.read(arguments)
    thread = _thread(ws, channel, arguments.text("thread_ts"))
    ws.rates.post(channel)
    record = posting.post(
        ws,
        channel,
        ws.cast.bot_user,
        bot=True,
        thread_ts=thread,
        broadcast=bool(thread) and arguments.flag("reply_broadcast"),
        **content.fields(),
    )
    answer = {"channel": channel, "ts": record["ts"], "message": posting.described(ws, record, metadata=True)}
    return _warned(answer, content)


@method("chat.postEphemeral", scopes=WRITE, tier=4)
def post_ephemeral(ws: Workspace, arguments: Arguments) -> Json:
    """Show a message to one member of a channel that the bot is in."""
    channel = _place(ws, arguments.text("channel"))
    user = arguments.required("user")
    _may_write(ws, channel)
    if user not in ws.seats.users(channel):
        raise Refused("user_not_in_channel")
    content = Content.read(arguments)
    record = posting.post(
        ws,
        channel,
        ws.cast.bot_user,
        bot=True,
        to=user,
        thread_ts=_thread(ws, channel, arguments.text("thread_ts")),
        **content.fields(),
    )
    return _warned({"message_ts": record["ts"]}, content)


def _own(ws: Workspace, channel: str, ts: str, error: str) -> Json:
    """A standing message of the bot; ephemeral ones cannot be found, those of others give `error`."""
    record = ws.messages.get(channel, ts)
    if record is None or record["to"] or record["deleted"]:
        raise Refused("message_not_found")
    if record["user"] != ws.cast.bot_user:
        raise Refused(error)
    return record


@method("chat.update", scopes=WRITE, tier=3)
def update(ws: Workspace, arguments: Arguments) -> Json:
    """Change one of the bot's own messages."""
    channel = _place(ws, arguments.text("channel"))
    record = _own(ws, channel, arguments.required("ts"), "cant_update_message")
    _may_write(ws, channel)
    content = Content.read(arguments, edited=True)
    edited = {"user": ws.cast.bot_user, "ts": ws.messages.stamp()}
    posting.edit(ws, record, **content.changes(), edited=edited)
    answer = {"channel": channel, "ts": record["ts"], "text": record["text"]}
    return {**answer, "message": posting.described(ws, record, metadata=True)}


@method("chat.delete", scopes=WRITE, tier=3)
def delete(ws: Workspace, arguments: Arguments) -> Json:
    """Delete one of the bot's own messages."""
    channel = _place(ws, arguments.text("channel"))
    record = _own(ws, channel, arguments.required("ts"), "cant_delete_message")
    posting.delete(ws, record)
    return {"channel": channel, "ts": record["ts"]}


@method("chat.getPermalink", reads=True)
def permalink(ws: Workspace, arguments: Arguments) -> Json:
    """A link to a message."""
    channel = _place(ws, arguments.text("channel"))
    ts = arguments.required("message_ts")
    record = ws.messages.get(channel, ts)
    if record is None or record["to"] or record["deleted"]:
        raise Refused("message_not_found")
    link = f"{ws.url}/archives/{channel}/p{ts.replace('.', '')}"
    if record["thread_ts"]:
        link += f"?thread_ts={record['thread_ts']}&cid={channel}"
    return {"channel": channel, "permalink": link}
