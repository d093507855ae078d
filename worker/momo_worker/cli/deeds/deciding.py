"""`momo payment retry`, `release` and `resolve`: names and reasons come in, the step decides under each payment's lock, what became of it goes out.

One payment by its name, or many by a filter: those are counted first, and nothing is done unless the count is the one that was seen.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from momo_worker.cli.deeds.moments import ago, from_now
from momo_worker.cli.deeds.office import Office, office_of
from momo_worker.cli.deeds.payment import one_payment
from momo_worker.cli.deeds.reading import actor, quiet_settings
from momo_worker.cli.deeds.showing import payment_facts, payment_lines
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import desk, stops
from momo_worker.ledger.desk import Filter
from momo_worker.payment.money import format_amount
from momo_worker.payment.operator import By, NotPermitted
from momo_worker.payment.payment import Payment
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.settings import Settings
from momo_worker.steps import operator
from momo_worker.steps.operator import Decided

_SHOWN = 10
_MTN_ID_MAX = 256
Deed = Callable[[Office, Payment, int], Decided | None]


@dataclass(frozen=True, slots=True)
class Many:
    """A filter as it was typed, and what was seen of it before."""

    account: str | None
    states: Sequence[str]
    causes: Sequence[str]
    before: str | None
    yes: bool
    expect_count: int | None

    @property
    def narrows(self) -> bool:
        """Whether it chooses at all."""
        return bool(self.account or self.states or self.causes or self.before)


@dataclass(frozen=True, slots=True)
class Words:
    """What a deed is called: while it is previewed, and when it is done."""

    would: str
    done: str


def retry(
    name: str,
    *,
    account: str | None,
    reason: str,
    until: str | None,
    seen_attempt: int | None,
    producer_knows: bool,
    by: str,
    as_json: bool,
) -> None:
    """The next attempt of one payment."""
    who = _by(by, reason, "why it may succeed now")

    def deed(office: Office, payment: Payment, now_ms: int) -> Decided | None:
        return operator.retry(
            office.house.parts,
            payment.id,
            by=who,
            until_ms=None if until is None else from_now(until, "--until", now_ms),
            # What was read before the decision: whoever else retried it since was faster, and this one is told so.
            seen_attempt=payment.attempt if seen_attempt is None else seen_attempt,
            producer_knows=producer_knows,
        )

    _one(name, account, deed, Words("", "It is due again, as another attempt:"), as_json=as_json)


def release(name: str | None, many: Many, *, reason: str, until: str | None, by: str, as_json: bool) -> None:
    """From the desk back to be sent, where nothing was."""
    who = _by(by, reason, "why it may go out after all")

    def deed(office: Office, payment: Payment, now_ms: int) -> Decided | None:
        until_ms = None if until is None else from_now(until, "--until", now_ms)
        return operator.release(office.house.parts, payment.id, by=who, until_ms=until_ms)

    _one_or_many(name, many, deed, Words("released", "Released to be sent:"), as_json=as_json)


def resolve(
    name: str | None,
    many: Many,
    *,
    outcome: str,
    reason: str,
    evidence: str,
    statement: str | None,
    financial_transaction_id: str | None,
    paid_attempt: int | None,
    by: str,
    as_json: bool,
) -> None:
    """Ended by a person's word."""
    if outcome not in (State.SUCCESSFUL, State.FAILED):
        raise WrongUse(f"--as is {outcome!r}; a payment ends successful or failed; nothing was changed")
    if not evidence.strip():
        raise WrongUse(
            "--evidence is missing: say what shows how it ended, and where it can be found; nothing was changed"
        )
    if name is None and (financial_transaction_id or paid_attempt):
        raise WrongUse("--financial-transaction-id and --attempt speak of one payment; name it; nothing was changed")
    if financial_transaction_id and len(financial_transaction_id) > _MTN_ID_MAX:
        raise WrongUse("--financial-transaction-id is longer than any of MTN's; nothing was changed")
    if financial_transaction_id and outcome == State.FAILED:
        raise WrongUse("--financial-transaction-id is of a payment that succeeded; nothing was changed")
    said = Resolve(
        _by(by, reason, "what has happened"), State(outcome), evidence, statement or None, financial_transaction_id
    )

    def deed(office: Office, payment: Payment, _now_ms: int) -> Decided | None:
        return operator.resolve(office.house.parts, payment.id, said, paid_attempt=paid_attempt)

    _one_or_many(
        name, many, deed, Words(f"resolved as {outcome}", "Ended by your word; nothing was sent:"), as_json=as_json
    )


def _by(by: str, reason: str, what: str) -> By:
    if not reason.strip():
        raise WrongUse(f"--reason is missing: say {what}, in a few words; nothing was changed")
    return By(actor(by), reason)


def _one_or_many(name: str | None, many: Many, deed: Deed, words: Words, *, as_json: bool) -> None:
    if name is not None:
        if many.states or many.causes or many.before or many.yes or many.expect_count is not None:
            raise WrongUse("name a payment, or give a filter, but not both; nothing was changed")
        _one(name, many.account, deed, words, as_json=as_json)
        return
    if not many.narrows:
        raise WrongUse(
            "which one? Name a payment, or choose with --account, --state, --cause and --before; nothing was changed"
        )
    if many.yes and many.expect_count is None:
        raise WrongUse("--yes needs --expect-count N, the count that you saw without --yes; nothing was changed")
    _many(many, deed, words, as_json=as_json)


