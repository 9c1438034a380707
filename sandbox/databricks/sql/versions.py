"""Which version a statement means, and how far back a table can be read."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sandbox.databricks.errors import Json
from sandbox.databricks.sql.errors import SqlError
from sandbox.databricks.sql.lake import Table
from sandbox.databricks.sql.log import Log

HOUR = 3_600_000
UNITS = {"minute": HOUR // 60, "hour": HOUR, "day": 24 * HOUR, "week": 168 * HOUR}
FILES_KEPT = "delta.deletedFileRetentionDuration"
LOG_KEPT = "delta.logRetentionDuration"
DEFAULTS = {FILES_KEPT: "interval 7 days", LOG_KEPT: "interval 30 days"}


def duration(text: str) -> int | None:
    """Milliseconds of `interval 7 days`; None where it is none."""
    found = re.fullmatch(r"\s*(?:interval\s+)?'?(\d+)'?\s+(minute|hour|day|week)s?\s*", text, re.IGNORECASE)
    return int(found[1]) * UNITS[found[2].lower()] if found else None


def kept(properties: dict[str, str], what: str) -> int:
    """How long a table keeps removed files or its log (ms)."""
    return duration(properties.get(what, DEFAULTS[what])) or duration(DEFAULTS[what]) or 0


def earliest(table: Table, log: Log, now: int) -> int:
    """The first version that history still has: older ones went with the log's retention, or were cut off."""
    since = now - kept(log.state().properties, LOG_KEPT)
    first = table.oldest
    while first < log.latest and log.at(first) < since:
        first += 1
    return first


def instant(text: str) -> int:
    """Milliseconds of a timestamp as SQL writes it, in UTC. Raises SqlError."""
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise SqlError(
            "DELTA_TIMESTAMP_INVALID",
            f"The provided timestamp ('{text}') cannot be converted to a valid timestamp.",
            "42816",
        ) from error
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def written(at: int) -> str:
    """An instant as messages show it."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def at_or_before(log: Log, at: int, first: int) -> int:
    """The latest version that was there at an instant."""
    return max(version for version in range(first, log.latest + 1) if log.at(version) <= at)


def travel(table: Table, log: Log, spec: Json | None, now: int) -> int:
    """The version that a query reads. Raises SqlError where it cannot be read any more, or not yet."""
    first, latest = earliest(table, log, now), log.latest
    if spec is None:
        return latest
    if "version" in spec:
        version = int(spec["version"])
        if not first <= version <= latest:
            raise SqlError(
                "DELTA_VERSION_NOT_FOUND",
                f"Cannot time travel Delta table to version {version}. Available versions: [{first}, {latest}].",
                "22003",
            )
    else:
        at = instant(spec["timestamp"])
        if at < log.at(first):
            bound = written(log.at(first))
            raise SqlError(
                "DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION",
                f"The provided timestamp ({written(at)}) is before the earliest version available to this table "
                f"({bound}). Please use a timestamp after {bound}.",
                "42816",
            )
        if at > log.at(latest):
            bound = written(log.at(latest))
            raise SqlError(
                "DELTA_TIMESTAMP_GREATER_THAN_COMMIT",
                f"The provided timestamp ({written(at)}) is after the latest version available to this table "
                f"({bound}). Please use a timestamp before or at {bound}.",
                "42816",
            )
        version = at_or_before(log, at, first)
    within_retention(log, version, now)
    return version


def within_retention(log: Log, version: int, now: int) -> None:
    """Refuse a version older than removed files are kept, even where its files are still there."""
    period = kept(log.state().properties, FILES_KEPT)
    if version < log.latest and log.at(version) < now - period:
        raise SqlError(
            "DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND_DELETED_FILE_RETENTION_DURATION",
            f"Cannot time travel beyond {FILES_KEPT} ({period // HOUR} HOURS) set on the table.",
            "0AKDC",
        )
