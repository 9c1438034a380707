"""The tables of one workspace: a folder, a register of what is in it, and the one thread that changes both.

The thread is there because Parquet takes time, and requests of other clients must not wait for it. Whoever reads the
register from another thread gets a whole, unchanging picture: it is replaced, never changed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sandbox.databricks.errors import Json
from sandbox.databricks.sql.log import Log

T = TypeVar("T")

PATIENCE = 0.3
"""Seconds that a statement under way gets at the end."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table or view as the register knows it; what is in it stands in its log."""

    name: str
    """catalog.schema.table"""
    id: str
    kind: str
    owner: str
    created: int
    updated: int
    location: str = ""
    text: str = ""
    """The query of a view."""
    comment: str = ""
    columns: tuple[Json, ...] = ()
    partitions: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    habit: Mapping[str, Any] = field(default_factory=dict)
    """What no API shows: rows, mode, newer, slow, optimized; see sample.yml."""
    oldest: int = 0
    """The first version that history still has."""
    written: tuple[int, int] = (0, 0)
    """Instant and run of the latest write by a job that is in the log."""
    vacuumed: int = 0
    """When automatic maintenance last looked at it."""

    @property
    def parts(self) -> list[str]:
        """Catalog, schema, table."""
        return split(self.name)

    @property
    def is_view(self) -> bool:
        """Views have no files."""
        return self.kind == "VIEW"


def split(name: str) -> list[str]:
    """The three parts of a full name; dots may stand in the last one only."""
    return name.split(".", 2)


class Lake:
    """The register and its thread. Without a home it works in a temporary folder, which is gone at the end."""

    def __init__(self) -> None:
        self.tables: Mapping[str, Table] = {}
        self.schemas: Mapping[str, Json] = {}
        self.running: dict[str, Future[Json]] = {}
        """Statements that the thread has been given, by id; what their ends bring is written down by the server."""
        self._home: Path | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._logs: dict[str, Log] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def open(self, home: Path | None, schemas: Mapping[str, Json], tables: Mapping[str, Json]) -> None:
        """Take what the folder remembers, or else what the fleet declares."""
        self._home = home
        if home is not None:
            shutil.rmtree(home / "scratch", ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                saved = json.loads((home / "register.json").read_text(encoding="utf-8"))
                schemas, tables = saved["schemas"], saved["tables"]
        self.schemas = dict(schemas)
        self.tables = {name: _table(raw) for name, raw in tables.items()}

    @property
    def home(self) -> Path:
        """The folder of everything."""
        if self._home is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="local-databricks-")
            self._home = Path(self._temporary.name)
        return self._home

    # --- the thread ---

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Have something done by the thread that may touch tables, after all that was asked before."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(task())
            except BaseException as error:  # the query engine may panic, which is no Exception
                future.set_exception(error)

        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lake", daemon=True)
            self._thread.start()
        self._tasks.put(work)
        return future

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def end(self) -> None:
        """End the thread after what it is doing, but wait no longer than PATIENCE: a commit is whole, or not there."""
        if self._thread is not None:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._tasks.get_nowait()
            self._tasks.put(None)
            self._thread.join(PATIENCE)
            self._thread = None

    def clear(self) -> None:
        """Drop a temporary folder."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary, self._home = None, None

    # --- only on the thread ---

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for a moment, beside the tables so that files can be moved from it."""
        path = self.home / "scratch" / uuid.uuid4().hex
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def folder(self, table: Table) -> Path:
        """Where the files of a table are; a replaced table keeps its folder, a dropped name never gives it back."""
        return self.home / "tables" / table.id

    def log(self, table: Table) -> Log:
        """The log of a table."""
        if table.id not in self._logs:
            self._logs[table.id] = Log(self.folder(table))
        return self._logs[table.id]

    def put(self, table: Table) -> Table:
        """Register a table, new or changed."""
        self.tables = {**self.tables, table.name: table}
        self._save()
        return table

    def drop(self, table: Table) -> None:
        """Take a table out of the register, with its files where they are managed."""
        self.tables = {name: other for name, other in self.tables.items() if name != table.name}
        self._save()
        self._logs.pop(table.id, None)
        if table.kind.startswith("MANAGED"):
            shutil.rmtree(self.folder(table), ignore_errors=True)

    def put_schema(self, name: str, schema: Json) -> None:
        """Register a schema."""
        self.schemas = {**self.schemas, name: schema}
        self._save()

    def _save(self) -> None:
        path = self.home / "register.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".tmp")
        tables = {name: dataclasses.asdict(table) for name, table in self.tables.items()}
        fresh.write_text(json.dumps({"schemas": self.schemas, "tables": tables}), encoding="utf-8")
        os.replace(fresh, path)


def _table(raw: Json) -> Table:
    shaped = {**raw, "written": tuple(raw.get("written", (0, 0)))}
    for name in ("columns", "partitions"):
        shaped[name] = tuple(raw.get(name, ()))
    return Table(**shaped)
