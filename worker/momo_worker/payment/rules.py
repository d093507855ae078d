"""The numbers of the money rules, with their sentences; a set that contradicts itself raises, so that it never starts."""

from dataclasses import dataclass, fields

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class RulesError(ValueError):
    """Numbers that contradict one another; the message names both and the fix."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Defaults are design.md's and the tests'. All times in milliseconds."""

    #: Wall-clock bound of one call to MTN, from asking for the connection to the last byte.
    call_deadline_ms: int = 60 * SECOND
    #: How long a claim is its worker's; over twice the deadline, or nothing starts.
    lease_ms: int = 180 * SECOND
    #: How old the last read of claim and pause may be when the first byte leaves (M1, M13).
    permit_age_ms: int = 1 * SECOND
    #: How long a release waits for a claim before the payment is released again.
    release_ms: int = 30 * SECOND

    #: M5: how many RESOURCE_NOT_FOUND permit the same reference again ...
    not_found_needed: int = 3
    #: ... how far apart ...
    not_found_apart_ms: int = 30 * SECOND
    #: ... and how long after the last moment at which a send could have left.
    not_found_grace_ms: int = 5 * MINUTE
    #: A permission older than this is looked up anew before it is used.
    permission_age_ms: int = 10 * MINUTE
    #: M5: sends of one attempt that may have left.
    sends_max: int = 3
    #: M5: how long after the first send the last may begin.
    send_window_ms: int = 6 * HOUR
    #: M5: after 202 or 409, this long of nothing but 404 is `held` (vanished).
    vanished_after_ms: int = 1 * HOUR
    #: This many vanished within an hour pause the account.
    vanished_pause_count: int = 3

    #: M4: this many 400 in a row without a 202 between speak of us, not of the payment.
    bad_requests_in_a_row: int = 3
    #: Claims without a recording: alone at this many, held at the other (money-review S13).
    claims_alone: int = 2
    claims_held: int = 4

    #: First look after an acknowledged collection (a person types a PIN) or transfer.
    first_look_collection_ms: int = 15 * SECOND
    first_look_disbursement_ms: int = 5 * SECOND
    #: First look after a send whose fate isn't known.
    first_look_unknown_ms: int = 10 * SECOND
    #: Looks back off by this factor, from the first delay to the ceiling, to the late ceiling once pending for a day.
    look_factor: float = 1.8
    look_ceiling_ms: int = 15 * MINUTE
    look_ceiling_late_ms: int = 1 * HOUR
    look_late_after_ms: int = 1 * DAY
    #: A held payment is looked up hourly for three days, daily for ninety.
    held_look_ms: int = 1 * HOUR
    held_look_late_after_ms: int = 3 * DAY
    held_look_late_ms: int = 1 * DAY
    held_look_end_ms: int = 90 * DAY
    #: M8: closed attempts without MTN's own FAILED are looked up again after these.
    late_looks_ms: tuple[int, ...] = (1 * HOUR, 1 * DAY, 3 * DAY, 7 * DAY, 30 * DAY)
    #: M8: attempts of one payment, each under a reference of its own.
    attempts_max: int = 5
    #: M8: a person may call an attempt failed whose send may have arrived only so long after it could have left.
    resolve_after_ms: int = 24 * HOUR
    #: M11: at most one extra look of a payment in this time.
    hint_apart_ms: int = 10 * SECOND

    #: After "not now" a payment is due again after this, doubling to the ceiling.
    not_now_delay_ms: int = 2 * SECOND
    not_now_ceiling_ms: int = 5 * MINUTE
    #: After an answer that speaks of our settings, so that others go first when the product is probed open again.
    about_us_delay_ms: int = 2 * MINUTE
    about_us_ceiling_ms: int = 1 * HOUR

    #: How long after the last moment at which it could have been sent a collection keeps its number from being asked again: MTN's
    #: prompt stands on a phone for five minutes ...
    prompt_ms: int = 6 * MINUTE
    #: ... and when another collection on the number tries again, at the till and in bulk.
    prompt_wait_ms: int = 2 * SECOND
    prompt_wait_bulk_ms: int = 15 * SECOND

    #: Job defaults (6.1): a collect that isn't of a run, and everything else.
    collect_expires_ms: int = 10 * MINUTE
    expires_ms: int = 7 * DAY
    #: same_again looks this far back.
    same_again_ms: int = 10 * MINUTE
    #: A job for an account this process doesn't know waits this long before it is rejected.
    unknown_account_ms: int = 1 * HOUR
    #: What waits is tried again after the first of these, then after an eighth of the time it has waited, then after the last.
    waiting_job_first_ms: int = 30 * SECOND
    waiting_job_last_ms: int = 15 * MINUTE

    #: A circuit opens when this many distinct payments fail by 5xx or timeout within the window.
    circuit_payments: int = 5
    circuit_window_ms: int = 30 * SECOND
    #: Probes of a suspended product, one after another; the last repeats.
    probe_delays_ms: tuple[int, ...] = (1 * MINUTE, 5 * MINUTE, 15 * MINUTE, 1 * HOUR)
    #: The first probe of an open circuit; it doubles to a minute.
    circuit_probe_ms: int = 5 * SECOND

    #: Of a restored ledger, the jobs stream is read again from this long before its last entry (the clocks of both may differ) ...
    recovery_jobs_margin_ms: int = 1 * HOUR
    #: ... payments that had failed so recently are asked about too, since their retry may be lost ...
    recovery_failed_ms: int = 7 * DAY
    #: ... and for so long a job may come again whose payment the lost ledger had sent: a 409 to its first send is adopted.
    recovery_adopt_ms: int = 7 * DAY

    #: Rescue waits one lease when over a fifth, and at least this many, leases end within one second (the clock jumped).
    many_leases_min: int = 100

    def __post_init__(self) -> None:
        if self.lease_ms <= 2 * self.call_deadline_ms:
            raise RulesError(
                f"lease_ms={self.lease_ms} must be over twice call_deadline_ms={self.call_deadline_ms}, "
                "or a sleeping worker could wake inside a call that another has taken over; raise the lease or lower the deadline"
            )
        if self.not_found_grace_ms < (self.not_found_needed - 1) * self.not_found_apart_ms:
            raise RulesError(
                "not_found_grace_ms is shorter than not_found_needed looks that are not_found_apart_ms apart"
            )
        if self.claims_held <= self.claims_alone:
            raise RulesError("claims_held must be above claims_alone")
        if min(self.sends_max, self.not_found_needed, self.bad_requests_in_a_row, self.attempts_max) < 1:
            raise RulesError("sends_max, not_found_needed, bad_requests_in_a_row and attempts_max must be at least 1")
        if self.send_window_ms < self.not_found_grace_ms:
            raise RulesError(
                "send_window_ms is shorter than not_found_grace_ms, so that nothing could ever be sent again"
            )
        if self.resolve_after_ms < self.send_window_ms:
            raise RulesError(
                "resolve_after_ms is shorter than send_window_ms, in which the worker itself may still send"
            )
        if self.held_look_end_ms <= self.held_look_late_after_ms:
            raise RulesError("held_look_end_ms must be above held_look_late_after_ms")
        self._refuse_times_that_are_none()

    def waiting_job_ms(self, waited_ms: int) -> int:
        """How long a job that has waited for so long waits for its next try."""
        return min(max(self.waiting_job_first_ms, waited_ms // 8), self.waiting_job_last_ms)

    def _refuse_times_that_are_none(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            times = value if isinstance(value, tuple) else (value,)
            if field.name.endswith("_ms") and (not times or min(times) <= 0):
                raise RulesError(f"{field.name} must be above zero")
