"""`momo schedule settle` and `arrears`: who has paid by other means comes in; what is still owed goes out, as a table, a CSV or JSON."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rich.table import Table

from momo_worker.cli.deeds.office import office_of
from momo_worker.cli.deeds.reading import account_with, actor, ledger_of, quiet_settings
from momo_worker.cli.deeds.showing import moment, wide_console
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import schedules
from momo_worker.ledger.engine import Ledger, Tx
from momo_worker.ledger.schedule_dues import Due
from momo_worker.ledger.schedules import Schedule
from momo_worker.mtn.reasons import CODES, explain
from momo_worker.payment.money import AmountError, Currency, format_amount, parse_amount
from momo_worker.payment.payment import Product
from momo_worker.runs.whole_file import FileIsThereError, NotWrittenError, beside, put, refuse_what_is_there
from momo_worker.schedules.arrears import Sum, arrears, facts, write_csv
from momo_worker.schedules.settling import AfterSettling, NotSettledError, Settling
from momo_worker.schedules.settling import settle as settle_it


@dataclass(frozen=True, slots=True)
class Said:
    """What stands on the command line of `settle`."""

    name: str
    payer: str
    period: str
    amount: str | None
    reason: str
    account: str
    by: str


def settle(said: Said, *, as_json: bool) -> None:
    """Count what a payer has paid by other means, so that nobody asks for it again."""
    for option, value, example in (
        ("--payer", said.payer, "the payer's id"),
        ("--period", said.period, "2026-12"),
        ("--reason", said.reason, "paid in cash, receipt 118"),
    ):
        if not value.strip():
            raise WrongUse(f"{option} is missing: {example}")
    settings = quiet_settings()
    account_with(settings, said.account, Product.COLLECTION)
    with office_of(settings) as office:
        parts = office.house.parts
        with parts.ledger.read() as tx:
            schedule = _named(tx, said.account, said.name)
        amount_minor = None if said.amount is None else _amount(said.amount, schedule)
        wish = Settling(said.account, said.name, said.period, said.payer, amount_minor, said.reason, actor(said.by))
        try:
            after = settle_it(parts, wish)
        except NotSettledError as error:
            raise AnswerIsNo(str(error)) from None
    _tell(after, as_json=as_json)


def _named(tx: Tx, account: str, name: str) -> Schedule:
    found = schedules.named(tx, account, name)
    if found is None:
        raise AnswerIsNo(f"account {account} has no schedule {name}; `momo schedule list` names those there are")
    return found


def _amount(text: str, schedule: Schedule) -> int:
    try:
        return parse_amount(text, Currency(schedule.currency, schedule.exponent))
    except AmountError as error:
        raise WrongUse(f"--amount {text!r} {error.reason}; {error.advice}") from None


def _tell(after: AfterSettling, *, as_json: bool) -> None:
    schedule, due = after.schedule, after.due
    if as_json:
        paid = format_amount(after.amount_minor, schedule.exponent)
        say_json({**facts(due, schedule, full=False), "paid": paid, "prompt_is_open": after.prompt_is_open})
        return
    paid = f"{format_amount(after.amount_minor, schedule.exponent)} {schedule.currency}"
    left = f"{format_amount(due.outstanding_minor, schedule.exponent)} {schedule.currency}"
    say(f"{due.payer_id} has paid {paid} for {due.period} by other means; {left} is still owed.")
    if after.prompt_is_open:
        say(
            "MTN may be asking the payer in this moment: that is left to end. If it is paid as well, "
            "momo.schedule.overpaid tells it with the refund ready to send."
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What stands on the command line of `arrears`."""

    name: str
    period: str | None
    payer: str | None
    account: str
    csv: str | None
    everybody: bool
    full: bool
    rows: int


