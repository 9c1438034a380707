"""conversations.*: channels, members, direct messages, and what was said."""

from __future__ import annotations

from typing import Any

from sandbox.slack import posting
from sandbox.slack.api.arguments import Arguments, page
from sandbox.slack.api.registry import method
from sandbox.slack.errors import Refused
from sandbox.slack.people import Channel, Person
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace

CREATED = 1_700_000_000
TYPES = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def _kind(ws: Workspace, channel: str) -> str:
    """Slack's type of a conversation."""
    if channel in ws.cast.by_dm:
        return "im"
    return "private_channel" if ws.cast.channels[channel].is_private else "public_channel"


def _granted(ws: Workspace, needed: str) -> None:
    """Refuse when a scope was not granted."""
    if needed not in ws.manifest.scopes:
        raise Refused("missing_scope", needed=needed, provided=",".join(ws.manifest.scopes))


def _place(ws: Workspace, arguments: Arguments, right: str) -> str:
    """The channel of a call, which takes ids only; the scope is `read` or `history` of the channel's own kind."""
    channel = arguments.text("channel") or ""
    if not ws.seats.knows(channel):
        _granted(ws, f"channels:{right}")
        raise Refused("channel_not_found")
    kind = _kind(ws, channel)
    _granted(ws, f"{TYPES[kind]}:{right}")
    if kind == "private_channel" and not ws.seats.bot(channel):
        raise Refused("channel_not_found")
    return channel


def described(ws: Workspace, channel: Channel) -> Json:
    """A conversation object."""
    words = {"value": channel.topic, "creator": "USLACKBOT" if channel.topic else "", "last_set": CREATED}
    shared = [ws.cast.team.id, ws.cast.other_team.id] if channel.is_ext_shared else [ws.cast.team.id]
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_general": channel.name == "general",
        "is_shared": channel.is_ext_shared,
        "is_org_shared": False,
        "is_ext_shared": channel.is_ext_shared,
        "is_pending_ext_shared": channel.is_pending_ext_shared,
        "pending_shared": [],
        "pending_connected_team_ids": [],
        "is_member": ws.seats.bot(channel.id),
        "created": CREATED,
        "creator": "USLACKBOT",
        "unlinked": 0,
        "updated": CREATED * 1000,
        "context_team_id": ws.cast.team.id,
        "shared_team_ids": shared,
        "internal_team_ids": [],
        "connected_team_ids": [],
        "previous_names": [],
        "parent_conversation": None,
        "topic": words,
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }


def _direct(ws: Workspace, person: Person) -> Json:
    return {
        "id": person.dm,
        "created": CREATED,
        "is_archived": False,
        "is_im": True,
        "is_org_shared": False,
        "context_team_id": ws.cast.team.id,
        "user": person.id,
        "is_user_deleted": person.deleted,
        "priority": 0,
    }


@method("conversations.info", tier=3, reads=True)
def info(ws: Workspace, arguments: Arguments) -> Json:
    """One conversation."""
    channel = _place(ws, arguments, "read")
    if channel in ws.cast.by_dm:
        return {"channel": _direct(ws, ws.cast.by_dm[channel])}
    found = described(ws, ws.cast.channels[channel])
    if arguments.flag("include_num_members"):
        found["num_members"] = len(ws.seats.members(channel))
    return {"channel": found}


@method("conversations.list", tier=2, reads=True)
def list_conversations(ws: Workspace, arguments: Arguments) -> Json:
    """Conversations of the wanted types (public channels unless told otherwise)."""
    kinds = arguments.ids("types") or ["public_channel"]
    for kind in kinds:
        if kind not in TYPES:
            raise Refused("invalid_types")
        _granted(ws, f"{TYPES[kind]}:read")
    found: list[Json] = []
    for channel in ws.cast.channels.values():
        hidden = channel.is_private and not ws.seats.bot(channel.id)
        hidden = hidden or (channel.is_archived and arguments.flag("exclude_archived"))
        if _kind(ws, channel.id) in kinds and not hidden:
            found.append({**described(ws, channel), "num_members": len(ws.seats.members(channel.id))})
    if "im" in kinds:
        found += [_direct(ws, person) for person in ws.cast.people.values()]
    channels, cursor = page(found, arguments)
    return {"channels": channels, "response_metadata": {"next_cursor": cursor}}


