"""A payment asked for by a person: fields come in, the same intake as every other door's takes them, what became of it goes out.

Sends nothing itself: what is accepted is handed to the workers, and stays due in the ledger when they can't be reached.
"""

import json
import sys
import uuid
from collections.abc import Mapping
from typing import Any

from kombu.exceptions import OperationalError as BrokerError

from momo_worker.cli.deeds.following import ended_well, final_or_held, follow, held_back_by
from momo_worker.cli.deeds.office import Office, office_of
from momo_worker.cli.deeds.reading import account_with, ledger_of, quiet_settings
from momo_worker.cli.deeds.showing import payment_facts, payment_lines
from momo_worker.cli.saying import DONE, NO, AnswerIsNo, WrongUse, say, say_json
from momo_worker.clock import SystemClock
from momo_worker.commons.message import Message
from momo_worker.ledger import intake as taken_jobs
from momo_worker.ledger import moves, views
from momo_worker.ledger.engine import Ledger
from momo_worker.payment.job import JobError, account_of, parse_fields
from momo_worker.payment.payment import PRODUCT_OF, Operation, Payment, Work
from momo_worker.redis_client import connect
from momo_worker.settings import Settings
from momo_worker.steps.intake import Entry, Taken, take_in
from momo_worker.streams import JOBS
from momo_worker.wiring import hand_over

_WHY_A_KEY = (
    "--key is missing: give each payment a name of your own (an invoice number, salary-2026-11-0042). No door draws one: whoever "
    "types this command a second time, unsure whether the first went through, must get the same payment and not a second one"
)


def pay(operation: str, fields: Mapping[str, str], *, wait_seconds: float, as_json: bool) -> int:
    """Take the job in and say what became of it."""
    if "idempotency_key" not in fields:
        raise WrongUse(_WHY_A_KEY)
    payload = _payload(operation, fields)
    # A rejection is printed; its log line would say the same in JSON above it.
    settings = quiet_settings("ERROR")
    account_with(settings, fields["account"], PRODUCT_OF[Operation(operation)])
    with office_of(settings) as office:
        entry = Entry(f"command_line:{uuid.uuid4()}", payload, "command_line")
        taken = take_in(office.house.parts, [entry])
        away = office.redis_away or _hand_over(office, taken)
        ledger = office.house.parts.ledger
        payment = _taken(ledger, entry, taken)
        _tell(payment, taken, away, as_json=as_json and not wait_seconds, quiet=as_json)
        if not wait_seconds:
            return DONE
        return _wait(ledger, payment.id, wait_seconds, as_json=as_json)


def _payload(operation: str, fields: Mapping[str, str]) -> bytes:
    """The job as a producer would write it; metadata stays as it was typed, digit for digit."""
    metadata = fields.get("metadata")
    text = json.dumps({"operation": operation, **{name: value for name, value in fields.items() if name != "metadata"}})
    if metadata is None:
        return text.encode()
    try:
        json.loads(metadata)
    except ValueError as error:
        raise WrongUse(f'--metadata is no JSON ({error}); write it like \'{{"employee": "0042"}}\'') from None
    return f'{text[:-1]}, "metadata": {metadata}}}'.encode()


def _hand_over(office: Office, taken: Taken) -> str | None:
    """Wake the workers; a payment that nobody is woken for is found by the pump."""
    if not taken.released:
        return None
    try:
        hand_over(office.house.celery, Message(Work.SEND, interactive=True, ids=taken.released))
    except (BrokerError, OSError) as error:
        return str(error)
    return None


def _taken(ledger: Ledger, entry: Entry, taken: Taken) -> Payment:
    """The payment; raises with every problem when there is none."""
    with ledger.read() as tx:
        if taken.rejected:
            raise rejected(json.loads(views.rejection(tx, entry.source) or "[]"))
        if taken.waiting:
            why = taken_jobs.waits_for(tx, entry.source) or "it waits"
            raise AnswerIsNo(
                f"the job is kept and waits: {why}; the pump tries it again, and its answer comes on momo:results"
            )
        ids = [*taken.accepted, *taken.repeated]
        return moves.read(tx, ids)[ids[0]]


