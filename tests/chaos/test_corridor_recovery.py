"""A ledger goes back to an older backup, or is lost, under real processes: nothing is paid twice, no decision is lost silently, and it comes back by a person's word."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.backup import Backup
from tests.support.corridor import Corridor, a_corridor, a_job

from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate
from momo_worker.payment.transitions import HeldCause, State

#: A dozen commands are typed in each, and the machine may have other things to do.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

NAMESPACE = {"MOMO_NAMESPACE": "2c5a7a2e-6d0c-4a0a-9d57-0d8f3b0d8c11"}
ENOUGH = "1000000000"


@pytest.fixture(params=["sqlite", "postgresql"])
def corridor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Corridor]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with a_corridor(tmp_path, ledger_url=url, environment=NAMESPACE) as running:
        yield running


def job(key: str, **changes: Any) -> dict[str, Any]:
    return a_job(idempotency_key=key, msisdn=f"2567721{sum(map(ord, key)):05d}", **changes)


def say(corridor: Corridor, *words: str) -> dict[str, Any]:
    done = corridor.momo(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def tide(corridor: Corridor) -> int:
    return corridor.count("SELECT tide FROM installation")


def copies_follow(corridor: Corridor) -> None:
    """The copies outside know what the ledger holds now."""
    now = tide(corridor)
    corridor.until(lambda: tide(corridor) >= now + 2)


def in_recovery(corridor: Corridor) -> bool:
    return bool(corridor.count("SELECT count(*) FROM recovery WHERE is_open = 1"))


def sent(corridor: Corridor) -> int:
    """POSTs of payments that MTN has seen; a Redis that lost its data lost the token, too, and another is no payment."""
    return sum(request["operation"] != "token" for request in corridor.simulator.requests())


def may_be_released(corridor: Corridor) -> bool:
    return bool(say(corridor, "recover")["recovery"]["may_be_released"])


def a_morning(corridor: Corridor) -> Backup:
    """A night's backup with four payments that wait, and a morning in which one is paid, one retried, one cancelled, one paused."""
    say(corridor, "pause", "--reason", "night")
    corridor.xadd_many([job(key) for key in ("paid", "cancelled", "waiting")])
    corridor.xadd_many([job("retried", amount="7000")])
    for key in ("paid", "cancelled", "waiting", "retried"):
        corridor.comes_to(key, State.ACCEPTED)
    backup = Backup.of(corridor.ledger)
    copies_follow(corridor)
    say(corridor, "payment", "cancel", "cancelled", "--reason", "left the company")
    say(corridor, "payment", "cancel", "waiting", "--reason", "by mistake")
    corridor.simulator.set_balance("uganda", "disbursement", "5000")
    say(corridor, "resume", "--reason", "morning")
    corridor.comes_to("paid", State.SUCCESSFUL)
    corridor.comes_to("retried", State.FAILED)
    corridor.simulator.set_balance("uganda", "disbursement", ENOUGH)
    say(corridor, "payment", "retry", "retried", "--reason", "topped up")
    corridor.xadd_many([job("only-in-the-stream")])
    assert corridor.comes_to("retried", State.SUCCESSFUL).attempt == 2
    corridor.comes_to("only-in-the-stream", State.SUCCESSFUL)
    corridor.consumer_agrees()
    say(corridor, "pause", "--product", "collection", "--reason", "fraud")
    copies_follow(corridor)
    return backup


def shows_what_it_knows(corridor: Corridor) -> None:
    """Why, since when, what may be lost, and what MTN said of each payment: as JSON, and to a person."""
    facts = say(corridor, "recover")
    about, told = facts["recovery"], corridor.momo("recover").stdout
    assert (facts["in_recovery"], about["why"], about["by"]) == (True, "behind", "recovery")
    assert about["epoch"] == facts["ledger"]["epoch"] == 2
    assert about["tide_found"] < about["tide_known"] <= facts["ledger"]["tide"]
    # From the backup's last entry to the moment in which the restore was noticed.
    lost_from, lost_until = (datetime.fromisoformat(about[name]) for name in ("lost_from", "lost_until"))
    kept_until = corridor.count("SELECT max(accepted_at_ms) FROM payment WHERE idempotency_key = 'retried'")
    assert kept_until <= lost_from.timestamp() * 1000 + 1_000
    assert lost_from < lost_until
    assert about["since"] == about["lost_until"]
    outcomes: Counter[str] = Counter()
    for one in about["payments"]:
        outcomes[one["outcome"]] += one["payments"]
    assert outcomes == {"adopted": 3, "unsent": 2}
    assert "IN RECOVERY" in told
    assert "a backup was restored" in told
    assert f"between {about['lost_from']} and {about['lost_until']} may be lost" in told


