"""What a pump asks of a run twice a second is answered from the index: how many stand where, with what sum, and which ended last."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.drop_index("ix_payment_run")
        batch_op.create_index(
            "ix_payment_run",
            ["run", "state", "state_since_ms", "amount_minor"],
            unique=False,
            postgresql_where=sa.text("run <> ''"),
            sqlite_where=sa.text("run <> ''"),
        )
