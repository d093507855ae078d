"""Runs that pay: what people signed, how far a run was released, and which payments are its rows."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_path",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_path_run_id")),
        sa.PrimaryKeyConstraint("run_id", "place", name=op.f("pk_run_path")),
    )
    op.create_table(
        "run_release",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("released_to", sa.Integer(), nullable=False),
        sa.Column("fed_to", sa.Integer(), nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("released_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("released_by", sa.String(length=64), nullable=False),
        sa.Column("leased_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("told_percent", sa.Integer(), nullable=False),
        sa.CheckConstraint("fed_to >= 0 AND fed_to <= released_to", name=op.f("ck_run_release_fed_within")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_release_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_release")),
    )
    op.create_table(
        "run_signature",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("earliest_ms", sa.BigInteger(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("signed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_signature_run_id")),
        sa.PrimaryKeyConstraint("run_id", "role", "name", name=op.f("pk_run_signature")),
    )
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("run", sa.String(length=36), server_default=sa.text("''"), nullable=False))
        batch_op.create_index(
            "ix_payment_run",
            ["run", "state"],
            unique=False,
            postgresql_where=sa.text("run <> ''"),
            sqlite_where=sa.text("run <> ''"),
        )
