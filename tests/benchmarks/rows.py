"""A ledger and a count come in, so many pending payments stand in it, due in hours; the database writes them itself, and nothing is sent.

The rows are what intake, submission and MTN's first answer leave behind of a payment: its row and its attempt. Ids and references
are scattered as real ones are, so that their indexes are as wide as real ones.
"""

from typing import Any

from sqlalchemy import Connection, text

from momo_worker.clock import SystemClock
from momo_worker.ledger import schema
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.rows import payment_values
from momo_worker.payment.payment import Lane, Operation, Payment, Product, Queue, Work
from momo_worker.payment.transitions import State

ACCOUNT = "default"
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_PIECE = 50_000
#: An odd factor under a power of two meets every number once.
_SCATTER, _SCATTER_OVER = 2_654_435_761, 2**32
_HEX = {
    "sqlite": "printf('%08x-{mark}-4000-8000-%012x', n * {factor} % {over}, n)",
    "postgresql": "lpad(to_hex(n * {factor} % {over}), 8, '0') || '-{mark}-4000-8000-' || lpad(to_hex(n), 12, '0')",
}
_TEXT = {"sqlite": "printf('{0}%07d', n)", "postgresql": "'{0}' || lpad(n::text, 7, '0')"}
_BYTES = {"sqlite": "CAST({0} AS BLOB)", "postgresql": "convert_to({0}, 'UTF8')"}
_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last) ",
    "postgresql": "WITH numbers(n) AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint))) ",
}


def fill(url: str, first: int, count: int, *, base_url: str, api_user: str) -> None:
    """Add pending payments number `first` and following, due in the day after the next hour, and let the database count them.

    Over connections of its own, since they are set for loading and not for work.
    """
    clock = SystemClock()
    ledger = Ledger(url, clock, pool_size=1)
    try:
        _load(ledger, clock.now_ms(), range(first, first + count), base_url, api_user)
        _settle(ledger)
    finally:
        ledger.close()


def _load(ledger: Ledger, now_ms: int, numbers: range, base_url: str, api_user: str) -> None:
    statements = (
        _insert(ledger.dialect, "payment", _payment_row(ledger.dialect, now_ms)),
        _insert(ledger.dialect, "attempt", _attempt_row(ledger.dialect, now_ms, base_url, api_user)),
    )
    # A million rows go in many times as fast under fewer indexes, which are then built whole, as they are in the schema.
    indexes = sorted(schema.payment.indexes, key=lambda index: str(index.name)) if len(numbers) > _PIECE else []
    with ledger.write() as tx:
        for index in indexes:
            index.drop(tx.conn)
    for start in range(numbers.start, numbers.stop, _PIECE):
        piece = {"first": start, "last": min(start + _PIECE, numbers.stop) - 1}
        with ledger.write() as tx:
            _roomy(tx.conn)
            for statement, values in statements:
                tx.conn.execute(text(statement), {**values, **piece})
    for index in indexes:
        with ledger.write() as tx:
            _roomy(tx.conn)
            index.create(tx.conn)


def _roomy(conn: Connection) -> None:
    words = (
        "SET LOCAL maintenance_work_mem = '512MB'" if conn.dialect.name == "postgresql" else "PRAGMA cache_size=-500000"
    )
    conn.exec_driver_sql(words)


def _settle(ledger: Ledger) -> None:
    """What a quiet hour would have done by then: statistics, and what is in the log written to its place."""
    own = {
        "postgresql": ("SET statement_timeout = 0", "VACUUM ANALYZE", "CHECKPOINT"),
        "sqlite": ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"),
    }
    # Below SQLAlchemy, whose connections begin a transaction that none of these may run in.
    below: Any = ledger.engine.raw_connection()
    try:
        if ledger.dialect == "postgresql":
            below.driver_connection.autocommit = True
        for words in own[ledger.dialect]:
            below.driver_connection.execute(words)
    finally:
        below.invalidate()


