"""What is decided of the pools of a workspace, and who might do what with a target when it was backed up."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("workspace") as table:
        table.add_column(sa.Column("pools", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("backup") as table:
        table.add_column(sa.Column("permissions", sa.LargeBinary()))


def downgrade() -> None:
    with op.batch_alter_table("backup") as table:
        table.drop_column("permissions")
    with op.batch_alter_table("workspace") as table:
        table.drop_column("pools")
