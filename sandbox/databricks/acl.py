"""Access control lists: who may do what with one thing, and what the bot may do therefore.

A thing is named as in the permissions API, `clusters/ID`. Only lists that somebody wrote are kept (on the shelf
"permissions", direct entries only); all others follow from who made the thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.databricks.errors import Json

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

LEVELS: dict[str, tuple[str, ...]] = {
    "clusters": ("CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE"),
    "jobs": ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"),
    "cluster-policies": ("CAN_USE",),
    "instance-pools": ("CAN_ATTACH_TO", "CAN_MANAGE"),
    "pipelines": ("CAN_VIEW", "CAN_RUN", "CAN_MANAGE", "IS_OWNER"),
    "warehouses": ("CAN_VIEW", "CAN_MONITOR", "CAN_USE", "CAN_MANAGE", "IS_OWNER"),
}
"""What can be granted, by kind, the weakest first: each includes those before it."""

PRINCIPALS = ("user_name", "group_name", "service_principal_name")
GROUPS = ("users", "platform-automation")
"""The groups that the bot's service principal is in, beside admins where it is an administrator."""

SHELVES = {
    "cluster-policies": "policies",
    "instance-pools": "pools",
    "pipelines": "pipelines",
    "warehouses": "warehouses",
}
"""Where things of the other API families stand."""
MAKERS = ("creator_user_name", "creator_name", "creator", "owner")


def maker(ws: Workspace, kind: str, name: str) -> str | None:
    """Who made a thing; None when there is no such thing."""
    if kind == "clusters":
        return ws.clusters[name].creator if name in ws.clusters else None
    if kind == "jobs":
        job = ws.jobs.get(int(name)) if name.isdigit() else None
        return job.creator if job else None
    thing = ws.shelves.get(SHELVES.get(kind, ""), {}).get(name)
    if thing is None:
        return None
    return next((str(thing[key]) for key in MAKERS if thing.get(key)), "")


def direct(ws: Workspace, kind: str, name: str) -> list[Json]:
    """The direct entries of a thing: `{user_name | group_name | service_principal_name, permission_level}`.

    A thing that the bot made is the bot's alone. What stood there before it (in the fleet) is also open to all users,
    and the bot has the highest right on it that does not make it the owner.
    """
    written = ws.shelf("permissions").get(f"{kind}/{name}")
    if written is not None:
        return list(written["entries"])
    return unwritten(ws, kind, maker(ws, kind, name) or "")


def unwritten(ws: Workspace, kind: str, owner: str) -> list[Json]:
    """The entries of a thing of this owner to which nobody gave others."""
    levels = LEVELS[kind]
    entries: list[Json] = []
    if kind == "cluster-policies":
        return [] if owner == ws.client_id else [{"group_name": "users", "permission_level": "CAN_USE"}]
    if owner:
        entries.append({principal(ws, owner): owner, "permission_level": levels[-1]})
    if owner != ws.client_id:
        entries.append({"group_name": "users", "permission_level": levels[0]})
        entries.append({"service_principal_name": ws.client_id, "permission_level": "CAN_MANAGE"})
    return entries


def principal(ws: Workspace, name: str) -> str:
    """The field in which somebody is named: a person has an address, all others are service principals."""
    return "user_name" if "@" in name else "service_principal_name"


def write(ws: Workspace, kind: str, name: str, entries: list[Json]) -> None:
    """Keep these direct entries from now on."""
    ws.shelf("permissions")[f"{kind}/{name}"] = {"entries": entries}
    ws.changes += 1


def forget(ws: Workspace, kind: str, name: str) -> None:
    """The thing is gone, and what was granted on it."""
    ws.shelf("permissions").pop(f"{kind}/{name}", None)


def stronger(kind: str, one: str, other: str) -> bool:
    """Whether one level includes the other and is not the same; the empty level is the weakest."""
    levels = ("", *LEVELS[kind])
    return levels.index(one) > levels.index(other)


def level(ws: Workspace, kind: str, name: str) -> str:
    """The highest level that the bot has on a thing, by itself or through its groups; empty for none.

    What is neither there nor remembered is nobody's secret: the API goes on and says that it does not exist.
    """
    if ws.admin:
        return next(one for one in reversed(LEVELS[kind]) if one != "IS_OWNER")
    if f"{kind}/{name}" not in ws.shelf("permissions") and maker(ws, kind, name) is None:
        return LEVELS[kind][-1]
    best = ""
    for entry in direct(ws, kind, name):
        ours = entry.get("service_principal_name") == ws.client_id or entry.get("group_name") in GROUPS
        if ours and stronger(kind, entry["permission_level"], best):
            best = entry["permission_level"]
    return best


def may_use(ws: Workspace, kind: str, name: str) -> bool:
    """Whether the bot may use a policy or a pool for its compute: any level will do."""
    return bool(level(ws, kind, name))


def grant(ws: Workspace, kind: str, name: str, entry: Mapping[str, Any]) -> None:
    """What the fleet says of rights on a thing: `permission` is the bot's own, `acl` stands for what all users have."""
    if "permission" not in entry and "acl" not in entry:
        return
    entries = unwritten(ws, kind, maker(ws, kind, name) or "")
    if "permission" in entry:
        entries = [one for one in entries if one.get("service_principal_name") != ws.client_id]
        entries.append({"service_principal_name": ws.client_id, "permission_level": entry["permission"]})
    if "acl" in entry:
        entries = [one for one in entries if one.get("group_name") != "users"]
    given = [dict(one) for one in entry.get("acl", [])]
    named = [{field: one.get(field) for field in PRINCIPALS} for one in given]
    kept = [one for one in entries if {field: one.get(field) for field in PRINCIPALS} not in named]
    for one in [*kept, *given]:
        if one["permission_level"] not in LEVELS[kind]:
            raise ValueError(f"{kind}/{name}: {one['permission_level']} is none of {', '.join(LEVELS[kind])}")
    write(ws, kind, name, [*kept, *given])
