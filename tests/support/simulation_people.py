"""People inside the simulation: producers that send jobs, the same again and wrong ones; operators that pause, resume and cancel; callbacks. By the dice."""

import base64
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.support.simulation_scheduler import Task

from momo_worker.ledger import stops
from momo_worker.ledger.engine import LEDGER_FAILURES
from momo_worker.mtn.wire import callback_path, reference_of_callback
from momo_worker.payment.events import rfc3339
from momo_worker.steps import intake, operator
from momo_worker.steps.callback import hint

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

_FIRST_NUMBER = 256772123401
#: Nobody's number, so that the job is rejected.
_NO_NUMBER = "256733123451"
_SECRET = "callback-secret"
#: How many of the jobs at Celery's door come by no other.
_CELERY_ALONE = 0.6
#: What was sent so long before a backup may have been committed after it.
_TAKEN_IN_SECONDS = 120.0


@dataclass
class StoppedTime:
    """A pause: its scope, when its commit returned, and when somebody began to lift it."""

    account: str
    product: str
    begun_at: float
    lifted_at: float | None = None


@dataclass(frozen=True)
class SentJob:
    """An entry that a producer made: at which door, saying what."""

    source: str
    door: str
    payload: bytes
    job: dict[str, Any] | None
    at: float


class People:
    """Who acts from outside."""

    def __init__(self, world: "Simulation") -> None:
        self.world = world
        self.sent: list[SentJob] = []
        self.firsts: list[dict[str, Any]] = []
        #: Entries that Redis lost before anybody acknowledged them.
        self.lost: set[str] = set()
        self.doors_rng = random.Random(f"doors {world.swarm.dice}")
        self.busy_seconds = world.swarm.spread_seconds + world.swarm.faults_after_seconds

    def begin(self) -> None:
        world = self.world
        for number in range(world.swarm.jobs):
            world.scheduler.after(world.rng.uniform(0.0, world.swarm.spread_seconds), lambda n=number: self._job(n))
        if world.swarm.chance("pauses"):
            for _ in range(world.rng.randint(1, 4)):
                world.scheduler.after(world.rng.uniform(0.0, world.swarm.spread_seconds + 60.0), self._pause)
        if world.swarm.chance("cancels"):
            for _ in range(world.rng.randint(2, 10) * max(1, world.swarm.jobs // 50)):
                world.scheduler.after(world.rng.uniform(0.5, world.swarm.spread_seconds + 60.0), self._cancel)

    def end(self) -> None:
        """No more haste: what people or the worker paused is lifted, now and later."""
        self._lift_all()

    # ---- producers --------------------------------------------------------------------------------------------------

    def _job(self, number: int) -> None:
        world, rng = self.world, self.world.rng
        job = self._a_job(number)
        self.firsts.append(job)
        self.send(job)
        if rng.random() < world.swarm.chance("same_job_again"):
            for _ in range(rng.randint(1, 3)):
                again = {**job, "metadata": {"try": rng.randint(1, 9)}}
                world.scheduler.after(rng.choice((0.0, 0.3, 60.0, 400.0)), lambda again=again: self.send(again))
                world.count("same job again")
        if rng.random() < world.swarm.chance("key_reused"):
            other = {**job, "amount": str(int(job["amount"]) + 1)}
            world.scheduler.after(rng.choice((0.0, 0.2, 90.0)), lambda: self.send(other))
            world.count("other body under the same key")
        if rng.random() < world.swarm.chance("broken_job"):
            self._send_bytes(b'{"operation": "disburse", "amount": 1.5' + bytes([rng.randrange(32, 126)]), None)
            world.count("broken job")
        if job["operation"] == "collect" and rng.random() < world.swarm.chance("refunds"):
            for part in range(rng.randint(1, 3)):
                world.scheduler.after(rng.uniform(60.0, 400.0), lambda p=part: self._refund(job, p))
        if rng.random() < world.swarm.chance("replaces"):
            world.scheduler.after(rng.uniform(60.0, 450.0), lambda: self._replace(job))

    def _a_job(self, number: int) -> dict[str, Any]:
        world, rng = self.world, self.world.rng
        account = rng.choice(tuple(world.parts.accounts))
        job: dict[str, Any] = {
            "operation": rng.choice(("collect", "collect", "disburse", "disburse", "deposit")),
            "idempotency_key": f"{world.swarm.seed}-{number}",
            "amount": str(rng.randint(1, 9) * 1000),
            "currency": "UGX",
            "msisdn": self._a_number() if rng.random() < 0.97 else _NO_NUMBER,
            "account": account,
            "lane": rng.choice(("interactive", "bulk")),
        }
        if rng.random() < world.swarm.chance("short_lives"):
            job["not_after"] = rfc3339(world.clock.now_ms() + rng.randint(2, 300) * 1000)
        if rng.random() < world.swarm.chance("unknown_account"):
            job["account"] = "nobody"
            world.count("unknown account")
        return job

    def _a_number(self) -> str:
        return str(_FIRST_NUMBER + self.world.rng.randrange(self.world.swarm.numbers))

    def _refund(self, collection: dict[str, Any], part: int) -> None:
        amount = self.world.rng.choice((int(collection["amount"]) // 2, int(collection["amount"]), 500))
        job = {
            "operation": "refund",
            "idempotency_key": f"{collection['idempotency_key']}/refund-{part}",
            "refund_of": collection["idempotency_key"],
            "amount": str(amount),
            "currency": "UGX",
            "account": collection["account"],
        }
        self.world.count("refund asked for")
        self.send(job)

    def _replace(self, failed: dict[str, Any]) -> None:
        corrected = {
            **failed,
            "idempotency_key": f"{failed['idempotency_key']}/corrected",
            "replaces": failed["idempotency_key"],
            "msisdn": str(_FIRST_NUMBER),
        }
        corrected.pop("not_after", None)
        self.world.count("replacement asked for")
        self.send(corrected)

    def send(self, job: dict[str, Any]) -> None:
        """A producer's job, by one door or the other."""
        self._send_bytes(json.dumps(job).encode(), job)

    def _send_bytes(self, payload: bytes, job: dict[str, Any] | None) -> None:
        """By the stream, by Celery's list, or by the command line, which takes in itself; now and then by two doors at once."""
        rng, often = self.doors_rng, self.world.swarm.chance("celery_door")
        if job is not None and rng.random() < often:
            self._to_celery(job)
            if rng.random() < _CELERY_ALONE:
                return
            self.world.count("the same job at two doors")
        if self.world.rng.random() < 0.75:
            self._to_stream(payload, job)
            return
        source = f"cli:{len(self.sent)}"
        self.sent.append(SentJob(source, "cli", payload, job, self.world.scheduler.now))
        self._take_in(intake.Entry(source, payload, "cli"), 5)

    def _to_stream(self, payload: bytes, job: dict[str, Any] | None) -> None:
        name = self.world.jobs.add(payload)
        self.sent.append(SentJob(f"momo:jobs/{name}", "stream", payload, job, self.world.scheduler.now))

    def _to_celery(self, job: dict[str, Any]) -> None:
        """As a Celery client writes it, protocol 2."""
        fields = {name: value for name, value in job.items() if name != "operation"}
        body = base64.b64encode(json.dumps([[], fields, {}]).encode()).decode()
        envelope = {
            "body": body,
            "content-type": "application/json",
            "headers": {"task": f"momo.{job['operation']}", "id": f"task-{len(self.sent)}"},
            "properties": {"body_encoding": "base64"},
        }
        payload = json.dumps(envelope).encode()

        def moved(name: str | None) -> None:
            if name is None:
                self._send_again(lambda: self._to_celery(job))
            else:
                self.sent.append(SentJob(f"momo:jobs/{name}", "celery", payload, job, self.world.scheduler.now))

        self.world.count("job by Celery")
        self.world.jobs.celery.append((payload, moved))

    def redis_lost(self, entries: Sequence[str]) -> None:
        """Who has seen neither acceptance nor rejection after a minute sends the same again, as the contract says."""
        sources = {f"momo:jobs/{name}" for name in entries}
        self.lost |= sources
        self._send_all_again([one for one in self.sent if one.source in sources])

    def ledger_restored(self, made_at: float) -> None:
        """What came by the command line since then is in no stream to be read again: whoever gave it gives it again."""
        lost = [one for one in self.sent if one.at >= made_at - _TAKEN_IN_SECONDS and one.door == "cli"]
        self.lost |= {one.source for one in lost}
        self._send_all_again(lost)

    def both_lost(self, made_at: float) -> None:
        """The ledger was restored, and Redis lost the jobs that could have been read again: everything since then is sent again."""
        lost = [one for one in self.sent if one.at >= made_at - _TAKEN_IN_SECONDS]
        self.lost |= {one.source for one in lost}
        self._send_all_again(lost)

    def _send_all_again(self, lost: Sequence[SentJob]) -> None:
        """Whose rejection was heard is sent by nobody again: its producer has decided otherwise."""
        for sent in [one for one in lost if one.source not in self.world.consumer.rejections]:
            if sent.door == "celery" and sent.job is not None:
                self._send_again(lambda job=sent.job: self._to_celery(job))
            else:
                self._send_again(lambda sent=sent: self._to_stream(sent.payload, sent.job))

    def _send_again(self, send: Callable[[], None]) -> None:
        self.world.count("sent again after a loss")
        self.world.scheduler.after(self.doors_rng.uniform(60.0, 180.0), send)

    def _take_in(self, entry: intake.Entry, tries_left: int) -> None:
        """The command line's own: who has no answer does the same once more."""
        world = self.world
        try:
            taken = intake.take_in(world.parts, [entry])
        except LEDGER_FAILURES:
            world.count("command line met a failing ledger")
            assert tries_left, "a ledger that fails one in a hundred times failed six times in a row"
            world.scheduler.after(3.0, lambda: self._take_in(entry, tries_left - 1))
            return
        if taken.released:
            world.queue.send_task("momo_worker.submit", [list(taken.released)], "interactive")

    # ---- operators --------------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        world, rng = self.world, self.world.rng
        account = rng.choice(("", *world.parts.accounts))
        self.pause(account, rng.choice(("", "collection", "disbursement")))

    def pause(self, account: str, product: str, seconds: float | None = None) -> None:
        """An operator pauses this scope, and resumes exactly it later."""
        world, rng = self.world, self.world.rng
        try:
            with world.ledger.write() as tx:
                stops.add_pause(tx, account=account, product=product, run="", reason="haste", actor="operator")
        except LEDGER_FAILURES:
            world.count("a pause met a failing ledger")
            return
        stopped = StoppedTime(account, product, world.scheduler.now)
        world.stopped.append(stopped)
        world.count("operator pauses")
        seconds = rng.choice((0.5, 20.0, 200.0, 900.0)) if seconds is None else seconds
        world.scheduler.after(seconds, lambda: self._resume(stopped))

    def _resume(self, stopped: StoppedTime) -> None:
        world = self.world
        same = [one for one in world.stopped if (one.account, one.product) == (stopped.account, stopped.product)]
        for one in same:
            one.lifted_at = one.lifted_at if one.lifted_at is not None else world.scheduler.now
        try:
            with world.ledger.write() as tx:
                stops.lift_pauses(
                    tx, account=stopped.account, product=stopped.product, run="", reason="calm", actor="operator"
                )
        except LEDGER_FAILURES:
            world.scheduler.after(5.0, lambda: self._resume(stopped))

    def _lift_all(self) -> None:
        world = self.world
        try:
            with world.ledger.read() as tx:
                held = stops.pauses(tx)
        except LEDGER_FAILURES:
            held = []
        for pause in held:
            if pause.actor == "worker":
                world.count("worker paused an account")
            self._resume(StoppedTime(pause.account, pause.product, world.scheduler.now))
        world.scheduler.after(300.0, self._lift_all)

    def _cancel(self) -> None:
        world = self.world
        ids = world.rows("SELECT id FROM payment WHERE state IN ('accepted', 'sending', 'unknown', 'held') ORDER BY id")
        if not ids:
            return
        self.cancel(world.rng.choice(ids))

    def cancel(self, chosen: str) -> None:
        """An operator cancels this one, or is told why not."""
        world = self.world
        try:
            decided = operator.cancel(world.parts, chosen, actor="operator", reason="haste")
        except LEDGER_FAILURES:
            world.count("a cancel met a failing ledger")
            return
        said = "refused" if decided is not None and decided.refused else "done"
        world.count(f"cancel {said}")
        world.tell(chosen, f"an operator cancels: {said}")

    # ---- callbacks --------------------------------------------------------------------------------------------------

    def callback(self, url: str, reference: str) -> None:
        world = self.world
        path = urlsplit(url).path.removeprefix("/mtn")
        found = reference_of_callback(_SECRET, path)
        assert found == reference, "MTN's callback came under another path than we gave"
        world.count("callback")
        world.scheduler.inline(Task("callback door", inline=True), lambda: self._hint(reference))

    def invented_callback(self) -> None:
        """A stranger's guess is refused by its seal; who saw a true URL may repeat it as often as he likes."""
        world = self.world
        reference = world.rng.choice(world.posts).reference if world.posts else "00000000-0000-4000-8000-000000000000"
        assert reference_of_callback(_SECRET, f"/{reference}/{'0' * 64}") is None
        world.count("invented callback")
        if reference_of_callback(_SECRET, callback_path(_SECRET, reference)) == reference:
            self._hint(reference)

    def _hint(self, reference: str) -> None:
        try:
            hint(self.world.parts, reference)
        except LEDGER_FAILURES:
            self.world.count("a callback met a failing ledger")
