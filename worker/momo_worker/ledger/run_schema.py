"""The ledger's tables of bulk runs: a run, its rows, and what somebody must answer before it can be approved. Same rules as `schema`.

A run's rows become payments one by one at its release; until then nothing here can move money.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from momo_worker.ledger import schema

#: Every table that there is, these among them: who asks here has loaded both files.
metadata = schema.metadata

run = Table(
    "run",
    metadata,
    # Derived of account, name and digest: another file under the name is another draft.
    Column("id", String(36), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("name", String(40), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("state", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("exponent", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("note", String(160)),
    Column("pay_date", String(10)),
    Column("file_name", Text, nullable=False),
    Column("maker", String(64), nullable=False),
    Column("imported_at_ms", BigInteger, nullable=False),
    Column("state_since_ms", BigInteger, nullable=False),
    CheckConstraint("rows >= 0 AND total_minor >= 0", name="counted"),
)
#: What was put aside, or never came in whole, leaves its name free.
_LIVE = text("state NOT IN ('importing', 'superseded', 'cancelled')")
Index("uq_run_live", run.c.account, run.c.name, unique=True, postgresql_where=_LIVE, sqlite_where=_LIVE)
Index("ix_run_digest", run.c.account, run.c.digest)

run_row = Table(
    "run_row",
    metadata,
    Column("run_id", String(36), ForeignKey("run.id"), nullable=False),
    # Where it stands among the run's rows, from 1; approvals sign it.
    Column("place", Integer, nullable=False),
    Column("line", Integer, nullable=False),
    Column("key", String(128), nullable=False),
    Column("row_id", String(64)),
    Column("name", String(120)),
    Column("msisdn", String(15)),
    Column("amount_minor", BigInteger, nullable=False),
    Column("note", String(160)),
    Column("collection", String(128)),
    Column("replaces", String(128)),
    PrimaryKeyConstraint("run_id", "place"),
    CheckConstraint("amount_minor > 0", name="amount_above_zero"),
)
Index("uq_run_row_key", run_row.c.run_id, run_row.c.key, unique=True)
Index("ix_run_row_msisdn", run_row.c.msisdn, run_row.c.amount_minor)

run_finding = Table(
    "run_finding",
    metadata,
    Column("run_id", String(36), ForeignKey("run.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("line", Integer, nullable=False),
    Column("told", Text, nullable=False),
    # A warning is only told; what is asked blocks the approval until somebody has answered.
    Column("asked", Integer, nullable=False),
    Column("answer", Text),
    Column("answered_by", String(64)),
    Column("answered_at_ms", BigInteger),
    PrimaryKeyConstraint("run_id", "number"),
)

# A run that may pay: rows up to one place may become payments, and rows up to another have been handed to intake.
run_release = Table(
    "run_release",
    metadata,
    Column("run_id", String(36), ForeignKey("run.id"), primary_key=True),
    Column("released_to", Integer, nullable=False),
    Column("fed_to", Integer, nullable=False),
    Column("starts_at_ms", BigInteger, nullable=False),
    Column("released_at_ms", BigInteger, nullable=False),
    Column("released_by", String(64), nullable=False),
    # Which pump hands rows over at this moment: two would only say everything twice.
    Column("leased_until_ms", BigInteger, nullable=False),
    # The last twenty percent that were told.
    Column("told_percent", Integer, nullable=False),
    CheckConstraint("fed_to >= 0 AND fed_to <= released_to", name="fed_within"),
)
# How many of a run's payments stand where, with what sum, which are still to be sent and which ended last: all from the index alone.
_OF_A_RUN = text("run <> ''")
Index(
    "ix_payment_run",
    schema.payment.c.run,
    schema.payment.c.state,
    schema.payment.c.state_since_ms,
    schema.payment.c.amount_minor,
    postgresql_where=_OF_A_RUN,
    sqlite_where=_OF_A_RUN,
)

# What people signed, with the terms that are not the run's own columns; a tree's root stands in each.
run_signature = Table(
    "run_signature",
    metadata,
    Column("run_id", String(36), ForeignKey("run.id"), nullable=False),
    Column("role", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("root", String(64), nullable=False),
    Column("earliest_ms", BigInteger, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("signed_at_ms", BigInteger, nullable=False),
    Column("signature", String(100), nullable=False),
    PrimaryKeyConstraint("run_id", "role", "name"),
)

# The way from each row's leaf to the signed root. Worth nothing by itself: another path leads to another root.
run_path = Table(
    "run_path",
    metadata,
    Column("run_id", String(36), ForeignKey("run.id"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("path", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_id", "place"),
)
