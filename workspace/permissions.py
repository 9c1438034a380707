"""Who may do what with one object: the entries that were given to it directly (API 2.0)."""

from typing import Final

from workspace.client import Client

#: Under this name the permissions stand in a backup, beside the raw configuration.
KEPT: Final = "permissions_when_backed_up"
_PATHS: Final = {"cluster": "clusters", "job": "jobs", "policy": "cluster-policies"}
_WHO: Final = ("user_name", "group_name", "service_principal_name")


def direct(client: Client, kind: str, object_id: str) -> dict[str, list[str]]:
    """Principal -> its levels, sorted; what is inherited from a parent is left out.

    Reading them takes the right to manage the object. Raises the WorkspaceErrors of ``Client.get``.
    """
    found: dict[str, list[str]] = {}
    answer = client.get(f"/api/2.0/permissions/{_PATHS[kind]}/{object_id}")
    for entry in answer.get("access_control_list") or ():
        who = next((f"{name.removesuffix('_name')} {entry[name]}" for name in _WHO if entry.get(name)), None)
        levels = {
            str(p.get("permission_level"))
            for p in entry.get("all_permissions") or ()
            if p.get("permission_level") and not p.get("inherited")
        }
        if who is not None and levels:
            found[who] = sorted(levels)
    return dict(sorted(found.items()))
