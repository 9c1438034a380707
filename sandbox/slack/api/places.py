"""Where the bot may say something: the channel of a call, membership, and the thread of a reply."""

from __future__ import annotations

import re

from sandbox.slack.errors import Refused
from sandbox.slack.workspace import Workspace

STAMP = re.compile(r"\d{10}\.\d{6}")


def place(ws: Workspace, given: str | None, *, names: bool = False, people: bool = False) -> str:
    """The channel that a call means: an id, where `names` also a name, where `people` also a person (their direct
    messages). A private channel that the bot is not in is not found."""
    found = None
    if given:
        found = given if ws.seats.knows(given) else None
        if found is None and names:
            channel = ws.cast.channel(given)
            found = channel.id if channel else None
        person = ws.cast.by_id.get(given)
        if found is None and people and person is not None:
            if person.deleted:
                raise Refused("user_disabled")
            found = person.dm
    known = ws.cast.channels.get(found or "")
    if found is None or (known is not None and known.is_private and not ws.seats.bot(found)):
        raise Refused("channel_not_found")
    return found


def may_write(ws: Workspace, channel: str, *, uninvited: bool = False, archived: str = "is_archived") -> None:
    """The bot must be a member; `uninvited` posting in public needs its own scope. `archived` is the refusal there."""
    known = ws.cast.channels.get(channel)
    if known and known.is_archived:
        raise Refused(archived)
    if not ws.seats.bot(channel) and not (uninvited and "chat:write.public" in ws.manifest.scopes):
        raise Refused("not_in_channel")
    if channel in ws.cast.by_dm and not ws.manifest.messages_tab:
        raise Refused("messages_tab_disabled")


def thread(ws: Workspace, channel: str, given: str | None) -> str | None:
    """The root of the thread that a reply goes to; None for no reply."""
    if not given:
        return None
    if not STAMP.fullmatch(given):
        raise Refused("invalid_thread_ts")
    parent = ws.messages.get(channel, given)
    if parent is None or parent["to"] or (parent["deleted"] and not ws.messages.replies(channel, given)):
        raise Refused("thread_not_found")
    return str(parent["thread_ts"] or given)
