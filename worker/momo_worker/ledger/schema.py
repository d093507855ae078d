"""The ledger's tables, the same on SQLite and PostgreSQL; what must never be double is unique here, whatever the code believes.

Times are epoch milliseconds (`_ms`), money is 64-bit minor units (`_minor`), enumerations are their words.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite counts up only INTEGER keys.
_Counter = BigInteger().with_variant(Integer, "sqlite")


def _ms(name: str, *, required: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=not required)


def _word(name: str, *, required: bool = True) -> Column[str]:
    return Column(name, String(64), nullable=not required)


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _word("ledger_id"),
    _word("namespace"),
    Column("epoch", BigInteger, nullable=False),
    Column("tide", BigInteger, nullable=False),
    _ms("tide_at_ms", required=True),
    _ms("created_at_ms", required=True),
    _word("results_last_id", required=False),
    CheckConstraint("id = 1", name="single"),
)

pin = Table(
    "pin",
    metadata,
    _word("account"),
    _word("product"),
    Column("base_url", Text, nullable=False),
    _word("target_environment"),
    _word("currency"),
    _word("api_user"),
    _ms("pinned_at_ms", required=True),
    Column("exponent", Integer),  # NULL where an older release pinned it and no payment tells
    PrimaryKeyConstraint("account", "product"),
)

payment = Table(
    "payment",
    metadata,
    Column("id", String(36), primary_key=True),
    _word("account"),
    Column("idempotency_key", String(128), nullable=False),
    _word("operation"),
    _word("product"),
    _word("lane"),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("exponent", Integer, nullable=False),
    Column("msisdn", String(15)),
    Column("external_id", String(128), nullable=False),
    Column("payer_message", String(160), nullable=False),
    Column("payee_note", String(160), nullable=False),
    Column("metadata", Text),
    Column("body_digest", String(64), nullable=False),
    Column("refund_of", String(36), ForeignKey("payment.id")),
    Column("replaces", String(36), ForeignKey("payment.id"), unique=True),
    _word("environment"),
    Column("source", String(200), nullable=False),
    # The run that it is a row of, '' for none: a run's pause and its signatures hold for it.
    Column("run", String(36), nullable=False, server_default=text("''")),
    _ms("accepted_at_ms", required=True),
    _ms("not_before_ms"),
    _ms("not_after_ms", required=True),
    _word("state"),
    _ms("state_since_ms", required=True),
    _word("held_cause", required=False),
    Column("attempt", Integer, nullable=False),
    Column("reference_id", String(36), nullable=False),
    Column("sequence", Integer, nullable=False),
    _word("reason_code", required=False),
    Column("reason_message", Text),
    Column("financial_transaction_id", String(256)),
    Column("refunded_minor", BigInteger, nullable=False),
    _word("work", required=False),
    _word("queue"),
    _ms("due_at_ms"),
    _ms("released_until_ms"),
    _ms("lease_until_ms"),
    Column("fence", BigInteger, nullable=False),
    Column("claims_since_word", Integer, nullable=False),
    _ms("hint_at_ms"),
    _ms("hinted_at_ms"),
    *(_ms(f"{name}_at_ms") for name in ("first_send", "could_have_left", "acknowledged")),
    Column("sends", Integer, nullable=False),
    Column("not_now_count", Integer, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("not_found_count", Integer, nullable=False),
    *(_ms(f"not_found_{which}_at_ms") for which in ("first", "last")),
    UniqueConstraint("account", "idempotency_key"),
    CheckConstraint("amount_minor > 0", name="amount_above_zero"),
    # M14: two refunds that are accepted at the same instant meet here.
    CheckConstraint("refunded_minor >= 0 AND refunded_minor <= amount_minor", name="refunded_within"),
)

# What is due, per account, product, kind of work and queue: a claim reads its own rows only, however many others wait.
Index(
    "ix_payment_due",
    payment.c.account,
    payment.c.product,
    payment.c.work,
    payment.c.queue,
    payment.c.due_at_ms,
    **_where("due_at_ms IS NOT NULL"),
)
Index(
    "ix_payment_released",
    payment.c.account,
    payment.c.product,
    payment.c.work,
    payment.c.released_until_ms,
    **_where("released_until_ms IS NOT NULL"),
)
Index(
    "ix_payment_leased",
    payment.c.lease_until_ms,
    **_where("state = 'sending'"),
)
Index(
    "ix_payment_expiring",
    payment.c.not_after_ms,
    **_where("state = 'accepted'"),
)
Index("ix_payment_state", payment.c.state, payment.c.currency, payment.c.state_since_ms)
Index("ix_payment_same_again", payment.c.account, payment.c.msisdn, payment.c.amount_minor, payment.c.accepted_at_ms)
Index("ix_payment_external_id", payment.c.external_id)
Index(
    "ix_payment_financial_transaction_id",
    payment.c.financial_transaction_id,
    **_where("financial_transaction_id IS NOT NULL"),
)

#: Payments and money by state, counted in each transaction that moves one; the sum over shards is the truth.
tally = Table(
    "tally",
    metadata,
    _word("state"),
    Column("currency", String(3), nullable=False),
    Column("shard", Integer, nullable=False),
    Column("exponent", Integer, nullable=False),
    Column("payments", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    PrimaryKeyConstraint("state", "currency", "shard"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("payment_id", String(36), ForeignKey("payment.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("reference_id", String(36), nullable=False, unique=True),
    _word("product"),
    Column("path", String(200), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("callback_url", Text),
    _word("api_user"),
    _word("target_environment"),
    Column("base_url", Text, nullable=False),
    _ms("created_at_ms", required=True),
    # M8: looked up again after it was closed without MTN's own FAILED.
    _ms("late_due_at_ms"),
    Column("late_looks", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("payment_id", "number"),
)
Index(
    "ix_attempt_late",
    attempt.c.late_due_at_ms,
    **_where("late_due_at_ms IS NOT NULL"),
)

send = Table(
    "send",
    metadata,
    Column("payment_id", String(36), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    _ms("began_at_ms", required=True),
    _ms("ended_at_ms"),
    _word("ending", required=False),
    Column("never_left", Boolean, nullable=False),
    Column("http_status", Integer),
    _word("code", required=False),
    PrimaryKeyConstraint("payment_id", "attempt", "number"),
)
Index("ix_send_open", send.c.began_at_ms, postgresql_where=text("ending IS NULL"), sqlite_where=text("ending IS NULL"))

transition = Table(
    "transition",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("payment_id", String(36), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    _word("before", required=False),
    _word("after"),
    _word("trigger"),
    Column("detail", Text),
    _word("actor", required=False),
    Column("fence", BigInteger, nullable=False),
    _ms("at_ms", required=True),
)
Index("ix_transition_payment", transition.c.payment_id)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("event_id", String(36), nullable=False, unique=True),
    Column("partition", Integer, nullable=False),
    Column("payment_id", String(36)),
    _word("type"),
    Column("body", Text, nullable=False),
    _ms("created_at_ms", required=True),
    _ms("published_at_ms"),
    Column("replayed", Boolean, nullable=False),
    Column("asked", BigInteger, nullable=False, server_default="0"),
)
Index(
    "ix_outbox_unpublished",
    outbox.c.partition,
    outbox.c.id,
    **_where("published_at_ms IS NULL"),
)
Index("ix_outbox_payment", outbox.c.payment_id)
Index("ix_outbox_published", outbox.c.published_at_ms)

relay_partition = Table(
    "relay_partition",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    _word("owner", required=False),
    _ms("lease_until_ms", required=True),
    Column("fence", BigInteger, nullable=False),
)

rejected_job = Table(
    "rejected_job",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("payload_sha256", String(64), nullable=False),
    Column("errors", Text, nullable=False),
    _ms("rejected_at_ms", required=True),
)

waiting_job = Table(
    "waiting_job",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("why", Text, nullable=False),
    _word("door"),
    Column("envelope", Boolean, nullable=False),
    _ms("first_seen_at_ms", required=True),
    _ms("next_try_at_ms", required=True),
    # The payment that it would be, where its account and key can be read.
    Column("payment_id", String(64), index=True),
)

pause = Table(
    "pause",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    # '' stands for "any": a NULL would need two kinds of comparison in the check before each first byte.
    _word("account"),
    _word("product"),
    _word("run"),
    Column("reason", Text, nullable=False),
    _word("actor"),
    _ms("paused_at_ms", required=True),
    _ms("lifted_at_ms"),
    _word("lifted_by", required=False),
    Column("lifted_reason", Text),
)
Index(
    "ix_pause_open",
    pause.c.account,
    **_where("lifted_at_ms IS NULL"),
)

recovery = Table(
    "recovery",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    # 1 while it lasts, then NULL: at most one is open, and the check before each first byte asks whether one is.
    Column("is_open", Integer, unique=True),
    *(_word(name) for name in ("why", "actor", "jobs_from")),
    *(_word(name, required=False) for name in ("jobs_until", "jobs_read_to", "released_by")),
    *(Column(name, Text) for name in ("detail", "jobs_note", "released_reason")),
    # The ledger's own tide when it was found to be behind, and the highest that anybody knew of.
    *(Column(name, BigInteger, nullable=False) for name in ("epoch", "tide_found", "tide_known")),
    *(Column(name, BigInteger, nullable=False) for name in ("jobs_tries", "jobs_read", "began_at_ms")),
    _ms("jobs_reading_until_ms"),
    *(_ms(f"{name}_ms") for name in ("lost_from", "jobs_done_at", "listed_at", "searched_at", "released_at")),
    Column("listed_to", String(36), nullable=False),
)

# Payments that MTN is asked about after a restore, every attempt that there may be.
search = Table(
    "search",
    metadata,
    Column("recovery_id", BigInteger, ForeignKey("recovery.id"), nullable=False),
    Column("payment_id", String(36), ForeignKey("payment.id"), nullable=False),
    _ms("due_at_ms", required=True),
    Column("tries", Integer, nullable=False),
    _word("outcome", required=False),
    _ms("done_at_ms"),
    PrimaryKeyConstraint("recovery_id", "payment_id"),
)
_OPEN = text("outcome IS NULL")
Index("ix_search_open", search.c.due_at_ms, postgresql_where=_OPEN, sqlite_where=_OPEN)

gate = Table(
    "gate",
    metadata,
    _word("account"),
    _word("product"),
    _word("cause", required=False),
    Column("detail", Text),
    _ms("closed_at_ms"),
    _ms("probe_at_ms"),
    Column("probe_step", Integer, nullable=False),
    Column("bad_requests", Integer, nullable=False),
    PrimaryKeyConstraint("account", "product"),
)

fault = Table(
    "fault",
    metadata,
    _word("account"),
    _word("product"),
    Column("payment_id", String(36), nullable=False),
    _ms("at_ms", required=True),
    PrimaryKeyConstraint("account", "product", "payment_id"),
)

outflow = Table(
    "outflow",
    metadata,
    _word("account"),
    Column("day", String(10), nullable=False),
    Column("direct_minor", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "day"),
)

journal = Table(
    "journal",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    _word("actor"),
    _word("action"),
    Column("subject", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    _ms("at_ms", required=True),
)
Index("ix_journal_subject", journal.c.subject)
