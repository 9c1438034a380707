"""What one statement sees: the tables as of its instant, the names that it may leave short, and its rights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.databricks.errors import Json
from sandbox.databricks.sql import growth, maintain, privileges
from sandbox.databricks.sql.errors import denied, no_catalog, no_schema, no_table, only_tables, syntax
from sandbox.databricks.sql.growth import Write
from sandbox.databricks.sql.lake import Lake, Table
from sandbox.databricks.sql.log import Log

System = Mapping[str, tuple[Mapping[str, str], Sequence[Sequence[Any]]]]
"""System tables by full name: their columns with Delta types, and their rows."""

WORDS = {"USE_CATALOG": "USE CATALOG", "USE_SCHEMA": "USE SCHEMA", "CREATE_TABLE": "CREATE TABLE"}


@dataclass(frozen=True, slots=True)
class Session:
    """A picture of the workspace, taken when the statement began; used on the lake's thread only."""

    lake: Lake
    now: int
    user: str
    principals: Collection[str]
    grants: privileges.Grants
    catalogs: Mapping[str, Json]
    catalog: str
    schema: str
    writes: Mapping[str, Sequence[Write]] = field(default_factory=dict)
    system: System = field(default_factory=dict)

    def full(self, parts: Sequence[str]) -> list[str]:
        """Catalog, schema and table of a name that may leave out the first ones."""
        if len(parts) > 3:
            raise syntax(f"'{parts[3]}'", "A name has at most three parts.")
        return [part.lower() for part in [self.catalog, self.schema][: 3 - len(parts)] + list(parts)]

    def find(self, parts: Sequence[str]) -> Table | None:
        """The table or view of that name, None where there is none. Raises SqlError for a place that is not there."""
        catalog, schema, name = self.full(parts)
        self.place(catalog, schema)
        return self.lake.tables.get(f"{catalog}.{schema}.{name}")

    def place(self, catalog: str, schema: str) -> None:
        """Refuse a catalog or schema that is not there, or is closed."""
        if catalog not in self.catalogs:
            raise no_catalog(catalog)
        self.allowed("USE_CATALOG", "CATALOG", catalog)
        if f"{catalog}.{schema}" not in self.lake.schemas:
            raise no_schema([catalog, schema])
        self.allowed("USE_SCHEMA", "SCHEMA", f"{catalog}.{schema}")

    def table(self, parts: Sequence[str], privilege: str = "SELECT") -> Table:
        """The table or view of that name, on which the user has this privilege."""
        found = self.find(parts)
        if found is None:
            raise no_table(self.full(parts))
        if found.owner not in self.principals:
            self.allowed(privilege, "TABLE", found.name)
        return found

    def delta(self, parts: Sequence[str], operation: str, privilege: str = "SELECT") -> tuple[Table, Log]:
        """The same, which must have a log: no view."""
        found = self.table(parts, privilege)
        if found.is_view:
            raise only_tables(operation, found.parts, found.kind)
        return self.fresh(found)

    def creating(self, parts: Sequence[str]) -> str:
        """The full name of a table to be made, where the user may make one."""
        catalog, schema, name = self.full(parts)
        self.place(catalog, schema)
        if self.lake.schemas[f"{catalog}.{schema}"].get("owner") not in self.principals:
            self.allowed("CREATE_TABLE", "SCHEMA", f"{catalog}.{schema}")
        return f"{catalog}.{schema}.{name}"

    def owning(self, table: Table) -> None:
        """Refuse what only the owner of a table may do, or who has MANAGE on it."""
        if table.owner not in self.principals:
            self.allowed("MANAGE", "TABLE", table.name)

    def allowed(self, privilege: str, kind: str, name: str) -> None:
        """Refuse without this privilege on the thing; owners of catalogs and schemas have it there."""
        if kind in ("CATALOG", "SCHEMA"):
            things = self.catalogs if kind == "CATALOG" else self.lake.schemas
            if things.get(name, {}).get("owner") in self.principals:
                return
        if not privileges.holds(self.grants, self.principals, privilege, kind, name):
            raise denied(WORDS.get(privilege, privilege), kind.capitalize(), name)

    def fresh(self, table: Table) -> tuple[Table, Log]:
        """A table with everything in it that has happened by now, and its log."""
        return freshen(self.lake, table, self.writes.get(table.name, ()), self.now)


def freshen(lake: Lake, table: Table, writes: Iterable[Write], now: int) -> tuple[Table, Log]:
    """Let happen to a table what was due: its first version, the writes of jobs, automatic maintenance."""
    log = lake.log(table)
    if log.latest < 0:
        table = growth.make(lake, table)
    table = growth.catch_up(lake, table, writes, now)
    return maintain.automatic(lake, table, now), log
