"""Unity Catalog: the metastore, catalogs, schemas and tables, as far as they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from sandbox.databricks import statement_life, system_tables
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import ApiError, Json, denied, invalid
from sandbox.databricks.paging import seal, unseal
from sandbox.databricks.sql import privileges
from sandbox.databricks.sql.lake import Table
from sandbox.databricks.sql.types import described
from sandbox.databricks.workspace import Workspace

METASTORE = "5f2b1c9e-7d34-4b8a-9a51-3e0c6d2f8a17"
"""One for the whole sandbox; each catalog is bound to the workspace that has it."""
BASE = "/api/2.1/unity-catalog"
PAGE = 10


def absent(kind: str, name: str) -> ApiError:
    """What the catalog says of a thing that is not there."""
    return ApiError(404, f"{kind}_DOES_NOT_EXIST", f"{kind.replace('_', ' ').capitalize()} '{name}' does not exist.")


def pages(
    call: Call,
    things: Sequence[Json],
    name: str,
    visible: Callable[[Json], bool],
    smallest: int = 1,
    largest: int = 1000,
) -> Json:
    """A list as the catalog gives it: all of it without max_results, in pages of the server's size with 0.

    What the caller may not see is taken out of the pages after they were cut; a page may so be empty and have a next
    one all the same. The first page of a paged list always is, so that nobody takes an empty page for the end.
    """
    if "max_results" not in call.query and not call.text("page_token"):
        return {name: [thing for thing in things if visible(thing)]}
    most = call.number("max_results", 0)
    if most and not smallest <= most:
        raise invalid(f"Invalid value for max_results: {most}. It must be 0, or {smallest} or more.")
    size = min(most or max(PAGE, smallest), largest)
    if not call.text("page_token"):
        return {name: [], "next_page_token": seal(0)} if things else {name: []}
    start = int(unseal(call.text("page_token"), 1)[0])
    answer: Json = {name: [thing for thing in things[start : start + size] if visible(thing)]}
    if start + size < len(things):
        answer["next_page_token"] = seal(start + size)
    return answer


def may(ws: Workspace, privilege: str, kind: str, name: str, owner: str = "") -> bool:
    """Whether the bot has a privilege on a thing, or owns it."""
    who = statement_life.principals(ws)
    return owner in who or privileges.holds(ws.shelf("grants"), who, privilege, kind, name)


def touches(ws: Workspace, kind: str, name: str, owner: str = "") -> bool:
    """Whether the bot has any privilege at all on a thing: enough to see that it is there."""
    who = statement_life.principals(ws)
    found = privileges.effective(ws.shelf("grants"), kind, name)
    return owner in who or any(principal in who for principal, _, _, _ in found)


# --- metastore ---


def _metastore(ws: Workspace) -> Json:
    return {
        "metastore_id": METASTORE,
        "name": "shop-eu-central-1",
        "cloud": "aws",
        "region": "eu-central-1",
        "global_metastore_id": f"aws:eu-central-1:{METASTORE}",
        "owner": "metastore-admins",
        "privilege_model_version": "1.0",
        "delta_sharing_scope": "INTERNAL",
        "storage_root": f"s3://shop-metastore/{METASTORE}",
    }


def summary(ws: Workspace, call: Call) -> Json:
    """GET metastore_summary."""
    return _metastore(ws)


def assignment(ws: Workspace, call: Call) -> Json:
    """GET current-metastore-assignment."""
    default = next(iter(ws.shelf("catalogs")), "")
    return {"workspace_id": ws.number, "metastore_id": METASTORE, "default_catalog_name": default}


def metastores(ws: Workspace, call: Call) -> Json:
    """GET metastores: for account admins, which the bot is not, the one that it can see."""
    return pages(call, [_metastore(ws)], "metastores", lambda thing: True)


def metastore(ws: Workspace, call: Call) -> Json:
    """GET one metastore."""
    if call.named["id"] != METASTORE:
        raise absent("METASTORE", call.named["id"])
    return _metastore(ws)


# --- catalogs, schemas ---


def _catalog(ws: Workspace, name: str) -> Json:
    entry = ws.shelf("catalogs")[name]
    return {
        "name": name,
        "full_name": name,
        "owner": entry["owner"],
        "comment": entry["comment"],
        "catalog_type": "MANAGED_CATALOG",
        "isolation_mode": "ISOLATED",
        "metastore_id": METASTORE,
        "securable_type": "CATALOG",
        "storage_root": f"s3://unity-{name}",
        "created_at": entry["created_at"],
        "created_by": entry["owner"],
        "updated_at": entry["created_at"],
        "properties": {},
    }


def catalogs(ws: Workspace, call: Call) -> Json:
    """GET catalogs."""
    found = [_catalog(ws, name) for name in sorted(ws.shelf("catalogs"))]
    return pages(call, found, "catalogs", lambda thing: touches(ws, "CATALOG", thing["name"], thing["owner"]))


def catalog(ws: Workspace, call: Call) -> Json:
    """GET one catalog."""
    name = call.named["name"]
    if name not in ws.shelf("catalogs"):
        raise absent("CATALOG", name)
    _need_catalog(ws, name)
    return _catalog(ws, name)


def _need_catalog(ws: Workspace, name: str) -> None:
    if name not in ws.shelf("catalogs"):
        raise absent("CATALOG", name)
    if not may(ws, "USE_CATALOG", "CATALOG", name, ws.shelf("catalogs")[name]["owner"]):
        raise denied(f"User does not have USE CATALOG on Catalog '{name}'.")


def _need_schema(ws: Workspace, name: str) -> None:
    _need_catalog(ws, name.split(".", maxsplit=1)[0])
    if name not in ws.lake.schemas:
        raise absent("SCHEMA", name)
    if not may(ws, "USE_SCHEMA", "SCHEMA", name, ws.lake.schemas[name]["owner"]):
        raise denied(f"User does not have USE SCHEMA on Schema '{name}'.")


def _schema(ws: Workspace, name: str) -> Json:
    entry = ws.lake.schemas[name]
    parent, _, last = name.partition(".")
    return {
        "name": last,
        "catalog_name": parent,
        "full_name": name,
        "owner": entry["owner"],
        "catalog_type": "MANAGED_CATALOG",
        "metastore_id": METASTORE,
        "schema_id": _uuid(name),
        "created_at": entry["created_at"],
        "created_by": entry["owner"],
        "updated_at": entry["created_at"],
        "properties": {},
    }


def schemas(ws: Workspace, call: Call) -> Json:
    """GET schemas of a catalog."""
    parent = _required(call, "catalog_name")
    _need_catalog(ws, parent)
    found = [_schema(ws, name) for name in sorted(ws.lake.schemas) if name.split(".", maxsplit=1)[0] == parent]
    return pages(call, found, "schemas", lambda thing: touches(ws, "SCHEMA", thing["full_name"], thing["owner"]))


def schema(ws: Workspace, call: Call) -> Json:
    """GET one schema."""
    _two(call.named["full_name"])
    _need_schema(ws, call.named["full_name"])
    return _schema(ws, call.named["full_name"])


# --- tables ---


def _table(ws: Workspace, table: Table) -> Json:
    parent, middle, last = table.parts
    columns = []
    for place, column in enumerate(table.columns):
        entry = {**described(column, place), "nullable": column["nullable"], "type_json": json.dumps(column)}
        entry["type_text"] = entry["type_text"].lower()
        if column["name"] in table.partitions:
            entry["partition_index"] = table.partitions.index(column["name"])
        columns.append(entry)
    found: Json = {
        "name": last,
        "catalog_name": parent,
        "schema_name": middle,
        "full_name": table.name,
        "table_type": table.kind,
        "columns": columns,
        "owner": table.owner,
        "properties": dict(table.properties),
        "metastore_id": METASTORE,
        "table_id": table.id,
        "created_at": table.created,
        "created_by": table.owner,
        "updated_at": table.updated,
    }
    if table.comment:
        found["comment"] = table.comment
    if table.is_view:
        found["view_definition"] = table.text
    else:
        found.update(data_source_format="DELTA", storage_location=table.location)
    return found


def tables(ws: Workspace, call: Call) -> Json:
    """GET tables of a schema."""
    name = f"{_required(call, 'catalog_name')}.{_required(call, 'schema_name')}"
    _need_schema(ws, name)
    kept = ("columns",) * bool(call.flag("omit_columns")) + ("properties",) * bool(call.flag("omit_properties"))
    found = []
    for table in sorted(ws.lake.tables.values(), key=lambda table: table.name):
        if ".".join(table.parts[:2]) == name:
            found.append({key: value for key, value in _table(ws, table).items() if key not in kept})
    return pages(
        call, found, "tables", lambda thing: touches(ws, "TABLE", thing["full_name"], thing["owner"]), largest=50
    )


def table(ws: Workspace, call: Call) -> Json:
    """GET one table or view."""
    name = call.named["full_name"]
    _three(name)
    if system_tables.there(ws, name):
        return system_tables.described(ws, name)
    _need_schema(ws, name.rsplit(".", 1)[0] if name.count(".") == 2 else ".".join(name.split(".")[:2]))
    found = ws.lake.tables.get(name)
    if found is None:
        raise absent("TABLE", name)
    if not any(may(ws, privilege, "TABLE", name, found.owner) for privilege in ("SELECT", "MODIFY", "MANAGE")):
        raise denied(f"User does not have SELECT on Table '{name}'.")
    return _table(ws, found)


def exists(ws: Workspace, call: Call) -> Json:
    """GET exists: false also where the schema is not there."""
    name = call.named["full_name"]
    _three(name)
    return {"table_exists": name in ws.lake.tables}


def _required(call: Call, name: str) -> str:
    if not call.text(name):
        raise invalid(f"Missing required field: {name}")
    return call.text(name)


def _two(name: str) -> None:
    if name.count(".") != 1:
        raise invalid(f"'{name}' is not a valid name: expected catalog.schema.")


def _three(name: str) -> None:
    if name.count(".") < 2:
        raise invalid(f"'{name}' is not a valid name: expected catalog.schema.table.")


def _uuid(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"


ROUTES: Routes = {
    ("GET", f"{BASE}/metastore_summary"): summary,
    ("GET", f"{BASE}/current-metastore-assignment"): assignment,
    ("GET", f"{BASE}/metastores"): metastores,
    ("GET", f"{BASE}/metastores/{{id}}"): metastore,
    ("GET", f"{BASE}/catalogs"): catalogs,
    ("GET", f"{BASE}/catalogs/{{name}}"): catalog,
    ("GET", f"{BASE}/schemas"): schemas,
    ("GET", f"{BASE}/schemas/{{full_name}}"): schema,
    ("GET", f"{BASE}/tables"): tables,
    ("GET", f"{BASE}/tables/{{full_name}}"): table,
    ("GET", f"{BASE}/tables/{{full_name}}/exists"): exists,
}
