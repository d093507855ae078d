"""Jobs as producers send them: JSON bytes come in, a checked job or every reason against it goes out (design.md 6.1). Pure.

A refusal names field, value, reason and what to do; all of a job's problems are told at once.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from momo_worker.payment.job_text import Fraction, JobError, Problem, parse_fields, shown
from momo_worker.payment.money import AmountError, Currency, parse_amount
from momo_worker.payment.msisdn import MsisdnError, parse_msisdn
from momo_worker.payment.notes import NOTE_MAX
from momo_worker.payment.payment import Lane, Operation

#: A job's reader and its errors are asked for here; how JSON is read stands in `job_text`.
__all__ = [
    "FIELDS",
    "Job",
    "JobError",
    "Problem",
    "Terms",
    "account_of",
    "check_job",
    "is_external_id",
    "parse_fields",
    "shown",
]

METADATA_MAX_BYTES = 4 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_KEY = re.compile(r"[A-Za-z0-9._:/@+=-]{1,128}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9 ._:/@+=-]{1,128}", re.ASCII)
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_KEY_ADVICE = "use 1 to 128 characters of A-Z a-z 0-9 . _ : / @ + = -"

FIELDS = (
    "operation",
    "idempotency_key",
    "amount",
    "currency",
    "msisdn",
    "refund_of",
    "external_id",
    "payer_message",
    "payee_note",
    "account",
    "lane",
    "metadata",
    "not_before",
    "not_after",
    "replaces",
)


@dataclass(frozen=True, slots=True)
class Job:
    """A checked job in normal form; what depends on the ledger (keys of other payments, limits) isn't looked at yet."""

    operation: Operation
    account: str
    idempotency_key: str
    amount_minor: int
    currency: Currency
    msisdn: str | None
    refund_of: str | None
    external_id: str | None
    payer_message: str | None
    payee_note: str | None
    lane: Lane
    metadata: str | None
    not_before_ms: int | None
    not_after_ms: int | None
    replaces: str | None

    def canonical(self) -> str:
        """The normal form that "same body" compares: everything but metadata (M10)."""
        parts = [
            self.operation.value,
            self.account,
            self.amount_minor,
            self.currency.code,
            self.msisdn,
            self.refund_of,
            self.external_id,
            self.payer_message,
            self.payee_note,
            self.lane.value,
            self.not_before_ms,
            self.not_after_ms,
            self.replaces,
        ]
        return json.dumps(parts, ensure_ascii=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Terms:
    """What an account asks of its jobs."""

    currency: Currency
    region: str | None


def is_external_id(text: str) -> bool:
    """Whether MTN takes this text as our own id of a payment, as it stands."""
    return _EXTERNAL_ID.fullmatch(text) is not None and text == text.strip()


def account_of(fields: Mapping[str, Any]) -> str:
    """The account a job names, `default` where it names none; raises JobError for what can be no account's name."""
    name = fields.get("account")
    if name is None:
        return "default"
    if not isinstance(name, str) or isinstance(name, Fraction) or not _ACCOUNT.fullmatch(name):
        raise JobError(
            [
                Problem(
                    "account",
                    shown(name),
                    "is not an account's name",
                    "use a name from config/worker.toml, or leave it out",
                )
            ]
        )
    return name


def check_job(fields: Mapping[str, Any], terms: Terms) -> Job:
    """Check every field of a job against its account's terms; raises JobError with all problems at once."""
    reader = _Reader(fields, terms)
    job = reader.read()
    if reader.problems:
        raise JobError(reader.problems)
    if job is None:  # no problem and no job can't be: a mistake of ours must not pass as a payment
        raise AssertionError("a job without problems must be whole")
    return job


def _metadata_text(value: object) -> str:
    """Metadata as it came, numbers digit for digit: it goes back to the producer and means nothing to us."""
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_metadata_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_metadata_text, value)) + "]"
    return json.dumps(value)


