"""A run of which rows ended in every way: an office comes in, a run with its story behind it goes out; what tests of reports and proofs share."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from tests.support.ledger_world import World, found_as
from tests.support.run_office import NAME, Office, a_file, people

from momo_worker.ledger.runs import Run
from momo_worker.payment.job import Problem
from momo_worker.payment.verdict import LookAnswer, LookVerdict, RenderedRequest, Status
from momo_worker.runs.feeding import Feeder
from momo_worker.runs.releasing import cancel_run
from momo_worker.steps import intake, operator

FAILED, REFUSED, TAMPERED, CANCELLED = 1, 2, 3, 4
TAKEN = 6
ROWS = 9


def fed(world: World, office: Office) -> None:
    """Hand the next rows over; the one at `REFUSED` turns out to be no job."""

    def take_in(entries: Sequence[intake.Entry]) -> None:
        bad = Problem("msisdn", "256…", "is barred", "ask for another number")
        broken = [replace(one, broken=bad) if one.source.endswith(f"/{REFUSED + 1}") else one for one in entries]
        intake.take_in(world.parts, broken)

    feeder = Feeder(world.parts, take_in, office.balance, 300, Decimal("0.01"))
    while feeder.feed():
        pass


def by_number(request: RenderedRequest) -> LookVerdict:
    """MTN pays everybody but the person at `FAILED`."""
    paid = LookVerdict(LookAnswer.FOUND, Status.SUCCESSFUL, "SUCCESSFUL", http_status=200)
    if f"2567721{FAILED:05d}".encode() not in request.body:
        return replace(paid, financial_transaction_id=f"mtn-{request.reference_id[:8]}")
    return replace(paid, status=Status.FAILED, reason_code="PAYEE_NOT_FOUND")


def a_story(world: World, office: Office, *, ends: bool = True) -> Run:
    """Six of nine rows released: paid, failed, refused, changed behind everybody's back, cancelled; three never released."""
    run = office.released(a_file(*people(ROWS)), first=TAKEN)
    fed(world, office)
    world.write("UPDATE payment SET amount_minor = 999 WHERE idempotency_key = :key", key=office.key_of(TAMPERED))
    operator.cancel(world.parts, world.id_of(office.key_of(CANCELLED)), actor="boss", reason="left us")
    world.mtn.on_look = by_number if ends else found_as(Status.PENDING)
    for _ in range(30):
        world.clock.on(15)
        world.turn()
    if ends:
        cancel_run(world.parts, "default", NAME, reason="the rest is paid by hand", by="boss")
    return office.run(run)
