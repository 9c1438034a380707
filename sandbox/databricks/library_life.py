"""The life of libraries on clusters: installed anew at each start, on the calendar, with success or not.

The shelf "libraries" keeps for each cluster the entries `{library, began, runtime, removed, status, messages}`. While a
cluster runs, the status follows from `began` and the calendar; when it stops, the last one is written down and stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.databricks import versions
from sandbox.databricks.errors import Json
from sandbox.databricks.model import Cluster

if TYPE_CHECKING:
    from sandbox.databricks.workspace import Workspace

SECOND = 1000
KINDS = ("cran", "egg", "jar", "maven", "pypi", "requirements", "whl")
SCALA = re.compile(r"_(2\.1[0-3])(?=[:.\-]|$)")
WHEEL = re.compile(r"-(cp\d+)-(\w+)-[^-]+\.whl$")
PYTHONS = {13: "cp310", 14: "cp310", 15: "cp311", 16: "cp312", 17: "cp312", 18: "cp312"}
"""The Python of each runtime, as wheels name it."""


def entries(ws: Workspace, cluster_id: str) -> list[Json]:
    """The libraries of a cluster, in the order in which they were added."""
    found: list[Json] = ws.shelf("libraries").get(cluster_id, {}).get("entries", [])
    return found


def add(ws: Workspace, cluster: Cluster, library: Json, at: int) -> None:
    """Put a library on a cluster: where it runs it is installed now, elsewhere at the next start."""
    found: list[Json] = ws.shelf("libraries").setdefault(cluster.cluster_id, {"entries": []})["entries"]
    known = next((entry for entry in found if entry["library"] == library), None)
    if known is not None and not known["removed"] and status(ws, cluster, known, at)[0] != "FAILED":
        return
    if known is None:
        known = {"library": library}
        found.append(known)
    known.update(began=0, runtime="", removed=False, status="PENDING", messages=[])
    if cluster.state in ("RUNNING", "RESIZING"):
        _begin(cluster, known, at)
    ws.changes += 1


def remove(ws: Workspace, cluster: Cluster, library: Json) -> None:
    """Mark a library for removal at the next start; one that is not there is ignored."""
    for entry in entries(ws, cluster.cluster_id):
        if entry["library"] == library:
            entry["removed"] = True
            ws.changes += 1


def adopt(ws: Workspace, cluster: Cluster) -> None:
    """A start: what was marked goes, what its policy lists comes, and all is to be installed again."""
    found = entries(ws, cluster.cluster_id)
    found[:] = [entry for entry in found if not entry["removed"]]
    for entry in found:
        entry.update(began=0, runtime="", status="PENDING", messages=[])
    policy = ws.shelf("policies").get(str(cluster.spec.get("policy_id"))) or {}
    for library in policy.get("libraries") or []:
        add(ws, cluster, library, ws.now)


def begin(ws: Workspace, cluster: Cluster, at: int) -> None:
    """The cluster runs: its libraries are installed."""
    for entry in entries(ws, cluster.cluster_id):
        _begin(cluster, entry, at)


def stop(ws: Workspace, cluster: Cluster, at: int) -> None:
    """The cluster does not run any more: what the statuses are now, they stay."""
    for entry in entries(ws, cluster.cluster_id):
        if entry["began"]:
            entry["status"], entry["messages"] = _running(ws, cluster, entry, at)
            entry["began"] = 0


def forget(ws: Workspace, cluster_id: str) -> None:
    """The cluster is gone."""
    ws.shelf("libraries").pop(cluster_id, None)


def status(ws: Workspace, cluster: Cluster, entry: Json, at: int) -> tuple[str, list[str]]:
    """The status of a library at an instant, and the messages that belong to it."""
    now, messages = _running(ws, cluster, entry, at) if entry["began"] else (entry["status"], entry["messages"])
    return ("UNINSTALL_ON_RESTART" if entry["removed"] else now), messages


def _begin(cluster: Cluster, entry: Json, at: int) -> None:
    entry.update(began=at, runtime=str(cluster.spec.get("spark_version", "")))
    conf = cluster.spec.get("spark_conf") or {}
    entry["dbfs"] = str(conf.get("spark.databricks.driver.dbfsLibraryInstallationAllowed", "")).lower() == "true"


def _running(ws: Workspace, cluster: Cluster, entry: Json, at: int) -> tuple[str, list[str]]:
    """PENDING, RESOLVING, INSTALLING, and the end after half a minute to two minutes."""
    passed = at - entry["began"]
    share = 0.5 + ws.chance(cluster.cluster_id, "library", str(entry["library"]), entry["began"])
    for until, name in ((5, "PENDING"), (20, "RESOLVING"), (75, "INSTALLING")):
        if passed < int(until * share * SECOND):
            return name, []
    trouble = failure(entry["library"], cluster.cluster_id, entry["runtime"], entry["dbfs"])
    return ("FAILED", [trouble]) if trouble else ("INSTALLED", [])


def failure(library: Json, cluster_id: str, runtime: str, dbfs_allowed: bool = False) -> str:
    """Why a library cannot be installed on a runtime, in the words of the real service; empty when it can."""
    reason = _reason(library, runtime, dbfs_allowed)
    if not reason:
        return ""
    return (
        f"Library installation attempted on the driver node of cluster {cluster_id} and failed. Please refer to the "
        "following error message to fix the library or contact Databricks support. Error Code: "
        f"DRIVER_LIBRARY_INSTALLATION_FAILURE. Error Message: {reason}"
    )


def _reason(library: Json, runtime: str, dbfs_allowed: bool) -> str:
    major, scala = versions.major(runtime), versions.scala(runtime)
    kind = next(iter(library))
    where = str(library[kind].get("coordinates", "")) if kind == "maven" else str(library[kind])
    in_dbfs = kind in ("jar", "whl", "egg") and where.startswith(("dbfs:/", "/dbfs/"))
    if in_dbfs and (major >= 16 or (major == 15 and not dbfs_allowed)):
        return (
            "com.databricks.api.base.DatabricksServiceException: BAD_REQUEST: DBFS library installations are not "
            "supported on DBR 15 or above."
        )
    if kind == "egg" and major >= 14:
        return "Installing Python egg files is not supported in Databricks Runtime 14.0 and above."
    if kind == "requirements" and 0 < major < 15:
        return "requirements.txt libraries are only supported on Databricks Runtime 15.0 and above."
    built = SCALA.search(where) if kind in ("maven", "jar") else None
    if built and scala and built[1] != scala:
        return f"{where} is built for Scala {built[1]} and this cluster runs Scala {scala}."
    wheel = WHEEL.search(where) if kind == "whl" else None
    if wheel and wheel[2] != "abi3" and wheel[1] != PYTHONS.get(major, wheel[1]):
        name = where.rpartition("/")[2]
        return f"org.apache.spark.SparkException: ERROR: {name} is not a supported wheel on this platform."
    return ""
