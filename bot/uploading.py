"""Uploading a file in Slack's three steps: an address, the bytes, and the end that shows it in a channel.

Nothing is seen of the first two steps; only the last one has an effect that may not be repeated at will.
"""

from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from slack_sdk import WebClient

from bot.clients import NotSent, RateLimited, Unknown, call, retry_after
from bot.render.messages import REPEATED
from bot.render.text import text_field
from commands.reply import File, Icon, Paragraph, Reply, line

#: Messages of these kinds carry a file. One whose answer was lost is sent once more and then left.
UPLOADS: Final = frozenset({"edits"})


def upload(
    web: WebClient,
    channel: str,
    reply: Reply,
    file: File,
    seconds: float,
    *,
    thread: str | None = None,
    repeated: bool = False,
) -> None:
    """Show ``file`` with the text of ``reply`` in the channel, or in a thread of it.

    ``seconds`` is the time limit of sending the bytes. Raises RateLimited, Refused and NotSent when nothing was shown,
    Unknown when it may have been.
    """
    data = file.text.encode()
    try:
        given = call(web.files_getUploadURLExternal, filename=file.name, length=len(data))
        _send(str(given["upload_url"]), data, seconds)
    except Unknown as error:
        raise NotSent(f"the file was not uploaded: {error}") from error
    said = text_field(reply.text) + (f" {REPEATED}" if repeated else "")
    more: dict[str, Any] = {"thread_ts": thread} if thread is not None else {}
    named = [{"id": given["file_id"], "title": file.title}]
    call(web.files_completeUploadExternal, files=named, channel_id=channel, initial_comment=said, **more)


def not_uploaded(file: File, error: str, todo: str) -> Reply:
    """What is said in the place of a file that Slack refuses."""
    said = f"{file.title}: Slack refused the file ({error})."
    following = f"{f'To do: {todo}. ' if todo else ''}The same as text: /rollout plan --managed"
    return Reply(f"{said} {following}", (Paragraph((line(Icon("warning"), f" {said}"), line(following))),))


def _send(url: str, data: bytes, seconds: float) -> None:
    """Send the bytes. The address is a bearer handle: it stands in no error."""
    request = Request(url, data, {"Content-Type": "application/octet-stream"}, method="POST")
    try:
        with urlopen(request, timeout=seconds) as answer:
            answer.read()
    except HTTPError as error:
        if error.code == 429:
            raise RateLimited(retry_after(error.headers)) from None
        raise NotSent(f"the file was not taken (HTTP {error.code})") from None
    except (URLError, OSError, HTTPException) as error:
        raise NotSent(f"the file was not taken ({type(error).__name__})") from None
