"""Why a statement failed, in the words of the engine: condition, sentence, SQLSTATE."""

from __future__ import annotations

from collections.abc import Iterable


class SqlError(Exception):
    """A statement that ends as FAILED; the request that brought it is answered with 200 all the same."""

    def __init__(self, condition: str, message: str, state: str, code: str = "BAD_REQUEST") -> None:
        super().__init__(message)
        self.condition = condition
        self.state = state
        self.code = code

    @property
    def text(self) -> str:
        """What stands in `status.error.message`."""
        return f"[{self.condition}] {self} SQLSTATE: {self.state}"


def quoted(parts: Iterable[str]) -> str:
    """A name of several parts as messages and statements show it, backticks doubled."""
    return ".".join(f"`{part.replace('`', '``')}`" for part in parts)


def not_modelled(what: str) -> SqlError:
    """Right or wrong, the local Databricks cannot tell: it fails instead of guessing."""
    return SqlError("UNSUPPORTED_FEATURE", f"The local Databricks does not model {what}.", "0A000")


def syntax(near: str, detail: str = "") -> SqlError:
    """Not SQL."""
    return SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near {near}.{' ' + detail if detail else ''}", "42601")


def no_table(parts: Iterable[str]) -> SqlError:
    """No table and no view of that name."""
    return SqlError(
        "TABLE_OR_VIEW_NOT_FOUND",
        f"The table or view {quoted(parts)} cannot be found. Verify the spelling and correctness of the schema and "
        "catalog.\nIf you did not qualify the name with a schema, verify the current_schema() output, or qualify the "
        "name with the correct schema and catalog.\nTo tolerate the error on drop use DROP VIEW IF EXISTS or DROP "
        "TABLE IF EXISTS.",
        "42P01",
    )


def no_schema(parts: Iterable[str]) -> SqlError:
    """No schema of that name."""
    return SqlError(
        "SCHEMA_NOT_FOUND",
        f"The schema {quoted(parts)} cannot be found. Verify the spelling and correctness of the schema and catalog.\n"
        "If you did not qualify the name with a catalog, verify the current_schema() output, or qualify the name with "
        "the correct catalog.\nTo tolerate the error on drop use DROP SCHEMA IF EXISTS.",
        "42704",
    )


def no_catalog(name: str) -> SqlError:
    """No catalog of that name in this workspace."""
    return SqlError("NO_SUCH_CATALOG_EXCEPTION", f"Catalog '{name}' was not found.", "42704")


def exists(parts: Iterable[str]) -> SqlError:
    """There is a table or a view of that name already."""
    return SqlError(
        "TABLE_OR_VIEW_ALREADY_EXISTS",
        f"Cannot create table or view {quoted(parts)} because it already exists.\nChoose a different name, drop or "
        "replace the existing object, or add the IF NOT EXISTS clause to tolerate pre-existing objects.",
        "42P07",
    )


def denied(privilege: str, kind: str, name: str) -> SqlError:
    """A privilege is missing."""
    return SqlError(
        "INSUFFICIENT_PERMISSIONS",
        f"Insufficient privileges:\nUser does not have {privilege} on {kind} '{name}'.",
        "42501",
    )


def only_tables(operation: str, parts: Iterable[str], kind: str) -> SqlError:
    """The operation needs a Delta table, and this is a view or the like."""
    return SqlError(
        "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
        f"'{operation}' expects a table but {quoted(parts)} is a {kind.lower().replace('_', ' ')}.",
        "42809",
    )
