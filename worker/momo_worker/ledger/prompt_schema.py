"""The ledger's tables of asking people: which collection is open on a number, and who is never asked. Same rules as `schema`.

Manners, not money: a row that is lost or stays behind pays nothing twice, and blocks a number for minutes at most.
"""

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String, Table, Text

from momo_worker.ledger import check_schema

metadata = check_schema.metadata

# The one collection that may stand on a phone's screen: taken where its send is written down, freed by its outcome.
open_prompt = Table(
    "open_prompt",
    metadata,
    Column("account", String(64), nullable=False),
    Column("msisdn", String(15), nullable=False),
    Column("payment_id", String(36), nullable=False),
    # Whatever becomes of the payment, from here on the number is free.
    Column("until_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "msisdn"),
)

# '' stands for every account.
opt_out = Table(
    "opt_out",
    metadata,
    Column("account", String(64), nullable=False),
    Column("msisdn", String(15), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    # By number first: a question names several numbers and one account.
    PrimaryKeyConstraint("msisdn", "account"),
)
