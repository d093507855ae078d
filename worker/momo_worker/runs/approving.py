"""People put their names under a run: a draft and a key come in, a signature over exactly its rows goes out. Moves no money.

Its maker submits it, approvers approve it; each signs the root over what would leave for every row, which each computes anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from momo_worker.accounts import Account
from momo_worker.approval.people import Entry, Role
from momo_worker.approval.signing import public_text, sign
from momo_worker.approval.statements import Permission, Signature, permission
from momo_worker.commons import run_telling
from momo_worker.commons.parts import Parts
from momo_worker.commons.signatures import account_pin, terms_of
from momo_worker.ledger import run_release, run_signing, runs, stops
from momo_worker.ledger.engine import ROWS_MAX as PIECE
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.runs import Run
from momo_worker.payment.payment import Operation
from momo_worker.runs.checking import what_bars
from momo_worker.runs.tree import Progress, Tree, tree_of

DAY_MS = 24 * 3_600_000
#: Where a run stands when somebody may still put a name under it.
SIGNABLE = {Role.MAKER: ("draft",), Role.APPROVER: ("draft", "submitted", "approved")}

#: What follows where a maker's signature comes too late.
_NEXT = {
    "submitted": "; its approvers are next (`momo run approve`), and `momo run reopen` takes the signatures off",
    "approved": "; `momo run release` is next, and `momo run reopen` takes the signatures off",
}


class NotSignedError(Exception):
    """Nothing was signed; says why and what to do."""


def no_such_run(tx: Tx, account: str, name: str) -> str:
    """Why a name stands for no run: it was cancelled before its first row, or never was one; and what there is instead."""
    if runs.last_cancelled(tx, account, name) is not None:
        return (
            f"the run {name} of account {account} was cancelled before its first row, and nobody was paid by it; "
            f"`momo run report {name}` tells of it, and a file may be imported under its name again"
        )
    # A name whose drafts were put aside stands in the list once for each of them.
    names = dict.fromkeys(run.name for run in runs.listed(tx, account=account, limit=10))
    there = f"the last ones are {', '.join(names)}" if names else "`momo run import` makes one"
    return f"account {account} has no run {name}; {there}"


@dataclass(frozen=True, slots=True)
class Signed:
    """A run as it stands after a signature, and what is still missing."""

    run: Run
    signature: Signature
    #: Why it can't be released yet; '' when it can.
    missing: str


def sign_run(
    parts: Parts, account: str, name: str, person: Entry, open_key: Callable[[], Ed25519PrivateKey], progress: Progress
) -> Signed:
    """Hash a run's rows, sign them as this person and keep the signature. Raises NotSignedError or RowsError."""
    with parts.ledger.read() as tx:
        run = _signable(tx, parts, account, name, person)
    tree = tree_of(parts, run, progress)
    if (tree.rows, tree.total_minor) != (run.rows, run.total_minor):
        raise NotSignedError(
            f"the run {name} has {tree.rows:,} rows in the ledger and was imported with {run.rows:,}, or another sum: rows were "
            "changed since; import the file again"
        )
    key = open_key()
    if public_text(key) != person.key:
        raise NotSignedError(f"the key of {person.name} on this machine isn't the one in approvers.toml")
    _keep_paths(parts, run, tree, progress)
    with parts.ledger.write() as tx:
        run = _signable(tx, parts, account, name, person, lock=True)
        signature = _signature(tx, parts, run, person, key, tree.root)
        _agree(tx, run, signature)
        run_signing.add_signature(tx, run.id, signature)
        stops.journal(
            tx,
            actor=person.name,
            action=f"run signed as {person.role.value}",
            subject=f"run={run.name} account={run.account}",
            reason=f"root {signature.root}",
        )
        missing = missing_of(tx, parts, run)
        after = "approved" if not missing else "submitted" if person.role is Role.MAKER else run.state
        if after != run.state and runs.move_if(tx, run.id, run.state, after):
            run = runs.find(tx, run.id) or run
            if after == "approved":
                run_telling.tell_approved(tx, parts, run)
    return Signed(run, signature, missing)


def permission_of(tx: Tx, parts: Parts, run: Run) -> Permission:
    """What the signatures under a run permit, by this process's settings."""
    account = parts.accounts[run.account]
    terms = terms_of(run, parts.namespace, account_pin(account, Operation(run.operation)))
    given = run_signing.signatures(tx, run.id)
    return permission(terms, given, parts.approvals.people(), maker=run.maker, signed=parts.approvals.maker_signs)


def missing_of(tx: Tx, parts: Parts, run: Run) -> str:
    """What keeps a run from being released now; '' for nothing. Others may have been released since it was signed."""
    if bar := what_bars(tx, run, parts.accounts[run.account]):
        return bar
    given = permission_of(tx, parts, run)
    if given.why:
        return given.why
    needed = approvals_needed(tx, parts, run)
    if len(given.approvers) < needed:
        return f"it needs {needed} approvals by what account {run.account} pays within a day, and has {len(given.approvers)}"
    return ""


