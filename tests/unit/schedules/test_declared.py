"""schedules.toml: what we write we read; what is wrong is told at once, with the entry and the key."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.money import Currency
from momo_worker.schedules.declared import KEYS, entry_of, read_declared
from momo_worker.schedules.refusals import NotChangedError
from momo_worker.schedules.wording import read_words

ID = "3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e11"
OTHER = "3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e12"
ENTRY = f'[[schedule]]\nid = "{ID}"\nname = "fees"\nrule = "monthly on 5"\npayers = "pupils.csv"\n'
DAYS = st.dates(date(2020, 1, 1), date(2090, 1, 1)).map(date.isoformat)
RULES = (
    "monthly on 5 at 09:00",
    "every 2 weeks on friday at 07:30",
    "last working day",
    "RRULE:FREQ=MONTHLY;BYDAY=1MO",
)

SCHEDULES = st.builds(
    Schedule,
    id=st.uuids().map(str),
    account=st.sampled_from(["default", "shop"]),
    name=st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,39}", fullmatch=True),
    state=st.just("active"),
    rule=st.sampled_from(RULES).map(lambda text: read_words_of("rule", text)),
    zone=st.sampled_from(["Africa/Kampala", "America/Argentina/Ushuaia"]),
    starts_on=DAYS,
    ends_on=st.none() | DAYS,
    after_day=st.just("2026-01-01"),
    amount_minor=st.none() | st.integers(1, 10**12),
    currency=st.just("GHS"),
    exponent=st.just(2),
    note=st.none()
    | st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=160).filter(
        lambda text: text == text.strip()
    ),
    holidays=st.sampled_from([None, "UG", "ZA"]),
    on_holiday=st.sampled_from(["keep", "before", "after", "skip"]),
    extra_holidays=st.lists(DAYS, max_size=4, unique=True).map(lambda days: " ".join(sorted(days))),
    catch_up=st.sampled_from(["all", "latest", "within:3d"]),
    maker=st.just("ada"),
    made_at_ms=st.just(1),
    changed_at_ms=st.just(1),
)


def read_words_of(word: str, text: str) -> str:
    """A word as the ledger would have it."""
    (one,) = read_declared(ENTRY.replace("monthly on 5", text), "s.toml")
    return str(read_words(one.said, Currency("GHS", 2)).values[word])


def refused(text: str) -> list[str]:
    with pytest.raises(NotChangedError) as caught:
        read_declared(text, "s.toml")
    assert all(one.reason and one.advice for one in caught.value.problems)
    return [str(one) for one in caught.value.problems]


@given(made=SCHEDULES, payers=st.text(min_size=1, max_size=60).filter(str.isprintable))
def test_an_entry_that_we_write_is_read_as_the_same_schedule(made: Schedule, payers: str) -> None:
    (one,) = read_declared(entry_of(made, payers, None), "s.toml")
    assert (one.schedule_id, one.account, one.payers) == (made.id, made.account, payers)
    read = read_words(one.said, Currency("GHS", 2), one.place)
    assert read.problems == ()
    assert read.values == {name: getattr(made, name) for name in read.values}
    assert len(read.values) == 11


def test_dates_and_whole_amounts_may_stand_without_quotes() -> None:
    bare = "starts = 2026-12-01\namount = 5000\nextra_holidays = [2026-12-24, 2026-12-27]\nfrom = 2026\n"
    (one,) = read_declared(ENTRY + bare, "s.toml")
    assert (one.said.starts, one.said.amount, one.said.extra_holidays) == (
        "2026-12-01",
        "5000",
        "2026-12-24 2026-12-27",
    )
    assert one.begins == "2026"


def test_a_line_that_is_taken_out_is_taken_back() -> None:
    (one,) = read_declared(ENTRY, "s.toml")
    values = read_words(one.said, Currency("UGX", 0)).values
    assert {word: values[word] for word in ("ends_on", "amount_minor", "note", "holidays", "extra_holidays")} == {
        "ends_on": None,
        "amount_minor": None,
        "note": None,
        "holidays": None,
        "extra_holidays": "",
    }
    assert "starts_on" not in values, "from where the rule counts is drawn once"


def test_all_that_is_wrong_with_a_file_is_told_at_once() -> None:
    told = refused(
        'title = "x"\n'
        + ENTRY.replace("payers", "payer")
        + ENTRY.replace(ID, "1")
        + ENTRY.replace(ID, OTHER)
        + ENTRY.replace(ID, OTHER)
        + ENTRY.replace(ID, "3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e13")
        + "amount = 12.5\n"
    )
    assert [line.partition(": ")[0] for line in told] == [
        "s.toml",
        "s.toml, schedule 1 (fees)",
        "s.toml, schedule 1 (fees)",
        "s.toml, schedule 2 (fees)",
        "s.toml, schedule 5 (fees)",
        "s.toml, schedule 4 (fees)",
        "s.toml, schedule 4 (fees)",
    ]
    assert "did you mean payers?" in told[1]
    assert "12.5" in told[4]


@pytest.mark.parametrize(
    "text", ["schedule = 1", "[schedule]\nid = 'x'", "schedule = [1]", "[[schedule]", "[[schedules]]\n"]
)
def test_a_file_of_another_shape_is_refused(text: str) -> None:
    assert refused(text)


def test_an_empty_file_declares_nothing() -> None:
    assert read_declared("# nothing yet\n", "s.toml") == ()


@given(
    text=st.text(max_size=200) | st.sampled_from(KEYS).map(lambda key: f"[[schedule]]\n{key} = 1979-05-27T07:32:00Z")
)
def test_whatever_a_file_holds_there_are_schedules_or_reasons(text: str) -> None:
    try:
        assert read_declared(text, "s.toml") == ()
    except NotChangedError as error:
        assert error.problems  # noqa: PT017 - either of the two is right
