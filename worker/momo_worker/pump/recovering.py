"""The recovery of a restored ledger, as the pump goes through it: the jobs stream, then the list, then MTN. The order of its steps is written here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from momo_worker.commons import noticing
from momo_worker.commons.parts import Parts
from momo_worker.ledger import recovery as ledger_recovery
from momo_worker.payment.events import told_by
from momo_worker.payment.job_text import Problem
from momo_worker.pump.entries import DELIVERIES_MAX, entry_of
from momo_worker.pump.loops import OUTLIVED
from momo_worker.steps import intake, recovery, recovery_search
from momo_worker.streams import JobsStream, ResultsStream, StreamEntry

log = structlog.get_logger(__name__)

#: Whoever began it has said so; a pump that starts later says it once more.
_JUST_BEGUN_MS = 5_000
#: By how much Redis's clock and the ledger's may differ.
_CLOCKS_APART_MS = 600_000


@dataclass(slots=True)
class Recovering:
    """Remembers which recovery it has spoken of, which jobs had been told as rejected before it, and a reading that it has yet to give back."""

    parts: Parts
    jobs: JobsStream
    results: ResultsStream
    _told: int = 0
    _rejected: dict[str, Problem] = field(default_factory=dict)
    _unfinished: recovery.Reading | None = None

    def run(self) -> int:
        """One pass; returns how many things it did. Searches may be due after a release, too: a 409 was adopted."""
        with self.parts.ledger.read() as tx:
            found = ledger_recovery.current(tx)
            now_ms = tx.now_ms
        if found is not None and self._told != found.epoch:
            self._begin(found, told_already=now_ms - found.began_at_ms < _JUST_BEGUN_MS)
        if found is not None and found.jobs_done_at_ms is None:
            return self._read_jobs()
        return (recovery.list_payments(self.parts) if found is not None else 0) or recovery_search.search(self.parts)

    def _begin(self, found: ledger_recovery.Recovery, *, told_already: bool) -> None:
        """What this pump, however it started, has to know and to do first."""
        # Before the stream is read: a relay of the lost ledger that slept tells nothing more behind our back.
        recovery.raise_fences(self.parts, self.results.raise_fences())
        payments = self._read_told(found)
        recovery.look_for_told(self.parts, found.epoch, sorted(payments))
        # Also what isn't read again, since it came long before the backup, or by a door without a stream.
        intake.reject_waiting(self.parts, self._rejected)
        self._told = found.epoch
        if not told_already:
            noticing.tell_begun(found)

    def _read_told(self, found: ledger_recovery.Recovery) -> set[str]:
        """Learn what was told as rejected; returns the payments of which something was told."""
        self._rejected, payments, strange = {}, set(), 0
        for told in map(told_by, self.results.since(_told_from(found))):
            if told is None:
                strange += 1
            elif told.is_payment:
                payments.add(told.subject)
            elif told.rejected is not None:
                self._rejected[told.subject] = _as_before(told.rejected)
        if strange:
            log.warning(
                "entries of the results stream can't be read as events of ours and are passed over",
                count=strange,
                action="passed_over",
                advice="look at them before the release: a rejection among them would be one that the ledger doesn't know",
            )
        return payments

    def _read_jobs(self) -> int:
        self._give_back()
        first, last = self.jobs.ends()
        reading = recovery.next_reading(self.parts, stream_begin=first, stream_end=last)
        if reading is None:
            return 0
        self._unfinished = reading
        if reading.epoch != self._told:
            # Another recovery began in between, and what was told before that one isn't known here yet.
            self._give_back()
            return 0
        try:
            done = self._read(reading)
        except OUTLIVED:
            # The servers' failure isn't the entries': four of those must not reject what a producer was promised.
            self._give_back()
            raise
        self._unfinished = None
        return done

    def _give_back(self) -> None:
        """Uncount what failed; where that fails as well, it is remembered for the next pass."""
        if self._unfinished is not None:
            recovery.give_back(self.parts, self._unfinished)
            self._unfinished = None

    def _read(self, reading: recovery.Reading) -> int:
        entries = self.jobs.between(reading.after, reading.until, count=reading.count)
        if entries:
            intake.take_in(self.parts, self._again(entries, poison=reading.poison))
        recovery.note_read(self.parts, reading, entries[-1].id if entries else None, len(entries))
        return max(len(entries), 1)

    def _again(self, items: Sequence[StreamEntry], *, poison: bool) -> list[intake.Entry]:
        """What was told as rejected stays rejected: its producer may have paid in another way since (money-review I5)."""
        entries = [entry_of(replace(item, deliveries=DELIVERIES_MAX if poison else 1)) for item in items]
        return [
            replace(entry, door=intake.AGAIN, broken=self._rejected.get(entry.source, entry.broken))
            for entry in entries
        ]


def _told_from(found: ledger_recovery.Recovery) -> str:
    """What was told before the ledger's last entry it knows itself. Redis's clock may be a little behind."""
    return "0-0" if found.lost_from_ms is None else f"{max(0, found.lost_from_ms - _CLOCKS_APART_MS)}-0"


def _as_before(error: dict[str, str]) -> Problem:
    reason = f"was rejected before the ledger was restored: {error['reason']}"
    return Problem(error["field"], error["value"], reason, error["advice"])
