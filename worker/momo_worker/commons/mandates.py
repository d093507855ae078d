"""Whether an ask of a schedule may be sent: the request that is about to be committed comes in, what the mandate says against it goes out. Writes nothing.

Held against what an approver signed: who is asked, for how much at most, and how much a period asks for in all.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from momo_worker.approval.mandates import Mandate, MandateAnswer, MandateTerms, PayerLeaf, covers, permits
from momo_worker.commons.objection import Answer, Objection
from momo_worker.commons.parts import Parts
from momo_worker.ledger import schedule_dues, schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.runs import Run
from momo_worker.ledger.schedule_dues import Due
from momo_worker.ledger.schedules import Schedule, SignedPayer
from momo_worker.payment.money import AmountError, Currency, parse_amount
from momo_worker.payment.payment import SCHEDULE_KEYS, Operation, Payment
from momo_worker.payment.rules import MINUTE
from momo_worker.payment.verdict import RenderedRequest


def terms_of(schedule: Schedule, namespace: str, pin: str) -> MandateTerms:
    """What a mandate of this schedule is about."""
    return MandateTerms(namespace, schedule.id, schedule.account, pin, schedule.currency, schedule.exponent)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the ledger and the mandate say of one period, for the asks of one batch."""

    run_id: str
    schedule: Schedule | None
    period: str
    mandate: Mandate | None
    answer: MandateAnswer
    payers: Mapping[str, SignedPayer]
    #: Who owes what, by the key under which they are asked.
    dues: Mapping[str, Due]
    #: Until when a payer isn't asked, by the zone they live in.
    quiet_until: Callable[[str], int | None]
    #: What this period has collected and is asking for, all its payers together.
    out_minor: int
    #: The same of each payer of the batch, by their ids as in keys.
    out_of_payer: Mapping[str, int]
    #: When the round was made, and when to look again at what waits for somebody.
    round_made_at_ms: int
    soon_ms: int

    def objection(self, payment: Payment, request: RenderedRequest) -> Objection | None:
        """What stands against this ask; None where somebody has signed for it."""
        if self.schedule is None:
            return self._tampered("asks for a schedule that the ledger doesn't know")
        if self.schedule.state == "removed":
            return Objection(Answer.CANCELLED, f"the schedule {self.schedule.name} was removed", self.run_id)
        if self.schedule.state == "paused":
            # Its rounds are paused as well; a next attempt that a pump was just making isn't known to that.
            return Objection(Answer.LATER, f"the schedule {self.schedule.name} is paused", self.run_id, self.soon_ms)
        if self.answer.why or self.mandate is None:
            answer = Answer.LATER if self.answer.unknown else Answer.STOPPED
            return Objection(answer, self.answer.why, self.run_id)
        if payment.operation is not Operation.COLLECT:
            return self._tampered(f"is a {payment.operation.value}, and a schedule only collects")
        if self.out_minor > self.mandate.ceiling_minor:
            why = f"the period {self.period} asks for more than the ceiling that {self.mandate.name} signed"
            return Objection(Answer.STOPPED, why, self.run_id)
        return self._of_payer(self.mandate, self.schedule, payment, request) or self._of_due(self.schedule, payment)

    def _of_payer(
        self, mandate: Mandate, schedule: Schedule, payment: Payment, request: RenderedRequest
    ) -> Objection | None:
        key_id = payer_of_key(payment.idempotency_key, schedule.id, self.period)
        payer = None if key_id is None else self.payers.get(key_id)
        if payer is None:
            return self._unsigned(mandate, f"asks somebody whom {mandate.name} hasn't signed for")
        leaf = PayerLeaf(payer.key_id, payer.msisdn, payer.most_minor)
        if not covers(mandate, leaf, payer.place, payer.path):
            return self._tampered(f"isn't on the list that {mandate.name} signed: something of it was changed")
        said = said_in(request.body, Currency(schedule.currency, schedule.exponent))
        if said is None or said[1] != payment.amount_minor:
            return self._tampered("asks for something else than its row says")
        if said[0] != payer.msisdn or said[1] > payer.most_minor:
            return self._unsigned(mandate, f"asks another number, or for more, than what {mandate.name} signed")
        if self.out_of_payer.get(payer.key_id, 0) > payer.most_minor:
            why = f"asks, with the payer's other asks in {self.period}, for more than what {mandate.name} signed"
            return self._unsigned(mandate, why)
        return None

    def _unsigned(self, mandate: Mandate, why: str) -> Objection:
        """Whoever signs next term's list hasn't forged this term's asks: those that it has no more aren't asked."""
        if mandate.signed_at_ms > self.round_made_at_ms:
            return Objection(Answer.CANCELLED, f"{why}, after this was asked for", self.run_id)
        return self._tampered(why)

    def _of_due(self, schedule: Schedule, payment: Payment) -> Objection | None:
        due = self.dues.get(payment.idempotency_key)
        if due is None:
            return self._tampered(f"isn't what the schedule {schedule.name} asks for in {self.period}")
        if due.state != "asked":
            # Intake may take a row in while its run is cancelled, and its payer stands as stopped already.
            return Objection(Answer.CANCELLED, f"is asked for no more: {due.why or due.state}", self.run_id)
        if payment.amount_minor > due.outstanding_minor:
            return Objection(Answer.CANCELLED, "was paid by other means meanwhile", self.run_id)
        until_ms = self.quiet_until(due.zone or schedule.zone)
        return Objection(Answer.LATER, "waits for the end of quiet hours", self.run_id, until_ms) if until_ms else None

    def _tampered(self, why: str) -> Objection:
        return Objection(Answer.TAMPERED, why, self.run_id)


