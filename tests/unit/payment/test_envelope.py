"""Celery messages as data: what Celery itself writes is read as the job it carries; everything else is a rejection, and nothing else happens."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.payment.envelope import ENVELOPE_MAX_BYTES, OPERATIONS, fields_of_envelope, task_id_of
from momo_worker.payment.job import JobError, Terms, account_of, check_job
from momo_worker.payment.money import Currency

UGANDA = Terms(Currency("UGX", 0), "UG")
QUEUE = "momo-intake"
JOB: dict[str, Any] = {
    "idempotency_key": "salary-2026-11-0042",
    "amount": "150000",
    "currency": "UGX",
    "msisdn": "256772123456",
    "payer_message": "N'Guessan \u00e9\u0645",
    "metadata": {"rate": 0.1},
}
ETA = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)


def celery_writes(protocol: int, name: str = "momo.disburse", **options: Any) -> bytes:
    """The bytes that a producer's Celery puts on the list: its own producer over kombu's virtual transport, read before any worker."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_protocol = protocol
    options.setdefault("kwargs", JOB)
    with app.connection_for_write() as connection:
        with app.amqp.Producer(connection) as producer:
            app.send_task(name, queue=QUEUE, producer=producer, **options)
        message = connection.default_channel._get(QUEUE)
    return json.dumps(message).encode()


@pytest.fixture(params=[1, 2], ids=["protocol 1", "protocol 2"])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_celery_writes_is_the_job_of_its_task(protocol: int, name: str) -> None:
    fields = fields_of_envelope(celery_writes(protocol, name))
    assert {key: value for key, value in fields.items() if key != "metadata"} == {
        "operation": OPERATIONS[name],
        **{key: value for key, value in JOB.items() if key != "metadata"},
    }


def test_a_job_by_celery_is_the_same_job_as_by_stream(protocol: int) -> None:
    fields = fields_of_envelope(celery_writes(protocol))
    job = check_job(fields, UGANDA)
    assert account_of(fields) == "default"
    assert job.canonical() == check_job({"operation": "disburse", **JOB, "metadata": None}, UGANDA).canonical()
    assert job.metadata == '{"rate":0.1}'


def test_eta_and_expires_become_not_before_and_not_after(protocol: int) -> None:
    payload = celery_writes(protocol, eta=ETA, expires=ETA + timedelta(hours=1))
    job = check_job(fields_of_envelope(payload), UGANDA)
    assert job.not_before_ms == 1_796_104_800_000
    assert job.not_after_ms == 1_796_104_800_000 + 3_600_000


@pytest.mark.parametrize("expires", [600, 600.5])
def test_a_countdown_and_seconds_to_live_become_times(protocol: int, expires: float) -> None:
    before_ms = datetime.now(UTC).timestamp() * 1000
    job = check_job(fields_of_envelope(celery_writes(protocol, countdown=60, expires=expires)), UGANDA)
    after_ms = datetime.now(UTC).timestamp() * 1000
    assert job.not_before_ms is not None
    assert job.not_after_ms is not None
    assert before_ms + 60_000 - 1 <= job.not_before_ms <= after_ms + 60_000
    assert before_ms + expires * 1000 - 1 <= job.not_after_ms <= after_ms + expires * 1000


def test_a_time_in_another_zone_is_the_same_time(protocol: int) -> None:
    east = ETA.astimezone(datetime.strptime("+0300", "%z").tzinfo)
    job = check_job(fields_of_envelope(celery_writes(protocol, eta=east)), UGANDA)
    assert job.not_before_ms == 1_796_104_800_000


def test_a_time_in_the_job_comes_before_the_messages(protocol: int) -> None:
    own = "2026-12-02T06:00:00Z"
    fields = fields_of_envelope(celery_writes(protocol, kwargs=JOB | {"not_before": own}, eta=ETA))
    assert fields["not_before"] == own


def test_a_time_that_the_job_leaves_empty_is_the_messages(protocol: int) -> None:
    fields = fields_of_envelope(celery_writes(protocol, kwargs=JOB | {"not_before": None}, eta=ETA))
    assert fields["not_before"] == "2026-12-01T06:00:00+00:00"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"args": ["salary-2026-11-0042"]}, "args"),
        ({"name": "momo.work"}, "task"),
        ({"name": "collect"}, "task"),
        ({"name": "momo.Collect"}, "task"),
        ({"kwargs": JOB | {"operation": "collect"}}, "operation"),
    ],
)
def test_what_isnt_a_keyword_call_of_a_known_task_is_refused(protocol: int, options: dict, field: str) -> None:
    assert refusal_of(celery_writes(protocol, **options)) == {field}


