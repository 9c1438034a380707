"""Grants: what is granted on a thing itself, and what reaches it from above. Members of groups are not looked up."""

from __future__ import annotations

from collections.abc import Collection

from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import Json, invalid
from sandbox.databricks.sql import privileges
from sandbox.databricks.unity import BASE, METASTORE, absent, pages
from sandbox.databricks.workspace import Workspace

SMALLEST = 150
"""max_results of permissions is 0, or this or more."""
KINDS = ("METASTORE", "CATALOG", "SCHEMA", "TABLE", "EXTERNAL_LOCATION", "STORAGE_CREDENTIAL", "CREDENTIAL")


def direct(ws: Workspace, call: Call) -> Json:
    """GET permissions."""
    kind, name = _thing(ws, call)
    found = [
        {"principal": who, "privileges": sorted(what)}
        for who, what in sorted(ws.shelf("grants").get(f"{kind} {name}", {}).items())
        if call.text("principal") in ("", who)
    ]
    return pages(call, found, "privilege_assignments", lambda thing: True, SMALLEST)


def effective(ws: Workspace, call: Call) -> Json:
    """GET effective-permissions: inherited ones say where they come from."""
    kind, name = _thing(ws, call)
    found: dict[str, list[Json]] = {}
    for who, privilege, above, place in privileges.effective(ws.shelf("grants"), kind, name):
        if call.text("principal") in ("", who):
            entry: Json = {"privilege": privilege}
            if (above, place) != (kind, name):
                entry.update(inherited_from_type=above, inherited_from_name=place)
            found.setdefault(who, []).append(entry)
    rows = [{"principal": who, "privileges": what} for who, what in sorted(found.items())]
    return pages(call, rows, "privilege_assignments", lambda thing: True, SMALLEST)


def _thing(ws: Workspace, call: Call) -> tuple[str, str]:
    kind, name = call.named["kind"].upper(), call.named["full_name"]
    if kind not in KINDS:
        raise invalid(f"'{call.named['kind']}' is not a securable type that the local Databricks knows.")
    known: dict[str, Collection[str]] = {
        "METASTORE": {METASTORE},
        "CATALOG": ws.shelf("catalogs"),
        "SCHEMA": ws.lake.schemas,
        "TABLE": ws.lake.tables,
        "EXTERNAL_LOCATION": ws.shelf("external_locations"),
    }
    if name not in known.get(kind, ws.shelf("credentials")):
        raise absent(kind, name)
    return kind, name


ROUTES: Routes = {
    ("GET", f"{BASE}/permissions/{{kind}}/{{full_name}}"): direct,
    ("GET", f"{BASE}/effective-permissions/{{kind}}/{{full_name}}"): effective,
}
