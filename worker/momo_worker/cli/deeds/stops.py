"""The kill switch: a scope and a reason come in, a row in the ledger that every send reads before its first byte goes out (M13)."""

from typing import Any

from momo_worker.cli.deeds.reading import actor, ledger_of, quiet_settings
from momo_worker.cli.deeds.showing import moment
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import stops
from momo_worker.payment.payment import Product
from momo_worker.settings import Settings


def pause(*, account: str | None, product: str | None, reason: str, by: str, as_json: bool) -> None:
    """Pause a scope; what is said is said after the commit."""
    settings = quiet_settings()
    _check(settings, account, product, reason, "what has happened, in a few words")
    with ledger_of(settings) as ledger:
        with ledger.write() as tx:
            stops.add_pause(tx, account=account or "", product=product or "", run="", reason=reason, actor=actor(by))
        # Read after the commit: what has begun by then is on the wire, and the permission of the rest is at most a second old.
        with ledger.read() as tx:
            begun = stops.on_the_wire(tx)
            holding = stops.holding(tx)
            now_ms = tx.now_ms
    last_begin_ms = now_ms + settings.rules.permit_age_ms
    facts = {
        "paused": _scope(account, product),
        "no_send_begins_after": moment(last_begin_ms),
        "on_the_wire": [{"payment_id": payment_id, "began_at": moment(at_ms)} for payment_id, at_ms in begun],
        "all_ended_by": moment(last_begin_ms + settings.rules.call_deadline_ms) if begun else None,
        "holding": [_pause_facts(one) for one in holding],
    }
    if as_json:
        say_json(facts)
        return
    say(f"Paused: {facts['paused']}. No send begins after {facts['no_send_begins_after']}.")
    if begun:
        say(f"{len(begun)} calls had begun; the last ends by {facts['all_ended_by']}, and MTN may still take them:")
        for payment_id, at_ms in begun:
            say(f"  {payment_id}, begun {moment(at_ms)}")
    else:
        say("No call is on the wire.")
    _say_holding(holding)


def resume(*, account: str | None, product: str | None, reason: str, by: str, as_json: bool) -> None:
    """Lift the pauses of exactly this scope."""
    settings = quiet_settings()
    _check(settings, account, product, reason, "why it is safe again, in a few words")
    with ledger_of(settings) as ledger, ledger.write() as tx:
        lifted = stops.lift_pauses(
            tx, account=account or "", product=product or "", run="", reason=reason, actor=actor(by)
        )
        holding = stops.holding(tx)
        closed = [gate for gate in stops.gates(tx).values() if gate.closed_at_ms is not None]
    facts = {
        "lifted": lifted,
        "scope": _scope(account, product),
        "holding": [_pause_facts(one) for one in holding],
        "suspended": [{"account": gate.account, "product": gate.product, "cause": gate.cause} for gate in closed],
    }
    if not lifted:
        still = "; ".join(f"{one.scope} ({one.reason})" for one in holding) or "nothing"
        raise AnswerIsNo(
            f"nothing was paused with exactly the scope {facts['scope']}; what is paused: {still}. A resume names the pause's own scope",
            facts,
        )
    if as_json:
        say_json(facts)
        return
    say(f"Lifted {lifted} {'pause' if lifted == 1 else 'pauses'} of {facts['scope']}.")
    _say_holding(holding)
    for gate in closed:
        say(
            f"The worker itself holds {gate.account} {gate.product} ({gate.cause}); it probes and lifts that by itself."
        )


def _check(settings: Settings, account: str | None, product: str | None, reason: str, what: str) -> None:
    """A pause with a misspelt scope would stop nothing, and nobody would know."""
    if account is not None and account not in settings.accounts:
        raise WrongUse(
            f"there is no account {account} (there are: {', '.join(settings.accounts)}); nothing was changed"
        )
    if product is not None and product not in set(Product):
        raise WrongUse(f"there is no product {product}; use one of {', '.join(Product)}; nothing was changed")
    if not reason.strip():
        raise WrongUse(f"--reason is missing: say {what}; nothing was changed")


def _scope(account: str | None, product: str | None) -> str:
    parts = [f"account {account}" if account else "", f"product {product}" if product else ""]
    return ", ".join(part for part in parts if part) or "all"


def _pause_facts(pause_: stops.Pause) -> dict[str, Any]:
    return {
        "scope": pause_.scope,
        "reason": pause_.reason,
        "by": pause_.actor,
        "since": moment(pause_.paused_at_ms),
    }


def _say_holding(holding: list[stops.Pause]) -> None:
    if not holding:
        say("Nothing is paused any more.")
    for one in holding:
        say(f"  holds: {one.scope}, since {moment(one.paused_at_ms)}, by {one.actor}: {one.reason}")
