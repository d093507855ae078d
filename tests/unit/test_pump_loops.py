"""The pump's loops: one that hangs ends the process, one whose servers are away doesn't."""

import threading
from collections.abc import Iterator

import pytest
import redis
from prometheus_client import CollectorRegistry

from momo_worker.clock import SystemClock
from momo_worker.metrics import Metrics
from momo_worker.pump.loops import HUNG_SECONDS, Loop, Pump
from momo_worker.watchdog import EXIT_CODE


class HandClock(SystemClock):
    """Its seconds are the test's."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def elapsed(self) -> float:
        return self.seconds


class Scene:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.hanging, self.let_go = threading.Event(), threading.Event()
        self.ended: list[int] = []
        self.fails = False

    def body(self) -> int:
        if self.fails:
            self.hanging.set()
            raise redis.ConnectionError("away")
        self.hanging.set()
        self.let_go.wait()
        return 0

    def end(self, code: int) -> None:
        """In place of the process's end."""
        self.ended.append(code)
        self.pump.stop()
        self.let_go.set()

    def start(self) -> None:
        metrics = Metrics(CollectorRegistry(), ())
        loops = [Loop("relay", self.body, 0.01), Loop("doors", lambda: 0, 0.01)]
        self.pump = Pump(loops, self.clock, metrics, look_seconds=0.01, end_process=self.end)
        self.pump.start()
        assert self.hanging.wait(10)


@pytest.fixture
def scene() -> Iterator[Scene]:
    found = Scene()
    yield found
    found.pump.stop()
    found.let_go.set()


def test_a_pass_that_never_returns_ends_the_process(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.start()
    scene.clock.seconds = HUNG_SECONDS + 1
    assert scene.pump.join()
    assert scene.ended == [EXIT_CODE]
    assert "A pass of the pump's loop relay has been running for 901 s." in caplog.text


def test_a_pass_that_returns_in_time_ends_nothing(scene: Scene) -> None:
    scene.start()
    scene.clock.seconds = HUNG_SECONDS - 1
    scene.let_go.set()
    scene.pump.stop()
    assert scene.pump.join()
    assert scene.ended == []


def test_servers_that_are_away_for_long_end_nothing(scene: Scene) -> None:
    scene.fails = True
    scene.start()
    scene.clock.seconds = HUNG_SECONDS * 3
    joining = threading.Thread(target=scene.pump.join)
    joining.start()
    scene.pump.stop()
    joining.join(10)
    assert not joining.is_alive()
    assert scene.ended == []
