"""What docs/producers.md tells an application to type does what it says, against a real server: its own snippets, cut out and run.

Node's and PHP's are run by hand, since not every machine has them; the document says with which versions.
"""

import os
import re
import sqlite3
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from tests.support.factories import a_payment
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

from momo_worker.payment.envelope import fields_of_envelope
from momo_worker.payment.events import payment_event, rejection_event
from momo_worker.payment.job import FIELDS, Job, Terms, check_job, parse_fields
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Operation
from momo_worker.payment.transitions import EventType, State
from momo_worker.streams import JobsStream

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "producers.md").read_text(encoding="utf-8")
NAMESPACE = uuid.UUID(int=1)


def snippet(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert isinstance(found, str)
    return found


def environment(folder: Path) -> dict[str, str]:
    """A producer's: no package of ours on its path, and a `redis-cli` where the machine has none."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    cli = tools / "redis-cli"
    cli.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests" / "support" / "redis_cli.py"} "$@"\n')
    cli.chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder), "PYTHONUNBUFFERED": "1"}


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def job_of(fields: dict[str, object]) -> Job:
    return check_job(fields, Terms(Currency("UGX", 0), "UG"))


def the_salary(job: Job) -> bool:
    facts = (job.operation, job.idempotency_key, job.amount_minor, job.msisdn)
    return facts == (Operation.DISBURSE, "salary-2026-11-0042", 150_000, "256772123456")


def at_port(text: str, port: int) -> str:
    assert "6388" in text
    return text.replace("6388", str(port))


@pytest.mark.parametrize("language", ["sh", "python"])
def test_a_snippet_drops_a_job_that_is_taken(
    language: str, redis_client: redis.Redis, shared_valkey: Valkey, tmp_path: Path
) -> None:
    code = at_port(snippet(f"{language} enqueue"), shared_valkey.port)
    run(["sh", "-c", code] if language == "sh" else [sys.executable, "-c", code], tmp_path)
    ((_, fields),) = redis_client.xrange("momo:jobs")
    assert list(fields) == ["job"]
    assert the_salary(job_of(parse_fields(fields["job"].encode())))


def test_celery_by_name_drops_a_job_that_is_taken(
    redis_client: redis.Redis, shared_valkey: Valkey, tmp_path: Path
) -> None:
    run([sys.executable, "-c", at_port(snippet("python celery"), shared_valkey.port)], tmp_path)
    with redis.Redis(port=shared_valkey.port) as raw:
        assert JobsStream(raw).move_from_celery(limit=10) == 1
    ((_, fields),) = redis_client.xrange("momo:jobs")
    assert the_salary(job_of(fields_of_envelope(fields["celery"].encode())))


def test_the_job_on_the_page_is_a_job() -> None:
    job = job_of(parse_fields(snippet("json").encode()))
    assert the_salary(job)
    assert job.metadata == '{"employee":"0042"}'


def publish(client: redis.Redis, epoch: int, sequence: int, state: State, kind: EventType) -> None:
    payment = replace(a_payment(state), sequence=sequence)
    client.xadd("momo:results", {"event": payment_event(NAMESPACE, epoch, payment, kind, 0, None).body})


def test_the_reader_applies_what_is_newer_and_nothing_else(
    redis_client: redis.Redis, shared_valkey: Valkey, tmp_path: Path
) -> None:
    publish(redis_client, 1, 1, State.ACCEPTED, EventType.ACCEPTED)
    publish(redis_client, 1, 3, State.SUCCESSFUL, EventType.SUCCESSFUL)
    publish(redis_client, 1, 2, State.PENDING, EventType.PENDING)
    publish(redis_client, 1, 3, State.SUCCESSFUL, EventType.SUCCESSFUL)
    problems = [{"field": "amount", "value": "1.5", "reason": "is no shilling", "advice": "send whole shillings"}]
    rejection = rejection_event(NAMESPACE, "momo:jobs/7-0", problems, {}, 0)
    redis_client.xadd("momo:results", {"event": rejection.body})

    output = read_until_all_is_acknowledged(redis_client, shared_valkey, tmp_path)
    assert states(tmp_path) == [(1, 3, "successful")]
    assert "rejected momo:jobs/7-0" in output

    # What a consumer took and never acknowledged comes again first; a later epoch wins over any sequence of an earlier one.
    publish(redis_client, 2, 1, State.PENDING, EventType.PENDING)
    redis_client.xreadgroup("shop", "shop-1", {"momo:results": ">"})
    assert redis_client.xpending("momo:results", "shop")["pending"] == 1
    read_until_all_is_acknowledged(redis_client, shared_valkey, tmp_path)
    assert states(tmp_path) == [(2, 1, "pending")]


def states(folder: Path) -> list[tuple[int, int, str]]:
    with sqlite3.connect(folder / "shop.db") as mine:
        found = mine.execute("select epoch, sequence, state from payment").fetchall()
    mine.close()
    return found


def read_until_all_is_acknowledged(client: redis.Redis, server: Valkey, folder: Path) -> str:
    def all_read() -> bool:
        groups = client.xinfo_groups("momo:results")
        return bool(groups) and groups[0]["pending"] == 0 and groups[0]["lag"] == 0

    code = at_port(snippet("python results"), server.port)
    with (folder / "output").open("w+") as output:
        reader = subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, env=environment(folder), stdout=output, stderr=output
        )
        try:
            eventually(all_read, within_seconds=30, otherwise=(folder / "output").read_text)
        finally:
            reader.terminate()
            reader.wait(30)
        output.seek(0)
        return output.read()


def test_every_event_that_exists_is_explained() -> None:
    assert set(re.findall(r"^\| `(momo\.[a-z.]+)` \|", TEXT, re.MULTILINE)) == {kind.value for kind in EventType}


def test_every_field_of_a_job_is_explained() -> None:
    table = TEXT[TEXT.index("## The job") : TEXT.index("## Dropping one")]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(FIELDS)
