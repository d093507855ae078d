"""`momo recover` as an operator types it, at a ledger that no copy shows to be restored: begun, shown, not released in haste, and released by a word."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import Answer
from tests.support.corridor import Corridor, a_corridor

from momo_worker.payment.transitions import HeldCause, State

#: A dozen commands are typed, and the machine may have other things to do.
pytestmark = pytest.mark.timeout(600)

NAMESPACE = {"MOMO_NAMESPACE": "2c5a7a2e-6d0c-4a0a-9d57-0d8f3b0d8c11"}
WHY = ("--reason", "the whole machine came from a snapshot", "--by", "amina")
COMPARED = ("--reason", "compared with the statement", "--by", "bea")


@pytest.fixture
def corridor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Corridor]:
    """Nothing runs yet: what a pump or a worker would do by itself is begun by the test."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with a_corridor(tmp_path, ledger_url=url, environment=NAMESPACE, started=False) as prepared:
        yield prepared


def momo(corridor: Corridor, *words: str) -> Answer:
    done = corridor.momo(*words)
    assert "Traceback" not in done.stdout + done.stderr, done
    return Answer(done.returncode, done.stdout, done.stderr)


def recover(corridor: Corridor, *words: str) -> Any:
    """What `momo recover` knows, after what was asked for is done."""
    answer = momo(corridor, "recover", *words, "--json")
    assert answer.code == 0, answer
    return answer.json


def disburse(corridor: Corridor, key: str, amount: str) -> None:
    words = ("--key", key, "--amount", amount, "--currency", "UGX", "--msisdn", "256772100001")
    assert momo(corridor, "disburse", *words).code == 0
    corridor.comes_to(key, State.ACCEPTED)


def recoveries(corridor: Corridor) -> int:
    return corridor.count("SELECT count(*) FROM recovery")


def sent(corridor: Corridor) -> int:
    return sum(request["operation"] == "transfer" for request in corridor.simulator.requests())


def found(facts: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What is on the list, by what MTN said: outcome, state, cause, how many, how much."""
    names = ("outcome", "state", "held_cause", "payments", "amount", "currency")
    return [tuple(one[name] for name in names) for one in facts["recovery"]["payments"]]


@pytest.mark.parametrize("corridor", ["sqlite"], indirect=True)
def test_what_is_forced_is_named_one_by_one_and_sends_nothing_that_nobody_asked_about(corridor: Corridor) -> None:
    disburse(corridor, "a", "1500")
    disburse(corridor, "b", "2500")

    whole = momo(corridor, "recover", "--release", "--force-without-jobs", "--force-without-search", *COMPARED)
    unexplained = momo(corridor, "recover", "--begin")
    alone = momo(corridor, "recover", "--send-unsent", *COMPARED)
    nothing = recover(corridor)
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    before = datetime.now(UTC)
    begun = recover(corridor, "--begin", "--since", since.isoformat(), *WHY)
    after = datetime.now(UTC)

    assert [one.code for one in (whole, unexplained, alone)] == [1, 2, 2]
    assert "not in recovery: there is nothing to release" in whole.err
    assert "--reason is missing" in unexplained.err
    assert "belong to --release" in alone.err
    assert (nothing["in_recovery"], nothing["recovery"]) == (False, None)
    assert "no send begins" in begun["done"]
    about = begun["recovery"]
    assert (begun["in_recovery"], about["why"], about["detail"], about["by"]) == (True, "by_person", WHY[1], "amina")
    assert about["epoch"] == begun["ledger"]["epoch"] > nothing["ledger"]["epoch"]
    assert datetime.fromisoformat(about["lost_from"]) == since
    assert before - timedelta(milliseconds=1) <= datetime.fromisoformat(about["lost_until"]) <= after
    assert about["since"] == about["lost_until"]
    assert about["jobs"]["from"] == f"{int((since - timedelta(hours=1)).timestamp()) * 1000}-0"
    assert (found(begun), about["may_be_released"]) == ([], False)

    # No pump runs, so the stream isn't read again, nothing is listed and nobody is asked.
    without_search = momo(corridor, "recover", "--release", "--force-without-search", *COMPARED, "--json")
    without_jobs = momo(corridor, "recover", "--release", "--force-without-jobs", *COMPARED, "--json")
    waiting = recover(corridor)

    assert [one.code for one in (without_search, without_jobs)] == [1, 1]
    unread, unlisted = without_search.json["waits"]
    assert "--force-without-jobs" in unread
    assert "being listed" in unlisted
    assert without_search.json["put_on_desk"] == 0
    (left,) = without_jobs.json["waits"]
    assert "about 2 payments" in left
    assert "--force-without-search" in left
    assert (waiting["in_recovery"], waiting["recovery"]["jobs"]["note"]) == (True, "not read again, by a person's word")
    assert found(waiting) == [(None, "accepted", None, 2, "4000", "UGX")]

    released = recover(corridor, "--release", "--force-without-search", "--send-unsent", *COMPARED)

    # What nobody has asked about isn't sent with the unsent.
    assert "0 payments were let go, 2 that nobody had looked for lie on the desk" in released["done"]
    assert found(released) == [("skipped", "held", "recovery", 2, "4000", "UGX")]
    one = released["recovery"]["released"]
    assert (released["in_recovery"], one["by"], one["reason"]) == (False, "bea", COMPARED[1])
    assert recoveries(corridor) == 1
    for key in ("a", "b"):
        payment = corridor.payment(key)
        assert payment is not None
        assert (payment.state, payment.held_cause, payment.work) == (State.HELD, HeldCause.RECOVERY, None)
    assert sent(corridor) == 0


@pytest.mark.parametrize("corridor", ["postgresql"], indirect=True)
def test_a_ledger_that_is_put_in_recovery_sends_what_is_unsent_when_a_person_says_so(corridor: Corridor) -> None:
    disburse(corridor, "a", "1500")
    disburse(corridor, "b", "2500")
    begun = recover(corridor, "--begin", *WHY)
    for process in corridor.processes:
        process.start()
    corridor.until(lambda: corridor.count("SELECT count(*) FROM recovery WHERE searched_at_ms IS NOT NULL"))
    ready, told = recover(corridor), momo(corridor, "recover").out
    assert sent(corridor) == 0

    released = recover(corridor, "--release", "--send-unsent", *COMPARED)
    for key in ("a", "b"):
        corridor.comes_to(key, State.SUCCESSFUL)

    assert (begun["in_recovery"], begun["recovery"]["lost_from"], begun["recovery"]["jobs"]["from"]) == (
        True,
        None,
        "0-0",
    )
    assert ready["recovery"]["may_be_released"]
    assert found(ready) == [("unsent", "held", "recovery", 2, "4000", "UGX")]
    for words in (
        "IN RECOVERY",
        "by amina: a person said so",
        WHY[1],
        "between the beginning and",
        f"epoch {begun['recovery']['epoch']}",
    ):
        assert words in told
    assert "2 held (recovery), 4000 UGX" in told
    assert "unknown to MTN: yours to decide" in told
    assert "Released. 2 payments were let go, 0 that nobody had looked for" in released["done"]
    # Where they stand by now is the worker's matter.
    assert [one[0] for one in found(released) for _ in range(one[3])] == ["unsent", "unsent"]
    assert sent(corridor) == 2
    corridor.books_agree()
    corridor.consumer_agrees()
