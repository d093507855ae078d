"""A request to the control door (/_simulator/, /healthz) comes in, what the simulator knows or a changed setting goes out. MTN has no such door."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from momo_worker.simulator.accounts import account_as_json
from momo_worker.simulator.faults import FAULTS, chaos_rules, rule_from_json
from momo_worker.simulator.messages import Reply, Request, json_reply
from momo_worker.simulator.model import Model
from momo_worker.simulator.store import Row
from momo_worker.simulator.validation import money_text

PREFIX = "/_simulator/"
Door = Callable[[dict[str, str], Any], Any]
_LIMIT_MAX = 1_000_000
_TOTALS = """
SELECT account, operation, currency, decimals, count(*) AS count, sum(amount_minor) AS amount_minor
FROM movements GROUP BY account, operation, currency, decimals ORDER BY account, operation
"""
_DOUBLES = (
    "SELECT {column} AS it, count(*) AS n FROM movements WHERE {column} IS NOT NULL GROUP BY {column} HAVING n > 1"
)
NOT_IMITATED = (
    "the wallet itself: PINs, prompts on a phone, fees, limits, registration of numbers",
    "TLS, certificates, MTN's list of authorities, port 443 of a callback",
    "callback retries after an answer that is not 200 (the sources contradict one another); https callbacks; callbacks to other hosts than loopback",
    "cash-out (requesttowithdraw), invoice, v2 payment, preapproval, delivery notification, bc-authorize, oauth2, remittance",
    "MTN's order of checks, its scope and retention of references, its rate limits other than status reads: unpublished, so settings here",
    "the address whitelist and quotas of production: only as faults that are set",
    "outages that follow one another as real ones do; latency of a real network",
)


class Control:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._doors: dict[tuple[str, str], Door] = {
            ("GET", "about"): lambda *_: self._about(),
            ("GET", "movements"): lambda query, _: self._movements(query),
            ("GET", "record"): lambda *_: self._record(),
            ("GET", "requests"): lambda query, _: self._requests(query),
            ("GET", "payments"): lambda query, _: self._payments(query),
            ("GET", "callbacks"): lambda *_: self._callbacks(),
            ("GET", "faults"): lambda *_: self._faults(),
            ("POST", "faults"): lambda _, body: self._add_faults(body),
            ("DELETE", "faults"): lambda *_: self._clear_faults(),
            ("GET", "settings"): lambda *_: asdict(model.behaviour),
            ("POST", "settings"): lambda _, body: self._change_settings(body),
            ("GET", "holders"): lambda *_: {"holders": model.subscribers.as_json()},
            ("POST", "holders"): lambda _, body: self._put_holders(body),
            ("POST", "balances"): lambda _, body: self._set_balance(body),
            ("DELETE", "tokens"): lambda *_: {"ended": model.gateway.end_tokens(model.clock())},
            ("POST", "reset"): lambda *_: self._reset(),
        }

    def handle(self, request: Request) -> Reply:
        path, _, query = request.path.partition("?")
        if path == "/healthz":
            return json_reply(200, {"status": "ok"})
        door = self._doors.get((request.method, path.removeprefix(PREFIX)))
        if door is None:
            doors = ", ".join(f"{method} {PREFIX}{name}" for method, name in self._doors)
            return json_reply(404, {"error": f"no such door; there are {doors}"})
        self._model.advance(self._model.clock())
        try:
            return json_reply(200, door(dict(parse_qsl(query)), json.loads(request.body or b"null")))
        except (ValueError, TypeError, KeyError) as error:
            return json_reply(400, {"error": f"{type(error).__name__}: {error}"})

    def _about(self) -> dict[str, Any]:
        return {
            "what": "a stateful fake of MTN Mobile Money for tests and demonstrations; no money moves",
            "does_not_imitate": list(NOT_IMITATED),
            "accounts": [account_as_json(account) for account in self._model.accounts.values()],
            "faults": {name: text for name, (_, text) in FAULTS.items()},
            "readme": str(Path(__file__).with_name("README.md")),
        }

    def _movements(self, query: dict[str, str]) -> dict[str, Any]:
        """Totals and doubles are over everything; the list itself can be paged with `after` and `limit`."""
        store, after, limit = self._model.store, int(query.get("after", "0")), int(query.get("limit", str(_LIMIT_MAX)))
        rows = store.rows("SELECT * FROM movements WHERE id > ? ORDER BY id LIMIT ?", after, limit)
        references, external_ids = (self._doubles(column) for column in ("reference", "external_id"))
        named = [row["external_id"] for row in rows if row["external_id"] is not None]
        totals = [_total(row) for row in store.rows(_TOTALS)]
        return {
            "count": sum(total["count"] for total in totals),
            "totals": totals,
            "doubles": {"references": references, "external_ids": external_ids},
            "balances": self._balances(),
            "movements": [_movement(row) for row in rows],
            "by_reference": {row["reference"]: references.get(row["reference"], 1) for row in rows},
            "by_external_id": {one: external_ids.get(one, 1) for one in named},
        }

    def _doubles(self, column: str) -> dict[str, int]:
        """How often, where more than once. A reference must never be here; external ids may repeat by the payer's wish."""
        rows = self._model.store.rows(_DOUBLES.format(column=column))
        return {row["it"]: row["n"] for row in rows}

    def _balances(self) -> dict[str, dict[str, str]]:
        accounts = self._model.accounts.values()
        products = {a.name: [s.product for s in a.subscriptions] for a in accounts}
        return {a.name: {one: self._model.bank.balance(a, one) for one in products[a.name]} for a in accounts}

    def _record(self) -> dict[str, Any]:
        rows = self._model.store.rows("SELECT status, count(*) AS payments FROM payments GROUP BY status")
        payments = {row["status"]: row["payments"] for row in rows}
        return {**self._model.record.as_json(), "payments": payments, "faults": dict(self._model.faults.hits)}

    def _requests(self, query: dict[str, str]) -> dict[str, Any]:
        """POSTs by arrival; `since` is a time in seconds, so that a test can see when a pause took hold."""
        since, operation = float(query.get("since", "0")), query.get("operation")
        posts = self._model.record.posts
        found = [one._asdict() for one in posts if one.at >= since and operation in (None, one.operation)]
        return {"now": self._model.clock(), "count": len(found), "requests": found}

    def _payments(self, query: dict[str, str]) -> dict[str, Any]:
        clause = "WHERE reference = ?" if "reference" in query else "WHERE id > ?"
        value: Any = query["reference"].lower() if "reference" in query else int(query.get("after", "0"))
        rows = self._model.store.rows(f"SELECT * FROM payments {clause} ORDER BY id LIMIT 1000", value)  # noqa: S608 - one of two clauses above
        return {"payments": [dict(row) for row in rows]}

    def _callbacks(self) -> dict[str, Any]:
        return {
            "callbacks": [
                dict(row) for row in self._model.store.rows("SELECT * FROM callbacks ORDER BY id DESC LIMIT 1000")
            ]
        }

    def _faults(self) -> dict[str, Any]:
        return {"faults": self._model.faults.as_json()}

    def _add_faults(self, body: Any) -> dict[str, Any]:
        """One rule, a list of rules, or {"chaos": probability}."""
        if isinstance(body, dict) and "chaos" in body:
            rules = chaos_rules(float(body["chaos"]))
        else:
            rules = [rule_from_json(one, self._model.clock()) for one in (body if isinstance(body, list) else [body])]
        for rule in rules:
            self._model.faults.add(rule)
        return self._faults()

    def _clear_faults(self) -> dict[str, Any]:
        self._model.faults.clear()
        return self._faults()

    def _change_settings(self, body: Any) -> dict[str, Any]:
        self._model.behaviour = self._model.behaviour.changed(body)
        return asdict(self._model.behaviour)

    def _put_holders(self, body: Any) -> dict[str, Any]:
        """One account holder, or a list of them."""
        for one in body if isinstance(body, list) else [body]:
            self._model.subscribers.put(one)
        return {"holders": len(self._model.subscribers.as_json())}

    def _set_balance(self, body: Any) -> dict[str, Any]:
        account = self._model.accounts[body["account"]]
        self._model.bank.set_balance(account, body["product"], body["amount"])
        return self._balances()

    def _reset(self) -> dict[str, Any]:
        self._model.reset()
        return {"reset": True}


def _total(row: Row) -> dict[str, Any]:
    shown = {name: row[name] for name in ("account", "operation", "currency", "count")}
    return {**shown, "amount": money_text(row["amount_minor"], row["decimals"])}


def _movement(row: Row) -> dict[str, Any]:
    hidden = {"amount_minor", "decimals", "payment_id"}
    shown = {name: row[name] for name in dict(row) if name not in hidden}
    return {**shown, "amount": money_text(row["amount_minor"], row["decimals"])}
