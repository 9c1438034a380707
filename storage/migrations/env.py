"""Alembic's entry: runs on a connection that ``storage.migrate`` passes in."""

from alembic import context
from sqlalchemy import Connection

from storage import models  # noqa: F401  the tables register themselves
from storage.base import Base

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
