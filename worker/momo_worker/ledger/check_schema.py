"""The ledger's tables of checks before paying: what MTN said of numbers, and what that made of a run's rows. Same rules as `schema`.

Nothing here can move money; a row that is blocked keeps its run from being approved, until somebody answers for it.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from momo_worker.ledger import run_schema

metadata = run_schema.metadata

holder_check = Table(
    "holder_check",
    metadata,
    Column("account", String(64), nullable=False),
    Column("msisdn", String(15), nullable=False),
    Column("active", Integer, nullable=False),
    # Asked for only where a file names somebody; an empty name that was asked for says that MTN has none.
    Column("name_asked", Integer, nullable=False),
    Column("name", String(200)),
    Column("asked_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "msisdn"),
)

run_check = Table(
    "run_check",
    metadata,
    Column("run_id", String(36), ForeignKey("run.id"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("why", String(64), nullable=False),
    Column("score", Integer),
    # What MTN called the person when this verdict was made: whoever answers for the row has seen this and nothing later.
    Column("holder_name", String(200)),
    Column("checked_at_ms", BigInteger, nullable=False),
    Column("override_reason", Text),
    Column("overridden_by", String(64)),
    Column("overridden_at_ms", BigInteger),
    PrimaryKeyConstraint("run_id", "place"),
    CheckConstraint(
        "(override_reason IS NULL) = (overridden_by IS NULL) AND (overridden_by IS NULL) = (overridden_at_ms IS NULL)",
        name="overridden_whole",
    ),
)
