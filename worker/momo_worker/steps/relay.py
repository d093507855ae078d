"""Result events leave the house: what isn't marked published goes onto `momo:results`, at least once and in order per payment (M9)."""

import json
from dataclasses import dataclass

import structlog

from momo_worker.commons.parts import Parts
from momo_worker.ledger import installation, outbox
from momo_worker.ledger.engine import ROWS_MAX
from momo_worker.streams import FencedError, ResultsStream, StreamLostError

log = structlog.get_logger(__name__)

#: Results of a pump that was killed wait no longer than this; two relays at once are kept apart by the fence and not by time.
LEASE_MS = 6_000
_RENEW_SECONDS = 2.0
_BATCH = 500
_BEGINNING = outbox.Place(0, 0)
#: How often all that is old is gone through anew.
_AROUND_SECONDS = 86_400.0


@dataclass(slots=True)
class Relay:
    """One process's relay: which partitions it holds, and the stream it writes to."""

    parts: Parts
    stream: ResultsStream
    owner: str
    replay_ms: int
    _holds: tuple[outbox.Hold, ...] = ()
    _held_at: float | None = None

    def publish(self) -> int:
        """Publish what waits in the partitions that are ours; returns how many events left."""
        renewed = self._hold()
        if not self._holds:
            return 0
        partitions = [hold.partition for hold in self._holds]
        # Before the ledger is read, as for a send: one that was restored and isn't known as such yet would tell other things under old ids.
        least = self.parts.tidemark.least()
        with self.parts.ledger.read() as tx:
            waiting = outbox.unpublished(tx, partitions, limit=_BATCH)
            known = installation.read(tx)
        # With nothing to publish the stream is held against the ledger all the same, now and then: on a quiet day
        # nobody else would notice that Redis lost what a consumer waits for.
        if known is None or known.tide < least or not (waiting or renewed):
            return 0
        bodies = [_as_replay(event.body) if event.replayed else event.body for event in waiting]
        try:
            last_id = self.stream.append(
                {hold.partition: hold.fence for hold in self._holds}, known.results_last_id, bodies
            )
        except FencedError as error:
            log.warning("another relay took over", why=str(error), action="fenced")
            self._held_at = None
            return 0
        except StreamLostError as error:
            self._publish_again(known.results_last_id, str(error))
            return 0
        return self._mark(waiting, known.results_last_id, last_id, bodies[-1]) if waiting else 0

    def _mark(self, events: list[outbox.Pending], known_last_id: str | None, last_id: str, last_body: str) -> int:
        """Note what was appended, unless Redis has lost it or what another relay noted meanwhile; returns how many were noted."""
        with self.parts.ledger.write() as tx:
            # Locked before the stream is asked: whoever notes an id after us asks for ours, and so nobody can pass over a loss that comes now.
            current = installation.locked(tx)
            # Redis may have lost them since, and another relay have appended or noticed: marked now, nobody would publish them again.
            if not self.stream.holds(last_id, last_body):
                log.warning("results were lost in Redis before they were marked; they go out once more", action="retry")
                return 0
            newest = None if current is None else current.results_last_id
            # Our append could only be held against the id that we had read. One that was noted since may have been lost before it,
            # and ours, which is above it, would hide that for ever.
            unseen = newest is not None and newest != known_last_id and not self.stream.has(newest)
            if not unseen:
                outbox.mark_published(tx, events)
                installation.keep_results_last_id(tx, last_id)
                return len(events)
        self._publish_again(newest, f"the results stream has lost {newest}, which another relay appended")
        return 0

    def let_go(self) -> None:
        """Give the partitions back at a clean stop."""
        with self.parts.ledger.write() as tx:
            outbox.let_partitions_go(tx, self.owner)

    def _hold(self) -> bool:
        """Prolong the lease where it is time; True when it was."""
        now = self.parts.clock.elapsed()
        if self._held_at is not None and now - self._held_at < _RENEW_SECONDS:
            return False
        with self.parts.ledger.write() as tx:
            self._holds = tuple(outbox.hold_partitions(tx, self.owner, LEASE_MS))
        self._held_at = now
        return True

    def _publish_again(self, known_last_id: str | None, why: str) -> None:
        """Redis lost results that the ledger had marked published: everything of the last day goes out once more."""
        count, left = 0, True
        # In pieces; until the last one the ledger still knows the old id, so that a kill in between is only a pause.
        while left:
            with self.parts.ledger.write() as tx:
                current = installation.locked(tx)
                if current is None or current.results_last_id != known_last_id:
                    return  # another relay has noticed already
                piece = outbox.publish_again_since(tx, tx.now_ms - self.replay_ms)
                count, left = count + piece, piece == ROWS_MAX
                if not left:
                    installation.keep_results_last_id(tx, None)
        log.error("results were lost in Redis and are published again", why=why, count=count, action="replayed")


@dataclass(slots=True)
class Forgetting:
    """Goes through what was published long ago, in small pieces, and lets the ledger forget it; remembers how far it has come."""

    parts: Parts
    keep_ms: int
    _place: outbox.Place = _BEGINNING
    _began_at: float | None = None

    def run(self) -> int:
        """The next piece; returns how many events were removed, or looked at and kept. 0: nothing is old enough."""
        now = self.parts.clock.elapsed()
        if self._began_at is None or now - self._began_at > _AROUND_SECONDS:
            # What was its payment's latest when it was passed may have been followed by another since.
            self._began_at, self._place = now, _BEGINNING
        with self.parts.ledger.write() as tx:
            removed, place = outbox.forget_published(tx, tx.now_ms - self.keep_ms, self._place)
        if place is None:
            return 0
        self._place = place
        return max(removed, 1)


def _as_replay(body: str) -> str:
    envelope = json.loads(body)
    envelope["replayed"] = True
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
