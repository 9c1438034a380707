"""Closing modals: they go away, and the bot is told about those that asked for it."""

from __future__ import annotations

from sandbox.slack import modals, payloads
from sandbox.slack.delivery import Parcel
from sandbox.slack.delivery.weather import deliver
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace


def close(ws: Workspace, record: Json, cleared: bool = False) -> list[Json]:
    """Close a view and what lies above it (`cleared`: the whole stack at once); deliver view_closed where wanted."""
    person = ws.cast.by_id[record["user"]]
    clear = cleared or record["view"]["clear_on_close"]
    gone = modals.close(ws, record, everything=clear)
    for each in gone:
        if each["view"]["notify_on_close"]:
            payload = payloads.closed(ws, person, each["view"], cleared=clear)
            ws.spawn(_deliver(ws, Parcel("interactive", payload, accepts_response=False)))
    return gone


async def _deliver(ws: Workspace, parcel: Parcel) -> None:
    """The person is not told when this fails."""
    await deliver(ws, parcel)
