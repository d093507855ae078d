"""Scheduled collections: schedules, their payers and mandates, periods with who owes what, the runs that ask, what was paid by other means."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


_LEFT = sa.text("state = 'due'")


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("starts_on", sa.String(length=10), nullable=False),
        sa.Column("ends_on", sa.String(length=10), nullable=True),
        sa.Column("after_day", sa.String(length=10), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("exponent", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=160), nullable=True),
        sa.Column("holidays", sa.String(length=64), nullable=True),
        sa.Column("on_holiday", sa.String(length=64), nullable=False),
        sa.Column("extra_holidays", sa.Text(), nullable=False),
        sa.Column("catch_up", sa.String(length=64), nullable=False),
        sa.Column("maker", sa.String(length=64), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor IS NULL OR amount_minor > 0", name=op.f("ck_schedule_amount_above_zero")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    with op.batch_alter_table("schedule", schema=None) as batch_op:
        batch_op.create_index(
            "uq_schedule_name",
            ["account", "name"],
            unique=True,
            postgresql_where=sa.text("state <> 'removed'"),
            sqlite_where=sa.text("state <> 'removed'"),
        )
    op.create_table(
        "mandate_payer",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("msisdn", sa.String(length=15), nullable=False),
        sa.Column("most_minor", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name=op.f("fk_mandate_payer_schedule_id")),
        sa.PrimaryKeyConstraint("schedule_id", "key_id", name=op.f("pk_mandate_payer")),
    )
    op.create_table(
        "schedule_mandate",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("payers", sa.Integer(), nullable=False),
        sa.Column("ceiling_minor", sa.BigInteger(), nullable=False),
        sa.Column("signed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name=op.f("fk_schedule_mandate_schedule_id")),
        sa.PrimaryKeyConstraint("schedule_id", name=op.f("pk_schedule_mandate")),
    )
    op.create_table(
        "schedule_payer",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("payer_id", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=True),
        sa.Column("msisdn", sa.String(length=15), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_schedule_payer_amount_above_zero")),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name=op.f("fk_schedule_payer_schedule_id")),
        sa.PrimaryKeyConstraint("schedule_id", "payer_id", name=op.f("pk_schedule_payer")),
        sa.UniqueConstraint("schedule_id", "key_id", name="uq_schedule_payer_key_id"),
    )
    with op.batch_alter_table("schedule_payer", schema=None) as batch_op:
        batch_op.create_index("ix_schedule_payer_msisdn", ["msisdn"], unique=False)
    op.create_table(
        "schedule_period",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("period", sa.String(length=16), nullable=False),
        sa.Column("begins_on", sa.String(length=10), nullable=False),
        sa.Column("ends_on", sa.String(length=10), nullable=False),
        sa.Column("nominal_on", sa.String(length=10), nullable=False),
        sa.Column("fires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("payers", sa.Integer(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name=op.f("fk_schedule_period_schedule_id")),
        sa.PrimaryKeyConstraint("schedule_id", "period", name=op.f("pk_schedule_period")),
    )
    op.create_table(
        "schedule_due",
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("period", sa.String(length=16), nullable=False),
        sa.Column("payer_id", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=True),
        sa.Column("msisdn", sa.String(length=15), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("collected_minor", sa.BigInteger(), nullable=False),
        sa.Column("settled_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("ask", sa.Integer(), nullable=False),
        sa.Column("ask_key", sa.String(length=128), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("declines", sa.Integer(), nullable=False),
        sa.Column("first_asked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("again_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("state_since_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_schedule_due_amount_above_zero")),
        sa.CheckConstraint("collected_minor >= 0 AND settled_minor >= 0", name=op.f("ck_schedule_due_paid_counted")),
        sa.ForeignKeyConstraint(
            ["schedule_id", "period"],
            ["schedule_period.schedule_id", "schedule_period.period"],
            name="fk_schedule_due_period",
        ),
        sa.PrimaryKeyConstraint("schedule_id", "period", "payer_id", name=op.f("pk_schedule_due")),
    )
    with op.batch_alter_table("schedule_due", schema=None) as batch_op:
        batch_op.create_index(
            "ix_schedule_due_again",
            ["again_at_ms"],
            unique=False,
            postgresql_where=sa.text("again_at_ms IS NOT NULL"),
            sqlite_where=sa.text("again_at_ms IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_schedule_due_asked",
            ["ask_key"],
            unique=False,
            postgresql_where=sa.text("state = 'asked'"),
            sqlite_where=sa.text("state = 'asked'"),
        )
        batch_op.create_index(
            "ix_schedule_due_left", ["schedule_id", "period"], postgresql_where=_LEFT, sqlite_where=_LEFT
        )
    op.create_table(
        "schedule_round",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("period", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_schedule_round_run_id")),
        sa.ForeignKeyConstraint(
            ["schedule_id", "period"],
            ["schedule_period.schedule_id", "schedule_period.period"],
            name="fk_schedule_round_period",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_schedule_round")),
        sa.UniqueConstraint("schedule_id", "period", "number", name="uq_schedule_round_number"),
    )
    op.create_table(
        "settlement",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("schedule_id", sa.String(length=36), nullable=False),
        sa.Column("period", sa.String(length=16), nullable=False),
        sa.Column("payer_id", sa.String(length=64), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_settlement_amount_above_zero")),
        sa.ForeignKeyConstraint(
            ["schedule_id", "period", "payer_id"],
            ["schedule_due.schedule_id", "schedule_due.period", "schedule_due.payer_id"],
            name="fk_settlement_due",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement")),
    )
