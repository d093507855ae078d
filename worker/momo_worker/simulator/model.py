"""A request comes in, MTN's reply goes out: the whole fake MTN, in-process. Never sleeps, starts a thread, opens a socket or reads a clock of its own.

What it does not imitate is in README.md beside this file and under GET /_simulator/about.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

from momo_worker.simulator import answers
from momo_worker.simulator.accounts import DEFAULT_ACCOUNTS, Account
from momo_worker.simulator.bank import NEVER, Bank, Callback, shown_status
from momo_worker.simulator.behaviour import Behaviour
from momo_worker.simulator.desk import Desk, is_visible
from momo_worker.simulator.faults import AFTER, BEFORE, CREATION, TOKEN, VIEW, Facts, Faults, Rule
from momo_worker.simulator.gateway import Caller, Gateway
from momo_worker.simulator.interference import altered_answer, instead_of_handling
from momo_worker.simulator.messages import Reply, Request, json_reply
from momo_worker.simulator.record import Record
from momo_worker.simulator.rendering import status_body
from momo_worker.simulator.routes import Route, find_route
from momo_worker.simulator.store import Row, Store
from momo_worker.simulator.subscribers import Subscribers
from momo_worker.simulator.validation import Refusal, check_environment, json_object, reference_in_path

Clock = Callable[[], float]


class Model:
    """`clock` returns seconds since 1970; `chance` is seeded by the caller: same seed, same requests, same times, same answers."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: random.Random,
        accounts: Sequence[Account] = DEFAULT_ACCOUNTS,
        behaviour: Behaviour | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.accounts = {account.name: account for account in accounts}
        self._first_behaviour = behaviour or Behaviour()
        self.behaviour = self._first_behaviour
        self.gateway = Gateway(store, accounts, chance)
        self.bank = Bank(store, accounts)
        self.desk = Desk(self.bank, store, chance)
        self.subscribers = Subscribers()
        self.faults = Faults(chance)
        self.record = Record(clock())
        self._next_due = self.bank.next_due()

    def handle(self, request: Request) -> Reply:
        now = self.clock()
        self.advance(now)
        path = request.path.partition("?")[0]
        route = find_route(request.method, path)
        try:
            reply = self._answer(request, path, route, now)
        except Refusal as refusal:
            reply = refusal.reply
        self._note(request, route, reply, now)
        return reply

    def advance(self, now: float) -> None:
        """Let everything happen that is due by `now`: late requests arrive, payments end, money moves."""
        if now < self._next_due:
            return
        with self.store.transaction():
            self._take_late_requests(now)
            self.bank.settle_due(now, self.behaviour)
        self._next_due = self.bank.next_due()

    def due_callbacks(self, now: float) -> list[Callback]:
        self.advance(now)
        return self.bank.take_due_callbacks(now)

    def callback_done(self, callback: Callback, outcome: str) -> None:
        self.record.callbacks[outcome] += 1
        self.bank.callback_outcome(callback.callback_id, outcome)

    def reset(self) -> None:
        """As on the first day: no payments, tokens, users, people set by hand, faults or counts; balances and settings as they were given."""
        with self.store.transaction():
            self.store.empty()
            self.bank.open_balances()
        self.gateway.forget_cached()
        self.faults.clear()
        self.subscribers.clear()
        self.behaviour = self._first_behaviour
        self.record = Record(self.clock())
        self._next_due = NEVER

    def _answer(self, request: Request, path: str, route: Route | None, now: float) -> Reply:
        if "//" in path:
            return answers.bad_request()
        if request.method == "POST" and request.header("content-length") is None:
            return answers.length_required()
        if route is None:
            return answers.no_such_path()
        caller = self.gateway.caller(request, route.product)
        facts = self._facts(request, route, caller, now)
        self._count_status_read(route, caller, now)
        before = self.faults.first(BEFORE, facts, now)
        if before is not None:
            return self._interfered(before, request, route, caller, now)
        try:
            reply = self._handle(request, route, caller, facts, now)
        except Refusal as refusal:
            reply = refusal.reply
        return self._after(reply, route, facts, now)

    def _interfered(self, rule: Rule, request: Request, route: Route, caller: Caller, now: float) -> Reply:
        if rule.fault == "late_creation" and route.creates:
            api_user = self.gateway.bearer(request, caller, now)
            due_at = now + rule.seconds_or(10.0)
            self.desk.keep_for_later(request, caller.account, api_user, due_at)
            self._next_due = min(self._next_due, due_at)
        return instead_of_handling(rule)

    def _after(self, reply: Reply, route: Route, facts: Facts, now: float) -> Reply:
        applies = partial(_applies, reply.status, created=route.creates and reply.status == HTTPStatus.ACCEPTED)
        for rule in self.faults.all(AFTER, facts, now, applies):
            reply = altered_answer(rule, reply)
        return reply

    def _handle(self, request: Request, route: Route, caller: Caller, facts: Facts, now: float) -> Reply:
        if not route.product:
            return self._provision(request, route, caller)
        if route.operation == "token":
            return self._token(request, caller, facts, now)
        api_user = self.gateway.bearer(request, caller, now)
        if route.creates:
            return self._create(request, route, caller.account, api_user, facts, now)
        if request.body:
            # ERR: a body where none is taken.
            return answers.bad_request()
        check_environment(request, caller.account)
        return self._read(route, caller, api_user, facts, now)

    def _read(self, route: Route, caller: Caller, api_user: str, facts: Facts, now: float) -> Reply:
        if route.reads_status:
            return self._status(route, caller.account, api_user, facts, now)
        if route.operation == "balance":
            return self._balance(route, caller)
        return self.subscribers.answer(route, caller.account, self.faults.all(VIEW, facts, now))

    def _create(
        self, request: Request, route: Route, account: Account, api_user: str, facts: Facts, now: float
    ) -> Reply:
        host = self._callback_host(account, api_user)
        draw = partial(self.faults.all, CREATION, facts, now)
        with self.store.transaction():
            reply = self.desk.submit(request, route, account, api_user, host, draw, now, self.behaviour)
        self._next_due = min(self._next_due, self.desk.last_settles_at)
        return reply

    def _callback_host(self, account: Account, api_user: str) -> str:
        user = self.gateway.user(account, api_user)
        return user.callback_host if user is not None else ""

    def _take_late_requests(self, now: float) -> None:
        for late in self.desk.take_late(now):
            account = self.accounts[late.account]
            route = find_route("POST", late.request.path.partition("?")[0])
            if route is not None:
                host = self._callback_host(account, late.api_user)
                # Nobody is there to be answered; a 409 or 400 by now is MTN's business alone.
                self.desk.submit(late.request, route, account, late.api_user, host, list, late.due_at, self.behaviour)

    def _status(self, route: Route, account: Account, api_user: str, facts: Facts, now: float) -> Reply:
        """Only the API user that made it finds it; to anybody else it is unknown (OAS says so of the delivery notification)."""
        reference = reference_in_path(route.values[0])
        for row in self.bank.find(reference, now, self.behaviour):
            if (row["account"], row["operation"], row["api_user"]) == (
                account.name,
                route.operation,
                api_user,
            ) and is_visible(row, now):
                twists = self.faults.all(VIEW, facts, now)
                return json_reply(200, status_body(row, shown_status(row, now), self.behaviour.reason_form, twists))
        return answers.unknown_reference()

    def _balance(self, route: Route, caller: Caller) -> Reply:
        account = caller.account
        if route.values and route.values[0] != account.currency:
            return answers.coded(500, "INVALID_CURRENCY")
        amount = self.bank.balance(account, caller.subscription.product)
        return json_reply(200, {"availableBalance": amount, "currency": account.currency})

    def _token(self, request: Request, caller: Caller, facts: Facts, now: float) -> Reply:
        self.record.tokens[_subscription_name(caller)] += 1
        rule = self.faults.first(TOKEN, facts, now)
        if rule is not None and rule.fault == "login_failed":
            return answers.login_failed(rule.status or self.behaviour.login_failed_status)
        life_seconds = rule.seconds_or(5.0) if rule is not None else None
        return self.gateway.mint(request, caller, self.behaviour, now, life_seconds)

    def _provision(self, request: Request, route: Route, caller: Caller) -> Reply:
        """Only the sandbox makes API users by API (FAQ: markets have a portal)."""
        if not caller.account.is_sandbox:
            return answers.no_such_path()
        if route.operation == "apikey":
            return self.gateway.create_key(caller.account, route.values[0])
        if route.method == "POST":
            return self.gateway.create_user(request, caller.account)
        return self.gateway.show_user(caller.account, route.values[0])

    def _count_status_read(self, route: Route, caller: Caller, now: float) -> None:
        if not route.reads_status:
            return
        name, cap = _subscription_name(caller), self.behaviour.status_reads_per_second
        self.record.status_read(name, now, cap, route.values[0])
        if self.behaviour.status_cap_enforced:
            wait_seconds = self.record.may_read(name, now, cap)
            if wait_seconds > 0:
                raise Refusal(answers.too_many(max(1, round(wait_seconds))))

    def _facts(self, request: Request, route: Route, caller: Caller, now: float) -> Facts:
        payment = partial(self._payment_facts, request, route, now)
        return Facts(route.operation, route.method, route.product, caller.account.name, payment)

    def _payment_facts(self, request: Request, route: Route, now: float) -> Mapping[str, str]:
        if route.creates:
            return _facts_of_body(request)
        if not route.reads_status:
            return {"msisdn": route.values[1]} if len(route.values) > 1 else {}
        rows: list[Row] = self.bank.find(route.values[0].lower(), now, self.behaviour)
        stored = {"msisdn": rows[0]["party_id"] or "", "external_id": rows[0]["external_id"] or ""} if rows else {}
        return {"reference": route.values[0].lower(), **stored}

    def _note(self, request: Request, route: Route | None, reply: Reply, now: float) -> None:
        name = route.name if route is not None else f"{request.method} (no such path)"
        label = str(reply.status) if reply.delivery.kind == "answered" else f"{reply.status} {reply.delivery.kind}"
        self.record.answered(name, label)
        if request.method == "POST":
            reference = (request.header("x-reference-id") or "").lower()
            operation = route.operation if route is not None else ""
            self.record.posted(now, operation, reference, label)


def _subscription_name(caller: Caller) -> str:
    return f"{caller.account.name}/{caller.subscription.product}"


def _applies(status: int, rule: Rule, *, created: bool) -> bool:
    """A fault 'after creation' waits for a creation; a conflict's body can only be taken from a conflict."""
    if rule.fault == "empty_conflict":
        return status == HTTPStatus.CONFLICT
    return created or not rule.fault.endswith("_after_creation")


def _facts_of_body(request: Request) -> Mapping[str, str]:
    facts = {"reference": (request.header("x-reference-id") or "").lower()}
    try:
        value = json_object(request.body)
    except Refusal:
        return facts
    party = value.get("payer") or value.get("payee")
    number = party.get("partyId") if isinstance(party, dict) else None
    return {**facts, "msisdn": str(number or ""), "external_id": str(value.get("externalId") or "")}
