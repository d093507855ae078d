"""Following a payment: its id comes in, the payment as it ended (or as it stood when the time was over) goes out. Reads the ledger only."""

from momo_worker.cli.saying import say
from momo_worker.clock import SystemClock
from momo_worker.ledger import moves, stops
from momo_worker.ledger.engine import Ledger
from momo_worker.payment.deciding import PROMPT_OPEN_CODE, PROMPT_OPEN_MESSAGE, is_final
from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import State

_APART_SECONDS = 0.2


def follow(ledger: Ledger, payment_id: str, seconds: float, *, speak: bool) -> Payment:
    """Look at a payment until it is final or held, or the time is over; says each new state."""
    clock = SystemClock()
    give_up_at = clock.elapsed() + seconds
    told: State | None = State.ACCEPTED
    while True:
        payment = _now(ledger, payment_id)
        if speak and payment.state is not told:
            told = payment.state
            say(_line(payment))
        if final_or_held(payment) or clock.elapsed() >= give_up_at:
            return payment
        clock.sleep(_APART_SECONDS)


def held_back_by(ledger: Ledger, payment: Payment) -> str | None:
    """What keeps its account and product from moving, in words: a person's pause, or what the worker itself suspended."""
    with ledger.read() as tx:
        pauses = [one for one in stops.holding(tx) if one.covers(payment.account, payment.product.value, payment.run)]
        gate = stops.gates(tx).get((payment.account, payment.product.value))
    if gate is not None and gate.closed_at_ms is not None:
        detail = f" ({gate.detail})" if gate.detail else ""
        return f"{gate.account} {gate.product} is suspended: {gate.cause}{detail}; `momo doctor` says what to do"
    if pauses and payment.state is State.ACCEPTED:
        return f"sending is paused ({pauses[0].scope}) by {pauses[0].actor}: {pauses[0].reason}"
    if payment.state is State.ACCEPTED and payment.reason_code == PROMPT_OPEN_CODE:
        return f"{PROMPT_OPEN_MESSAGE}; `momo payment show` names it, and until when this one waits at the latest"
    return None


def _now(ledger: Ledger, payment_id: str) -> Payment:
    with ledger.read() as tx:
        return moves.read(tx, [payment_id])[payment_id]


def _line(payment: Payment) -> str:
    why = payment.held_cause.value if payment.held_cause else payment.reason_code
    mtn = f", MTN's id {payment.financial_transaction_id}" if payment.financial_transaction_id else ""
    return f"  now {payment.state.value}{f' ({why})' if why else ''}{mtn}"


def final_or_held(payment: Payment) -> bool:
    """Whether nothing more happens by itself."""
    return is_final(payment) or payment.state is State.HELD


def ended_well(payment: Payment) -> bool:
    """Whether the money moved."""
    return payment.state is State.SUCCESSFUL