def test_priority_and_headers_of_the_producers_own_change_nothing(protocol: int) -> None:
    payload = celery_writes(protocol, priority=6, headers={"sent_at": "x"}, shadow="shop", time_limit=5)
    assert fields_of_envelope(payload)["idempotency_key"] == JOB["idempotency_key"]


def test_a_compressed_or_pickled_message_is_refused_and_never_opened(protocol: int) -> None:
    refusal_of(celery_writes(protocol, compression="gzip"))
    assert refusal_of(celery_writes(protocol, serializer="pickle")) == {"content-type"}


# --- By hand, as other languages write them, and worse (celery.md 4.2) ---


def refusal_of(payload: bytes) -> set[str]:
    with pytest.raises(JobError) as refusal:
        fields_of_envelope(payload)
    for problem in refusal.value.problems:
        assert problem.reason
        assert problem.advice
        json.dumps(problem.as_dict(), ensure_ascii=False).encode("utf-8")
    return {problem.field for problem in refusal.value.problems}


def by_hand(body: object = ..., **changes: Any) -> dict[str, Any]:
    call = [[], JOB, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}] if body is ... else body
    message: dict[str, Any] = {
        "body": base64.b64encode(json.dumps(call).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "momo.disburse", "id": "5f3c"},
        "properties": {
            "delivery_tag": "7a",
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "body_encoding": "base64",
        },
    }
    return {name: value for name, value in (message | changes).items() if value is not ...}


def encoded(message: object) -> bytes:
    return json.dumps(message).encode()


def test_a_body_in_plain_json_is_read_like_one_in_base64() -> None:
    plain = by_hand(body=..., properties={})
    plain["body"] = json.dumps([[], JOB, {}])
    ours = fields_of_envelope(encoded(plain))
    assert ours == fields_of_envelope(encoded(by_hand()))


@pytest.mark.parametrize(
    "lacking",
    [
        {"headers": {"task": "momo.disburse"}},  # no id
        {"properties": {"body_encoding": "base64"}},  # no delivery tag, no delivery info
        {"content-encoding": ...},
        {"content-type": ...},
    ],
    ids=str,
)
def test_what_would_stop_or_lose_a_celery_worker_is_a_job_where_the_job_is_whole(lacking: dict[str, Any]) -> None:
    assert fields_of_envelope(encoded(by_hand(**lacking)))["operation"] == "disburse"


def test_a_body_without_the_third_element_is_a_job() -> None:
    assert fields_of_envelope(encoded(by_hand(body=[[], JOB])))["amount"] == "150000"


def plain(body: str) -> bytes:
    return encoded(by_hand(properties={}) | {"body": body})


