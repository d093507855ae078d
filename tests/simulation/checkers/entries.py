"""Every entry at a door is answered once: it is a payment, a repetition of one, or a rejection that is told under one event id; never two of these."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken]:
    payments = {
        row[0]: row for row in world.rows("SELECT source, id, account, idempotency_key, amount_minor FROM payment")
    }
    by_key = {(row[2], row[3]): row for row in payments.values()}
    rejected = set(world.rows("SELECT source FROM rejected_job"))
    found = [
        Broken(f"entry {name} is both a payment and rejected", payments[name][1])
        for name in payments
        if name in rejected
    ]
    waits = set(world.rows("SELECT source FROM waiting_job"))
    for sent in world.people.sent:
        if sent.source in waits:
            continue
        told = world.consumer.rejections.get(sent.source, set())
        if sent.source in rejected:
            if len(told) != 1:
                found.append(Broken(f"the rejection of {sent.source} was told under {len(told)} ids"))
            continue
        # Where the stream lost what had been told, nobody can know it any more once the ledger is restored, too.
        forgotten = world.restores.done and (world.counts["results_lost"] or world.counts["redis_lost"])
        if told and sent.source not in world.people.lost and not forgotten:
            found.append(Broken(f"{sent.source} was told as rejected, and the ledger knows nothing of it"))
        job = sent.job or {}
        payment = payments.get(sent.source) or by_key.get((job.get("account"), job.get("idempotency_key")))
        if sent.source in world.people.lost and sent.source not in payments:
            continue  # Redis lost it before it was acknowledged; that it was sent again is an entry of its own.
        if payment is None:
            found.append(Broken(f"entry {sent.source} is lost: {sent.payload!r}"))
        elif str(payment[4]) != job["amount"]:
            found.append(
                Broken(f"entry {sent.source} asks for {job['amount']}, the payment is over {payment[4]}", payment[1])
            )
    return found
