"""Home tabs that people opened, so that they can be kept as things are."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "home_tab",
        sa.Column("user_id", sa.String(length=120), nullable=False),
        sa.Column("team_id", sa.String(length=120), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shown_digest", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_home_tab")),
    )


def downgrade() -> None:
    op.drop_table("home_tab")
