"""Which column holds what: a header line comes in, the place of each field goes out, in English and French, or why it can't be told."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from momo_worker.runs.amounts import CODES, SIGNS


class Column(StrEnum):
    """What a column of a run's file may hold."""

    ID = "id"
    NAME = "name"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    NUMBER = "number"
    AMOUNT = "amount"
    CURRENCY = "currency"
    NOTE = "note"
    COLLECTION = "collection"
    REPLACES = "replaces"
    #: Of a schedule's payers alone.
    ZONE = "zone"


#: Headers as people write them, without accents, case and marks. `momo run template --columns` prints them.
HEADERS: Mapping[Column, tuple[str, ...]] = {
    Column.ID: (
        "id", "staff id", "staff no", "staff number", "staff code", "employee id", "employee no", "employee number", "employee code",
        "emp id", "emp no", "payroll no", "payroll number", "personnel number", "worker id", "member id", "member no", "member number",
        "matricule", "numero matricule", "no matricule", "code employe", "identifiant", "row id",
    ),
    Column.NAME: (
        "name", "full name", "names", "employee name", "staff name", "beneficiary", "beneficiary name", "payee", "payee name",
        "recipient", "recipient name", "receiver", "account name", "nom complet", "nom et prenom", "nom et prenoms", "noms et prenoms",
        "nom prenom", "nom prenoms", "beneficiaire", "nom du beneficiaire", "nom de l employe", "destinataire",
    ),
    Column.FIRST_NAME: ("first name", "given name", "forename", "prenom", "prenoms"),
    Column.LAST_NAME: ("last name", "surname", "family name", "nom", "nom de famille"),
    Column.NUMBER: (
        "phone", "phone no", "phone number", "mobile", "mobile no", "mobile number", "mobile money number", "momo", "momo number",
        "momo no", "msisdn", "telephone", "telephone no", "telephone number", "tel", "tel no", "number", "cell", "cellphone",
        "cell phone", "contact", "wallet", "wallet number", "mtn number", "numero", "numero de telephone", "no de telephone",
        "n de telephone", "numero telephone", "telephone portable", "portable", "numero momo", "numero mobile", "numero mtn",
    ),
    Column.AMOUNT: (
        "amount", "amount to pay", "net", "net pay", "net salary", "net amount", "salary", "pay", "payment", "payment amount", "total",
        "wage", "wages", "fee", "fees", "due", "montant", "montant net", "montant a payer", "net a payer", "salaire", "salaire net",
        "somme", "paie", "a payer",
    ),
    Column.CURRENCY: ("currency", "currency code", "ccy", "devise", "monnaie"),
    Column.NOTE: (
        "note", "notes", "message", "description", "reason", "narration", "remark", "remarks", "details", "payment reason", "motif",
        "libelle", "commentaire", "objet", "remarque",
    ),
    Column.COLLECTION: (
        "collection", "refund of", "collection key", "collection reference", "original key", "original payment", "original reference",
        "paiement d origine", "encaissement", "reference d origine",
    ),
    Column.REPLACES: ("replaces", "replaces key", "corrects", "remplace"),
}  # fmt: skip
#: Fewer fields than these may stand in a title by chance.
_HEADER_FIELDS_MIN = 2
#: What a kind of file calls its columns.
Headers = Mapping[Column, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Header:
    """Where each field stands, and which headers nobody asked for."""

    places: Mapping[Column, int]
    titles: tuple[str, ...]
    unread: tuple[str, ...]

    def told(self) -> list[tuple[str, str]]:
        """The stated mapping: field and the header it is read from."""
        return [(column.value, self.titles[place]) for column, place in self.places.items()]


class HeaderError(ValueError):
    """A header line that names too little or too much; every problem at once, each with what to do."""

    def __init__(self, problems: Sequence[tuple[str, str, str]]) -> None:
        super().__init__("; ".join(f"{value}: {reason}; {advice}" for value, reason, advice in problems))
        self.problems = tuple(problems)


def plain(title: str) -> str:
    """`N° de Téléphone ` becomes `n de telephone`."""
    folded = unicodedata.normalize("NFKD", title.replace("°", " ").replace("º", " "))
    letters = "".join(char for char in folded if not unicodedata.combining(char)).casefold()
    return re.sub(r"[\W_]+", " ", letters).strip()


#: What may stand behind an amount's header, as in `Amount (UGX)`: that it is the account's currency is checked with the rows.
_CURRENCY_WORDS = frozenset(
    word for name in (*CODES, *(sign for signs in SIGNS.values() for sign in signs)) for word in plain(name).split()
)


def field_of(title: str, headers: Headers = HEADERS) -> Column | None:
    """What a header names, if it is one of those that are known."""
    words = plain(title)
    found = _named(words, headers)
    if found is not None:
        return found
    while words.rpartition(" ")[2] in _CURRENCY_WORDS:
        words = words.rpartition(" ")[0]
    return Column.AMOUNT if words in headers[Column.AMOUNT] else None


def _named(words: str, headers: Headers) -> Column | None:
    return next((column for column, known in headers.items() if words in known), None)


def looks_like_header(
    titles: Sequence[str], named: Mapping[Column, str] | None = None, headers: Headers = HEADERS
) -> bool:
    """Whether a line names at least two fields, or all that a person named: what stands above it in a file is a title."""
    if named and {plain(title) for title in named.values()} <= {plain(title) for title in titles}:
        return True
    return len({field_of(title, headers) for title in titles} - {None}) >= _HEADER_FIELDS_MIN


def find_columns(
    titles: Sequence[str], named: Mapping[Column, str], needed: Sequence[Column], headers: Headers = HEADERS
) -> Header:
    """The place of each field; `named` are those that a person named by their headers. Raises HeaderError."""
    problems = _named_wrongly(titles, named)
    places: dict[Column, int] = {}
    by_person = {plain(title): column for column, title in named.items() if plain(title)}
    for place, title in enumerate(titles):
        column = by_person.get(plain(title)) or field_of(title, headers)
        if column is None or (column in named and plain(title) not in by_person):
            continue
        if column in places:
            problems.append(_named_twice(column, titles[places[column]], title))
            continue
        places[column] = place
    if Column.LAST_NAME in places and Column.NAME not in places and Column.FIRST_NAME not in places:
        # "Nom" alone is the whole name.
        places[Column.NAME] = places.pop(Column.LAST_NAME)
    for column in needed:
        if column not in places:
            known = ", ".join(headers[column][:5])
            advice = f"give it a header such as {known}, or say which it is: --column {column.value}=HEADER"
            problems.append(
                (" | ".join(title for title in titles if title) or "(empty)", f"no column for {column.value}", advice)
            )
    if problems:
        raise HeaderError(problems)
    read = set(places.values())
    return Header(
        places, tuple(titles), tuple(title for place, title in enumerate(titles) if title and place not in read)
    )


def _named_wrongly(titles: Sequence[str], named: Mapping[Column, str]) -> list[tuple[str, str, str]]:
    problems = []
    known = {plain(title) for title in titles if plain(title)}
    told: dict[str, Column] = {}
    for column, title in named.items():
        if plain(title) not in known:
            problems.append(
                (title, f"is no column of the file, and was named as {column.value}", "name one as the file writes it")
            )
        other = told.setdefault(plain(title), column)
        if other is not column:
            problems.append((title, f"was named as {other.value} and as {column.value}", "name one column for each"))
    return problems


def _named_twice(column: Column, first: str, second: str) -> tuple[str, str, str]:
    if plain(first) == plain(second):
        return (
            second,
            f"stands twice in the header and looks like {column.value}",
            "take one out, or give it another header",
        )
    return (second, f"and {first!r} both look like {column.value}", f"say which: --column {column.value}=HEADER")
