"""Whatever an application drops on Redis becomes a payment or a rejection, on real parts: by XADD, and by Celery task name without our package."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.corridor import Corridor, a_corridor, a_key, rejection

from momo_worker.payment.transitions import State

#: An application: Celery and the name of a task. An import of the worker fails in there.
PRODUCER = """
import json, sys
sys.modules["momo_worker"] = None
from celery import Celery
app = Celery(broker=sys.argv[1])
for name, options in json.loads(sys.stdin.read()):
    app.send_task(name, queue="momo-intake", **options)
"""

#: What somebody pushes into Celery's lists by hand; the value that its rejection shows, and how the reason begins.
POISON = (
    ("no JSON at all", "no JSON at all", "is not JSON"),
    ("[1, 2]", "[1, 2]", "is not a JSON object"),
    ('{"headers": 7, "body": "%%%"}', '{"body":%%%}', "is not JSON"),
    ('{"body": "', '{"body": "', "is not JSON"),
)


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    with a_corridor(tmp_path_factory.mktemp("corridor")) as running:
        yield running


def send_tasks(corridor: Corridor, *tasks: tuple[str, dict[str, Any]]) -> None:
    """Run the application."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PRODUCER, corridor.valkey.url],
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def kwargs(key: str, **changes: Any) -> dict[str, Any]:
    return {"idempotency_key": key, "amount": "700", "currency": "UGX", "msisdn": "256772100002", **changes}


def rejection_over(corridor: Corridor, field: str, value: str) -> dict[str, Any]:
    """The problem of an entry whose source only the pump knows, since it moved it from Celery's list."""

    def found() -> dict[str, Any] | None:
        problems = [one for some in corridor.consumer.read().rejected.values() for one in some]
        return next((one for one in problems if one["field"] == field and value in one["value"]), None)

    answer: dict[str, Any] = corridor.until(found)
    return answer


def test_a_task_by_name_in_each_of_the_four_priorities_becomes_a_payment(corridor: Corridor) -> None:
    keys = {priority: a_key() for priority in (0, 3, 6, 9)}
    tasks = [("momo.disburse", {"kwargs": kwargs(key), "priority": at}) for at, key in keys.items()]
    send_tasks(corridor, *tasks, ("momo.collect", {"kwargs": kwargs(at_the_till := a_key())}))
    for key in (*keys.values(), at_the_till):
        assert corridor.hears(key, "successful") == ["accepted", "pending", "successful"]
        assert len(corridor.movements(key)) == 1


def test_eta_and_countdown_hold_a_payment_back_and_expires_ends_it_unsent(corridor: Corridor) -> None:
    now = datetime.now(UTC)
    at, counted, late = a_key(), a_key(), a_key()
    eta = now + timedelta(seconds=4)
    send_tasks(
        corridor,
        ("momo.disburse", {"kwargs": kwargs(at), "eta": eta.isoformat()}),
        ("momo.disburse", {"kwargs": kwargs(counted), "countdown": 3}),
        ("momo.disburse", {"kwargs": kwargs(late), "eta": eta.isoformat(), "expires": eta.isoformat()}),
    )
    began = now.timestamp()
    for key, seconds in ((at, 4), (counted, 3)):
        corridor.hears(key, "successful")
        payment = corridor.comes_to(key, State.SUCCESSFUL)
        left = [post["at"] for post in corridor.simulator.requests() if post["reference"] == payment.reference_id]
        assert [began + seconds - 0.1 <= moment for moment in left] == [True]
    # An expiry at the very start leaves no moment in which it may be sent.
    assert corridor.until(lambda: _ended_unsent(corridor, late))


def _ended_unsent(corridor: Corridor, key: str) -> bool:
    """Refused at the door or cancelled in time: either way the application is told, and nothing leaves."""
    corridor.consumer.read()
    payment = corridor.payment(key)
    if payment is None:
        return any(one["field"] == "not_after" for some in corridor.consumer.rejected.values() for one in some)
    return payment.state is State.CANCELLED and corridor.movements(key) == []


def refused_payloads(corridor: Corridor) -> dict[bytes, str]:
    """What was refused, as it came, and the entry it came in."""
    with corridor.ledger.read() as tx:
        return {bytes(row[0]): row[1] for row in tx.conn.execute(text("SELECT payload, source FROM rejected_job"))}


