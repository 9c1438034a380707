"""CREATE TABLE ... CLONE: a copy of a version, or (shallow) a table that reads the files of another."""

from __future__ import annotations

import dataclasses
import shutil

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import commit, engine
from sandbox.databricks.sql.create import entry
from sandbox.databricks.sql.errors import SqlError, exists, not_modelled, only_tables, quoted
from sandbox.databricks.sql.grammar import Words
from sandbox.databricks.sql.log import removal
from sandbox.databricks.sql.session import Session
from sandbox.databricks.sql.versions import travel

COLUMNS = (
    "source_table_size",
    "source_num_of_files",
    "num_removed_files",
    "num_copied_files",
    "removed_files_size",
    "copied_files_size",
)


def clone(session: Session, words: Words, target: list[str], replace: bool, tolerant: bool) -> Json | None:
    """What follows CREATE TABLE name. Returns the metrics, None where IF NOT EXISTS found a table.

    The copy has the schema, partitioning, properties (so the constraints, too) and the protocol of its source, but a
    history of its own, which begins with the clone. Run again with OR REPLACE, it copies only what is new.
    """
    shallow = words.take("SHALLOW")
    if not shallow:
        words.take("DEEP")
    words.need("CLONE")
    name = words.name()
    spec = words.version()
    properties = words.properties() if words.take("TBLPROPERTIES") else {}
    location = words.next("STRING") if words.take("LOCATION") else ""
    words.end()

    source = session.table(name)
    if source.is_view:
        raise only_tables("CLONE", source.parts, source.kind)
    if source.kind in ("STREAMING_TABLE", "MATERIALIZED_VIEW"):
        raise SqlError(
            "DELTA_CLONE_UNSUPPORTED_SOURCE",
            f"Unsupported {'shallow' if shallow else 'deep'} clone source '{source.name}', whose format is "
            f"{source.kind.lower().replace('_', ' ')}.",
            "0AKDC",
        )
    full = session.creating(target)
    old = session.find(target)
    if old is not None and tolerant:
        return None
    if old is not None and not replace:
        raise exists(old.parts)
    if old is not None and old.is_view:
        raise only_tables("CREATE OR REPLACE TABLE", old.parts, old.kind)
    if old is not None and old.name == source.name:
        raise not_modelled("a table that is replaced by a clone of itself")

    lake, now = session.lake, session.now
    source, log = session.fresh(source)
    state = log.state(travel(source, log, spec, now))
    lost = [path for path in state.files if not engine.data_file(lake.folder(source), path).is_file()]
    if lost:
        raise SqlError(
            "FAILED_READ_FILE.DBR_FILE_NOT_EXIST",
            f"Error while reading file {source.location}/{lost[0]}. It is referenced in the transaction log and cannot "
            "be found.",
            "KD001",
        )
    kind = ("EXTERNAL" if location else "MANAGED") + ("_SHALLOW_CLONE" if shallow else "")
    table = old or dataclasses.replace(entry(session, full, kind, location), comment=source.comment)
    held: dict[str, Json] = {}
    if old is not None:
        session.owning(old)
        if old.kind.endswith("_SHALLOW_CLONE") != shallow:
            raise not_modelled("a clone that replaces a table of another kind")
        table, _ = session.fresh(old)
        held = lake.log(table).state().files
    into, folder = lake.log(table), lake.folder(table)
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, Json] = {}
    for path, file in state.files.items():
        real = engine.data_file(lake.folder(source), path)
        wanted[f"file://{real}" if shallow else real.name] = file
    copied = {path: file for path, file in wanted.items() if path not in held}
    removed = [file for path, file in held.items() if path not in wanted]
    if not shallow:
        for path, file in copied.items():
            shutil.copyfile(engine.data_file(lake.folder(source), file["path"]), folder / path)
    merged = {**state.properties, **properties}
    features = {*state.features, *(into.state().features if old is not None else ())}
    actions: list[Json] = [
        commit.required(merged, state.columns, features),
        commit.described(table, state.columns, state.metadata["partitionColumns"], merged, now),
        *({"add": {**file, "path": path, "modificationTime": now}} for path, file in copied.items()),
        *(removal(file, now) for file in removed),
    ]
    counted = (
        state.size,
        len(state.files),
        len(removed),
        0 if shallow else len(copied),
        sum(file["size"] for file in removed),
        0 if shallow else sum(file["size"] for file in copied.values()),
    )
    metrics = {_camel(name): value for name, value in zip(COLUMNS, counted, strict=True)}
    parameters = {
        "source": quoted(source.parts),
        "sourceVersion": str(state.version),
        "isShallow": str(shallow).lower(),
        "properties": properties,
    }
    info = commit.told("CLONE", parameters, session.user, into.latest if old is not None else None, metrics)
    commit.write(lake, table, into, now, info, actions)
    return {"columns": dict.fromkeys(COLUMNS, "long"), "rows": [list(counted)]}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
