"""A checked request comes in; a payment is written or MTN's refusal goes out. Runs inside its caller's transaction, never begins one."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from momo_worker.simulator import answers
from momo_worker.simulator.accounts import Account
from momo_worker.simulator.bank import NEVER, Bank, CallbackPlan
from momo_worker.simulator.behaviour import Behaviour
from momo_worker.simulator.faults import Rule
from momo_worker.simulator.messages import Reply, Request, empty_reply
from momo_worker.simulator.outcomes import Plan, plan_payment, plan_refund
from momo_worker.simulator.routes import Route
from momo_worker.simulator.store import Row, Store
from momo_worker.simulator.validation import Draft, Refusal, callback_url_of, check_environment, draft_of, reference_of

DrawFaults = Callable[[], list[Rule]]


@dataclass(frozen=True, slots=True)
class LateRequest:
    account: str
    api_user: str
    due_at: float
    request: Request


class Desk:
    def __init__(self, bank: Bank, store: Store, chance: random.Random) -> None:
        self._bank = bank
        self._store = store
        self._chance = chance
        self.last_settles_at = NEVER

    def submit(
        self,
        request: Request,
        route: Route,
        account: Account,
        api_user: str,
        callback_host: str,
        draw_faults: DrawFaults,
        now: float,
        behaviour: Behaviour,
    ) -> Reply:
        """Headers first, then the body, then whether the reference is used, then what only the wallet knows. MTN's own order is not published."""
        self.last_settles_at = NEVER
        who = {
            "account": account.name,
            "product": route.product,
            "operation": route.operation,
            "version": route.version,
            "api_user": api_user,
        }
        try:
            who["reference"] = reference_of(request)
            check_environment(request, account)
            callback_url = callback_url_of(request, callback_host)
            draft = draft_of(request.body, route.operation, account)
            self._check_unused(who, now, behaviour)
            self._check_wallet(draft, route, account, behaviour)
        except Refusal as refusal:
            self._use_up(who, refusal.reply, now, behaviour)
            return refusal.reply
        faults = {rule.fault: rule for rule in draw_faults()}
        if "vanish" in faults:
            return empty_reply(202)
        self._write(who, draft, callback_url, account, faults, now, behaviour)
        return empty_reply(202)

    def _write(
        self,
        who: dict[str, str],
        draft: Draft,
        callback_url: str | None,
        account: Account,
        faults: dict[str, Rule],
        now: float,
        behaviour: Behaviour,
    ) -> None:
        plan = _twisted(self._plan(who["operation"], draft, account, behaviour), faults)
        party = self._bank.collection(account.name, draft.refund_of) if draft.refund_of else None
        settles_at = None if plan.settle_seconds is None else now + plan.settle_seconds
        values: dict[str, Any] = {
            **who,
            "amount": draft.amount,
            "amount_minor": draft.amount_minor,
            "currency": draft.currency,
            "external_id": draft.external_id,
            "party_type": party["party_type"] if party is not None else draft.party_type,
            "party_id": party["party_id"] if party is not None else draft.party_id,
            "payer_message": draft.payer_message,
            "payee_note": draft.payee_note,
            "refund_of": draft.refund_of,
            "callback_url": callback_url,
            "created_at": now,
            "visible_at": now + _seconds(faults, "visibility_lag", 3.0),
            "forget_at": now + _seconds(faults, "forget", 60.0) if "forget" in faults else None,
            "status": plan.shown_until_then,
            "status_lag_seconds": _seconds(faults, "status_lag", 2.0),
            "settles_at": settles_at,
            "planned_status": plan.status,
            "planned_reason": plan.reason,
        }
        self._bank.create(values, _callbacks(faults, behaviour), now, behaviour)
        self.last_settles_at = NEVER if settles_at is None else settles_at

    def _plan(self, operation: str, draft: Draft, account: Account, behaviour: Behaviour) -> Plan:
        if operation == "refund":
            return plan_refund(account, draft.refund_of or "", behaviour, self._chance)
        return plan_payment(account, operation, (draft.party_type or "", draft.party_id or ""), behaviour, self._chance)

    def _check_unused(self, who: dict[str, str], now: float, behaviour: Behaviour) -> None:
        """The text says 'already used', so a failed payment's reference is used as well."""
        scope = {
            "environment": ("account",),
            "product": ("account", "product"),
            "api_user": ("account", "product", "api_user"),
        }
        columns = scope[behaviour.reference_scope]
        for row in self._bank.find(who["reference"], now, behaviour):
            if all(row[column] == who[column] for column in columns):
                if row["status"] != "REFUSED" and now - row["created_at"] < behaviour.racing_window_seconds:
                    continue
                raise Refusal(empty_reply(409) if behaviour.empty_conflict else answers.used_reference())

    def _check_wallet(self, draft: Draft, route: Route, account: Account, behaviour: Behaviour) -> None:
        if draft.currency != account.currency:
            raise Refusal(answers.coded(500, "INVALID_CURRENCY"))
        if not account.is_sandbox and "" in (draft.payer_message, draft.payee_note):
            # LMM#69: an empty note was answered 500 in production.
            raise Refusal(answers.coded(500, "INTERNAL_PROCESSING_ERROR"))
        if route.operation == "refund" and behaviour.refund_check == "at_post":
            obstacle = self._bank.refund_obstacle(account, draft.refund_of or "", draft.amount_minor)
            if obstacle is not None:
                raise Refusal(answers.coded(500, obstacle))

    def _use_up(self, who: dict[str, str], reply: Reply, now: float, behaviour: Behaviour) -> None:
        """Open at MTN: whether a refused POST uses its reference up. Then: 409 for every later POST, 404 for every look."""
        if behaviour.refused_post_uses_reference and "reference" in who and reply.status != HTTPStatus.CONFLICT:
            blank = {
                "amount": "",
                "amount_minor": 0,
                "currency": "",
                "status": "REFUSED",
                "created_at": now,
                "visible_at": NEVER,
            }
            self._store.insert("payments", {**who, **blank})

    def keep_for_later(self, request: Request, account: Account, api_user: str, due_at: float) -> None:
        headers = json.dumps({"headers": dict(request.headers), "api_user": api_user})
        values = {
            "due_at": due_at,
            "account": account.name,
            "path": request.path,
            "headers": headers,
            "body": request.body,
        }
        self._store.insert("late_requests", values)

    def take_late(self, now: float) -> list[LateRequest]:
        rows = self._store.rows("SELECT * FROM late_requests WHERE due_at <= ? ORDER BY due_at, id", now)
        self._store.run("DELETE FROM late_requests WHERE due_at <= ?", now)
        return [_late(row) for row in rows]