def name_of(number: int) -> str:
    """The id of the pending payment of this number."""
    return f"{number * _SCATTER % _SCATTER_OVER:08x}-00be-4000-8000-{number:012x}"


def _insert(dialect: str, table: str, row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """One statement that inserts a row for each number; what is in round brackets here is an expression of it."""
    values = {name: value for name, value in row.items() if not isinstance(value, _Sql)}
    shown = [value.text if isinstance(value, _Sql) else f":{name}" for name, value in row.items()]
    head = f"INSERT INTO {table} ({', '.join(row)}) "
    body = f"SELECT {', '.join(shown)} FROM numbers"
    return (_NUMBERS[dialect] + head + body if dialect == "sqlite" else head + _NUMBERS[dialect] + body), values


class _Sql:
    """An expression of the row's number `n`, instead of a value."""

    def __init__(self, text_: str) -> None:
        # A colon in SQL text would be a parameter.
        self.text = text_.replace("::", r"\:\:")


def _name(dialect: str, mark: str) -> str:
    return _HEX[dialect].format(mark=mark, factor=_SCATTER, over=_SCATTER_OVER)


def _payment_row(dialect: str, now_ms: int) -> dict[str, Any]:
    scattered = f"n * {_SCATTER} % {_SCATTER_OVER}"
    own = {
        "id": _Sql(_name(dialect, "00be")),
        "external_id": _Sql(_name(dialect, "00be")),
        "reference_id": _Sql(_name(dialect, "00af")),
        "idempotency_key": _Sql(_TEXT[dialect].format("waiting-")),
        "msisdn": _Sql(_TEXT[dialect].format("25678")),
        "source": _Sql(_TEXT[dialect].format("bench/")),
        "amount_minor": _Sql(f"1000 + {scattered} % 900000"),
        "due_at_ms": _Sql(f"{now_ms + _HOUR_MS} + {scattered} % {_DAY_MS}"),
    }
    return {**payment_values(_pattern(now_ms)), **own}


def _attempt_row(dialect: str, now_ms: int, base_url: str, api_user: str) -> dict[str, Any]:
    body = '{"amount"\\:"150000","currency"\\:"UGX","payee"\\:{"partyIdType"\\:"MSISDN","partyId"\\:"256772123456"}}'
    return {
        "payment_id": _Sql(_name(dialect, "00be")),
        "number": 1,
        "reference_id": _Sql(_name(dialect, "00af")),
        "product": Product.DISBURSEMENT.value,
        "path": "/disbursement/v1_0/transfer",
        "body": _Sql(_BYTES[dialect].format(f"'{body}'")),
        "callback_url": None,
        "api_user": api_user,
        "target_environment": "mtnuganda",
        "base_url": base_url,
        "created_at_ms": now_ms - _HOUR_MS,
    }


def _pattern(now_ms: int) -> Payment:
    accepted_at_ms = now_ms - _HOUR_MS
    return Payment(
        id="",
        account=ACCOUNT,
        idempotency_key="",
        operation=Operation.DISBURSE,
        product=Product.DISBURSEMENT,
        lane=Lane.BULK,
        amount_minor=1,
        currency="UGX",
        exponent=0,
        msisdn="",
        external_id="",
        payer_message="Salary November",
        payee_note="Salary November",
        metadata=None,
        body_digest="b" * 64,
        refund_of=None,
        replaces=None,
        environment="mtnuganda",
        source="",
        accepted_at_ms=accepted_at_ms,
        not_before_ms=None,
        not_after_ms=now_ms + 7 * _DAY_MS,
        state=State.PENDING,
        state_since_ms=accepted_at_ms,
        sequence=2,
        work=Work.LOOK,
        queue=Queue.BULK,
        fence=1,
        sends=1,
        looks=3,
        first_send_at_ms=accepted_at_ms,
        could_have_left_at_ms=accepted_at_ms,
        acknowledged_at_ms=accepted_at_ms,
    )
