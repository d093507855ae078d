"""What stops sends: pauses (a person's, lifted by a person) and gates (the worker's, probed and lifted by itself)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from momo_worker.ledger import schema
from momo_worker.ledger.engine import Tx
from momo_worker.payment.payment import Product
from momo_worker.payment.tide import KeptPause


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that holds; '' stands for any account, product or run."""

    id: int
    account: str
    product: str
    run: str
    reason: str
    actor: str
    paused_at_ms: int

    def covers(self, account: str, product: str, run: str = "") -> bool:
        """Whether it stops sends of this account and product, of a run's rows where one is named."""
        return self.run in ("", run) and self.account in ("", account) and self.product in ("", product)

    @property
    def scope(self) -> str:
        """Its scope in words, as commands and logs say it."""
        parts = [
            f"{name} {value}"
            for name, value in (("account", self.account), ("product", self.product), ("run", self.run))
            if value
        ]
        return ", ".join(parts) or "all"


@dataclass(frozen=True, slots=True)
class Gate:
    """What the worker itself knows against sending for an account and product; `closed_at_ms` None is open."""

    account: str
    product: str
    cause: str | None = None
    detail: str | None = None
    closed_at_ms: int | None = None
    probe_at_ms: int | None = None
    probe_step: int = 0
    bad_requests: int = 0


#: Of sends, what belongs to no run that is paused; for statements over `payment` that have the kind of work as `:work`.
NO_PAUSED_RUN = (
    "(:work <> 'send' OR payment.run = '' "
    "OR payment.run NOT IN (SELECT s.run FROM pause AS s WHERE s.lifted_at_ms IS NULL AND s.run <> ''))"
)


def pauses(tx: Tx) -> list[Pause]:
    """Every pause that holds now."""
    columns = (
        schema.pause.c.id,
        schema.pause.c.account,
        schema.pause.c.product,
        schema.pause.c.run,
        schema.pause.c.reason,
        schema.pause.c.actor,
        schema.pause.c.paused_at_ms,
    )
    rows = tx.conn.execute(select(*columns).where(schema.pause.c.lifted_at_ms.is_(None)).order_by(schema.pause.c.id))
    return [Pause(*row) for row in rows]


def kept_pauses(tx: Tx) -> tuple[KeptPause, ...]:
    """The pauses that hold, as a copy keeps them."""
    return tuple(KeptPause(pause.account, pause.product, pause.run, pause.reason, pause.actor) for pause in pauses(tx))


def holding(tx: Tx) -> list[Pause]:
    """Everything that holds sends back everywhere or somewhere: the pauses, and the recovery of a restored ledger (design.md 9)."""
    rows = tx.conn.execute(_RECOVERY).all()
    return [*pauses(tx), *(Pause(0, "", "", "", f"in recovery: {row[0]}", "recovery", row[1]) for row in rows)]


def searching(tx: Tx) -> bool:
    """Whether a restored ledger's payments are still looked for: until that is over nobody else's look ends one (money-review R6)."""
    return tx.conn.execute(_SEARCHING).first() is not None


_SEARCHING = text("SELECT 1 FROM recovery WHERE is_open = 1 AND searched_at_ms IS NULL")
_RECOVERY = text("SELECT why, began_at_ms FROM recovery WHERE is_open = 1")


def add_pause(tx: Tx, *, account: str, product: str, run: str, reason: str, actor: str) -> None:
    """Pause a scope; pausing what is paused adds a second reason, and both must be lifted."""
    tx.conn.execute(
        insert(schema.pause).values(
            account=account, product=product, run=run, reason=reason, actor=actor, paused_at_ms=tx.now_ms
        )
    )
    journal(
        tx,
        actor=actor,
        action="pause",
        subject=f"account={account or 'all'} product={product or 'all'} run={run}",
        reason=reason,
    )


