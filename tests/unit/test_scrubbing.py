"""No secret and no whole number leaves by text, in whichever form it travels."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from momo_worker.scrubbing import HIDDEN, forget_secrets, register_basic, register_secret, scrub

JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSMjU2In0.eyJjbGllbnRJZCI6ImE3ZmIw.kr6E_Qx-T1s"


@pytest.fixture(autouse=True)
def nothing_registered() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Authorization: Bearer abc.def-ghi", f"Authorization: Bearer {HIDDEN}"),
        ("{'Authorization': 'Basic dXNlcjprZXk='}", f"{{'Authorization': 'Basic {HIDDEN}'}}"),
        ('{"Ocp-Apim-Subscription-Key": "0123456789"}', f'{{"Ocp-Apim-Subscription-Key": "{HIDDEN}"}}'),
        ("ocp-apim-subscription-key: 0123456789", f"ocp-apim-subscription-key: {HIDDEN}"),
        (f'{{"access_token":"{JWT}","expires_in":3600}}', f'{{"access_token":"{HIDDEN}","expires_in":3600}}'),
        (f"token {JWT} was refused", f"token {HIDDEN} was refused"),
        ('{"apiKey": "f1db798c98df4bcf83b538175893bbf0"}', f'{{"apiKey": "{HIDDEN}"}}'),
        (r'"body": "{\"apiKey\": \"f1db798c98df\"}"', rf'"body": "{{\"apiKey\": \"{HIDDEN}\"}}"'),
        ("redis://me:topsecret@cache:6379/0", f"redis://me:{HIDDEN}@cache:6379/0"),
        ("redis://:topsecret@cache", f"redis://:{HIDDEN}@cache"),
        ("GET /v1_0/accountholder/MSISDN/256772123456/active", "GET /v1_0/accountholder/MSISDN/256…56/active"),
        ('{"partyIdType": "MSISDN", "partyId": "256772123456"}', '{"partyIdType": "MSISDN", "partyId": "256…56"}'),
        ("Payment(msisdn='+256772123456', amount=150000)", "Payment(msisdn='+25…56', amount=150000)"),
        (
            "[SQL: INSERT]\n[parameters: ('256772123456', '[1]', 3)]\n(Background on",
            f"[SQL: INSERT]\n[parameters: {HIDDEN}]\n(Background on",
        ),
        (
            "DETAIL:  Key (account, msisdn)=(default, 256772123456) already exists.",
            f"DETAIL:  Key (account, msisdn)=({HIDDEN}) already exists.",
        ),
        (
            "DETAIL:  Failing row contains (p1, 256772123456, Aisha (A)).",
            f"DETAIL:  Failing row contains ({HIDDEN}).",
        ),
    ],
)
def test_credentials_and_numbers_are_known_by_their_form(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed
    assert scrub(scrubbed) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "amount 150000 at 1795500000000 to reference 6f1f7c1e-5a0b-4f0f-9a43-0c8f0e6f2d11",
        "financial_transaction_id=23503452000",
        "api_key=None",
        "redis://127.0.0.1:6388/0",
        "write redis://user:password@host:6379/0",
        "a basic rule of the bearer",
        "https://proxy.momoapi.mtn.com/collection/v1_0/requesttopay",
    ],
)
def test_what_helps_at_3_am_stays(text: str) -> None:
    assert scrub(text) == text


@settings(deadline=None)
@given(secret=st.text(min_size=6, max_size=40), around=st.text(max_size=20))
@example(secret='quo"te\\d', around="")
@example(secret="ab\ncdef", around="é")
def test_a_registered_secret_leaves_in_no_form(secret: str, around: str) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    forget_secrets()
    register_secret(secret)
    forms = (secret, repr(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe=""))
    for form in forms:
        assert HIDDEN in scrub(f"{around}{form}{around}")


def test_the_longer_of_two_secrets_leaves_no_rest() -> None:
    register_secret("abcdef")
    register_secret("abcdefghij")
    assert scrub("<abcdefghij> <abcdef>") == f"<{HIDDEN}> <{HIDDEN}>"


def test_user_and_key_are_hidden_as_http_joins_them() -> None:
    register_basic("user", "key")
    assert scrub("header dXNlcjprZXk= sent") == f"header {HIDDEN} sent"


def test_what_is_too_short_to_be_a_secret_does_not_shred_the_text() -> None:
    register_secret("momo")
    register_secret(None)
    assert scrub("momo-intake") == "momo-intake"


@settings(deadline=None)
@given(
    st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
)
@example({"a": "Authorization: Basic abcdefgh\\"})
@example({"access_token": 'x"y'})
@example({"a": "[parameters: x]\n", "b": "Key (a)=(b"})
@example({"a": "Failing row contains (x", "b": "y)."})
@example({"a": "redis://u:p\\", "b": "x@y"})
def test_a_json_line_stays_json(value: object) -> None:
    json.loads(scrub(json.dumps(value, ensure_ascii=False)))
