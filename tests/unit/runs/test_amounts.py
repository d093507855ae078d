"""An amount in a file is read exactly, or refused with a reason: what can mean two things means nothing here."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.payment.money import AmountError, Currency, format_amount, parse_amount
from momo_worker.runs.amounts import DECIMAL_COMMA, SIGNS, other_currency, plain_amount

UGX = Currency("UGX", 0)
GHS = Currency("GHS", 2)
XOF = Currency("XOF", 0)
ZMW = Currency("ZMW", 2)
LRD = Currency("LRD", 2)
ENGLISH = st.sampled_from([UGX, GHS, ZMW, LRD, Currency("RWF", 0), Currency("NGN", 2)])
ANY = st.sampled_from(
    [UGX, GHS, XOF, ZMW, LRD, Currency("ZAR", 2), Currency("SZL", 2), Currency("EUR", 2), Currency("KWD", 3)]
)


@pytest.mark.parametrize(
    ("text", "currency", "plain"),
    [
        ("150000", UGX, "150000"),
        ("150,000", UGX, "150000"),
        ("UGX 150000", UGX, "150000"),
        ("ugx150,000", UGX, "150000"),
        ("150000/=", UGX, "150000"),
        ("150 000/-", UGX, "150000"),
        ("USh. 150,000/=", UGX, "150000"),
        ("Shs.500", UGX, "500"),
        ("500 Shs.", UGX, "500"),
        ("1,500,000", UGX, "1500000"),
        ("1.500.000", UGX, "1500000"),
        ("150000,00", UGX, "150000.00"),
        ("150\u00a0000", XOF, "150000"),
        ("1\u202f500\u202f000 F CFA", XOF, "1500000"),
        ("150 000 FCFA", XOF, "150000"),
        ("150000 F.CFA", XOF, "150000"),
        ("150'000", GHS, "150000"),
        ("150\u2019000.50", GHS, "150000.50"),
        ("'150000", UGX, "150000"),
        ("\ufeff150000\u200b", UGX, "150000"),
        ("GH₵ 1,234.5", GHS, "1234.5"),
        ("1.234,50", GHS, "1234.50"),
        ("1 234,50", GHS, "1234.50"),
        ("12.50", GHS, "12.50"),
        ("0,500", GHS, "0.500"),
        ("K150", ZMW, "150"),
        ("L$ 20", LRD, "20"),
        ("$20", Currency("USD", 2), "20"),
        ("N5,000", Currency("NGN", 2), "5000"),
    ],
)
def test_what_has_one_meaning_is_understood(text: str, currency: Currency, plain: str) -> None:
    assert plain_amount(text, currency) == plain


@pytest.mark.parametrize(
    ("text", "currency", "reason"),
    [
        ("150.000", UGX, "can be read as 150000 and as 150.000"),
        ("1.500", GHS, "can be read as 1500 and as 1.500"),
        ("150,000", XOF, "can be read as 150000 and as 150.000"),
        ("1500,000", UGX, "can be read as"),
        ("1,234.567", GHS, "two ways"),
        ("1,500", Currency("KWD", 3), "can be read as"),
        ("150K", ZMW, "not an amount"),
        ("GHS.50", GHS, "not an amount"),
        ("150,00,000", UGX, "separators"),
        ("15,0000,000", UGX, "separators"),
        ("150 000 200 1", UGX, "separators"),
        ("150000 150000", UGX, "separators"),
        ("150,000 200", UGX, "separators"),
        ("150,000,", UGX, "separators"),
        ("0,150,000", UGX, "separators"),
        ("150000.", UGX, "separators"),
        ("150000; 200", UGX, "not an amount"),
        ("150000 or 200", UGX, "not an amount"),
        ("15O000", UGX, "not an amount"),
        ("\u0661\u0665\u0660", UGX, "not an amount"),
        ("150²", UGX, "not an amount"),
        ("\uff11\uff15\uff10", UGX, "not an amount"),
        ("50%", GHS, "not an amount"),
        ("=150000", UGX, "not an amount"),
        ("", UGX, "not an amount"),
        ("UGX", UGX, "not an amount"),
        ("1.5E+05", UGX, "shortened"),
        ("1,5e5", UGX, "shortened"),
        ("-150", UGX, "negative"),
        ("\u2212150", UGX, "negative"),
        ("(150)", UGX, "negative"),
        ("UGX -150", UGX, "negative"),
        ("-UGX 150", UGX, "negative"),
        ("150-", UGX, "negative"),
        ("/-150", UGX, "not an amount"),
        ("KES 150", UGX, "is in KES"),
        ("$150", UGX, "is in $"),
        ("US$ 150", LRD, "is in US$"),
        ("150 000 FCFA", UGX, "is in FCFA"),
        ("12.5", UGX, "fraction"),
        ("12.345", Currency("EUR", 2), "can be read as"),
        ("0", UGX, "zero"),
        ("1234567890123", UGX, "plain"),
    ],
)
def test_what_is_no_amount_or_has_two_meanings_is_refused(text: str, currency: Currency, reason: str) -> None:
    with pytest.raises(AmountError) as told:
        plain_amount(text, currency)
    assert reason in told.value.reason
    assert told.value.advice


def grouped(whole: str, mark: str) -> str:
    """Thousands parted by a mark, as no formatter of Python does for each mark."""
    head = len(whole) % 3 or 3
    return mark.join([whole[:head], *(whole[at : at + 3] for at in range(head, len(whole), 3))])


@given(
    st.integers(1, 10**12 - 1), ENGLISH, st.sampled_from(["", ",", " ", "'", "\u00a0", "\u202f", "\u2019"]), st.data()
)
def test_a_decorated_amount_is_read_back_exactly(
    minor: int, currency: Currency, mark: str, data: st.DataObject
) -> None:
    whole, _, fraction = format_amount(minor, currency.exponent).partition(".")
    written = grouped(whole, mark) + (f".{fraction}" if fraction else "")
    signs = (currency.code, *(sign for sign in SIGNS.get(currency.code, ()) if not sign.startswith("/")))
    before = data.draw(st.sampled_from(["", " ", "\ufeff", "'", *signs, *(f"{sign} " for sign in signs)]))
    behind = data.draw(st.sampled_from(["", " ", f" {currency.code}", f"\u00a0{currency.code.lower()}"]))
    assert parse_amount(plain_amount(f"{before}{written}{behind}", currency), currency) == minor


@given(st.text(alphabet="0123456789.,' ", min_size=1, max_size=14), ANY)
def test_no_text_of_figures_has_another_meaning_than_the_one_that_is_read(text: str, currency: Currency) -> None:
    """Every meaning is computed here the slow way: where what can be paid is more than one amount, none may be read."""
    try:
        read = Decimal(plain_amount(text, currency))
    except AmountError:
        return
    assert read in meanings(text.strip().lstrip("'").strip(), currency)
    assert len(meanings(text.strip().lstrip("'").strip(), currency)) == 1


def meanings(text: str, currency: Currency) -> set[Decimal]:
    """What a text of figures may mean to somebody: any mark parts thousands, and a point or a comma may be the last that does not."""
    found = set()
    for decimal in ("", ".", ","):
        whole, point, fraction = text.rpartition(decimal) if decimal and decimal in text else (text, "", "")
        marks = {char for char in whole if not char.isdigit()}
        groups = whole.replace("'", ",").replace(" ", ",").replace(".", ",").split(",")
        apart = len(groups) == 1 or (
            all(len(group) == 3 for group in groups[1:]) and 1 <= len(groups[0]) <= 3 and groups[0][0] != "0"
        )
        if (
            len(marks) > 1
            or point in marks - {""}
            or not apart
            or (point and not fraction)
            or not whole
            or not (fraction + "0").isdigit()
        ):
            continue
        # Nobody parts decimals by a comma in an English market, three of them least.
        english = currency.code not in DECIMAL_COMMA and currency.exponent < 3
        if english and point == "," and len(fraction) == 3 and len(whole) <= 3 and whole[0] != "0":
            continue
        found.add(Decimal(f"{''.join(groups)}.{fraction or '0'}"))
    return found


@given(st.text(max_size=20), ANY)
def test_any_text_is_an_amount_or_a_refusal_that_says_what_to_do(text: str, currency: Currency) -> None:
    try:
        plain = plain_amount(text, currency)
    except AmountError as error:
        refusal = error
    else:
        assert isinstance(plain, str)
        assert parse_amount(plain, currency) > 0
        return
    assert refusal.reason
    assert refusal.advice


@pytest.mark.parametrize(
    ("title", "currency", "other"),
    [
        ("Amount (UGX)", UGX, None),
        ("Amount (USD)", UGX, "USD"),
        ("Amount ($)", UGX, "$"),
        ("Montant FCFA", XOF, None),
        ("Montant FCFA", GHS, "FCFA"),
        ("Amount KSH", UGX, "KSH"),
        ("Amount", UGX, None),
    ],
)
def test_a_currency_that_is_named_is_seen(title: str, currency: Currency, other: str | None) -> None:
    assert other_currency(title, currency) == other
