"""`momo payment cancel`: a name comes in, the step decides under the payment's lock, and what it is now goes out."""

from dataclasses import asdict

from momo_worker.cli.deeds.office import office_of
from momo_worker.cli.deeds.payment import one_payment
from momo_worker.cli.deeds.reading import actor, quiet_settings
from momo_worker.cli.deeds.showing import payment_facts, payment_lines
from momo_worker.cli.saying import AnswerIsNo, say, say_json
from momo_worker.payment.transitions import State
from momo_worker.steps import operator


def cancel(name: str, *, account: str | None, reason: str, by: str, as_json: bool) -> None:
    """Cancel one payment, or say why it can't be."""
    settings = quiet_settings()
    with office_of(settings) as office:
        payment = one_payment(office.house.parts.ledger, settings, name, account)
        decided = operator.cancel(
            office.house.parts, payment.id, actor=actor(by), reason=reason or "no reason was given"
        )
    if decided is None:
        raise AnswerIsNo(f"the payment {payment.id} is gone from the ledger")
    facts = payment_facts(decided.payment)
    if decided.refused is not None:
        refused = asdict(decided.refused)
        raise AnswerIsNo(
            f"the payment {payment.id} {refused['why']}; {refused['advice']}", {**facts, "refused": refused}
        )
    if as_json:
        say_json(facts)
        return
    said = (
        "Cancelled; nothing was sent for it:" if decided.payment.state is State.CANCELLED else "The retry is cancelled:"
    )
    for line in [said, *payment_lines(decided.payment)]:
        say(line)
