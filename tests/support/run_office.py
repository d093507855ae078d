"""Bulk runs on a world's ledger: people with keys, a file that becomes a run, signatures, a feeder; what tests of runs share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support.ledger_world import NAMESPACE, World

from momo_worker.approval.people import Entry, People, Role, SignIn, who_counts
from momo_worker.approval.signing import new_key, public_text, sign
from momo_worker.commons.parts import Approvals
from momo_worker.ledger import run_release, run_signing, runs
from momo_worker.ledger.runs import Run
from momo_worker.payment.job import Terms
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Operation, Product
from momo_worker.runs import importing
from momo_worker.runs.approving import Signed, sign_run
from momo_worker.runs.feeding import Feeder
from momo_worker.runs.importing import Imported, Wanted
from momo_worker.runs.releasing import Wish, release_run
from momo_worker.steps import intake

UGANDA = Terms(Currency("UGX", 0), "UG")
NAME = "salary-2026-12"


def silent(_what: str, _done: int, _of: int | None) -> None:
    """Nobody watches."""


def a_file(*rows: Sequence[str], head: Sequence[str] = ("id", "name", "phone", "amount")) -> bytes:
    return "\n".join(",".join(row) for row in (head, *rows)).encode()


def people(count: int, amount: int = 150_000) -> list[tuple[str, str, str, str]]:
    return [(f"E{place}", f"Person {place}", f"2567721{place:05d}", str(amount + place)) for place in range(count)]


@dataclass
class Office:
    """Everything that a run needs around a ledger: boss (the first approver), cfo (another), ada (a maker)."""

    world: World
    keys: dict[str, Ed25519PrivateKey]
    people: People
    available: int | None = 10**12
    asked: int = 0
    feeders: dict[int, Feeder] = field(default_factory=dict)

    def draft(self, content: bytes | None = None, name: str = NAME, **more: Any) -> Imported:
        """A file as a draft, whose questions somebody has answered."""
        given = {
            "file_name": "f.csv",
            "account": "default",
            "operation": Operation.DISBURSE,
            "terms": UGANDA,
            "maker": "ada",
        }
        want = Wanted(content=content or a_file(*people(6)), name=name, **{**given, **more})
        found, _ = importing.read_file(want, silent)
        made = importing.write_draft(self.world.ledger, NAMESPACE, want, found, silent)
        with self.world.ledger.write() as tx:
            asked = [one.number for one in made.findings if one.asked]
            if asked:
                runs.answer(tx, made.run.id, asked, text_of_answer="checked", by="ada")
        return made

    def sign(self, who: str, role: Role = Role.APPROVER, name: str = NAME) -> Signed:
        entry = self.people.counted[who]
        assert entry.role is role
        return sign_run(self.world.parts, "default", name, entry, lambda: self.keys[who], silent)

    def approved(self, content: bytes | None = None, name: str = NAME, **more: Any) -> Run:
        """A run that its maker and an approver have signed."""
        self.draft(content, name, **more)
        self.sign("ada", Role.MAKER, name)
        return self.sign("boss", name=name).run

    def released(self, content: bytes | None = None, name: str = NAME, *, first: int | None = None, **more: Any) -> Run:
        """The same, released."""
        self.approved(content, name, **more)
        run, _ = release_run(self.world.parts, "default", name, Wish(first), by="boss")
        return run

    def feeder(self, world: World | None = None, *, ahead: int = 300) -> Feeder:
        """A pump's loop for runs; its entries go through the real intake."""
        parts = (world or self.world).parts

        def take_in(entries: Sequence[intake.Entry]) -> None:
            intake.take_in(parts, entries)

        return Feeder(parts, take_in, self.balance, ahead, Decimal("0.01"))

    def balance(self, _account: str, _product: Product) -> int | None:
        self.asked += 1
        return self.available

    def run(self, run: Run) -> Run:
        with self.world.ledger.read() as tx:
            found = runs.find(tx, run.id)
        assert found is not None
        return found

    def fed_to(self, run: Run) -> int:
        with self.world.ledger.read() as tx:
            found = run_release.release_of(tx, run.id)
        assert found is not None
        return found.fed_to

    def signatures(self, run: Run) -> int:
        with self.world.ledger.read() as tx:
            return len(run_signing.signatures(tx, run.id))

    def key_of(self, place: int, name: str = NAME) -> str:
        """The key of a row by its number in `people`."""
        return f"run/{name}/E{place}/1"

    def payment_ids(self, run: Run) -> list[str]:
        return self.world.rows("SELECT id FROM payment WHERE run = :run ORDER BY idempotency_key", run=run.id)

    def run_events(self, run: Run) -> list[str]:
        return [event["type"].removeprefix("momo.run.") for event in self.world.events(run.id)]


def staff(*makers: str, approvers: Sequence[str] = ("boss", "cfo")) -> tuple[dict[str, Ed25519PrivateKey], People]:
    """Keys and the people who count: the first approver signs everybody else in."""
    names = [*approvers, *(makers or ("ada",))]
    keys = {name: new_key() for name in names}
    entries = [
        Entry(name, Role.APPROVER if name in approvers else Role.MAKER, public_text(keys[name])) for name in names
    ]
    first, others = entries[0], entries[1:]
    signed = [SignIn(one.name, first.name, sign(keys[first.name], one.statement(first.name))) for one in others]
    return keys, who_counts(first, others, signed)


def an_office(world: World, *, maker_signs: bool = True, known: Callable[[], People] | None = None) -> Office:
    """An office around a world; `world.parts` knows its people from here on."""
    keys, counted = staff()
    world.parts = replace(world.parts, approvals=Approvals(known or (lambda: counted), maker_signs))
    return Office(world, keys, counted)
