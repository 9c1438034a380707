"""Views: the stack of modals that each person has open, and each person's Home."""

from __future__ import annotations

import secrets
from typing import Any

from sandbox.slack import inputs
from sandbox.slack.blocks.check import check_view, too_large
from sandbox.slack.blocks.finish import finish
from sandbox.slack.errors import Refused
from sandbox.slack.people import Person
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace


def checked(view: Any, kind: str) -> Json:
    """A valid view of this kind, or the refusal that Slack gives."""
    problems = check_view(view, kind)
    if problems:
        raise Refused("invalid_arguments", problems)
    if too_large(view):
        raise Refused("view_too_large")
    valid: Json = view
    return valid


def new_hash(ws: Workspace) -> str:
    """The hash of a view's new version."""
    return f"{int(ws.machine())}.{secrets.token_hex(4)}"


def _filled(ws: Workspace, person: Person, view: Json, before: Json | None) -> Json:
    """A view as Slack stores and returns it; values that the person entered `before` stay with their ids."""
    blocks = finish(view["blocks"])
    old = before["state"]["values"] if before else None
    full: Json = {
        "id": before["id"] if before else "V" + secrets.token_hex(5).upper(),
        "team_id": person.team,
        "type": view["type"],
        "blocks": blocks,
        "private_metadata": view.get("private_metadata") or "",
        "callback_id": view.get("callback_id") or "",
        "state": {"values": inputs.state(blocks, old)},
        "hash": new_hash(ws),
        "title": view.get("title") or {"type": "plain_text", "text": "View Title", "emoji": True},
        "clear_on_close": bool(view.get("clear_on_close")),
        "notify_on_close": bool(view.get("notify_on_close")),
        "close": view.get("close"),
        "submit": view.get("submit"),
        "submit_disabled": bool(view.get("submit_disabled")),
        "previous_view_id": before["previous_view_id"] if before else None,
        "root_view_id": before["root_view_id"] if before else None,
        "app_id": ws.cast.app_id,
        "external_id": view.get("external_id") or "",
        "app_installed_team_id": ws.cast.team.id,
        "bot_id": ws.cast.bot_id,
    }
    ws.recorder.view(view)
    for name in ("title", "close", "submit"):
        if full[name]:
            full[name] = {"emoji": True, **full[name]}
    return full


def _external_id_free(ws: Workspace, view: Json, own: str | None = None) -> None:
    wanted = view.get("external_id")
    if wanted and any(
        r["view"]["external_id"] == wanted and r["view"]["id"] != own for r in ws.store.tables["views"].values()
    ):
        raise Refused("duplicate_external_id")


def stack(ws: Workspace, user: str) -> list[Json]:
    """The records of the modals that a person has open, the top one last."""
    ids = (ws.store.get("stacks", user) or {"views": []})["views"]
    return [record for record in (ws.store.get("views", view) for view in ids) if record]


def _set_stack(ws: Workspace, user: str, ids: list[str]) -> None:
    ws.store.put("stacks", user, {"views": ids})


def get(ws: Workspace, view_id: str) -> Json | None:
    """The record of a view that exists: {"view", "user", "errors", "error", "pending"}."""
    return ws.store.get("views", view_id)


def shown(record: Json) -> Json:
    """A view as the page gets it."""
    return {**record["view"], "errors": record["errors"], "error": record["error"], "pending": record["pending"]}


def push(ws: Workspace, person: Person, view: Json, request: str | None) -> Json:
    """Put a valid view on top of the person's stack and return it; Slack allows three."""
    open_now = stack(ws, person.id)
    if len(open_now) >= ws.limits.modal_stack:
        raise Refused("push_limit_reached")
    _external_id_free(ws, view)
    full = _filled(ws, person, view, None)
    full["root_view_id"] = open_now[0]["view"]["id"] if open_now else full["id"]
    full["previous_view_id"] = open_now[-1]["view"]["id"] if open_now else None
    record = {"view": full, "user": person.id, "errors": None, "error": None, "pending": False}
    ws.store.put("views", full["id"], record)
    _set_stack(ws, person.id, [*(r["view"]["id"] for r in open_now), full["id"]])
    _tell(ws, record, request)
    return full


