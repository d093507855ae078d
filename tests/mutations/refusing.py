"""Mutations of what the schema itself refuses, in its tables and in the migration alike. Data only; each text stands once in its file."""

from tests.mutations.mutation import Edit, Mutation

_TABLES = "ledger/schema.py"
_MIGRATION = "ledger/migrations/versions/0001_the_first_tables.py"
_DOUBLES = "tests/ledger/test_schema.py::test_the_schema_refuses_doubles_and_impossible_money"
_WALL = "the code asks for no double as long as ids and references are derived: the schema is the wall behind it"


def _dropped(
    name: str,
    rule: str,
    breaks: str,
    table: tuple[str, str],
    migration: str,
    *more: Edit,
    test: str = _DOUBLES,
    beyond: str = _WALL,
) -> Mutation:
    """Without this line of the tables, and of the migration."""
    old, new = table
    return Mutation(
        name, rule, breaks, (Edit(_TABLES, old, new), Edit(_MIGRATION, migration, ""), *more), "", (test,), beyond
    )


MUTATIONS = (
    _dropped(
        "key_not_unique",
        "M10",
        "unique: account and key",
        ('    UniqueConstraint("account", "idempotency_key"),\n', ""),
        '        sa.UniqueConstraint("account", "idempotency_key", name=op.f("uq_payment_account")),\n',
    ),
    _dropped(
        "reference_not_unique",
        "M2",
        "unique: the reference",
        (
            '    Column("reference_id", String(36), nullable=False, unique=True),\n',
            '    Column("reference_id", String(36), nullable=False),\n',
        ),
        '        sa.UniqueConstraint("reference_id", name=op.f("uq_attempt_reference_id")),\n',
    ),
    _dropped(
        "attempt_not_unique",
        "M8",
        "unique: payment and attempt",
        ('    PrimaryKeyConstraint("payment_id", "number"),\n', ""),
        '        sa.PrimaryKeyConstraint("payment_id", "number", name=op.f("pk_attempt")),\n',
    ),
    _dropped(
        "send_not_unique",
        "M1",
        "each POST on the wire is its own send row",
        ('    PrimaryKeyConstraint("payment_id", "attempt", "number"),\n', ""),
        '        sa.PrimaryKeyConstraint("payment_id", "attempt", "number", name=op.f("pk_send")),\n',
    ),
    _dropped(
        "successor_not_unique",
        "M8",
        "a payment is replaced once",
        (
            '    Column("replaces", String(36), ForeignKey("payment.id"), unique=True),\n',
            '    Column("replaces", String(36), ForeignKey("payment.id")),\n',
        ),
        '        sa.UniqueConstraint("replaces", name=op.f("uq_payment_replaces")),\n',
    ),
    _dropped(
        "event_not_unique",
        "M9",
        "an event has one id for ever",
        (
            '    Column("event_id", String(36), nullable=False, unique=True),\n',
            '    Column("event_id", String(36), nullable=False),\n',
        ),
        '        sa.UniqueConstraint("event_id", name=op.f("uq_outbox_event_id")),\n',
        Edit(
            "ledger/moves.py",
            'sqlite.insert(schema.outbox).on_conflict_do_nothing(index_elements=["event_id"]).inline()',
            "sqlite.insert(schema.outbox).inline()",
        ),
        Edit(
            "ledger/moves.py",
            'postgresql.insert(schema.outbox).on_conflict_do_nothing(index_elements=["event_id"]).inline()',
            "postgresql.insert(schema.outbox).inline()",
        ),
    ),
    _dropped(
        "refunded_unbounded",
        "M14",
        "`CHECK (refunded <= amount)`",
        (
            '    CheckConstraint("refunded_minor >= 0 AND refunded_minor <= amount_minor", name="refunded_within"),\n',
            "",
        ),
        "        sa.CheckConstraint(\n"
        '            "refunded_minor >= 0 AND refunded_minor <= amount_minor", name=op.f("ck_payment_refunded_within")\n'
        "        ),\n",
        beyond="the UPDATE that counts a refund has the bound in its own condition: the schema is the wall behind it",
    ),
    _dropped(
        "amount_of_nothing",
        "M12",
        "no payment of nothing, or of less",
        ('    CheckConstraint("amount_minor > 0", name="amount_above_zero"),\n', ""),
        '        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_amount_above_zero")),\n',
        beyond="a job's own rules refuse such an amount at the door: the schema is the wall behind them",
    ),
    _dropped(
        "two_installations",
        "restore",
        "a ledger is one installation's",
        ('    CheckConstraint("id = 1", name="single"),\n', ""),
        '        sa.CheckConstraint("id = 1", name=op.f("ck_installation_single")),\n',
        beyond="nobody writes a second one: the schema is the wall behind the code",
    ),
    _dropped(
        "two_recoveries_open",
        "restore",
        "one recovery is open at most",
        ('    Column("is_open", Integer, unique=True),\n', '    Column("is_open", Integer),\n'),
        '        sa.UniqueConstraint("is_open", name=op.f("uq_recovery_is_open")),\n',
        test="tests/ledger/test_schema.py::test_the_schema_refuses_a_second_open_recovery_and_takes_those_that_are_over",
        beyond="whoever begins one holds the installation's lock and ends the one before: the schema is the wall behind it",
    ),
)
