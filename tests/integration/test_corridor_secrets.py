"""Nothing that opens a wallet, and no whole phone number, stands in anything that our processes say, however much goes wrong."""

import base64
import json
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.callbacks import CALLBACK_SECRET, receiving_callbacks
from tests.support.corridor import Corridor, a_corridor
from tests.support.simulator import UGANDA_COLLECTION, UGANDA_DISBURSEMENT

from momo_worker.payment.transitions import State

NUMBERS = [f"25677231{at:04d}" for at in range(40)]
WRONG_KEY = "dec0dec0dec0dec0dec0dec0dec0dec0"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that a run full of errors ever wrote, at the most talkative level; beside it, what mustn't stand in it."""
    folder = tmp_path_factory.mktemp("corridor")
    with receiving_callbacks() as callbacks:
        environment = {
            "MOMO_LOG_LEVEL": "DEBUG",
            "MOMO_CALLBACK_URL": callbacks.url,
            "MOMO_CALLBACK_SECRET": CALLBACK_SECRET,
            "PYTHONWARNINGS": "default",
        }
        with a_corridor(folder, environment=environment) as corridor:
            collected = {"metrics": "", "results": "", "redis": ""}
            _provoke(corridor)
            collected["metrics"] = "".join(process.metrics() for process in corridor.processes)
            collected["results"] = "".join(fields["event"] for _, fields in corridor.client.xrange("momo:results"))
            collected["redis"] = _all_strings(corridor)
            _wrong_credentials(corridor)
            for process in corridor.processes:
                process.terminate()
            collected |= corridor.output()
    collected["tokens"] = "\n".join(_tokens(folder / "mtn.db"))
    return collected


def _provoke(corridor: Corridor) -> None:
    """Wrong answers, refused jobs, commands, a Redis that goes away, a ledger that loses a table: each makes its errors."""
    for at, fault in enumerate(
        ("wrong_party", "wrong_amount", "html_200", "lost_after_creation", "numbers_for_strings")
    ):
        corridor.simulator.fault(fault, msisdn=NUMBERS[at])
    for at, number in enumerate(NUMBERS[:12]):
        corridor.xadd(idempotency_key=f"k{at}", msisdn=number, operation="collect" if at % 2 else "disburse")
    corridor.ends("k1", "k6", "k7", "k11")
    for broken in (
        json.dumps({"operation": "disburse", "msisdn": NUMBERS[12], "idempotency_key": "b1", "amount": "x", "currency": "UGX"}),
        json.dumps({"operation": "disburse", "msisdn": NUMBERS[13] + "7777777", "idempotency_key": "b2", "amount": "1", "currency": "UGX"}),
        json.dumps({"operation": "disburse", "msisdn": int(NUMBERS[14]), "idempotency_key": "b3", "amount": "1", "currency": "UGX"}),
        f'{{"operation": "disburse", "msisdn": "{NUMBERS[15]}", ',
        f"payee {NUMBERS[16]} please",
    ):  # fmt: skip
        corridor.xadd_raw(broken)
    corridor.until(lambda: len(corridor.consumer.read().rejected) >= 5)
    corridor.simulator.end_tokens()
    corridor.xadd(idempotency_key="token", msisdn=NUMBERS[17])
    corridor.ends("token")
    for words in (
        ("payment", "show", "k1"),
        ("payment", "list"),
    ):
        assert corridor.momo(*words).returncode == 0
    corridor.momo("disburse", "--amount", "5", "--currency", "UGX", "--to", NUMBERS[18], "--key", "by-hand")
    corridor.simulator.fault("fail", msisdn=NUMBERS[22], code=f"PAYER_{NUMBERS[22]}")
    corridor.xadd(idempotency_key="gossip", msisdn=NUMBERS[22])
    corridor.ends("gossip")
    _without_redis(corridor)
    _without_a_table(corridor)
    _without_room_for_an_answer(corridor)


def _without_redis(corridor: Corridor) -> None:
    corridor.xadd(idempotency_key="in-the-dark", msisdn=NUMBERS[19])
    corridor.valkey.kill()
    corridor.until(lambda: '"a pump loop failed' in corridor.pumps[0].log())
    corridor.valkey.start()
    corridor.ends("in-the-dark")


