"""External locations and credentials, and whether they work: PASS, FAIL or SKIP per operation, always with HTTP 200."""

from __future__ import annotations

from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import Json, denied, invalid
from sandbox.databricks.unity import BASE, METASTORE, absent, may, pages, touches
from sandbox.databricks.workspace import Workspace

READING = ("READ", "LIST", "PATH_EXISTS")
WRITING = ("READ", "LIST", "WRITE", "DELETE", "PATH_EXISTS")


def _location(ws: Workspace, name: str) -> Json:
    entry = ws.shelf("external_locations")[name]
    credential = ws.shelf("credentials").get(entry["credential"], {})
    return {
        "name": name,
        "url": entry["url"],
        "credential_name": entry["credential"],
        "credential_id": credential.get("id", ""),
        "read_only": entry["read_only"],
        "owner": entry["owner"],
        "metastore_id": METASTORE,
        "isolation_mode": "ISOLATION_MODE_OPEN",
        "created_at": entry["created_at"],
        "created_by": entry["owner"],
        "updated_at": entry["created_at"],
    }


def locations(ws: Workspace, call: Call) -> Json:
    """GET external-locations."""
    found = [_location(ws, name) for name in sorted(ws.shelf("external_locations"))]
    return pages(call, found, "external_locations", lambda t: touches(ws, "EXTERNAL_LOCATION", t["name"], t["owner"]))


def location(ws: Workspace, call: Call) -> Json:
    """GET one external location."""
    name = call.named["name"]
    if name not in ws.shelf("external_locations"):
        raise absent("EXTERNAL_LOCATION", name)
    if not touches(ws, "EXTERNAL_LOCATION", name, ws.shelf("external_locations")[name]["owner"]):
        raise denied(f"User does not have any privilege on External Location '{name}'.")
    return _location(ws, name)


def _credential(entry: Json) -> Json:
    return {
        "id": entry["id"],
        "name": entry["name"],
        "full_name": entry["name"],
        "aws_iam_role": {
            "role_arn": entry["role"],
            "unity_catalog_iam_arn": "arn:aws:iam::414351767826:role/unity-catalog-prod-UCMasterRole",
            "external_id": entry["id"],
        },
        "read_only": entry["read_only"],
        "owner": entry["owner"],
        "metastore_id": METASTORE,
        "isolation_mode": "ISOLATION_MODE_OPEN",
        "used_for_managed_storage": False,
        "created_at": entry["created_at"],
        "created_by": entry["owner"],
        "updated_at": entry["created_at"],
    }


def _kind(entry: Json) -> str:
    return "STORAGE_CREDENTIAL" if entry["purpose"] == "STORAGE" else "CREDENTIAL"


def storage_credentials(ws: Workspace, call: Call) -> Json:
    """GET storage-credentials."""
    found = [_credential(entry) for entry in _sorted(ws) if entry["purpose"] == "STORAGE"]
    return pages(call, found, "storage_credentials", lambda t: touches(ws, "STORAGE_CREDENTIAL", t["name"], t["owner"]))


def storage_credential(ws: Workspace, call: Call) -> Json:
    """GET one storage credential."""
    return _credential(_visible(ws, call.named["name"], "STORAGE"))


def credentials(ws: Workspace, call: Call) -> Json:
    """GET credentials, of one purpose or of both."""
    purpose = call.text("purpose")
    if purpose not in ("", "STORAGE", "SERVICE"):
        raise invalid(f"Invalid value for purpose: {purpose}")
    chosen = [entry for entry in _sorted(ws) if purpose in ("", entry["purpose"])]
    found = [{**_credential(entry), "purpose": entry["purpose"]} for entry in chosen]
    kinds = {entry["name"]: _kind(entry) for entry in chosen}
    return pages(call, found, "credentials", lambda t: touches(ws, kinds[t["name"]], t["name"], t["owner"]))


def credential(ws: Workspace, call: Call) -> Json:
    """GET one credential."""
    entry = _visible(ws, call.named["name"], "")
    return {**_credential(entry), "purpose": entry["purpose"]}


