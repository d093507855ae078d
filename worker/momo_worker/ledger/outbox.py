"""Result events on their way out: what isn't marked published, in order, per partition under a lease (M9)."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, text, update

from momo_worker.ledger import schema
from momo_worker.ledger.engine import NOW_IS_OLD_MS, ROWS_MAX, Tx
from momo_worker.payment.events import with_epoch
from momo_worker.payment.transitions import BY_PERSON, Trigger


@dataclass(frozen=True, slots=True)
class Hold:
    """A partition that a relay holds, and the fence it holds it under."""

    partition: int
    fence: int


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that waits to be published."""

    id: int
    body: str
    replayed: bool
    #: How often it had been asked for when it was read.
    asked: int


def hold_partitions(tx: Tx, owner: str, lease_ms: int) -> list[Hold]:
    """Prolong what is ours and take what nobody holds, under a higher fence."""
    until = tx.now_ms + lease_ms
    values = {"until": until, "owner": owner, "now": tx.now_ms, "beyond": until + NOW_IS_OLD_MS}
    tx.conn.execute(
        text("UPDATE relay_partition SET lease_until_ms = :until WHERE owner = :owner AND lease_until_ms > :now"),
        values,
    )
    # A lease that ends much further ahead than any relay's is the work of a clock that went back, and is as good as over.
    tx.conn.execute(
        text(
            "UPDATE relay_partition SET owner = :owner, lease_until_ms = :until, fence = fence + 1 "
            "WHERE lease_until_ms <= :now OR lease_until_ms > :beyond"
        ),
        values,
    )
    return _held(tx, owner)


def _held(tx: Tx, owner: str) -> list[Hold]:
    rows = tx.conn.execute(
        text(
            "SELECT partition, fence FROM relay_partition WHERE owner = :owner AND lease_until_ms > :now ORDER BY partition"
        ),
        {"owner": owner, "now": tx.now_ms},
    )
    return [Hold(row[0], row[1]) for row in rows]


def let_partitions_go(tx: Tx, owner: str) -> None:
    """Give back every partition at a clean stop, so that another relay needn't wait for the lease."""
    tx.conn.execute(text("UPDATE relay_partition SET lease_until_ms = 0 WHERE owner = :owner"), {"owner": owner})


_UNPUBLISHED = text(
    "SELECT id, body, replayed, asked FROM outbox WHERE published_at_ms IS NULL AND partition IN :partitions ORDER BY id LIMIT :limit"
).bindparams(bindparam("partitions", expanding=True))


def unpublished(tx: Tx, partitions: Sequence[int], *, limit: int) -> list[Pending]:
    """Events of these partitions that aren't marked published, in the order in which they were written."""
    rows = tx.conn.execute(_UNPUBLISHED, {"partitions": list(partitions), "limit": limit})
    return [Pending(row[0], row[1], bool(row[2]), row[3]) for row in rows]


_MARK = text("UPDATE outbox SET published_at_ms = :now WHERE id IN :ids AND asked = :asked").bindparams(
    bindparam("ids", expanding=True)
)


def mark_published(tx: Tx, events: Sequence[Pending]) -> None:
    """Note that the results stream has these, as they were read: one that was asked for since goes out once more."""
    for asked in sorted({event.asked for event in events}):
        ids = [event.id for event in events if event.asked == asked]
        tx.conn.execute(_MARK, {"now": tx.now_ms, "ids": ids, "asked": asked})


_AGAIN = text(
    "UPDATE outbox SET published_at_ms = NULL, replayed = TRUE, asked = asked + 1 WHERE id IN "
    "(SELECT id FROM outbox WHERE published_at_ms >= :since ORDER BY published_at_ms LIMIT :limit)"
)


def publish_again_since(tx: Tx, since_ms: int, *, limit: int = ROWS_MAX) -> int:
    """Put up to `limit` events that were published since then back into the queue, marked as a replay; fewer than that were the last."""
    return tx.conn.execute(_AGAIN, {"since": since_ms, "limit": limit}).rowcount


