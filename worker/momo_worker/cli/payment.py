"""The words of `momo payment list`, `show`, `cancel`, `retry`, `release` and `resolve`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import AnyAccount, By, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import cancelling, deciding
    from momo_worker.cli.deeds import payment as deeds
else:
    cancelling = late("momo_worker.cli.deeds.cancelling")
    deciding = late("momo_worker.cli.deeds.deciding")
    deeds = late("momo_worker.cli.deeds.payment")

payment = typer.Typer(
    help="List and show payments; cancel, retry, release or resolve them.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Payment id, key, reference, external id or MTN's id.")]
OneOrMany = Annotated[
    str | None, typer.Argument(help="One payment: id, key, reference, external id or MTN's id. Without it: a filter.")
]
Why = Annotated[str, typer.Option("--reason", help="Why; kept in the journal and told to whoever comes next.")]
Until = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="TIME", help="Until when it may be sent, if its not_after has passed: a moment, or 36h."
    ),
]
States = Annotated[list[str] | None, typer.Option("--state", help="All in this state; default: held.")]
Causes = Annotated[list[str] | None, typer.Option("--cause", help="All held for this cause, such as too_old.")]
Before = Annotated[
    str | None,
    typer.Option("--before", metavar="TIME", help="All that stand there since before then: a moment, or 24h."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without it a filter only counts.")]
Expected = Annotated[
    int | None,
    typer.Option("--expect-count", min=0, help="How many a filter must choose; another count changes nothing."),
]
Full = Annotated[bool, typer.Option("--full", help="Show the phone number whole.")]


@payment.command("list")
def list_payments(
    state: Annotated[list[str] | None, typer.Option(help="Only this state; may be given again.")] = None,
    account: AnyAccount = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """List the payments that moved last."""
    deeds.listing(states=state or [], account=account, limit=limit, full=full, as_json=as_json)


@payment.command("show")
def show(name: Name, account: AnyAccount = None, full: Full = False, as_json: Json = False) -> None:
    """Show one payment's whole story: attempts, sends, what moved it and when."""
    deeds.show(name, account=account, full=full, as_json=as_json)


@payment.command("cancel")
def cancel(
    name: Name,
    account: AnyAccount = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Cancel a payment of which nothing has been sent. "Cancelled" is said when the ledger has it; what was sent can't be cancelled."""
    cancelling.cancel(name, account=account, reason=reason, by=by, as_json=as_json)


@payment.command("retry")
def retry(
    name: Name,
    account: AnyAccount = None,
    reason: Why = "",
    until: Until = None,
    attempt: Annotated[
        int | None,
        typer.Option("--attempt", min=1, help="The attempt that you saw failed; if another failed since, no."),
    ] = None,
    producer_knows: Annotated[
        bool, typer.Option("--producer-knows", help="Whoever sent it doesn't pay it another way.")
    ] = False,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Try a failed payment again, under a new reference. Only what is proven failed; at most five attempts."""
    deciding.retry(
        name,
        account=account,
        reason=reason,
        until=until,
        seen_attempt=attempt,
        producer_knows=producer_knows,
        by=by,
        as_json=as_json,
    )


@payment.command("release")
def release(
    name: OneOrMany = None,
    *,
    account: AnyAccount = None,
    state: States = None,
    cause: Causes = None,
    before: Before = None,
    reason: Why = "",
    until: Until = None,
    by: By = "",
    yes: Yes = False,
    expect_count: Expected = None,
    as_json: Json = False,
) -> None:
    """Let what is held be sent after all: only where nothing of it was ever sent."""
    many = deciding.Many(account, state or [], cause or [], before, yes, expect_count)
    deciding.release(name, many, reason=reason, until=until, by=by, as_json=as_json)


@payment.command("resolve")
def resolve(
    name: OneOrMany = None,
    *,
    outcome: Annotated[str, typer.Option("--as", metavar="successful|failed", help="How it ended.")] = "",
    account: AnyAccount = None,
    state: States = None,
    cause: Causes = None,
    before: Before = None,
    reason: Why = "",
    evidence: Annotated[str, typer.Option(help="What shows it, and where it can be found.")] = "",
    statement: Annotated[
        str | None, typer.Option(help="MTN's own statement, by its name, where that is the evidence.")
    ] = None,
    financial_transaction_id: Annotated[str | None, typer.Option(help="MTN's id of what it paid.")] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, help="Which attempt MTN paid, where it isn't the last.")
    ] = None,
    by: By = "",
    yes: Yes = False,
    expect_count: Expected = None,
    as_json: Json = False,
) -> None:
    """Say how a payment ended that nothing else ends. Asks MTN first, and sends nothing.

    As failed: a day after it could last have been sent, if MTN answers now that it doesn't know it; or by MTN's statement.
    """
    many = deciding.Many(account, state or [], cause or [], before, yes, expect_count)
    deciding.resolve(
        name,
        many,
        outcome=outcome,
        reason=reason,
        evidence=evidence,
        statement=statement,
        financial_transaction_id=financial_transaction_id,
        paid_attempt=attempt,
        by=by,
        as_json=as_json,
    )
