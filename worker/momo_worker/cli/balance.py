"""The words of `momo balance`."""

from typing import TYPE_CHECKING

from momo_worker.cli.lazy import late
from momo_worker.cli.options import AnyAccount, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import balance as deeds
else:
    deeds = late("momo_worker.cli.deeds.balance")


def balance(account: AnyAccount = None, as_json: Json = False) -> None:
    """Ask MTN what lies in the wallets, per account and product."""
    deeds.balance(account=account, as_json=as_json)
