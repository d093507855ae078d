"""Payments from the command line, as somebody types them, at a simulated MTN."""

import json
import re

import pytest
import redis
import requests
from tests.support.command_line import Town, momo
from tests.support.waiting import eventually

NUMBER = "256772123456"
MASKED = "256…56"


def asked(key: str, amount: str = "12.50") -> list[str]:
    return ["--key", key, "--amount", amount, "--currency", "EUR", "--msisdn", NUMBER]


def moved(town: Town, external_id: str) -> list[str]:
    """What the simulator itself says moved under an external id."""
    record = requests.get(f"{town.simulator}/_simulator/movements", timeout=10).json()
    return [one["amount"] for one in record["movements"] if one["external_id"] == external_id]


def test_a_payment_is_followed_to_its_end_and_the_same_key_answers_with_the_same_payment(town: Town) -> None:
    paid = town.momo("disburse", *asked("follow-1"), "--external-id", "FOLLOW-1", "--wait", "40")
    again = town.momo("disburse", *asked("follow-1"), "--external-id", "FOLLOW-1", "--json")

    assert paid.code == 0, paid
    assert "Accepted:" in paid.out
    assert "now successful" in paid.out
    assert NUMBER not in paid.out + paid.err
    assert again.code == 0
    assert again.json["repeated"] is True
    assert again.json["state"] == "successful"
    assert again.json["payment_id"] in paid.out
    assert moved(town, "FOLLOW-1") == ["12.50"]


def test_a_key_is_asked_for_with_the_reason(town: Town) -> None:
    answer = town.momo("disburse", "--amount", "5", "--currency", "EUR", "--msisdn", NUMBER)

    assert answer.code == 2
    assert "--key is missing" in answer.err
    assert "not a second one" in answer.err


def test_a_rejection_names_each_field_value_reason_and_what_to_do(town: Town) -> None:
    answer = town.momo(
        *(
            "collect",
            "--key",
            "bad",
            "--amount",
            "-5",
            "--currency",
            "UGX",
            "--msisdn",
            "O772",
            "--lane",
            "fast",
            "--json",
        )
    )

    assert answer.code == 1
    errors = {error["field"]: error for error in answer.json["errors"]}
    assert {"amount", "currency", "msisdn", "lane"} <= set(errors)
    assert errors["amount"]["value"] == "-5"
    assert all(error["reason"] and error["advice"] for error in errors.values())
    assert all(field in answer.err for field in errors)


def test_another_body_under_the_same_key_is_rejected_and_the_first_is_untouched(town: Town) -> None:
    first = town.momo("disburse", *asked("twice", "7"), "--json")
    second = town.momo("disburse", *asked("twice", "8"), "--json")

    assert first.code == 0
    assert second.code == 1
    assert second.json["errors"][0]["payment_id"] == first.json["payment_id"]
    assert town.momo("payment", "show", "twice", "--json").json["amount"] == "7.00"


def test_an_enqueued_job_is_no_acceptance_and_a_wait_tells_what_became_of_it(town: Town) -> None:
    job = {
        "operation": "collect",
        "idempotency_key": "till-1",
        "amount": "5",
        "currency": "EUR",
        "msisdn": "46733123451",
    }

    refused = town.momo("enqueue", json.dumps(job), "--wait", "40")
    broken = town.momo("enqueue", '{"operation": ', "--wait", "20", "--json")

    assert "That is no acceptance" in refused.out
    assert "failed (APPROVAL_REJECTED)" in refused.out
    assert refused.code == 1
    assert broken.code == 1
    assert broken.json["errors"][0]["field"] == "job"


def test_a_story_is_found_by_every_name_and_masks_the_number(town: Town) -> None:
    paid = town.momo("disburse", *asked("story-1", "3"), "--external-id", "STORY-1", "--wait", "40", "--json").json
    names = [paid[name] for name in ("reference_id", "external_id", "financial_transaction_id")]

    stories = [town.momo("payment", "show", name, "--json") for name in names]
    plain = town.momo("payment", "show", "story-1")
    full = town.momo("payment", "show", "story-1", "--full")

    assert [story.json["payment_id"] for story in stories] == [paid["payment_id"]] * len(names)
    assert stories[0].json["msisdn"] == MASKED
    assert [row["after"] for row in stories[0].json["transitions"]] == ["accepted", "sending", "pending", "successful"]
    assert [row["ending"] for row in stories[0].json["sends"]] == ["accepted"]
    assert NUMBER not in plain.out + stories[0].out
    assert NUMBER in full.out
    assert re.search(r"pending → successful +found_successful", plain.out)
    assert town.momo("payment", "show", "nobody").code == 1


