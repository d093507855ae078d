"""M2: every reference is the one that its payment and attempt derive, so that a restored ledger would meet MTN's 409."""

import hashlib
import uuid

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def derived(*parts: str) -> str:
    """As the design has it, and in no words of the product's."""
    told = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return str(uuid.UUID(bytes=hashlib.sha256(told).digest()[:16], version=4))


def check(world: Simulation) -> list[Broken]:
    sql = (
        "SELECT a.reference_id, a.number, p.id, p.account, p.operation, p.idempotency_key, p.reference_id, p.attempt "
        "FROM attempt AS a JOIN payment AS p ON p.id = a.payment_id"
    )
    found = []
    for stored, number, name, account, operation, key, current, attempt in world.rows(sql):
        expected = derived("momo-reference-1", str(world.parts.namespace), account, operation, key, str(number))
        if stored != expected or (number == attempt and current != expected):
            found.append(Broken(f"attempt {number} has {stored} and {current}, and derives {expected}", name))
    return found