def is_visible(row: Row, now: float) -> bool:
    return row["status"] != "REFUSED" and bool(now >= row["visible_at"])


def _late(row: Row) -> LateRequest:
    kept = json.loads(row["headers"])
    return LateRequest(
        row["account"], kept["api_user"], row["due_at"], Request("POST", row["path"], kept["headers"], row["body"])
    )


def _seconds(faults: dict[str, Rule], name: str, otherwise: float) -> float:
    return faults[name].seconds_or(otherwise) if name in faults else 0.0


def _twisted(plan: Plan, faults: dict[str, Rule]) -> Plan:
    if "fail" in faults:
        plan = Plan(
            faults["fail"].seconds_or(plan.settle_seconds or 0.0),
            "FAILED",
            faults["fail"].code or "INTERNAL_PROCESSING_ERROR",
        )
    if "late_success" in faults:
        plan = Plan(faults["late_success"].seconds_or(30.0))
    if "stuck_pending" in faults:
        plan = Plan(None)
    if "created_status" in faults:
        plan = Plan(plan.settle_seconds, plan.status, plan.reason, "CREATED")
    return plan


def _callbacks(faults: dict[str, Rule], behaviour: Behaviour) -> CallbackPlan:
    first = behaviour.callback_delay_seconds + _seconds(faults, "callback_late", 5.0)
    times: tuple[float, ...] = (first,)
    if "callback_twice" in faults or behaviour.callback_mode == "twice":
        repeat = (
            faults["callback_twice"].seconds_or(behaviour.callback_repeat_seconds)
            if "callback_twice" in faults
            else behaviour.callback_repeat_seconds
        )
        times = (first, first + repeat)
    if "callback_never" in faults or behaviour.callback_mode == "never":
        times = ()
    forged = faults.get("callback_forged")
    return CallbackPlan(times, (forged.seconds_or(0.0), forged.code or "SUCCESSFUL") if forged is not None else None)