POISON: dict[str, Callable[[], bytes]] = {
    "not JSON": lambda: b"not json",
    "nothing": lambda: b"",
    "not UTF-8": lambda: b"\xff\xfe",
    "a JSON list": lambda: b"[1, 2]",
    "null": lambda: b"null",
    "no body": lambda: encoded(by_hand() | {"body": None}),
    "a body that is a list": lambda: encoded(by_hand() | {"body": [[], JOB, {}]}),
    "bad base64": lambda: encoded(by_hand() | {"body": "%%%"}),
    "base64 with letters of elsewhere": lambda: encoded(by_hand() | {"body": "\u00e9\u00e9\u00e9\u00e9"}),
    "base64 of no JSON": lambda: encoded(by_hand() | {"body": base64.b64encode(b"{").decode()}),
    "base64 of no UTF-8": lambda: encoded(by_hand() | {"body": base64.b64encode(b"\xff\xfe").decode()}),
    "no properties": lambda: encoded(by_hand(properties=...)),
    "properties that are a list": lambda: encoded(by_hand(properties=[])),
    "an empty body": lambda: plain(""),
    "half a character in the body": lambda: plain("\ud800"),
    "a body that closes our reader's own bracket": lambda: plain('[[], {"amount": "1"}, {}], "headers": 1'),
    "a body of two values": lambda: plain("[] []"),
    "only arguments": lambda: encoded(by_hand(body=[[]])),
    "an empty list": lambda: encoded(by_hand(body=[])),
    "kwargs that are a list": lambda: encoded(by_hand(body=[[], [], {}])),
    "kwargs that are null": lambda: encoded(by_hand(body=[[], None, {}])),
    "args that are a number": lambda: encoded(by_hand(body=[0, JOB, {}])),
    "args that are false": lambda: encoded(by_hand(body=[False, JOB, {}])),
    "no task": lambda: encoded(by_hand(headers={"id": "5f3c"})),
    "a task that is a list": lambda: encoded(by_hand(headers={"task": ["momo.disburse"], "id": "5f3c"})),
    "a task that is null": lambda: encoded(by_hand(headers={"task": None, "id": "5f3c"})),
    "an unknown task": lambda: encoded(by_hand(headers={"task": "momo.steal", "id": "5f3c"})),
    "pickle": lambda: encoded(by_hand() | {"content-type": "application/x-python-serialize"}),
    "YAML": lambda: encoded(by_hand() | {"content-type": "application/x-yaml"}),
    "a content type that is a list": lambda: encoded(by_hand() | {"content-type": ["application/json"]}),
    "an eta that is no time": lambda: encoded(by_hand(headers={"task": "momo.disburse", "eta": "soon"})),
    "an eta that is a list": lambda: encoded(by_hand(headers={"task": "momo.disburse", "eta": [1]})),
    "an expires that is true": lambda: encoded(by_hand(headers={"task": "momo.disburse", "expires": True})),
    "an expires beyond all years": lambda: encoded(by_hand(headers={"task": "momo.disburse", "expires": 10**300})),
    "an expires with a fraction": lambda: encoded(by_hand(headers={"task": "momo.disburse", "expires": 1.5e9})),
    "deep nesting": lambda: plain("[" * 9_000 + "]" * 9_000),
    "deep nesting within what is read": lambda: plain("[[],{" + '"a":' + "[" * 500 + "]" * 500 + "},{}]"),
    "headers named twice": lambda: b'{"headers":{},"headers":{}}',
    "too much": lambda: encoded(by_hand() | {"x": "y" * ENVELOPE_MAX_BYTES}),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_a_broken_message_is_a_rejection_and_nothing_else(poison: Callable[[], bytes]) -> None:
    assert refusal_of(poison())
    assert task_id_of(poison()) in {None, "5f3c"}


def test_a_body_that_is_no_json_is_not_called_bad_base64() -> None:
    with pytest.raises(JobError, match="not JSON"):
        fields_of_envelope(POISON["base64 of no JSON"]())


def test_expires_in_seconds_since_the_epoch_is_a_time() -> None:
    message = by_hand(headers={"task": "momo.disburse", "expires": 1_796_104_800})
    assert fields_of_envelope(encoded(message))["not_after"] == "2026-12-01T06:00:00+00:00"


def test_a_time_without_a_zone_is_utc_as_celery_writes_it() -> None:
    message = by_hand(headers={"task": "momo.disburse", "eta": "2026-12-01T06:00:00"})
    assert fields_of_envelope(encoded(message))["not_before"] == "2026-12-01T06:00:00+00:00"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["body", "headers", "properties", "content-type", "content-encoding"]), VALUES, max_size=5
    )
)
def test_any_change_to_a_message_leaves_fields_or_a_refusal(changes: dict[str, Any]) -> None:
    payload = encoded(by_hand() | changes)
    try:
        assert fields_of_envelope(payload)["operation"] in OPERATIONS.values()
    except JobError:
        refusal_of(payload)


@given(VALUES)
def test_any_body_is_fields_or_a_refusal(body: object) -> None:
    payload = encoded(by_hand(body=body))
    try:
        fields_of_envelope(payload)
    except JobError:
        refusal_of(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(payload: bytes) -> None:
    refusal_of(payload)
    assert task_id_of(payload) is None


def test_the_tasks_id_is_told_where_there_is_one() -> None:
    assert task_id_of(encoded(by_hand())) == "5f3c"
    assert task_id_of(encoded(by_hand(headers={"id": 5}))) is None
