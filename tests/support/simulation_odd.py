"""Odd deeds that few seeds' options name: settings that change, amounts with a fraction, minutes without any pump. By dice of their own.

They are apart from the swarm's dice, so that a new one moves no other seed's life.
"""

import random
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

#: How often a life has each of them.
ODD = {"settings_change": 0.3, "fractions": 0.2, "pumps_away": 0.15}


class Odd:
    """What else happens in one life."""

    def __init__(self, world: "Simulation") -> None:
        self.world = world
        self.rng = random.Random(f"odd {world.swarm.seed}")
        happens = {name: self.rng.random() < often for name, often in ODD.items()}
        self.happens = {name for name, does in happens.items() if does or world.swarm.chance(name) > 0}
        self.pumps_back_at = 0.0

    def begin(self) -> None:
        world, rng = self.world, self.rng
        busy = world.swarm.spread_seconds
        if "settings_change" in self.happens:
            for number in range(1, 4):
                world.scheduler.after(rng.uniform(1.0, busy + 300.0), lambda n=number: self._other_settings(n))
        if "fractions" in self.happens:
            for number in range(3):
                world.scheduler.after(rng.uniform(0.0, busy), lambda n=number: self._fraction(n))
        if "pumps_away" in self.happens:
            for _ in range(2):
                world.scheduler.after(rng.uniform(60.0, busy + 500.0), self._no_pump)

    def pumps_rest_seconds(self) -> float:
        """How long no pump turns, from now."""
        return self.pumps_back_at - self.world.scheduler.now if self.world.faults_on else 0.0

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

    def _no_pump(self) -> None:
        """Every pump is down for a while: permissions grow old, leases end, and nobody notices."""
        if self.world.faults_on:
            self.pumps_back_at = self.world.scheduler.now + self.rng.uniform(300.0, 1500.0)
            self.world.count("no pump for a while")
