"""The machine types that a workspace offers, as it said at the last look, empty where not known; and which tools made
the last changes there, by its audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("workspace") as table:
        table.add_column(sa.Column("machines", sa.JSON(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("deployers", sa.JSON(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("deployers_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("workspace") as table:
        for name in ("deployers_at", "deployers", "machines"):
            table.drop_column(name)
