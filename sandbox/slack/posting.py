"""Messages come, change and go: stored, shown live, counted as answers; how they look to the bot and to the page."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sandbox.slack.people import SLACKBOT
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace


def readers(ws: Workspace, record: Json) -> list[str]:
    """The user ids who see this message."""
    return [record["to"]] if record["to"] else ws.seats.users(record["channel"])


def reference(record: Json) -> Json:
    """How a request remembers this message as its answer."""
    return {"kind": "message", "channel": record["channel"], "ts": record["ts"]}


def post(ws: Workspace, channel: str, user: str, *, bot: bool, text: str, **fields: Any) -> Json:
    """Keep and show a new message. With `request` it answers that one, else a private one answers what was asked."""
    record = ws.messages.add(channel, user, bot=bot, text=text, **fields)
    ws.recorder.message(record["text"], record["blocks"])
    ws.live.send("message", readers(ws, record), message=shown(ws, record))
    parent = ws.messages.get(channel, record["thread_ts"]) if record["thread_ts"] else None
    if parent and not record["to"]:
        ws.live.send("message_changed", readers(ws, parent), message=shown(ws, parent))
    if record["request"]:
        ws.requests.answered(record["request"], reference(record))
    elif bot and (record["to"] or channel in ws.cast.by_dm):
        ws.requests.seen(record["to"] or ws.cast.by_dm[channel].id, reference(record))
    return record


def whisper(ws: Workspace, channel: str, user: str, text: str) -> Json:
    """An ephemeral message of Slackbot, as when something went wrong."""
    return post(ws, channel, SLACKBOT, bot=True, text=text, to=user)


def edit(ws: Workspace, record: Json, request: str | None = None, **fields: Any) -> None:
    """Change a message in place. With `request` the change answers that one."""
    record.update(fields)
    ws.recorder.message(record["text"], record["blocks"])
    ws.messages.changed(record)
    ws.live.send("message_changed", readers(ws, record), message=shown(ws, record))
    if request:
        ws.requests.answered(request, reference(record))
    elif record["to"] or record["channel"] in ws.cast.by_dm:
        ws.requests.seen(record["to"] or ws.cast.by_dm[record["channel"]].id, reference(record))


def delete(ws: Workspace, record: Json) -> None:
    """Remove a message; one with replies leaves a stone in its place."""
    seen_by = readers(ws, record)
    if ws.messages.replies(record["channel"], record["ts"]):
        record.update(
            deleted=True, text="This message was deleted.", blocks=[], attachments=[], files=[], metadata=None
        )
        ws.messages.changed(record)
    else:
        ws.messages.forget(record)
    ws.live.send("message_deleted", seen_by, channel=record["channel"], ts=record["ts"])


def shown(ws: Workspace, record: Json) -> Json:
    """A message as the page gets it."""
    return {
        "ts": record["ts"],
        "channel": record["channel"],
        "thread_ts": record["thread_ts"],
        "user": record["user"],
        "bot": record["bot"],
        "text": record["text"],
        "blocks": record["blocks"],
        "attachments": record["attachments"],
        "files": [_downloadable(ws, file_id) for file_id in record["files"]],
        "unfurl_links": record["unfurl_links"],
        "unfurl_media": record["unfurl_media"],
        "metadata": record["metadata"],
        "edited": record["edited"],
        "ephemeral": bool(record["to"]),
        "deleted": record["deleted"],
        "broadcast": record["broadcast"],
        "replies": len(ws.messages.replies(record["channel"], record["ts"])),
        "request": record["request"],
    }


def described(ws: Workspace, record: Json, metadata: bool = False) -> Json:
    """A message as the Web API and payloads give it."""
    cast = ws.cast
    message: Json = {"type": "message", "user": record["user"], "ts": record["ts"], "text": record["text"]}
    if record["deleted"]:
        message["subtype"] = "tombstone"
        message["user"] = SLACKBOT
    elif record["bot"]:
        message.update(bot_id=cast.bot_id, app_id=cast.app_id, team=cast.team.id, bot_profile=_bot_profile(ws))
    else:
        author = cast.by_id.get(record["user"])
        message["team"] = author.team if author else cast.team.id
    for name in ("blocks", "attachments", "edited"):
        if record[name]:
            message[name] = record[name]
    if record["files"]:
        message["files"] = [file(ws, found) for found in map(ws.files.get, record["files"]) if found]
        message["upload"] = False
    if metadata and record["metadata"]:
        message["metadata"] = record["metadata"]
    _thread(ws, record, message)
    return message


def file(ws: Workspace, record: Json) -> Json:
    """A file as the Web API gives it. Where it was shared is not said: Slack fills that in a moment later."""
    kind = record["name"].rpartition(".")[2].lower() if "." in record["name"] else "text"
    private = f"{ws.url}/files-pri/{ws.cast.team.id}-{record['id']}"
    return {
        "id": record["id"],
        "created": record["created"],
        "timestamp": record["created"],
        "name": record["name"],
        "title": record["title"],
        "mimetype": record["mimetype"],
        "filetype": kind,
        "pretty_type": kind.upper(),
        "user": record["user"],
        "user_team": ws.cast.team.id,
        "editable": bool(record["snippet"]),
        "size": record["size"],
        "mode": "snippet" if record["snippet"] else "hosted",
        "is_external": False,
        "external_type": "",
        "is_public": False,
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "url_private": f"{private}/{quote(record['name'])}",
        "url_private_download": f"{private}/download/{quote(record['name'])}",
        "permalink": f"{ws.url}/files/{record['user']}/{record['id']}/{quote(record['name'])}",
        "alt_txt": record["alt_txt"],
        "comments_count": 0,
        "is_starred": False,
        "shares": {},
        "channels": [],
        "groups": [],
        "ims": [],
        "has_more_shares": False,
        "has_rich_preview": False,
        "file_access": "visible",
    }


def _downloadable(ws: Workspace, file_id: str) -> Json:
    """A file as the page gets it; `url` is on the page's own origin."""
    record = ws.files.get(file_id) or {"id": file_id, "name": "file", "title": "file", "size": 0}
    shown = {name: record.get(name) for name in ("id", "name", "title", "size", "mimetype", "alt_txt")}
    return {**shown, "url": f"/sandbox/files/{file_id}/{quote(record['name'], safe='')}"}


def _bot_profile(ws: Workspace) -> Json:
    return {
        "id": ws.cast.bot_id,
        "app_id": ws.cast.app_id,
        "user_id": ws.cast.bot_user,
        "name": ws.manifest.name,
        "icons": {},
        "deleted": False,
        "updated": 1_700_000_000,
        "team_id": ws.cast.team.id,
    }


def _thread(ws: Workspace, record: Json, message: Json) -> None:
    """Add what says that a message is a reply or has replies."""
    root = record["thread_ts"]
    if root:
        parent = ws.messages.get(record["channel"], root)
        message.update(thread_ts=root, parent_user_id=parent["user"] if parent else record["user"])
        return
    replies = ws.messages.replies(record["channel"], record["ts"])
    if replies:
        authors = list(dict.fromkeys(reply["user"] for reply in replies))
        message.update(
            thread_ts=record["ts"],
            reply_count=len(replies),
            reply_users_count=len(authors),
            reply_users=authors[:5],
            latest_reply=replies[-1]["ts"],
            is_locked=False,
            subscribed=True,
        )
