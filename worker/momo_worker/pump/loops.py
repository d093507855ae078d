"""The pump's loops: one body each, repeated until the process is asked to stop; a pass that fails is told and repeated, never fatal.

What a pass does is a step's; here is only when it is done again.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
import structlog
from kombu.exceptions import OperationalError as BrokerError

from momo_worker.clock import Clock
from momo_worker.ledger.engine import LEDGER_FAILURES, LedgerError, OtherLedgerError
from momo_worker.ledger.moves import MoveLostError
from momo_worker.metrics import Metrics
from momo_worker.streams import WrongTypeError
from momo_worker.watchdog import end_with_words

log = structlog.get_logger(__name__)

_FAILED_PAUSE_SECONDS = 1.0
_STUCK_SECONDS = 300.0
_LOOK_SECONDS = 5.0
#: No pass takes so long: the longest asks MTN some ten times, each within its deadline. What does is stuck in a call that never returns.
HUNG_SECONDS = 900.0

#: What a loop outlives: its servers go away and come back. Anything else is a mistake of ours: the process ends and is restarted.
OUTLIVED = (redis.RedisError, *LEDGER_FAILURES, MoveLostError, LedgerError, WrongTypeError, BrokerError, OSError)


@dataclass(slots=True)
class Loop:
    """One loop. `body` returns how many things it did: a busy loop goes on at once, an idle one waits."""

    name: str
    body: Callable[[], int]
    idle_seconds: float
    wake: threading.Event = field(default_factory=threading.Event)
    passed_at: float = 0.0
    #: When the pass that runs now began; None between two.
    began_at: float | None = None
    failing: bool = False


class Pump:
    """Runs loops in threads until `stop`."""

    def __init__(
        self,
        loops: list[Loop],
        clock: Clock,
        metrics: Metrics,
        *,
        look_seconds: float = _LOOK_SECONDS,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self.loops = loops
        self._look_seconds = look_seconds
        self._end_process = end_process
        self._clock = clock
        self._metrics = metrics
        self._stopping = threading.Event()
        self._broken = threading.Event()
        self._threads: list[threading.Thread] = []
        # Here and not at the start: health may be asked before, and would find loops that never passed.
        for loop in loops:
            loop.passed_at = clock.elapsed()

    def start(self) -> None:
        for loop in self.loops:
            thread = threading.Thread(target=self._run, args=(loop,), name=loop.name)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ask every loop to end after its pass."""
        self._stopping.set()
        for loop in self.loops:
            loop.wake.set()

    def join(self) -> bool:
        """Wait until all have ended; False when one ended by a mistake. Ends the process when a pass never returns."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(self._look_seconds)
                self._end_if_hung()
        return not self._broken.is_set()

    def _end_if_hung(self) -> None:
        """A loop that hangs looks alive, and no other pump takes its consumer's place: it ends, and is started again."""
        now = self._clock.elapsed()
        for loop in self.loops:
            began_at = loop.began_at
            if began_at is not None and now - began_at > HUNG_SECONDS:
                sentence = f"A pass of the pump's loop {loop.name} has been running for {now - began_at:.0f} s."
                end_with_words(sentence, "loop_hung", self._end_process)
                return

    def alive(self) -> bool:
        """Whether every loop has passed lately."""
        return all(self._clock.elapsed() - loop.passed_at < _STUCK_SECONDS for loop in self.loops)

    def _run(self, loop: Loop) -> None:
        try:
            while not self._stopping.is_set():
                self._pass(loop)
        except BaseException:
            log.exception(
                "a pump loop met what nobody thought of; the process ends and is restarted",
                loop=loop.name,
                action="ends",
            )
            self._broken.set()
            self.stop()
            raise

    def _pass(self, loop: Loop) -> None:
        try:
            loop.began_at = self._clock.elapsed()
            done = loop.body()
        except OtherLedgerError:
            # Not outlived: going on would take another installation's jobs.
            raise
        except OUTLIVED as error:
            self._metrics.loop_failed(loop.name)
            # Told once with its beginning and once with its end: a minute without Redis must not be sixty errors.
            speak = log.debug if loop.failing else log.error
            speak(
                "a pump loop failed and goes on trying",
                loop=loop.name,
                why=f"{type(error).__name__}: {error}",
                action="retry",
            )
            loop.failing = True
            loop.began_at = None
            self._stopping.wait(_FAILED_PAUSE_SECONDS)
            return
        if loop.failing:
            log.info("a pump loop works again", loop=loop.name, action="recovered")
            loop.failing = False
        loop.passed_at, loop.began_at = self._clock.elapsed(), None
        if not done and not self._stopping.is_set():
            loop.wake.wait(loop.idle_seconds)
            loop.wake.clear()