def read(
    tx: Tx, parts: Parts, run: Run, asked_for: tuple[str, str, int], payments: Sequence[Payment], pin: str
) -> Asked:
    """Read what is needed to judge a batch of asks of one run."""
    schedule_id, period, _ = asked_for
    keys = [payment.idempotency_key for payment in payments]
    schedule = schedules.find(tx, schedule_id)
    if schedule is None:
        return Asked(run.id, None, period, None, MandateAnswer(), {}, {}, lambda _zone: None, 0, {}, 0, 0)
    mandate = schedules.mandate_of(tx, schedule_id)
    terms = terms_of(schedule, str(parts.namespace), pin)
    answer = permits(terms, mandate, parts.approvals.people(), maker=schedule.maker)
    key_ids = {payer_of_key(key, schedule_id, period) or "" for key in keys}
    payers = schedules.signed_payers(tx, schedule_id, sorted(key_ids))
    dues = schedule_dues.by_ask_keys(tx, schedule_id, period, keys)
    out_minor = schedule_dues.out_minor(tx, schedule_id, period)
    now_ms = tx.now_ms
    return Asked(
        run.id,
        schedule,
        period,
        mandate,
        answer,
        payers,
        dues,
        lambda zone: parts.quiet_until(zone, now_ms),
        out_minor,
        _out_of_payers(tx, schedule, period, payments),
        run.imported_at_ms,
        now_ms + MINUTE,
    )


def _out_of_payers(tx: Tx, schedule: Schedule, period: str, payments: Sequence[Payment]) -> Counter[str]:
    """By the payments on their numbers, not by what the ledger says they owe: whoever writes there makes nobody pay a period twice."""
    numbers = sorted({payment.msisdn for payment in payments if payment.msisdn})
    found: Counter[str] = Counter()
    for key, amount_minor in schedule_dues.out_on_numbers(tx, schedule.account, numbers):
        key_id = payer_of_key(key, schedule.id, period)
        if key_id is not None:
            found[key_id] += amount_minor
    return found


def payer_of_key(key: str, schedule_id: str, period: str) -> str | None:
    """Who is asked under this key, as in keys; None where it isn't one of this schedule and period."""
    parts = key.split("/")
    if len(parts) not in (4, 5) or parts[:3] != [SCHEDULE_KEYS.rstrip("/"), schedule_id, period]:
        return None
    if len(parts) == 5 and not parts[4].isdecimal():  # noqa: PLR2004 - the number of a further ask
        return None
    return parts[3]


def said_in(body: bytes, currency: Currency) -> tuple[str, int] | None:
    """Whom a request to pay asks, and for how much in minor units; None where it says something else."""
    try:
        said = json.loads(body.decode("utf-8"))
        if said["currency"] != currency.code or said["payer"]["partyIdType"] != "MSISDN":
            return None
        return str(said["payer"]["partyId"]), parse_amount(said["amount"], currency)
    except (ValueError, KeyError, TypeError, RecursionError, AmountError):
        return None
