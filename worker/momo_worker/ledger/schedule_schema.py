"""The ledger's tables of scheduled collections: a schedule, its payers, what was signed for it, its periods and who owes what. Same rules as `schema`.

A period is there once for each schedule, with its snapshot of payers and amounts; asks become payments through a bulk run.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from momo_worker.ledger import prompt_schema

metadata = prompt_schema.metadata

schedule = Table(
    "schedule",
    metadata,
    # Drawn once; a name may change and come again, and means nothing.
    Column("id", String(36), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("name", String(40), nullable=False),
    Column("state", String(64), nullable=False),
    Column("rule", Text, nullable=False),
    Column("zone", String(64), nullable=False),
    # Local dates; what `every 2 weeks` counts from is the first.
    Column("starts_on", String(10), nullable=False),
    Column("ends_on", String(10)),
    # Periods that begin after this day are its own: the day on which it was made, or the one before `--from`.
    Column("after_day", String(10), nullable=False),
    Column("amount_minor", BigInteger),
    Column("currency", String(3), nullable=False),
    Column("exponent", Integer, nullable=False),
    Column("note", String(160)),
    Column("holidays", String(64)),
    Column("on_holiday", String(64), nullable=False),
    Column("extra_holidays", Text, nullable=False),
    Column("catch_up", String(64), nullable=False),
    Column("maker", String(64), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    CheckConstraint("amount_minor IS NULL OR amount_minor > 0", name="amount_above_zero"),
)
_THERE = text("state <> 'removed'")
Index(
    "uq_schedule_name",
    schedule.c.account,
    schedule.c.name,
    unique=True,
    postgresql_where=_THERE,
    sqlite_where=_THERE,
)

schedule_payer = Table(
    "schedule_payer",
    metadata,
    Column("schedule_id", String(36), ForeignKey("schedule.id"), nullable=False),
    # The business's own id of this payer: two children on one phone are two payers (money-review H3).
    Column("payer_id", String(64), nullable=False),
    # The same as it stands in keys.
    Column("key_id", String(64), nullable=False),
    Column("name", String(120)),
    Column("msisdn", String(15), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("zone", String(64)),
    PrimaryKeyConstraint("schedule_id", "payer_id"),
    UniqueConstraint("schedule_id", "key_id", name="uq_schedule_payer_key_id"),
    CheckConstraint("amount_minor > 0", name="amount_above_zero"),
)
Index("ix_schedule_payer_msisdn", schedule_payer.c.msisdn)

# What an approver has signed for a schedule: whom it may ask, for how much at most, and how much in one period.
schedule_mandate = Table(
    "schedule_mandate",
    metadata,
    Column("schedule_id", String(36), ForeignKey("schedule.id"), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("root", String(64), nullable=False),
    Column("payers", Integer, nullable=False),
    Column("ceiling_minor", BigInteger, nullable=False),
    Column("signed_at_ms", BigInteger, nullable=False),
    Column("signature", String(100), nullable=False),
)

# The signed list itself, with the way from each leaf to the root. Worth nothing by itself: another path leads to another root.
mandate_payer = Table(
    "mandate_payer",
    metadata,
    Column("schedule_id", String(36), ForeignKey("schedule.id"), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("msisdn", String(15), nullable=False),
    Column("most_minor", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("path", LargeBinary, nullable=False),
    PrimaryKeyConstraint("schedule_id", "key_id"),
)

schedule_period = Table(
    "schedule_period",
    metadata,
    Column("schedule_id", String(36), ForeignKey("schedule.id"), nullable=False),
    Column("period", String(16), nullable=False),
    Column("begins_on", String(10), nullable=False),
    Column("ends_on", String(10), nullable=False),
    Column("nominal_on", String(10), nullable=False),
    Column("fires_at_ms", BigInteger, nullable=False),
    # fired, missed or skipped; decided once.
    Column("state", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("payers", Integer, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("decided_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("schedule_id", "period"),
)

# Who owes what for a period, as it was when the period fired, and what became of it.
schedule_due = Table(
    "schedule_due",
    metadata,
    Column("schedule_id", String(36), nullable=False),
    Column("period", String(16), nullable=False),
    Column("payer_id", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("name", String(120)),
    Column("msisdn", String(15), nullable=False),
    Column("zone", String(64)),
    Column("amount_minor", BigInteger, nullable=False),
    # What was paid, by our asks and by other means.
    Column("collected_minor", BigInteger, nullable=False),
    Column("settled_minor", BigInteger, nullable=False),
    Column("state", String(64), nullable=False),
    Column("why", Text, nullable=False),
    # Which ask is or was the last: its payment's key, and how many there were; the first is the schedule's, later ones follow a settlement.
    Column("ask", Integer, nullable=False),
    Column("ask_key", String(128)),
    # Of the last ask: which attempt was concluded; and over all asks how many failed, and how many of those by the payer's own no.
    Column("attempt", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("declines", Integer, nullable=False),
    Column("first_asked_at_ms", BigInteger),
    Column("again_at_ms", BigInteger),
    Column("state_since_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("schedule_id", "period", "payer_id"),
    ForeignKeyConstraint(
        ["schedule_id", "period"],
        ["schedule_period.schedule_id", "schedule_period.period"],
        name="fk_schedule_due_period",
    ),
    CheckConstraint("amount_minor > 0", name="amount_above_zero"),
    CheckConstraint("collected_minor >= 0 AND settled_minor >= 0", name="paid_counted"),
)
_ASKED = text("state = 'asked'")
_LEFT = text("state = 'due'")
_AGAIN = text("again_at_ms IS NOT NULL")
Index("ix_schedule_due_asked", schedule_due.c.ask_key, postgresql_where=_ASKED, sqlite_where=_ASKED)
Index(
    "ix_schedule_due_left",
    schedule_due.c.schedule_id,
    schedule_due.c.period,
    postgresql_where=_LEFT,
    sqlite_where=_LEFT,
)
Index("ix_schedule_due_again", schedule_due.c.again_at_ms, postgresql_where=_AGAIN, sqlite_where=_AGAIN)

# Which bulk run asks for which period.
schedule_round = Table(
    "schedule_round",
    metadata,
    Column("run_id", String(36), ForeignKey("run.id"), primary_key=True),
    Column("schedule_id", String(36), nullable=False),
    Column("period", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    UniqueConstraint("schedule_id", "period", "number", name="uq_schedule_round_number"),
    ForeignKeyConstraint(
        ["schedule_id", "period"],
        ["schedule_period.schedule_id", "schedule_period.period"],
        name="fk_schedule_round_period",
    ),
)

# What was paid by other means, and who says so.
settlement = Table(
    "settlement",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("schedule_id", String(36), nullable=False),
    Column("period", String(16), nullable=False),
    Column("payer_id", String(64), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["schedule_id", "period", "payer_id"],
        ["schedule_due.schedule_id", "schedule_due.period", "schedule_due.payer_id"],
        name="fk_settlement_due",
    ),
    CheckConstraint("amount_minor > 0", name="amount_above_zero"),
)
