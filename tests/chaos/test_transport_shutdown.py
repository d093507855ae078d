"""Real workers that are told to leave, are killed, or are stuck: what they held comes back, once."""

import pytest
from tests.support.celery_worker import a_worker
from tests.support.waiting import PATIENCE_SECONDS

from momo_worker.celery_settings import BULK, INTERACTIVE, KEY_PREFIX

pytestmark = pytest.mark.chaos

# Production prefetches nothing beyond its threads; here two threads hold six messages.
HOLDS_MORE = {"worker_prefetch_multiplier": 3}
# With room for more the worker listens to Redis, and so notices the reset at once.
HAS_ROOM = {"worker_prefetch_multiplier": 4}


def held(valkey) -> int:
    with valkey.client() as client:
        return client.hlen(KEY_PREFIX + "unacked")


def waiting(valkey, queue: str = BULK) -> int:
    with valkey.client() as client:
        return client.llen(KEY_PREFIX + queue)


def test_sigterm_lets_running_tasks_end_and_puts_the_others_back_at_once(valkey, tmp_path):
    with a_worker(valkey.url, tmp_path / "w", concurrency=2, settings=HOLDS_MORE) as (worker, sender):
        for name in ["a", "b", "c", "d", "e", "f"]:
            sender.send(name, 3)
        worker.eventually(
            lambda: len(worker.names("start")) == 2 and held(valkey) == 6, within_seconds=PATIENCE_SECONDS
        )
        worker.terminate()
        assert worker.wait(PATIENCE_SECONDS) == 0
        assert worker.names("end") == worker.names("start") == ["a", "b"]
        assert (held(valkey), waiting(valkey)) == (0, 4)


def test_sigterm_after_a_reset_still_puts_back_what_the_lost_connection_held(valkey, tmp_path):
    with a_worker(valkey.url, tmp_path / "w", concurrency=2, settings=HAS_ROOM) as (worker, sender):
        for name in ["a", "b", "c", "d", "e", "f"]:
            sender.send(name, 6)
        worker.eventually(
            lambda: len(worker.names("start")) == 2 and held(valkey) == 6, within_seconds=PATIENCE_SECONDS
        )
        with valkey.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        worker.eventually(lambda: worker.log().count("Connected to") == 2, within_seconds=PATIENCE_SECONDS)
        worker.terminate()
        assert worker.wait(PATIENCE_SECONDS) == 0
        assert worker.names("end") == worker.names("start") == ["a", "b"]
        assert (held(valkey), waiting(valkey)) == (0, 4)


def test_what_a_killed_worker_held_goes_to_another_after_the_visibility_timeout(valkey, tmp_path):
    options = {"visibility_timeout": 3}
    with a_worker(valkey.url, tmp_path / "first", concurrency=2, transport_options=options) as (first, sender):
        for name in ["a", "b"]:
            sender.send(name, 30)
        first.eventually(lambda: first.names("start") == ["a", "b"], within_seconds=PATIENCE_SECONDS)
        taken_at = min(note.at for note in first.journal() if note.event == "start")
        first.kill()
        with a_worker(valkey.url, tmp_path / "second", concurrency=2, transport_options=options) as (second, _):
            second.eventually(lambda: second.names("start") == ["a", "b"], within_seconds=PATIENCE_SECONDS)
            taken_again_at = max(note.at for note in second.journal() if note.event == "start")
            # Never before the timeout. How long after it is the sweep's second, and as long as the second worker took to start.
            assert taken_again_at - taken_at >= 3


def test_a_worker_whose_task_never_ends_ends_itself_with_the_watchdogs_code(valkey, tmp_path):
    with a_worker(valkey.url, tmp_path / "w", task_limit_seconds=1) as (worker, sender):
        sender.send("short", 0)
        sender.send("stuck", 60)
        assert worker.wait(PATIENCE_SECONDS) == 70
        assert worker.names("end") == ["short"]
        assert "A task has been running for 1 s. This process ends now, with code 70." in worker.log()
        assert "in work" in worker.log(), "the stack names the place where it was stuck"


def test_a_worker_that_takes_nothing_while_work_waits_ends_itself(valkey, tmp_path):
    # A consumer that hangs, as seen from outside: connected, alive, and its queue isn't read. Here it reads only the other.
    only_interactive = {"task_queues": [], "task_default_queue": INTERACTIVE, "task_create_missing_queues": True}
    with a_worker(valkey.url, tmp_path / "w", task_limit_seconds=1, settings=only_interactive) as (worker, sender):
        assert worker.alive()
        sender.send("never-taken", 0, queue=BULK)
        assert worker.wait(PATIENCE_SECONDS) == 70
        assert worker.names("start") == []
        assert "Work has been waiting for 1 s and none was taken." in worker.log()


def test_interactive_work_is_taken_before_bulk(valkey, tmp_path):
    with a_worker(valkey.url, tmp_path / "w", concurrency=1) as (worker, sender):
        sender.send("first", 1)
        worker.eventually(lambda: worker.names("start") == ["first"], within_seconds=PATIENCE_SECONDS)
        for name in ["bulk-1", "bulk-2"]:
            sender.send(name, 0, queue=BULK)
        for name in ["till-1", "till-2"]:
            sender.send(name, 0, queue=INTERACTIVE)
        worker.eventually(lambda: len(worker.names("end")) == 5, within_seconds=PATIENCE_SECONDS)
        order = [note.name for note in worker.journal() if note.event == "start"]
        assert order == ["first", "till-1", "till-2", "bulk-1", "bulk-2"]
