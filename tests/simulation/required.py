"""Nothing comes in, the lists go out: which outcomes, moves and faults a run must have met to prove anything about them."""

from tests.simulation.totals import Totals
from tests.support.simulation_swarm import MTN_FAULTS

#: A run in which one of these never happened proves nothing about it.
OUTCOMES = {"successful", "failed", "cancelled", "held", "rejected jobs"}
TRIGGERS = {
    "acknowledged",
    "adopted",
    "cancelled",
    "claimed",
    "expired",
    "found_failed",
    "found_pending",
    "found_successful",
    "lease_over",
    "not_now",
    "put_on_desk",
    "refusal_confirmed",
    "refused",
    "resent",
    "resolved",
    "send_unknown",
    "taken_in",
}
FAULTS = {
    "MTN: bad_request",
    "MTN: callback_forged",
    "MTN: callback_twice",
    "MTN: error_after_creation",
    "MTN: fail",
    "MTN: html_200",
    "MTN: html_200_after_creation",
    "MTN: late_creation",
    "MTN: late_success",
    "MTN: lost_after_creation",
    "MTN: lost_before_creation",
    "MTN: not_found",
    "MTN: rate_limited",
    "MTN: unknown_status",
    "MTN: visibility_lag",
    "MTN: wrong_amount",
    "a stranger used our reference",
    "broken job",
    "job by Celery",
    "ledger restored under running processes",
    "ledger restored, all processes ended",
    "recovery released",
    "redis_lost",
    "release of the recovery refused",
    "release refused",
    "restored ledger noticed: behind",
    "resolve done",
    "resolve refused",
    "retry refused",
    "the same job at two doors",
    "callback",
    "cancel done",
    "cancel refused",
    "clock jumps back",
    "clock jumps on",
    "commit_lost",
    "commit_refused",
    "consumer got an event again",
    "fraction",
    "invented callback",
    "ledger_unreadable",
    "message_doubled",
    "message_late",
    "message_lost",
    "no pump for a while",
    "no_slot",
    "operator pauses",
    "other body under the same key",
    "pump dies at: before acknowledgement",
    "pump dies at: before hand-over",
    "pump dies at: committed",
    "refund asked for",
    "relay dies after append",
    "relay dies before append",
    "relay fenced",
    "replacement asked for",
    "results_lost",
    "results lost, noticed",
    "retry done",
    "same job again",
    "settings changed",
    "unknown account",
    "worker dies at: look recorded",
    "worker dies at: send answered",
    "worker dies at: send claimed",
    "worker dies at: send handled",
    "worker dies at: send left",
    "worker dies at: send permitted",
    "worker dies at: send recorded",
    "worker sleeps at: send answered",
    "worker sleeps at: send claimed",
    "worker sleeps at: send left",
    "worker sleeps at: send permitted",
}

#: Each of MTN's faults, too, where there is time for all of them.
FAULTS_OF_A_PROOF = (
    FAULTS
    | {
        "release done",
        "restored ledger noticed: by_person",
        "restored ledger noticed: no_copy",
        "sent again after a loss",
        "retry done",
        "a stranger used our reference",
        "no pump for a while",
        "settings changed",
    }
    | {f"MTN: {name}" for name in MTN_FAULTS if name not in {"refusal", "empty_conflict"}}
)
MODES = {"usual", "forgets", "races"}


def missing(totals: Totals, faults: set[str]) -> dict[str, list[str]]:
    """What never happened, by kind."""
    never = {
        "outcomes": OUTCOMES - set(totals.outcomes),
        "moves": TRIGGERS - set(totals.triggers),
        "faults": faults - set(totals.faults),
        "modes": MODES - set(totals.modes),
    }
    return {kind: sorted(names) for kind, names in never.items() if names}
