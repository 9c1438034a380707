"""Who may do what with one object of a workspace: read, compared and copied (facts: databricks a4, pitfall 27)."""

from collections.abc import Iterator
from typing import Any, Final

from rollout.change import Raw
from workspace.client import Client

#: How the permissions API calls our kinds.
_NAMES: Final = {"cluster": "clusters", "job": "jobs", "policy": "cluster-policies", "pool": "instance-pools"}
_PRINCIPALS: Final = ("user_name", "group_name", "service_principal_name")
#: Includes every other right on a pool.
_ALL: Final = "CAN_MANAGE"

#: Principal's field, principal, level.
Grant = tuple[str, str, str]


def read(client: Client, kind: str, object_id: str) -> dict[str, Any]:
    """The permissions of an object as the API gives them; reading them takes the right to manage the object.

    Raises the WorkspaceErrors of ``Client.get``.
    """
    return client.get(_path(kind, object_id))


def grant(client: Client, kind: str, object_id: str, grants: list[Grant]) -> None:
    """One write that adds ``grants`` to what is granted, and takes nothing from anybody; a second one does no harm.

    Raises the WorkspaceErrors of ``Client.write``.
    """
    entries = [{field: who, "permission_level": level} for field, who, level in grants]
    client.write(_path(kind, object_id), {"access_control_list": entries}, method="PATCH")


def missing(wanted: Raw, found: Raw) -> list[Grant]:
    """What is granted directly in ``wanted`` and neither it nor everything in ``found``. Pure."""
    there = set(_grants(found))
    return [
        (field, who, level)
        for field, who, level in _grants(wanted)
        if not {(field, who, level), (field, who, _ALL)} & there
    ]


def direct(raw: Raw) -> dict[str, list[str]]:
    """Principal -> its levels, sorted; what is inherited from a parent is left out. Pure."""
    found: dict[str, set[str]] = {}
    for field, who, level in _grants(raw):
        found.setdefault(f"{field.removesuffix('_name')} {who}", set()).add(level)
    return {who: sorted(found[who]) for who in sorted(found)}


def _grants(raw: Raw) -> Iterator[Grant]:
    for entry in raw.get("access_control_list") or ():
        for field in _PRINCIPALS:
            for given in (entry.get("all_permissions") or ()) if entry.get(field) else ():
                if not given.get("inherited") and given.get("permission_level"):
                    yield field, str(entry[field]), str(given["permission_level"])


def _path(kind: str, object_id: str) -> str:
    return f"/api/2.0/permissions/{_NAMES[kind]}/{object_id}"
