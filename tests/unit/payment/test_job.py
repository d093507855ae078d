"""Jobs (6.1): any bytes become a checked job or a refusal with every problem, never anything else; equal jobs are one job."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from momo_worker.payment.job import FIELDS, Job, JobError, Problem, Terms, account_of, check_job, parse_fields
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Lane, Operation

UGANDA = Terms(Currency("UGX", 0), "UG")
GHANA = Terms(Currency("GHS", 2), "GH")

PLAIN: dict[str, Any] = {
    "operation": "disburse",
    "idempotency_key": "salary-2026-11-0042",
    "amount": "150000",
    "currency": "UGX",
    "msisdn": "256772123456",
}


def read(payload: bytes, terms: Terms = UGANDA) -> Job:
    fields = parse_fields(payload)
    account_of(fields)
    return check_job(fields, terms)


def written(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in (PLAIN | changes).items() if value is not ...}).encode()


def job_of(**changes: Any) -> Job:
    return read(written(**changes))


def problems_of(payload: bytes) -> dict[str, Problem]:
    with pytest.raises(JobError) as refusal:
        read(payload)
    assert refusal.value.problems
    for problem in refusal.value.problems:
        assert problem.reason
        assert problem.advice
        assert len(problem.value) <= 80
        # A rejection is an event: it must be writable, and safe to print.
        assert problem.field.isprintable()
        assert problem.value.isprintable()
        json.dumps(problem.as_dict(), ensure_ascii=False).encode("utf-8")
    return {problem.field: problem for problem in refusal.value.problems}


def read_or_refused(payload: bytes) -> Job | None:
    try:
        return read(payload)
    except JobError:
        problems_of(payload)
        return None


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff\xfe{}")
@example(b"\xef\xbb\xbf{}")
@example(b"null")
@example(b"[]")
@example(b'"text"')
def test_any_bytes_are_a_job_or_a_refusal(payload: bytes) -> None:
    assert read_or_refused(payload) is None


@given(JSON_VALUES)
def test_any_json_is_a_job_or_a_refusal(value: object) -> None:
    assert read_or_refused(json.dumps(value).encode()) is None


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), JSON_VALUES, max_size=6))
def test_any_change_to_a_job_leaves_a_job_or_a_refusal(changes: dict[str, Any]) -> None:
    job = read_or_refused(written(**changes))
    if job is not None:
        assert type(job.amount_minor) is int
        assert set(changes) <= set(FIELDS)


def test_the_example_of_the_contract_is_a_job() -> None:
    job = job_of(
        external_id="EMP-0042",
        payer_message="Salary November",
        payee_note="Salary November",
        account="default",
        metadata={"employee": "0042"},
    )
    assert (job.operation, job.account, job.lane) == (Operation.DISBURSE, "default", Lane.INTERACTIVE)
    assert (job.amount_minor, job.msisdn, job.external_id) == (150_000, "256772123456", "EMP-0042")
    assert job.metadata is not None
    assert json.loads(job.metadata) == {"employee": "0042"}


@pytest.mark.parametrize("name", ["operation", "idempotency_key", "amount", "currency", "msisdn"])
@pytest.mark.parametrize("absent", [..., None])
def test_what_is_required_is_missed_by_name(name: str, absent: object) -> None:
    assert set(problems_of(written(**{name: absent}))) == {name}


def test_all_problems_are_told_at_once() -> None:
    problems = problems_of(written(amount="-5", currency="KES", msisdn="0772", lane="fast", colour="red"))
    assert set(problems) == {"amount", "currency", "msisdn", "lane", "colour"}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"operation":"disburse","operation":"collect"}',
        b'{"amount":"1","amount":"1"}',
        b'{"metadata":{"a":1,"a":2}}',
    ],
)
def test_a_field_that_is_named_twice_refuses_the_job(payload: bytes) -> None:
    assert "twice" in problems_of(payload)["job"].reason


@pytest.mark.parametrize("depth", [33, 100, 400, 900, 990, 4_000, 7_000])
@pytest.mark.parametrize(("opens", "shuts"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused_wherever_it_is(depth: int, opens: str, shuts: str) -> None:
    core = opens * depth + "1" + shuts * depth
    for payload in (f'{{"metadata":{core}}}', f'{{"amount":{core}}}', f'{{"metadata":{{"x":{core}}}}}', core):
        assert read_or_refused(payload.encode()) is None


def test_metadata_of_sensible_depth_is_taken() -> None:
    value: Any = "leaf"
    for _ in range(30):
        value = {"a": value}
    assert json.loads(job_of(metadata=value).metadata or "") == value


def test_a_megabyte_is_refused_before_it_is_read() -> None:
    assert "16384 bytes" in problems_of(written(metadata={"x": "y" * 1_000_000}))["job"].reason


def test_sixteen_kibibytes_are_the_limit_to_the_byte() -> None:
    payload = written(metadata={"x": "y"})
    assert read(payload + b" " * (16 * 1024 - len(payload)))
    problems_of(payload + b" " * (16 * 1024 - len(payload) + 1))


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_json_does_not_know_is_refused(constant: bytes) -> None:
    assert "job" in problems_of(b'{"amount":' + constant + b"}")
    assert "job" in problems_of(b'{"metadata":{"x":' + constant + b"}}")


@pytest.mark.parametrize("amount", [150_000, "150000", "150000.00", "000150000"])
def test_an_amount_is_taken_as_text_or_as_a_whole_number(amount: object) -> None:
    assert job_of(amount=amount).amount_minor == 150_000


@pytest.mark.parametrize(
    "amount", [b"150000.0", b"1.5e5", b"150000.5", b"1e400", b"0.1", b"1E0", b"-0.0", b"1" + b"0" * 400 + b".5"]
)
def test_a_json_fraction_is_no_amount_whatever_its_value(amount: bytes) -> None:
    assert set(problems_of(written().replace(b'"150000"', amount))) == {"amount"}


@pytest.mark.parametrize("amount", [True, False, -1, 0, 10**12, 10**400, [], {}, "", "1e5", "ten", "1,000", "\u0661"])
def test_what_is_no_amount_is_refused(amount: object) -> None:
    assert set(problems_of(written(amount=amount))) == {"amount"}


def test_an_integer_of_thousands_of_digits_is_refused() -> None:
    found = problems_of(written().replace(b'"150000"', b"9" * 5_000))
    assert found["job"].reason == "is not JSON: it holds a number of 5000 digits"


def test_a_byte_order_mark_is_named() -> None:
    found = problems_of(b"\xef\xbb\xbf" + written())
    assert "without one" in found["job"].advice


NASTY = [
    "\x00",
    "a\x00b",
    "\ud800",
    "a\udfff",
    "\u202eabc",
    "\u200b",
    "\u00e9",
    "e\u0301",
    " ",
    "",
    "a b",
    "k\n",
    "\U0001f600",
]


@pytest.mark.parametrize("text", [*NASTY, "k" * 129])
@pytest.mark.parametrize("name", ["idempotency_key", "replaces"])
def test_a_key_has_plain_characters_only(name: str, text: str) -> None:
    assert set(problems_of(written(**{name: text}))) == {name}


@pytest.mark.parametrize("key", ["k", "k" * 128, "az.AZ_09:/@+=-", "-", "Order-1"])
def test_a_key_is_kept_to_the_letter(key: str) -> None:
    assert job_of(idempotency_key=key).idempotency_key == key


@pytest.mark.parametrize("text", NASTY)
def test_the_name_of_an_unknown_field_can_be_told(text: str) -> None:
    assert len(problems_of(written(**{text + "zz": text}))) == 1


@pytest.mark.parametrize("name", ["payer_message", "payee_note"])
def test_a_note_may_hold_any_character_that_is_one(name: str) -> None:
    for text in ("\U0001f600 \u202e\u0645\u0631\u062d\u0628\u0627", "N'Guessan", "x" * 160):
        assert getattr(job_of(**{name: text}), name) == text
    for text in ("a\x00", "\ud800", "x" * 161):
        assert set(problems_of(written(**{name: text}))) == {name}


@pytest.mark.parametrize("value", [5, 1.5, True, [], {}, ["UGX"]])
@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"amount", "metadata", "refund_of"}))
def test_a_field_of_text_is_text(name: str, value: object) -> None:
    assert set(problems_of(written(**{name: value}))) == {name}


def test_metadata_is_kept_digit_for_digit_and_has_four_kibibytes() -> None:
    payload = written(metadata="@").replace(
        b'"@"', b'{"a":0.10,"b":1e400,"c":12345678901234567890.5,"d":[1,null,true]}'
    )
    assert read(payload).metadata == '{"a":0.10,"b":1e400,"c":12345678901234567890.5,"d":[1,null,true]}'
    assert job_of(metadata={"x": "y" * (4 * 1024 - 8)}).metadata
    assert set(problems_of(written(metadata={"x": "y" * (4 * 1024 - 7)}))) == {"metadata"}
    assert set(problems_of(written(metadata=["x"]))) == {"metadata"}


def test_a_refund_names_a_collection_and_no_number() -> None:
    assert job_of(operation="refund", msisdn=..., refund_of="order-7").refund_of == "order-7"
    assert set(problems_of(written(operation="refund", msisdn=...))) == {"refund_of"}
    assert set(problems_of(written(operation="refund", refund_of="order-7"))) == {"msisdn"}
    assert set(problems_of(written(refund_of="order-7"))) == {"refund_of"}


@pytest.mark.parametrize(
    "text",
    ["2026-12-01", "2026-12-01T06:00:00", "tomorrow", "1796104800", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z", ""],
)
def test_a_time_without_a_zone_is_no_time(text: str) -> None:
    assert set(problems_of(written(not_before=text))) == {"not_before"}


def test_times_are_taken_in_any_zone() -> None:
    job = job_of(not_before="2026-12-01T09:00:00+03:00", not_after="2026-12-01T06:00:00.001Z")
    assert (job.not_before_ms, job.not_after_ms) == (1_796_104_800_000, 1_796_104_800_001)
    assert set(problems_of(written(not_before="2026-12-01T06:00:00Z", not_after="2026-12-01T09:00:00+03:00"))) == {
        "not_after"
    }


@pytest.mark.parametrize("name", ["", "Default", "a b", "-a", "a" * 33, "\u00e9", "a/b", "a\n"])
def test_an_account_has_a_plain_name(name: str) -> None:
    assert set(problems_of(written(account=name))) == {"account"}
    with pytest.raises(JobError):
        check_job(PLAIN | {"account": name}, UGANDA)


# --- Same key, same body (M10) ---


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 150_000},
        {"amount": "150000.00"},
        {"amount": "0150000"},
        {"msisdn": "+256772123456"},
        {"account": "default"},
        {"account": None},
        {"lane": "interactive"},
        {"lane": None},
        {"metadata": {"attempt": 2}},
        {"payer_message": None},
        {"payer_message": ""},
        {"payee_note": ""},
        {"external_id": None},
        {"not_before": None},
    ],
)
def test_a_job_written_otherwise_is_the_same_job(changes: dict[str, Any]) -> None:
    assert job_of(**changes).canonical() == job_of().canonical()


def test_a_time_in_another_zone_is_the_same_job() -> None:
    ours = job_of(not_after="2026-12-01T06:00:00Z").canonical()
    assert ours == job_of(not_after="2026-12-01T09:00:00+03:00").canonical()


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "150001"},
        {"msisdn": "256772123457"},
        {"operation": "deposit"},
        {"operation": "collect"},
        {"account": "other"},
        {"lane": "bulk"},
        {"external_id": "EMP-0042"},
        {"payer_message": "x"},
        {"payee_note": "x"},
        {"not_before": "2026-12-01T06:00:00Z"},
        {"not_after": "2026-12-01T06:00:00Z"},
        {"replaces": "order-6"},
    ],
)
def test_a_job_that_asks_for_something_else_is_another_job(changes: dict[str, Any]) -> None:
    assert job_of(**changes).canonical() != job_of().canonical()


def test_one_note_is_not_the_other() -> None:
    assert job_of(payer_message="x").canonical() != job_of(payee_note="x").canonical()


def test_the_normal_form_never_changes() -> None:
    # A digest of it stands beside every payment for ever: another form would make every repeated job a reused key.
    assert job_of(external_id="EMP-0042", payee_note="\u00e9").canonical() == (
        '["disburse","default",150000,"UGX","256772123456",null,"EMP-0042",null,"\\u00e9","interactive",null,null,null]'
    )


def test_decimals_are_compared_in_minor_units() -> None:
    plain = PLAIN | {"currency": "GHS", "msisdn": "233241234567"}
    forms = {check_job(plain | {"amount": amount}, GHANA).canonical() for amount in ("12.5", "12.50", "12.500")}
    assert len(forms) == 1
