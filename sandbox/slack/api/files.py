"""files.*: an address to upload to, and the end of an upload, with which a file comes into a channel or a thread."""

from __future__ import annotations

from typing import Any

from sandbox.slack import posting
from sandbox.slack.api.arguments import Arguments
from sandbox.slack.api.content import Content
from sandbox.slack.api.places import may_write, place, thread
from sandbox.slack.api.registry import method
from sandbox.slack.errors import Refused
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

WRITE = ("files:write",)
ALT_TEXT_MAX = 1_000
SNIPPET_BYTES = 1_000_000
CHANNELS_MAX = 100


@method("files.getUploadURLExternal", scopes=WRITE, tier=4, reads=True)
def get_upload_url(ws: Workspace, arguments: Arguments) -> Json:
    """An address that takes the bytes of one file, once."""
    name, given = arguments.text("filename"), arguments.text("length")
    if not name or given in (None, "", "0"):
        raise Refused("missing_argument")
    if not str(given).isdecimal() or len(str(given)) > 15:
        raise Refused("invalid_arguments", ["[ERROR] must provide an integer [json-pointer:/length]"])
    size = int(str(given))
    alt_txt, snippet = arguments.text("alt_txt") or "", arguments.text("snippet_type") or ""
    if len(alt_txt) > ALT_TEXT_MAX:
        raise Refused("alt_txt_too_large")
    if snippet and size > SNIPPET_BYTES:
        raise Refused("snippet_too_large")
    if size > ws.limits.upload_bytes:
        raise Refused("file_upload_size_restricted")
    record = ws.files.reserve(ws.cast.bot_user, name, size, alt_txt, snippet)
    return {"upload_url": f"{ws.url}/upload/v1/{record['ticket']}", "file_id": record["id"]}


def _named(arguments: Arguments) -> dict[str, str | None]:
    """The files of the call: {id: title}."""
    raw = arguments.structure("files", "invalid_arguments")
    if not isinstance(raw, list) or not raw:
        raise Refused("invalid_arguments", ["[ERROR] must provide an array [json-pointer:/files]"])
    named: dict[str, str | None] = {}
    for index, entry in enumerate(raw):
        found: Any = entry if isinstance(entry, dict) else {}
        title = found.get("title")
        if not isinstance(found.get("id"), str) or not isinstance(title, str | None) or found["id"] in named:
            raise Refused("invalid_arguments", [f"[ERROR] must name a file by its id [json-pointer:/files/{index}]"])
        named[found["id"]] = title
    return named


def _places(ws: Workspace, arguments: Arguments) -> list[str]:
    """The channels into which the files go: ids only, and only where the bot is a member."""
    single = arguments.text("channel_id")
    wanted = [*([single] if single else []), *arguments.ids("channels")]
    if len(wanted) > CHANNELS_MAX:
        raise Refused("channels_limit_exceeded")
    places = list(dict.fromkeys(place(ws, given, people=given != single) for given in wanted))
    for channel in places:
        may_write(ws, channel)
    return places


def _words(arguments: Arguments) -> Json:
    """What is said with the files; without a comment blocks may say it, without both nothing is."""
    comment = arguments.text("initial_comment")
    if comment:
        return Content.read({"text": comment}).fields()
    blocks = arguments.structure("blocks", "invalid_blocks_format")
    return Content.read({"blocks": blocks}).fields() if blocks else {"text": ""}


@method("files.completeUploadExternal", scopes=WRITE, tier=4)
def complete_upload(ws: Workspace, arguments: Arguments) -> Json:
    """Finish uploads, and show the files in each channel (or in a thread) in one message. Without a channel only the
    bot sees them."""
    named = _named(arguments)
    records = [ws.files.received(file_id) for file_id in named]
    places = _places(ws, arguments)
    stamp = arguments.text("thread_ts")
    if stamp and len(places) != 1:
        raise Refused("invalid_arguments", ["[ERROR] thread_ts needs exactly one channel [json-pointer:/thread_ts]"])
    root = thread(ws, places[0], stamp) if stamp else None
    words = _words(arguments)
    for record in records:
        ws.files.finish(record, named[record["id"]])
    answer = {"files": [posting.file(ws, record) for record in records]}  # Slack shares a moment after it has answered
    for channel in places:
        posting.post(ws, channel, ws.cast.bot_user, bot=True, thread_ts=root, files=list(named), **words)
    return answer
