"""check_work_message: what Celery itself publishes passes, whatever would confuse it is named."""

import base64
import json

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.celery_settings import BULK, celery_settings
from momo_worker.work_message import BrokenMessageError, check_work_message


def a_message(**changes) -> dict:
    return {
        "body": base64.b64encode(json.dumps([[["id-1"]], {}, {"callbacks": None}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "momo.submit", "id": "an-id"},
        "properties": {
            "delivery_tag": "a-tag",
            "delivery_info": {"exchange": "", "routing_key": BULK},
            "body_encoding": "base64",
        },
        **changes,
    }


def check(message: object) -> None:
    check_work_message(json.dumps(message).encode(), BULK)


def test_the_message_that_celery_itself_publishes_passes():
    # Over kombu's in-memory transport, which wraps messages in the same virtual envelope as the Redis one.
    settings = {
        **celery_settings("memory://", concurrency=1),
        "broker_transport": "memory",
        "broker_transport_options": {},
    }
    with Celery("sender", set_as_current=False) as app:
        app.conf.update(settings)
        app.send_task("momo.submit", args=[["id-1", "id-2"]], queue=BULK, expires=3600)
        with app.connection() as connection:
            raw = connection.default_channel._get(BULK)
    check_work_message(json.dumps(raw).encode(), BULK)


def test_the_delivery_tag_is_given():
    assert check_work_message(json.dumps(a_message()).encode(), BULK) == "a-tag"


def test_a_body_as_plain_text_passes():
    properties = {"delivery_tag": "a-tag", "delivery_info": {"exchange": "", "routing_key": BULK}}
    check(a_message(body='[["id-1"], {}, null]', properties=properties))


def test_a_message_put_back_by_a_sweep_passes():
    message = a_message()
    message["headers"]["redelivered"] = True
    message["properties"]["delivery_info"]["redelivered"] = True
    check(message)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"headers": {"task": "t"}}, "headers.id is missing"),
        ({"headers": {"id": "i"}}, "headers.task is missing"),
        ({"headers": {"id": "", "task": "t"}}, "headers.id is missing"),
        ({"headers": {"id": 5, "task": "t"}}, "headers.id is missing"),
        ({"headers": {"id": "i" * 256, "task": "t"}}, "headers.id is missing"),
        ({"headers": None}, "headers is missing"),
        ({"headers": {"id": "i", "task": "t", "eta": "2026-11-24T00:00:00"}}, "headers.eta is set"),
        ({"headers": {"id": "i", "task": "t", "expires": "soon"}}, "headers.expires is not a time"),
        ({"headers": {"id": "i", "task": "t", "expires": 5}}, "headers.expires is not a time"),
        ({"headers": {"id": "i", "task": "t", "timelimit": 5}}, "headers.timelimit is not a pair"),
        ({"headers": {"id": "i", "task": "t", "compression": "zlib"}}, "headers.compression is set"),
        ({"properties": None}, "properties is missing"),
        ({"properties": {"delivery_info": {}}}, "delivery_tag is missing"),
        ({"properties": {"delivery_tag": "t"}}, "delivery_info is missing"),
        ({"content-type": "application/x-python-serialize"}, "content-type"),
        ({"content-encoding": "binary"}, "content-encoding"),
        ({"body": "%%%"}, "body is not base64"),
        ({"body": None}, "body is not text"),
        ({"body": base64.b64encode(b"{").decode()}, "body is not JSON"),
        (
            {"body": base64.b64encode(b'[[{"__type__": "uuid", "__value__": 5}], {}, null]').decode()},
            "body is not JSON",
        ),
        ({"headers": {"__type__": "nobody's", "__value__": 1}}, "the entry is not JSON"),
        ({"body": base64.b64encode(b"[[], {}]").decode()}, r"body is not \[args, kwargs, embed\]"),
        ({"body": base64.b64encode(b"[{}, [], null]").decode()}, "args or kwargs"),
        ({"body": base64.b64encode(b'[[], {}, {"callbacks": [{"task": "x"}]}]').decode()}, "callbacks"),
    ],
)
def test_what_would_confuse_celery_is_named(changes, fault):
    with pytest.raises(BrokenMessageError, match=fault):
        check(a_message(**changes))


@pytest.mark.parametrize(
    "route", [{"exchange": "other", "routing_key": BULK}, {"exchange": "", "routing_key": "other"}]
)
def test_a_message_that_would_not_find_its_way_back_is_refused(route):
    with pytest.raises(BrokenMessageError, match="doesn't lead to this queue"):
        check(a_message(properties={"delivery_tag": "t", "delivery_info": route, "body_encoding": "base64"}))


def test_the_fault_never_quotes_the_entry():
    with pytest.raises(BrokenMessageError) as caught:
        check_work_message(b'{"properties": {"delivery_tag": 256772123456}}', BULK)
    assert "256772123456" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_json_value_gives_another_exception(value):
    for name in a_message():
        with pytest.raises(BrokenMessageError):
            check({**a_message(), name: {"unlike": value}})


@given(st.binary())
def test_no_bytes_give_another_exception(raw):
    with pytest.raises(BrokenMessageError):
        check_work_message(raw, BULK)
