"""Declared schedules become those of the ledger, all of them or none: what was added, edited and left alone goes out. Removes nothing by itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from momo_worker.commons.parts import Parts
from momo_worker.ledger import schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.payment import Product
from momo_worker.schedules.declared import Declared
from momo_worker.schedules.editing import Permitted, Prepared, Taken, Wish, prepare, take
from momo_worker.schedules.payer_file import PayerFile
from momo_worker.schedules.refusals import NotChangedError, Problem

#: Reads a payers' file of an entry. Raises NotChangedError.
ReadFile = Callable[[Declared], PayerFile]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a file has done, or would do."""

    taken: tuple[Taken, ...]
    #: In the ledger and not in the file.
    left: tuple[Schedule, ...]


class _Undone(Exception):  # noqa: N818 - no error: a dry run's way to take everything back
    """Carries what would have been done out of a transaction that isn't kept."""

    def __init__(self, applied: Applied) -> None:
        super().__init__()
        self.applied = applied


def apply_declared(
    parts: Parts, declared: Sequence[Declared], read_file: ReadFile, permitted: Permitted, *, by: str, dry_run: bool
) -> Applied:
    """Bring the ledger to what is declared, in one transaction; a dry run does all of it and keeps none. Raises NotChangedError."""
    prepared = _prepare_all(parts, declared, read_file, by)
    try:
        with parts.ledger.write() as tx:
            applied = _take_all(tx, parts, prepared, permitted, {one.schedule_id for one in declared})
            _undo(applied, dry_run=dry_run)
            return applied
    except _Undone as undone:
        return undone.applied


def _undo(applied: Applied, *, dry_run: bool) -> None:
    """Leave the transaction without keeping it."""
    if dry_run:
        raise _Undone(applied)


def _prepare_all(parts: Parts, declared: Sequence[Declared], read_file: ReadFile, by: str) -> list[Prepared]:
    with parts.ledger.read() as tx:
        now_ms = tx.now_ms
        known = {one.schedule_id: schedules.find(tx, one.schedule_id) for one in declared}
        ends = {one.schedule_id: schedules.last_end(tx, one.schedule_id) for one in declared}
    whys: list[str] = []
    problems: list[Problem] = []
    prepared: list[Prepared] = []
    for one in declared:
        try:
            wish = _wish(parts, one, known[one.schedule_id], ends, read_file, by)
            prepared.append(prepare(parts, wish, now_ms))
        except NotChangedError as error:
            _gather(error, whys, problems)
    _refuse(whys, problems)
    return prepared


def _wish(
    parts: Parts,
    one: Declared,
    before: Schedule | None,
    ends: Mapping[str, str | None],
    read_file: ReadFile,
    by: str,
) -> Wish:
    account = parts.accounts.get(one.account)
    if account is None or Product.COLLECTION not in account.credentials:
        known = ", ".join(parts.accounts) or "none"
        reason = "is no account of this machine" if account is None else "has no credentials to collect"
        raise _one(Problem(one.place("account"), one.account, reason, f"there are: {known}; see worker.toml and .env"))
    if before is not None and before.state == "removed":
        advice = "take the entry out, or draw a new id: `momo schedule add … --print-toml`"
        raise _one(Problem(one.place("id"), one.schedule_id, "is of a schedule that was removed", advice))
    if before is not None and before.account != one.account:
        reason = f"is another account than the schedule's, which is {before.account}"
        raise _one(Problem(one.place("account"), one.account, reason, "remove that schedule and make a new one"))
    said = one.said if one.zone_said else replace(one.said, zone=account.market.zone)
    # With what a schedule begins is decided once, when it is made.
    begins = one.begins if before is None else None
    return Wish(
        one.account,
        said,
        read_file(one),
        by,
        before,
        ends[one.schedule_id],
        schedule_id=one.schedule_id,
        begins=begins,
        place=one.place,
    )


def _take_all(tx: Tx, parts: Parts, prepared: Sequence[Prepared], permitted: Permitted, declared: set[str]) -> Applied:
    whys: list[str] = []
    problems: list[Problem] = []
    taken: list[Taken] = []
    for one in prepared:
        try:
            taken.append(take(tx, parts, one, permitted))
        except NotChangedError as error:
            _gather(error, whys, problems)
    # Raised within the transaction: what the others have written is taken back.
    _refuse(whys, problems)
    return Applied(tuple(taken), tuple(one for one in schedules.listed(tx) if one.id not in declared))


def _one(problem: Problem) -> NotChangedError:
    return NotChangedError("1 problem, and nothing was changed", [problem])


def _gather(error: NotChangedError, whys: list[str], problems: list[Problem]) -> None:
    if error.problems:
        problems += error.problems
    else:
        whys.append(error.why)


def _refuse(whys: Sequence[str], problems: Sequence[Problem]) -> None:
    if whys or problems:
        count = len(problems) + len(whys)
        said = f"{count:,} problem{'' if count == 1 else 's'}, and nothing was changed"
        raise NotChangedError("\n".join([said, *(f"  {why}".replace("\n", "\n  ") for why in whys)]), problems)
