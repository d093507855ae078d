"""Checks before paying: what MTN said of numbers, and what that made of a run's rows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "holder_check",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("msisdn", sa.String(length=15), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("name_asked", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("asked_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "msisdn", name=op.f("pk_holder_check")),
    )
    op.create_table(
        "run_check",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=64), nullable=False),
        sa.Column("why", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("holder_name", sa.String(length=200), nullable=True),
        sa.Column("checked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("override_reason", sa.Text(), nullable=True),
        sa.Column("overridden_by", sa.String(length=64), nullable=True),
        sa.Column("overridden_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(override_reason IS NULL) = (overridden_by IS NULL) AND (overridden_by IS NULL) = (overridden_at_ms IS NULL)",
            name=op.f("ck_run_check_overridden_whole"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_check_run_id")),
        sa.PrimaryKeyConstraint("run_id", "place", name=op.f("pk_run_check")),
    )
