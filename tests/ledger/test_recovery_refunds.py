"""Refunds whose path is a setting: the lost ledger sent by one, the restored one is set to the other, and MTN may know a reference by one of them only."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.ledger.test_recovery_again import a_refund, cancel
from tests.support.ledger_world import NAMESPACE
from tests.support.restored import HOUR, Restored, lost

from momo_worker.mtn.wire import PATHS
from momo_worker.payment.operator import By
from momo_worker.payment.payment import Operation
from momo_worker.payment.reference import reference_id
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Facts, LookAnswer, LookVerdict, RenderedRequest, SendAnswer, SendVerdict, Status
from momo_worker.steps import operator, polling, recovery_search

REFUND, TRANSFER = PATHS[Operation.REFUND], PATHS[Operation.DISBURSE]
#: By which path the lost ledger sent, and by which this one would.
CHANGED = pytest.mark.parametrize(("sent_by", "set_to"), [(TRANSFER, REFUND), (REFUND, TRANSFER)])
NOT_FOUND = LookVerdict(LookAnswer.NOT_FOUND, http_status=404)
ODD = LookVerdict(LookAnswer.NO_WORD, http_status=503)


def found(status: Status, **facts: Any) -> LookVerdict:
    return LookVerdict(LookAnswer.FOUND, status, status.value, http_status=200, facts=replace(Facts(), **facts))


@dataclass
class ByPath:
    """An MTN whose references are unique within a resource: each word by path and attempt."""

    restored: Restored
    words: dict[tuple[str, int], LookVerdict] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def look(self, request: RenderedRequest) -> LookVerdict:
        attempt = _ATTEMPTS.get(request.reference_id)
        if attempt is None:
            return self.restored.mtn.look(request)
        self.asked.append((request.path, attempt))
        return self.words.get((request.path, attempt), NOT_FOUND)

    def send(self, request: RenderedRequest, secondary: bool) -> SendVerdict:
        attempt = _ATTEMPTS.get(request.reference_id)
        if attempt is None:
            return self.restored.mtn.send(request, secondary)
        self.words[request.path, attempt] = found(Status.PENDING)
        return SendVerdict(SendAnswer.ACCEPTED, http_status=202)


_ATTEMPTS = {reference_id(NAMESPACE, "default", "refund", "r", number): number for number in range(1, 6)}


def by_path(restored: Restored) -> ByPath:
    mtn = ByPath(restored)
    restored.world.mtn.on_look, restored.world.mtn.on_send = mtn.look, mtn.send
    return mtn


def refund_by(restored: Restored, path: str) -> None:
    """The account's setting, as a process reads it that starts now."""
    parts = restored.world.parts
    account = replace(parts.accounts["default"], refund_by_transfer=path == TRANSFER)
    restored.world.parts = replace(parts, accounts={"default": account})


def a_refund_taken_in(restored: Restored) -> str:
    """Of a collection that is paid; nothing of it was sent."""
    world = restored.world
    (collected,) = world.accept("c", operation="collect")
    world.run_until(lambda: world.payment(collected).state is State.PENDING)
    restored.mtn.has[world.payment(collected).reference_id] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(collected).state is State.SUCCESSFUL)
    world.take(a_refund("r", "command_line:r"))
    return world.id_of("r")


def a_lost_refund(restored: Restored, set_to: str, deed: Callable[[], Any]) -> str:
    """A refund that the ledger knows as never sent, restored to that moment and set to this path; `deed` is what was lost."""
    name = a_refund_taken_in(restored)
    lost(restored, deed)
    refund_by(restored, set_to)
    restored.reread()
    return name


def paths(restored: Restored, payment_id: str) -> list[Any]:
    return restored.world.rows(
        "SELECT number, path FROM attempt WHERE payment_id = :name ORDER BY number", name=payment_id
    )


@CHANGED
def test_a_refund_that_left_by_the_other_path_is_adopted_and_followed_by_it(
    restored: Restored, sent_by: str, set_to: str
) -> None:
    world, mtn = restored.world, by_path(restored)
    refund_by(restored, sent_by)
    name = a_lost_refund(restored, set_to, lambda: (world.release(), world.send([world.id_of("r")])))
    assert list(mtn.words) == [(sent_by, 1)]
    restored.search()
    assert restored.outcomes()[name] == "adopted"
    assert mtn.asked[:2] == [(set_to, 1), (sent_by, 1)]
    assert (world.payment(name).state, paths(restored, name)) == (State.PENDING, [(1, sent_by)])
    assert restored.release(send_unsent=True).done
    mtn.words[sent_by, 1] = found(Status.SUCCESSFUL)
    world.run_until(lambda: world.payment(name).state is State.SUCCESSFUL)
    assert world.mtn.references().count(world.payment(name).reference_id) == 1


