"""The log of one Delta table: versions, what each of them holds, and how a new one is written.

A version is a file of actions in `_delta_log`. Its instant is the calendar's, in the commit as in the file's own time,
so that every Delta reader tells the same history.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.databricks.errors import Json

READER_FEATURES = frozenset(
    {
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
        "variantType",
        "variantType-preview",
    }
)
"""Features that readers must know, too; all others concern writers only."""
LEGACY = {2: ("appendOnly", "invariants"), 3: ("checkConstraints",), 4: ("changeDataFeed", "generatedColumns")}
"""What the old numbered writer versions meant."""


@dataclass(slots=True)
class State:
    """A table at one version. `removed` are files of the past with the instant of their removal."""

    version: int
    at: int
    protocol: Json
    metadata: Json
    files: dict[str, Json] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    @property
    def features(self) -> list[str]:
        """All table features, those that the old version numbers imply too."""
        named = {*self.protocol.get("writerFeatures", ()), *self.protocol.get("readerFeatures", ())}
        writer = self.protocol["minWriterVersion"]
        if writer < 7:
            named.update(feature for number, features in LEGACY.items() if number <= writer for feature in features)
        return sorted(named)

    @property
    def columns(self) -> list[Json]:
        """The fields of its schema."""
        fields: list[Json] = json.loads(self.metadata["schemaString"])["fields"]
        return fields

    @property
    def properties(self) -> dict[str, str]:
        """Its table properties."""
        found: dict[str, str] = self.metadata["configuration"]
        return found

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file["size"] for file in self.files.values())


def protocol(features: Iterable[str]) -> Json:
    """The protocol for a set of features: by number where the numbers can say it, by name else."""
    wanted = set(features)
    if wanted <= set(LEGACY[2]):
        return {"minReaderVersion": 1, "minWriterVersion": 2}
    if wanted <= {*LEGACY[2], *LEGACY[3]}:
        return {"minReaderVersion": 1, "minWriterVersion": 3}
    readers = sorted(wanted & READER_FEATURES)
    found: Json = {"minReaderVersion": 3 if readers else 1, "minWriterVersion": 7, "writerFeatures": sorted(wanted)}
    return {**found, "readerFeatures": readers} if readers else found


class Log:
    """The versions of the table in a folder; read once, then kept, since nobody else writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commits: list[list[Json]] = []
        self._latest: State | None = None
        directory = folder / "_delta_log"
        while (path := directory / f"{len(self.commits):020}.json").exists():
            self.commits.append([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])

    @property
    def latest(self) -> int:
        """The newest version; -1 before the first."""
        return len(self.commits) - 1

    def info(self, version: int) -> Json:
        """Who did what, and when."""
        found: Json = self.commits[version][0]["commitInfo"]
        return found

    def at(self, version: int) -> int:
        """The instant of a version (ms of the calendar)."""
        return int(self.info(version)["timestamp"])

    def state(self, version: int | None = None) -> State:
        """The table as of a version, the latest without one."""
        wanted = self.latest if version is None else version
        start = self._latest
        if start is None or start.version > wanted:
            start = State(-1, 0, {}, {})
        found = State(start.version, start.at, start.protocol, start.metadata, dict(start.files), dict(start.removed))
        for number in range(start.version + 1, wanted + 1):
            self._apply(found, number)
        if wanted == self.latest:
            self._latest = found
        return found

    def _apply(self, state: State, version: int) -> None:
        state.version, state.at = version, self.at(version)
        for action in self.commits[version]:
            if "add" in action:
                path = action["add"]["path"]
                state.files[path] = action["add"]
                state.removed.pop(path, None)
            elif "remove" in action:
                path = action["remove"]["path"]
                if state.files.pop(path, None) is not None:
                    state.removed[path] = action["remove"]["deletionTimestamp"]
            elif "protocol" in action:
                state.protocol = action["protocol"]
            elif "metaData" in action:
                state.metadata = action["metaData"]

    def commit(self, at: int, info: Json, actions: Iterable[Json]) -> int:
        """Write the next version at an instant, which is moved so that it comes after the one before; returns it."""
        version = self.latest + 1
        if version:
            at = max(at, self.at(version - 1) + 1)
        written = [{"commitInfo": {"timestamp": at, **info}}, *actions]
        directory = self.folder / "_delta_log"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{version:020}.json"
        fresh = path.with_suffix(".tmp")
        fresh.write_text("\n".join(json.dumps(action, separators=(",", ":")) for action in written), encoding="utf-8")
        os.utime(fresh, (at / 1000, at / 1000))
        os.replace(fresh, path)
        self.commits.append(written)
        return version


def removal(file: Json, at: int) -> Json:
    """The action that takes a file out of the table; its bytes stay until a VACUUM."""
    return {
        "remove": {
            "path": file["path"],
            "deletionTimestamp": at,
            "dataChange": True,
            "extendedFileMetadata": True,
            "partitionValues": file["partitionValues"],
            "size": file["size"],
        }
    }
