"""views.*: modals and the Home."""

from __future__ import annotations

from sandbox.slack import closing, modals
from sandbox.slack.api.arguments import Arguments
from sandbox.slack.api.registry import method
from sandbox.slack.errors import Refused
from sandbox.slack.store import Json
from sandbox.slack.workspace import Workspace


def _view(arguments: Arguments, kind: str) -> Json:
    """The `view` argument, checked."""
    raw = arguments.structure("view", "invalid_arguments")
    if raw is None:
        raise Refused("invalid_arguments", ["[ERROR] missing required field: view"])
    return modals.checked(raw, kind)


@method("views.open", tier=4)
def open_view(ws: Workspace, arguments: Arguments) -> Json:
    """Open a modal for the person behind a trigger. From inside a modal it goes on top of that one; a modal that was
    left open elsewhere is closed first."""
    trigger = arguments.required("trigger_id")
    view = _view(arguments, "modal")
    used = ws.handles.redeem(trigger)
    person = ws.cast.by_id[used["user"]]
    inside = used["view"] is not None and modals.get(ws, used["view"]) is not None
    left_open = modals.stack(ws, person.id)
    if left_open and not inside:
        closing.close(ws, left_open[0], cleared=True)
    return {"view": modals.push(ws, person, view, used["request"])}


@method("views.push", tier=4)
def push_view(ws: Workspace, arguments: Arguments) -> Json:
    """Put a modal on top of the one in which the trigger was made; three at most."""
    trigger = arguments.required("trigger_id")
    view = _view(arguments, "modal")
    used = ws.handles.redeem(trigger)
    if used["view"] is None or modals.get(ws, used["view"]) is None:
        raise Refused("not_found")
    return {"view": modals.push(ws, ws.cast.by_id[used["user"]], view, used["request"])}


@method("views.update", tier=4)
def update_view(ws: Workspace, arguments: Arguments) -> Json:
    """Change a view that is open, by view_id or external_id, if `hash` still fits."""
    view_id, external_id = arguments.text("view_id"), arguments.text("external_id")
    if not view_id and not external_id:
        raise Refused("invalid_arguments", ["[ERROR] missing required field: view_id"])
    raw = arguments.structure("view", "invalid_arguments")
    kind = raw.get("type") if isinstance(raw, dict) else None
    view = _view(arguments, "home" if kind == "home" else "modal")
    record = modals.find(ws, view_id, external_id)
    if record["view"]["type"] != view["type"]:
        raise Refused("invalid_arguments", ["[ERROR] the type of a view cannot change [json-pointer:/view/type]"])
    modals.check_hash(record, arguments.text("hash"))
    return {"view": modals.replace(ws, record, view)}


@method("views.publish", tier=4)
def publish_view(ws: Workspace, arguments: Arguments) -> Json:
    """Set a person's Home, if `hash` still fits."""
    person = ws.cast.by_id.get(arguments.required("user_id"))
    view = _view(arguments, "home")
    if person is None:
        raise Refused("user_not_found")
    if not ws.manifest.home_tab:
        raise Refused("not_enabled")
    given, record = arguments.text("hash"), modals.home(ws, person)
    if given and record is None:
        raise Refused("hash_conflict")
    if record is not None:
        modals.check_hash(record, given)
    return {"view": modals.publish(ws, person, view)}
