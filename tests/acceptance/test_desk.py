"""What an operator decides from the command line, at a simulated MTN: retry, resolve, release, in haste and with care."""

import json
import subprocess
from datetime import UTC, datetime
from typing import Any

import redis
import requests
from tests.support.command_line import MOMO, SECONDS_MAX, Answer, Town, environment
from tests.support.waiting import eventually

NUMBER = "256772123457"
#: Sent and lost on the way, and ended by one command; amounts that no other story here has.
LOST_TOGETHER = {"desk-lost-1": "42.25", "desk-lost-2": "42.75"}


def pay(town: Town, key: str, amount: str = "12.50", *more: str, **settings: str) -> Answer:
    words = ("--key", key, "--external-id", key.upper(), "--amount", amount, "--currency", "EUR", "--msisdn", NUMBER)
    return town.momo("disburse", *words, *more, "--json", **settings)


def fault(town: Town, name: str, key: str, **more: Any) -> None:
    """Let this go wrong for the payment with this key."""
    body = {"fault": name, "external_id": key.upper(), **more}
    requests.post(f"{town.simulator}/_simulator/faults", json=body, timeout=10).raise_for_status()


def moved(town: Town, key: str) -> list[str]:
    record = requests.get(f"{town.simulator}/_simulator/movements", timeout=10).json()
    return [one["amount"] for one in record["movements"] if one["external_id"] == key.upper()]


def shown(town: Town, key: str) -> dict[str, Any]:
    story: dict[str, Any] = town.momo("payment", "show", key, "--json").json
    return story


def sent(town: Town, *stories: dict[str, Any]) -> list[str]:
    """The references of every POST for these payments that MTN has seen, one for each POST."""
    ours = {attempt["reference_id"] for story in stories for attempt in story["attempts"]}
    posts = requests.get(f"{town.simulator}/_simulator/requests", timeout=10).json()["requests"]
    return [post["reference"] for post in posts if post["reference"] in ours]


