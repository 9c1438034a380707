"""Files that no version within the retention needs: VACUUM, by hand and by predictive optimization; OPTIMIZE."""

from __future__ import annotations

import dataclasses

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import commit, engine
from sandbox.databricks.sql.errors import SqlError
from sandbox.databricks.sql.lake import Lake, Table
from sandbox.databricks.sql.log import Log, removal
from sandbox.databricks.sql.versions import FILES_KEPT, HOUR, kept

DAY = 24 * HOUR


def vacuum(
    lake: Lake, table: Table, now: int, user: str, hours: int | None = None, dry: bool = False
) -> tuple[Table, list[str]]:
    """Delete removed files that are past the retention; returns their paths. Raises SqlError for one too short."""
    log = lake.log(table)
    state = log.state()
    default = kept(state.properties, FILES_KEPT)
    period = default if hours is None else hours * HOUR
    if period < default:
        raise SqlError(
            "DELTA_VACUUM_RETENTION_PERIOD_TOO_SHORT",
            "Are you sure you would like to vacuum files with such a low retention period? If you have writers that "
            "are currently writing to this table, there is a risk that you may corrupt the state of your Delta table. "
            f"The retention period must be at least {default // HOUR} hours.",
            "22023",
        )
    folder = lake.folder(table)
    gone = [path for path, at in state.removed.items() if at < now - period and (folder / path).is_file()]
    if dry or not gone:
        return table, gone
    sizes = sum((folder / path).stat().st_size for path in gone)
    parameters = {"retentionCheckEnabled": "true", "defaultRetentionMillis": str(default)}
    start = {"numFilesToDelete": len(gone), "sizeOfDataToDelete": sizes}
    table = commit.write(lake, table, log, now, commit.told("VACUUM START", parameters, user, log.latest, start), [])
    for path in gone:
        (folder / path).unlink(missing_ok=True)
    done = commit.told(
        "VACUUM END",
        {"status": "COMPLETED"},
        user,
        log.latest,
        {"numDeletedFiles": len(gone), "numVacuumedDirectories": 1},
    )
    return commit.write(lake, table, log, now, done, []), gone


def automatic(lake: Lake, table: Table, now: int) -> Table:
    """What predictive optimization did to a managed table since somebody last looked: a VACUUM a day."""
    if not table.habit.get("optimized") or now - table.vacuumed < DAY:
        return table
    table, _ = vacuum(lake, dataclasses.replace(table, vacuumed=now), now, "System-User")
    return lake.put(table)


def optimize(lake: Lake, table: Table, now: int, user: str) -> tuple[Table, Json]:
    """Rewrite all files as few; nothing changes in the rows. Returns the metrics."""
    log: Log = lake.log(table)
    state = log.state()
    metrics = {"numFilesAdded": 0, "numFilesRemoved": 0}
    if len(state.files) < 2:
        return table, metrics
    with lake.scratch() as scratch:
        place = engine.copy_for_reading(lake.folder(table), state, scratch)
        files = engine.store(lake, lake.folder(table), engine.run("SELECT * FROM t", {"t": place}), table.partitions)
    actions: list[Json] = [{"add": {**file, "dataChange": False}} for file in files]
    for file in state.files.values():
        action = removal(file, now)
        action["remove"]["dataChange"] = False
        actions.append(action)
    metrics = {"numFilesAdded": len(files), "numFilesRemoved": len(state.files)}
    parameters = {"predicate": "[]", "zOrderBy": "[]", "clusterBy": "[]", "auto": "false"}
    shown = {"numAddedFiles": metrics["numFilesAdded"], "numRemovedFiles": metrics["numFilesRemoved"]}
    info = commit.told("OPTIMIZE", parameters, user, state.version, shown)
    return commit.write(lake, table, log, now, info, actions), metrics
