"""What is due and whose it is: two marks, never one. The pump releases what is due, a worker claims what is released.

Answers with ids and values; never sends, never decides what becomes of a payment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, case, text, update

from momo_worker.ledger import schema
from momo_worker.ledger.engine import NOW_IS_OLD_MS, Tx
from momo_worker.ledger.stops import NO_PAUSED_RUN
from momo_worker.payment.payment import Product, Queue, Work


@dataclass(frozen=True, slots=True)
class Released:
    """A payment that may now be claimed; `alone` when it should travel without neighbours (money-review S13)."""

    payment_id: str
    claims_since_word: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds: a payment under a fence."""

    payment_id: str
    fence: int


# The CTE is materialised and joined: `id IN (SELECT … LIMIT)` claimed a thousand rows for ten under some plans (money-review L6).
_RELEASE = """
WITH due AS MATERIALIZED (
    SELECT id FROM payment
    WHERE account = :account AND product = :product AND work = :work AND queue = :queue
      AND due_at_ms IS NOT NULL AND due_at_ms <= :now
      AND (released_until_ms IS NULL OR released_until_ms <= :now)
      AND (lease_until_ms IS NULL OR lease_until_ms <= :now)
      AND state <> 'sending' AND {no_paused_run}
    ORDER BY due_at_ms
    LIMIT :limit
    {lock}
)
UPDATE payment SET released_until_ms = :until
FROM due WHERE payment.id = due.id
RETURNING payment.id, payment.claims_since_word
"""
_release = {
    "sqlite": text(_RELEASE.format(lock="", no_paused_run=NO_PAUSED_RUN)),
    "postgresql": text(_RELEASE.format(lock="FOR UPDATE SKIP LOCKED", no_paused_run=NO_PAUSED_RUN)),
}

_OUTSTANDING = text(
    "SELECT count(*) FROM (SELECT 1 FROM payment WHERE account = :account AND product = :product AND work = :work "
    "AND released_until_ms IS NOT NULL AND released_until_ms > :now AND queue <> :but_queue LIMIT :limit) AS released"
)

# Read at most a second before the first byte of each call: the claim, the lease, every pause and the gate, in one query (M1, M13);
# and that this ledger isn't behind what is known of it, nor in recovery (design.md 9).
_PERMIT = text(
    """
    SELECT p.id, p.fence, i.tide FROM payment AS p JOIN installation AS i ON i.tide >= :tide
    WHERE p.id IN :ids AND p.state = 'sending' AND p.lease_until_ms > :lease_beyond AND p.not_after_ms > :now
      AND NOT EXISTS (SELECT 1 FROM recovery AS r WHERE r.is_open = 1)
      AND NOT EXISTS (
          SELECT 1 FROM pause AS s WHERE s.lifted_at_ms IS NULL
            AND s.account IN ('', p.account) AND s.product IN ('', p.product) AND s.run IN ('', p.run))
      AND NOT EXISTS (
          SELECT 1 FROM gate AS g WHERE g.account = p.account AND g.product = p.product AND g.closed_at_ms IS NOT NULL)
    """
).bindparams(bindparam("ids", expanding=True))

_ids: BindParameter[Any] = bindparam("ids", expanding=True)
_take_lease = (
    update(schema.payment)
    .where(schema.payment.c.id.in_(_ids))
    .values(
        fence=case(
            (schema.payment.c.fence + 1 < bindparam("first_fence"), bindparam("first_fence")),
            else_=schema.payment.c.fence + 1,
        ),
        lease_until_ms=bindparam("lease_until"),
        claims_since_word=schema.payment.c.claims_since_word + 1,
    )
)


def release(
    tx: Tx, account: str, product: Product, work: Work, queue: Queue, *, limit: int, release_ms: int
) -> list[Released]:
    """Mark up to `limit` due payments as released, earliest first; what another pump holds at this moment is passed over."""
    rows = tx.conn.execute(
        _release[tx.dialect],
        {
            "account": account,
            "product": product.value,
            "work": work.value,
            "queue": queue.value,
            "now": tx.now_ms,
            "until": tx.now_ms + release_ms,
            "limit": limit,
        },
    )
    return [Released(row[0], row[1]) for row in rows]