def _one(name: str, account: str | None, deed: Deed, words: Words, *, as_json: bool) -> None:
    settings = quiet_settings()
    with office_of(settings) as office:
        payment = one_payment(office.house.parts.ledger, settings, name, account)
        decided = deed(office, payment, _now_ms(office))
        if decided is None:
            raise AnswerIsNo(f"the payment {payment.id} is gone from the ledger")
        holding = _holding(office, decided.payment)
    facts = payment_facts(decided.payment)
    if decided.refused is not None:
        refused = asdict(decided.refused)
        raise AnswerIsNo(
            f"the payment {payment.id} {refused['why']}; {refused['advice']}", {**facts, "refused": refused}
        )
    if as_json:
        say_json({**facts, "holding": holding})
        return
    for line in [words.done, *payment_lines(decided.payment), *holding]:
        say(line)


def _now_ms(office: Office) -> int:
    with office.house.parts.ledger.read() as tx:
        return tx.now_ms


def _holding(office: Office, payment: Payment) -> list[str]:
    """What keeps it from going out at once."""
    if payment.state is not State.ACCEPTED:
        return []
    with office.house.parts.ledger.read() as tx:
        pauses = [one for one in stops.holding(tx) if one.covers(payment.account, payment.product.value, payment.run)]
    return [f"  waits      sending is paused ({one.scope}): {one.reason}" for one in pauses]


# ---- many -----------------------------------------------------------------------------------------------------------


def _many(many: Many, deed: Deed, words: Words, *, as_json: bool) -> None:
    settings = quiet_settings()
    with office_of(settings) as office:
        now_ms = _now_ms(office)
        chosen = _chosen(office, settings, many, now_ms)
        facts: dict[str, Any] = {"count": len(chosen), "money": _money(chosen), "kinds": _kinds(chosen)}
        if many.expect_count is not None and many.expect_count != len(chosen):
            raise AnswerIsNo(
                f"{len(chosen)} payments are chosen and not {many.expect_count}; look again; nothing was changed", facts
            )
        if not many.yes:
            _say_preview(chosen, facts, words, as_json=as_json)
            return
        refused = _do(office, chosen, deed, now_ms)
    facts |= {"done": len(chosen) - len(refused), "refused": refused}
    if refused:
        first = refused[0]
        raise AnswerIsNo(
            f"{facts['done']} of {len(chosen)} payments were {words.would}; {len(refused)} were refused, the first: "
            f"{first['payment_id']} {first['why']}; {first['advice']}",
            facts,
        )
    if as_json:
        say_json(facts)
        return
    say(f"{len(chosen)} payments were {words.would}: {_in_words(facts['money'])}.")


def _chosen(office: Office, settings: Settings, many: Many, now_ms: int) -> list[Payment]:
    _check_words("--state", many.states, State)
    _check_words("--cause", many.causes, HeldCause)
    if many.account is not None and many.account not in settings.accounts:
        raise WrongUse(f"there is no account {many.account} (there are: {', '.join(settings.accounts)})")
    wanted = Filter(
        account=many.account,
        states=tuple(many.states) or (State.HELD.value,),
        causes=tuple(many.causes),
        before_ms=None if many.before is None else ago(many.before, "--before", now_ms),
    )
    with office.house.parts.ledger.read() as tx:
        chosen = desk.chosen(tx, wanted, limit=desk.CHOSEN_MAX + 1)
    if len(chosen) > desk.CHOSEN_MAX:
        raise WrongUse(f"more than {desk.CHOSEN_MAX} payments are chosen; narrow it down; nothing was changed")
    return chosen


def _check_words(option: str, given: Sequence[str], known: type[State] | type[HeldCause]) -> None:
    wrong = [word for word in given if word not in set(known)]
    if wrong:
        raise WrongUse(f"{option} is {wrong[0]!r}; use one of {', '.join(known)}; nothing was changed")


def _do(office: Office, chosen: Sequence[Payment], deed: Deed, now_ms: int) -> list[dict[str, str]]:
    """Each by itself, with its own checks and its own transaction."""
    refused = []
    for payment in chosen:
        decided = deed(office, payment, now_ms)
        against = NotPermitted("is gone from the ledger", "look again") if decided is None else decided.refused
        if against is not None:
            refused.append({"payment_id": payment.id, "idempotency_key": payment.idempotency_key, **asdict(against)})
    return refused


def _money(chosen: Sequence[Payment]) -> list[dict[str, str]]:
    sums: dict[tuple[str, int], int] = defaultdict(int)
    for payment in chosen:
        sums[payment.currency, payment.exponent] += payment.amount_minor
    return [
        {"currency": currency, "amount": format_amount(minor, exponent)}
        for (currency, exponent), minor in sorted(sums.items())
    ]


def _kinds(chosen: Sequence[Payment]) -> dict[str, int]:
    words = (f"{one.state.value} {one.held_cause.value}" if one.held_cause else one.state.value for one in chosen)
    return dict(sorted(Counter(words).items()))


def _in_words(money: Sequence[dict[str, str]]) -> str:
    return ", ".join(f"{one['amount']} {one['currency']}" for one in money) or "no money"


def _say_preview(chosen: Sequence[Payment], facts: dict[str, Any], words: Words, *, as_json: bool) -> None:
    if as_json:
        say_json({**facts, "preview": True, "payments": [payment_facts(payment) for payment in chosen]})
        return
    say(f"{len(chosen)} payments would be {words.would}: {_in_words(facts['money'])}. Nothing was changed.")
    for kind, count in facts["kinds"].items():
        say(f"  {count} {kind}")
    for payment in chosen[:_SHOWN]:
        say(f"  {payment.id}  {payment.idempotency_key}  {_in_words(_money([payment]))}")
    if len(chosen) > _SHOWN:
        say(f"  and {len(chosen) - _SHOWN} more; --json lists them all")
    say(f"To do it: the same command with --yes --expect-count {len(chosen)}")
