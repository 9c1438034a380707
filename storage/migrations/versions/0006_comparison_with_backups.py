"""A kind of action that compares a target with its backup, and since when a rollback goes on."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BEFORE = ("backup", "change", "validate", "revert")


def _kinds(kinds: tuple[str, ...]) -> None:
    """What an action may be: the CHECK is made anew, since no database adds to one."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with op.batch_alter_table("action") as table:
        table.drop_constraint(op.f("ck_action_actionkind"), type_="check")
        table.create_check_constraint(op.f("ck_action_actionkind"), f"kind IN ({listed})")


def upgrade() -> None:
    _kinds((*_BEFORE, "compare"))
    with op.batch_alter_table("stage") as table:
        table.add_column(sa.Column("back_since", sa.Integer(), nullable=True))
    op.create_index("ix_backup_stage_id_generation", "backup", ["stage_id", "generation"])


def downgrade() -> None:
    op.drop_index("ix_backup_stage_id_generation", "backup")
    op.execute("DELETE FROM action WHERE kind = 'compare'")
    with op.batch_alter_table("stage") as table:
        table.drop_column("back_since")
    _kinds(_BEFORE)