def lift_pauses(tx: Tx, *, account: str, product: str, run: str, reason: str, actor: str) -> int:
    """Lift the pauses of exactly this scope; a narrower resume never lifts a wider pause (M13). Returns how many."""
    statement = (
        update(schema.pause)
        .where(
            schema.pause.c.lifted_at_ms.is_(None),
            schema.pause.c.account == account,
            schema.pause.c.product == product,
            schema.pause.c.run == run,
        )
        .values(lifted_at_ms=tx.now_ms, lifted_by=actor, lifted_reason=reason)
    )
    lifted = tx.conn.execute(statement).rowcount
    if lifted:
        journal(
            tx,
            actor=actor,
            action="resume",
            subject=f"account={account or 'all'} product={product or 'all'} run={run}",
            reason=reason,
        )
    return lifted


def journal(tx: Tx, *, actor: str, action: str, subject: str, reason: str) -> None:
    """Write down what a person, or the worker in a person's place, decided."""
    tx.conn.execute(
        insert(schema.journal).values(actor=actor, action=action, subject=subject, reason=reason, at_ms=tx.now_ms)
    )


def gates(tx: Tx) -> dict[tuple[str, str], Gate]:
    """Every gate that was ever touched, by account and product."""
    rows = tx.conn.execute(select(schema.gate)).mappings()
    return {(row["account"], row["product"]): Gate(**row) for row in rows}


def lock_gate(tx: Tx, account: str, product: Product) -> Gate:
    """The gate of an account and product, locked; made open where there was none."""
    values = {"account": account, "product": product.value, "probe_step": 0, "bad_requests": 0}
    dialect_insert = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
    tx.conn.execute(dialect_insert(schema.gate).values(values).on_conflict_do_nothing())
    statement = (
        select(schema.gate)
        .where(schema.gate.c.account == account, schema.gate.c.product == product.value)
        .with_for_update()
    )
    return Gate(**tx.conn.execute(statement).mappings().one())


def write_gate(tx: Tx, gate: Gate) -> None:
    """Write a gate that the caller has locked."""
    tx.conn.execute(
        update(schema.gate)
        .where(schema.gate.c.account == gate.account, schema.gate.c.product == gate.product)
        .values(
            cause=gate.cause,
            detail=gate.detail,
            closed_at_ms=gate.closed_at_ms,
            probe_at_ms=gate.probe_at_ms,
            probe_step=gate.probe_step,
            bad_requests=gate.bad_requests,
        )
    )


_NOTE_FAULT = text(
    "INSERT INTO fault (account, product, payment_id, at_ms) VALUES (:account, :product, :payment_id, :at_ms) "
    "ON CONFLICT (account, product, payment_id) DO UPDATE SET at_ms = excluded.at_ms"
)


def note_faults(tx: Tx, account: str, product: Product, payment_ids: Sequence[str], window_ms: int) -> int:
    """Note payments that failed by 5xx or timeout; returns how many distinct ones did within the window."""
    rows = [
        {"account": account, "product": product.value, "payment_id": payment_id, "at_ms": tx.now_ms}
        for payment_id in sorted(payment_ids)
    ]
    tx.conn.execute(_NOTE_FAULT, rows)
    since = {"account": account, "product": product.value, "since": tx.now_ms - window_ms}
    counted = text("SELECT count(*) FROM fault WHERE account = :account AND product = :product AND at_ms > :since")
    return int(tx.conn.execute(counted, since).scalar_one())


def forget_faults(tx: Tx, window_ms: int) -> None:
    """Drop faults older than the window."""
    tx.conn.execute(text("DELETE FROM fault WHERE at_ms <= :since"), {"since": tx.now_ms - window_ms})


def forget_faults_of(tx: Tx, account: str, product: Product) -> None:
    """Drop the faults of a product that answers again."""
    tx.conn.execute(
        text("DELETE FROM fault WHERE account = :account AND product = :product"),
        {"account": account, "product": product.value},
    )


def on_the_wire(tx: Tx, *, limit: int = 1000) -> list[tuple[str, int]]:
    """Calls that have begun and have no ending: payment id and the moment they began."""
    rows = tx.conn.execute(
        text(
            "SELECT s.payment_id, s.began_at_ms FROM send AS s JOIN payment AS p ON p.id = s.payment_id "
            "WHERE s.ending IS NULL AND p.state = 'sending' AND p.fence = s.fence ORDER BY s.began_at_ms LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [(row[0], row[1]) for row in rows]
