"""The thread runner: every item is served once, answers outlive a neighbour's failure, and a close begins nothing new."""

import threading
from concurrent.futures import CancelledError

import pytest
from tests.support.waiting import eventually

from momo_worker.commons.runner import ThreadRunner


@pytest.fixture
def runner() -> ThreadRunner:
    return ThreadRunner(3)


def test_every_item_is_served_once(runner: ThreadRunner) -> None:
    assert sorted(runner.run(lambda item: item * 2, range(100))) == [item * 2 for item in range(100)]
    runner.close()


def test_an_empty_batch_ends_at_once(runner: ThreadRunner) -> None:
    assert list(runner.run(str, [])) == []
    runner.close()


def test_answers_outlive_more_failures_than_there_are_threads(runner: ThreadRunner) -> None:
    def work(item: int) -> int:
        if item < 10:
            raise RuntimeError(f"item {item}")
        return item

    came: list[int | None] = []
    with pytest.raises(RuntimeError, match="item"):
        came.extend(runner.run(work, range(20)))  # list.extend keeps what came before the exception
    runner.close()
    assert sorted(item for item in came if item is not None) == list(range(10, 20))


def test_a_slow_neighbour_keeps_no_answer_back(runner: ThreadRunner) -> None:
    go_on = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert go_on.wait(30)
        return item

    found = runner.run(work, range(5))
    assert sorted(next(found) for _ in range(4)) == [1, 2, 3, 4]
    go_on.set()
    assert [item for item in found if item is not None] == [0]
    runner.close()


def test_after_a_close_nothing_begins_and_the_batch_is_told(runner: ThreadRunner) -> None:
    go_on, began = threading.Event(), []

    def work(item: int) -> int:
        began.append(item)
        assert go_on.wait(30)
        return item

    told: list[object] = []

    def batch() -> None:
        try:
            told.extend(runner.run(work, range(50)))
        except CancelledError as error:
            told.append(error)

    thread = threading.Thread(target=batch)
    thread.start()
    eventually(lambda: len(began) == 3, within_seconds=30)
    closing = threading.Thread(target=runner.close)
    closing.start()
    eventually(runner._closing.is_set, within_seconds=30)
    go_on.set()
    closing.join(30)
    thread.join(30)
    assert isinstance(told[-1], CancelledError)
    assert sorted(item for item in told[:-1] if item is not None) == sorted(began)
    assert len(began) < 50
