"""A ledger that may be restored, and an MTN that remembers: a world comes in, its backup, a pump's passes and a person's release go out."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import insert, select
from tests.support.ledger_world import NAMESPACE, World, a_job, an_entry

from momo_worker.commons.tidemark import Tidemark
from momo_worker.ledger import recovery as book
from momo_worker.ledger.schema import metadata
from momo_worker.payment.payment import Payment
from momo_worker.payment.reference import reference_id
from momo_worker.payment.tide import Copy
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import LookAnswer, LookVerdict, RenderedRequest, SendAnswer, SendVerdict, Status
from momo_worker.steps import intake, recovery, recovery_search

HOUR = 3_600.0
#: A call's whole time and MTN's grace: from then on a 404 counts.
SETTLED_SECONDS = 361.0


@dataclass
class Mtn:
    """What MTN has, by reference: answers POSTs and looks as it would."""

    has: dict[str, Status] = field(default_factory=dict)
    lost_words: set[str] = field(default_factory=set)

    def send(self, request: RenderedRequest, _secondary: bool) -> SendVerdict:
        if request.reference_id in self.has:
            return SendVerdict(SendAnswer.ACCEPTED, code="RESOURCE_ALREADY_EXIST", http_status=409)
        self.has[request.reference_id] = Status.PENDING
        return SendVerdict(SendAnswer.ACCEPTED, http_status=202)

    def look(self, request: RenderedRequest) -> LookVerdict:
        if request.reference_id in self.lost_words:
            return LookVerdict(LookAnswer.NO_WORD, http_status=503)
        status = self.has.get(request.reference_id)
        if status is None:
            return LookVerdict(LookAnswer.NOT_FOUND, http_status=404)
        return LookVerdict(LookAnswer.FOUND, status, status.value, http_status=200)


@dataclass
class Restored:
    """A world, its MTN, and the backup that may come back."""

    world: World
    mtn: Mtn
    kept: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    copy: Copy | None = None

    def backup(self) -> None:
        """Everything the ledger holds now."""
        with self.world.ledger.read() as tx:
            self.kept = {
                table.name: [dict(row) for row in tx.conn.execute(select(table)).mappings()]
                for table in metadata.sorted_tables
            }

    def restore(self) -> None:
        """The ledger as it was at the backup; what is outside of it stays."""
        with self.world.ledger.write() as tx:
            for table in reversed(metadata.sorted_tables):
                tx.conn.execute(table.delete())
            for table in metadata.sorted_tables:
                # A refund names its collection, which must be there before it.
                rows = sorted(self.kept[table.name], key=lambda row: row.get("refund_of") is not None)
                if rows:
                    tx.conn.execute(insert(table), rows)

    def tide(self, *, first: bool = False) -> recovery.Raised:
        """A pump's pass, with the copies that it left."""
        raised = recovery.raise_tide(self.world.parts, [self.copy] if self.copy else [], first=first)
        self.copy = raised.copy
        return raised

    def new_process(self) -> None:
        """Nothing is remembered but what Redis keeps."""
        mark = Tidemark(self.copy.ledger_id if self.copy else "", str(NAMESPACE), lambda: self.copy)
        self.world.parts = replace(self.world.parts, tidemark=mark)

    def current(self) -> book.Recovery:
        with self.world.ledger.read() as tx:
            found = book.current(tx)
        assert found is not None
        return found

    def reread(self, *entries: intake.Entry) -> None:
        """The pump reads the jobs stream again."""
        ends = [entry.source.rpartition("/")[2] for entry in entries]
        reading = recovery.next_reading(self.world.parts, stream_end=ends[-1] if ends else "0-0", stream_begin=None)
        assert reading is not None
        if entries:
            intake.take_in(self.world.parts, [replace(entry, door=intake.AGAIN) for entry in entries])
            recovery.note_read(self.world.parts, reading, ends[-1], len(entries))
        recovery.note_read(self.world.parts, reading, None, 0)

    def search(self, *, seconds: float = SETTLED_SECONDS) -> None:
        """List every payment, ask at once, and once more when a 404 counts."""
        while recovery.list_payments(self.world.parts):
            pass
        for wait in (0.0, seconds, 60.0):
            self.world.clock.on(wait)
            while recovery_search.search(self.world.parts):
                pass

    def ask_for_long(self) -> None:
        """So often that nobody waits any longer for a word that MTN doesn't give."""
        for _ in range(book.TRIES_LEAST):
            self.world.clock.on(60.0)
            while recovery_search.search(self.world.parts):
                pass

    def release(self, **options: Any) -> recovery.Released:
        found = recovery.release(self.world.parts, actor="ada", reason="checked", **options)
        assert found is not None
        return found

    def outcomes(self) -> dict[str, str | None]:
        return dict(self.world.rows("SELECT payment_id, outcome FROM search ORDER BY payment_id"))

    def pay(self, payment_id: str, status: Status = Status.SUCCESSFUL) -> Payment:
        """Send it, and MTN ends it so."""
        self.world.release()
        self.world.send([payment_id])
        assert self.world.payment(payment_id).state is State.PENDING
        self.mtn.has[self.world.payment(payment_id).reference_id] = status
        self.world.run_until(
            lambda: self.world.payment(payment_id).state.value in ("successful", "failed"), step=5.0, seconds_max=600
        )
        return self.world.payment(payment_id)

    def reference(self, key: str, attempt: int) -> str:
        return reference_id(NAMESPACE, "default", "disburse", key, attempt)


#: By what a process knows that the ledger it reads was restored, before a pump has said so.
KNOWN_BY = ("what it has read", "the copy in Redis")


def unnoticed(restored: Restored, known_by: str) -> None:
    """The tide rises once more, and the backup comes back: one process knows, and no pump has compared yet."""
    restored.tide()
    restored.restore()
    if known_by == "the copy in Redis":
        restored.new_process()
        assert restored.world.parts.tidemark.seen == 0
    else:
        restored.world.parts.tidemark._read_copy = lambda: None


def restorable(world: World) -> Restored:
    """A ledger with a living pump, and MTN with a memory."""
    found = Restored(world, Mtn())
    world.mtn.on_send, world.mtn.on_look = found.mtn.send, found.mtn.look
    found.tide(first=True)
    found.new_process()
    return found


def stream_entry(key: str, at: int, **changes: Any) -> intake.Entry:
    return an_entry(a_job(key, **changes), f"momo:jobs/{at}-0")


def lost(restored: Restored, deed: Callable[[], Any]) -> None:
    """Backup, what happens after it, restore, and a pump that notices; the jobs stream is kept and holds nothing."""
    restored.backup()
    restored.world.clock.on(HOUR)
    deed()
    restored.tide()
    restored.restore()
    restored.new_process()
    assert restored.tide(first=True).began is not None
