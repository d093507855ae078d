"""Until when one pump alone reads the jobs stream again: five that read the same entries at once looked like four that had died of them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("recovery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("jobs_reading_until_ms", sa.BigInteger(), nullable=True))
