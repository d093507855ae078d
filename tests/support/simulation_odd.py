"""Odd deeds that few seeds' options name: other settings, fractions, no pump for a while, hasty retries, a stranger's reference. By dice of their own.

They are apart from the swarm's dice, so that a new one moves no other seed's life.
"""

import base64
import json
import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from momo_worker.ledger.engine import LEDGER_FAILURES
from momo_worker.payment.operator import By
from momo_worker.payment.payment import Product
from momo_worker.payment.reference import reference_id
from momo_worker.simulator.messages import Request
from momo_worker.steps import operator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.simulation import Simulation

#: How often a life has each of them, besides its turn.
ODD = {
    "settings_change": 0.3,
    "fractions": 0.2,
    "pumps_away": 0.15,
    "retries": 0.4,
    "strangers": 0.15,
    "pauses_overlap": 0.15,
}
#: How many who have retried a payment cancel it within seconds.
_THINKS_AGAIN = 0.3


class Odd:
    """What else happens in one life."""

    def __init__(self, world: "Simulation") -> None:
        self.world = world
        self.rng = random.Random(f"odd {world.swarm.dice}")
        self.second_thoughts = random.Random(f"second thoughts {world.swarm.dice}")
        # By turns, so that a few seeds in a row meet all of them; and by the dice.
        in_turn = tuple(ODD)[world.swarm.seed % len(ODD)]
        diced = {name for name, often in ODD.items() if self.rng.random() < often}
        self.happens = {in_turn} | diced | {name for name in ODD if world.swarm.chance(name) > 0}
        self.happens -= set(world.swarm.without)
        self.pumps_back_at = 0.0
        #: References that a stranger used at MTN before we did.
        self.taken: set[str] = set()
        #: Those under which MTN had nothing yet, and may have later: no job of ours is sent under them.
        self.elsewhere: set[str] = set()

    def begin(self) -> None:
        early = self.world.swarm.spread_seconds
        late = early + 500.0
        deeds: dict[str, tuple[int, float, Callable[[int], None]]] = {
            "settings_change": (3, early + 300.0, self._other_settings),
            "fractions": (3, early, self._fraction),
            "retries": (self.rng.randint(5, 25), late, self._retry),
            "strangers": (3, early, self._stranger),
            "pauses_overlap": (1, early / 2, self._pause_within_a_pause),
            "pumps_away": (2, late, self._no_pump),
        }
        for name, (count, until, deed) in deeds.items():
            for number in range(count if name in self.happens else 0):
                self.world.scheduler.after(self.rng.uniform(0.0, until), partial(deed, number))

    def _retry(self, _number: int) -> None:
        """An operator in haste: any payment, in any state, and now and then two operators at once."""
        world = self.world
        ids = world.rows("SELECT id FROM payment WHERE state <> 'successful' ORDER BY state = 'failed' DESC, id")
        if not ids or not world.faults_on:
            return
        chosen = ids[min(int(self.rng.expovariate(4 / len(ids))), len(ids) - 1)]
        for _ in range(self.rng.choice((1, 1, 2))):
            try:
                decided = operator.retry(world.parts, chosen, by=By("operator", "haste"), producer_knows=True)
            except LEDGER_FAILURES:
                world.count("a retry met a failing ledger")
                continue
            said = "refused" if decided is not None and decided.refused else "done"
            world.count(f"retry {said}")
            world.tell(chosen, f"an operator retries: {said}")
            if said == "done" and self.second_thoughts.random() < _THINKS_AGAIN:
                world.scheduler.after(self.second_thoughts.uniform(0.0, 3.0), lambda: world.people.cancel(chosen))

    def pumps_rest_seconds(self) -> float:
        """How long no pump turns, from now."""
        return self.pumps_back_at - self.world.scheduler.now if self.world.faults_on else 0.0

    def rouse_who_held_these(self) -> None:
        """A worker that slept through its lease wakes at the worst moment: just when another has claimed its payment."""
        scheduler = self.world.scheduler
        mine = scheduler.current.fences if scheduler.current is not None else {}
        for other in scheduler.running:
            sleeps = other.fated and other.fate is not None
            lost = any(other.fences.get(reference, fence) < fence for reference, fence in mine.items())
            if sleeps and lost and self.rng.random() < 0.5:
                scheduler.rouse(other, self.rng.uniform(0.0, 0.02))
                self.world.count("sleeper wakes when another has claimed")

    def _other_settings(self, number: int) -> None:
        """A restart with another callback address, while payments are open: what was rendered stays as it is (M3)."""
        accounts = self.world.parts.accounts
        if not self.world.faults_on or not isinstance(accounts, dict):
            return
        for name, account in list(accounts.items()):
            accounts[name] = replace(account, callback_url=f"https://localhost:{8440 + number}/mtn")
        self.world.count("settings changed")

    def _fraction(self, number: int) -> None:
        """More decimals than the currency has: refused, never rounded (M12)."""
        world = self.world
        world.people.send(
            {
                "operation": "disburse",
                "idempotency_key": f"{world.swarm.seed}-fraction-{number}",
                "amount": f"{self.rng.randint(1, 9) * 1000}.50",
                "currency": "UGX",
                "msisdn": "256772123401",
                "account": "default",
            }
        )
        world.count("fraction")

    def _stranger(self, number: int) -> None:
        """Another installation under the same namespace has paid the very same job already: a 409 says that, and not by whom (M6)."""
        world = self.world
        job = {
            "operation": "disburse",
            "idempotency_key": f"{world.swarm.seed}-stranger-{number}",
            "amount": "7000",
            "currency": "UGX",
            "msisdn": "256772123401",
            "account": "default",
            "external_id": f"stranger-{number}",
        }
        account = world.parts.accounts["default"]
        ours = account.credentials[Product.DISBURSEMENT]
        reference = reference_id(world.parts.namespace, "default", "disburse", job["idempotency_key"], 1)
        basic = base64.b64encode(f"{ours.api_user}:{ours.api_key}".encode()).decode()
        key = {"Ocp-Apim-Subscription-Key": ours.subscription_key}
        token = self._at_mtn("/disbursement/token/", {**key, "Authorization": f"Basic {basic}"}, None)
        headers = {
            **key,
            "Authorization": f"Bearer {token.get('access_token')}",
            "X-Reference-Id": reference,
            "X-Target-Environment": account.market.target_environment,
            "Content-Type": "application/json",
        }
        body = {
            "amount": job["amount"],
            "currency": job["currency"],
            "externalId": job["external_id"],
            "payee": {"partyIdType": "MSISDN", "partyId": job["msisdn"]},
            "payerMessage": "theirs",
            "payeeNote": "theirs",
        }
        self._at_mtn("/disbursement/v1_0/transfer", headers, body)
        if world.mtn_rows(f"SELECT reference FROM payments WHERE reference = '{reference}'"):
            self.taken.add(reference)
            world.count("a stranger used our reference")
            world.people.send(job)
        else:
            self.elsewhere.add(reference)

    def _at_mtn(self, path: str, headers: dict[str, str], body: dict[str, Any] | None) -> dict[str, Any]:
        reply = self.world.model.handle(Request.of("POST", path, headers, json.dumps(body).encode() if body else b""))
        try:
            return dict(reply.json())
        except ValueError:
            return {}

    def not_ours(self) -> set[str]:
        """References under which what MTN moved was a stranger's, as far as this ledger says."""
        believed = set(
            self.world.rows(
                "SELECT a.reference_id FROM attempt AS a JOIN payment AS p ON p.id = a.payment_id WHERE p.state = 'successful'"
            )
        )
        return self.taken - believed

    def _pause_within_a_pause(self, _number: int) -> None:
        """Somebody pauses one account within a pause of all, and lifts the narrow one first: the wide one holds on (M13)."""
        people, after = self.world.people, self.world.scheduler.after
        people.pause("", "", 150.0)
        after(5.0, lambda: people.pause("default", "", 20.0))

    def _no_pump(self, number: int, tries_left: int = 200) -> None:
        """Every pump goes down, at the worst moment: when something may be sent again. Permissions grow old, leases end, nobody notices."""
        world = self.world
        waits = world.rows("SELECT 1 FROM payment WHERE state = 'unknown' AND work = 'send' LIMIT 1")
        if world.faults_on and not waits and tries_left:
            world.scheduler.after(1.0, lambda: self._no_pump(number, tries_left - 1))
        elif world.faults_on:
            self.pumps_back_at = world.scheduler.now + self.rng.uniform(300.0, 1500.0)
            world.count("no pump for a while")