def outstanding(
    tx: Tx, account: str, product: Product, work: Work, *, limit: int, but_queue: Queue | None = None
) -> int:
    """How many payments are released and not yet recorded, counted up to `limit`; those of `but_queue` are left out."""
    values = {
        "account": account,
        "product": product.value,
        "work": work.value,
        "now": tx.now_ms,
        "limit": limit,
        "but_queue": but_queue.value if but_queue else "",
    }
    return int(tx.conn.execute(_OUTSTANDING, values).scalar_one())


# One statement for every queue: a pump asks this of each account, product and kind four times a second, whether anything is due or not.
_DUE_COUNTS = text(
    " UNION ALL ".join(
        f"SELECT '{queue.value}', count(*) FROM (SELECT 1 FROM payment WHERE account = :account AND product = :product AND work = :work "  # noqa: S608 (our own words)
        f"AND queue = '{queue.value}' AND due_at_ms IS NOT NULL AND due_at_ms <= :now "
        "AND (released_until_ms IS NULL OR released_until_ms <= :now) AND (lease_until_ms IS NULL OR lease_until_ms <= :now) "
        f"AND state <> 'sending' AND {NO_PAUSED_RUN} LIMIT :limit) AS due_{queue.value}"
        for queue in Queue
    )
)


def due_counts(tx: Tx, account: str, product: Product, kind: Work, *, limit: int) -> dict[Queue, int]:
    """How many payments could be released in each queue, counted up to `limit`; queues without any are left out."""
    values = {"account": account, "product": product.value, "work": kind.value, "now": tx.now_ms, "limit": limit}
    return {Queue(row[0]): row[1] for row in tx.conn.execute(_DUE_COUNTS, values) if row[1]}


def take_leases(tx: Tx, ids: Sequence[str], lease_ms: int, first_fence: int = 0) -> None:
    """Claim payments that the caller has locked and found claimable, under a fence above every one that was given for them."""
    if ids:
        values = {"ids": list(ids), "lease_until": tx.now_ms + lease_ms, "first_fence": first_fence}
        tx.conn.execute(_take_lease, values)


@dataclass(frozen=True, slots=True)
class Permission:
    """Which claims may send, and the ledger's tide when it said so (0 where none may)."""

    claims: frozenset[Claim] = frozenset()
    tide: int = 0


def permitted(tx: Tx, claims: Sequence[Claim], call_deadline_ms: int, tide: int) -> Permission:
    """Which of these claims may send now: still their own, with a lease that outlasts the call, and nothing that pauses them.

    None may where the ledger's tide is below `tide`, the highest that is known: it was restored, and nobody has noticed yet.
    """
    if not claims:
        return Permission()
    rows = tx.conn.execute(
        _PERMIT,
        {
            "ids": [claim.payment_id for claim in claims],
            "lease_beyond": tx.now_ms + call_deadline_ms,
            "now": tx.now_ms,
            "tide": tide,
        },
    ).all()
    still = {(row[0], row[1]) for row in rows}
    granted = frozenset(claim for claim in claims if (claim.payment_id, claim.fence) in still)
    return Permission(granted, rows[0][2] if rows else 0)


_LEASES_OVER = text(
    "SELECT id, lease_until_ms FROM payment WHERE state = 'sending' AND lease_until_ms <= :now ORDER BY lease_until_ms LIMIT :limit"
)
_LEASES_OPEN = text("SELECT count(*) FROM payment WHERE state = 'sending'")
_LEASES_CUT = text(
    "UPDATE payment SET lease_until_ms = :latest "  # noqa: S608 - a constant of ours
    f"WHERE state = 'sending' AND lease_until_ms > :latest + {NOW_IS_OLD_MS}"
)
_EXPIRED = text(
    "SELECT id FROM payment WHERE state = 'accepted' AND not_after_ms <= :now ORDER BY not_after_ms LIMIT :limit"
)


def leases_over(tx: Tx, *, limit: int) -> list[tuple[str, int]]:
    """Sending payments whose lease has ended, with its end."""
    return [(row[0], row[1]) for row in tx.conn.execute(_LEASES_OVER, {"now": tx.now_ms, "limit": limit})]