@dataclass(frozen=True, slots=True)
class Replay:
    """Which events a person wants to see once more."""

    #: Published since then.
    since_ms: int
    payment_id: str | None = None
    types: Sequence[str] = ()


def replay(tx: Tx, wanted: Replay, *, after_id: int, limit: int = ROWS_MAX) -> list[int]:
    """Put the next events of a replay back into the queue, marked as replayed, id, epoch and sequence as they were; gives their ids.

    `after_id` goes through them in order: what the relay has published meanwhile isn't taken twice.
    """
    outbox = schema.outbox.c
    found = select(outbox.id).where(outbox.id > after_id, outbox.published_at_ms >= wanted.since_ms)
    if wanted.payment_id is not None:
        found = found.where(outbox.payment_id == wanted.payment_id)
    if wanted.types:
        found = found.where(outbox.type.in_(wanted.types))
    ids = list(tx.conn.execute(found.order_by(outbox.id).limit(limit)).scalars())
    if ids:
        tx.conn.execute(
            update(schema.outbox)
            .where(outbox.id.in_(ids))
            .values(published_at_ms=None, replayed=True, asked=outbox.asked + 1)
        )
    return ids


@dataclass(frozen=True, slots=True)
class Place:
    """How far somebody has gone through what was published, in the order of its publication."""

    published_at_ms: int
    id: int


_PUBLISHED_BEFORE = text(
    "SELECT published_at_ms, id FROM outbox WHERE published_at_ms <= :before AND published_at_ms >= :place_ms "
    "AND (published_at_ms > :place_ms OR id > :place_id) ORDER BY published_at_ms, id LIMIT :limit"
)
_FORGET = text(
    "DELETE FROM outbox WHERE id IN :ids AND published_at_ms <= :before AND (payment_id IS NULL "
    "OR EXISTS (SELECT 1 FROM outbox AS later WHERE later.payment_id = outbox.payment_id AND later.id > outbox.id))"
).bindparams(bindparam("ids", expanding=True))


def forget_published(tx: Tx, before_ms: int, place: Place, *, limit: int = ROWS_MAX) -> tuple[int, Place | None]:
    """Remove what was published before then, but for each payment's latest, which answers its job sent again (6.1).

    Looks at the next `limit` events after `place`; gives how many were removed and how far it came, None at the end.
    """
    values = {"before": before_ms, "place_ms": place.published_at_ms, "place_id": place.id, "limit": limit}
    seen = tx.conn.execute(_PUBLISHED_BEFORE, values).all()
    if not seen:
        return 0, None
    removed = tx.conn.execute(_FORGET, {"ids": [row[1] for row in seen], "before": before_ms}).rowcount
    return removed, Place(*seen[-1])


def publish_latest_again(tx: Tx, payment_ids: Sequence[str]) -> None:
    """Answer a repeated job with its payment's latest event, published once more (6.1)."""
    for payment_id in payment_ids:
        tx.conn.execute(
            text(
                "UPDATE outbox SET published_at_ms = NULL, asked = asked + 1 "
                "WHERE id = (SELECT max(id) FROM outbox WHERE payment_id = :payment_id)"
            ),
            {"payment_id": payment_id},
        )


_NEWEST_SINCE = text(
    "SELECT id, body FROM outbox AS o WHERE created_at_ms >= :since AND payment_id IS NOT NULL "
    "AND id = (SELECT max(id) FROM outbox WHERE payment_id = o.payment_id) ORDER BY id"
)
_RAISE = text(
    "UPDATE outbox SET event_id = :event_id, body = :body, published_at_ms = NULL, asked = asked + 1 WHERE id = :id"
)


_NEWEST_SEARCHED = text(
    "SELECT id, body FROM outbox WHERE id IN (SELECT max(o.id) FROM search AS s JOIN outbox AS o ON o.payment_id = s.payment_id "
    "WHERE s.recovery_id = :recovery GROUP BY s.payment_id) ORDER BY id"
)


