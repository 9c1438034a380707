"""Whose a target is, where it is deployed from, its pin's owner, how it drifted; and runs without a job."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("about", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("managed_by", sa.String(20)),
        sa.Column("repository", sa.Text()),
        sa.Column("proposal", sa.JSON(none_as_null=True)),
        sa.Column("also_in", sa.JSON(none_as_null=True)),
        sa.Column("moved_to", sa.String(120)),
        sa.Column("activity", sa.JSON(none_as_null=True)),
        sa.Column("drift", sa.JSON(none_as_null=True)),
        sa.Column("pinned_owner", sa.String(120)),
        sa.Column("pinned_at", sa.DateTime(timezone=True)),
    )


def upgrade() -> None:
    with op.batch_alter_table("target") as table:
        for column in _columns():
            table.add_column(column)
    with op.batch_alter_table("workspace") as table:
        table.add_column(sa.Column("submitted", sa.JSON(), nullable=False, server_default="[]"))
        table.add_column(sa.Column("submitted_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    with op.batch_alter_table("workspace") as table:
        table.drop_column("submitted_at")
        table.drop_column("submitted")
    with op.batch_alter_table("target") as table:
        for column in reversed(_columns()):
            table.drop_column(column.name)
