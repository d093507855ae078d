"""Whether rows of runs may be sent: requests that are about to be committed come in, what people's signatures permit goes out. Writes nothing.

Each row is held against the root that was signed, by the very bytes that would leave; what the signatures themselves are about is the run.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from momo_worker.accounts import Account
from momo_worker.approval.leaves import Leaf
from momo_worker.approval.merkle import is_under, leaf_hash
from momo_worker.approval.statements import Permission, Terms, permission
from momo_worker.commons import mandates
from momo_worker.commons.objection import Answer, Objection
from momo_worker.commons.parts import Parts
from momo_worker.ledger import run_release, run_signing, runs, schedule_dues
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_release import Release
from momo_worker.ledger.run_signing import SignedRow
from momo_worker.ledger.runs import Run
from momo_worker.payment.payment import PRODUCT_OF, Operation, Payment
from momo_worker.payment.reference import payment_id, reference_id
from momo_worker.payment.verdict import RenderedRequest


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row's payment, and the request that would leave for it."""

    payment: Payment
    request: RenderedRequest


def pin_of(base_url: str, target_environment: str, currency: str, api_user: str) -> str:
    """Where an account's money is, as people sign it (money-review R3, A2)."""
    return f"{base_url} {target_environment} {currency} {api_user}"


def account_pin(account: Account, operation: Operation) -> str:
    """The same from the settings."""
    market = account.market
    user = account.credentials[PRODUCT_OF[operation]].api_user
    return pin_of(market.base_url, market.target_environment, market.currency.code, user)


def terms_of(
    run: Run, namespace: uuid.UUID, pin: str, *, root: str = "", earliest_ms: int = 0, needed: int = 1
) -> Terms:
    """What a signature under this run is about."""
    return Terms(
        namespace=str(namespace),
        run_id=run.id,
        run=run.name,
        operation=run.operation,
        account=run.account,
        pin=pin,
        rows=run.rows,
        total_minor=run.total_minor,
        currency=run.currency,
        exponent=run.exponent,
        root=root,
        earliest_ms=earliest_ms,
        imported_at_ms=run.imported_at_ms,
        needed=needed,
    )


def leaf_of(payment: Payment, request: RenderedRequest, *, place: int, name: str | None, replaces: str | None) -> Leaf:
    """A row's leaf, from the request that would leave."""
    return Leaf(
        place,
        payment.idempotency_key,
        name or "",
        payment.operation.value,
        replaces or "",
        request.path,
        request.body,
    )


def objections(tx: Tx, parts: Parts, wanted: Sequence[Wanted]) -> dict[str, Objection]:
    """What stands against sending these payments, by id; those that belong to no run, and those that are signed, are left out."""
    by_run: dict[str, list[Wanted]] = defaultdict(list)
    for one in wanted:
        if one.payment.is_of_a_run:
            by_run[one.payment.run].append(one)
    found: dict[str, Objection] = {}
    for run_id, rows in by_run.items():
        found.update(_of_run(tx, parts, run_id, rows))
    return found


def _of_run(tx: Tx, parts: Parts, run_id: str, wanted: Sequence[Wanted]) -> dict[str, Objection]:
    run = runs.find(tx, run_id) if run_id else None
    if run is None:
        why = "has a run's key, and the ledger knows no such run"
        return {one.payment.id: Objection(Answer.TAMPERED, why) for one in wanted}
    if (asked_for := schedule_dues.round_of(tx, run_id)) is not None:
        return _of_mandate(tx, parts, run, asked_for, wanted)
    rows = run_signing.signed_rows(tx, run_id, [one.payment.idempotency_key for one in wanted])
    retried = run_signing.retried(tx, [one.payment.id for one in wanted if one.payment.attempt > 1])
    given = run_signing.signatures(tx, run_id)
    release = run_release.release_of(tx, run_id)
    permissions: dict[str, Permission] = {}
    found: dict[str, Objection] = {}
    for one in wanted:
        pin = _pin(parts, one, run)
        if pin not in permissions:
            terms = terms_of(run, parts.namespace, pin)
            approvals = parts.approvals
            permissions[pin] = permission(
                terms, given, approvals.people(), maker=run.maker, signed=approvals.maker_signs
            )
        row = rows.get(one.payment.idempotency_key)
        objection = (
            _of_permission(permissions[pin], run, tx.now_ms)
            or _of_row(parts, one, run, row, permissions[pin])
            or _of_attempt(one.payment, run, retried)
            or _of_release(run, None if row is None else row.place, release)
        )
        if objection is not None:
            found[one.payment.id] = objection
    return found


