"""Rules for what goes wrong come in, and for one request the faults that hit it go out. Never acts on them itself."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

# Where in a request's life a fault acts.
BEFORE, CREATION, AFTER, VIEW, TOKEN = "before", "creation", "after", "view", "token"

FAULTS: dict[str, tuple[str, str]] = {
    # Before anything is looked at: nothing has been created.
    "lost_before_creation": (BEFORE, "the connection is cut, nothing was created"),
    "error_before_creation": (BEFORE, "500 INTERNAL_PROCESSING_ERROR (or `code`), nothing was created"),
    "bad_gateway": (BEFORE, "502 with HTML"),
    "service_unavailable": (BEFORE, "503 with HTML"),
    "service_unavailable_code": (BEFORE, "503 SERVICE_UNAVAILABLE"),
    "html_200": (BEFORE, "200 with HTML 'Request Rejected', nothing was created"),
    "redirect": (BEFORE, "302 to another path"),
    "rate_limited": (BEFORE, "429 with Retry-After of `seconds`"),
    "quota_exceeded": (BEFORE, "403 'Out of call volume quota', replenished in `seconds`"),
    "forbidden_ip": (BEFORE, "403 FORBIDDEN IP"),
    "gateway_not_found": (BEFORE, "404 as for a wrong path"),
    "bad_request": (BEFORE, "400 without a body"),
    "unauthorised": (BEFORE, "401 without a body"),
    "wrong_key": (BEFORE, "401 for the subscription key"),
    "not_found": (BEFORE, "404 RESOURCE_NOT_FOUND"),
    "late_creation": (BEFORE, "the connection is cut; the request reaches the wallet `seconds` later"),
    # While a payment is created: what becomes of it.
    "visibility_lag": (CREATION, "404 on status for `seconds` after the 202"),
    "status_lag": (CREATION, "status says PENDING for `seconds` after it ended (callbacks don't lag)"),
    "late_success": (CREATION, "PENDING for `seconds`, then SUCCESSFUL"),
    "stuck_pending": (CREATION, "PENDING for ever"),
    "fail": (CREATION, "FAILED with `code`"),
    "vanish": (CREATION, "202, but nothing was created"),
    "forget": (CREATION, "the reference is forgotten `seconds` after creation"),
    "created_status": (CREATION, "CREATED instead of PENDING until it ends"),
    "callback_never": (CREATION, "no callback"),
    "callback_twice": (CREATION, "the callback comes again after `seconds`"),
    "callback_late": (CREATION, "the callback comes `seconds` late"),
    "callback_forged": (
        CREATION,
        "a callback after `seconds` that claims `code` (SUCCESSFUL); no money has moved for it",
    ),
    # After the request was handled: what becomes of the answer.
    "lost_after_creation": (AFTER, "created, then the connection is cut"),
    "error_after_creation": (AFTER, "created, then 500 INTERNAL_PROCESSING_ERROR (or `code`)"),
    "bad_gateway_after_creation": (AFTER, "created, then 502 with HTML"),
    "gateway_timeout_after_creation": (AFTER, "created, then 504 with HTML"),
    "html_200_after_creation": (AFTER, "created, then 200 with HTML"),
    "ok_200_after_creation": (AFTER, "created, then 200 without a body"),
    "lost_answer": (AFTER, "handled, then the connection is cut, whatever the answer was"),
    "halfway_answer": (AFTER, "handled, then the connection is cut in the middle of the answer"),
    "slow_answer": (AFTER, "handled, then answered after `seconds`"),
    "empty_conflict": (AFTER, "a 409 without its body"),
    "empty_answer": (AFTER, "handled, then answered without a body"),
    # How a status is written.
    "reason_as_string": (VIEW, "reason as a bare string"),
    "reason_as_object": (VIEW, "reason as {code, message}"),
    "numbers_for_strings": (
        VIEW,
        "amount, externalId, partyId and financialTransactionId as JSON numbers where they can be",
    ),
    "unknown_status": (VIEW, "a status that nobody documented (`code`)"),
    "shown_created": (VIEW, "CREATED instead of what it is"),
    "no_status": (VIEW, "no status at all"),
    "missing_fields": (VIEW, "without notes, external id and financialTransactionId; of a person, without names"),
    "result_as_text": (VIEW, 'whether an account holder is active as "true" or "false" in quotes'),
    "whole_name": (VIEW, "a person's name in one field, `name`, as MTN's own SDK shows it"),
    "wrong_amount": (VIEW, "another amount"),
    "wrong_currency": (VIEW, "another currency"),
    "wrong_party": (VIEW, "another number"),
    "wrong_external_id": (VIEW, "another external id"),
    # What a token is worth.
    "dead_token": (TOKEN, "the token dies after `seconds`, whatever expires_in says"),
    "login_failed": (TOKEN, "login_failed with `status`"),
}

# What a seed may throw at any request; mismatches, forgotten references and configuration errors are for tests that ask for them.
CHAOS = {
    "lost_before_creation": {"method": "POST"},
    "error_before_creation": {},
    "bad_gateway": {},
    "service_unavailable": {},
    "html_200": {},
    "rate_limited": {"seconds": 1.0},
    "late_creation": {"method": "POST", "seconds": 2.0},
    "visibility_lag": {"seconds": 3.0},
    "status_lag": {"seconds": 2.0},
    "late_success": {"seconds": 10.0},
    "created_status": {},
    "callback_never": {},
    "callback_twice": {"seconds": 0.5},
    "callback_late": {"seconds": 3.0},
    "callback_forged": {"seconds": 0.0},
    "lost_after_creation": {},
    "error_after_creation": {},
    "bad_gateway_after_creation": {},
    "gateway_timeout_after_creation": {},
    "html_200_after_creation": {},
    "lost_answer": {},
    "halfway_answer": {},
    "slow_answer": {"seconds": 2.0},
    "empty_conflict": {},
    "reason_as_object": {},
    "numbers_for_strings": {},
    "unknown_status": {"code": "IN_REVIEW"},
    "no_status": {},
    "missing_fields": {},
    "dead_token": {"seconds": 5.0},
}


@dataclass(slots=True)
class Rule:
    """Every condition that is set must hold; `count` None means for ever; `probability` is rolled for each match."""

    fault: str
    operation: str | None = None
    method: str | None = None
    product: str | None = None
    account: str | None = None
    msisdn: str | None = None
    reference: str | None = None
    external_id: str | None = None
    count: int | None = None
    probability: float = 1.0
    until: float | None = None
    seconds: float | None = None
    code: str | None = None
    status: int | None = None
    used: int = 0

    @property
    def phase(self) -> str:
        return FAULTS[self.fault][0]

    def spent(self, now: float) -> bool:
        return (self.count is not None and self.used >= self.count) or (self.until is not None and now >= self.until)

    def seconds_or(self, otherwise: float) -> float:
        return otherwise if self.seconds is None else self.seconds


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may match on. `payment` tells number, reference and external id, and is asked only if a rule wants them."""

    operation: str
    method: str
    product: str
    account: str
    payment: Callable[[], Mapping[str, str]]


