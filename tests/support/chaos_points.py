"""A named point of the corridor comes in, a process that ends or stops itself on passing it goes out. The product has no such hooks: its functions are wrapped."""

import functools
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKER, PUMP = "worker", "pump"
BEFORE, AFTER = "before", "after"
KILL, STOP, HANG = "kill", "stop", "hang"
_SIGNALS = {KILL: signal.SIGKILL, STOP: signal.SIGSTOP}

Counts = Callable[[tuple[Any, ...], Any], bool]


def _always(_: tuple[Any, ...], __: Any) -> bool:
    return True


def _gave_something(_: tuple[Any, ...], result: Any) -> bool:
    return bool(result)


def _was_given_events(args: tuple[Any, ...], _: Any) -> bool:
    """`append(self, fences, known_last_id, bodies)`: it is also called with nothing, to look at the stream."""
    return bool(args[3])


def _counts_payments(args: tuple[Any, ...], _: Any) -> bool:
    """A transaction that took payments in or moved them."""
    return bool(args[0].tallies)


def _was_given_ids(args: tuple[Any, ...], _: Any) -> bool:
    return bool(args[1])


def _of_a_send(args: tuple[Any, ...], _: Any) -> bool:
    """Its first byte has left, and it is a payment's POST: not a token's, nor a status read."""
    frame = sys._getframe()
    files = set()
    while frame.f_back is not None:
        frame = frame.f_back
        files.add(Path(frame.f_code.co_filename).name)
    return bool(args[0].departed) and "submission.py" in files and "minting.py" not in files


@dataclass(frozen=True, slots=True)
class Point:
    """Where a process ends: before or after a function of the product, `module:name`."""

    kind: str
    place: str
    moment: str
    counts: Counts = _always
    #: What the fake MTN is told to do, so that the point is come by at all.
    fault: str | None = None


POINTS: dict[str, Point] = {
    "claimed, nothing sent": Point(WORKER, "momo_worker.steps.submission:claim", AFTER, _gave_something),
    "permitted, before the first byte": Point(WORKER, "momo_worker.steps.submission:_Permit.check", AFTER),
    "POST out, answer not read": Point(
        WORKER, "momo_worker.mtn.adapter:Flight.read_patience_seconds", BEFORE, _of_a_send
    ),
    "answered, not recorded": Point(WORKER, "momo_worker.steps.outcome:record_sends", BEFORE),
    "recorded, not acknowledged": Point(WORKER, "momo_worker.steps.outcome:record_sends", AFTER),
    "between two sends of one claim": Point(
        WORKER, "momo_worker.steps.submission:_begin_again", AFTER, _gave_something, fault="unauthorised"
    ),
    "claimed for a look": Point(WORKER, "momo_worker.steps.polling:claim", AFTER, _gave_something),
    "looked, not recorded": Point(WORKER, "momo_worker.steps.outcome:record_looks", BEFORE),
    "look recorded, not acknowledged": Point(WORKER, "momo_worker.steps.outcome:record_looks", AFTER),
    "in a worker's transaction, before its commit": Point(
        WORKER, "momo_worker.commons.recording:conclude", AFTER, _gave_something
    ),
    "job taken, not in the ledger": Point(PUMP, "momo_worker.streams:JobsStream.read", AFTER, _gave_something),
    "job in the ledger, not acknowledged": Point(
        PUMP, "momo_worker.streams:JobsStream.acknowledge", BEFORE, _was_given_ids
    ),
    "Celery's entries just moved": Point(
        PUMP, "momo_worker.streams:JobsStream.move_from_celery", AFTER, _gave_something
    ),
    "released, message not out": Point(PUMP, "momo_worker.pump.main:hand_over", BEFORE),
    "message out, pump goes": Point(PUMP, "momo_worker.pump.main:hand_over", AFTER),
    "in a pump's transaction, before its commit": Point(
        PUMP, "momo_worker.ledger.engine:_write_tallies", BEFORE, _counts_payments
    ),
    "result read, not on the stream": Point(
        PUMP, "momo_worker.streams:ResultsStream.append", BEFORE, _was_given_events
    ),
    "result on the stream, not marked": Point(
        PUMP, "momo_worker.streams:ResultsStream.append", AFTER, _was_given_events
    ),
    "lease over, rescue not committed": Point(
        PUMP, "momo_worker.steps.rescue:Rescue._bring_back", AFTER, _gave_something
    ),
}


def points_of(kind: str) -> list[str]:
    return [name for name, point in POINTS.items() if point.kind == kind]


def arm(name: str, *, passing: int = 1, act: str = KILL) -> None:
    """From here on this process ends, stops, or hangs in one thread when it comes by the point for the n-th time. A place that is gone is an error at once."""
    point = POINTS[name]
    module, _, path = point.place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, last = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original = getattr(owner, last)
    left = passing
    lock = threading.Lock()

    def come_by(args: tuple[Any, ...], result: Any) -> None:
        nonlocal left
        if not point.counts(args, result):
            return
        with lock:
            left -= 1
            here = left == 0
        # Once only: whoever wakes goes on.
        if here and act == HANG:
            threading.Event().wait()
        elif here:
            os.kill(os.getpid(), _SIGNALS[act])

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if point.moment == BEFORE:
            come_by(args, None)
        result = original(*args, **kwargs)
        if point.moment == AFTER:
            come_by(args, result)
        return result

    setattr(owner, last, wrapped)
