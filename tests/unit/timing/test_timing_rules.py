"""Rules: each spelling gives its one rule, which is written back and read again as the same; what can't be says why and what to write."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.schedule_rules import a_rule, an_rfc_text

from momo_worker.timing.problems import RuleError
from momo_worker.timing.rules import Rule, rule_of

SPELLINGS = {
    "monthly on 5": "monthly on 5 at 09:00",
    "Monthly  ON the 5th": "monthly on 5 at 09:00",
    "every month on 5 at 7:05": "monthly on 5 at 07:05",
    "every 1 month on 5": "monthly on 5 at 09:00",
    "monthly on 31": "monthly on last day at 09:00",
    "last day": "monthly on last day at 09:00",
    "last working day": "monthly on last working day at 09:00",
    "first working day at 23:59": "monthly on first working day at 23:59",
    "monthly on first monday": "monthly on first monday at 09:00",
    "monthly on last fri": "monthly on last friday at 09:00",
    "weekly on monday": "weekly on monday at 09:00",
    "every 2 weeks on friday": "every 2 weeks on friday at 09:00",
    "every 3 months on 1": "every 3 months on 1 at 09:00",
    "quarterly on 5": "quarterly on 5 at 09:00",
    "every quarter on first working day": "quarterly on first working day at 09:00",
    "yearly on 31 march": "yearly on 31 march at 09:00",
    "yearly on March 31st": "yearly on 31 march at 09:00",
    "yearly on 31st of mar": "yearly on 31 march at 09:00",
    "yearly on 03-31": "yearly on 31 march at 09:00",
    "yearly on 29 february": "yearly on 29 february at 09:00",
    "daily": "daily at 09:00",
    "every day at 00:00": "daily at 00:00",
    "every 10 days": "every 10 days at 09:00",
    "freq=monthly;bymonthday=-1,5,5": "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1,5 at 09:00",
    "RRULE:BYDAY=TH,MO;WKST=MO;INTERVAL=1;FREQ=WEEKLY at 10:00": "RRULE:FREQ=WEEKLY;BYDAY=MO,TH at 10:00",
    "RRULE:FREQ=WEEKLY;INTERVAL=02;BYDAY=SU;WKST=SU;": "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=SU at 09:00",
    "FREQ=MONTHLY;BYDAY=+1MO,-1FR": "RRULE:FREQ=MONTHLY;BYDAY=1MO,-1FR at 09:00",
    "FREQ=DAILY;INTERVAL=10": "RRULE:FREQ=DAILY;INTERVAL=10 at 09:00",
}


@pytest.mark.parametrize(("said", "canonical"), SPELLINGS.items())
def test_each_spelling_is_one_rule_and_is_written_in_one_way(said: str, canonical: str) -> None:
    rule = rule_of(said)

    assert str(rule) == canonical
    assert rule_of(canonical) == rule


REFUSED = {
    "": ("there is no rule", "monthly on 5"),
    "montly on 5": ("`montly on 5` is no rule", "monthly"),
    "every other week on friday": ("is no rule", "every 2 weeks"),
    "5th of the month": ("is no rule", "monthly on 5"),
    "monthly": ("doesn't say on which day", "monthly on 5"),
    "weekly": ("doesn't say on which day", "weekly on monday"),
    "quarterly": ("doesn't say on which day", "quarterly on 5"),
    "yearly at 10:00": ("doesn't say on which day", "yearly on 31 march"),
    "monthly on 32": ("no month has a day 32", "1 to 31"),
    "monthly on 0": ("no month has a day 0", "1 to 31"),
    "monthly on 5 and 20": ("one day", "BYMONTHDAY=5,20"),
    "monthly on fifth monday": ("fifth", "last"),
    "monthly on monday": ("is no day of a month", "first monday"),
    "monthly on second working day": ("`working day` is no weekday", "monday"),
    "weekly on funday": ("`funday` is no weekday", "sunday"),
    "weekly on 5": ("`5` is no weekday", "monday"),
    "daily on 5": ("no `on 5`", "monthly on"),
    "daily at 9am": ("`at 9am` is no time", "at 09:00"),
    "daily at 24:00": ("`at 24:00` is no time", "at 09:00"),
    "yearly on 30 february": ("february has no day 30", "1 to 29"),
    "yearly on 31 april": ("april has no day 31", "1 to 30"),
    "yearly on 02-30": ("february has no day 30", "1 to 29"),
    "yearly on 31-03": ("there is no month 31", "month first"),
    "yearly on 2026-03-31": ("has a year in it", "yearly on 03-31"),
    "yearly on 5 marsh": ("`marsh` is no month", "march"),
    "yearly on 5": ("is no day of a year", "31 march"),
    "quarterly on last working day": ("two ways", "every 3 months on last working day"),
    "quarterly on 31": ("two ways", "every 3 months"),
    "quarterly on 29": ("two ways", "every 3 months"),
    "quarterly on last friday": ("two ways", "every 3 months"),
    "every 2 quarters on 5": ("isn't known", "every 6 months"),
    "every 0 days": ("can't be", "1 to 366"),
    "every 53 weeks on monday": ("can't be", "1 to 52"),
    "every 9999 months on 1": ("can't be", "1 to 24"),
    "FREQ=DAILY;COUNT=3": ("COUNT", "end date"),
    "FREQ=DAILY;UNTIL=20271231": ("UNTIL", "end date"),
    "FREQ=MONTHLY;BYMONTHDAY=5;BYHOUR=9": ("BYHOUR", "at 09:00"),
    "FREQ=MONTHLY;BYMONTHDAY=5;BYMINUTE=9": ("BYMINUTE", "at 09:00"),
    "FREQ=MONTHLY;BYMONTHDAY=5;BYSECOND=9": ("BYSECOND", "at 09:00"),
    "FREQ=HOURLY": ("several times a day", "DAILY"),
    "FREQ=MINUTELY": ("several times a day", "DAILY"),
    "FREQ=SECONDLY;INTERVAL=86400": ("several times a day", "DAILY"),
    "RRULE:": ("no part ''", "RFC 5545"),
    "FREQ=": ("has no value", "FREQ="),
    "FREQ=FORTNIGHTLY": ("no frequency", "WEEKLY"),
    "FREQ=MONTHLY": ("on which day", "BYMONTHDAY or BYDAY"),
    "FREQ=WEEKLY": ("on which day", "BYDAY"),
    "FREQ=YEARLY;BYMONTH=3": ("on which day", "BYMONTHDAY"),
    "FREQ=MONTHLY;BYMONTHDAY=32": ("BYMONTHDAY can't be '32'", "1 to 31"),
    "FREQ=MONTHLY;BYMONTHDAY=0": ("BYMONTHDAY can't be '0'", "1 to 31"),
    "FREQ=MONTHLY;BYMONTHDAY=5,": ("BYMONTHDAY can't be ''", "1 to 31"),
    "FREQ=YEARLY;BYMONTH=-1;BYMONTHDAY=1": ("BYMONTH can't be '-1'", "1 to 12"),
    "FREQ=MONTHLY;BYMONTHDAY=5;BYMONTHDAY=6": ("stands twice", "commas"),
    "FREQ=MONTHLY;BYMONTHDAYS=5": ("no part 'BYMONTHDAYS'", "BYMONTHDAY"),
    "FREQ=YEARLY;BYEASTER=0": ("no part 'BYEASTER'", ""),
    "FREQ=DAILY;INTERVAL=0": ("INTERVAL=0", "1 to 366"),
    "FREQ=DAILY;INTERVAL=400": ("INTERVAL=400", "1 to 366"),
    "FREQ=DAILY;BYDAY=MO": ("BYDAY can't be with FREQ=DAILY", "FREQ=WEEKLY"),
    "FREQ=DAILY;BYMONTHDAY=5": ("BYMONTHDAY can't be with FREQ=DAILY", "FREQ=MONTHLY"),
    "FREQ=WEEKLY;BYDAY=1MO": ("BYDAY=1MO can't be", "FREQ=MONTHLY"),
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2": ("BYSETPOS chooses from 1", "BYDAY"),
    "FREQ=WEEKLY;BYDAY=MO;BYMONTHDAY=13": ("BYMONTHDAY can't be with FREQ=WEEKLY", "FREQ=MONTHLY"),
    "FREQ=MONTHLY;BYDAY=6MO": ("BYDAY=6MO can't be", ""),
    "FREQ=MONTHLY;BYDAY=XX": ("BYDAY can't be 'XX'", "MO"),
    "FREQ=MONTHLY;BYDAY=MO;BYWEEKNO=20": ("BYWEEKNO can't be with FREQ=MONTHLY", "FREQ=YEARLY"),
    "FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO": ("BYWEEKNO doesn't say", "BYDAY"),
    "FREQ=MONTHLY;BYDAY=MO;WKST=XX": ("WKST=XX", "MO"),
}


@pytest.mark.parametrize(("said", "told"), REFUSED.items())
def test_what_cant_be_says_why_and_what_to_write(said: str, told: tuple[str, str]) -> None:
    with pytest.raises(RuleError) as refused:
        rule_of(said)

    assert told[0] in refused.value.reason
    assert told[1] in refused.value.advice
    assert str(refused.value) == f"{refused.value.reason}; {refused.value.advice}"


@given(a_rule())
def test_a_rule_is_written_back_and_read_as_the_same(rule: Rule) -> None:
    assert rule_of(str(rule)) == rule
    assert rule_of(str(rule).upper()) == rule


@given(an_rfc_text(), st.times(max_value=time(23, 59)))
def test_an_rfc_rule_is_written_back_and_read_as_the_same(text: str, at: time) -> None:
    try:
        rule = rule_of(f"{text} at {at:%H:%M}")
    except RuleError:
        return
    assert rule_of(str(rule)) == rule
    assert str(rule_of(str(rule))) == str(rule)


@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from(
                [*["monthly", "on", "last", "day", "every", "2", "weeks", "friday", "FREQ=", "at", "5"], ";", "="]
            ),
            max_size=8,
        ).map(" ".join),
    )
)
def test_whatever_is_written_is_a_rule_or_a_refusal(text: str) -> None:
    said = outcome_of(text)

    if isinstance(said, Rule):
        assert rule_of(str(said)) == said
    else:
        assert said.reason
        assert said.advice


def outcome_of(text: str) -> Rule | RuleError:
    try:
        return rule_of(text)
    except RuleError as refused:
        return refused