_CONDITIONS = ("operation", "method", "product", "account")
_PAYMENT_CONDITIONS = ("msisdn", "reference", "external_id")


class Faults:
    def __init__(self, chance: random.Random) -> None:
        self._rules: list[Rule] = []
        self._chance = chance
        self.hits: dict[str, int] = {}

    def add(self, rule: Rule) -> None:
        self._rules.append(rule)

    def clear(self) -> None:
        self._rules.clear()

    def as_json(self) -> list[dict[str, Any]]:
        return [{k: v for k, v in asdict(rule).items() if v is not None} for rule in self._rules]

    def first(self, phase: str, facts: Facts, now: float) -> Rule | None:
        return next(self._hits(phase, facts, now, _always), None)

    def all(self, phase: str, facts: Facts, now: float, applies: Callable[[Rule], bool] | None = None) -> list[Rule]:
        """`applies` is asked before a rule is used up: a fault that waits for a creation isn't spent on a 409."""
        return list(self._hits(phase, facts, now, applies or _always))

    def _hits(self, phase: str, facts: Facts, now: float, applies: Callable[[Rule], bool]) -> Iterator[Rule]:
        for rule in self._rules:
            if (
                rule.phase == phase
                and not rule.spent(now)
                and _matches(rule, facts)
                and applies(rule)
                and self._rolls(rule)
            ):
                rule.used += 1
                self.hits[rule.fault] = self.hits.get(rule.fault, 0) + 1
                yield rule

    def _rolls(self, rule: Rule) -> bool:
        return rule.probability >= 1.0 or self._chance.random() < rule.probability


def _always(_: Rule) -> bool:
    return True


def _matches(rule: Rule, facts: Facts) -> bool:
    for name in _CONDITIONS:
        wanted = getattr(rule, name)
        if wanted is not None and wanted != getattr(facts, name):
            return False
    wanted_payment = {name: getattr(rule, name) for name in _PAYMENT_CONDITIONS if getattr(rule, name) is not None}
    if not wanted_payment:
        return True
    payment = facts.payment()
    return all(payment.get(name) == value for name, value in wanted_payment.items())


def rule_from_json(value: Mapping[str, Any], now: float) -> Rule:
    """`for_seconds` counts from now; an unknown fault or field is refused with the list of what there is."""
    given = dict(value)
    for_seconds = given.pop("for_seconds", None)
    known = {one.name for one in fields(Rule)} - {"used", "until"}
    unknown = set(given) - known
    if unknown:
        raise ValueError(
            f"{', '.join(sorted(unknown))}: no field of a fault; fields are {', '.join(sorted(known))}, for_seconds"
        )
    if given.get("fault") not in FAULTS:
        raise ValueError(f"{given.get('fault')!r} is no fault; faults are {', '.join(FAULTS)}")
    for name, item in given.items():
        _check_field(name, item)
    given.setdefault("method", _USUAL_METHOD.get(given["fault"]))
    rule = Rule(**given)
    if for_seconds is not None:
        rule.until = now + float(for_seconds)
    return rule


# Without this a rule for lookups would also catch the POSTs, and the other way round.
_USUAL_METHOD = {"not_found": "GET", "late_creation": "POST"}
_NUMBERS = frozenset({"count", "probability", "seconds", "status"})


def _check_field(name: str, item: Any) -> None:
    if item is None:
        return
    if name not in _NUMBERS:
        if not isinstance(item, str):
            raise ValueError(f"{name} is {item!r}; it must be a string")
        return
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise TypeError(f"{name} is {item!r}; it must be a number")
    if name == "probability" and not 0 <= item <= 1:
        raise ValueError(f"probability is {item!r}; it must be between 0 and 1")


def chaos_rules(probability: float) -> list[Rule]:
    return [Rule(fault=name, probability=probability, **options) for name, options in CHAOS.items()]  # type: ignore[arg-type]
