"""Two names come in, how far they may be one person's goes out, in hundredths: a file's and MTN's. Pure; knows no number and keeps no name.

Names are written in any order, with some of them left out or cut to an initial, without their accents, with titles, in one word
or in two. All that is nothing. A slip of the pen is worth a look, and one name of two that is another is another person: sisters
share theirs. (A library of edit distances would save the fifteen lines of `_distance` and none of the rest; MTN's pace is the
limit here, not ours.)
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from momo_worker.runs.name_words import FORMS, LETTERS, PERHAPS_TITLES, TITLES

SAME = 100
#: What a word is worth that stands there as its initial, or with a slip, or in the form of another language.
_INITIAL, _SLIP = 90, 80
#: The most that may come of names in which a slip is; of one word beside several; of initials without any word in full.
_WITH_SLIPS_MAX, _ONE_WORD_MAX, _INITIALS_MAX = 85, 75, 70

#: Longer names than any are cut: a comparison must end.
_WORDS_MAX, _LETTERS_MAX = 12, 40
#: So many letters of a whole name must agree for it to be the same with a slip, wherever its words are parted.
_WHOLE_SHARE, _WHOLE_LETTERS_MIN = 85, 8

#: The straight one, the curly ones, what keyboards offer instead, and the letters of some alphabets that look so.
_APOSTROPHES = dict.fromkeys(map(ord, "'`\u2018\u2019\u02bc\u02bb\u02b9\u00b4\u2032\uff07"))


class Likeness(StrEnum):
    """Why a comparison came out as it did."""

    SAME = "same"  # every word of the shorter name stands in the other
    INITIALS = "initials"  # nothing in full agrees but initials
    ONE_WORD = "one_word"  # one of them has a single word
    SLIP = "slip"  # a letter or two, or the form of another language
    PARTLY = "partly"  # some words agree and one doesn't
    OTHER = "other"  # another name
    NO_LETTERS = "no_letters"  # nothing to compare
    OTHER_SCRIPT = "other_script"  # Arabic beside Latin letters


#: What can't be compared proves nothing either way.
UNCOMPARED = frozenset({Likeness.NO_LETTERS, Likeness.OTHER_SCRIPT})


@dataclass(frozen=True, slots=True)
class Comparison:
    """How alike, in hundredths, and what kind of likeness that is."""

    score: int
    likeness: Likeness


def compare(one: str, other: str) -> Comparison:
    """The same for both orders of its arguments."""
    ours, theirs = words(one), words(other)
    if not ours or not theirs:
        return Comparison(0, Likeness.NO_LETTERS)
    if _latin(ours) != _latin(theirs):
        return Comparison(0, Likeness.OTHER_SCRIPT)
    ours, theirs = _joined(ours, theirs), _joined(theirs, ours)
    ours, theirs = _without_titles(ours, theirs), _without_titles(theirs, ours)
    if sorted(ours) == sorted(theirs):
        return Comparison(SAME, Likeness.SAME)
    found = _scored(ours, theirs)
    if len(ours) == len(theirs) or found.score >= _WITH_SLIPS_MAX:
        return found
    return max(found, _whole(ours, theirs), key=lambda one: one.score)


def words(name: str) -> tuple[str, ...]:
    """A name's words in small plain letters; without titles, unless nothing else is left."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name.translate(_APOSTROPHES)).casefold())
    letters = "".join(c if c.isalpha() else " " for c in plain if not unicodedata.combining(c))
    found = [word[:_LETTERS_MAX] for word in letters.translate(LETTERS).split()[:_WORDS_MAX]]
    return tuple(word for word in found if word not in TITLES) or tuple(found)


def _latin(name: Sequence[str]) -> bool:
    return any("a" <= letter <= "z" for word in name for letter in word)


