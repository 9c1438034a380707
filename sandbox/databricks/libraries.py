"""API family `/api/2.0/libraries/*`: libraries of all-purpose clusters."""

from __future__ import annotations

from sandbox.databricks import library_life
from sandbox.databricks.call import Call, Routes
from sandbox.databricks.errors import Json, denied, invalid, malformed
from sandbox.databricks.model import Cluster
from sandbox.databricks.workspace import Workspace

EVERYWHERE = "everywhere"
"""The shelf of libraries that are set to be installed on all clusters: no runtime since 7.0 installs them."""


def all_cluster_statuses(ws: Workspace, call: Call) -> Json:
    """GET all-cluster-statuses: of the clusters that have any."""
    found = [_statuses(ws, cluster) for cluster in ws.clusters.values()]
    return {"statuses": [entry for entry in found if entry["library_statuses"]]}


def cluster_status(ws: Workspace, call: Call) -> Json:
    """GET cluster-status: first what is to be there, in the order of its coming, then what is marked for removal."""
    return _statuses(ws, ws.cluster(call.text("cluster_id") or None))


def install(ws: Workspace, call: Call) -> Json:
    """POST install: accepted at once, done later."""
    cluster, libraries = _named(ws, call)
    for library in libraries:
        library_life.add(ws, cluster, library, ws.now)
    return {}


def uninstall(ws: Workspace, call: Call) -> Json:
    """POST uninstall: takes effect at the next start."""
    cluster, libraries = _named(ws, call)
    for library in libraries:
        library_life.remove(ws, cluster, library)
    return {}


def checked(libraries: object) -> list[Json]:
    """A list of libraries, each of exactly one kind; refused otherwise. Also for those of policies."""
    if not isinstance(libraries, list) or not all(isinstance(library, dict) for library in libraries):
        raise malformed("Could not parse request object: libraries must be a list of objects")
    for library in libraries:
        kinds = [kind for kind in library_life.KINDS if library.get(kind)]
        if len(kinds) != 1 or len(library) != 1:
            raise invalid(f"Exactly one of {', '.join(library_life.KINDS)} must be specified for a library")
        _check_content(kinds[0], library[kinds[0]])
    return libraries


def _check_content(kind: str, content: object) -> None:
    inner = {"maven": "coordinates", "pypi": "package", "cran": "package"}.get(kind)
    if inner is None:
        if not isinstance(content, str):
            raise malformed(f"Could not parse request object: {kind} must be a string")
    elif not isinstance(content, dict) or not isinstance(content.get(inner), str):
        raise invalid(f"Missing required field: {kind}.{inner}")
    elif kind == "maven" and content[inner].count(":") < 2:
        raise invalid(f"Invalid maven coordinates: {content[inner]}. Use groupId:artifactId:version")


def _statuses(ws: Workspace, cluster: Cluster) -> Json:
    shown = []
    for entry in library_life.entries(ws, cluster.cluster_id):
        status, messages = library_life.status(ws, cluster, entry, ws.now)
        line: Json = {"library": entry["library"], "status": status, "is_library_for_all_clusters": False}
        shown.append({**line, "messages": messages} if messages else line)
    shown.sort(key=lambda line: line["status"] == "UNINSTALL_ON_RESTART")
    for library in ws.shelf(EVERYWHERE).values():
        shown.append({"library": library, "status": "SKIPPED", "is_library_for_all_clusters": True})
    return {"cluster_id": cluster.cluster_id, "library_statuses": shown}


def _named(ws: Workspace, call: Call) -> tuple[Cluster, list[Json]]:
    cluster = ws.cluster(call.body.get("cluster_id"))
    if ws.may(f"clusters/{cluster.cluster_id}") != "CAN_MANAGE":
        raise denied(f"{ws.client_id} does not have Manage permissions on cluster {cluster.cluster_id}")
    libraries = checked(call.body.get("libraries") or [])
    if not libraries:
        raise invalid("Missing required field: libraries")
    return cluster, libraries


ROUTES: Routes = {
    ("GET", "/api/2.0/libraries/all-cluster-statuses"): all_cluster_statuses,
    ("GET", "/api/2.0/libraries/cluster-status"): cluster_status,
    ("POST", "/api/2.0/libraries/install"): install,
    ("POST", "/api/2.0/libraries/uninstall"): uninstall,
}
