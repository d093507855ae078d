"""Which payment a waiting job would be: a key that comes again while its earlier entry waits after a restore is as old as that one."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("waiting_job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("payment_id", sa.String(length=64), nullable=True))
        batch_op.create_index(batch_op.f("ix_waiting_job_payment_id"), ["payment_id"], unique=False)