def rejected(errors: list[dict[str, Any]]) -> AnswerIsNo:
    """A rejection as a person reads it: each problem with field, value, reason and what to do."""
    lines = [
        f"  {error['field']}{' ' + repr(error['value']) if error.get('value') else ''} {error['reason']}: {error['advice']}"
        for error in errors
    ]
    first = next((error for error in errors if error.get("payment_id")), None)
    if first:
        lines.append(f"  the first payment under this key is {first['payment_id']}, and it is {first['state']}")
    return AnswerIsNo("\n".join(["the job was rejected, and nothing will be paid for it:", *lines]), {"errors": errors})


def _tell(payment: Payment, taken: Taken, away: str | None, *, as_json: bool, quiet: bool) -> None:
    repeated = bool(taken.repeated)
    note = None
    if away:
        note = "Redis is away: the payment is accepted and will go out when it is back"
    if as_json:
        say_json({**payment_facts(payment), "repeated": repeated, "note": note})
    if quiet:
        return
    say("The same payment as before:" if repeated else "Accepted:")
    for line in payment_lines(payment):
        say(line)
    if note:
        say(f"{note} ({away})")


def _wait(ledger: Ledger, payment_id: str, seconds: float, *, as_json: bool) -> int:
    payment = follow(ledger, payment_id, seconds, speak=not as_json)
    done = final_or_held(payment)
    why = None if done else held_back_by(ledger, payment)
    if as_json:
        say_json({**payment_facts(payment), "waited_in_vain": not done, "held_back_by": why})
    elif not done:
        say(
            f"It is still {payment.state.value} after {seconds:g} s and goes on without you: momo payment show {payment.id}"
        )
        say(f"  {why or 'do a pump and a worker run? `momo doctor` looks'}")
    return DONE if ended_well(payment) else NO


def enqueue(job: str, *, wait_seconds: float, as_json: bool) -> int:
    """XADD the job as it is; with a wait, tell what the intake made of it."""
    payload = sys.stdin.buffer.read() if job == "-" else job.encode("utf-8", "surrogateescape")
    settings = quiet_settings()
    client = connect(settings.redis_address)
    try:
        added: Any = client.xadd(JOBS, {"job": payload})
    finally:
        client.close()
    source = f"{JOBS}/{added.decode()}"
    if not as_json:
        say(
            f"Enqueued as {source}. That is no acceptance: momo.payment.accepted or momo.job.rejected on momo:results is."
        )
    if wait_seconds:
        return _wait_for_entry(settings, source, payload, wait_seconds, as_json=as_json)
    if as_json:
        say_json({"source": source})
    return DONE


def _wait_for_entry(settings: Settings, source: str, payload: bytes, seconds: float, *, as_json: bool) -> int:
    clock = SystemClock()
    give_up_at = clock.elapsed() + seconds
    with ledger_of(settings) as ledger:
        while clock.elapsed() < give_up_at:
            found = _became(ledger, source, payload)
            if found is not None:
                return _wait(ledger, found, max(1.0, give_up_at - clock.elapsed()), as_json=as_json)
            clock.sleep(0.1)
    raise AnswerIsNo(
        f"{source} wasn't taken in within {seconds:g} s; it is kept and will be: {_why_not_yet(settings, payload)}",
        {"source": source},
    )


def _why_not_yet(settings: Settings, payload: bytes) -> str:
    """An account that may be configured in a moment is waited for; else it is the pump that is missed."""
    try:
        name = account_of(parse_fields(payload))
    except JobError:
        name = "default"
    if name in settings.accounts:
        return "does a pump run (`momo doctor`)?"
    return (
        f"there is no account {name} here (there are: {', '.join(settings.accounts)}), and after an hour it is rejected"
    )


def _became(ledger: Ledger, source: str, payload: bytes) -> str | None:
    """The payment id of an entry, None while nobody has looked at it; raises when it was rejected."""
    with ledger.read() as tx:
        errors = views.rejection(tx, source)
        if errors is not None:
            raise rejected(json.loads(errors))
        try:
            fields = parse_fields(payload)
            account, key = account_of(fields), fields.get("idempotency_key")
        except JobError:
            return None
        found = taken_jobs.by_key(tx, account, [str(key)]).get(str(key))
    return found.id if found else None