def _without_titles(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    """Take away what may be a title and means nothing to the other side."""
    kept = tuple(word for word in ours if word not in PERHAPS_TITLES or _means_something(word, theirs))
    return kept or ours


def _means_something(word: str, theirs: Sequence[str]) -> bool:
    return word in theirs or (len(word) == 1 and any(one.startswith(word) for one in theirs))


def _joined(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    """Neighbours that the other side writes as one word, as one: N Guessan, Jean-Paul, Abdul Rahman."""
    wanted = set(theirs) - set(ours)
    joined: list[str] = []
    at = 0
    while at < len(ours):
        width = next((n for n in (3, 2) if at + n <= len(ours) and "".join(ours[at : at + n]) in wanted), 1)
        joined.append("".join(ours[at : at + width]))
        at += width
    return tuple(joined)


def _scored(ours: Sequence[str], theirs: Sequence[str]) -> Comparison:
    """What the words of the shorter name are worth, the other's surplus being left out as people leave it out."""
    count = min(len(ours), len(theirs))
    values = list(_paired(Counter(ours), Counter(theirs)))
    score = sum(values) // count
    if len(values) < count:
        return Comparison(score, Likeness.PARTLY if values else Likeness.OTHER)
    if all(value == _INITIAL for value in values):
        return Comparison(min(score, _INITIALS_MAX), Likeness.INITIALS)
    if count == 1 < max(len(ours), len(theirs)):
        return Comparison(min(score, _ONE_WORD_MAX), Likeness.ONE_WORD)
    if _SLIP in values:
        return Comparison(min(score, _WITH_SLIPS_MAX), Likeness.SLIP)
    return Comparison(score, Likeness.SAME)


def _paired(ours: Counter[str], theirs: Counter[str]) -> Iterator[int]:
    """The worth of each word that found its like: equal ones first, then slips, then initials; each word once."""
    same = ours & theirs
    yield from (_INITIAL if len(word) == 1 else SAME for word in same.elements())
    left, right = sorted((ours - same).elements()), sorted((theirs - same).elements())
    for worth, alike in ((_SLIP, _slipped), (_INITIAL, _initial)):
        pairs = sorted(
            ((_distance(a, b), *sorted((a, b)), a, b) for a in set(left) for b in set(right) if alike(a, b)),
        )
        for *_, a, b in pairs:
            while a in left and b in right:
                left.remove(a)
                right.remove(b)
                yield worth


def _slipped(one: str, other: str) -> bool:
    """A letter of four to seven, two of more; of three only a swap, since Ama and Aba are two people."""
    if FORMS.get(one, one) == FORMS.get(other, other):
        return True
    longest, apart = max(len(one), len(other)), _at_least_apart(one, other)
    allowed = (longest >= 4) + (longest >= 8)  # noqa: PLR2004 (said above)
    if apart == 0 and longest > 2:  # noqa: PLR2004 (two letters that were swapped are two initials)
        allowed = max(allowed, 1)
    return apart <= allowed and _distance(one, other) <= allowed


def _initial(one: str, other: str) -> bool:
    return 1 in (len(one), len(other)) and one[0] == other[0]


def _whole(ours: Sequence[str], theirs: Sequence[str]) -> Comparison:
    """The names as one row of letters each: their words are parted otherwise, and may begin with another one."""
    best = max(_share(one, other) for one, other in _rotated(ours, theirs))
    if best < _WHOLE_SHARE:
        return Comparison(0, Likeness.OTHER)
    return Comparison(min(best, _WITH_SLIPS_MAX), Likeness.SLIP)


def _rotated(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for at in range(len(ours)):
        yield "".join((*ours[at:], *ours[:at])), "".join(theirs)
    for at in range(1, len(theirs)):
        yield "".join(ours), "".join((*theirs[at:], *theirs[:at]))


def _share(one: str, other: str) -> int:
    longest = max(len(one), len(other))
    allowed = longest * (SAME - _WHOLE_SHARE) // SAME
    if longest < _WHOLE_LETTERS_MIN or _at_least_apart(one, other) > allowed:
        return 0
    return (longest - _distance(one, other)) * SAME // longest


def _at_least_apart(one: str, other: str) -> int:
    """A bound that costs little: letters that one has and the other lacks."""
    ours, theirs = Counter(one), Counter(other)
    return max((ours - theirs).total(), (theirs - ours).total())


def _distance(one: str, other: str) -> int:
    """How many letters to change, add, leave out or swap with their neighbour."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
