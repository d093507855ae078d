"""The pump process: settings come in, its loops run until SIGTERM. Any number of pumps may run; the ledger's claims keep them apart."""

import os
import signal
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import redis
import structlog

from momo_worker.commons import gatekeeping
from momo_worker.commons.message import BATCH_SENDS, Message
from momo_worker.ledger.engine import OtherLedgerError
from momo_worker.payment.payment import Work
from momo_worker.process import METRICS_PORT_PUMP, open_door, pump_house
from momo_worker.pump.entries import entry_of
from momo_worker.pump.loops import OUTLIVED, Loop, Pump
from momo_worker.pump.recovering import Recovering
from momo_worker.pump.release import release_due
from momo_worker.runs.feeding import Feeder
from momo_worker.schedules.firing import Firing
from momo_worker.schedules.following import Following
from momo_worker.steps import intake, outcome, polling, recovery
from momo_worker.steps.relay import Forgetting, Relay
from momo_worker.steps.rescue import Rescue
from momo_worker.streams import JobsStream, ResultsStream, StreamEntry
from momo_worker.tide_copies import TideFile, TideInRedis
from momo_worker.wiring import House, claim_redis, hand_over

log = structlog.get_logger(__name__)

_READ_COUNT = 200
_BLOCK_MS = 500


@dataclass(slots=True)
class Doors:
    """Door 1 and 2: entries of the jobs stream into the ledger, acknowledged after the commit."""

    house: House
    stream: JobsStream
    consumer: str
    #: What another pump took so long ago and never acknowledged is ours: it has died.
    take_over_ms: int
    release: Loop | None = None
    relay: Loop | None = None

    def read(self) -> int:
        """Take in what is new."""
        return self._take(self.stream.read(self.consumer, count=_READ_COUNT, block_ms=_BLOCK_MS))

    def take_over(self) -> int:
        """Take over what a dead pump had taken; an entry that keeps killing its reader is kept at last.

        Each is claimed only when its turn comes: claimed together, the neighbours of one that kills would be counted with it.
        What was given back after a failure of ours is known to do no harm.
        """
        left = self.stream.left_behind(idle_ms=self.take_over_ms, count=_READ_COUNT)
        groups = [[item for item in left if item[1] == 0], *([item] for item in left if item[1] > 0)]
        return sum(
            self._take(self.stream.take_over(self.consumer, group, idle_ms=self.take_over_ms)) for group in groups
        )

    def move_from_celery(self) -> int:
        """Empty Celery's lists into the stream."""
        return self.stream.move_from_celery(limit=1_000)

    def retry_waiting(self) -> int:
        """Try jobs again that wait for an account."""
        taken = intake.retry_waiting(self.house.parts, limit=_READ_COUNT)
        self._after(taken)
        return len(taken.accepted)

    def take_rows(self, entries: Sequence[intake.Entry]) -> None:
        """Take in rows of a released run: they come again if this fails, and are then the same payments."""
        self._after(intake.take_in(self.house.parts, entries))

    def _take(self, found: list[StreamEntry]) -> int:
        if not found:
            return 0
        entries = [entry_of(item) for item in found]
        try:
            taken = intake.take_in(self.house.parts, entries)
        except OUTLIVED:
            # The ledger's failure isn't the entries': four of those must not reject what a producer was promised.
            self.stream.give_back(self.consumer, found)
            raise
        try:
            # The till is waiting for the send and not for the acknowledgement.
            self._after(taken)
        finally:
            # Committed, so taken: without its message a payment is released again by the pump.
            left = [item for item, entry in zip(found, entries, strict=True) if entry.source in taken.left]
            self.stream.acknowledge([item.id for item in found if item not in left])
        # A recovery reads these again; after it they are told apart here as what has been answered.
        self.stream.give_back(self.consumer, left)
        return len(found) - len(left)

    def _after(self, taken: intake.Taken) -> None:
        for at in range(0, len(taken.released), BATCH_SENDS):
            hand_over(
                self.house.celery,
                Message(Work.SEND, interactive=True, ids=taken.released[at : at + BATCH_SENDS]),
            )
        if taken.accepted and self.release is not None:
            self.release.wake.set()
        if self.relay is not None:
            self.relay.wake.set()


