"""Whether an ask of a schedule may be sent: the request that is about to be committed comes in, what the mandate says against it goes out. Writes nothing.

Held against what an approver signed: who is asked, for how much at most, and how much a period asks for in all.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from momo_worker.approval.mandates import Mandate, MandateAnswer, MandateTerms, PayerLeaf, covers, permits
from momo_worker.commons.objection import Answer, Objection
from momo_worker.commons.parts import Parts
from momo_worker.ledger import schedule_dues, schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedule_dues import Due
from momo_worker.ledger.schedules import Schedule, SignedPayer
from momo_worker.payment.money import AmountError, Currency, parse_amount
from momo_worker.payment.payment import SCHEDULE_KEYS, Operation, Payment
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

    def objection(self, payment: Payment, request: RenderedRequest) -> Objection | None:
        """What stands against this ask; None where somebody has signed for it."""
        if self.schedule is None:
            return self._tampered("asks for a schedule that the ledger doesn't know")
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
            return self._tampered(f"asks somebody whom {mandate.name} hasn't signed for")
        leaf = PayerLeaf(payer.key_id, payer.msisdn, payer.most_minor)
        if not covers(mandate, leaf, payer.place, payer.path):
            return self._tampered(f"isn't on the list that {mandate.name} signed: something of it was changed")
        said = said_in(request.body, Currency(schedule.currency, schedule.exponent))
        if said is None or said[0] != payer.msisdn or said[1] > payer.most_minor:
            return self._tampered(f"asks another number, or for more, than what {mandate.name} signed")
        return None

    def _of_due(self, schedule: Schedule, payment: Payment) -> Objection | None:
        due = self.dues.get(payment.idempotency_key)
        if due is None:
            return self._tampered(f"isn't what the schedule {schedule.name} asks for in {self.period}")
        if payment.amount_minor > due.outstanding_minor:
            return Objection(Answer.CANCELLED, "was paid by other means meanwhile", self.run_id)
        until_ms = self.quiet_until(due.zone or schedule.zone)
        return Objection(Answer.LATER, "waits for the end of quiet hours", self.run_id, until_ms) if until_ms else None

    def _tampered(self, why: str) -> Objection:
        return Objection(Answer.TAMPERED, why, self.run_id)


def read(tx: Tx, parts: Parts, run_id: str, asked_for: tuple[str, str, int], keys: Sequence[str], pin: str) -> Asked:
    """Read what is needed to judge a batch of asks of one run."""
    schedule_id, period, _ = asked_for
    schedule = schedules.find(tx, schedule_id)
    if schedule is None:
        return Asked(run_id, None, period, None, MandateAnswer(), {}, {}, lambda _zone: None, 0)
    mandate = schedules.mandate_of(tx, schedule_id)
    terms = terms_of(schedule, str(parts.namespace), pin)
    answer = permits(terms, mandate, parts.approvals.people(), maker=schedule.maker)
    key_ids = {payer_of_key(key, schedule_id, period) or "" for key in keys}
    payers = schedules.signed_payers(tx, schedule_id, sorted(key_ids))
    dues = schedule_dues.by_ask_keys(tx, schedule_id, period, keys)
    out_minor = schedule_dues.out_minor(tx, schedule_id, period)
    now_ms = tx.now_ms
    return Asked(
        run_id,
        schedule,
        period,
        mandate,
        answer,
        payers,
        dues,
        lambda zone: parts.quiet_until(zone, now_ms),
        out_minor,
    )


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
