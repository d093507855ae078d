"""The watchdog under a clock of the test's own: it ends a stuck process, and nothing else."""

import logging

import pytest
import redis
from celery import signals

from momo_worker.watchdog import EXIT_CODE, Watchdog, watch_celery, work_in_lists

SIGNALS = ("task_prerun", "task_postrun", "worker_shutting_down", "worker_ready")


class HandClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def elapsed(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Setting:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.waiting: bool | None = False
        self.ended: list[int] = []
        self.watchdog = Watchdog(
            self.clock, limit_seconds=120, work_waits=lambda: self.waiting, end_process=self.ended.append
        )

    def after(self, seconds: float) -> list[int]:
        """Look each five seconds, as the thread does."""
        until = self.clock.seconds + seconds
        while self.clock.seconds < until:
            self.clock.sleep(min(5, until - self.clock.seconds))
            self.watchdog.check()
        return self.ended


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_task_older_than_the_limit_ends_the_process(setting, caplog):
    setting.watchdog.task_began("thread-1")
    assert setting.after(120) == []
    with caplog.at_level(logging.ERROR):
        assert setting.after(1) == [EXIT_CODE] == [70]
    assert [record.action for record in caplog.records] == ["task_too_long"]


def test_tasks_that_end_in_time_end_nothing(setting):
    for _ in range(10):
        setting.watchdog.task_began("thread-1")
        assert setting.after(100) == []
        setting.watchdog.task_ended("thread-1")


def test_the_oldest_counts_and_not_the_latest(setting):
    setting.watchdog.task_began("thread-1")
    setting.after(100)
    setting.watchdog.task_began("thread-2")
    assert setting.watchdog.oldest_task_seconds() == 100
    setting.watchdog.task_ended("thread-2")
    assert setting.after(21) == [70]


def test_work_that_waits_and_is_never_taken_ends_the_process(setting, caplog):
    setting.waiting = True
    assert setting.after(120) == []
    with caplog.at_level(logging.ERROR):
        assert setting.after(10) == [70]
    assert [record.action for record in caplog.records] == ["no_progress"]


def test_each_task_taken_starts_the_count_anew(setting):
    setting.waiting = True
    for _ in range(5):
        assert setting.after(100) == []
        setting.watchdog.task_began("thread-1")
        setting.watchdog.task_ended("thread-1")


def test_an_empty_queue_between_starts_the_count_anew(setting):
    setting.waiting = True
    setting.after(100)
    setting.waiting = False
    setting.after(5)
    setting.waiting = True
    assert setting.after(100) == []


def test_a_redis_that_cannot_be_asked_is_no_reason_to_end(setting):
    setting.waiting = None
    assert setting.after(10_000) == []


def test_a_worker_that_is_told_to_leave_takes_nothing_on_purpose(setting):
    setting.waiting = True
    setting.watchdog.worker_leaves()
    assert setting.after(10_000) == []


def test_a_worker_that_leaves_and_holds_a_task_that_never_ends_is_ended(setting):
    setting.watchdog.task_began("thread-1")
    setting.watchdog.worker_leaves()
    assert setting.after(125) == [70]


def test_work_waits_tells_full_empty_and_gone_apart(valkey):
    with valkey.client() as client:
        work_waits = work_in_lists(client, ["one", "two"])
        assert work_waits() is False
        client.lpush("two", "message")
        assert work_waits() is True
        valkey.kill()
        assert work_waits() is None


def test_a_list_of_the_wrong_type_is_as_good_as_a_redis_that_cannot_be_asked(redis_client: redis.Redis):
    redis_client.set("one", "no list")
    assert work_in_lists(redis_client, ["one"])() is None


def test_celerys_signals_reach_the_watchdog(setting):
    kept = {name: list(getattr(signals, name).receivers) for name in SIGNALS}
    try:
        watch_celery(setting.watchdog)
        signals.task_prerun.send(sender=None, task_id="a")
        setting.clock.sleep(3)
        assert setting.watchdog.oldest_task_seconds() == 3
        signals.task_postrun.send(sender=None, task_id="a")
        assert setting.watchdog.oldest_task_seconds() == 0
    finally:
        for name, receivers in kept.items():
            getattr(signals, name).receivers = receivers