def _tell(ws: Workspace, record: Json, request: str | None) -> None:
    """Show a view live, and count it as an answer."""
    view = record["view"]
    home = view["type"] == "home"
    ws.live.send("home" if home else "view", [record["user"]], view=shown(record))
    answer = {"kind": "view", "id": view["id"]}
    if request:
        ws.requests.answered(request, answer)
    else:
        ws.requests.seen(record["user"], answer, home=home)


def replace(ws: Workspace, record: Json, view: Json, request: str | None = None) -> Json:
    """Give an open view new content, keep what was entered, and return it."""
    person = ws.cast.by_id[record["user"]]
    _external_id_free(ws, view, record["view"]["id"])
    record.update(view=_filled(ws, person, view, record["view"]), errors=None, error=None)
    ws.store.touch("views", record["view"]["id"])
    _tell(ws, record, request)
    full: Json = record["view"]
    return full


def publish(ws: Workspace, person: Person, view: Json) -> Json:
    """Set a person's Home and return it."""
    home = ws.store.get("homes", person.id)
    record = ws.store.get("views", home["view"]) if home else None
    if record:
        return replace(ws, record, view)
    _external_id_free(ws, view)
    full = _filled(ws, person, view, None)
    full["root_view_id"] = full["id"]
    record = {"view": full, "user": person.id, "errors": None, "error": None, "pending": False}
    ws.store.put("views", full["id"], record)
    ws.store.put("homes", person.id, {"view": full["id"]})
    _tell(ws, record, None)
    return full


def home(ws: Workspace, person: Person) -> Json | None:
    """The record of a person's Home, if the bot has published one."""
    found = ws.store.get("homes", person.id)
    return ws.store.get("views", found["view"]) if found else None


def set_state(ws: Workspace, record: Json, block_id: str, action_id: str, entry: Json) -> None:
    """Keep what a person entered."""
    record["view"]["state"]["values"].setdefault(block_id, {})[action_id] = entry
    if record["errors"]:
        record["errors"].pop(block_id, None)
    ws.store.touch("views", record["view"]["id"])


def trouble(ws: Workspace, record: Json, errors: dict[str, str] | None = None, error: str | None = None) -> None:
    """Show field errors, or one error for the whole modal."""
    record.update(errors=errors, error=error, pending=False)
    ws.store.touch("views", record["view"]["id"])
    ws.live.send("home" if record["view"]["type"] == "home" else "view", [record["user"]], view=shown(record))


def close(ws: Workspace, record: Json, everything: bool = False) -> list[Json]:
    """Take a view (and what lies above it, or the whole stack) away; returns the closed records, top first."""
    user = record["user"]
    open_now = stack(ws, user)
    ids = [r["view"]["id"] for r in open_now]
    at = 0 if everything or record["view"]["id"] not in ids else ids.index(record["view"]["id"])
    closed = list(reversed(open_now[at:]))
    _set_stack(ws, user, ids[:at])
    for gone in closed:
        ws.store.drop("views", gone["view"]["id"])
        ws.live.send("view_closed", [user], view=gone["view"]["id"])
    if at:
        ws.live.send("view", [user], view=shown(open_now[at - 1]))
    return closed


def find(ws: Workspace, view_id: str | None, external_id: str | None) -> Json:
    """The record of an existing view by either id, or not_found."""
    if view_id:
        record = ws.store.get("views", view_id)
    else:
        views = ws.store.tables["views"].values()
        record = next((r for r in views if external_id and r["view"]["external_id"] == external_id), None)
    if record is None:
        raise Refused("not_found")
    return record


def check_hash(record: Json, given: str | None) -> None:
    """Refuse a change that was made for an older version."""
    if given and given != record["view"]["hash"]:
        raise Refused("hash_conflict")
