"""Who is never asked to pay: a number and a reason come in, a row that intake and every claim read goes out."""

from typing import Any

from rich.table import Column, Table

from momo_worker.cli.deeds.reading import actor, ledger_of, quiet_settings
from momo_worker.cli.deeds.showing import moment, wide_console
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import prompts, stops
from momo_worker.ledger.prompts import OptOut
from momo_worker.payment.msisdn import MsisdnError, masked
from momo_worker.runs.numbers import read_number
from momo_worker.settings import Settings


def add(number: str, *, account: str | None, reason: str, by: str, as_json: bool) -> None:
    """Add a number; one that was there already stays as it was."""
    settings = quiet_settings()
    msisdn = _checked(settings, number, account, reason)
    with ledger_of(settings) as ledger, ledger.write() as tx:
        one = OptOut(account or "", msisdn, reason, actor(by), tx.now_ms)
        added = prompts.add_opt_out(tx, one)
        if added:
            stops.journal(tx, actor=one.actor, action="opt-out add", subject=_subject(one), reason=reason)
    if not added:
        raise AnswerIsNo(
            f"{msisdn} has opted out of {_scope(one)} already; `momo opt-out list` says since when and why"
        )
    if as_json:
        say_json(_facts(one, full=True))
        return
    say(f"{msisdn} is never asked by {_scope(one)} again.")
    say(
        "New collections are rejected, and those that wait are cancelled instead of sent; what had left is followed to its end."
    )


def remove(number: str, *, account: str | None, reason: str, by: str, as_json: bool) -> None:
    """Take back the opt-out of exactly this scope."""
    settings = quiet_settings()
    msisdn = _checked(settings, number, account, reason)
    with ledger_of(settings) as ledger, ledger.write() as tx:
        one = OptOut(account or "", msisdn, reason, actor(by), tx.now_ms)
        removed = prompts.remove_opt_out(tx, one.account, msisdn)
        others = [each for each in prompts.opt_outs(tx) if each.msisdn == msisdn]
        if removed:
            stops.journal(tx, actor=one.actor, action="opt-out remove", subject=_subject(one), reason=reason)
    still = ", ".join(_scope(each) for each in others) or "nobody"
    if not removed:
        raise AnswerIsNo(
            f"{msisdn} hasn't opted out of exactly {_scope(one)}; it has of: {still}. A removal names the opt-out's own scope"
        )
    if as_json:
        say_json({**_facts(one, full=True), "still": [each.account or None for each in others]})
        return
    say(f"{msisdn} may be asked by {_scope(one)} again.")
    for each in others:
        say(f"  still never asked by {_scope(each)}, since {moment(each.at_ms)}: {each.reason}")


def listing(*, account: str | None, full: bool, as_json: bool) -> None:
    """Everybody who has opted out, the last first."""
    settings = quiet_settings()
    _check_account(settings, account)
    with ledger_of(settings) as ledger, ledger.read() as tx:
        found = prompts.opt_outs(tx, account=account)
    if as_json:
        say_json([_facts(one, full=full) for one in found])
        return
    if not found:
        say("Nobody has opted out.")
        return
    table = Table(*(Column(name, no_wrap=True) for name in ("number", "of", "since", "by", "reason")), box=None)
    for one in found:
        number = one.msisdn if full else masked(one.msisdn)
        table.add_row(number, _scope(one), moment(one.at_ms), one.actor, one.reason)
    wide_console().print(table)


def _checked(settings: Settings, number: str, account: str | None, reason: str) -> str:
    """The number in MTN's form. One that is misread would stop nobody's prompts, and nobody would know."""
    _check_account(settings, account)
    if not reason.strip():
        raise WrongUse("--reason is missing: say who asked for it, and how, in a few words; nothing was changed")
    regions = {one.market.region for one in settings.accounts.values() if account in (None, one.name)}
    region = regions.pop() if len(regions) == 1 else None
    try:
        return read_number(number, region).msisdn
    except MsisdnError as error:
        raise WrongUse(f"{number} {error}; nothing was changed") from None


def _check_account(settings: Settings, account: str | None) -> None:
    if account is not None and account not in settings.accounts:
        raise WrongUse(
            f"there is no account {account} (there are: {', '.join(settings.accounts)}); nothing was changed"
        )


def _scope(one: OptOut) -> str:
    return f"account {one.account}" if one.account else "every account"


def _subject(one: OptOut) -> str:
    return f"account={one.account or 'all'} msisdn={one.msisdn}"


def _facts(one: OptOut, *, full: bool) -> dict[str, Any]:
    return {
        "msisdn": one.msisdn if full else masked(one.msisdn),
        "account": one.account or None,
        "reason": one.reason,
        "by": one.actor,
        "at": moment(one.at_ms),
    }
