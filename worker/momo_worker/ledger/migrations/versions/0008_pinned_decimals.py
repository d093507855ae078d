"""In how many decimals an account's amounts are counted, pinned to it: what its latest payment in the pinned currency says."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


# The latest, for it is what the installation runs under: a market whose decimals were once corrected goes on as it is.
_FROM_PAYMENTS = """
    UPDATE pin SET exponent = (
        SELECT payment.exponent FROM payment
        WHERE payment.account = pin.account AND payment.currency = pin.currency
        ORDER BY payment.accepted_at_ms DESC, payment.id DESC
        LIMIT 1
    )
"""


def upgrade() -> None:
    with op.batch_alter_table("pin", schema=None) as batch_op:
        batch_op.add_column(sa.Column("exponent", sa.Integer(), nullable=True))
    op.execute(_FROM_PAYMENTS)
