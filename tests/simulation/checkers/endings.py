"""M4: every send's ending is what its answer allows, and that MTN has it not was believed under an unbroken lease only. Shares no table with the product."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

#: What may be made of an HTTP status; a broken lease makes everything but an acceptance unknown.
_ALLOWED = {
    202: {"accepted"},
    400: {"refused", "not_now", "unknown"},
    401: {"not_now", "unknown"},
    403: {"not_now", "unknown"},
    404: {"not_now", "unknown"},
    409: {"accepted"},
    429: {"not_now", "unknown"},
}
#: The codes that this MTN gives with 500 and that speak of the payment.
_REFUSALS = {"PAYEE_NOT_FOUND", "PAYER_NOT_FOUND", "NOT_ENOUGH_FUNDS"}


def check(world: Simulation) -> list[Broken]:
    rows = world.rows(
        "SELECT payment_id, number, ending, never_left, http_status, code, ended_at_ms - began_at_ms FROM send WHERE ending IS NOT NULL"
    )
    lease_ms = world.parts.rules.lease_ms
    found = []
    for name, number, ending, never_left, status, code, took_ms in rows:
        if ending not in _allowed(status, code, never_left=bool(never_left)):
            found.append(Broken(f"send {number} was answered {status} {code} and ended as {ending}", name))
        judged = ending in ("not_now", "refused") and not never_left
        if judged and took_ms > lease_ms and not world.jumped_seconds:
            found.append(Broken(f"send {number} ended as {ending} {took_ms / 1000:.0f} s after its claim", name))
    return found


def _allowed(status: int | None, code: str | None, *, never_left: bool) -> set[str]:
    if status is None:
        return {"not_now"} if never_left else {"unknown"}
    if status in _ALLOWED:
        return _ALLOWED[status]
    return {"refused", "unknown"} if status == 500 and code in _REFUSALS else {"unknown"}
