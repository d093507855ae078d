"""The ledger is restored inside the simulation: an older copy of it takes its place, under running processes or with all of them ended. By dice of its own.

What knows better stands outside of the ledger, as in earnest: the tide's copies in Redis and in a file, and what each process has read.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.simulation_scheduler import Task

from momo_worker.ledger import installation
from momo_worker.ledger.engine import LEDGER_FAILURES, Ledger
from momo_worker.payment.envelope import fields_of_envelope
from momo_worker.payment.job_text import parse_fields
from momo_worker.payment.tide import Copy
from momo_worker.steps import recovery

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

_OPEN = "SELECT (SELECT count(*) FROM recovery WHERE is_open = 1), (SELECT min(due_at_ms) FROM search WHERE outcome IS NULL)"
#: How much a restore takes away, in seconds: a replica that was a little behind, a backup of some minutes ago.
_LOSSES = ((1.2, 6.0), (6.0, 60.0), (60.0, 400.0))
#: How many releases give up what was not found yet, and how many let go what was never sent.
_HASTY = 0.1
_LIVES_SECONDS = 6.0
_SENDS_UNSENT = 0.5
#: How many payments a person cancels between a copy and its restore, and after it, and how many jobs come again, at most.
_CLEARED_MAX = 12
_SENT_AGAIN_MAX = 8


@dataclass(frozen=True)
class Backup:
    """A copy of the ledger, and when it was made."""

    place: str
    made_at: float
    #: How often the tide had been raised by then.
    raised: int


class Restores:
    """When the ledger is copied and put back, what is kept of its tide elsewhere, and the person who ends the recovery."""

    def __init__(self, world: "Simulation") -> None:
        self.world = world
        self.rng = random.Random(f"restore {world.swarm.dice}")
        self.happen = world.swarm.chance("ledger_restored") > 0
        self.backups: list[Backup] = []
        #: What stands in Redis and in the file of MOMO_HOME.
        self.in_redis: Copy | None = None
        self.in_file: Copy | None = None
        #: Of each restore: when it was, and the moment to which the ledger went back.
        self.done: list[tuple[float, float]] = []
        self.redis_lost_at = 0.0
        #: How often the tide was raised.
        self.raised = 0
        self._first = True

    def begin(self) -> None:
        """Plan what happens; where nothing does, nobody raises the tide."""
        if not self.happen:
            return
        world = self.world
        self._tide()
        for number in range(self.rng.choice((1, 1, 2))):
            copied = self.rng.uniform(0.0, world.swarm.spread_seconds + 250.0)
            lost = self.rng.uniform(*self.rng.choice(_LOSSES))
            world.scheduler.after(copied, lambda number=number: self._copy(number))
            world.scheduler.after(copied + lost, self._restore)
            for _ in range(self.rng.randint(0, _CLEARED_MAX)):
                # A decision that will be lost with the ledger.
                world.scheduler.after(self.rng.uniform(copied, copied + lost), self._give_up)

    # ---- the tide ---------------------------------------------------------------------------------------------------

    def _new_memory(self) -> None:
        """What a process that starts knows of the tide: the file's copy."""
        mark = self.world.parts.tidemark
        mark._seen = self.in_file.tide if self.in_file is not None else 0
        self._first = True

    def _tide(self) -> None:
        """Each second a pump counts up, as long as anything may go wrong."""
        world = self.world
        if world.odd.pumps_rest_seconds() <= 0:
            self.raise_tide()
        if world.faults_on or self.open()[0]:
            world.scheduler.after(1.0, self._tide)

    def raise_tide(self) -> bool:
        """As the pump's keeper does it; False when its process died in it."""
        world = self.world

        def body() -> None:
            known = [copy for copy in (self.in_file, self.in_redis) if copy is not None]
            try:
                raised = recovery.raise_tide(world.parts, known, first=self._first)
            except LEDGER_FAILURES:
                return
            self._first = False
            self.raised += 1
            if raised.began is not None:
                world.count(f"restored ledger noticed: {raised.began.why}")
            self.in_redis = raised.copy
            world.pump_point("copied to redis")
            self.in_file = raised.copy

        lived = world.scheduler.inline(Task("tide", inline=True, part="tide"), body)
        if not lived:
            # Whoever takes its place reads the copies first.
            self._first = True
            world.pumps[0].begin()
        return lived

    def redis_lost(self) -> None:
        """Redis came back empty; where jobs were still to be read again, nobody has them but their producers."""
        self.in_redis = None
        self.redis_lost_at = self.world.scheduler.now
        if self.done and (self._unnoticed() or self._jobs_unread()):
            self.world.count("redis lost before a restored ledger had read its jobs again")
            self.world.people.both_lost(self.done[-1][1])

    def _jobs_unread(self) -> bool:
        return bool(self.world.rows("SELECT 1 FROM recovery WHERE is_open = 1 AND jobs_done_at_ms IS NULL"))

    # ---- restoring --------------------------------------------------------------------------------------------------

    def _copy(self, number: int) -> None:
        world = self.world
        world.ledger.engine.dispose()
        self.backups.append(Backup(world.reader.copy(number), world.scheduler.now, self.raised))

    def _restore(self) -> None:
        world = self.world
        if not self.backups or not world.faults_on:
            return
        backup = self.rng.choice(self.backups)
        if self.raised == backup.raised:
            # No pump lived in between, and so nobody could notice.
            return
        ended = self.rng.random() < 0.5
        if ended:
            world.end_processes()
        world.ledger.engine.dispose()
        world.reader.put_back(backup.place)
        self.done.append((world.scheduler.now, backup.made_at))
        world.count("ledger restored, all processes ended" if ended else "ledger restored under running processes")
        if ended:
            self._new_start()
        if self.redis_lost_at > backup.made_at:
            world.count("redis was lost before the ledger was restored")
            world.people.both_lost(backup.made_at)
        else:
            world.people.ledger_restored(backup.made_at)
        self._forget_pauses(backup.made_at)
        world.scheduler.after(self.rng.uniform(1.0, 900.0), self._release)
        for _ in range(self.rng.randint(0, _CLEARED_MAX)):
            world.scheduler.after(self.rng.uniform(5.0, 1200.0), self._give_up)
        self._send_again(backup.made_at)

    def _send_again(self, made_at: float) -> None:
        """Producers that wait for a word say the same again, just when the stream is read again: one is before the other."""
        world = self.world
        lost = [
            one.job
            for one in world.people.sent
            if one.at >= made_at and one.job and one.source not in world.consumer.rejections
        ]
        for job in self.rng.sample(lost, min(len(lost), self.rng.randint(0, _SENT_AGAIN_MAX))):
            world.count("the same job while its stream is read again")
            world.scheduler.after(self.rng.uniform(0.0, 10.0), lambda job=job: world.people.send(job))

    def _give_up(self) -> None:
        """Somebody cancels what lies on the desk or waits to be sent: what the lost ledger paid isn't theirs to give up."""
        waiting = self.world.rows("SELECT id FROM payment WHERE state IN ('held', 'accepted') ORDER BY id")
        if waiting and self.world.faults_on:
            self.world.count("given up before a restore" if not self.done else "given up after a restore")
            self.world.people.cancel(self.rng.choice(waiting))

    def newest_copy(self) -> Copy | None:
        """What is known of the ledger outside of it."""
        return max((each for each in (self.in_file, self.in_redis) if each), key=lambda each: each.tide, default=None)

    def _forget_pauses(self, made_at: float) -> None:
        """A pause that neither the restored ledger nor a copy knows is nobody's any more; until the release nothing leaves anyway."""
        copy = self.newest_copy()
        known = {(pause.account, pause.product) for pause in copy.pauses} if copy else set()
        for stopped in self.world.stopped:
            if stopped.begun_at >= made_at and (stopped.account, stopped.product) not in known:
                stopped.lifted_at = stopped.lifted_at or self.world.scheduler.now

    def _new_start(self) -> None:
        """Every process starts anew; copies of the tide may be lost, too, or be as old as the ledger."""
        world = self.world
        lost = self.rng.choice(("", "", "redis", "file", "both", "both are old"))
        if lost == "both" and world.scheduler.now - self.done[-1][1] < _LIVES_SECONDS:
            # A tide that was raised within five seconds is somebody's who lives.
            lost = "file"
        world.count(f"copies of the tide lost: {lost or 'none'}")
        if lost in ("redis", "both"):
            self.in_redis = None
        if lost in ("file", "both"):
            self.in_file = None
        by_person = lost == "both are old"
        if by_person:
            with Ledger.read(world.ledger) as tx:
                us = installation.read(tx)
            assert us is not None
            self.in_redis = self.in_file = Copy(us.ledger_id, str(us.namespace), us.tide, us.epoch, us.tide_at_ms)
        self._new_memory()
        if by_person:
            self._begin_by_person()
            return
        # No process does anything else before it has raised the tide.
        while not self.raise_tide():
            pass

    def _begin_by_person(self) -> None:
        """Who restores the ledger together with everything that knows better must say so, before a process starts."""
        while True:
            try:
                raised = recovery.begin_by_person(self.world.parts, [], actor="operator", reason="restored all of it")
                break
            except LEDGER_FAILURES:
                continue
        self.in_redis = self.in_file = raised.copy
        self.world.count("restored ledger noticed: by_person")

    def just_done(self) -> bool:
        """A permission that was read before the restore may still be in use."""
        return any(0 <= self.world.scheduler.now - at < 2.0 for at, _ in self.done)

    def took_away(self, at: float) -> bool:
        """Whether what the ledger knew of that moment was lost with a restore."""
        return any(made_at <= at < restored_at for restored_at, made_at in self.done)

    # ---- coming back ------------------------------------------------------------------------------------------------

    def open(self) -> tuple[int, int | None]:
        """Whether a recovery is open, and when its next search is due."""
        if not self.happen:
            return 0, None
        ((count, due_at_ms),) = self.world.rows(_OPEN)
        return count, due_at_ms

    def waiting_jobs(self) -> list[str]:
        """Jobs that wait, but for those that speak of what lies on a person's desk now, itself or a refund of it, and those that wait for the week for their account."""
        held = (
            "SELECT 1 FROM payment AS p LEFT JOIN payment AS c ON c.id = p.refund_of "
            "WHERE p.state = 'held' AND (p.idempotency_key = :named OR c.idempotency_key = :named)"
        )
        return [
            source
            for source, job in self.waiting()
            if job.get("account") in self.world.parts.accounts
            and not self.world.rows(held, named=job.get("refund_of") or job.get("replaces"))
        ]

    def waiting(self) -> list[tuple[str, dict[str, Any]]]:
        """Every job that waits: its entry, its fields."""
        rows = self.world.rows("SELECT source, payload, envelope FROM waiting_job")
        return [
            (source, fields_of_envelope(bytes(job)) if envelope else parse_fields(bytes(job)))
            for source, job, envelope in rows
        ]

    def _release(self) -> None:
        world = self.world
        if not self.open()[0]:
            world.scheduler.after(300.0, self._release)
            return
        skip = recovery.Skip(jobs=False, searches=self.rng.random() < _HASTY)
        try:
            released = recovery.release(
                world.parts,
                actor="operator",
                reason="haste",
                skip=skip,
                send_unsent=self.rng.random() < _SENDS_UNSENT,
            )
        except LEDGER_FAILURES:
            released = None
        if released is not None:
            world.count("recovery released" if released.done else "release of the recovery refused")
            if released.done and skip.searches:
                world.count("recovery released in haste")
        # Somebody looks after a ledger that was restored as long as there is anything to see.
        self.world.scheduler.after(self.rng.uniform(20.0, 300.0), self._release)

    def _unnoticed(self) -> bool:
        """The last restore hasn't put the ledger in recovery yet: its pumps are away."""
        since = self.done[-1][0]
        return not any(
            began >= since
            for began in self.world.rows("SELECT (began_at_ms - :zero) / 1000.0 FROM recovery", zero=self.world.zero_ms)
        )