def at_once(town: Town, *commands: tuple[str, ...]) -> list[Answer]:
    """Each typed at its own terminal in the same moment."""
    started = [
        subprocess.Popen(
            [MOMO, *words],
            env=environment(town.home, **town.settings),
            cwd=town.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for words in commands
    ]
    try:
        said = [process.communicate(timeout=SECONDS_MAX) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [
        Answer(process.returncode, out.decode(), err.decode())
        for process, (out, err) in zip(started, said, strict=True)
    ]


def comes_to(town: Town, key: str, state: str) -> None:
    eventually(lambda: shown(town, key)["state"] == state, within_seconds=60, otherwise=lambda: str(shown(town, key)))


def test_a_failed_payment_is_retried_and_paid_exactly_once(town: Town) -> None:
    fault(town, "fail", "desk-retry", code="NOT_ENOUGH_FUNDS", count=1)
    assert pay(town, "desk-retry", "12.50", "--wait", "40").code == 1

    nameless = town.momo("payment", "retry", "desk-retry")
    stale = town.momo("payment", "retry", "desk-retry", "--reason", "topped up", "--attempt", "2")
    retried = town.momo("payment", "retry", "desk-retry", "--reason", "topped up", "--by", "amina", "--json")
    comes_to(town, "desk-retry", "successful")
    again = town.momo("payment", "retry", "desk-retry", "--reason", "once more", "--json")
    plain = town.momo("payment", "show", "desk-retry")

    assert (nameless.code, stale.code, retried.code, again.code) == (2, 1, 0, 1)
    assert "--reason is missing" in nameless.err
    assert "retried meanwhile" in stale.err
    assert (retried.json["state"], retried.json["attempt"]) == ("accepted", 2)
    assert "is paid" in again.json["refused"]["why"]
    assert moved(town, "desk-retry") == ["12.50"]
    story = shown(town, "desk-retry")
    assert [one["number"] for one in story["attempts"]] == [1, 2]
    assert len({one["reference_id"] for one in story["attempts"]}) == 2
    assert [(one["actor"], one["action"], one["reason"]) for one in story["decisions"]] == [
        ("amina", "retry", "topped up")
    ]
    assert "decided by amina: retry (topped up)" in plain.out
    assert "attempt 2: reference" in plain.out


def test_what_may_have_been_paid_is_neither_retried_nor_resolved_in_haste(town: Town) -> None:
    for key, amount in LOST_TOGETHER.items():
        fault(town, "lost_before_creation", key)
        pay(town, key, amount)
    fault(town, "lost_before_creation", "desk-lost")
    # An amount of its own: who retries is asked about look-alikes, and the story before this one paid 12.50.
    pay(town, "desk-lost", "41.50")
    comes_to(town, "desk-lost", "unknown")
    # On a slow machine its five minutes would pass, and the worker itself would send it again.
    paused = town.momo("pause", "--product", "disbursement", "--reason", "looking")
    try:
        resolved_by_statement_only(town)
        # Sent before the one above, so no worker that sleeps may send them, either.
        two_resolved_together(town)
    finally:
        resumed = town.momo("resume", "--product", "disbursement", "--reason", "looked")
    assert (paused.code, resumed.code) == (0, 0)
    comes_to(town, "desk-lost", "successful")
    assert moved(town, "desk-lost") == ["41.50"]
    # Sending went on, and not of what was ended.
    stories = [shown(town, key) for key in LOST_TOGETHER]
    assert [story["state"] for story in stories] == ["failed", "failed"]
    assert sorted(sent(town, *stories)) == sorted(story["reference_id"] for story in stories)


def resolved_by_statement_only(town: Town) -> None:
    reason = ("--reason", "nobody was paid", "--by", "amina")
    evidence = ("--evidence", "portal, searched by external id")

    retried = town.momo("payment", "retry", "desk-lost", *reason)
    released = town.momo("payment", "release", "desk-lost", *reason)
    bare = town.momo("payment", "resolve", "desk-lost", "--as", "failed", *reason)
    hasty = town.momo("payment", "resolve", "desk-lost", "--as", "failed", *reason, *evidence, "--json")

    assert [one.code for one in (retried, released, bare, hasty)] == [1, 1, 2, 1]
    assert "may have been paid" in retried.err
    assert "only what is held is released" in released.err
    assert "--evidence is missing" in bare.err
    assert "may still arrive" in hasty.json["refused"]["why"]
    assert "--statement" in hasty.json["refused"]["advice"]
    assert shown(town, "desk-lost")["decisions"] == []

    requests.delete(f"{town.simulator}/_simulator/faults", timeout=10).raise_for_status()
    told = eventually_resolved(town, "desk-lost", *reason, *evidence, "--statement", "statement-12.pdf")
    assert told.json["state"] == "failed"
    assert told.json["reason_code"] == "RESOLVED"
    assert "statement-12.pdf" in shown(town, "desk-lost")["decisions"][0]["reason"]
    assert moved(town, "desk-lost") == []
    tried_again = town.momo("payment", "retry", "desk-lost", *reason)
    assert tried_again.code == 0
    assert "sending is paused (product disbursement): looking" in tried_again.out


def two_resolved_together(town: Town) -> None:
    chosen = ("--as", "failed", "--state", "unknown", "--account", "default")
    words = (
        "--reason",
        "nobody was paid",
        "--evidence",
        "their list",
        "--statement",
        "statement-13.pdf",
        "--by",
        "bea",
    )

    def both_unknown() -> bool:
        listed = town.momo("payment", "list", "--state", "unknown", "--json").json
        return {one["idempotency_key"] for one in listed} == set(LOST_TOGETHER)

    eventually(both_unknown, within_seconds=40)
    began = datetime.now(UTC)
    answer = town.momo("payment", "resolve", *chosen, *words, "--yes", "--expect-count", "2", "--json")
    ended = datetime.now(UTC)

    assert answer.code == 0, answer
    assert (answer.json["count"], answer.json["done"], answer.json["refused"]) == (2, 2, [])
    assert answer.json["money"] == [{"currency": "EUR", "amount": "85.00"}]
    for key in LOST_TOGETHER:
        story = shown(town, key)
        assert (story["state"], story["reason_code"], story["due_for"]) == ("failed", "RESOLVED", None)
        (decision,) = story["decisions"]
        assert (decision["actor"], decision["action"]) == ("bea", "resolve failed")
        assert "nobody was paid" in decision["reason"]
        assert "statement-13.pdf" in decision["reason"]
        # Told to the millisecond, cut off.
        assert began.timestamp() - 0.001 <= datetime.fromisoformat(decision["at"]).timestamp() <= ended.timestamp()
        assert sent(town, story) == [story["reference_id"]]
        assert moved(town, key) == []


def eventually_resolved(town: Town, key: str, *words: str) -> Answer:
    """While a worker that might sleep may still send, no statement counts."""
    answers: list[Answer] = []

    def done() -> bool:
        answers.append(town.momo("payment", "resolve", key, "--as", "failed", *words, "--json"))
        return answers[-1].code == 0

    eventually(done, within_seconds=40, otherwise=lambda: str(answers[-1]))
    return answers[-1]


def test_what_mtn_has_at_this_moment_is_not_called_failed(town: Town) -> None:
    fault(town, "stuck_pending", "desk-stuck")
    pay(town, "desk-stuck", "52.50")
    comes_to(town, "desk-stuck", "pending")
    words = ("--reason", "it hangs", "--evidence", "a hunch", "--statement", "none, in truth")

    answer = town.momo("payment", "resolve", "desk-stuck", "--as", "failed", *words, "--json")
    named = town.momo("payment", "resolve", "--as", "failed", "--state", "pending", *words, "--attempt", "1")
    unexplained = town.momo("payment", "resolve", "desk-stuck", "--as", "successful", *words[2:])

    assert answer.code == 1
    assert "is PENDING at MTN at this moment" in answer.json["refused"]["why"]
    assert [named.code, unexplained.code] == [2, 2]
    assert "--reason is missing" in unexplained.err
    story = shown(town, "desk-stuck")
    assert (story["state"], story["decisions"]) == ("pending", [])
    assert "resolved" not in [one["trigger"] for one in story["transitions"]]


def test_many_are_counted_first_and_another_count_changes_nothing(town: Town) -> None:
    hold = {"MOMO_ACCOUNTS__DEFAULT__SAME_AGAIN": "hold"}
    pay(town, "desk-first", "77.77", "--wait", "40")
    for key in ("desk-same-1", "desk-same-2"):
        assert pay(town, key, "77.77", **hold).json["state"] == "held"
    chosen = ("--cause", "suspect_duplicate", "--state", "held", "--account", "default")
    why = ("--reason", "three tills, three customers", "--by", "amina")

    everything = town.momo("payment", "release", *why)
    both = town.momo("payment", "release", "desk-same-1", "--cause", "suspect_duplicate", *why)
    misspelt = town.momo("payment", "release", "--cause", "suspicious", *why)
    preview = town.momo("payment", "release", *chosen, *why)
    counted = town.momo("payment", "release", *chosen, *why, "--json")
    blind = town.momo("payment", "release", *chosen, *why, "--yes")
    wrong = town.momo("payment", "release", *chosen, *why, "--yes", "--expect-count", "3")
    too_late = town.momo("payment", "release", *chosen, "--before", "1d", *why, "--json")
    failed = town.momo(
        "payment",
        "resolve",
        "--as",
        "failed",
        *chosen,
        *why,
        "--evidence",
        "x",
        "--yes",
        "--expect-count",
        "2",
        "--json",
    )

    assert [one.code for one in (everything, both, misspelt, preview, counted, blind, wrong)] == [2, 2, 2, 0, 0, 2, 1]
    assert "2 payments would be released: 155.54 EUR. Nothing was changed." in preview.out
    assert "--yes --expect-count 2" in preview.out
    assert counted.json["count"] == 2
    assert counted.json["money"] == [{"currency": "EUR", "amount": "155.54"}]
    assert counted.json["kinds"] == {"held suspect_duplicate": 2}
    assert "--expect-count" in blind.err
    assert "2 payments are chosen and not 3" in wrong.err
    assert too_late.json["count"] == 0
    assert (failed.code, failed.json["done"], len(failed.json["refused"])) == (1, 0, 2)
    assert moved(town, "desk-same-1") == []

    done = town.momo("payment", "release", *chosen, *why, "--yes", "--expect-count", "2", "--json")
    for key in ("desk-same-1", "desk-same-2"):
        comes_to(town, key, "successful")
        assert moved(town, key) == ["77.77"]
    assert (done.code, done.json["done"], done.json["refused"]) == (0, 2, [])


def test_two_operators_at_once_and_one_is_told(town: Town) -> None:
    fault(town, "fail", "desk-two", code="NOT_ENOUGH_FUNDS", count=1)
    assert pay(town, "desk-two", "3.30", "--wait", "40").code == 1

    who = ("amina", "bea")
    retry = ("payment", "retry", "desk-two", "--attempt", "1", "--json", "--reason")
    answers = at_once(town, *[(*retry, f"{name} topped up", "--by", name) for name in who])

    assert sorted(one.code for one in answers) == [0, 1], answers
    (won, winner), (lost, _) = sorted(zip(answers, who, strict=True), key=lambda one: one[0].code)
    assert (won.json["state"], won.json["attempt"]) == ("accepted", 2)
    assert "attempt 2" in lost.json["refused"]["why"]
    assert lost.json["refused"]["advice"]
    comes_to(town, "desk-two", "successful")
    assert moved(town, "desk-two") == ["3.30"]
    story = shown(town, "desk-two")
    assert [(one["actor"], one["reason"]) for one in story["decisions"]] == [(winner, f"{winner} topped up")]
    assert sent(town, story) == [one["reference_id"] for one in story["attempts"]]
    assert len(story["attempts"]) == 2
    listed = town.momo("payment", "list", "--limit", "100", "--json").json
    (found,) = [one for one in listed if one["idempotency_key"] == "desk-two"]
    assert (found["attempt"], found["contradicted"]) == (2, False)
    assert json.dumps(listed).count(NUMBER) == 0


def test_results_go_out_once_more_with_the_ids_they_had(town: Town) -> None:
    paid = pay(town, "desk-replay", "8.80", "--wait", "40").json

    nothing = town.momo("results", "replay")
    vague = town.momo("results", "replay", "--since", "yesterday")
    replayed = town.momo("results", "replay", "--payment", "desk-replay", "--type", "successful", "--json")
    hour = town.momo("results", "replay", "--since", "1h", "--payment", "desk-replay")

    def events() -> list[dict[str, Any]]:
        with redis.Redis.from_url(town.facts["redis"], decode_responses=True) as client:
            found = [json.loads(fields["event"]) for _, fields in client.xrange("momo:results")]
        return [event for event in found if event["subject"] == paid["payment_id"]]

    eventually(lambda: len([one for one in events() if one.get("replayed")]) >= 3, within_seconds=20)
    assert (nothing.code, vague.code, replayed.code, hour.code) == (2, 2, 0, 0)
    assert "--since is missing" in nothing.err
    assert "a moment with its zone" in vague.err
    assert (replayed.json["replayed"], replayed.json["payment_id"]) == (1, paid["payment_id"])
    assert "go out once more" in hour.out
    first = {one["id"]: one for one in events() if not one.get("replayed")}
    again = [one for one in events() if one.get("replayed")]
    assert {one["id"] for one in again} == set(first)
    assert all({**first[one["id"]], "replayed": True} == one for one in again)
    (decision, *_) = shown(town, "desk-replay")["decisions"]
    assert decision["action"] == "replay"