def approvals_needed(tx: Tx, parts: Parts, run: Run) -> int:
    """By what the account has released or been asked for in 24 hours, this run with it: a file that is split needs the same (A3)."""
    above = parts.accounts[run.account].second_approval_above_minor
    if above is None or run.operation == Operation.COLLECT:
        return 1
    day_ago = tx.now_ms - DAY_MS
    day = (datetime.fromtimestamp(tx.now_ms / 1000, UTC) - timedelta(days=1)).date().isoformat()
    asked = run_release.asked_for_since(tx, run.account, but=run.id, since_ms=day_ago, since_day=day)
    return 2 if asked + run.total_minor > above else 1


def earliest_ms(run: Run, account: Account) -> int:
    """The first moment of the run's pay date where its account is; 0 for a run without one."""
    if run.pay_date is None:
        return 0
    start = datetime.fromisoformat(run.pay_date).replace(tzinfo=ZoneInfo(account.market.zone))
    return int(start.timestamp()) * 1000


def _signable(tx: Tx, parts: Parts, account: str, name: str, person: Entry, *, lock: bool = False) -> Run:
    run = runs.live(tx, account, name, lock=lock)
    if run is None:
        raise NotSignedError(no_such_run(tx, account, name))
    if run.state not in SIGNABLE[person.role]:
        raise NotSignedError(
            f"the run {name} is {run.state}: nobody signs it as {person.role.value} any more{_NEXT.get(run.state, '')}"
        )
    open_now = [one.number for one in runs.findings_of(tx, run.id) if one.asked and one.answered_at_ms is None]
    if open_now:
        raise NotSignedError(
            f"the run {name} asks {len(open_now):,} questions that nobody has answered: see `momo run show {name}` and "
            f"`momo run answer {name}`"
        )
    if bar := what_bars(tx, run, parts.accounts[account]):
        raise NotSignedError(bar)
    signed = run_signing.signatures(tx, run.id)
    if any((one.role, one.name) == (person.role, person.name) for one in signed):
        raise NotSignedError(f"{person.name} has signed the run {name} already")
    if person.role is Role.APPROVER:
        _may_approve(run, person, signed, maker_signs=parts.approvals.maker_signs)
    return run


def _may_approve(run: Run, person: Entry, signed: list[Signature], *, maker_signs: bool) -> None:
    makers = {one.name for one in signed if one.role is Role.MAKER}
    if person.name == run.maker.lower() or person.name in makers:
        raise NotSignedError(
            f"{person.name} made the run {run.name}, and nobody approves their own: ask another approver"
        )
    if maker_signs and not makers:
        raise NotSignedError(
            f"the run {run.name} isn't submitted yet: its maker signs it first, with `momo run submit {run.name} --as MAKER`"
        )


def _signature(tx: Tx, parts: Parts, run: Run, person: Entry, key: Ed25519PrivateKey, root: str) -> Signature:
    account = parts.accounts[run.account]
    needed = approvals_needed(tx, parts, run)
    terms = terms_of(
        run,
        parts.namespace,
        account_pin(account, Operation(run.operation)),
        root=root,
        earliest_ms=earliest_ms(run, account),
        needed=needed,
    )
    text = terms.statement(person.role, person.name, tx.now_ms)
    return Signature(person.role, person.name, root, terms.earliest_ms, needed, tx.now_ms, sign(key, text))


def _agree(tx: Tx, run: Run, new: Signature) -> None:
    """Two people under one run have seen the same rows, or the second is told."""
    others = {(one.root, one.earliest_ms) for one in run_signing.signatures(tx, run.id)}
    if others - {(new.root, new.earliest_ms)}:
        raise NotSignedError(
            f"what the run {run.name} would pay isn't what was signed before: rows or settings were changed since. Look at it with "
            f"`momo run show {run.name}`, then `momo run reopen {run.name}` and have it signed anew, or cancel it"
        )


def _keep_paths(parts: Parts, run: Run, tree: Tree, progress: Progress) -> None:
    for at in range(0, tree.rows, PIECE):
        with parts.ledger.write() as tx:
            # Locked, so that a signature is either seen here or comes after this piece.
            runs.find(tx, run.id, lock=True)
            if {one.root for one in run_signing.signatures(tx, run.id)} - {tree.root}:
                # The ways that are kept lead to what was signed, and must go on leading there; the signature is refused next.
                return
            piece = tree.paths[at : at + PIECE]
            run_signing.put_paths(tx, run.id, [(at + number, path) for number, path in enumerate(piece, start=1)])
        progress("kept", min(at + PIECE, tree.rows), tree.rows)
