"""Targets belong to teams, sign-offs may be for one, and the owners of jobs are told of a start.

What was signed before is for the stage: it has no team, and its signature is as it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_STANDING = ["stage_id", "generation", "user_id"]


def upgrade() -> None:
    for name in ("target", "action", "sign_off"):
        op.add_column(name, sa.Column("team", sa.String(length=120), nullable=True))
    op.drop_index("uq_sign_off_one_standing", table_name="sign_off")
    stage = sa.text("revoked_at IS NULL AND team IS NULL")
    team = sa.text("revoked_at IS NULL AND team IS NOT NULL")
    op.create_index(
        "uq_sign_off_one_standing", "sign_off", _STANDING, unique=True, sqlite_where=stage, postgresql_where=stage
    )
    op.create_index(
        "uq_sign_off_one_standing_per_team",
        "sign_off",
        [*_STANDING, "team"],
        unique=True,
        sqlite_where=team,
        postgresql_where=team,
    )
    op.create_table(
        "owner_notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=120), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('wanted', 'known', 'unknown', 'told')", name=op.f("ck_owner_notice_state")),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], name=op.f("fk_owner_notice_stage_id_stage")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owner_notice")),
        sa.UniqueConstraint("stage_id", "generation", "owner", name=op.f("uq_owner_notice_stage_id_generation_owner")),
    )
    op.create_index("ix_owner_notice_state", "owner_notice", ["state"], unique=False)


def downgrade() -> None:
    op.drop_table("owner_notice")
    op.drop_index("uq_sign_off_one_standing_per_team", table_name="sign_off")
    op.drop_index("uq_sign_off_one_standing", table_name="sign_off")
    # Of several standing sign-offs of one person the table held one: those for teams go first.
    op.execute("DELETE FROM sign_off WHERE team IS NOT NULL")
    standing = sa.text("revoked_at IS NULL")
    op.create_index(
        "uq_sign_off_one_standing", "sign_off", _STANDING, unique=True, sqlite_where=standing, postgresql_where=standing
    )
    for name in ("sign_off", "action", "target"):
        with op.batch_alter_table(name) as table:
            table.drop_column("team")
