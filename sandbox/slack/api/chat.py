"""chat.*: post, post to one person, update, delete, and link."""

from __future__ import annotations

from sandbox.slack import posting
from sandbox.slack.api.arguments import Arguments
from sandbox.slack.api.content import Content
from sandbox.slack.api.places import may_write, place, thread
from sandbox.slack.api.registry import method
from sandbox.slack.errors import Refused
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

WRITE = ("chat:write",)


def _warned(answer: Json, content: Content) -> Json:
    if content.warnings:
        answer["warning"] = ",".join(content.warnings)
        answer["response_metadata"] = {"warnings": content.warnings}
    return answer


@method("chat.postMessage", scopes=WRITE)
def post_message(ws: Workspace, arguments: Arguments) -> Json:
    """Post into a channel, a thread, or a person's direct messages; one a second in each."""
    channel = place(ws, arguments.text("channel"), names=True, people=True)
    may_write(ws, channel, uninvited=True)
    content = Content.read(arguments)
    root = thread(ws, channel, arguments.text("thread_ts"))
    ws.rates.post(channel)
    record = posting.post(
        ws,
        channel,
        ws.cast.bot_user,
        bot=True,
        thread_ts=root,
        broadcast=bool(root) and arguments.flag("reply_broadcast"),
        **content.fields(),
    )
    answer = {"channel": channel, "ts": record["ts"], "message": posting.described(ws, record, metadata=True)}
    return _warned(answer, content)


@method("chat.postEphemeral", scopes=WRITE, tier=4)
def post_ephemeral(ws: Workspace, arguments: Arguments) -> Json:
    """Show a message to one member of a channel that the bot is in; in a thread only if it has replies already."""
    channel = place(ws, arguments.text("channel"), names=True)
    user = arguments.required("user")
    may_write(ws, channel)
    if user not in ws.seats.users(channel):
        raise Refused("user_not_in_channel")
    content = Content.read(arguments)
    root = thread(ws, channel, arguments.text("thread_ts"))
    if root and not ws.messages.replies(channel, root):
        return _warned({"message_ts": ws.messages.stamp()}, content)
    fields = {**content.fields(), "metadata": None}  # Slack keeps none of ephemeral messages
    record = posting.post(ws, channel, ws.cast.bot_user, bot=True, to=user, thread_ts=root, **fields)
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
    channel = place(ws, arguments.text("channel"))
    record = _own(ws, channel, arguments.required("ts"), "cant_update_message")
    may_write(ws, channel, archived="is_inactive")
    content = Content.read(arguments, edited=True)
    changes = content.changes()
    if not content.blocks:  # what is drawn from blocks is not marked as edited
        changes["edited"] = {"user": ws.cast.bot_user, "ts": ws.messages.stamp()}
    posting.edit(ws, record, **changes)
    answer = {"channel": channel, "ts": record["ts"], "text": record["text"]}
    return {**answer, "message": posting.described(ws, record, metadata=True)}


@method("chat.delete", scopes=WRITE, tier=3)
def delete(ws: Workspace, arguments: Arguments) -> Json:
    """Delete one of the bot's own messages."""
    channel = place(ws, arguments.text("channel"))
    record = _own(ws, channel, arguments.required("ts"), "cant_delete_message")
    posting.delete(ws, record)
    return {"channel": channel, "ts": record["ts"]}


@method("chat.getPermalink", reads=True)
def permalink(ws: Workspace, arguments: Arguments) -> Json:
    """A link to a message."""
    channel = place(ws, arguments.text("channel"))
    ts = arguments.required("message_ts")
    record = ws.messages.get(channel, ts)
    if record is None or record["to"] or record["deleted"]:
        raise Refused("message_not_found")
    link = f"{ws.url}/archives/{channel}/p{ts.replace('.', '')}"
    if record["thread_ts"]:
        link += f"?thread_ts={record['thread_ts']}&cid={channel}"
    return {"channel": channel, "permalink": link}
