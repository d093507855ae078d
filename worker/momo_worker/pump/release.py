"""Due payments become messages: what may leave within the next two seconds is released and handed to the workers. Never claims, never sends.

The pace itself is kept where each call leaves; here it is only shaped, so that a lane can't drown another.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from momo_worker.accounts import Account
from momo_worker.commons.message import BATCH_LOOKS, BATCH_SENDS, Message
from momo_worker.commons.parts import Parts
from momo_worker.ledger import stops, work
from momo_worker.ledger.engine import Tx
from momo_worker.payment.payment import Product, Queue, Work

#: At most so much work out, in seconds of the pace.
AHEAD_SECONDS = 1.5
#: And never more payments than this, whatever the pace.
OUT_MAX = 1_000
_LOCKED_AT_ONCE = 500
_ONE_IN = 5
#: A till that never rests must not starve a salary run, nor a run the payments whose fate isn't known.
_GUARANTEED = (Queue.BULK, Queue.RESCUE)
_SLOW_LOOK_MS = 50

#: Which queues of work a worker's queue carries: a till's send and look go before everything else.
INTERACTIVE_QUEUES = (Queue.INTERACTIVE,)


def messages(
    kind: Work, released: Sequence[work.Released], *, interactive: bool, claims_alone: int, size: int
) -> list[Message]:
    """Batches of released payments; one that was claimed twice without a word travels alone (money-review S13)."""
    together = [item.payment_id for item in released if item.claims_since_word < claims_alone]
    alone = [item.payment_id for item in released if item.claims_since_word >= claims_alone]
    found = [Message(kind, interactive, tuple(together[at : at + size])) for at in range(0, len(together), size)]
    return found + [Message(kind, interactive, (payment_id,)) for payment_id in alone]


def shares(room: int, waiting: dict[Queue, int], rng: random.Random) -> dict[Queue, int]:
    """Part the room among the queues in their order; bulk and rescue get at least one slot in five each while they have work.

    `waiting` says how many each queue could use; the sum of the answer is at most `room`. At a steady pace slots become free
    one by one, and a fifth of a slot is given by chance: rounded up, every single slot would be bulk's, and the till would starve.
    """
    left = max(room, 0)
    given = dict.fromkeys(Queue, 0)
    whole, rest = divmod(left, _ONE_IN)
    for queue in rng.sample(_GUARANTEED, k=len(_GUARANTEED)):
        fair = whole + (1 if rng.random() * _ONE_IN < rest else 0)
        given[queue] = min(waiting.get(queue, 0), fair, left)
        left -= given[queue]
    for queue in Queue:
        extra = min(waiting.get(queue, 0) - given[queue], left)
        given[queue] += extra
        left -= extra
    return given


def room_for(account: Account, kind: Work) -> int:
    """How many payments may be out at this pace."""
    apart_ms = account.pace.send_apart_ms if kind is Work.SEND else account.pace.look_apart_ms
    if apart_ms <= 0:
        return OUT_MAX
    return min(OUT_MAX, max(1, int(AHEAD_SECONDS * 1000 / apart_ms)))


def _batch_size(account: Account, kind: Work, queue: Queue) -> int:
    """Looks at MTN's pace travel in small batches, since each waits for its slot in a thread.

    A send that is repeated travels alone: what ended its worker once may do so again, and must not take neighbours with it (S13).
    """
    if kind is Work.SEND and queue is Queue.RESCUE:
        return 1
    if kind is Work.LOOK and account.pace.look_apart_ms >= _SLOW_LOOK_MS:
        return BATCH_LOOKS
    return BATCH_SENDS


@dataclass(frozen=True, slots=True)
class _Share:
    """How many payments of one queue may now be released."""

    account: Account
    product: Product
    kind: Work
    queue: Queue
    limit: int


def release_due(parts: Parts, hand_over: Callable[[Message], None]) -> int:
    """One pass over every account, product and kind of work; returns how many payments were released."""
    count = 0
    for share in _shared(parts):
        for message in _take(parts, share):
            hand_over(message)
            count += len(message.ids)
    return count


def _shared(parts: Parts) -> list[_Share]:
    """What may be released, read in one transaction: most passes find nothing, and should cost next to nothing."""
    found: list[_Share] = []
    with parts.ledger.read() as tx:
        standing = _Standing(tx)
        for account in parts.accounts.values():
            for product in account.credentials:
                for kind in Work:
                    if not standing.holds(account.name, product, kind):
                        found += _shares_of(tx, parts, account, product, kind)
    return found


def _shares_of(tx: Tx, parts: Parts, account: Account, product: Product, kind: Work) -> Iterable[_Share]:
    most = room_for(account, kind)
    waiting = work.due_counts(tx, account.name, product, kind, limit=most)
    if not waiting:
        return []
    room = most - work.outstanding(tx, account.name, product, kind, limit=OUT_MAX)
    if room <= 0:
        # Intake releases a till's payments by itself and may fill all the room; a fifth is kept from it.
        room = -(-most // _ONE_IN) - work.outstanding(
            tx, account.name, product, kind, limit=most, but_queue=Queue.INTERACTIVE
        )
    given = shares(room, waiting, parts.rng)
    return [_Share(account, product, kind, queue, limit) for queue, limit in given.items() if limit > 0]


def _take(parts: Parts, share: _Share) -> Iterable[Message]:
    with parts.ledger.write() as tx:
        released = work.release(
            tx,
            share.account.name,
            share.product,
            share.kind,
            share.queue,
            limit=min(share.limit, _LOCKED_AT_ONCE),
            release_ms=parts.rules.release_ms,
        )
    return messages(
        share.kind,
        released,
        interactive=share.queue in INTERACTIVE_QUEUES,
        claims_alone=parts.rules.claims_alone,
        size=_batch_size(share.account, share.kind, share.queue),
    )


class _Standing:
    """What holds work back at this moment.

    A closed gate holds sends and looks; a pause holds sends only: what MTN has is followed to its end (M13). A recovery holds
    sends, and looks as long as it searches itself.
    """

    def __init__(self, tx: Tx) -> None:
        self._closed = {key for key, gate in stops.gates(tx).items() if gate.closed_at_ms is not None}
        self._pauses = stops.holding(tx)
        self._searching = stops.searching(tx)

    def holds(self, account: str, product: Product, kind: Work) -> bool:
        """Whether nothing of this may be released."""
        if (account, product.value) in self._closed:
            return True
        if kind is Work.LOOK:
            return self._searching
        return any(pause.covers(account, product.value) for pause in self._pauses)