def test_a_pause_stops_sends_says_until_when_and_only_its_own_scope_lifts_it(town: Town) -> None:
    nameless = town.momo("pause")
    misspelt = town.momo("pause", "--account", "defualt", "--reason", "x")
    paused = town.momo("pause", "--product", "disbursement", "--reason", "float is being counted", "--json")
    try:
        accepted = town.momo("disburse", *asked("paused-1", "2"), "--external-id", "PAUSED-1", "--json")
        waited = town.momo("disburse", *asked("paused-1", "2"), "--external-id", "PAUSED-1", "--wait", "0.1")
        doctor = town.momo("doctor", "--offline", "--json")
        too_wide = town.momo("resume", "--reason", "all clear")
        cancelled = town.momo("payment", "cancel", "paused-1", "--reason", "typed twice", "--by", "amina", "--json")
        late = town.momo("payment", "cancel", "paused-1")
    finally:
        resumed = town.momo("resume", "--product", "disbursement", "--reason", "counted")

    assert (nameless.code, misspelt.code) == (2, 2)
    assert "nothing was changed" in nameless.err
    assert "nothing was changed" in misspelt.err
    assert paused.code == 0
    assert paused.json["no_send_begins_after"]
    assert paused.json["holding"][0]["reason"] == "float is being counted"
    assert accepted.json["state"] == "accepted"
    assert waited.code == 1
    assert "sending is paused (product disbursement)" in waited.out
    assert any(one["about"] == "pause" and one["verdict"] == "warn" for one in doctor.json["findings"])
    assert too_wide.code == 1
    assert "product disbursement" in too_wide.err
    assert cancelled.code == 0
    assert cancelled.json["state"] == "cancelled"
    assert "amina" in cancelled.json["reason_message"]
    assert late.code == 1
    assert "is cancelled, which is final" in late.err
    assert resumed.code == 0
    assert "Nothing is paused any more" in resumed.out
    assert moved(town, "PAUSED-1") == []


def test_what_was_sent_cannot_be_cancelled(town: Town) -> None:
    town.momo("disburse", *asked("gone-1", "4"), "--wait", "40")

    answer = town.momo("payment", "cancel", "gone-1")

    assert answer.code == 1
    assert town.momo("payment", "show", "gone-1", "--json").json["state"] == "successful"


def test_results_are_followed_from_where_one_likes(town: Town) -> None:
    town.momo("disburse", *asked("tail-1", "6"), "--wait", "40")

    first = town.momo("results", "tail", "--from", "start", "--limit", "2", "--json")
    final = town.momo("results", "tail", "--from", "start", "--type", "successful", "--limit", "1")
    wrong = town.momo("results", "tail", "--from", "yesterday")

    events = [json.loads(line) for line in first.out.splitlines()]
    assert [event["specversion"] for event in events] == ["1.0", "1.0"]
    assert events[0]["type"] == "momo.payment.accepted"
    assert "payment.successful" in final.out
    assert NUMBER not in final.out
    assert wrong.code == 2


def test_balances_states_and_migrations_answer(town: Town) -> None:
    balances = town.momo("balance", "--json")
    drawn = town.momo("states", "--mermaid")
    listed = town.momo("states", "--json")
    migrated = town.momo("migrate", "--json")

    assert [row["currency"] for row in balances.json] == ["EUR", "EUR"]
    assert drawn.out.startswith("stateDiagram-v2")
    assert {row["state"] for row in listed.json["states"] if row["final"]} == {"successful", "failed", "cancelled"}
    assert migrated.json["changed"] is False


def test_a_payment_is_accepted_while_redis_is_away_and_goes_out_when_it_is_back(town: Town) -> None:
    answer = town.momo(
        "disburse", *asked("away-1", "9"), "--external-id", "AWAY-1", MOMO_REDIS_URL="redis://127.0.0.1:1/0"
    )

    assert answer.code == 0, answer
    assert "accepted and will go out when it is back" in answer.out
    # Nobody woke a worker for it: the pump finds it in the ledger, at the latest when its release is over.
    eventually(lambda: moved(town, "AWAY-1"), within_seconds=45)
    assert moved(town, "AWAY-1") == ["9.00"]


def test_the_doctor_is_content_and_finds_keys_that_a_prefix_misplaced(town: Town) -> None:
    well = town.momo("doctor", "--json")
    with redis.Redis.from_url(town.facts["redis"]) as client:
        client.xadd("shop:momo:jobs", {"job": "{}"})
        client.lpush("shop_momo-intake", "{}")
        ill = town.momo("doctor", "--offline", "--json")
        client.delete("shop:momo:jobs", "shop_momo-intake")

    assert well.code == 0, well.out
    about = {one["about"] for one in well.json["findings"]}
    assert {
        "settings",
        "ledger",
        "pump",
        "redis",
        "redis persistence",
        "redis memory",
        "redis clock",
        "misplaced keys",
    } <= about
    assert {"default collection", "default disbursement"} <= about
    assert ill.code == 1
    misplaced = [one for one in ill.json["findings"] if one["about"] == "misplaced keys"]
    assert len(misplaced) == 2
    assert all("prefix" in one["what"] and one["next"] for one in misplaced)


def test_wrong_credentials_are_named_and_nothing_is_sent(town: Town) -> None:
    wrong = {"MOMO_DISBURSEMENT_API_KEY": "wrong-wrong-wrong-wrong"}

    balance = town.momo("balance", **wrong)
    doctor = town.momo("doctor", "--json", **wrong)

    assert balance.code == 1
    assert "API user or API key were refused" in balance.err
    assert doctor.code == 1
    failed = [one for one in doctor.json["findings"] if one["verdict"] == "fail"]
    assert [one["about"] for one in failed] == ["default disbursement"]
    assert "wrong-wrong" not in balance.out + balance.err + doctor.out + doctor.err


def test_another_ledgers_redis_is_refused_before_anything_is_done(
    town: Town, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / ".env").write_text((town.home / ".env").read_text())

    migrated = momo("migrate", home=other, **town.settings)
    answer = momo("disburse", *asked("foreign-1"), home=other, **town.settings)
    listed = momo("payment", "list", "--json", home=other, **town.settings)

    assert migrated.code == 0
    assert answer.code == 2
    assert "this Redis belongs to the ledger" in answer.err
    assert listed.json == []
