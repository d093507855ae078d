"""Keys under a passphrase, signatures over texts: what opens, what verifies, and nothing else."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momo_worker.approval.signing import SealError, is_public_key, is_signed, new_key, public_text, seal, sign, unseal

PASSPHRASE = "correct horse battery"
KEY = new_key()
SEALED = seal(KEY, PASSPHRASE, "ada")


def test_a_key_opens_with_its_passphrase_and_under_its_name_only() -> None:
    assert public_text(unseal(SEALED, PASSPHRASE, "ada")) == public_text(KEY)
    for said, name in ((PASSPHRASE + "x", "ada"), (PASSPHRASE, "eve")):
        with pytest.raises(SealError, match="doesn't open"):
            unseal(SEALED, said, name)


def test_the_file_shows_nothing_of_the_private_half() -> None:
    raw = KEY.private_bytes_raw()
    assert base64.b64encode(raw).decode() not in SEALED
    assert raw.hex() not in SEALED
    assert PASSPHRASE not in SEALED


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", json.dumps({"salt": "x", "nonce": "y", "sealed": "z"})])
def test_a_file_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(SealError, match="is not a key"):
        unseal(text, PASSPHRASE, "ada")


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(SealError, match="at least 10"):
        seal(KEY, "short", "ada")


@settings(max_examples=50)
@given(st.text(), st.text())
def test_a_signature_is_over_exactly_one_text(said: str, other: str) -> None:
    try:
        signature = sign(KEY, said)
    except UnicodeEncodeError:
        return
    assert is_signed(public_text(KEY), said, signature)
    if other != said:
        other = other.encode("utf-8", "replace").decode()
        assert not is_signed(public_text(KEY), other, signature) or other == said
    assert not is_signed(public_text(new_key()), said, signature)


@pytest.mark.parametrize("public", ["", "AAAA", "ü", "=" * 44])
def test_what_is_no_key_signs_nothing(public: str) -> None:
    assert not is_public_key(public)
    assert not is_signed(public, "text", sign(KEY, "text"))


@pytest.mark.parametrize("signature", ["", "AAAA", "ü", base64.b64encode(bytes(64)).decode()])
def test_what_is_no_signature_proves_nothing(signature: str) -> None:
    assert not is_signed(public_text(KEY), "text", signature)