class Keeper:
    """Chores: the tide and its copies, trimming, the ledger's id in Redis."""

    def __init__(self, house: House, jobs: JobsStream, results: ResultsStream) -> None:
        self._house = house
        self._jobs = jobs
        self._results = results
        self._file = TideFile(house.settings.home)
        self._redis_copy = TideInRedis(house.redis)
        self._first = True

    def tide(self) -> int:
        """Count the tide up and copy it to Redis and to a file; a ledger that is behind a copy goes into recovery instead."""
        away: redis.RedisError | None = None
        # The copies first: the ledger is raised before them, so one that is whole is never behind what is read here.
        copies = [self._file.read()]
        try:
            copies.append(self._redis_copy.read())
        except redis.RedisError as error:
            away = error
        known = [copy for copy in copies if copy is not None]
        raised = recovery.raise_tide(self._house.parts, known, first=self._first and away is None)
        if away is not None:
            self._file.keep(raised.copy)
            raise away
        self._first = False
        # A Redis that lost its data names no ledger any more, and another installation could take it for its own.
        claim_redis(self._house.redis, self._house.ledger_id)
        self._redis_copy.keep(raised.copy)
        self._file.keep(raised.copy)
        return 0

    def trim(self) -> int:
        """Keep the streams within their age and size."""
        settings = self._house.settings
        self._jobs.trim(settings.jobs_keep_ms)
        _, first_left = self._results.trim(settings.results_keep_ms, settings.results_max_bytes)
        if first_left is not None:
            log.error(
                "results that a consumer group hasn't read were dropped for want of room",
                first_id_left=first_left,
                action="trimmed",
                advice="read faster or raise results_max_megabytes; `momo results replay --since` brings them back",
            )
        return 0


def loops_of(house: House, consumer: str) -> tuple[list[Loop], Relay]:
    """Every loop of a pump."""
    parts = house.parts
    jobs, results = JobsStream(house.redis), ResultsStream(house.redis)
    relay = Relay(parts, results, consumer, house.settings.results_replay_ms)
    doors = Doors(house, jobs, consumer, house.settings.jobs_take_over_ms)
    keeper = Keeper(house, jobs, results)
    forgetting = Forgetting(parts, house.settings.outbox_keep_ms)
    rescue = Rescue(parts)
    recovering = Recovering(parts, jobs, results)

    def late() -> int:
        asked = polling.ask_late(parts, limit=5)
        for item, verdict in asked:
            outcome.record_late(parts, item, verdict)
        return len(asked)

    feeder = Feeder(
        parts, doors.take_rows, house.clients.available_minor, house.settings.run_ahead_rows, house.settings.fee_margin
    )
    firing = Firing(parts)
    following = Following(parts, house.settings.etiquette)
    release_loop = Loop("release", lambda: release_due(parts, lambda message: hand_over(house.celery, message)), 0.25)
    relay_loop = Loop("relay", relay.publish, 0.2)
    doors.release, doors.relay = release_loop, relay_loop
    loops = [
        Loop("doors", doors.read, 0.0),
        Loop("celery_door", doors.move_from_celery, 0.1),
        Loop("take_over", doors.take_over, 5.0),
        Loop("waiting", doors.retry_waiting, 10.0),
        Loop("runs", feeder.feed, 0.5),
        Loop("schedules", firing.fire, 2.0),
        Loop("asks", following.follow, 2.0),
        release_loop,
        relay_loop,
        Loop("rescue", rescue.run, 1.0),
        Loop("probe", lambda: gatekeeping.probe(parts), 1.0),
        Loop("late", late, 10.0),
        Loop("tide", keeper.tide, 1.0),
        Loop("recovery", recovering.run, 1.0),
        Loop("trim", keeper.trim, 60.0),
        Loop("forgetting", forgetting.run, 60.0),
    ]
    return loops, relay


def _know_the_ledger(loops: list[Loop]) -> None:
    """A restored ledger is known as one before anything is taken in, released or published on it."""
    (tide,) = [loop for loop in loops if loop.name == "tide"]
    try:
        tide.body()
    except OtherLedgerError:
        raise
    except OUTLIVED as error:
        log.warning("the tide couldn't be compared yet; its loop goes on trying", why=str(error), action="retry")


def run() -> int:
    """Run a pump until SIGTERM or SIGINT; returns the exit code."""
    house = pump_house()
    consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    JobsStream(house.redis).ensure_group()
    loops, relay = loops_of(house, consumer)
    pump = Pump(loops, house.parts.clock, house.metrics)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: pump.stop())
    open_door(house, METRICS_PORT_PUMP, pump.alive)
    _know_the_ledger(loops)
    pump.start()
    log.info("pump started", consumer=consumer, action="started")
    whole = pump.join()
    try:
        relay.let_go()
    except redis.RedisError as error:
        log.warning("partitions could not be given back; their lease will end", why=str(error))
    house.parts.ledger.close()
    log.info("pump stopped", consumer=consumer, action="stopped")
    return 0 if whole else 1
