"""`momo schedule` as a treasurer types it, on a ledger in a folder; nothing runs beside it, and nobody is asked for money."""

import re
from pathlib import Path

import pytest
from tests.support.command_line import Answer, momo

PASSPHRASE = b"a long enough passphrase\n"
#: A market with local numbers and no decimals, at an MTN that nobody calls; Redis is away.
SETTINGS = {
    "MOMO_MARKET": "uganda",
    "MOMO_BASE_URL": "http://127.0.0.1:1",
    "MOMO_NAMESPACE": "6f1f7c1e-5a0b-4f0f-9a43-0c8f0e6f2d11",
    "MOMO_REDIS_URL": "redis://127.0.0.1:1/0",
    "MOMO_COLLECTION_SUBSCRIPTION_KEY": "0123456789abcdef",
    "MOMO_COLLECTION_API_USER": "6f1f7c1e-5a0b-4f0f-9a43-0c8f0e6f2d12",
    "MOMO_COLLECTION_API_KEY": "0123456789abcdef",
}
HEAD = "student no,name,phone,fees\n"
PUPILS = HEAD + "".join(f"S{place},Pupil {place},07721234{place:02d},{50_000 + place}\n" for place in range(10))


class Office:
    """A folder with a ledger, config of its own, and two approvers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.pupils = home / "config" / "pupils.csv"

    def __call__(self, *words: str, given: bytes | None = None) -> Answer:
        return momo(*words, home=self.home, given=given, **SETTINGS, MOMO_CONFIG=str(self.home / "config"))

    def schedule(self, *words: str, given: bytes | None = None) -> Answer:
        return self("schedule", *words, given=given)

    def ok(self, *words: str, given: bytes | None = None) -> Answer:
        answer = self.schedule(*words, given=given)
        assert answer.code == 0, answer
        return answer


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    assert momo("init", str(tmp_path), home=tmp_path).code == 0
    (tmp_path / ".env").unlink()
    assert made("migrate").code == 0
    made.pupils.write_text(PUPILS)
    return made


def approvers(office: Office) -> None:
    added = office("approver", "add", "boss", "--first", "--passphrase-file", "-", given=PASSPHRASE)
    assert added.code == 0, added


def test_a_first_schedule_from_its_making_to_its_end(office: Office) -> None:
    approvers(office)
    none = office.ok("list")
    made = office.ok(
        "add", "fees", "--rule", "monthly on 5", "--payers", str(office.pupils), "--holidays", "UG", "--on-holiday",
        "after", "--note", "School fees", "--by", "ada", "--json",
    )  # fmt: skip
    listed = office.ok("list")
    shown = office.ok("show", "fees", "--payers", "3")
    preview = office.ok("preview", "fees", "--periods", "14", "--json")
    signed = office.ok("approve", "fees", "--as", "boss", "--passphrase-file", "-", given=PASSPHRASE)
    after = office.ok("show", "fees", "--json")
    paused = office.ok("pause", "fees", "--reason", "a strike")
    resumed = office.ok("resume", "fees", "--reason", "over", "--json")
    nameless = office.schedule("remove", "fees")
    removed = office.ok("remove", "fees", "--reason", "the school closed", "--json")
    history = office.ok("history", made.json["schedule_id"])

    assert "momo schedule add" in none.out
    assert (made.json["payers"], made.json["total"], made.json["payers_to_sign"]) == (10, "500045", 10)
    assert re.fullmatch(r"[0-9a-f-]{36}", made.json["schedule_id"])
    assert "monthly on 5 at 09:00" in listed.out
    assert "nobody has signed" in shown.out
    assert "256772123401" not in shown.out
    assert "256…01" in shown.out
    periods = preview.json["periods"]
    assert len(periods) == 14
    assert all(
        one["payers"] == 10 and one["fires_at"].endswith("Z") and one["local_time"].endswith("+03:00")
        for one in periods
    )
    assert [one["period"] for one in periods] == sorted({one["period"] for one in periods})
    assert periods[0]["period"] == made.json["first_period"]["period"]
    assert "at most 500045 UGX a period" in signed.out
    assert (after.json["payers_to_sign"], after.json["mandate"]["signed_by"]) == (0, "boss")
    assert "is paused" in paused.out
    assert resumed.json["still_paused"] == []
    assert (nameless.code, removed.json["state"]) == (2, "removed")
    for word in ("schedule added", "schedule approved", "a strike", "schedule resumed", "the school closed"):
        assert word in history.out


def test_every_problem_is_told_at_once(office: Office) -> None:
    office.pupils.write_text(HEAD + "S1,A,0772123401,5\nS1,B,12,x\n")
    words = ("add", "School fees", "--rule", "monthly on 32", "--zone", "Kampala", "--payers", str(office.pupils))
    refused, as_json = office.schedule(*words), office.schedule(*words, "--json")

    assert (refused.code, as_json.code) == (1, 1)
    assert [one["where"].rpartition("/")[2] for one in as_json.json["problems"]] == [
        "--name",
        "--rule",
        "--zone",
        "pupils.csv line 3, phone",
        "pupils.csv line 3, fees",
        "pupils.csv line 3, student no",
    ]
    assert all(one["reason"] and one["advice"] for one in as_json.json["problems"])
    assert "6 problems, and nothing was changed" in refused.err
    assert "did you mean Africa/Kampala?" in refused.err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("show", "rent"), 1, "has no schedule rent"),
        (("edit", "rent"), 2, "nothing is to be changed"),
        (("edit", "rent", "--sheet", "x"), 2, "name it with --payers"),
        (("add", "rent", "--payers", "nowhere.csv"), 1, "isn't there"),
        (("add", "rent", "--payers", "pupils.csv", "--column", "id=unit", "--print-toml"), 2, "names neither columns"),
        (("add", "rent", "--rule", "daily", "--account", "shop"), 2, "there is no account shop"),
        (("pause", "rent"), 2, "--reason is missing"),
        (("pause", "rent", "--reason", "x"), 1, "has no schedule rent"),
        (("approve", "rent"), 2, "--as is missing"),
        (("apply", "nowhere.toml"), 1, "isn't there"),
    ],
)
def test_what_cant_be_is_told_and_how_it_can(office: Office, words: tuple[str, ...], code: int, told: str) -> None:
    answer = office.schedule(*words)
    assert answer.code == code, answer
    assert told in answer.err


def test_a_list_that_lost_its_half_and_payers_of_two_schedules_wait_for_a_persons_word(office: Office) -> None:
    office.ok("add", "fees", "--rule", "monthly on 5", "--payers", str(office.pupils))
    office.pupils.write_text("".join(PUPILS.splitlines(keepends=True)[:6]))
    held = office.schedule("edit", "fees", "--payers", str(office.pupils))
    taken = office.ok("edit", "fees", "--payers", str(office.pupils), "--accept-changes", "the leavers", "--json")
    twice = office.schedule("add", "bus", "--rule", "weekly on monday", "--payers", str(office.pupils))
    both = office.ok(
        "add", "bus", "--rule", "weekly on monday", "--payers", str(office.pupils), "--also", "the bus is extra"
    )
    history = office.ok("history", "bus")

    assert (held.code, twice.code) == (1, 1)
    assert "differs by 50 %" in held.err
    assert "--accept-changes" in held.err
    assert taken.json["payers"] == 5
    assert "5 by fees (active)" in twice.err
    assert "5 payers" in both.out
    assert "the bus is extra" in history.out


def test_an_edit_is_told_in_the_commands_words_and_amounts_with_their_currency(office: Office) -> None:
    office.ok("add", "fees", "--rule", "monthly on 5", "--payers", str(office.pupils))
    edited = office.ok("edit", "fees", "--amount", "60000", "--ends", "2030-12-31", "--on-holiday", "skip", "--json")
    again = office.ok("edit", "fees", "--amount", "70000", "--ends", "none", "--json")

    assert edited.json["edited"] == [
        "ends: none becomes 2030-12-31",
        "amount: per-payer becomes 60000 UGX",
        "on-holiday: keep becomes skip",
    ]
    assert again.json["edited"] == ["ends: 2030-12-31 becomes none", "amount: 60000 UGX becomes 70000 UGX"]


def test_nobody_approves_what_they_made_or_changed(office: Office) -> None:
    approvers(office)
    office.ok("add", "fees", "--rule", "monthly on 5", "--payers", str(office.pupils), "--by", "ada")
    office.ok("edit", "fees", "--note", "Fees", "--by", "Boss")
    refused = office.schedule("approve", "fees", "--as", "boss", "--passphrase-file", "-", given=PASSPHRASE)

    assert refused.code == 1
    assert "nobody approves their own" in refused.err


def test_a_file_of_schedules_is_applied_whole_and_only_its_ids_count(office: Office) -> None:
    file = office.home / "config" / "schedules.toml"
    untouched = office.ok("apply")
    printed = office.ok("add", "fees", "--rule", "monthly on 5", "--payers", str(office.pupils), "--print-toml")
    none = office.ok("list", "--json")
    file.write_text(printed.out)
    dry = office.ok("apply", "--dry-run", "--json")
    still_none = office.ok("list", "--json")
    made = office.ok("apply", "--json")
    file.write_text(printed.out.replace('name = "fees"', 'name = "tuition"').replace("monthly on 5", "monthly on 7"))
    edited = office.ok("apply")
    listed = office.ok("list", "--json")
    file.write_text(printed.out.replace("rule", "rul") + 'colour = "red"\n')
    refused = office.schedule("apply")
    file.write_text("")
    left = office.ok("apply")

    assert "0 schedules" in untouched.out
    assert 'payers = "pupils.csv"' in printed.out
    assert none.json == still_none.json == []
    assert [(one["did"], one["payers"]) for one in dry.json["schedules"]] == [("added", 10)]
    (schedule_id,) = [one["schedule_id"] for one in made.json["schedules"]]
    assert f'id = "{schedule_id}"' in printed.out
    assert "edited     tuition" in edited.out
    assert [(one["schedule_id"], one["name"]) for one in listed.json] == [(schedule_id, "tuition")]
    assert refused.code == 1
    assert "did you mean rule?" in refused.err
    assert "colour: is read by nothing" in refused.err
    assert "momo schedule remove tuition --account default --reason" in left.out
