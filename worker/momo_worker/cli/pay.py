"""The words of `momo collect`, `disburse`, `deposit`, `refund` and `enqueue`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json, Wait

if TYPE_CHECKING:
    from momo_worker.cli.deeds import pay as deeds
else:
    deeds = late("momo_worker.cli.deeds.pay")

Key = Annotated[str, typer.Option(help="Your own name for this payment: the same key is never paid twice.")]
Amount = Annotated[str, typer.Option(help="Such as 150000 or 12.50.")]
Currency = Annotated[str, typer.Option(help="The account's currency, said once more: UGX, GHS, EUR …")]
Msisdn = Annotated[str, typer.Option(help="The phone number, country code first: 256772123456.")]
Account = Annotated[str, typer.Option(help="Which account pays.")]
Lane = Annotated[str, typer.Option(help="interactive (somebody waits) or bulk.")]
ExternalId = Annotated[str, typer.Option(help="What MTN's reports show; default: the payment id.")]
PayerMessage = Annotated[str, typer.Option(help="Shown to the payer, 160 characters.")]
PayeeNote = Annotated[str, typer.Option(help="Shown to the payee, 160 characters.")]
NotBefore = Annotated[str, typer.Option(help="Not sent before: 2026-12-01T09:00:00+03:00.")]
NotAfter = Annotated[str, typer.Option(help="Not sent after; default 10 minutes for collect, else 7 days.")]
Metadata = Annotated[str, typer.Option(help="A JSON object that comes back with each result.")]
Replaces = Annotated[str, typer.Option(help="Key of the failed payment that this one corrects.")]


def _pay(operation: str, as_json: bool, wait: float, **fields: str) -> None:
    given = {name: text for name, text in fields.items() if text}
    raise typer.Exit(deeds.pay(operation, given, wait_seconds=wait, as_json=as_json))


def _to_or_from_number(operation: str, help_text: str) -> Callable[..., None]:
    """The command of an operation that names a phone number: three of them, with the same words."""

    def ask(
        *,
        key: Key = "",
        amount: Amount = "",
        currency: Currency = "",
        msisdn: Msisdn = "",
        account: Account = "default",
        lane: Lane = "interactive",
        external_id: ExternalId = "",
        payer_message: PayerMessage = "",
        payee_note: PayeeNote = "",
        not_before: NotBefore = "",
        not_after: NotAfter = "",
        metadata: Metadata = "",
        replaces: Replaces = "",
        wait: Wait = 0.0,
        as_json: Json = False,
    ) -> None:
        _pay(
            operation,
            as_json,
            wait,
            idempotency_key=key,
            amount=amount,
            currency=currency,
            msisdn=msisdn,
            account=account,
            lane=lane,
            external_id=external_id,
            payer_message=payer_message,
            payee_note=payee_note,
            not_before=not_before,
            not_after=not_after,
            metadata=metadata,
            replaces=replaces,
        )

    ask.__doc__ = help_text
    return ask


_SAME_KEY = "The same key again answers with the same payment, and pays nothing twice."
collect = _to_or_from_number("collect", f"Ask a customer to pay: MTN asks for the PIN on the phone. {_SAME_KEY}")
disburse = _to_or_from_number("disburse", f"Pay somebody by a transfer. {_SAME_KEY}")
deposit = _to_or_from_number("deposit", f"Pay into somebody's account by MTN's deposit. {_SAME_KEY}")


def refund(
    *,
    key: Key = "",
    refund_of: Annotated[str, typer.Option(help="Key of the collection that is given back.")] = "",
    amount: Amount = "",
    currency: Currency = "",
    account: Account = "default",
    lane: Lane = "interactive",
    external_id: ExternalId = "",
    payer_message: PayerMessage = "",
    payee_note: PayeeNote = "",
    not_before: NotBefore = "",
    not_after: NotAfter = "",
    metadata: Metadata = "",
    replaces: Replaces = "",
    wait: Wait = 0.0,
    as_json: Json = False,
) -> None:
    """Give a collection back, whole or in part, never more than was collected."""
    _pay(
        "refund",
        as_json,
        wait,
        idempotency_key=key,
        refund_of=refund_of,
        amount=amount,
        currency=currency,
        account=account,
        lane=lane,
        external_id=external_id,
        payer_message=payer_message,
        payee_note=payee_note,
        not_before=not_before,
        not_after=not_after,
        metadata=metadata,
        replaces=replaces,
    )


def enqueue(
    job: Annotated[str, typer.Argument(help="The job as one JSON object; - reads it from standard input.")],
    wait: Wait = 0.0,
    as_json: Json = False,
) -> None:
    """Drop a job on Redis with one XADD, as an application does. The entry's id is no acceptance: --wait tells what became of it."""
    raise typer.Exit(deeds.enqueue(job, wait_seconds=wait, as_json=as_json))
