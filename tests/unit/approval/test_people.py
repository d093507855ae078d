"""Who counts: chains of signatures from the first approver, roles, keys that stand twice, entries that were changed."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from momo_worker.approval.people import (
    Entry,
    PeopleError,
    Role,
    SignIn,
    entry_of,
    first_approver,
    sign_in_of,
    who_counts,
)
from momo_worker.approval.signing import new_key, public_text, sign

KEYS = {name: new_key() for name in ("boss", "cfo", "ada", "eve")}


def person(name: str, role: Role = Role.APPROVER, key: Ed25519PrivateKey | None = None) -> Entry:
    return Entry(name, role, public_text(key or KEYS[name]))


def signed(entry: Entry, by: str) -> SignIn:
    return SignIn(entry.name, by, sign(KEYS[by], entry.statement(by)))


BOSS, CFO, ADA, EVE = person("boss"), person("cfo"), person("ada", Role.MAKER), person("eve")


def test_a_chain_counts_in_whichever_order_it_stands() -> None:
    found = who_counts(BOSS, [EVE, CFO, ADA], [signed(EVE, "cfo"), signed(CFO, "boss"), signed(ADA, "cfo")])
    assert set(found.counted) == {"boss", "cfo", "ada", "eve"}
    assert found.not_counted == {}
    assert found.of("ada", Role.MAKER) == ADA
    assert found.of("ada", Role.APPROVER) is None


def test_without_a_first_approver_nobody_counts() -> None:
    found = who_counts(None, [CFO], [signed(CFO, "boss")])
    assert found.counted == {}
    assert "first approver" in found.not_counted["cfo"]


@pytest.mark.parametrize(
    ("entry", "sign_ins", "why"),
    [
        (CFO, [], "isn't signed in yet"),
        (CFO, [signed(CFO, "eve")], "signed in by eve, who doesn't count"),
        (replace(CFO, role=Role.MAKER), [signed(CFO, "boss")], "changed since"),
        (replace(CFO, key=public_text(KEYS["eve"])), [signed(CFO, "boss")], "changed since"),
        (replace(CFO, name="boss"), [signed(replace(CFO, name="boss"), "boss")], "another of this name"),
        (replace(CFO, key=BOSS.key), [signed(replace(CFO, key=BOSS.key), "boss")], "somebody else's key"),
        (CFO, [SignIn("cfo", "boss", "not base64")], "changed since"),
        (CFO, [signed(CFO, "cfo")], "signed in by cfo, who doesn't count"),
    ],
)
def test_what_no_signature_reaches_doesnt_count_and_says_why(entry: Entry, sign_ins: list[SignIn], why: str) -> None:
    found = who_counts(BOSS, [entry], sign_ins)
    assert set(found.counted) == {"boss"}
    assert why in found.not_counted[entry.name]


def test_a_maker_signs_nobody_in() -> None:
    found = who_counts(BOSS, [ADA, EVE], [signed(ADA, "boss"), signed(EVE, "ada")])
    assert set(found.counted) == {"boss", "ada"}
    assert "ada, who doesn't count as an approver" in found.not_counted["eve"]


def test_two_who_sign_each_other_in_dont_count() -> None:
    found = who_counts(BOSS, [CFO, EVE], [signed(CFO, "eve"), signed(EVE, "cfo")])
    assert set(found.counted) == {"boss"}


def test_a_later_signature_over_the_entry_counts_beside_a_broken_one() -> None:
    found = who_counts(BOSS, [CFO], [SignIn("cfo", "boss", "AAAA"), signed(CFO, "boss")])
    assert "cfo" in found.counted


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "cfo", "role": "approver"},
        {"name": "cfo", "role": "approver", "key": CFO.key, "more": "x"},
        {"name": 3, "role": "approver", "key": CFO.key},
        {"name": "CFO", "role": "approver", "key": CFO.key},
        {"name": "cfo", "role": "boss", "key": CFO.key},
        {"name": "cfo", "role": "approver", "key": "AAAA"},
    ],
)
def test_an_entry_that_isnt_one_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(PeopleError):
        entry_of(fields)


def test_entries_and_the_setting_are_read_as_they_are_written() -> None:
    assert entry_of({"name": "cfo", "role": "approver", "key": CFO.key}) == CFO
    assert first_approver(f"boss:{BOSS.key}") == BOSS
    assert sign_in_of({"name": "cfo", "by": "boss", "signature": "x"}) == SignIn("cfo", "boss", "x")
    for text in ("boss", "boss:", f":{BOSS.key}", f"Boss:{BOSS.key}", "boss:AAAA"):
        with pytest.raises(PeopleError):
            first_approver(text)


def test_one_key_in_another_writing_is_nobodys() -> None:
    """The last letter of 32 bytes in base64 has two bits that say nothing: four texts, one key."""
    key = public_text(new_key())
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(key[-2]) ^ 1]
    fields = {"name": "ada", "role": "maker", "key": f"{key[:-2]}{other}="}
    with pytest.raises(PeopleError, match="no public key"):
        entry_of(fields)
    with pytest.raises(PeopleError):
        first_approver(f"boss:{fields['key']}")
    assert entry_of({**fields, "key": key}).key == key
