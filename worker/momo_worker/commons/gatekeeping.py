"""What a batch of answers says about us and about MTN's health: closes, counts and opens the gate of a product. Never judges a payment.

A gate is what the worker stops, probes and lifts itself; a pause is a person's and isn't touched here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import structlog

from momo_worker.commons.parts import Parts
from momo_worker.ledger import stops
from momo_worker.ledger.engine import Tx
from momo_worker.pacing import NotDepartedError
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause, SendAnswer, SendVerdict

log = structlog.get_logger(__name__)

CIRCUIT = "circuit"
#: A wait that MTN names beyond this closes the gate until then: claiming and letting go of each payment meanwhile only fills the ledger.
LONG_WAIT_SECONDS = 60.0
_DAY_SECONDS = 86_400.0
BAD_REQUESTS = "bad_requests"
_BAD_REQUEST = 400

#: Answers that speak of our credentials, address or configuration: no payment may fail for them, and none may go on.
CLOSING = frozenset({Cause.TOKEN_REFUSED, Cause.KEY_REFUSED, Cause.LOGIN_REFUSED, Cause.FORBIDDEN, Cause.CONFIGURATION})

_ADVICE = {
    Cause.TOKEN_REFUSED.value: "MTN refuses our token twice in a row; check API user, API key and target environment with `momo doctor`",
    Cause.KEY_REFUSED.value: "MTN refuses the subscription key; check it for this product with `momo doctor`",
    Cause.LOGIN_REFUSED.value: "MTN refuses API user or API key; check them with `momo doctor`",
    Cause.FORBIDDEN.value: "MTN refuses our address; have the egress address whitelisted",
    Cause.CONFIGURATION.value: "MTN's answer speaks of our settings: callback host, currency or target environment; see `momo doctor`",
    BAD_REQUESTS: "three 400 in a row without a 202 between: something in our requests or settings, not in the payments",
    CIRCUIT: "MTN fails for many payments; what is due waits",
    Cause.THROTTLED.value: "MTN has closed the product for as long as it named; ask MTN for a higher quota",
}


@dataclass(frozen=True, slots=True)
class Closed:
    """A gate that this transaction closed, to be told after the commit."""

    account: str
    product: str
    cause: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What one answer says of the product: the payment it was about, its cause, and whether it was a 202 or a 400."""

    payment_id: str
    cause: Cause
    detail: str | None = None
    accepted: bool = False
    #: The wait that MTN named with a 429 or a quota 403.
    wait_seconds: float = 0.0


def bad_requests_before(tx: Tx, account: str, product: Product, verdicts: Sequence[SendVerdict]) -> int:
    """How many 400 in a row came before these; with a 400 among them the gate is locked, so that two processes don't count the same one."""
    if any(verdict.answer is SendAnswer.REFUSED and verdict.http_status == _BAD_REQUEST for verdict in verdicts):
        return stops.lock_gate(tx, account, product).bad_requests
    gate = stops.gates(tx).get((account, product.value))
    return gate.bad_requests if gate else 0


def speaks_of_us(verdicts: Sequence[SendVerdict], streak: int, limit: int) -> tuple[list[SendVerdict], int]:
    """Turn the third 400 in a row without a 202 between, and those after it, into "not now"; returns the streak that is left (M4)."""
    judged = []
    for verdict in verdicts:
        if verdict.answer is SendAnswer.ACCEPTED and not verdict.conflict:
            streak = 0
        if verdict.answer is SendAnswer.REFUSED and verdict.http_status == _BAD_REQUEST:
            streak += 1
            if streak >= limit:
                verdict = replace(verdict, answer=SendAnswer.NOT_NOW, cause=Cause.CONFIGURATION)  # noqa: PLW2901 (judged anew)
        judged.append(verdict)
    return judged, streak


def keep_gate(
    tx: Tx, parts: Parts, account: str, product: Product, heard: Iterable[Heard], streak: int | None
) -> Closed | None:
    """Hold a batch's answers against the gate; `streak` is the new count of 400 in a row, None where no POST was among them."""
    answers = list(heard)
    closing = next((answer for answer in answers if answer.cause in CLOSING), None)
    faulty = [answer.payment_id for answer in answers if answer.cause is Cause.FAULT]
    accepted = any(answer.accepted for answer in answers)
    named_seconds = max((answer.wait_seconds for answer in answers), default=0.0)
    if (
        closing is None
        and not faulty
        and named_seconds < LONG_WAIT_SECONDS
        and _unchanged(stops.gates(tx).get((account, product.value)), streak, accepted=accepted)
    ):
        return None
    gate = stops.lock_gate(tx, account, product)
    if streak is not None:
        gate = replace(gate, bad_requests=streak)
    if accepted and gate.closed_at_ms is None:
        gate = replace(gate, probe_step=0)
    closed: Closed | None = None
    if closing is not None:
        cause = (
            BAD_REQUESTS if streak is not None and streak >= parts.rules.bad_requests_in_a_row else closing.cause.value
        )
        gate, closed = _close(tx, parts, gate, cause, closing.detail)
    elif named_seconds >= LONG_WAIT_SECONDS:
        gate, closed = _close(tx, parts, gate, Cause.THROTTLED.value, f"for {named_seconds:.0f} s")
        if closed is not None:
            gate = replace(gate, probe_at_ms=tx.now_ms + round(min(named_seconds, _DAY_SECONDS) * 1000))
    elif (
        faulty
        and stops.note_faults(tx, account, product, faulty, parts.rules.circuit_window_ms)
        >= parts.rules.circuit_payments
    ):
        gate, closed = _close(tx, parts, gate, CIRCUIT, None)
    stops.write_gate(tx, gate)
    return closed


