"""A stage comes in, a worker's own parts in this very process go out: for figures of single functions and of the in-process door."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.stage import Stage

from momo_worker import logs
from momo_worker.commons.parts import Parts
from momo_worker.settings import load
from momo_worker.wiring import House, build


@contextmanager
def house_of(made: Stage) -> Iterator[House]:
    """What a command that takes in a payment itself is made of."""
    logs.configure("ERROR", "bench")
    house = build(load(made.environ, Path.cwd()))
    try:
        yield house
    finally:
        house.celery.close()
        house.parts.runner.close()
        house.redis.close()
        house.parts.ledger.close()


@contextmanager
def parts_of(made: Stage) -> Iterator[Parts]:
    """The same, for whoever needs no more than the parts."""
    with house_of(made) as house:
        yield house.parts