class _Reader:
    """Reads one job, collecting problems instead of stopping at the first."""

    def __init__(self, fields: Mapping[str, Any], terms: Terms) -> None:
        self.fields = fields
        self.terms = terms
        self.problems: list[Problem] = []

    def problem(self, field: str, reason: str, advice: str) -> None:
        # The name, too, is the producer's where the field is none of ours.
        self.problems.append(Problem(shown(field), shown(self.fields.get(field, "")), reason, advice))

    def read(self) -> Job | None:
        for name in self.fields:
            if name not in FIELDS:
                self.problem(
                    name,
                    "is not a field of a job",
                    f"take it out, or put it into metadata; fields are {', '.join(FIELDS)}",
                )
        operation = self.choice("operation", Operation, None)
        refund = operation is Operation.REFUND
        values: dict[str, Any] = {
            "operation": operation,
            "account": self.account(),
            "idempotency_key": self.matched("idempotency_key", _KEY, _KEY_ADVICE, required=True),
            "amount_minor": self.amount(),
            "currency": self.currency(),
            "msisdn": self.absent("msisdn", "a refund goes back to who paid") if refund else self.msisdn(),
            "refund_of": self.matched(
                "refund_of", _KEY, "give the key of the collection that is refunded", required=True
            )
            if refund
            else self.absent("refund_of", "only a refund has it"),
            "external_id": self.trimmed(
                "external_id", _EXTERNAL_ID, "use 1 to 128 letters, digits, spaces or . _ : / @ + = -"
            ),
            "payer_message": self.note("payer_message"),
            "payee_note": self.note("payee_note"),
            "lane": self.choice("lane", Lane, Lane.INTERACTIVE),
            "metadata": self.metadata(),
            "not_before_ms": self.moment("not_before"),
            "not_after_ms": self.moment("not_after"),
            "replaces": self.matched("replaces", _KEY, "give the key of the failed payment that this one corrects"),
        }
        before, after = values["not_before_ms"], values["not_after_ms"]
        if before is not None and after is not None and after <= before:
            self.problem("not_after", "is not after not_before", "give a later time, or leave it out")
        return None if self.problems else Job(**values)

    def account(self) -> str | None:
        try:
            return account_of(self.fields)
        except JobError as error:
            self.problems += error.problems
            return None

    def text(self, name: str, *, required: bool = False) -> str | None:
        """The field as clean text; None when it is absent or was refused."""
        value = self.fields.get(name)
        if value is None:
            if required:
                self.problem(name, "is missing", f"every job of this operation has {name}")
            return None
        if not isinstance(value, str) or isinstance(value, Fraction):
            self.problem(name, "is not a string", f'send {name} as JSON text in "quotes"')
            return None
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            self.problem(name, "has a NUL or half a character in it", "send clean UTF-8 text")
            return None
        return value

    def matched(self, name: str, pattern: re.Pattern[str], advice: str, *, required: bool = False) -> str | None:
        value = self.text(name, required=required)
        if value is not None and not pattern.fullmatch(value):
            self.problem(name, "has characters or a length that can't be taken", advice)
            return None
        return value

    def trimmed(self, name: str, pattern: re.Pattern[str], advice: str) -> str | None:
        """The same without spaces at its ends, of which spreadsheets are full and which MTN doesn't give back."""
        value = self.matched(name, pattern, advice)
        if value is not None and not value.strip():
            self.problem(name, "is only spaces", advice)
            return None
        return value.strip() if value is not None else None

    def choice(self, name: str, kind: Any, default: Any) -> Any:
        value = self.text(name, required=default is None)
        if value is None:
            return default
        try:
            return kind(value)
        except ValueError:
            self.problem(name, "is none of those there are", f"use one of {', '.join(member.value for member in kind)}")
            return None

    def absent(self, name: str, why: str) -> str | None:
        if self.fields.get(name) is not None:
            self.problem(name, "doesn't belong to this operation", f"leave it out: {why}")
        return None

    def amount(self) -> int | None:
        value = self.fields.get("amount")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        elif isinstance(value, Fraction):
            self.problem(
                "amount",
                "is a JSON number with a fraction",
                'send it as text, such as "12.50", so that no reader rounds it',
            )
            return None
        elif value is not None and not isinstance(value, str):
            self.problem("amount", "is not text", 'send it as text, such as "150000"')
            return None
        if value is None:
            self.problem("amount", "is missing", "every job has an amount")
            return None
        try:
            return parse_amount(value, self.terms.currency)
        except AmountError as error:
            self.problem("amount", error.reason, error.advice)
            return None

    def currency(self) -> Currency:
        value = self.text("currency", required=True)
        if value is not None and value != self.terms.currency.code:
            self.problem(
                "currency",
                f"is not this account's, which is {self.terms.currency.code}",
                "use the account's currency, or the account of the other market",
            )
        return self.terms.currency

    def msisdn(self) -> str | None:
        value = self.text("msisdn", required=True)
        if value is None:
            return None
        try:
            return parse_msisdn(value, self.terms.region)
        except MsisdnError as error:
            self.problem("msisdn", error.reason, error.advice)
            return None

    def note(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and len(value) > NOTE_MAX:
            self.problem(name, f"has {len(value)} characters", f"shorten it to {NOTE_MAX}")
            return None
        return value or None  # an empty note is no note: the default is filled in either way (M10)

    def metadata(self) -> str | None:
        value = self.fields.get("metadata")
        if value is None:
            return None
        if not isinstance(value, dict):
            self.problem("metadata", "is not an object", "send a JSON object, or leave it out")
            return None
        text = _metadata_text(value)
        if len(text) > METADATA_MAX_BYTES:
            self.problem(
                "metadata",
                f"has {len(text)} bytes",
                f"shorten it to {METADATA_MAX_BYTES}; keep the rest in your own database",
            )
            return None
        return text

    def moment(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None or "T" not in value.upper():
            self.problem(
                name,
                "is not a time of RFC 3339 with a zone",
                "send it like 2026-12-01T06:00:00Z or 2026-12-01T09:00:00+03:00",
            )
            return None
        moment_ms = (at - _EPOCH) // _MILLISECOND
        if moment_ms < 0:
            self.problem(name, "is a time before 1970", "check the year")
            return None
        return moment_ms
