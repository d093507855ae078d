"""The transport's own decisions, seen from one process; what it does to workers is in tests/chaos."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from kombu.transport import redis as stock
from tests.support.valkey import free_port

from momo_worker.celery_settings import BULK, celery_settings
from momo_worker.transport import PINS, Amqp, Connection, PinError, SentinelTransport, Transport, check_pins


@pytest.mark.parametrize("name", PINS)
def test_another_version_is_refused_with_the_pin_and_the_tests_to_run(name):
    with pytest.raises(PinError, match=rf"{name} 5\.7\.0, but 5\.7\.1 .* run `pytest -m chaos`"):
        check_pins({**PINS, name: "5.7.1"})


def test_the_pinned_versions_are_taken():
    check_pins(dict(PINS))


@pytest.mark.parametrize(("scheme", "expected"), [("redis", Transport), ("sentinel", SentinelTransport)])
def test_going_on_to_the_next_url_keeps_the_hardened_transport(scheme, expected):
    options = {"master_name": "m"}
    urls = f"{scheme}://127.0.0.1:1/0;{scheme}://127.0.0.1:2/0"
    connection = Connection(urls, transport=expected, transport_options=options)
    connection.maybe_switch_next()
    assert connection.port == 2
    assert connection.get_transport_cls() is expected


def test_no_command_is_ever_sent_a_second_time_by_the_client(redis_url):
    app = Celery("app", amqp=Amqp, set_as_current=False)
    app.conf.update(celery_settings(redis_url, concurrency=1))
    with app.connection() as connection, connection.channel() as channel:
        for pool in (channel.pool, channel.async_pool):
            assert pool.connection_kwargs["retry_on_timeout"] is False
            one = pool.get_connection()
            assert one.retry.get_retries() == 0
            pool.release(one)


def test_threads_that_acknowledge_at_once_on_a_lost_channel_share_one_pool(redis_url, monkeypatch):
    app = Celery("app", amqp=Amqp, set_as_current=False)
    app.conf.update(celery_settings(redis_url, concurrency=4))
    all_at_once = threading.Barrier(4)
    made = []
    connparams = stock.Channel._connparams

    def slowly(self, **kwargs):
        made.append(threading.get_ident())
        time.sleep(0.05)  # the others' chance to come in between
        return connparams(self, **kwargs)

    def client(_):
        all_at_once.wait(timeout=10)
        return channel._create_client()

    with app.connection() as connection:
        channel = connection.channel()
        channel.close()
        channel.connection = None
        monkeypatch.setattr(stock.Channel, "_connparams", slowly)
        with ThreadPoolExecutor(4) as threads:
            clients = list(threads.map(client, range(4)))
        assert len(made) == 1
        assert {client.connection_pool for client in clients} == {channel.pool}
        channel.pool.disconnect()


def test_a_publisher_without_redis_is_told_and_waits_no_longer_than_its_policy(tmp_path):
    app = Celery("app", amqp=Amqp, set_as_current=False)
    app.conf.update(celery_settings(f"redis://127.0.0.1:{free_port()}/0", concurrency=1))
    with pytest.raises(OperationalError):
        app.send_task("momo.submit", args=[["id-1"]], queue=BULK)
    app.close()


def test_a_queue_that_nobody_declared_cannot_be_written(redis_url, redis_client):
    app = Celery("app", amqp=Amqp, set_as_current=False)
    app.conf.update(celery_settings(redis_url, concurrency=1))
    with pytest.raises(Exception, match="bulkk"):
        app.send_task("momo.submit", args=[["id-1"]], queue="bulkk")
    app.close()
    assert list(redis_client.scan_iter("*")) == []


def test_the_keys_in_redis_read_well(redis_url, redis_client):
    app = Celery("app", amqp=Amqp, set_as_current=False)
    app.conf.update(celery_settings(redis_url, concurrency=1))
    app.send_task("momo.submit", args=[["id-1"]], queue=BULK)
    app.close()
    assert list(redis_client.scan_iter("*")) == ["momo:work:bulk"]


def test_a_lost_redis_is_looked_for_each_three_seconds_however_long_it_is_away(monkeypatch):
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    waits: list[float] = []
    connection = Connection(f"redis://127.0.0.1:{free_port()}/0", transport=Transport)
    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, interval: waits.append(interval), max_retries=20)
    assert len(waits) == 20
    assert max(waits) == 3