def leases_open(tx: Tx) -> int:
    """How many payments are in `sending`."""
    return int(tx.conn.execute(_LEASES_OPEN).scalar_one())


def cut_leases(tx: Tx, lease_ms: int) -> int:
    """Cut leases that end further ahead than the longest allowed: the ledger's clock went back (money-review C2)."""
    return tx.conn.execute(_LEASES_CUT, {"latest": tx.now_ms + lease_ms}).rowcount


_CUT_MARKS = text(
    "UPDATE payment SET released_until_ms = :released, "  # noqa: S608 - a constant of ours
    "lease_until_ms = CASE WHEN lease_until_ms > :leased THEN :leased ELSE lease_until_ms END "
    "WHERE account = :account AND product = :product AND work = :work "
    f"AND released_until_ms > :released + {NOW_IS_OLD_MS}"
)
_PERMITTED_BEFORE = text(
    "SELECT id FROM payment WHERE account = :account AND product = :product AND work = 'send' AND queue = :queue "
    "AND due_at_ms IS NOT NULL AND due_at_ms <= :since AND state = 'unknown' ORDER BY due_at_ms LIMIT :limit"
)


def cut_marks(tx: Tx, account: str, product: Product, kind: Work, *, release_ms: int, lease_ms: int) -> int:
    """Cut releases, and the leases under them, that end further ahead than the longest allowed (money-review C2)."""
    values = {
        "account": account,
        "product": product.value,
        "work": kind.value,
        "released": tx.now_ms + release_ms,
        "leased": tx.now_ms + lease_ms,
    }
    return tx.conn.execute(_CUT_MARKS, values).rowcount


_CUT_DUE = text(
    "UPDATE payment SET due_at_ms = :latest WHERE account = :account AND product = :product AND work = :work AND queue = :queue "
    "AND due_at_ms IS NOT NULL AND due_at_ms > :latest AND (not_before_ms IS NULL OR not_before_ms < due_at_ms)"
)
_CUT_PROBES = text("UPDATE gate SET probe_at_ms = :latest WHERE closed_at_ms IS NOT NULL AND probe_at_ms > :latest")
_CUT_WAITING = text("UPDATE waiting_job SET next_try_at_ms = :latest WHERE next_try_at_ms > :latest")
_CUT_LATE = text("UPDATE attempt SET late_due_at_ms = :latest WHERE late_due_at_ms > :latest")


def cut_due(tx: Tx, account: str, product: Product, *, longest_ms: dict[Queue, int]) -> int:
    """Cut due times that lie further ahead than the longest back-off of their queue (C2); a job's own `not_before` stands."""
    count = 0
    for kind in Work:
        for queue, longest in longest_ms.items():
            values = {
                "account": account,
                "product": product.value,
                "work": kind.value,
                "queue": queue.value,
                "latest": tx.now_ms + longest,
            }
            count += tx.conn.execute(_CUT_DUE, values).rowcount
    return count


def cut_waits(tx: Tx, *, probe_ms: int, waiting_ms: int, late_ms: int) -> int:
    """The same for probes of closed gates, for jobs that wait and for late looks."""
    found = ((_CUT_PROBES, probe_ms), (_CUT_WAITING, waiting_ms), (_CUT_LATE, late_ms))
    return sum(tx.conn.execute(statement, {"latest": tx.now_ms + longest}).rowcount for statement, longest in found)


def permitted_before(tx: Tx, account: str, product: Product, age_ms: int, *, limit: int) -> list[str]:
    """Unknown payments that were allowed to be sent again longer ago than this, and weren't."""
    values = {
        "account": account,
        "product": product.value,
        "queue": Queue.RESCUE.value,
        "since": tx.now_ms - age_ms,
        "limit": limit,
    }
    return [row[0] for row in tx.conn.execute(_PERMITTED_BEFORE, values)]


def expired(tx: Tx, *, limit: int) -> list[str]:
    """Accepted payments after their `not_after`: nothing is sent any more."""
    return [row[0] for row in tx.conn.execute(_EXPIRED, {"now": tx.now_ms, "limit": limit})]