def validate_storage(ws: Workspace, call: Call) -> Json:
    """POST validate-storage-credentials: each operation by itself; SKIP is no PASS."""
    body = call.body
    place = str(body.get("external_location_name") or "")
    if place and place not in ws.shelf("external_locations"):
        raise absent("EXTERNAL_LOCATION", place)
    known = ws.shelf("external_locations").get(place, {})
    name, url = (
        str(body.get("storage_credential_name") or known.get("credential", "")),
        body.get("url") or known.get("url"),
    )
    if not name:
        raise invalid("Either storage_credential_name or a cloud-specific credential must be given.")
    if not url:
        raise invalid("Either external_location_name or url must be given.")
    entry = ws.shelf("credentials").get(name)
    if entry is None or entry["purpose"] != "STORAGE":
        raise absent("STORAGE_CREDENTIAL", name)
    _may_validate(ws, entry, "CREATE_EXTERNAL_LOCATION")
    read_only = bool(body.get("read_only") or known.get("read_only") or entry["read_only"])
    return {"is_dir": True, "results": _results(entry, READING if read_only else WRITING, str(url))}


def validate(ws: Workspace, call: Call) -> Json:
    """POST validate-credentials: a service credential is tried as a whole, a storage credential per operation."""
    body = call.body
    name, purpose = str(body.get("credential_name") or ""), str(body.get("purpose") or "STORAGE")
    if not name:
        raise invalid("Missing required field: credential_name")
    if purpose not in ("STORAGE", "SERVICE"):
        raise invalid(f"Invalid value for purpose: {purpose}")
    entry = ws.shelf("credentials").get(name)
    if entry is None or entry["purpose"] != purpose:
        raise absent("CREDENTIAL", name)
    if purpose == "STORAGE":
        inner = Call("POST", f"{BASE}/validate-storage-credentials", body={**body, "storage_credential_name": name})
        answer = validate_storage(ws, inner)
        for result in answer["results"]:
            result["message"] = f"{result.pop('operation')}: {result.get('message', '')}".rstrip(": ")
        return answer
    _may_validate(ws, entry, "ACCESS")
    return {"results": [_result(entry, "ASSUME", "")]}


def _results(entry: Json, operations: tuple[str, ...], url: str) -> list[Json]:
    return [{"operation": operation, **_result(entry, operation, url)} for operation in operations]


def _result(entry: Json, operation: str, url: str) -> Json:
    found = entry["results"].get(operation, "PASS")
    if found == "FAIL":
        at = f" on {url}" if url else ""
        return {
            "result": found,
            "message": f"The AWS IAM role {entry['role']} is not allowed to do this{at}: access denied.",
        }
    if found == "SKIP":
        return {
            "result": found,
            "message": "The check was not carried out, since an earlier one it needs did not pass.",
        }
    return {"result": found, "message": ""}


def _may_validate(ws: Workspace, entry: Json, privilege: str) -> None:
    """Its owner may, and who may make external locations on the metastore and with it."""
    if not may(ws, privilege, _kind(entry), entry["name"], entry["owner"]):
        raise denied(f"User does not have {privilege.replace('_', ' ')} on {_kind(entry)} '{entry['name']}'.")
    if privilege != "ACCESS" and not may(ws, privilege, "METASTORE", METASTORE, entry["owner"]):
        raise denied(f"User does not have {privilege.replace('_', ' ')} on Metastore.")


def _sorted(ws: Workspace) -> list[Json]:
    return [entry for _, entry in sorted(ws.shelf("credentials").items())]


def _visible(ws: Workspace, name: str, purpose: str) -> Json:
    entry = ws.shelf("credentials").get(name)
    if entry is None or purpose not in ("", entry["purpose"]):
        raise absent("STORAGE_CREDENTIAL" if purpose else "CREDENTIAL", name)
    if not touches(ws, _kind(entry), name, entry["owner"]):
        raise denied(f"User does not have any privilege on {_kind(entry)} '{name}'.")
    return entry


ROUTES: Routes = {
    ("GET", f"{BASE}/external-locations"): locations,
    ("GET", f"{BASE}/external-locations/{{name}}"): location,
    ("GET", f"{BASE}/storage-credentials"): storage_credentials,
    ("GET", f"{BASE}/storage-credentials/{{name}}"): storage_credential,
    ("POST", f"{BASE}/validate-storage-credentials"): validate_storage,
    ("GET", f"{BASE}/credentials"): credentials,
    ("GET", f"{BASE}/credentials/{{name}}"): credential,
    ("POST", f"{BASE}/validate-credentials"): validate,
}
