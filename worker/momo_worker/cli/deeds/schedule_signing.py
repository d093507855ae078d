"""`momo schedule approve`: a name and an approver come in, a signed mandate goes out, or why not."""

from momo_worker.approval.people import Role
from momo_worker.cli.deeds.approvers import counting, people_of
from momo_worker.cli.deeds.keys import opener
from momo_worker.cli.deeds.office import office_of
from momo_worker.cli.deeds.reading import account_with, quiet_settings
from momo_worker.cli.deeds.schedule_words import money, refused
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import schedule_desk, schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.money import AmountError, Currency, format_amount, parse_amount
from momo_worker.payment.payment import Product
from momo_worker.runs.amounts import plain_amount
from momo_worker.schedules.holding import named
from momo_worker.schedules.mandating import Mandated, NotMandatedError, sign_mandate
from momo_worker.schedules.refusals import NotChangedError


def approve(name: str, *, by: str, ceiling: str | None, account: str, file: str | None, as_json: bool) -> None:
    """Put an approver's name under a schedule."""
    settings = quiet_settings()
    person = counting(people_of(settings), by, Role.APPROVER)
    account_with(settings, account, Product.COLLECTION)
    with office_of(settings) as office:
        parts = office.house.parts
        with parts.ledger.read() as tx:
            schedule = _named(tx, account, name)
            _refuse_own_edits(tx, schedule, person.name)
        most = _ceiling(ceiling, schedule)
        key = opener(settings, by, file)
        try:
            done = sign_mandate(parts, account, schedule.name, person, key, ceiling_minor=most)
        except NotMandatedError as error:
            raise AnswerIsNo(f"{error}; nothing was signed") from None
        with parts.ledger.read() as tx:
            _, total_minor = schedules.count_payers(tx, schedule.id)
    _tell(done, total_minor, as_json=as_json)


def _named(tx: Tx, account: str, name: str) -> Schedule:
    try:
        return named(tx, account, name)
    except NotChangedError as error:
        raise refused(error) from None


def _refuse_own_edits(tx: Tx, schedule: Schedule, person: str) -> None:
    """Whoever has changed it since it was signed is one of its makers."""
    mandate = schedules.mandate_of(tx, schedule.id)
    since_ms = 0 if mandate is None else mandate.signed_at_ms
    for one in schedule_desk.decisions_about(tx, schedule.id, schedule.account):
        if (
            one.at_ms >= since_ms
            and one.action in ("schedule added", "schedule edited")
            and one.actor.lower() == person
        ):
            raise AnswerIsNo(
                f"{person} has changed the schedule {schedule.name}, and nobody approves their own: ask another approver"
            )


def _ceiling(text: str | None, schedule: Schedule) -> int | None:
    if text is None:
        return None
    currency = Currency(schedule.currency, schedule.exponent)
    try:
        return parse_amount(plain_amount(text, currency), currency)
    except AmountError as error:
        raise WrongUse(f"--ceiling is {text!r}, which {error.reason}; {error.advice}") from None


def _tell(done: Mandated, total_minor: int, *, as_json: bool) -> None:
    schedule, mandate = done.schedule, done.mandate
    if as_json:
        say_json(
            {
                "schedule_id": schedule.id,
                "name": schedule.name,
                "signed_by": mandate.name,
                "payers": mandate.payers,
                "ceiling": format_amount(mandate.ceiling_minor, schedule.exponent),
                "currency": schedule.currency,
                "root": mandate.root,
                "a_period_asks_for": format_amount(total_minor, schedule.exponent),
            }
        )
        return
    say(
        f"{mandate.name} has approved the schedule {schedule.name}: {mandate.payers:,} payers, "
        f"at most {money(schedule, mandate.ceiling_minor)} a period, from account {schedule.account}."
    )
    say(f"  root       {mandate.root}")
    if total_minor > mandate.ceiling_minor:
        say(
            f"A period asks for {money(schedule, total_minor)}, which is more: nobody is asked until the ceiling is raised."
        )
    say("It holds for every period. Other numbers, higher amounts and new payers wait for another signature.")
