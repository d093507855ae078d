"""The settings agree with one another and with what the design promises of them."""

import ssl

from celery import Celery
from celery.app.defaults import SETTING_KEYS

from momo_worker.celery_settings import (
    BULK,
    CALL_DEADLINE_SECONDS,
    INTERACTIVE,
    LEASE_SECONDS,
    QUEUE_KEYS,
    QUEUES,
    VISIBILITY_TIMEOUT_SECONDS,
    celery_settings,
)

URL = "redis://127.0.0.1:6379/0"


def test_deadline_lease_and_visibility_stand_in_the_order_that_money_needs():
    # A lease over twice the deadline; a message back only when the claim of its dead worker has ended.
    assert 2 * CALL_DEADLINE_SECONDS < LEASE_SECONDS < VISIBILITY_TIMEOUT_SECONDS
    assert celery_settings(URL, concurrency=1)["broker_transport_options"]["visibility_timeout"] == 300


def test_celery_knows_every_setting():
    # Celery ignores a misspelt setting without a word.
    assert set(celery_settings(URL, concurrency=8)) <= SETTING_KEYS


def test_an_unknown_queue_is_refused_and_ours_are_declared_in_the_order_of_priority():
    app = Celery("app", set_as_current=False)
    app.conf.update(celery_settings(URL, concurrency=8))
    assert list(app.amqp.queues.consume_from) == [INTERACTIVE, BULK] == list(QUEUES)
    assert "momo-intake" not in app.amqp.queues
    assert QUEUE_KEYS == ("momo:work:interactive", "momo:work:bulk")


def test_nothing_but_json_and_no_results_events_or_remote_control():
    settings = celery_settings(URL, concurrency=8)
    assert settings["accept_content"] == ["json"]
    assert settings["task_serializer"] == "json"
    assert settings["result_backend"] is None
    assert settings["worker_send_task_events"] is False
    assert settings["worker_enable_remote_control"] is False
    assert (settings["worker_pool"], settings["worker_concurrency"]) == ("threads", 8)


def test_a_tls_url_checks_the_certificate():
    assert celery_settings("rediss://redis:6380/0", concurrency=1)["broker_use_ssl"] == {
        "ssl_cert_reqs": ssl.CERT_REQUIRED
    }
    assert celery_settings(URL, concurrency=1)["broker_use_ssl"] is False


def test_a_sentinel_url_names_the_master_and_takes_the_sentinel_transport():
    settings = celery_settings("sentinel://:pw@a:26379/0;sentinel://:pw@b:26379/0?master_name=payments", concurrency=1)
    assert settings["broker_url"] == "sentinel://:pw@a:26379/0;sentinel://:pw@b:26379/0"
    assert settings["broker_transport"] == "momo_worker.transport:SentinelTransport"
    assert settings["broker_transport_options"]["master_name"] == "payments"
    assert celery_settings("sentinel://a:1/0", concurrency=1)["broker_transport_options"]["master_name"] == "mymaster"


def test_two_calls_share_no_options():
    one, two = celery_settings(URL, concurrency=1), celery_settings(URL, concurrency=1)
    one["broker_transport_options"]["visibility_timeout"] = 1
    assert two["broker_transport_options"]["visibility_timeout"] == 300