def _of_mandate(
    tx: Tx, parts: Parts, run: Run, asked_for: tuple[str, str, int], wanted: Sequence[Wanted]
) -> dict[str, Objection]:
    """A run that a schedule made stands under the schedule's mandate, and under nothing that people signed for the run."""
    release = run_release.release_of(tx, run.id)
    retried = run_signing.retried(tx, [one.payment.id for one in wanted if one.payment.attempt > 1])
    keys = [one.payment.idempotency_key for one in wanted]
    places = runs.places_of(tx, run.id, keys)
    asked: dict[str, mandates.Asked] = {}
    found: dict[str, Objection] = {}
    for one in wanted:
        pin = _pin(parts, one, run)
        if pin not in asked:
            asked[pin] = mandates.read(tx, parts, run, asked_for, [each.payment for each in wanted], pin)
        objection = (
            asked[pin].objection(one.payment, one.request)
            or _of_likeness(parts, one, run)
            or _of_attempt(one.payment, run, retried)
            or _of_release(run, places.get(one.payment.idempotency_key), release)
        )
        if objection is not None:
            found[one.payment.id] = objection
    return found


def _pin(parts: Parts, one: Wanted, run: Run) -> str:
    """Whose money would leave. A row that says otherwise than its run is judged under the run's own: one cell mustn't stop all of it."""
    account = parts.accounts.get(run.account)
    operation = next((each for each in Operation if each.value == run.operation), None)
    if account is None or operation is None or _is_like(one.payment, run):
        request = one.request
        return pin_of(request.base_url, request.target_environment, one.payment.currency, request.api_user)
    return account_pin(account, operation) if PRODUCT_OF[operation] in account.credentials else ""


def _is_like(payment: Payment, run: Run) -> bool:
    said = (payment.account, payment.operation.value, payment.currency, payment.exponent)
    ours = (run.account, run.operation, run.currency, run.exponent)
    return said == ours and payment.product is PRODUCT_OF[payment.operation]


def _of_permission(given: Permission, run: Run, now_ms: int) -> Objection | None:
    if given.why:
        return Objection(Answer.LATER if given.unknown else Answer.STOPPED, given.why, run.id)
    if now_ms < given.earliest_ms:
        return Objection(Answer.LATER, "what was signed begins later", run.id)
    return None


def _of_attempt(payment: Payment, run: Run, retried: frozenset[tuple[str, int]]) -> Objection | None:
    """A further attempt is another reference and may be paid beside the first: only a retry makes one (M8), and its row says so."""
    if payment.attempt == 1 or (payment.id, payment.attempt) in retried:
        return None
    return Objection(Answer.TAMPERED, f"is at attempt {payment.attempt}, which no retry made", run.id)


def _of_likeness(parts: Parts, one: Wanted, run: Run) -> Objection | None:
    payment = one.payment
    if not _is_like(payment, run):
        why = f"has another account, operation, product or currency than the run {run.name}"
        return Objection(Answer.TAMPERED, why, run.id)
    key = (payment.account, payment.operation.value, payment.idempotency_key)
    if one.request.reference_id != reference_id(parts.namespace, *key, payment.attempt):
        return Objection(Answer.TAMPERED, "has a reference that isn't its own", run.id)
    return None


def _of_row(parts: Parts, one: Wanted, run: Run, row: SignedRow | None, given: Permission) -> Objection | None:
    payment = one.payment
    if row is None:
        return Objection(Answer.TAMPERED, f"is no row of the run {run.name} that was approved", run.id)
    if (objection := _of_likeness(parts, one, run)) is not None:
        return objection
    replaced = payment_id(parts.namespace, payment.account, row.replaces) if row.replaces else None
    if payment.replaces != replaced:
        return Objection(Answer.TAMPERED, "corrects another payment than what was approved", run.id)
    leaf = leaf_of(payment, one.request, place=row.place, name=row.name, replaces=row.replaces)
    if not is_under(bytes.fromhex(given.root), leaf_hash(leaf.data()), row.place - 1, run.rows, row.path):
        return Objection(
            Answer.TAMPERED, f"isn't what {', '.join(given.approvers)} approved: something of it was changed", run.id
        )
    return None


def _of_release(run: Run, place: int | None, release: Release | None) -> Objection | None:
    """A pump may hand rows over that a person cancelled while it slept, and a cancel may be killed before it has named each row."""
    beyond = place is None or release is None or place > release.released_to
    if run.state in ("stopped", "cancelled", "superseded") or (beyond and run.state in ("completed", "settled")):
        return Objection(Answer.CANCELLED, f"the run {run.name} was cancelled", run.id)
    return Objection(Answer.LATER, f"the run {run.name} isn't released as far as this row", run.id) if beyond else None
