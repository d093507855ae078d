"""`momo run submit`, `approve` and `reopen`: a run and a person come in, a signature over exactly its rows goes out, or why not."""

from typing import Any

from momo_worker.approval.people import Role
from momo_worker.cli.deeds.approvers import counting, people_of
from momo_worker.cli.deeds.bars import bar
from momo_worker.cli.deeds.keys import opener
from momo_worker.cli.deeds.office import office_of
from momo_worker.cli.deeds.reading import account_with, actor, quiet_settings
from momo_worker.cli.deeds.runs import named
from momo_worker.cli.deeds.showing import moment
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import PRODUCT_OF, Operation
from momo_worker.runs.approving import NotSignedError, Signed, sign_run
from momo_worker.runs.releasing import NotReleasedError, reopen_run
from momo_worker.runs.tree import RowsError

_PROBLEMS_TOLD = 20


def sign(name: str, *, role: str, by: str, account: str, file: str | None, as_json: bool) -> None:
    """Put a person's name under a run."""
    settings = quiet_settings()
    person = counting(people_of(settings), by, Role(role))
    with office_of(settings) as office, bar(quiet=as_json) as progress:
        parts = office.house.parts
        with parts.ledger.read() as tx:
            run = named(tx, account, name)
        account_with(settings, run.account, PRODUCT_OF[Operation(run.operation)])
        key = opener(settings, by, file)
        try:
            signed = sign_run(parts, account, name, person, key, progress.tell)
        except NotSignedError as error:
            raise AnswerIsNo(f"{error}") from None
        except RowsError as error:
            told = "\n  ".join(error.problems[:_PROBLEMS_TOLD])
            raise AnswerIsNo(
                f"{len(error.problems):,} rows can't be paid as they stand, and nothing was signed:\n  {told}"
            ) from None
    _tell(signed, as_json=as_json)


def reopen(name: str, *, reason: str, account: str, by: str, as_json: bool) -> None:
    """Take all signatures away."""
    if not reason.strip():
        raise WrongUse("--reason is missing: say why it is signed anew")
    with office_of(quiet_settings()) as office:
        try:
            count = reopen_run(office.house.parts, account, name, reason=reason, by=actor(by))
        except NotReleasedError as error:
            raise AnswerIsNo(str(error)) from None
    if as_json:
        say_json({"run": name, "signatures_taken_away": count})
        return
    say(f"The run {name} is a draft again; {count} signatures were taken away.")


def _tell(signed: Signed, *, as_json: bool) -> None:
    run, signature = signed.run, signed.signature
    if as_json:
        say_json(_facts(signed))
        return
    did = "submitted" if signature.role is Role.MAKER else "approved"
    total = f"{format_amount(run.total_minor, run.exponent)} {run.currency}"
    say(
        f"{signature.name} has {did} the run {run.name}: {run.rows:,} rows, {total}, {run.operation} from account {run.account}"
    )
    say(f"  root      {signature.root}")
    if signature.earliest_ms:
        say(f"  not before {moment(signature.earliest_ms)}")
    if signed.missing:
        say(f"Still missing: {signed.missing}.")
    else:
        say(f"It can be released: `momo run release {run.name}`, or a trial first: `--first 3`.")


def _facts(signed: Signed) -> dict[str, Any]:
    run, signature = signed.run, signed.signature
    return {
        "run_id": run.id,
        "name": run.name,
        "state": run.state,
        "signed_by": signature.name,
        "role": signature.role.value,
        "root": signature.root,
        "earliest": moment(signature.earliest_ms) if signature.earliest_ms else None,
        "approvals_needed": signature.needed,
        "missing": signed.missing or None,
    }
