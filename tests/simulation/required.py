"""Nothing comes in, the lists go out: which outcomes, moves and faults a run must have met to prove anything about them."""

from collections import Counter
from dataclasses import dataclass

from tests.simulation.totals import Totals
from tests.support.simulation_swarm import MTN_FAULTS, POINTS

from momo_worker.payment.transitions import HeldCause, Trigger

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

#: All of them, where there is time: each of MTN's faults, each point and each way in which a pass is cut short.
FAULTS_OF_A_PROOF = (
    FAULTS
    | {f"MTN: {name}" for name in MTN_FAULTS}
    | {f"worker dies at: {point}" for point in POINTS}
    | {f"worker sleeps at: {point}" for point in POINTS}
    | {f"worker sleeps longer than a lease at: {point}" for point in POINTS}
    | {f"a {deed} met a failing ledger" for deed in ("callback", "cancel", "pause", "release", "resolve", "retry")}
    | {f"copies of the tide lost: {which}" for which in ("none", "redis", "file", "both", "both are old")}
    | {
        "MTN forgets and moves money twice",
        "MTN races and moves money twice",
        "command line met a failing ledger",
        "pump pass failed",
        "recovery dies at: committed",
        "recovery pass failed",
        "recovery released in haste",
        "redis lost before a restored ledger had read its jobs again",
        "redis was lost before the ledger was restored",
        "relay pass failed",
        "relay sleeps after append",
        "relay sleeps before append",
        "release done",
        "resolve after MTN's books",
        "restored ledger noticed: by_person",
        "restored ledger noticed: no_copy",
        "sent again after a loss",
        "sleeper wakes when another has claimed",
        "task ended by the ledger",
        "given up after a restore",
        "given up before a restore",
        "the same job while its stream is read again",
        "tide dies at: committed",
        "tide dies at: copied to redis",
        "worker paused an account",
    }
)
MODES = {"usual", "forgets", "races"}


@dataclass(frozen=True)
class Required:
    """What a run must have met."""

    triggers: frozenset[str]
    held: frozenset[str]
    faults: frozenset[str]


OF_A_FEW_SEEDS = Required(frozenset(TRIGGERS), frozenset(), frozenset(FAULTS))
#: No life has a run that a person signed, and whose rows somebody changes in the database afterwards: tests of the ledger have.
_HELD_ELSEWHERE = {HeldCause.TAMPERED}
OF_A_PROOF = Required(
    frozenset(trigger.value for trigger in Trigger),
    frozenset(cause.value for cause in set(HeldCause) - _HELD_ELSEWHERE),
    frozenset(FAULTS_OF_A_PROOF),
)


def missing(totals: Totals, required: Required) -> dict[str, list[str]]:
    """What never happened, by kind."""
    never = {
        "outcomes": OUTCOMES - met(totals.outcomes),
        "moves": required.triggers - met(totals.triggers),
        "held because": required.held - met(totals.held),
        "faults": required.faults - met(totals.faults),
        "modes": MODES - met(totals.modes),
    }
    return {kind: sorted(names) for kind, names in never.items() if names}


def met(counts: Counter[str]) -> set[str]:
    """What was counted at least once; a name with 0 beside it was not."""
    return {name for name, count in counts.items() if count}
