"""People at the desk inside the simulation: they resolve and release in haste and in pairs, some with MTN's statement in their hand. By dice of their own.

A statement is true, and so is a word that MTN paid: whom nobody can hold to account is a liar. That a customer says it failed is not proof.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.support.simulation_scheduler import Task

from momo_worker.ledger.engine import LEDGER_FAILURES
from momo_worker.payment.operator import By
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.transitions import State
from momo_worker.steps import operator

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

_OPEN = "SELECT id FROM payment WHERE state IN ('held', 'unknown', 'pending', 'accepted', 'sending') ORDER BY state <> 'held', id"
_UNSENT = "SELECT id FROM payment WHERE state = 'held' AND NOT EXISTS (SELECT 1 FROM send WHERE send.payment_id = payment.id) ORDER BY id"
#: How many releases are of what may be released.
_SENSIBLE = 0.7
_BOOKS = {"SUCCESSFUL": State.SUCCESSFUL, "FAILED": State.FAILED}


class Desk:
    """Who decides about what lies there."""

    def __init__(self, world: "Simulation") -> None:
        self.world = world
        self.rng = random.Random(f"desk {world.swarm.dice}")

    def begin(self) -> None:
        world = self.world
        for name, deed in (("resolves", self._resolve), ("releases", self._release)):
            if world.swarm.chance(name):
                for _ in range(self.rng.randint(4, 12) * max(1, world.swarm.jobs // 100)):
                    world.scheduler.after(self.rng.uniform(30.0, world.swarm.spread_seconds + 450.0), deed)

    def _chosen(self) -> str | None:
        found = self.world.rows(_OPEN)
        return found[min(int(self.rng.expovariate(4 / len(found))), len(found) - 1)] if found else None

    def _release(self) -> None:
        unsent = self.world.rows(_UNSENT)
        chosen = self.rng.choice(unsent) if unsent and self.rng.random() < _SENSIBLE else self._chosen()
        if chosen is not None:
            self._by_two(
                "release", chosen, lambda: operator.release(self.world.parts, chosen, by=By("operator", "haste"))
            )

    def _resolve(self) -> None:
        chosen = self._chosen()
        if chosen is None:
            return
        said = self._said(chosen)
        self._by_two("resolve", chosen, lambda: operator.resolve(self.world.parts, chosen, said))

    def _said(self, payment_id: str) -> Resolve:
        """MTN's books where they have an end, and else what a customer says."""
        references = self.world.rows(
            "SELECT a.reference_id FROM attempt AS a JOIN payment AS p ON p.id = a.payment_id AND p.attempt = a.number WHERE p.id = :id",
            id=payment_id,
        )
        books = [
            row["status"]
            for reference in references
            for row in self.world.mtn_rows(f"SELECT status FROM payments WHERE reference = '{reference}'")
        ]
        by = By("operator", "haste")
        if len(books) == 1 and books[0] in _BOOKS:
            statement = "statement of today" if self.rng.random() < 0.5 else None
            self.world.count("resolve after MTN's books")
            return Resolve(by, _BOOKS[books[0]], "MTN's books", statement=statement)
        return Resolve(by, State.FAILED, "the customer says that nothing came")

    def _by_two(self, what: str, payment_id: str, decide: Callable[[], operator.Decided | None]) -> None:
        """Each in a process of its own, since a decision may ask MTN and wait."""
        for number in range(self.rng.choice((1, 1, 2))):
            self.world.scheduler.start(Task(f"{what} {number}"), lambda: self._decide(what, payment_id, decide))

    def _decide(self, what: str, payment_id: str, decide: Callable[[], operator.Decided | None]) -> None:
        world = self.world
        try:
            decided = decide()
        except LEDGER_FAILURES:
            world.count(f"a {what} met a failing ledger")
            return
        said = "refused" if decided is not None and decided.refused else "done"
        world.count(f"{what} {said}")
        world.tell(payment_id, f"an operator decides ({what}): {said}")
