"""Whom nobody asks, and who is asked one thing at a time: `momo opt-out` and `momo payment show` as somebody types them."""

from collections.abc import Iterator

import pytest
import requests
from tests.support.command_line import Town
from tests.support.waiting import eventually

PAYER = "256772123777"
MASKED = "256…77"
QUEUING = "256772123778"


@pytest.fixture
def slow_payer(town: Town) -> Iterator[None]:
    """A payer who takes twelve seconds to find the PIN."""
    body = {"fault": "late_success", "seconds": 12, "msisdn": QUEUING}
    requests.post(f"{town.simulator}/_simulator/faults", json=body, timeout=10).raise_for_status()
    yield
    requests.delete(f"{town.simulator}/_simulator/faults", timeout=10).raise_for_status()


def collect(town: Town, key: str, number: str, *more: str) -> list[str]:
    return ["collect", "--key", key, "--amount", "5", "--currency", "EUR", "--msisdn", number, *more]


def test_who_has_opted_out_is_asked_by_nobody_until_it_is_taken_back(town: Town) -> None:
    nameless = town.momo("opt-out", "add", PAYER)
    no_number = town.momo("opt-out", "add", "0772", "--reason", "x")
    misspelt = town.momo("opt-out", "add", PAYER, "--account", "defualt", "--reason", "x")
    added = town.momo("opt-out", "add", f"+{PAYER}", "--reason", "asked by phone", "--by", "amina", "--json")
    again = town.momo("opt-out", "add", PAYER, "--reason", "once more")
    refused = town.momo(*collect(town, "optout-1", PAYER, "--json"))
    paid_out = town.momo("disburse", *collect(town, "optout-2", PAYER)[1:], "--json")
    listed = town.momo("opt-out", "list")
    whole = town.momo("opt-out", "list", "--full", "--json")
    other_scope = town.momo("opt-out", "remove", PAYER, "--account", "default", "--reason", "x")
    removed = town.momo("opt-out", "remove", PAYER, "--reason", "signed again")
    taken = town.momo(*collect(town, "optout-1", PAYER, "--json"))
    nobody = town.momo("opt-out", "list")

    assert (nameless.code, no_number.code, misspelt.code) == (2, 2, 2)
    assert all("nothing was changed" in one.err for one in (nameless, no_number, misspelt))
    assert added.code == 0
    assert {name: added.json[name] for name in ("msisdn", "account", "by", "reason")} == {
        "msisdn": PAYER,
        "account": None,
        "by": "amina",
        "reason": "asked by phone",
    }
    assert (again.code, refused.code) == (1, 1)
    assert "has opted out of every account already" in again.err
    (error,) = refused.json["errors"]
    assert (error["field"], error["reason"]) == ("msisdn", "has opted out of being asked")
    assert paid_out.code == 0, paid_out
    assert MASKED in listed.out
    assert PAYER not in listed.out
    assert whole.json[0]["msisdn"] == PAYER
    assert other_scope.code == 1
    assert "it has of: every account" in other_scope.err
    assert removed.code == 0
    # Whatever has become of it since: it was taken in.
    assert taken.code == 0, taken
    assert taken.json["payment_id"]
    assert "Nobody has opted out." in nobody.out


def test_a_second_collection_on_a_number_waits_and_shows_for_which(town: Town, slow_payer: None) -> None:
    assert slow_payer is None
    first = town.momo(*collect(town, "queue-1", QUEUING, "--json")).json["payment_id"]
    eventually(lambda: town.momo("payment", "show", first, "--json").json["state"] == "pending", within_seconds=30)
    second = town.momo(*collect(town, "queue-2", QUEUING, "--json")).json["payment_id"]

    waiting = eventually(
        lambda: (found := town.momo("payment", "show", second, "--json").json)["reason_code"] and found,
        within_seconds=10,
    )
    plain = town.momo("payment", "show", second)
    followed = town.momo(*collect(town, "queue-2", QUEUING, "--wait", "60"))

    assert (waiting["state"], waiting["reason_code"]) == ("accepted", "PROMPT_OPEN")
    assert waiting["waits_for"]["payment_id"] == first
    assert waiting["sends"] == []
    assert f"waits for  payment {first}, which is open on this number, until" in plain.out
    assert followed.code == 0, followed
    done = town.momo("payment", "show", second, "--json").json
    assert (done["state"], done["reason_code"], done["waits_for"]) == ("successful", None, None)
