"""Names of files held against names at MTN: how people write them in five markets, and what holds for any two names."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from momo_worker.ledger.run_checks import CheckVerdict
from momo_worker.runs import names
from momo_worker.runs.judging import WORDS, Judgement, Thresholds, judge
from momo_worker.runs.name_words import FORMS, PERHAPS_TITLES, TITLES
from momo_worker.runs.names import Likeness, compare, words

DEFAULTS = Thresholds(90, 60)
PASS, REVIEW, BLOCK = CheckVerdict.PASS, CheckVerdict.REVIEW, CheckVerdict.BLOCK

#: The file's name, MTN's name, and what should come of it.
UGANDA = [
    ("OKELLO JOHN", "John Okello", PASS),
    ("Okello J.", "John Okello", PASS),
    ("Mr. Okello John", "JOHN  OKELLO", PASS),
    ("Nakato Grace", "Grace Mary Nakato", PASS),
    ("Ssalongo Mukasa David", "David Mukasa", PASS),
    ("Hajati Namutebi Aisha", "Aisha Namutebi", PASS),
    ("Hajj. Kasule Ibrahim", "IBRAHIM KASULE", PASS),
    ("Rev. Fr. Ocen Peter", "Peter Ocen", PASS),
    ("Eng. Tumusiime-Mutebile Emmanuel", "Emmanuel Tumusiime Mutebile", PASS),
    ("Okelo John", "John Okello", REVIEW),
    ("Nakatto Grace", "Grace Nakato", REVIEW),
    ("Okello Jhon", "John Okello", REVIEW),
    ("Okello Tmo", "Tom Okello", REVIEW),
    ("Okello Tim", "Tom Okello", BLOCK),
    ("Okello", "John Okello", REVIEW),
    ("O. J.", "John Okello", REVIEW),
    ("Okello John Paul", "Okello Peter Paul", REVIEW),
    ("Okello John", "Peter Okello", BLOCK),
    ("Kato Isaac", "Wasswa Isaac", BLOCK),
    ("Nakato Grace", "Babirye Ruth", BLOCK),
    ("Okello P.", "John Okello", BLOCK),
]
GHANA = [
    ("Kwame Mensah", "MENSAH KWAME", PASS),
    ("Nana Akua Boateng", "Akua Boateng", PASS),
    ("Nana Akua Boateng", "Nana Akua Boateng", PASS),
    ("K. A. Asante", "Kwabena Asante", PASS),
    ("Kwabena Asante-Poku", "Asante Poku Kwabena", PASS),
    ("Alhaji Musa Ibrahim", "Musa Ibrahim", PASS),
    ("Abla Dzifa Kɔmla", "Abla Dzifa Komla", PASS),
    ("Esi Quayson", "Esi Quaison", REVIEW),
    ("Ama Serwaa Bonsu", "Afia Serwaa Bonsu", REVIEW),
    ("Nana Akua", "Akua Boateng", REVIEW),
    ("Kofi Mensah", "Ama Mensah", BLOCK),
    ("Dr Kofi Mensah", "Dr Ama Mensah", BLOCK),
    ("Ama Boadu", "Aba Boadu", BLOCK),
    ("Amma Boadu", "Ama Boadu", REVIEW),
    ("Abdul Rahmen Musa", "Abdulrahman Musa", REVIEW),
    ("Yaw Osei", "Kwasi Appiah", BLOCK),
]
CAMEROON = [
    ("Ngo Bassa épse Kamga Marie", "Marie Kamga Ngo Bassa", PASS),
    ("NGUÉMO Élisabeth", "nguemo elisabeth", PASS),
    ("M. Mbarga Jean-Paul", "MBARGA JEAN PAUL", PASS),
    ("Mbarga Jeanpaul", "Jean-Paul Mbarga", PASS),
    ("Kamga Junior", "Kamga Junior", PASS),
    ("Nkwenti Chi", "Chi Nkwenti Fon", PASS),
    ("Mbarga Jean", "John Mbarga", REVIEW),
    ("Fotso Stéphane", "FOTSO ETIENNE", REVIEW),
    ("Ngono Marie", "Ngono Mary Claire", REVIEW),
    ("Kamga Junior", "Kamga Paul", REVIEW),
    ("Fotso Alain", "Fotso Brigitte", BLOCK),
    ("Mbarga Jean", "Etoundi Serge", BLOCK),
]
COTE_DIVOIRE = [
    ("N'Guessan Aya", "NGUESSAN AYA", PASS),
    ("N\u2019GUESSAN Aya Clarisse", "N Guessan Aya", PASS),
    ("KOUASSI Kouamé Jean", "Kouame Jean KOUASSI", PASS),
    ("Ouédraogo Salif", "OUEDRAOGO SALIF", PASS),
    ("Mme Aka Affoué", "AKA AFFOUE", PASS),
    ("El Hadj Cissé Malick", "Malick Cisse", PASS),
    ("Koné-Traoré Fatou", "FATOU KONE TRAORE", PASS),
    ("Koffi Amani", "Kofi Amani", REVIEW),
    ("Koné Fatou", "KONE FATOUMATA", REVIEW),
    ("Kouassi Jean-Marie", "Kouassi Jean-Baptiste", REVIEW),
    ("Traoré Moussa", "Traoré Awa", BLOCK),
    ("Yao Konan", "Koffi Kouadio", BLOCK),
]
ZAMBIA = [
    ("Mwansa Chanda", "Chanda Mwansa", PASS),
    ("Ba Mwansa Chanda", "Chanda Mwansa", PASS),
    ("Bana Chileshe Bwalya", "Bwalya Chileshe", PASS),
    ("Banda Mary-Jane", "Maryjane Banda", PASS),
    ("Phiri, Joseph", "Joseph  Phiri", PASS),
    ("Mulenga Chola", "Mulenga Chole", REVIEW),
    ("Tembo Stephen", "Steven Tembo", REVIEW),
    ("Phiri Joseph", "Phiri Esther", BLOCK),
    ("Zulu Mutale", "Lungu Bupe", BLOCK),
]
TABLE = [*UGANDA, *GHANA, *CAMEROON, *COTE_DIVOIRE, *ZAMBIA]


@pytest.mark.parametrize(("ours", "theirs", "verdict"), TABLE)
def test_names_of_five_markets(ours: str, theirs: str, verdict: CheckVerdict) -> None:
    judged = judge(ours, active=True, holder_name=theirs, thresholds=DEFAULTS)
    assert judged.verdict is verdict, judged


def test_a_number_without_a_wallet_is_blocked_whatever_its_name() -> None:
    judged = judge("Okello John", active=False, holder_name="Okello John", thresholds=DEFAULTS)
    assert judged == Judgement(BLOCK, "inactive")


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict", "why"),
    [
        (None, "Okello John", PASS, "active_only"),
        ("Okello John", None, REVIEW, "nameless"),
        ("Okello John", "***", REVIEW, "no_letters"),
        ("12345", "Okello John", REVIEW, "no_letters"),
        ("Okello John", "محمد علي", REVIEW, "other_script"),
        ("محمد علي", "علي محمد", PASS, "same"),
        ("Amina Okello", "A*** O***", REVIEW, "initials"),
    ],
)
def test_what_cant_be_compared_is_for_a_person(
    ours: str | None, theirs: str | None, verdict: CheckVerdict, why: str
) -> None:
    judged = judge(ours, active=True, holder_name=theirs, thresholds=DEFAULTS)
    assert (judged.verdict, judged.why) == (verdict, why)


def test_the_thresholds_are_what_decides() -> None:
    said = [judge("Okelo John", active=True, holder_name="Okello John", thresholds=Thresholds(*at)) for at in
            ((85, 60), (86, 85), (100, 86))]  # fmt: skip
    assert [one.verdict for one in said] == [PASS, REVIEW, BLOCK]
    assert {one.score for one in said} == {85}


def test_every_reason_has_its_words() -> None:
    assert set(WORDS) >= set(Likeness)
    assert not TITLES & PERHAPS_TITLES
    assert not (TITLES | PERHAPS_TITLES) & set(FORMS)
    for word in (*TITLES, *PERHAPS_TITLES, *FORMS):
        assert words(f"x{word}") == (f"x{word}",), word


# ---- what holds for any two names

WORD = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzéèôïçɛɔŋ"), min_size=2, max_size=10)
NAME = st.lists(WORD, min_size=1, max_size=5).map(" ".join)
ANY = st.one_of(NAME, st.text(max_size=60))


@given(ANY, ANY)
def test_who_is_asked_first_makes_no_difference(one: str, other: str) -> None:
    found = compare(one, other)
    assert found == compare(other, one)
    assert 0 <= found.score <= 100


@given(st.lists(WORD, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_order_case_hyphens_spaces_and_accents_mean_nothing(parts: list[str], chance: object) -> None:
    other = list(parts)
    chance.shuffle(other)  # type: ignore[attr-defined]  # a random.Random of hypothesis
    written = "  ".join(unicodedata.normalize("NFD", part).upper() for part in other)
    assert compare("-".join(parts), written) == compare(" ".join(parts), " ".join(parts))


@given(NAME)
def test_a_name_is_itself(name: str) -> None:
    assert compare(name, name).score == 100
    assume(not TITLES & set(words(name)))
    assert compare(f"Mr. {name}", name.upper()).score == 100


@given(st.lists(st.text("bcdfgklmnprstvwz", min_size=4, max_size=9), min_size=2, max_size=4), st.data())
def test_a_swapped_letter_is_never_a_pass_and_never_another_person(parts: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(parts) - 1))
    place = data.draw(st.integers(0, len(parts[at]) - 2))
    word = parts[at]
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    other = [*parts[:at], swapped, *parts[at + 1 :]]
    if swapped != word and sorted(other) != sorted(parts):
        judged = judge(" ".join(parts), active=True, holder_name=" ".join(other), thresholds=DEFAULTS)
        assert judged.verdict is REVIEW, judged


@given(
    st.text("bcdfg", min_size=5, max_size=8),
    st.text("klmnp", min_size=5, max_size=8),
    st.text("rstvw", min_size=5, max_size=8),
)
def test_one_name_of_two_that_is_another_is_another_person(shared: str, ours: str, theirs: str) -> None:
    for one, other in ((f"{shared} {ours}", f"{theirs} {shared}"), (f"{ours} {shared}", theirs), (ours, theirs)):
        assert judge(one, active=True, holder_name=other, thresholds=DEFAULTS).verdict is BLOCK


@given(WORD, WORD)
def test_a_distance_is_one(one: str, other: str) -> None:
    found = names._distance(one, other)
    assert found == names._distance(other, one)
    assert (found == 0) == (one == other)
    assert abs(len(one) - len(other)) <= names._at_least_apart(one, other) <= found <= max(len(one), len(other))


@given(st.text(max_size=400))
def test_words_are_few_and_short_and_plain(name: str) -> None:
    found = words(name)
    assert len(found) <= 12
    assert all(word and word == word.casefold() for word in found)
    assert words(" ".join(found)) == found