def show_arrears(look: Look, *, force: bool, as_json: bool) -> None:
    """Tell what was due, collected, settled and is outstanding, by period and payer."""
    with ledger_of(quiet_settings()) as ledger:
        with ledger.read() as tx:
            found = _named(tx, look.account, look.name)
        if look.csv:
            _as_csv(ledger, found, look, force=force)
        sums = _sums(ledger, found, look)
        if as_json:
            lines = arrears(ledger, found, period=look.period, payer_id=look.payer)
            wanted = (due for due in lines if look.everybody or due.outstanding_minor)
            say_json(
                {
                    "schedule_id": found.id,
                    "name": found.name,
                    "periods": [{"period": period, **_money(sums[period], found)} for period in sorted(sums)],
                    "payers": [facts(due, found, full=look.full) for due in wanted],
                }
            )
            return
        _as_table(ledger, found, look, sums)


def _sums(ledger: Ledger, schedule: Schedule, look: Look) -> dict[str, Sum]:
    sums: dict[str, Sum] = {}
    for due in arrears(ledger, schedule, period=look.period, payer_id=look.payer):
        sums.setdefault(due.period, Sum()).count(due)
    return sums


def _money(total: Sum, schedule: Schedule) -> dict[str, Any]:
    money = {
        "due": total.due_minor,
        "collected": total.collected_minor,
        "settled": total.settled_minor,
        "outstanding": total.outstanding_minor,
        "overpaid": total.overpaid_minor,
    }
    told = {name: format_amount(minor, schedule.exponent) for name, minor in money.items()}
    return {"payers": total.payers, "owing": total.owing, **told, "currency": schedule.currency}


def _as_csv(ledger: Ledger, schedule: Schedule, look: Look, *, force: bool) -> None:
    path = Path(look.csv or "")
    lines = arrears(ledger, schedule, period=look.period, payer_id=look.payer)
    try:
        refuse_what_is_there(path, force=force)
        with beside(path) as made:
            with made.open("w", encoding="utf-8-sig", newline="") as out:
                write_csv(out, lines, schedule, full=look.full, all_of_them=look.everybody)
            put(made, path, force=force)
    except (FileIsThereError, NotWrittenError) as error:
        raise AnswerIsNo(str(error)) from None


def _as_table(ledger: Ledger, schedule: Schedule, look: Look, sums: dict[str, Sum]) -> None:
    if not sums:
        say(
            f"{schedule.name} has asked nobody yet{_narrower(look)}; `momo schedule preview {schedule.name}` shows when it will."
        )
        if look.csv:
            say(f"{look.csv} was written with its header alone.")
        return
    table = Table("period", "payers", "owing", "due", "collected", "settled", "outstanding", "overpaid", box=None)
    for period in sorted(sums):
        money = _money(sums[period], schedule)
        table.add_row(period, *(str(money[name]) for name in _MONEY_COLUMNS))
    wide_console().print(table)
    lines = arrears(ledger, schedule, period=look.period, payer_id=look.payer)
    wanted = (due for due in lines if look.everybody or due.outstanding_minor)
    _payers(list(islice(wanted, look.rows + 1)), schedule, look)
    if look.csv:
        say(f"Every payer is in {look.csv}.")


_MONEY_COLUMNS = ("payers", "owing", "due", "collected", "settled", "outstanding", "overpaid")
_PAYER_COLUMNS = ("period", "payer_id", "name", "number", "due", "collected", "settled", "outstanding", "state", "why")


def _payers(shown: list[Due], schedule: Schedule, look: Look) -> None:
    if not shown or not look.rows:
        return
    table = Table(*_PAYER_COLUMNS, box=None)
    for due in shown[: look.rows]:
        cells = {**facts(due, schedule, full=look.full), "why": _why(due)}
        table.add_row(*("" if cells[name] is None else str(cells[name]) for name in _PAYER_COLUMNS))
    wide_console().print(table)
    if len(shown) > look.rows:
        say(f"The first {look.rows:,}; --rows shows more, --csv FILE writes all.")


def _why(due: Due) -> str:
    """MTN's code in words, and when the payer is asked again."""
    why = explain(due.why).message if due.why in CODES else due.why
    return why if due.again_at_ms is None else f"{why}; asked again at {moment(due.again_at_ms)}"


def _narrower(look: Look) -> str:
    wanted = [f"{name} {value}" for name, value in (("period", look.period), ("payer", look.payer)) if value]
    return f" of {' and '.join(wanted)}" if wanted else ""
