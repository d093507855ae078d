"""Payments that stopped moving come back into the corridor: leases that ended, times that passed, clocks that jumped. Never sends, never looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from momo_worker.commons import noticing, recording
from momo_worker.commons.parts import Parts
from momo_worker.ledger import asked_first, installation, moves, recovery, stops, work
from momo_worker.ledger.engine import Tx
from momo_worker.payment import after_restore
from momo_worker.payment.after_look import permission_lost
from momo_worker.payment.after_send import lease_over
from momo_worker.payment.deciding import expired
from momo_worker.payment.payment import Change, Queue, Work
from momo_worker.payment.rules import DAY
from momo_worker.payment.transitions import State

log = structlog.get_logger(__name__)

_BATCH = 200
#: Enough to see that a clock jumped, however many leases are open.
_LOOKED_AT = 5_000
_SUSPICIOUS_SHARE = 5  # over a fifth
_WITHIN_MS = 1_000


def _slack(milliseconds: int) -> int:
    """The longest wait with its jitter."""
    return milliseconds * 5 // 4


def _most_within(ends: Sequence[int]) -> int:
    """How many of these sorted moments lie within one second of another, at the most."""
    most = first = 0
    for place, end in enumerate(ends):
        while end - ends[first] >= _WITHIN_MS:
            first += 1
        most = max(most, place - first + 1)
    return most


@dataclass(slots=True)
class Rescue:
    """Remembers only since when it waits for leases that ended all at once."""

    parts: Parts
    _waits_until_ms: int | None = None
    _seen_at_ms: int | None = None

    def run(self) -> int:
        """One pass; returns how many payments were brought back."""
        self._cut_what_lies_too_far_ahead()
        return self._leases() + self._expired() + self._permissions()

    def _cut_what_lies_too_far_ahead(self) -> None:
        """After the ledger's clock went back, and once at the start, when nobody knows: a wait is at most the longest there is (C2)."""
        rules = self.parts.rules
        with self.parts.ledger.read() as tx:
            before, self._seen_at_ms = self._seen_at_ms, tx.now_ms
        if before is not None and self._seen_at_ms >= before - _WITHIN_MS:
            return
        longest = dict.fromkeys(Queue, _slack(max(rules.look_ceiling_late_ms, rules.about_us_ceiling_ms, DAY)))
        longest[Queue.LATE] = _slack(max(rules.held_look_late_ms, DAY))
        count = 0
        for account in self.parts.accounts.values():
            for product in account.credentials:
                with self.parts.ledger.write() as tx:
                    count += work.cut_due(tx, account.name, product, longest_ms=longest)
        with self.parts.ledger.write() as tx:
            count += work.cut_waits(
                tx, probe_ms=_slack(DAY), waiting_ms=rules.unknown_account_ms, late_ms=_slack(max(rules.late_looks_ms))
            )
        if count:
            log.error("waits ended too far ahead and were cut; the ledger's clock went back", count=count, action="cut")

    def _cut_marks(self, tx: Tx) -> int:
        """Looks are claimed and released like sends, and a clock that went back would keep them from being asked about, too."""
        rules = self.parts.rules
        return sum(
            work.cut_marks(tx, account.name, product, kind, release_ms=rules.release_ms, lease_ms=rules.lease_ms)
            for account in self.parts.accounts.values()
            for product in account.credentials
            for kind in Work
        )

    def _permissions(self) -> int:
        """A payment that may be sent again and waits (a pause, a closed gate) is looked up meanwhile: MTN may have it after all."""
        parts = self.parts
        count = 0
        for account in parts.accounts.values():
            for product in account.credentials:
                with parts.ledger.read() as tx:
                    ids = work.permitted_before(tx, account.name, product, parts.rules.permission_age_ms, limit=_BATCH)
                if ids:
                    count += self._look_instead(ids)
        return count

    def _look_instead(self, ids: list[str]) -> int:
        parts = self.parts
        with parts.ledger.write() as tx:
            changes = [
                Change(payment, permission_lost(payment, tx.now_ms))
                for payment in moves.lock(tx, ids, skip_locked=True).values()
                if payment.state is State.UNKNOWN and payment.work is Work.SEND
            ]
            recording.conclude(tx, parts, changes)
        return len(changes)

    def _leases(self) -> int:
        parts = self.parts
        with parts.ledger.write() as tx:
            cut = work.cut_leases(tx, parts.rules.lease_ms) + self._cut_marks(tx)
            over = work.leases_over(tx, limit=_LOOKED_AT)
            if not over:
                self._waits_until_ms = None
            if not over or self._should_wait(tx, over):
                told: list[recording.Told] = []
            else:
                told = self._bring_back(tx, [payment_id for payment_id, _ in over[:_BATCH]])
            stops.forget_faults(tx, parts.rules.circuit_window_ms)
        if cut:
            log.error("leases ended too far ahead and were cut; the ledger's clock went back", count=cut, action="cut")
        recording.tell(parts, told)
        return len(told)

    def _should_wait(self, tx: Tx, over: list[tuple[str, int]]) -> bool:
        """Many leases that ended within one second look like a clock that jumped forward while their owners are at work (C2)."""
        rules = self.parts.rules
        if self._waits_until_ms is not None:
            return tx.now_ms < self._waits_until_ms
        together = _most_within(sorted(end for _, end in over))
        if together < rules.many_leases_min or together * _SUSPICIOUS_SHARE <= work.leases_open(tx):
            return False
        self._waits_until_ms = tx.now_ms + rules.lease_ms
        log.error(
            "many leases ended at once; rescue waits one lease",
            count=together,
            action="waiting",
            advice="check the ledger's clock",
        )
        return True

    def _bring_back(self, tx: Tx, ids: list[str]) -> list[recording.Told]:
        parts = self.parts
        changes = [
            lease_over(payment, now_ms=tx.now_ms, rules=parts.rules, rng=parts.rng)
            for payment in moves.lock(tx, ids, skip_locked=True).values()
            if payment.state is State.SENDING
            and payment.lease_until_ms is not None
            and payment.lease_until_ms <= tx.now_ms
        ]
        return recording.conclude(tx, parts, changes)

    def _expired(self) -> int:
        """After `not_after` nothing is sent: what never was becomes `cancelled`, also behind a pause or a closed gate."""
        parts = self.parts
        with parts.ledger.read() as tx:
            # A restored ledger only believes that these were never sent.
            ids = [] if recovery.current(tx) else work.expired(tx, limit=_BATCH)
        if not ids:
            return 0
        least = parts.tidemark.least()
        with parts.ledger.write() as tx:
            if noticing.unnoticed(tx, least):
                return 0
            locked = moves.lock(tx, ids, skip_locked=True).values()
            due = [one for one in locked if one.state is State.ACCEPTED and one.not_after_ms <= tx.now_ms]
            within_ms = parts.rules.recovery_adopt_ms
            unasked = asked_first.waiting_for_word(tx, due, installation.epoch(tx), within_ms=within_ms)
            changes = [
                after_restore.unanswered(payment, tx.now_ms, parts.rules, parts.rng)
                if payment.id in unasked.unanswered
                else expired(payment, tx.now_ms)
                for payment in due
                if not recovery.ask_first(tx, payment.id, within_ms=within_ms)
            ]
            told = recording.conclude(tx, parts, changes)
        recording.tell(parts, told)
        return len(told)
