"""Names of a run's rows: the run's name and what a row says come in, one key for each row goes out; where a row stands in its file changes none.

A file sorted in another way, or read again after a restore, names every payment as before, so that none is made twice (money-review A6, B3).
"""

import hashlib
import hmac
import re
import unicodedata
import uuid
from collections.abc import Sequence

from momo_worker.payment.reference import derive
from momo_worker.runs.rows import Row

RUN_RULE = "momo-run-1"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII)
_ALL_SAFE = re.compile(r"[A-Za-z0-9._:@+-]+", re.ASCII)
#: So that `run/<name>/<row id>/<n>` stays within a key's 128 characters.
_ID_IN_KEY_MAX = 72


def run_id(namespace: uuid.UUID, account: str, name: str, *said: str) -> str:
    """Our own id of a run, of everything that says what it would pay: a rebuilt ledger names the same run with the same id."""
    return derive(RUN_RULE, str(namespace), account, name, *said)


def row_keys(namespace: uuid.UUID, name: str, rows: Sequence[Row]) -> list[str]:
    """`run/<name>/<row id>/<n among equals>` for each row, in the rows' order.

    The row id is the file's own (a staff number), or an HMAC of number or collection and amount. Rows with one id (a salary and a
    bonus) are numbered by what they say and not by where they stand; of two that say the same it doesn't matter which is which.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of a run; use up to 40 of A-Z a-z 0-9 . _ - and begin with a letter or digit"
        )
    ids = [_row_id(namespace, row) for row in rows]
    order = sorted(range(len(rows)), key=lambda place: (ids[place], _content(rows[place])))
    keys = [""] * len(rows)
    before, count = "", 0
    for place in order:
        count = count + 1 if ids[place] == before else 1
        before = ids[place]
        keys[place] = f"run/{name}/{ids[place]}/{count}"
    return keys


def _content(row: Row) -> tuple[str, ...]:
    """What tells rows of one id apart: the largest amount first, so that the salary keeps its number when a bonus is added."""
    said = (row.msisdn, row.collection, row.note, row.name, row.replaces)
    return (f"{10**16 - row.amount_minor:017d}", *(text or "" for text in said))


def id_in_key(namespace: uuid.UUID, said: str, longest: int) -> str:
    """A business's own id with characters that a key has; one that is longer then is an HMAC of it."""
    # One program saves an é as one character, another as two.
    said = unicodedata.normalize("NFC", said)
    written = said if _ALL_SAFE.fullmatch(said) else "".join(map(_safe, said))
    # "h-" is kept for ours, so that no staff number can be taken for one.
    if len(written) > longest or written.startswith("h-"):
        return own_id(namespace, "id", said)
    return written


def own_id(namespace: uuid.UUID, *said: str) -> str:
    """Our own id of what has none: an HMAC of what it says."""
    return "h-" + _mac(namespace, *said)


def _row_id(namespace: uuid.UUID, row: Row) -> str:
    if row.row_id is None:
        return own_id(namespace, row.msisdn or "", row.collection or "", str(row.amount_minor))
    return id_in_key(namespace, row.row_id, _ID_IN_KEY_MAX)


def _safe(char: str) -> str:
    return char if _ALL_SAFE.fullmatch(char) else "".join(f"={byte:02X}" for byte in char.encode())


def _mac(namespace: uuid.UUID, *parts: str) -> str:
    framed = b"".join(len(data).to_bytes(4, "big") + data for data in (part.encode() for part in parts))
    return hmac.new(namespace.bytes, framed, hashlib.sha256).hexdigest()[:32]
