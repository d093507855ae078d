"""Bulk runs: their rows, and what is asked about them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("exponent", sa.Integer(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=160), nullable=True),
        sa.Column("pay_date", sa.String(length=10), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("maker", sa.String(length=64), nullable=False),
        sa.Column("imported_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state_since_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("rows >= 0 AND total_minor >= 0", name=op.f("ck_run_counted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("ix_run_digest", ["account", "digest"], unique=False)
        batch_op.create_index(
            "uq_run_live",
            ["account", "name"],
            unique=True,
            postgresql_where=sa.text("state NOT IN ('importing', 'superseded', 'cancelled')"),
            sqlite_where=sa.text("state NOT IN ('importing', 'superseded', 'cancelled')"),
        )

    op.create_table(
        "run_finding",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.String(length=64), nullable=True),
        sa.Column("answered_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_finding_run_id")),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_run_finding")),
    )
    op.create_table(
        "run_row",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("row_id", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=True),
        sa.Column("msisdn", sa.String(length=15), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=160), nullable=True),
        sa.Column("collection", sa.String(length=128), nullable=True),
        sa.Column("replaces", sa.String(length=128), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_run_row_amount_above_zero")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_row_run_id")),
        sa.PrimaryKeyConstraint("run_id", "place", name=op.f("pk_run_row")),
    )
    with op.batch_alter_table("run_row", schema=None) as batch_op:
        batch_op.create_index("ix_run_row_msisdn", ["msisdn", "amount_minor"], unique=False)
        batch_op.create_index("uq_run_row_key", ["run_id", "key"], unique=True)
