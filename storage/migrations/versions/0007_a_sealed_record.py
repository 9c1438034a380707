"""Events are sealed in a chain, sign-offs are signed, and the frozen evidence is kept as text.

What was there before has no seal and no signature. Its events are sealed by the next tick, as they are then. Its
sign-offs do not count any more: they are given again, also for stages that had passed (docs/audit.md).
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chain_head",
        sa.Column("chain", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_chain_head")),
    )
    with op.batch_alter_table("event") as table:
        table.add_column(sa.Column("number", sa.Integer(), nullable=True))
        table.add_column(sa.Column("sealed_text", sa.Text(), nullable=True))
        table.add_column(sa.Column("key_id", sa.String(length=16), nullable=True))
        table.add_column(sa.Column("digest", sa.String(length=64), nullable=True))
    op.create_index("uq_event_rollout_id_number", "event", ["rollout_id", "number"], unique=True)
    outside, unsealed = sa.text("rollout_id IS NULL"), sa.text("number IS NULL")
    op.create_index(
        "uq_event_number_outside", "event", ["number"], unique=True, sqlite_where=outside, postgresql_where=outside
    )
    op.create_index(
        "ix_event_not_sealed", "event", ["rollout_id", "id"], sqlite_where=unsealed, postgresql_where=unsealed
    )
    with op.batch_alter_table("sign_off") as table:
        table.add_column(sa.Column("revoked_by", sa.String(length=120), nullable=True))
        table.add_column(sa.Column("plan_digest", sa.String(length=64), nullable=True))
        table.add_column(sa.Column("key_id", sa.String(length=16), nullable=True))
        table.add_column(sa.Column("signature", sa.String(length=64), nullable=True))
    with op.batch_alter_table("stage") as table:
        table.add_column(sa.Column("evidence_text", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("stage") as table:
        table.drop_column("evidence_text")
    with op.batch_alter_table("sign_off") as table:
        for name in ("signature", "key_id", "plan_digest", "revoked_by"):
            table.drop_column(name)
    for name in ("ix_event_not_sealed", "uq_event_number_outside", "uq_event_rollout_id_number"):
        op.drop_index(name, table_name="event")
    with op.batch_alter_table("event") as table:
        for name in ("digest", "key_id", "sealed_text", "number"):
            table.drop_column(name)
    op.drop_table("chain_head")
