"""Who stands on a number's screen, and who is never asked: questions and marks about `open_prompt` and `opt_out`. Decides nothing.

Rows are written in the order of account and number, so that two workers never wait for each other in a circle.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from momo_worker.ledger import schema
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.many import Many
from momo_worker.ledger.prompt_schema import open_prompt, opt_out
from momo_worker.payment.payment import Lane, Operation
from momo_worker.payment.transitions import State

#: An account and a phone number.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The collection that a number's screen is given to, and until when."""

    payment_id: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class OptOut:
    """A person who is never asked; account '' stands for every account."""

    account: str
    msisdn: str
    reason: str
    actor: str
    at_ms: int


_numbers: BindParameter[Any] = bindparam("numbers", expanding=True)
_ROW = ("account", "msisdn", "payment_id", "until_ms", "now")


def _taking(dialect: Any) -> Many:
    """Inserts a row, or takes over one that is the payment's own or has lapsed; another's is left as it is."""
    values: dict[str, Any] = {name: bindparam(name) for name in _ROW if name != "now"}
    made = dialect.insert(open_prompt).values(values)
    statement = made.on_conflict_do_update(
        index_elements=["account", "msisdn"],
        set_={name: made.excluded[name] for name in ("payment_id", "until_ms")},
        where=or_(open_prompt.c.payment_id == made.excluded.payment_id, open_prompt.c.until_ms <= bindparam("now")),
    )
    return Many(statement.inline())


_take = {"sqlite": _taking(sqlite), "postgresql": _taking(postgresql)}
_free = Many(
    delete(open_prompt).where(
        open_prompt.c.account == bindparam("account"),
        open_prompt.c.msisdn == bindparam("msisdn"),
        open_prompt.c.payment_id == bindparam("payment_id"),
    )
)
_on_numbers = select(open_prompt).where(
    open_prompt.c.account == bindparam("account"), open_prompt.c.msisdn.in_(_numbers)
)
# A few of each number's payments: the index leads to them by account and number.
_tills_that_ask = (
    select(schema.payment.c.msisdn)
    .distinct()
    .where(
        schema.payment.c.account == bindparam("account"),
        schema.payment.c.msisdn.in_(_numbers),
        schema.payment.c.operation == Operation.COLLECT.value,
        schema.payment.c.lane == Lane.INTERACTIVE.value,
        schema.payment.c.state == State.ACCEPTED.value,
        schema.payment.c.due_at_ms.is_not(None),
        schema.payment.c.not_after_ms > bindparam("now"),
        or_(schema.payment.c.due_at_ms <= bindparam("now"), schema.payment.c.reason_code == bindparam("waits")),
    )
)
_opt_outs = select(opt_out).where(opt_out.c.msisdn.in_(_numbers))


def open_on(tx: Tx, places: Iterable[Place]) -> dict[Place, Prompt]:
    """The rows of these numbers, also those that have lapsed."""
    found: dict[Place, Prompt] = {}
    for account, numbers in _by_account(places).items():
        for row in tx.conn.execute(_on_numbers, {"account": account, "numbers": numbers}):
            found[row.account, row.msisdn] = Prompt(row.payment_id, row.until_ms)
    return found


def take(tx: Tx, wanted: Mapping[Place, Prompt]) -> dict[Place, Prompt]:
    """Take these numbers where they are free, in one order; gives who has each now, which may be somebody else."""
    rows = [
        {"account": account, "msisdn": msisdn, "payment_id": one.payment_id, "until_ms": one.until_ms, "now": tx.now_ms}
        for (account, msisdn), one in sorted(wanted.items())
    ]
    if _take[tx.dialect].run(tx, rows) == len(rows):
        return dict(wanted)
    return open_on(tx, wanted)


def free(tx: Tx, payments: Iterable[tuple[Place, str]]) -> None:
    """Free the numbers that these payments have, in one order; another payment's row is never touched."""
    rows = [
        {"account": account, "msisdn": msisdn, "payment_id": payment_id}
        for (account, msisdn), payment_id in sorted(set(payments))
    ]
    _free.run(tx, rows)


def awaited_by_tills(tx: Tx, places: Iterable[Place], *, waits: str) -> set[Place]:
    """Numbers that a customer at the till is about to be asked on: a collection is due, or waits for the number (reason `waits`)."""
    found: set[Place] = set()
    for account, numbers in _by_account(places).items():
        values = {"account": account, "numbers": numbers, "now": tx.now_ms, "waits": waits}
        found |= {(account, row[0]) for row in tx.conn.execute(_tills_that_ask, values)}
    return found


def opted_out(tx: Tx, places: Iterable[Place]) -> dict[Place, OptOut]:
    """Which of these numbers are never asked, by this account or by any."""
    wanted = set(places)
    if not wanted:
        return {}
    rows = tx.conn.execute(_opt_outs, {"numbers": sorted({msisdn for _, msisdn in wanted})}).all()
    known = {(row.account, row.msisdn): _opt_out_from(row) for row in rows}
    found = {place: known.get(place) or known.get(("", place[1])) for place in wanted}
    return {place: one for place, one in found.items() if one is not None}


def add_opt_out(tx: Tx, one: OptOut) -> bool:
    """Never ask this number again; False where that was known."""
    dialect_insert = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
    values = {
        "account": one.account,
        "msisdn": one.msisdn,
        "reason": one.reason,
        "actor": one.actor,
        "at_ms": one.at_ms,
    }
    statement = dialect_insert(opt_out).values(values).on_conflict_do_nothing().returning(opt_out.c.msisdn)
    return tx.conn.execute(statement).first() is not None


def remove_opt_out(tx: Tx, account: str, msisdn: str) -> bool:
    """Ask this number again; False where it hadn't opted out with exactly this scope."""
    statement = delete(opt_out).where(opt_out.c.msisdn == msisdn, opt_out.c.account == account)
    return tx.conn.execute(statement).rowcount == 1


def opt_outs(tx: Tx, *, account: str | None = None) -> list[OptOut]:
    """Who is never asked, the last first; of one account with those that hold for all."""
    statement: Select[Any] = select(opt_out).order_by(opt_out.c.at_ms.desc(), opt_out.c.msisdn, opt_out.c.account)
    if account is not None:
        statement = statement.where(opt_out.c.account.in_(("", account)))
    return [_opt_out_from(row) for row in tx.conn.execute(statement)]


def _opt_out_from(row: Any) -> OptOut:
    return OptOut(row.account, row.msisdn, row.reason, row.actor, row.at_ms)


def _by_account(places: Iterable[Place]) -> dict[str, Sequence[str]]:
    found: dict[str, set[str]] = {}
    for account, msisdn in places:
        found.setdefault(account, set()).add(msisdn)
    return {account: sorted(numbers) for account, numbers in sorted(found.items())}