def comes_back(corridor: Corridor) -> None:
    """What an operator does, and what must be true before, during and after it."""
    before = sent(corridor)
    corridor.until(lambda: in_recovery(corridor))
    # What comes after the stream was read again has no past that could be lost.
    corridor.until(lambda: corridor.count("SELECT count(*) FROM recovery WHERE jobs_done_at_ms IS NOT NULL"))
    corridor.xadd_many([job("new"), job("paid")])
    corridor.comes_to("new", State.ACCEPTED)
    assert corridor.momo("recover", "--release").returncode == 2
    corridor.until(lambda: may_be_released(corridor))
    shows_what_it_knows(corridor)
    assert corridor.momo("doctor", "--offline").returncode == 1
    code, reasons = corridor.pumps[0].health()
    assert (code, reasons) == (200, [])
    assert "momo_recovery{" in corridor.pumps[0].metrics()
    assert sent(corridor) == before
    for key in ("cancelled", "waiting"):
        payment = corridor.payment(key)
        assert payment is not None
        assert (payment.state, payment.held_cause) == (State.HELD, HeldCause.RECOVERY)
    say(corridor, "payment", "cancel", "cancelled", "--reason", "left the company, as before")
    released = say(corridor, "recover", "--release", "--reason", "compared with the list of the morning")
    assert not released["in_recovery"]
    # The night's pause was lifted after the backup: whoever released sees that it holds again.
    assert [pause.partition(",")[0] for pause in released["pauses"]] == ["all", "product collection"]
    assert corridor.comes_to("new", State.ACCEPTED).sends == 0
    say(corridor, "resume", "--reason", "morning, as before")
    for key in ("paid", "retried", "only-in-the-stream", "new"):
        corridor.comes_to(key, State.SUCCESSFUL)
    assert corridor.payments()["retried"].attempt == 2
    assert {key: each.state for key, each in corridor.payments().items() if each.state is not State.SUCCESSFUL} == {
        "cancelled": State.CANCELLED,
        "waiting": State.HELD,
    }
    assert sent(corridor) == before + 1
    corridor.books_agree()
    corridor.consumer_agrees()


def test_an_older_backup_comes_back_without_a_double_and_without_losing_a_decision(corridor: Corridor) -> None:
    backup = a_morning(corridor)
    for process in corridor.processes:
        process.kill()
    backup.restore(corridor.ledger)
    for process in corridor.processes:
        process.start()
    comes_back(corridor)
    # A restore lifts no pause: it was in the copies.
    assert corridor.count("SELECT count(*) FROM pause WHERE lifted_at_ms IS NULL AND reason = 'fraud'") == 1


def test_a_failover_under_running_processes_sends_nothing_before_it_is_noticed(corridor: Corridor) -> None:
    backup = a_morning(corridor)
    backup.restore(corridor.ledger)
    comes_back(corridor)
    assert all(process.alive() for process in corridor.processes)


def test_with_redis_lost_as_well_the_file_knows(corridor: Corridor) -> None:
    backup = a_morning(corridor)
    for process in corridor.processes:
        process.kill()
    corridor.valkey.kill()
    shutil.rmtree(corridor.valkey.folder)
    backup.restore(corridor.ledger)
    corridor.valkey.start()
    for process in corridor.processes:
        process.start()
    corridor.until(lambda: in_recovery(corridor))
    # The stream is gone with Redis: its producer has seen no end, and sends again under the same key.
    corridor.xadd_many([job("only-in-the-stream")])
    comes_back(corridor)


