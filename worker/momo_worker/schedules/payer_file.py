"""A list of payers: a CSV or XLSX file's bytes come in, payers with ids and amounts go out, or every problem at once. Writes nothing.

A payer has an id of the business's own (money-review H3): two children on one phone are two payers, and a new SIM is the same one. A list
without ids is taken only where no number comes twice; the id is then made of the number.
"""

import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from momo_worker.ledger.schedules import Payer
from momo_worker.payment.job import Terms
from momo_worker.runs.columns import HEADERS, Column, Header, HeaderError, Headers
from momo_worker.runs.fields import ID_MAX, FieldReader, find_header, refuse_other_currency
from momo_worker.runs.keys import id_in_key, own_id
from momo_worker.runs.sheets import FileError, Line, open_sheet
from momo_worker.schedules.refusals import Problem, refuse
from momo_worker.timing.local_time import zone_of
from momo_worker.timing.problems import ZoneError

PAYERS_MAX = 100_000
#: A schedule's keys hold its id and the period besides, and may end with a number.
KEY_ID_MAX = 64
_ZONE_MAX = 64
_LINES_NAMED = 10

#: Words of schools, landlords, savings groups and lenders, besides those of runs.
PAYER_HEADERS: Headers = {
    Column.ID: (
        *HEADERS[Column.ID], "payer id", "payer no", "payer number", "student id", "student no", "student number", "pupil id", "pupil no",
        "pupil number", "learner id", "learner no", "admission no", "admission number", "reg no", "registration no", "registration number",
        "index no", "tenant id", "tenant no", "unit", "unit no", "room", "room no", "house no", "customer id", "customer no",
        "customer number", "client id", "client no", "client number", "member", "borrower id", "borrower no", "loan id", "loan no",
        "loan number", "numero eleve", "no eleve", "code eleve", "numero etudiant", "numero membre", "no membre", "code membre", "membre",
        "locataire no", "numero locataire", "numero client", "code client", "no client", "numero pret", "numero d inscription",
    ),
    Column.NAME: (
        *HEADERS[Column.NAME], "payer name", "student name", "student", "pupil name", "pupil", "learner name", "member name", "tenant",
        "tenant name", "customer", "customer name", "client", "client name", "borrower", "borrower name", "nom de l eleve", "eleve",
        "nom du membre", "nom du locataire", "locataire", "nom du client",
    ),
    Column.FIRST_NAME: HEADERS[Column.FIRST_NAME],
    Column.LAST_NAME: HEADERS[Column.LAST_NAME],
    Column.NUMBER: (*HEADERS[Column.NUMBER], "parent phone", "parent number", "guardian phone", "telephone du parent", "numero du parent"),
    Column.AMOUNT: (
        *HEADERS[Column.AMOUNT], "rent", "tuition", "school fees", "contribution", "instalment", "installment", "monthly fee",
        "subscription", "amount due", "loyer", "frais", "frais de scolarite", "scolarite", "cotisation", "echeance", "mensualite",
        "montant du",
    ),
    Column.CURRENCY: HEADERS[Column.CURRENCY],
    Column.ZONE: ("zone", "time zone", "timezone", "fuseau", "fuseau horaire"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PayerFile:
    """A file as it was read, under the name that its owner knows."""

    name: str
    content: bytes = field(repr=False)
    sheet: str | None = None
    columns: Mapping[Column, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PayerList:
    """What a file holds, and what a person should know of how it was read."""

    payers: tuple[Payer, ...]
    warnings: tuple[Problem, ...]
    read_from: tuple[tuple[str, str], ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Said:
    """One line."""

    line: int
    payer_id: str | None
    name: str | None
    msisdn: str
    amount_minor: int
    zone: str | None


def read_payers(file: PayerFile, terms: Terms, namespace: uuid.UUID, fixed_minor: int | None) -> PayerList:
    """All payers of a file, each with the file's amount, or the schedule's fixed one. Raises NotChangedError with every problem."""
    try:
        header, said, reader = _read(file, terms, fixed_minor)
    except FileError as error:
        refuse([Problem(file.name, "", error.reason, error.advice)])
        raise
    except HeaderError as error:
        refuse([Problem(f"{file.name}, header", *problem) for problem in error.problems])
        raise
    problems = [_placed(file, one.line, one.column, one.value, one.reason, one.advice) for one in reader.problems]
    with_ids = Column.ID in header.places
    problems += _ids_twice(file, header, reader.ids) if with_ids else _numbers_twice(file, said)
    refuse(problems)
    warnings = [_placed(file, one.line, one.column, one.value, one.reason, one.advice) for one in reader.warnings]
    payers = tuple(sorted((_payer(namespace, one) for one in said), key=lambda payer: payer.payer_id))
    return PayerList(payers, tuple(warnings), tuple(header.told()), header.unread)


def _read(file: PayerFile, terms: Terms, fixed_minor: int | None) -> tuple[Header, list[_Said], "_Reader"]:
    lines = iter(open_sheet(file.content, file.sheet).lines)
    needed = (Column.NUMBER,) if fixed_minor is not None else (Column.NUMBER, Column.AMOUNT)
    _, header = find_header(lines, file.columns, needed, PAYER_HEADERS)
    refuse_other_currency(header, terms)
    if fixed_minor is not None and Column.AMOUNT in header.places:
        title = header.titles[header.places[Column.AMOUNT]]
        reason = "is a column of amounts, and the schedule has one amount for everybody"
        raise HeaderError([(title, reason, "take the column out, or give the amount as per-payer")])
    reader = _Reader(header, terms, fixed_minor)
    said: list[_Said] = []
    count = 0
    for line in lines:
        if line.empty:
            continue
        count += 1
        if count > PAYERS_MAX:
            raise FileError(f"has more than {PAYERS_MAX:,} payers", "make several schedules of it")
        one = reader.take(line)
        if one is not None:
            said.append(one)
    if not count:
        raise FileError("has a header and no payers", "write one line for each payer below it")
    return header, said, reader


class _Reader(FieldReader):
    """Reads one payer after another."""

    def __init__(self, header: Header, terms: Terms, fixed_minor: int | None) -> None:
        super().__init__(header, terms)
        self.fixed_minor = fixed_minor
        #: Of every line that has one, also where something else is wrong with it.
        self.ids: list[tuple[str, int]] = []

    def take(self, line: Line) -> _Said | None:
        """The payer of a line; None where something is wrong with it."""
        self.begin(line)
        said = self.text(Column.ID, ID_MAX, required=Column.ID in self.header.places)
        # One program saves an é as one character, another as two: the same child under both.
        payer_id = None if said is None else unicodedata.normalize("NFC", said)
        if payer_id is not None and len(payer_id) > ID_MAX:
            self.problem(
                Column.ID, payer_id, f"has {len(payer_id)} characters when written plainly", f"use at most {ID_MAX}"
            )
        if payer_id is not None:
            self.ids.append((payer_id, line.number))
        name = self.name()
        msisdn = self.number()
        amount_minor = self.amount() if self.fixed_minor is None else self.fixed_minor
        zone = self.zone()
        return None if self.failed else _Said(line.number, payer_id, name, msisdn or "", amount_minor, zone)

    def zone(self) -> str | None:
        """The payer's own time zone, for quiet hours."""
        value = self.text(Column.ZONE, _ZONE_MAX)
        if value is None:
            return None
        try:
            return zone_of(value).key
        except ZoneError as error:
            self.problem(Column.ZONE, value, error.reason, error.advice)
            return None


def _ids_twice(file: PayerFile, header: Header, ids: Sequence[tuple[str, int]]) -> list[Problem]:
    title = header.titles[header.places[Column.ID]]
    return [
        Problem(
            f"{file.name} line {lines[1]}, {title}",
            payer_id,
            f"stands in lines {_listed(lines)}",
            "give each payer an id of their own; who owes twice has one line with the sum",
        )
        for payer_id, lines in _lines_by(ids)
    ]


def _numbers_twice(file: PayerFile, said: Sequence[_Said]) -> list[Problem]:
    return [
        Problem(
            f"{file.name} line {lines[1]}, number",
            msisdn,
            f"stands in lines {_listed(lines)}, and the file has no column of ids that tells these payers apart",
            "add a column with the ids that you use yourself, such as student no",
        )
        for msisdn, lines in _lines_by([(one.msisdn, one.line) for one in said])
    ]


def _lines_by(pairs: Sequence[tuple[str, int]]) -> list[tuple[str, list[int]]]:
    """What stands in several lines, by the first of them."""
    found: dict[str, list[int]] = {}
    for value, line in pairs:
        found.setdefault(value, []).append(line)
    return [(value, lines) for value, lines in found.items() if len(lines) > 1]


def _listed(lines: Sequence[int]) -> str:
    more = len(lines) - _LINES_NAMED
    return ", ".join(map(str, lines[:_LINES_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def _placed(file: PayerFile, line: int, column: str, value: str, reason: str, advice: str) -> Problem:
    return Problem(f"{file.name} line {line}, {column}", value, reason, advice)


def _payer(namespace: uuid.UUID, said: _Said) -> Payer:
    # The amount isn't part of a made id: a fee that is raised asks the same payer.
    payer_id = said.payer_id or own_id(namespace, "payer", said.msisdn)
    key_id = id_in_key(namespace, payer_id, KEY_ID_MAX) if said.payer_id else payer_id
    return Payer(payer_id, key_id, said.name, said.msisdn, said.amount_minor, said.zone)