@CHANGED
def test_what_isnt_ours_by_the_other_path_is_a_persons_and_the_desk_asks_by_it(
    restored: Restored, sent_by: str, set_to: str
) -> None:
    world, mtn = restored.world, by_path(restored)
    name = a_lost_refund(restored, set_to, lambda: mtn.words.update({(sent_by, 1): found(Status.PENDING, amount="7")}))
    restored.search()
    assert restored.outcomes()[name] == "disputed"
    assert world.payment(name).held_cause is HeldCause.MISMATCH
    assert paths(restored, name) == [(1, sent_by)]
    assert restored.release(send_unsent=True).done
    mtn.asked.clear()
    world.run_until(lambda: bool(mtn.asked), step=600.0, seconds_max=3 * HOUR)
    assert set(mtn.asked) == {(sent_by, 1)}
    # And so does who wants to end it by his own word.
    mtn.asked.clear()
    said = Resolve(By("ada", "checked"), State.FAILED, "portal, searched by external id")
    assert operator.resolve(world.parts, name, said) is not None
    assert mtn.asked == [(sent_by, 1)]


@CHANGED
def test_a_refund_that_is_known_by_neither_path_is_unsent_after_as_many_looks_as_ever(
    restored: Restored, sent_by: str, set_to: str
) -> None:
    world, mtn = restored.world, by_path(restored)
    name = a_lost_refund(restored, set_to, lambda: None)
    restored.search(seconds=0.0)
    assert restored.outcomes()[name] is None
    mtn.asked.clear()
    restored.search()
    assert restored.outcomes()[name] == "unsent"
    assert mtn.asked == [(path, number) for number in range(1, 6) for path in (set_to, sent_by)]
    assert world.payment(name).held_cause is HeldCause.RECOVERY
    assert cancel(world, name).payment.state is State.CANCELLED


@CHANGED
@pytest.mark.parametrize("odd_by", [REFUND, TRANSFER])
def test_an_odd_answer_by_either_path_is_no_word(restored: Restored, sent_by: str, set_to: str, odd_by: str) -> None:
    mtn = by_path(restored)
    name = a_lost_refund(restored, set_to, lambda: mtn.words.update({(odd_by, 1): ODD}))
    restored.search()
    assert restored.outcomes()[name] is None
    del mtn.words[odd_by, 1]
    mtn.words[sent_by, 1] = found(Status.PENDING)
    restored.world.clock.on(60)
    while recovery_search.search(restored.world.parts):
        pass
    assert restored.outcomes()[name] == "adopted"


@CHANGED
def test_a_failure_by_the_present_path_doesnt_hide_what_is_paid_by_the_other(
    restored: Restored, sent_by: str, set_to: str
) -> None:
    """Two restores and a release without MTN's word can bring it so: told as failed, it would be paid once more."""
    world, mtn = restored.world, by_path(restored)
    words = {(set_to, 1): found(Status.FAILED), (sent_by, 1): found(Status.SUCCESSFUL)}
    name = a_lost_refund(restored, set_to, lambda: mtn.words.update(words))
    restored.search()
    assert paths(restored, name) == [(1, sent_by)]
    world.run_until(lambda: world.payment(name).state is State.SUCCESSFUL)
    assert "failed" not in world.types(name)


@CHANGED
def test_a_later_attempt_by_the_other_path_is_found_and_the_one_before_it_looked_at_by_the_same(
    restored: Restored, sent_by: str, set_to: str
) -> None:
    """Attempt 1 left no trace yet: late looks (M8) ask by the path by which the lost ledger most likely sent it."""
    world, mtn = restored.world, by_path(restored)
    name = a_lost_refund(restored, set_to, lambda: mtn.words.update({(sent_by, 2): found(Status.SUCCESSFUL)}))
    restored.search()
    assert restored.outcomes()[name] == "adopted"
    assert paths(restored, name) == [(1, sent_by), (2, sent_by)]
    mtn.asked.clear()
    world.clock.on(world.parts.rules.late_looks_ms[0] / 1000)
    assert polling.ask_late(world.parts, limit=10)
    assert mtn.asked == [(sent_by, 1)]


@CHANGED
def test_what_the_ledger_holds_is_asked_about_as_it_is_stored(restored: Restored, sent_by: str, set_to: str) -> None:
    world, mtn = restored.world, by_path(restored)
    refund_by(restored, sent_by)
    name = a_refund_taken_in(restored)
    world.release()
    world.send([name])
    lost(restored, lambda: None)
    refund_by(restored, set_to)
    restored.reread()
    restored.search()
    assert restored.outcomes()[name] == "at_mtn"
    assert (sent_by, 1) in mtn.asked
    assert (set_to, 1) not in mtn.asked
    assert paths(restored, name) == [(1, sent_by)]