@pytest.fixture
def new_ledger(request: pytest.FixtureRequest, corridor: Corridor, tmp_path: Path) -> Iterator[Ledger]:
    """An empty one, on the same kind of database as the corridor's."""
    with ExitStack() as stack:
        if corridor.ledger.engine.dialect.name == "sqlite":
            url = f"sqlite:///{tmp_path / 'new.db'}"
        else:
            url = stack.enter_context(request.getfixturevalue("postgres_server").database())
        fresh = Ledger(url, SystemClock())
        stack.callback(fresh.close)
        migrate(fresh)
        # Whoever runs on it ends before its database does.
        stack.callback(lambda: [process.kill() for process in corridor.processes])
        yield fresh


def points_at(corridor: Corridor, ledger: Ledger) -> None:
    """What is typed, and what is started from now on, is about this ledger."""
    corridor.environment["MOMO_DATABASE_URL"] = ledger.engine.url.render_as_string(hide_password=False)


def start_is_refused(corridor: Corridor, *words: str) -> bool:
    """Nobody runs on a ledger that Redis doesn't name, and is told what to do."""
    refused = corridor.momo(*words)
    return refused.returncode != 0 and "--adopt-ledger" in refused.stdout + refused.stderr


def test_an_empty_ledger_takes_the_lost_ones_place_by_a_persons_word_only(
    corridor: Corridor, new_ledger: Ledger
) -> None:
    a_morning(corridor)
    points_at(corridor, new_ledger)
    alive = corridor.momo("recover", "--adopt-ledger", "--reason", "the old one is gone")
    assert alive.returncode == 1
    assert "lives" in alive.stderr
    for process in corridor.processes:
        process.kill()
        process.environment["MOMO_DATABASE_URL"] = corridor.environment["MOMO_DATABASE_URL"]
    before = sent(corridor)
    assert start_is_refused(corridor, "pump")
    assert start_is_refused(corridor, "worker")
    adopted = say(corridor, "recover", "--adopt-ledger", "--reason", "the old one is gone")
    assert (adopted["in_recovery"], adopted["recovery"]["why"]) == (True, "by_person")
    assert (adopted["recovery"]["detail"], adopted["recovery"]["lost_from"]) == ("the old one is gone", None)
    corridor.ledger = new_ledger
    for process in corridor.processes:
        process.start()
    corridor.until(lambda: corridor.count("SELECT count(*) FROM recovery WHERE jobs_done_at_ms IS NOT NULL"))
    corridor.xadd_many([job("new"), job("paid")])
    corridor.comes_to("new", State.ACCEPTED)
    assert corridor.momo("recover", "--release").returncode == 2
    corridor.until(lambda: may_be_released(corridor))
    # MTN has what was paid, under whichever attempt; of the rest only a person knows what was decided.
    known = Counter({one["outcome"]: one["payments"] for one in say(corridor, "recover")["recovery"]["payments"]})
    assert known == {"adopted": 3, "unsent": 2}
    assert sent(corridor) == before
    released = say(corridor, "recover", "--release", "--reason", "compared with the statement")
    # What stopped collections stood in the lost ledger's last copy; the night's pause had been lifted before that.
    assert [pause.partition(",")[0] for pause in released["pauses"]] == ["product collection"]
    for key in ("paid", "retried", "only-in-the-stream", "new"):
        corridor.comes_to(key, State.SUCCESSFUL)
    assert corridor.payments()["retried"].attempt == 2
    for key in ("cancelled", "waiting"):
        assert corridor.comes_to(key, State.HELD).held_cause is HeldCause.RECOVERY
    assert sent(corridor) == before + 1
    corridor.books_agree()
    corridor.consumer_agrees()


def test_pumps_that_slept_while_another_ledger_was_adopted_end_by_themselves(
    corridor: Corridor, new_ledger: Ledger
) -> None:
    """They wake in the middle of their loops, on a ledger that is nobody's any more."""
    say(corridor, "pause", "--reason", "night")
    corridor.xadd_many([job("waits")])
    corridor.comes_to("waits", State.ACCEPTED)
    copies_follow(corridor)
    for pump in corridor.pumps:
        pump.freeze()
    points_at(corridor, new_ledger)
    say(corridor, "recover", "--adopt-ledger", "--reason", "the old one is gone")
    for pump in corridor.pumps:
        pump.resume()
    assert all(pump.exit_code() != 0 for pump in corridor.pumps)
    assert all("belongs to the ledger" in pump.log() for pump in corridor.pumps)
    assert sent(corridor) == 0
