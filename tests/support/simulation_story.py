"""What was seen of one payment, in order: a simulation and a payment's id come in, a short story for a person goes out. Judges nothing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.factories import NOW

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

_LINES_MAX = 60


@dataclass(frozen=True)
class Broken:
    """A property that doesn't hold, and of which payment."""

    what: str
    payment_id: str | None = None


def story(world: "Simulation", payment_id: str) -> str:
    """Transitions, sends, messages and MTN's side."""
    references = world.rows("SELECT reference_id FROM attempt WHERE payment_id = :id", id=payment_id)
    lines = [(at, what) for name in (payment_id, *references) for at, what in world.trace.get(name, ())]
    shown = [f"  {at - 1000:9.1f} s  {what}" for at, what in sorted(lines)]
    if len(shown) > _LINES_MAX:
        shown = [*shown[: _LINES_MAX // 2], "  …", *shown[-_LINES_MAX // 2 :]]
    columns = "account, idempotency_key, operation, amount_minor, state, held_cause, work, due_at_ms, lease_until_ms, not_after_ms, source"
    payment = world.rows(f"SELECT {columns} FROM payment WHERE id = :id", id=payment_id)
    moves = world.rows(
        "SELECT at_ms, before, after, trigger, detail FROM transition WHERE payment_id = :id ORDER BY id", id=payment_id
    )
    sends = world.rows(
        "SELECT number, began_at_ms, ended_at_ms, ending, http_status, code, never_left FROM send WHERE payment_id = :id",
        id=payment_id,
    )
    at_mtn = [
        f"  {row['reference']} {row['amount_minor']} {row['status']} created {row['created_at'] - 1_790_001_000:.1f} s"
        for reference in references
        for row in world.model.store.rows("SELECT * FROM payments WHERE reference = ?", reference)
    ]
    told = [
        f"  {(at - NOW) / 1000:9.1f} s  {before} to {after} by {why} ({detail})"
        for at, before, after, why, detail in moves
    ]
    parts = [
        f"payment {payment_id}: {payment}",
        "transitions (ledger's clock):",
        *told,
        f"sends: {sends}",
        "seen (real time):",
        *shown,
        "at MTN:",
        *at_mtn,
    ]
    return "\n".join(parts)