def _without_a_table(corridor: Corridor) -> None:
    """The statements that fail carry whole rows, numbers and all; a loop outlives it and the payments go on."""
    with corridor.ledger.write() as tx:
        tx.conn.execute(text("ALTER TABLE payment RENAME TO payment_away"))
    corridor.xadd(idempotency_key="without-a-table", msisdn=NUMBERS[20])
    corridor.until(lambda: "no such table" in corridor.pumps[0].log())
    broken = corridor.momo("payment", "show", "k1")
    assert broken.returncode != 0
    with corridor.ledger.write() as tx:
        tx.conn.execute(text("ALTER TABLE payment_away RENAME TO payment"))
    corridor.ends("without-a-table")


def _without_room_for_an_answer(corridor: Corridor) -> None:
    """A worker that can't write down what MTN answered tells it with its whole trace."""
    corridor.simulator.fault("slow_answer", method="POST", msisdn=NUMBERS[23], seconds=2)
    corridor.xadd(idempotency_key="slow", msisdn=NUMBERS[23])
    corridor.comes_to("slow", State.SENDING)
    with corridor.ledger.write() as tx:
        tx.conn.execute(text("ALTER TABLE send RENAME TO send_away"))
    corridor.until(lambda: "could not be recorded" in corridor.workers[0].log())
    with corridor.ledger.write() as tx:
        tx.conn.execute(text("ALTER TABLE send_away RENAME TO send"))
    corridor.ends("slow")


def _wrong_credentials(corridor: Corridor) -> None:
    """A worker with a key that MTN refuses says so, and not with which."""
    (worker,) = corridor.workers
    worker.terminate()
    worker.environment["MOMO_DISBURSEMENT_API_KEY"] = WRONG_KEY
    worker.environment["MOMO_COLLECTION_SUBSCRIPTION_KEY"] = WRONG_KEY
    worker.start()
    corridor.xadd(idempotency_key="refused", msisdn=NUMBERS[21])
    corridor.until(lambda: "token_refused" in worker.log())
    corridor.environment["MOMO_COLLECTION_SUBSCRIPTION_KEI"] = WRONG_KEY
    assert corridor.momo("payment", "list").returncode != 0
    del corridor.environment["MOMO_COLLECTION_SUBSCRIPTION_KEI"]


def _all_strings(corridor: Corridor) -> str:
    """Every plain value that lies in Redis, but the streams, which are read on their own."""
    client = corridor.client
    return "\n".join(client.get(name) or "" for name in client.scan_iter() if client.type(name) == "string")


def _tokens(data: Path) -> list[str]:
    with sqlite3.connect(data) as theirs:
        found = [row[0] for row in theirs.execute("SELECT token FROM tokens")]
    theirs.close()
    return found


def secrets() -> list[str]:
    found = [WRONG_KEY, CALLBACK_SECRET]
    for who in (UGANDA_COLLECTION, UGANDA_DISBURSEMENT):
        found += [who.subscription_key, who.secondary_key, who.api_key]
        found += [base64.b64encode(f"{who.api_user}:{key}".encode()).decode() for key in (who.api_key, WRONG_KEY)]
    return found


def places(said: dict[str, str], wanted: str, *, beside: tuple[str, ...] = ()) -> list[str]:
    """Where it stands, with what stands around it."""
    return [
        f"{name}: …{text_[max(0, text_.index(wanted) - 200) : text_.index(wanted) + 40]}…"
        for name, text_ in said.items()
        if wanted in text_ and name not in (*beside, "tokens")
    ]


def test_the_run_was_as_bad_as_it_should_be(said: dict[str, str]) -> None:
    everything = "\n".join(said.values())
    for trouble in ("no such table", "token_refused", "job rejected", "a pump loop failed", "Traceback", "put_on_desk"):
        assert trouble in everything, trouble
    assert len(said["tokens"].splitlines()) >= 3


def test_no_key_stands_anywhere(said: dict[str, str]) -> None:
    assert [place for secret in secrets() for place in places(said, secret)] == []


def test_no_token_stands_anywhere(said: dict[str, str]) -> None:
    tokens = said["tokens"].splitlines()
    assert [place for token in tokens for place in places(said, token)] == []
    # Nor a part of one that would do: the signature is the token's secret.
    assert [place for token in tokens for place in places(said, token.rpartition(".")[2])] == []


def test_no_whole_number_stands_in_logs_traces_or_metrics(said: dict[str, str]) -> None:
    """Results carry the number, by contract."""
    assert [place for number in NUMBERS for place in places(said, number, beside=("results",))] == []


def test_results_do_carry_the_number_so_that_the_search_can_find_one(said: dict[str, str]) -> None:
    assert NUMBERS[0] in said["results"]
