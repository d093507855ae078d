"""Payments as the ledger has them: names come in, lists and whole stories go out; a cancellation is decided by the step, not here."""

from collections.abc import Sequence
from typing import Any

from rich.table import Column, Table

from momo_worker.cli.deeds.reading import ledger_of, quiet_settings, simulator_hint
from momo_worker.cli.deeds.showing import moment, payment_facts, payment_lines, wide_console
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import desk, prompts, views
from momo_worker.ledger.engine import Ledger, Tx
from momo_worker.ledger.prompts import Prompt
from momo_worker.payment.money import format_amount
from momo_worker.payment.msisdn import masked
from momo_worker.payment.payment import Operation, Payment, Work
from momo_worker.payment.transitions import State
from momo_worker.settings import Settings

_COLUMNS = ("state", "attempt", "operation", "amount", "number", "key", "payment", "since")
_NOT_SHOWN = frozenset({"payment_id", "body", "callback_url", "late_due_at_ms", "late_looks"})


def listing(*, states: Sequence[str], account: str | None, limit: int, full: bool, as_json: bool) -> None:
    """The payments that moved last."""
    wrong = [state for state in states if state not in set(State)]
    if wrong:
        raise WrongUse(f"{wrong[0]!r} is no state; use one of {', '.join(State)}")
    settings = quiet_settings()
    with ledger_of(settings) as ledger, ledger.read() as tx:
        found = views.listed(tx, states=states, account=account, limit=limit)
        contradicted = desk.contradicted_among(tx, [payment.id for payment in found])
    if as_json:
        say_json(
            [{**payment_facts(payment, full=full), "contradicted": payment.id in contradicted} for payment in found]
        )
        return
    if not found:
        say("No payments.")
        return
    table = Table(*(Column(name, no_wrap=True) for name in _COLUMNS), box=None)
    for payment in found:
        why = payment.held_cause.value if payment.held_cause else payment.reason_code
        table.add_row(
            f"{payment.state.value}{f' ({why})' if why else ''}{' CONTRADICTED' if payment.id in contradicted else ''}",
            str(payment.attempt),
            payment.operation.value,
            f"{format_amount(payment.amount_minor, payment.exponent)} {payment.currency}",
            (payment.msisdn or "-") if full else masked(payment.msisdn),
            payment.idempotency_key,
            payment.id,
            moment(payment.state_since_ms),
        )
    wide_console().print(table)


def show(name: str, *, account: str | None, full: bool, as_json: bool) -> None:
    """The whole story of one payment."""
    settings = quiet_settings()
    with ledger_of(settings) as ledger:
        payment = one_payment(ledger, settings, name, account)
        with ledger.read() as tx:
            story = views.story(tx, payment)
            in_the_way = _in_the_way(tx, payment)
    if as_json:
        say_json({**_story_facts(story, full=full), "waits_for": _prompt_facts(in_the_way)})
        return
    for line in [*payment_lines(story.payment, full=full), *_where_it_waits(story.payment, in_the_way)]:
        say(line)
    for line in _story_lines(story):
        say(line)


def one_payment(ledger: Ledger, settings: Settings, name: str, account: str | None) -> Payment:
    with ledger.read() as tx:
        found = views.find(tx, name, account)
    if not found:
        raise AnswerIsNo(
            f"no payment is named {name} in the ledger at {ledger.where}{simulator_hint(settings)}; a payment id, key, reference, "
            "external id or MTN's id names one, and a rejected job is none"
        )
    if len(found) > 1:
        ids = ", ".join(f"{payment.id} ({payment.account}, key {payment.idempotency_key})" for payment in found[:10])
        raise AnswerIsNo(
            f"{len(found)} payments are named {name}; give one of their ids, or --account: {ids}",
            {"payments": [payment_facts(payment) for payment in found]},
        )
    return found[0]


def _in_the_way(tx: Tx, payment: Payment) -> Prompt | None:
    """The collection whose prompt stands on the number that this one is to be sent to."""
    if payment.operation is not Operation.COLLECT or payment.work is not Work.SEND or payment.msisdn is None:
        return None
    place = (payment.account, payment.msisdn)
    there = prompts.open_on(tx, [place]).get(place)
    return there if there and there.payment_id != payment.id and there.until_ms > tx.now_ms else None


def _prompt_facts(there: Prompt | None) -> dict[str, Any] | None:
    return {"payment_id": there.payment_id, "until": moment(there.until_ms)} if there else None


def _where_it_waits(payment: Payment, in_the_way: Prompt | None) -> list[str]:
    if payment.due_at_ms is None or payment.work is None:
        return []
    what = "to be sent" if payment.work.value == "send" else "to be looked up at MTN"
    lines = [f"  due        {what} from {moment(payment.due_at_ms)}"]
    if in_the_way is not None:
        until = moment(in_the_way.until_ms)
        lines.append(
            f"  waits for  payment {in_the_way.payment_id}, which is open on this number, until {until} at the latest"
        )
    return lines


def _story_lines(story: views.Story) -> list[str]:
    lines = [f"  CONTRADICTED by MTN: {said}" for said in story.contradictions]
    if story.payment.replaces or story.replaced_by:
        names = (("replaces", story.payment.replaces), ("replaced by", story.replaced_by))
        lines += [f"  {word} payment {name}" for word, name in names if name]
    lines += [
        f"  attempt {row['number']}: reference {row['reference_id']}, {row['product']} {row['path']} as API user {row['api_user']} "
        f"at {row['base_url']}, {moment(row['created_at_ms'])}"
        for row in story.attempts
    ]
    lines += [
        f"  send {row['attempt']}.{row['number']}: {moment(row['began_at_ms'])} to {moment(row['ended_at_ms']) or '?'}: "
        f"{row['ending'] or 'no ending yet'}{_detail(row['http_status'], row['code'])}"
        for row in story.sends
    ]
    lines += [_transition_line(row) for row in story.transitions]
    lines += [
        f"  {moment(row['at_ms'])}  decided by {row['actor']}: {row['action']} ({row['reason']})"
        for row in story.decisions
    ]
    return lines


def _transition_line(row: dict[str, Any]) -> str:
    by = f" by {row['actor']}" if row["actor"] else ""
    return f"  {moment(row['at_ms'])}  {row['before'] or '·'} → {row['after']}  {row['trigger']}{by}{_detail(row['detail'])}"


def _detail(*parts: object) -> str:
    told = " ".join(str(part) for part in parts if part)
    return f" ({told})" if told else ""


def _story_facts(story: views.Story, *, full: bool) -> dict[str, Any]:
    return {
        **payment_facts(story.payment, full=full),
        "attempts": [_row(row) for row in story.attempts],
        "sends": [_row(row) for row in story.sends],
        "transitions": [_row(row) for row in story.transitions],
        "decisions": [_row(row) for row in story.decisions],
        "contradictions": story.contradictions,
        "replaces": story.payment.replaces,
        "replaced_by": story.replaced_by,
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON: times as people read them; the request's body holds the number and stays in the ledger."""
    return {
        name.removesuffix("_ms"): moment(value) if name.endswith("at_ms") else value
        for name, value in row.items()
        if name not in _NOT_SHOWN
    }