def _unchanged(gate: stops.Gate | None, streak: int | None, *, accepted: bool) -> bool:
    """Whether a batch without trouble leaves the gate as it stands: the common case, which writes nothing."""
    if streak is None:
        return True
    if gate is None:
        return streak == 0
    return gate.bad_requests == streak and not (accepted and gate.probe_step > 0)


def _close(tx: Tx, parts: Parts, gate: stops.Gate, cause: str, detail: str | None) -> tuple[stops.Gate, Closed | None]:
    if gate.closed_at_ms is not None:
        return gate, None
    delay = _probe_delay_ms(parts, cause, gate.probe_step)
    shut = replace(
        gate,
        cause=cause,
        detail=detail,
        closed_at_ms=tx.now_ms,
        probe_at_ms=tx.now_ms + delay,
        probe_step=min(gate.probe_step + 1, 20),
    )
    return shut, Closed(gate.account, gate.product, cause, detail)


def _probe_delay_ms(parts: Parts, cause: str | None, step: int) -> int:
    """An outage is probed within seconds, refused credentials after 1, 5, 15 and then each 60 minutes."""
    if cause == CIRCUIT:
        return min(parts.rules.circuit_probe_ms << step, parts.rules.probe_delays_ms[0])
    return parts.rules.probe_delays_ms[min(step, len(parts.rules.probe_delays_ms) - 1)]


def tell_closed(closed: Iterable[Closed | None]) -> None:
    """Log gates that were closed: refused credentials wake somebody, an outage at MTN warns."""
    for item in closed:
        if item is None:
            continue
        speak = log.warning if item.cause in (CIRCUIT, Cause.THROTTLED.value) else log.error
        speak(
            "product suspended",
            account=item.account,
            product=item.product,
            cause=item.cause,
            detail=item.detail,
            advice=_ADVICE.get(item.cause),
            action="suspended",
        )


def probe(parts: Parts) -> int:
    """Probe every closed gate whose time has come, one process for all; opens those that answer. Returns how many were opened."""
    opened = 0
    for account, product in _take_probes(parts):
        cause = _asked(parts, account, product)
        with parts.ledger.write() as tx:
            gate = stops.lock_gate(tx, account, product)
            if gate.closed_at_ms is None:
                continue
            if cause is Cause.NONE:
                stops.write_gate(tx, replace(gate, cause=None, detail=None, closed_at_ms=None, probe_at_ms=None))
                # What failed before the product answered says nothing about it now.
                stops.forget_faults_of(tx, account, product)
        if cause is Cause.NONE:
            opened += 1
            log.info("product resumed", account=account, product=product.value, action="probed")
        else:
            log.warning(
                "product still suspended", account=account, product=product.value, cause=cause.value, action="probed"
            )
    return opened


def _asked(parts: Parts, account: str, product: Product) -> Cause:
    try:
        return parts.client_for(account, product).probe()
    except NotDepartedError:
        return Cause.NOT_DEPARTED


def _take_probes(parts: Parts) -> list[tuple[str, Product]]:
    """Move the probe time of due gates forward in one transaction, so that no other process probes them too."""
    taken = []
    with parts.ledger.write() as tx:
        for (account, product), found in stops.gates(tx).items():
            known = account in parts.accounts and Product(product) in parts.accounts[account].credentials
            if not known or found.closed_at_ms is None or (found.probe_at_ms or 0) > tx.now_ms:
                continue
            gate = stops.lock_gate(tx, account, Product(product))
            if gate.closed_at_ms is None or (gate.probe_at_ms or 0) > tx.now_ms:
                continue
            delay = _probe_delay_ms(parts, gate.cause, gate.probe_step)
            stops.write_gate(tx, replace(gate, probe_at_ms=tx.now_ms + delay, probe_step=min(gate.probe_step + 1, 20)))
            taken.append((account, Product(product)))
    return taken
