"""API family `/api/2.0/policies/clusters/{list,get,create,edit,delete}`: policies, which only administrators write.

A definition is kept as the text that was sent. Any JSON is accepted: what is no policy fails when things are launched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.databricks import acl, governance, libraries, policy_families
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import Json, denied, invalid
from sandbox.databricks.workspace import Workspace

FIELDS = (
    "name",
    "definition",
    "description",
    "libraries",
    "max_clusters_per_user",
    "policy_family_id",
    "policy_family_definition_overrides",
)
"""What can be written; all else about a policy is the server's."""
MOST_LIBRARIES = 500


def list_(ws: Workspace, call: Call) -> Json:
    """GET list: those that the caller may use, newest first unless asked otherwise; no pages."""
    column = call.text("sort_column") or "POLICY_CREATION_TIME"
    order = call.text("sort_order") or "DESC"
    if column not in ("POLICY_CREATION_TIME", "POLICY_NAME") or order not in ("ASC", "DESC"):
        raise invalid(f"Invalid value for sort_column or sort_order: {column}, {order}")
    found = [p for p in ws.shelf("policies").values() if acl.may_use(ws, "cluster-policies", p["policy_id"])]
    field = "name" if column == "POLICY_NAME" else "created_at_timestamp"
    found.sort(key=lambda policy: (policy[field], policy["policy_id"]), reverse=order == "DESC")
    return {"policies": found, "total_count": len(found)}


def get(ws: Workspace, call: Call) -> Json:
    """GET get."""
    policy = _policy(ws, call.text("policy_id"))
    if not acl.may_use(ws, "cluster-policies", policy["policy_id"]):
        raise denied(f"{ws.client_id} is not authorized to use the policy {policy['policy_id']}")
    return policy


def create(ws: Workspace, call: Call) -> Json:
    """POST create."""
    _check_admin(ws, "create")
    policy_id = new_id(ws)
    written = _written(ws, call.body, policy_id)
    head = {"policy_id": policy_id, "creator_user_name": ws.client_id, "created_at_timestamp": ws.now}
    ws.shelf("policies")[policy_id] = {**head, "is_default": False, **written}
    ws.changes += 1
    return {"policy_id": policy_id}


def edit(ws: Workspace, call: Call) -> Json:
    """POST edit: the whole policy anew; what is not sent is gone. What it governs stays as it is."""
    _check_admin(ws, "edit")
    policy = _policy(ws, call.body.get("policy_id"))
    written = _written(ws, call.body, policy["policy_id"])
    if policy["is_default"] and written.get("policy_family_id") != policy.get("policy_family_id"):
        raise invalid("The policy family of a default policy cannot be changed.")
    kept = {name: value for name, value in policy.items() if name not in FIELDS}
    ws.shelf("policies")[policy["policy_id"]] = {**kept, **written}
    ws.changes += 1
    return {}


def delete(ws: Workspace, call: Call) -> Json:
    """POST delete: what it governed still runs and cannot be edited any more."""
    _check_admin(ws, "delete")
    policy = _policy(ws, call.body.get("policy_id"))
    if policy["is_default"]:
        raise invalid(f"Default policy {policy['policy_id']} cannot be deleted.")
    del ws.shelf("policies")[policy["policy_id"]]
    acl.forget(ws, "cluster-policies", policy["policy_id"])
    ws.changes += 1
    return {}


def new_id(ws: Workspace) -> str:
    """An id of the usual form: sixteen hexadecimal digits."""
    salt = len(ws.shelf("policies"))
    while True:
        found = f"{int(ws.chance('policy', ws.now, salt) * 16**14):016X}"
        if found not in ws.shelf("policies"):
            return found
        salt += 1


def put_in_place(ws: Workspace, entry: Mapping[str, Any], now: int) -> None:
    """A policy of the fleet: any fields that the API shows, `definition` as text or as an object, `acl` as grants."""
    raw = {name: value for name, value in entry.items() if name != "acl"}
    for name in ("definition", "policy_family_definition_overrides"):
        if name in raw and not isinstance(raw[name], str):
            raw[name] = json.dumps(raw[name])
    if raw.get("policy_family_id"):
        overrides = raw.get("policy_family_definition_overrides")
        raw["definition"] = policy_families.definition(raw["policy_family_id"], overrides)
    age = int((30 + 600 * ws.chance("policy", raw["policy_id"])) * 86_400_000)
    defaults = {
        "creator_user_name": "platform-team@example.com",
        "created_at_timestamp": now - age,
        "is_default": False,
    }
    ws.shelf("policies")[raw["policy_id"]] = {**defaults, **raw}


def _policy(ws: Workspace, policy_id: object) -> Json:
    if not policy_id:
        raise invalid("Missing required field: policy_id")
    policy = ws.shelf("policies").get(str(policy_id))
    if policy is None:
        raise governance.no_policy(policy_id)
    return policy


def _written(ws: Workspace, body: Json, policy_id: str) -> Json:
    """The written fields of a request, checked; the definition of a family's policy is made here."""
    written = {name: body[name] for name in FIELDS if body.get(name) is not None}
    name = written.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise invalid("Cluster policy name must have between 1 and 100 characters")
    if any(p["name"] == name and p["policy_id"] != policy_id for p in ws.shelf("policies").values()):
        raise invalid(f"Cluster Policy with name `{name}` already exists")
    if len(libraries.checked(written.get("libraries") or [])) > MOST_LIBRARIES:
        raise invalid(f"A cluster policy can have at most {MOST_LIBRARIES} libraries")
    limit = written.get("max_clusters_per_user")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise invalid(f"Invalid value for max_clusters_per_user: {limit}")
    family = written.get("policy_family_id")
    if family is None:
        if "policy_family_definition_overrides" in written:
            raise invalid("policy_family_definition_overrides cannot be used without policy_family_id")
        _check_json("definition", written.get("definition"))
        return written
    if "definition" in written:
        raise invalid("definition cannot be used with policy_family_id: use policy_family_definition_overrides instead")
    if not policy_families.known(family):
        raise invalid(f"Policy family {family} does not exist.")
    overrides = written.get("policy_family_definition_overrides")
    if overrides is not None:
        _check_json("policy_family_definition_overrides", overrides)
    return {**written, "definition": policy_families.definition(family, overrides)}


def _check_json(name: str, text: object) -> None:
    if not isinstance(text, str):
        raise invalid(f"Missing required field: {name}, a JSON document as a string")
    try:
        json.loads(text)
    except ValueError as error:
        raise invalid(f"Invalid JSON in {name}: {error}") from error


def _check_admin(ws: Workspace, what: str) -> None:
    if not ws.admin:
        raise denied(f"Only administrators can {what} cluster policies: {ws.client_id} is not one.")


ROUTES: Routes = {
    ("GET", "/api/2.0/policies/clusters/list"): list_,
    ("GET", "/api/2.0/policies/clusters/get"): get,
    ("POST", "/api/2.0/policies/clusters/create"): create,
    ("POST", "/api/2.0/policies/clusters/edit"): edit,
    ("POST", "/api/2.0/policies/clusters/delete"): delete,
}
