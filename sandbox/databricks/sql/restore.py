"""RESTORE: an older version becomes the newest one."""

from __future__ import annotations

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import commit, engine
from sandbox.databricks.sql.errors import SqlError, only_tables
from sandbox.databricks.sql.lake import Table
from sandbox.databricks.sql.log import Log, protocol, removal
from sandbox.databricks.sql.session import Session
from sandbox.databricks.sql.versions import at_or_before, earliest, instant, within_retention, written

COLUMNS = (
    "table_size_after_restore",
    "num_of_files_after_restore",
    "num_removed_files",
    "num_restored_files",
    "removed_files_size",
    "restored_files_size",
)
NAMED = 100
"""How many lost files a refusal names."""


def restore(session: Session, name: list[str], spec: Json) -> Json:
    """Bring back files, schema and properties of a version; never its protocol, where that is the lower one."""
    found = session.table(name, "MODIFY")
    if found.is_view or found.kind in ("STREAMING_TABLE", "MATERIALIZED_VIEW"):
        raise only_tables("RESTORE TABLE", found.parts, found.kind)
    lake, now = session.lake, session.now
    table, log = session.fresh(found)
    version = _version(table, log, spec, now)
    latest = log.state()
    if version >= latest.version:
        raise SqlError(
            "INTERNAL_ERROR",
            f"requirement failed: Version to restore ({version})should be less then last available version "
            f"({latest.version})",
            "XX000",
        )
    within_retention(log, version, now)
    wanted = log.state(version)
    added = [file for path, file in wanted.files.items() if path not in latest.files]
    removed = [file for path, file in latest.files.items() if path not in wanted.files]
    lost = [file["path"] for file in added if not engine.data_file(lake.folder(table), file["path"]).is_file()]
    if lost:
        raise SqlError(
            "DELTA_MISSING_FILES_UNEXPECTED_VERSION",
            f"Not all files from version {version} are available in file system. Missed files (top {NAMED} files): "
            f"{', '.join(lost[:NAMED])}. Please use more recent version or timestamp for restoring. To disable check "
            "update option spark.sql.files.ignoreMissingFiles",
            "XXKDS",
        )
    counted = (
        wanted.size,
        len(wanted.files),
        len(removed),
        len(added),
        sum(file["size"] for file in removed),
        sum(file["size"] for file in added),
    )
    names = ("tableSizeAfterRestore", "numOfFilesAfterRestore", "numRemovedFiles", "numRestoredFiles")
    metrics = dict(zip((*names, "removedFilesSize", "restoredFilesSize"), counted, strict=True))
    parameters = {"version": str(version) if "version" in spec else None, "timestamp": spec.get("timestamp")}
    actions: list[Json] = [
        {"protocol": protocol({*latest.features, *wanted.features})},
        {"metaData": wanted.metadata},
        *({"add": {**file, "dataChange": True}} for file in added),
        *(removal(file, now) for file in removed),
    ]
    info = commit.told("RESTORE", parameters, session.user, latest.version, metrics)
    commit.write(lake, table, log, now, info, actions)
    return {"columns": dict.fromkeys(COLUMNS, "long"), "rows": [list(counted)]}


def _version(table: Table, log: Log, spec: Json, now: int) -> int:
    first, latest = earliest(table, log, now), log.latest
    if "version" in spec:
        version = int(spec["version"])
        if not first <= version <= latest:
            raise SqlError(
                "DELTA_CANNOT_RESTORE_TABLE_VERSION",
                f"Cannot restore table to version {version}. Available versions: [{first}, {latest}].",
                "22003",
            )
        return version
    at = instant(spec["timestamp"])
    if at > log.at(latest):
        raise SqlError(
            "DELTA_CANNOT_RESTORE_TIMESTAMP_GREATER",
            f"Cannot restore table to timestamp ({written(at)}) as it is after the latest version available. Please "
            f"use a timestamp before ({written(log.at(latest))}).",
            "22003",
        )
    if at < log.at(first):
        raise SqlError(
            "DELTA_CANNOT_RESTORE_TIMESTAMP_EARLIER",
            f"Cannot restore table to timestamp ({written(at)}) as it is before the earliest version available. Please "
            f"use a timestamp after ({written(log.at(first))}).",
            "22003",
        )
    return at_or_before(log, at, first)