def test_what_is_no_job_in_celerys_lists_is_rejected_and_stops_nothing(corridor: Corridor) -> None:
    good = a_key()
    before = set(corridor.consumer.read().rejected)
    for priority, (broken, _, _) in enumerate(POISON):
        name = "momo-intake" if priority == 0 else f"momo-intake\x06\x16{3 * priority}"
        corridor.client.lpush(name, broken)
    send_tasks(
        corridor,
        ("momo.disburse", {"args": ["256772100001", "500"], "kwargs": kwargs(a_key())}),
        ("momo.pay_everybody", {"kwargs": kwargs(a_key())}),
        ("momo.disburse", {"kwargs": kwargs("a key with spaces")}),
        ("momo.disburse", {"kwargs": kwargs(good)}),
    )
    assert rejection_over(corridor, "args", "256772100001")["reason"]
    assert rejection_over(corridor, "task", "pay_everybody")["reason"]
    assert rejection_over(corridor, "idempotency_key", "spaces")["advice"]
    for broken, value, reason in POISON:
        source = corridor.until(lambda broken=broken: refused_payloads(corridor).get(broken.encode()))
        problem = rejection(corridor, source)
        assert (problem["field"], problem["value"]) == ("job", value)
        assert problem["reason"].startswith(reason)
        assert problem["advice"]
    assert corridor.hears(good, "successful") == ["accepted", "pending", "successful"]
    # Seven were no jobs, and each of them was told, as one entry.
    assert len(set(corridor.consumer.read().rejected) - before) == len(POISON) + 3
    assert all(process.alive() for process in corridor.processes)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ("{bad", "job"),
        (json.dumps(kwargs("k", operation="disburse", amount="-5")), "amount"),
        (json.dumps(kwargs("k", operation="disburse", amount="1e3")), "amount"),
        (json.dumps(kwargs("k", operation="disburse", amount="150000.50")), "amount"),
        (json.dumps(kwargs("k", operation="disburse", currency="EUR")), "currency"),
        (json.dumps(kwargs("k", operation="disburse", msisdn="0772123456")), "msisdn"),
        (json.dumps(kwargs("k", operation="disburse", amonut="5")), "amonut"),
        (json.dumps(kwargs("k\0", operation="disburse")), "idempotency_key"),
        (json.dumps(kwargs("k", operation="disburse", metadata={"a": "x" * 1_000_000})), "job"),
        (b"\xff\xfe\x00", "job"),
    ],
)
def test_a_refusal_names_the_field_and_what_to_do(corridor: Corridor, payload: str | bytes, field: str) -> None:
    source = corridor.xadd_raw(payload)
    problem = rejection(corridor, source)
    assert problem["field"] == field
    assert problem["reason"]
    assert problem["advice"]
    kept = corridor.count(f"SELECT payload_bytes FROM rejected_job WHERE source = '{source}'")
    assert kept == len(payload if isinstance(payload, bytes) else payload.encode())


def test_a_key_of_the_wrong_type_alerts_and_stops_nothing_else(corridor: Corridor) -> None:
    corridor.client.set("momo-intake", "somebody's string")
    alert = "rename or delete it"
    corridor.until(lambda: any(alert in pump.log() for pump in corridor.pumps))
    by_stream, by_celery = a_key(), a_key()
    corridor.xadd(idempotency_key=by_stream)
    corridor.hears(by_stream, "successful")
    corridor.client.delete("momo-intake")
    send_tasks(corridor, ("momo.disburse", {"kwargs": kwargs(by_celery)}))
    corridor.hears(by_celery, "successful")


def test_the_books_of_all_these_agree(corridor: Corridor) -> None:
    """Last in the file: everything above, counted at the fake MTN, in the ledger and at the application."""
    corridor.ends(*corridor.payments())
    corridor.books_agree()
    corridor.consumer_agrees()
    assert corridor.simulator.record()["own_errors"] == 0


def test_jobs_are_acknowledged_once_they_are_in_the_ledger(corridor: Corridor) -> None:
    corridor.until(lambda: corridor.client.xpending("momo:jobs", "momo")["pending"] == 0)
    assert [name for name, said in corridor.output().items() if "Traceback" in said] == []
