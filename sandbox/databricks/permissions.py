"""API family `/api/2.0/permissions/{kind}/{id}`: the lists of `acl` as the API shows and changes them."""

from __future__ import annotations

from sandbox.databricks import acl
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import ApiError, Json, denied, invalid, malformed, missing
from sandbox.databricks.workspace import Workspace

TYPES = {
    "clusters": "cluster",
    "jobs": "job",
    "cluster-policies": "cluster-policy",
    "instance-pools": "instance-pool",
    "pipelines": "pipelines",
    "warehouses": "warehouses",
}
ROOTS = {"warehouses": "/sql/warehouses/"}
OWNED = {"jobs": "job", "pipelines": "pipeline"}
"""Kinds that have exactly one owner, and what the API calls them in its refusal."""
MEANS = {
    "CAN_ATTACH_TO": "Can Attach To",
    "CAN_RESTART": "Can Restart",
    "CAN_MANAGE": "Can Manage",
    "CAN_VIEW": "Can View",
    "CAN_MANAGE_RUN": "Can Manage Run",
    "IS_OWNER": "Is Owner",
    "CAN_USE": "Can Use",
    "CAN_RUN": "Can Run",
    "CAN_MONITOR": "Can Monitor",
}


def get(ws: Workspace, call: Call) -> Json:
    """GET: direct entries, and what administrators inherit."""
    return _view(ws, *_thing(ws, call))


def levels(ws: Workspace, call: Call) -> Json:
    """GET permissionLevels: what can be granted on things of this kind."""
    kind, _ = _thing(ws, call)
    found = [{"permission_level": level, "description": MEANS[level]} for level in acl.LEVELS[kind]]
    return {"permission_levels": found}


def put(ws: Workspace, call: Call) -> Json:
    """PUT: these are the direct entries from now on; none means that all direct ones are gone."""
    kind, name = _manageable(ws, call)
    entries = _given(kind, call.body.get("access_control_list") or [])
    _check_owner(kind, entries)
    acl.write(ws, kind, name, entries)
    return _view(ws, kind, name)


def patch(ws: Workspace, call: Call) -> Json:
    """PATCH: adds entries and raises levels; takes nothing from anybody."""
    kind, name = _manageable(ws, call)
    entries = acl.direct(ws, kind, name)
    for entry in _given(kind, call.body.get("access_control_list") or []):
        entries = raised(kind, entries, entry)
    _check_owner(kind, entries)
    acl.write(ws, kind, name, entries)
    return _view(ws, kind, name)


def raised(kind: str, entries: list[Json], entry: Json) -> list[Json]:
    """The entries with one more, or with a higher level for somebody who is already among them."""
    who, level = _who(entry), entry["permission_level"]
    if all(_who(known) != who for known in entries):
        return [*entries, entry]
    return [
        entry if _who(one) == who and acl.stronger(kind, level, one["permission_level"]) else one for one in entries
    ]


def at_birth(ws: Workspace, kind: str, name: str, given: object) -> None:
    """Keep the `access_control_list` of a request that made a thing: its maker is the owner unless it names one."""
    entries = checked(kind, given)
    if not entries:
        return
    if not any(entry["permission_level"] == "IS_OWNER" for entry in entries):
        top = acl.LEVELS[kind][-1]
        others = [entry for entry in entries if entry.get("service_principal_name") != ws.client_id]
        entries = [{"service_principal_name": ws.client_id, "permission_level": top}, *others]
    acl.write(ws, kind, name, entries)


def checked(kind: str, given: object) -> list[Json]:
    """The entries of a request that makes a thing; refused before anything is made."""
    entries = _given(kind, given or [])
    if sum(entry["permission_level"] == "IS_OWNER" for entry in entries) > 1:
        raise invalid(f"The {OWNED[kind]} must have exactly one owner.")
    return entries


def _thing(ws: Workspace, call: Call) -> tuple[str, str]:
    kind, name = call.named["kind"], call.named["id"]
    if kind not in acl.LEVELS or (kind in ("pipelines", "warehouses") and acl.SHELVES[kind] not in ws.shelves):
        raise ApiError(501, "NOT_IMPLEMENTED", f"the local Databricks does not model {call.method} {call.path}")
    if acl.maker(ws, kind, name) is None:
        what = TYPES[kind].removesuffix("s").replace("-", " ").capitalize()
        raise missing(f"{what} {name} does not exist.")
    return kind, name


def _manageable(ws: Workspace, call: Call) -> tuple[str, str]:
    kind, name = _thing(ws, call)
    if not ws.admin and (kind == "cluster-policies" or ws.may(f"{kind}/{name}") not in ("CAN_MANAGE", "IS_OWNER")):
        raise denied(f"{ws.client_id} does not have Manage permissions on {TYPES[kind]} {name}")
    return kind, name


def _given(kind: str, given: object) -> list[Json]:
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise malformed("Could not parse request object: access_control_list must be a list of objects")
    entries: list[Json] = []
    for raw in given:
        names = [field for field in acl.PRINCIPALS if raw.get(field)]
        if len(names) != 1:
            raise invalid("Exactly one of user_name, group_name and service_principal_name must be specified")
        level = raw.get("permission_level")
        if level not in acl.LEVELS[kind]:
            raise invalid(f"Invalid permission level {level} for {TYPES[kind]}: use {', '.join(acl.LEVELS[kind])}")
        if level == "IS_OWNER" and names == ["group_name"]:
            raise invalid(f"A group cannot be the owner of a {TYPES[kind]}")
        entries = raised(kind, entries, {names[0]: raw[names[0]], "permission_level": level})
    return entries


def _check_owner(kind: str, entries: list[Json]) -> None:
    if kind in OWNED and sum(entry["permission_level"] == "IS_OWNER" for entry in entries) != 1:
        raise invalid(f"The {OWNED[kind]} must have exactly one owner.")


def _who(entry: Json) -> tuple[str, str]:
    return next((field, str(entry[field])) for field in acl.PRINCIPALS if entry.get(field))


def _view(ws: Workspace, kind: str, name: str) -> Json:
    root = ROOTS.get(kind, f"/{kind}/")
    found: list[Json] = []
    for entry in acl.direct(ws, kind, name):
        field, who = _who(entry)
        display = {} if field == "group_name" else {"display_name": _display(ws, who)}
        granted = [{"permission_level": entry["permission_level"], "inherited": False}]
        found.append({field: who, **display, "all_permissions": granted})
    inherited = next(level for level in reversed(acl.LEVELS[kind]) if level != "IS_OWNER")
    theirs = {"permission_level": inherited, "inherited": True, "inherited_from_object": [root]}
    admins = next((entry for entry in found if entry.get("group_name") == "admins"), None)
    if admins:
        admins["all_permissions"].append(theirs)
    else:
        found.append({"group_name": "admins", "all_permissions": [theirs]})
    return {"object_id": f"{root}{name}", "object_type": TYPES[kind], "access_control_list": found}


def _display(ws: Workspace, who: str) -> str:
    return "rollout-bot" if who == ws.client_id else who.partition("@")[0].replace(".", " ").title()


ROUTES: Routes = {
    ("GET", "/api/2.0/permissions/{kind}/{id}/permissionLevels"): levels,
    ("GET", "/api/2.0/permissions/{kind}/{id}"): get,
    ("PUT", "/api/2.0/permissions/{kind}/{id}"): put,
    ("PATCH", "/api/2.0/permissions/{kind}/{id}"): patch,
}
