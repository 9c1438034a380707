"""How fast a workspace is asked, starts that wait for their time, and what failed runs and windows need to know."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate",
        sa.Column("workspace", sa.String(length=120), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ceiling", sa.Integer(), nullable=True),
        sa.Column("halved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("workspace", name=op.f("pk_rate")),
    )
    op.create_table(
        "scheduled_start",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("begin_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirm", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=120), nullable=False),
        sa.Column("team_id", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'begun', 'refused', 'cancelled')", name=op.f("ck_scheduled_start_state")
        ),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], name=op.f("fk_scheduled_start_stage_id_stage")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_start")),
    )
    with op.batch_alter_table("scheduled_start") as table:
        table.create_index(
            "uq_scheduled_start_one_waiting",
            ["stage_id"],
            unique=True,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
    with op.batch_alter_table("target") as table:
        table.add_column(sa.Column("interactive", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("run") as table:
        table.add_column(sa.Column("cluster_ids", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("stage") as table:
        table.add_column(sa.Column("runs_from", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("stage") as table:
        table.drop_column("runs_from")
    with op.batch_alter_table("run") as table:
        table.drop_column("cluster_ids")
    with op.batch_alter_table("target") as table:
        table.drop_column("interactive")
    op.drop_table("scheduled_start")
    op.drop_table("rate")