def of_older_epoch(tx: Tx, since_ms: int, recovery_id: int, epoch: int) -> list[int]:
    """The newest events, where they are of an older epoch, of payments that told something since then or were looked for in this recovery."""
    rows = [
        *tx.conn.execute(_NEWEST_SINCE, {"since": since_ms}),
        *tx.conn.execute(_NEWEST_SEARCHED, {"recovery": recovery_id}),
    ]
    return sorted({row[0] for row in rows if json.loads(row[1])["data"]["epoch"] < epoch})


def raise_epoch(tx: Tx, namespace: uuid.UUID, ids: Sequence[int], epoch: int) -> None:
    """Put these events under the new epoch and out once more: under the old one a consumer may have applied a higher sequence already."""
    for event in ids:
        body = tx.conn.execute(text("SELECT body FROM outbox WHERE id = :id"), {"id": event}).scalar_one()
        event_id, raised = with_epoch(namespace, body, epoch)
        tx.conn.execute(_RAISE, {"id": event, "event_id": event_id, "body": raised})


_UNTOLD_SINCE = text(
    "SELECT id FROM outbox WHERE published_at_ms IS NULL AND payment_id IS NOT NULL AND created_at_ms >= :since ORDER BY id"
)


def raise_untold(tx: Tx, namespace: uuid.UUID, since_ms: int, epoch: int) -> None:
    """Put what was written since then and has not left yet under the new epoch: the lost ledger may have told another thing under its id."""
    raise_epoch(tx, namespace, [row[0] for row in tx.conn.execute(_UNTOLD_SINCE, {"since": since_ms})], epoch)


def raise_fences(tx: Tx, seen: dict[int, int]) -> None:
    """Put each partition's fence to what Redis has seen at least, and let it be taken anew."""
    for partition, fence in sorted(seen.items()):
        tx.conn.execute(
            text(
                "UPDATE relay_partition SET fence = :fence, owner = NULL, lease_until_ms = 0 WHERE partition = :partition AND fence < :fence"
            ),
            {"partition": partition, "fence": fence},
        )


def lag(tx: Tx) -> tuple[int, int | None]:
    """How many events wait, and since when the oldest does."""
    row = tx.conn.execute(text("SELECT count(*), min(created_at_ms) FROM outbox WHERE published_at_ms IS NULL")).one()
    return int(row[0]), row[1]


#: Moves that need no worker: a ledger that only takes in, gives up or is told by people isn't moving.
_WITHOUT_WORKERS = tuple(
    trigger.value for trigger in (Trigger.TAKEN_IN, Trigger.EXPIRED, Trigger.LEASE_OVER, *BY_PERSON)
)
_NEWEST = 10_000
_MOVED = text(
    "SELECT max(at_ms) FROM (SELECT at_ms, trigger FROM transition ORDER BY id DESC LIMIT :newest) AS newest "
    "WHERE trigger NOT IN :without"
).bindparams(bindparam("without", expanding=True))


def moved_since(tx: Tx, since_ms: int) -> bool:
    """Whether a worker moved any payment since then, among the newest moves."""
    found = tx.conn.execute(_MOVED, {"newest": _NEWEST, "without": list(_WITHOUT_WORKERS)}).scalar_one()
    return found is not None and found >= since_ms


_SENT = text(
    "SELECT 1 FROM (SELECT payment_id, at_ms, trigger FROM transition ORDER BY id DESC LIMIT :newest) AS newest "
    "JOIN payment ON payment.id = newest.payment_id "
    "WHERE newest.at_ms >= :since AND newest.trigger IN ('claimed', 'resent') "
    "AND payment.account = :account AND payment.product = :product LIMIT 1"
)


def sent_since(tx: Tx, account: str, product: str, since_ms: int) -> bool:
    """Whether a worker took any payment of this account and product for sending since then, among the newest moves."""
    values = {"newest": _NEWEST, "since": since_ms, "account": account, "product": product}
    return tx.conn.execute(_SENT, values).first() is not None
