"""Payments and time come in; states, balances, movements and due callbacks go out. The only file that moves money. Never speaks HTTP."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from momo_worker.simulator.accounts import Account
from momo_worker.simulator.behaviour import Behaviour
from momo_worker.simulator.outcomes import TEST_REFUNDS
from momo_worker.simulator.rendering import status_body
from momo_worker.simulator.store import Row, Store
from momo_worker.simulator.validation import money_text

FINANCIAL_ID_START = 400_000_000
NEVER = float("inf")
_FINAL = ("SUCCESSFUL", "FAILED")


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback that is due; `callback_id` is for saying afterwards what became of it."""

    callback_id: int
    reference: str
    method: str
    url: str
    body: bytes


@dataclass(frozen=True, slots=True)
class CallbackPlan:
    """`times` are delays after the end; `forged` is a delay after creation, with the status that is claimed."""

    times: tuple[float, ...]
    forged: tuple[float, str] | None = None


class Bank:
    def __init__(self, store: Store, accounts: Sequence[Account]) -> None:
        self._store = store
        self._accounts = {account.name: account for account in accounts}
        self.open_balances()

    def open_balances(self) -> None:
        """Starting money, once per data file: a restart doesn't fill a float up again."""
        for account in self._accounts.values():
            for one in account.subscriptions:
                minor = minor_units(one.starting_balance, account.decimals)
                sql = "INSERT INTO balances VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
                self._store.run(sql, account.name, one.product, minor)

    def balance(self, account: Account, product: str) -> str:
        row = self._store.one(
            "SELECT amount_minor FROM balances WHERE account = ? AND product = ?", account.name, product
        )
        return money_text(row["amount_minor"] if row is not None else 0, account.decimals)

    def set_balance(self, account: Account, product: str, amount: str) -> None:
        minor = minor_units(amount, account.decimals)
        self._store.run(
            "UPDATE balances SET amount_minor = ? WHERE account = ? AND product = ?", minor, account.name, product
        )

    def find(self, reference: str, now: float, behaviour: Behaviour) -> list[Row]:
        """All payments under a reference that MTN still remembers, the newest first."""
        rows = self._store.rows("SELECT * FROM payments WHERE reference = ? ORDER BY id DESC", reference)
        return [row for row in rows if not _forgotten(row, now, behaviour)]

    def create(self, values: dict[str, Any], callbacks: CallbackPlan, now: float, behaviour: Behaviour) -> None:
        plan = json.dumps(callbacks.times) if values["callback_url"] else None
        payment_id = self._store.insert("payments", {**values, "callback_plan": plan})
        if callbacks.forged is not None and values["callback_url"]:
            delay_seconds, claimed = callbacks.forged
            row = self._payment(payment_id)
            forged = {**dict(row), "financial_id": "666", "reason": "INTERNAL_PROCESSING_ERROR"}
            self._schedule(forged, claimed, now + delay_seconds, behaviour, forged=True)

    def next_due(self) -> float:
        row = self._store.one(
            "SELECT min(settles_at) AS payments, (SELECT min(due_at) FROM late_requests) AS late FROM payments WHERE settles_at IS NOT NULL"
        )
        if row is None:
            return NEVER
        return min(NEVER if row[name] is None else row[name] for name in ("payments", "late"))

    def settle_due(self, now: float, behaviour: Behaviour) -> None:
        for row in self._store.rows("SELECT * FROM payments WHERE settles_at <= ? ORDER BY settles_at, id", now):
            self._settle(row, behaviour)

    def _settle(self, row: Row, behaviour: Behaviour) -> None:
        status, reason = row["planned_status"], row["planned_reason"]
        if status == "SUCCESSFUL":
            reason = self._obstacle(row, behaviour)
            status = "SUCCESSFUL" if reason is None else "FAILED"
        financial_id = self._move(row) if status == "SUCCESSFUL" else None
        self._store.run(
            "UPDATE payments SET status = ?, reason = ?, financial_id = ?, settled_at = settles_at, settles_at = NULL WHERE id = ?",
            status,
            reason,
            financial_id,
            row["id"],
        )
        for delay_seconds in json.loads(row["callback_plan"] or "[]"):
            self._schedule(self._payment(row["id"]), status, row["settles_at"] + delay_seconds, behaviour)

    def _obstacle(self, row: Row, behaviour: Behaviour) -> str | None:
        """Why a payment that was to succeed can't; takes the money off the float if it can."""
        if row["operation"] == "requesttopay":
            return None
        if row["operation"] == "refund" and behaviour.refund_check != "none":
            refusal = self.refund_obstacle(self._accounts[row["account"]], row["refund_of"], row["amount_minor"])
            if refusal is not None:
                return refusal
        sql = "UPDATE balances SET amount_minor = amount_minor - ? WHERE account = ? AND product = ? AND amount_minor >= ?"
        taken = self._store.run(sql, row["amount_minor"], row["account"], row["product"], row["amount_minor"])
        return None if taken else behaviour.short_float_reason

    def refund_obstacle(self, account: Account, refund_of: str, amount_minor: int) -> str | None:
        """A refund needs a successful request to pay of the same account, and what was refunded before counts (our guess; MTN says nothing)."""
        if account.is_sandbox and refund_of in TEST_REFUNDS:
            return None
        collection = self.collection(account.name, refund_of)
        if collection is None:
            return "RESOURCE_NOT_FOUND"
        sql = "SELECT coalesce(sum(amount_minor), 0) AS refunded FROM movements WHERE account = ? AND operation = 'refund' AND refund_of = ?"
        row = self._store.one(sql, account.name, refund_of)
        refunded = row["refunded"] if row is not None else 0
        return "NOT_ALLOWED" if refunded + amount_minor > collection["amount_minor"] else None

    def collection(self, account: str, reference: str) -> Row | None:
        sql = "SELECT * FROM payments WHERE account = ? AND reference = ? AND operation = 'requesttopay' AND status = 'SUCCESSFUL'"
        return self._store.one(sql, account, reference)

    def _move(self, row: Row) -> str:
        direction = "in" if row["operation"] == "requesttopay" else "out"
        if direction == "in":
            sql = "UPDATE balances SET amount_minor = amount_minor + ? WHERE account = ? AND product = ?"
            self._store.run(sql, row["amount_minor"], row["account"], row["product"])
        copied = (
            "account",
            "product",
            "operation",
            "reference",
            "amount_minor",
            "currency",
            "external_id",
            "refund_of",
        )
        values = {name: row[name] for name in copied} | {
            "payment_id": row["id"],
            "msisdn": row["party_id"],
            "direction": direction,
        }
        values |= {"decimals": self._accounts[row["account"]].decimals, "at": row["settles_at"]}
        return str(FINANCIAL_ID_START + self._store.insert("movements", values))

    def _payment(self, payment_id: int) -> Row:
        row = self._store.one("SELECT * FROM payments WHERE id = ?", payment_id)
        if row is None:
            raise LookupError(f"payment {payment_id} has just been written and isn't there")
        return row

    def _schedule(self, row: Row, status: str, due_at: float, behaviour: Behaviour, *, forged: bool = False) -> None:
        """The body is like the status answer, with the reason as a bare string and without the reference (NKAP, 121)."""
        verb = behaviour.callback_verb
        method = ("PUT" if row["version"] == "v2_0" else "POST") if verb == "by_version" else verb
        body = json.dumps(status_body(row, status, "string", []), ensure_ascii=False, separators=(",", ":"))
        values = {"payment_id": row["id"], "reference": row["reference"], "method": method, "url": row["callback_url"]}
        self._store.insert("callbacks", values | {"body": body, "forged": int(forged), "due_at": due_at})

    def take_due_callbacks(self, now: float) -> list[Callback]:
        """Each is handed out once; a crash between here and the wire is a callback that MTN never sent."""
        rows = self._store.rows(
            "SELECT * FROM callbacks WHERE taken_at IS NULL AND due_at <= ? ORDER BY due_at, id LIMIT 100", now
        )
        for row in rows:
            self._store.run("UPDATE callbacks SET taken_at = ? WHERE id = ?", now, row["id"])
        return [Callback(row["id"], row["reference"], row["method"], row["url"], row["body"].encode()) for row in rows]

    def callback_outcome(self, callback_id: int, outcome: str) -> None:
        self._store.run("UPDATE callbacks SET outcome = ? WHERE id = ?", outcome, callback_id)


def minor_units(amount: str, decimals: int) -> int:
    """An amount of our own configuration or control door; it must be exact."""
    whole, _, cents = amount.partition(".")
    if not whole.isdigit() or len(cents) > decimals or (cents and not cents.isdigit()):
        raise ValueError(f"amount is {amount!r}; it must be digits with at most {decimals} decimals")
    return int(whole + cents.ljust(decimals, "0"))


def shown_status(row: Row, now: float) -> str:
    """What a status read says: with a lag, a final state stays hidden for a while (NKAP: the callback came first)."""
    status: str = row["status"]
    if status in _FINAL and row["settled_at"] is not None and now < row["settled_at"] + row["status_lag_seconds"]:
        return "PENDING"
    return status


def _forgotten(row: Row, now: float, behaviour: Behaviour) -> bool:
    if row["forget_at"] is not None and now >= row["forget_at"]:
        return True
    return behaviour.forget_after_seconds is not None and now >= row["created_at"] + behaviour.forget_after_seconds