@method("conversations.members", tier=4, reads=True)
def members(ws: Workspace, arguments: Arguments) -> Json:
    """The user ids in a conversation."""
    users, cursor = page(ws.seats.members(_place(ws, arguments, "read")), arguments)
    return {"members": users, "response_metadata": {"next_cursor": cursor}}


@method("conversations.open", tier=3)
def open_conversation(ws: Workspace, arguments: Arguments) -> Json:
    """The direct-message channel with one person."""
    users = arguments.ids("users")
    channel = arguments.text("channel")
    if bool(users) == bool(channel):
        raise Refused("channel_not_found" if channel else "users_list_not_supplied")
    if len(users) > 1:
        _granted(ws, "mpim:write")
        raise Refused("not_enough_users")
    _granted(ws, "im:write")
    person = ws.cast.by_dm.get(channel or "") if channel else ws.cast.by_id.get(users[0])
    if person is None:
        raise Refused("channel_not_found" if channel else "user_not_found")
    if person.deleted:
        raise Refused("user_disabled")
    if arguments.flag("return_im"):
        return {"no_op": True, "already_open": True, "channel": _direct(ws, person)}
    return {"no_op": True, "already_open": True, "channel": {"id": person.dm}}


def _between(records: list[Json], arguments: Arguments) -> list[Json]:
    """Only what lies between `oldest` and `latest`."""
    bounds: dict[str, float] = {}
    for name in ("oldest", "latest"):
        try:
            bounds[name] = float(arguments.text(name) or ("0" if name == "oldest" else "inf"))
        except ValueError:
            raise Refused(f"invalid_ts_{name}") from None
    inclusive = arguments.flag("inclusive")

    def inside(record: Json) -> bool:
        ts = float(record["ts"])
        if inclusive:
            return bounds["oldest"] <= ts <= bounds["latest"]
        return bounds["oldest"] < ts < bounds["latest"]

    return [record for record in records if inside(record)]


def _read(ws: Workspace, arguments: Arguments) -> str:
    channel = _place(ws, arguments, "history")
    if not ws.seats.bot(channel):
        raise Refused("not_in_channel")
    return channel


def _listed(ws: Workspace, records: list[Json], arguments: Arguments) -> Json:
    chosen, cursor = page(records, arguments)
    metadata = arguments.flag("include_all_metadata")
    answer: dict[str, Any] = {
        "messages": [posting.described(ws, r, metadata) for r in chosen],
        "has_more": bool(cursor),
    }
    if cursor:
        answer["response_metadata"] = {"next_cursor": cursor}
    return answer


@method("conversations.history", tier=3, reads=True)
def history(ws: Workspace, arguments: Arguments) -> Json:
    """Messages of a channel, newest first, without replies and without ephemeral ones."""
    channel = _read(ws, arguments)
    records = [r for r in ws.messages.in_channel(channel) if not r["to"] and (not r["thread_ts"] or r["broadcast"])]
    return {**_listed(ws, list(reversed(_between(records, arguments))), arguments), "pin_count": 0}


@method("conversations.replies", tier=3, reads=True)
def replies(ws: Workspace, arguments: Arguments) -> Json:
    """A message and its replies, oldest first."""
    channel = _read(ws, arguments)
    root = ws.messages.get(channel, arguments.required("ts"))
    if root is None or root["to"]:
        raise Refused("thread_not_found")
    if root["thread_ts"]:
        return _listed(ws, [root], arguments)
    found = [root, *_between(ws.messages.replies(channel, root["ts"]), arguments)]
    return _listed(ws, found, arguments)
