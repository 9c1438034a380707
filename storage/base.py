"""What every table shares: names of constraints, aware UTC instants, enums by value."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, Enum, MetaData, String
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import JSON, TypeDecorator

#: The type of what is named: keys of plans, and ids of other systems.
Key = String(120)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant; SQLite has no zones, so it is stored naive there. A naive value is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive instant {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Values(TypeDecorator[Any]):
    """The values of an enum. One that this code does not know is read as its plain text, and is never written.

    While a new version is rolled out an older process still runs beside it: what the new one wrote must not end it.
    """

    impl = Enum
    cache_ok = True

    def __init__(self, enum: type[StrEnum], name: str) -> None:
        super().__init__(
            enum,
            native_enum=False,
            create_constraint=True,
            length=20,
            values_callable=lambda e: [m.value for m in e],
            name=name,
        )
        self._enum = enum

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        known = {member.value: member for member in self._enum}
        return lambda value: known.get(value, value)

    def copy(self, **kw: Any) -> "_Values":
        return type(self)(self._enum, str(self.impl.name))


def values(enum: type[StrEnum], name: str | None = None) -> _Values:
    """A column type that stores an enum's values, with a CHECK; ``name`` tells two of one table apart."""
    return _Values(enum, name or enum.__name__.lower())


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Instant,
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON,
    }


def insert(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT in the dialect of the session's database, so that it can say what to do with a row that is there."""
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)
