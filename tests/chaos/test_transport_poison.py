"""Broken entries in our own work queues, and a real worker that goes on: each is kept, none is run, none stops anybody."""

import base64
import json

import pytest
from tests.support.celery_worker import a_worker
from tests.support.waiting import PATIENCE_SECONDS

from momo_worker.celery_settings import BULK, INTERACTIVE, KEY_PREFIX

pytestmark = pytest.mark.chaos


def an_entry(queue: str = BULK, *, body: object = None, **changes) -> str:
    parts = body if body is not None else [["poison", 0], {}, None]
    entry = {
        "body": base64.b64encode(json.dumps(parts).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "tests.work", "id": "id-of-poison"},
        "properties": {
            "delivery_tag": "tag-of-poison",
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
        },
        **changes,
    }
    return json.dumps({name: value for name, value in entry.items() if value != "absent"})


POISON = {
    "not JSON": "hello",
    "not UTF-8": b"\xff\xfe{}",
    "a JSON list": "[1, 2]",
    "ten thousand brackets": "[" * 10_000,
    "bad base64": an_entry().replace('"body": "', '"body": "%%%'),
    "no third element": an_entry(body=[["poison", 0], {}]),
    "no id": an_entry(headers={"lang": "py", "task": "tests.work"}),
    "no headers": an_entry(headers="absent"),
    "no properties": an_entry(properties="absent"),
    "no delivery tag": an_entry(
        properties={"delivery_info": {"exchange": "", "routing_key": BULK}, "body_encoding": "base64"}
    ),
    "no delivery info": an_entry(properties={"delivery_tag": "tag", "body_encoding": "base64"}),
    "pickle": an_entry(**{"content-type": "application/x-python-serialize"}),
    "a time limit that is no pair": an_entry(headers={"task": "tests.work", "id": "id", "timelimit": 5}),
    "a way back to another queue": an_entry(queue="elsewhere"),
}


def test_every_broken_entry_is_set_aside_and_the_worker_goes_on(valkey, tmp_path):
    raw = [entry if isinstance(entry, bytes) else entry.encode() for entry in POISON.values()]
    with a_worker(valkey.url, tmp_path / "w", concurrency=2) as (worker, sender), valkey.client() as client:
        sender.send("before", 0, queue=INTERACTIVE)
        for entry in raw:
            client.lpush(KEY_PREFIX + BULK, entry)
        sender.send("after", 0)
        worker.eventually(lambda: worker.names("end") == ["after", "before"], within_seconds=PATIENCE_SECONDS)
        with valkey.client(decode_responses=False) as exact:
            kept = exact.lrange(KEY_PREFIX + BULK + ".invalid", 0, -1)
        assert list(reversed(kept)) == raw
        assert client.llen(KEY_PREFIX + BULK) == 0
        worker.eventually(lambda: client.hlen(KEY_PREFIX + "unacked") == 0, within_seconds=PATIENCE_SECONDS)
        assert worker.log().count("can't be run") == len(raw)
        assert "Connection to broker lost" not in worker.log()
        assert worker.alive()


def test_what_the_check_lets_through_and_celery_cannot_read_is_set_aside_by_the_second_net(valkey, tmp_path):
    # A task whose strategy raises KeyError, which stock kombu takes for a lost connection: the livelock of 5.7.0.
    with a_worker(valkey.url, tmp_path / "w", concurrency=2) as (worker, sender), valkey.client() as client:
        sender.app.send_task("tests.confuses_celery", queue=BULK)
        sender.send("after", 0)
        worker.eventually(lambda: worker.names("end") == ["after"], within_seconds=PATIENCE_SECONDS)
        worker.eventually(lambda: client.hlen(KEY_PREFIX + "unacked") == 0, within_seconds=PATIENCE_SECONDS)
        assert client.llen(KEY_PREFIX + BULK + ".invalid") == 1
        assert "Connection to broker lost" not in worker.log()
        assert worker.alive()
