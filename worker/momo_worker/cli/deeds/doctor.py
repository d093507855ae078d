"""`momo doctor`: the settings come in, a finding for everything that a payment needs goes out, and whether all is well."""

from collections.abc import Iterator

import redis
from sqlalchemy.exc import DBAPIError

from momo_worker.cli.deeds.check_ledger import check_ledger
from momo_worker.cli.deeds.check_mtn import check_mtn
from momo_worker.cli.deeds.check_redis import check_redis
from momo_worker.cli.deeds.check_settings import check_settings
from momo_worker.cli.deeds.finding import Finding, Verdict, away, fail
from momo_worker.cli.deeds.reading import ledger_of, quiet_settings
from momo_worker.cli.failures import as_refusal
from momo_worker.cli.saying import DONE, NO, NOT_REACHABLE, Refusal, say, say_json
from momo_worker.clock import SystemClock
from momo_worker.ledger import installation
from momo_worker.ledger.engine import LedgerError
from momo_worker.redis_client import connect
from momo_worker.settings import Settings, SettingsError

_MARKS = {Verdict.OK: "ok  ", Verdict.WARN: "warn", Verdict.FAIL: "FAIL", Verdict.AWAY: "AWAY"}
_CHECK_AGAIN = "correct it, then run `momo doctor` again"


def doctor(*, offline: bool, as_json: bool) -> int:
    """Look at everything, in the order in which one thing needs the other; each finding is told as it is made."""
    found: list[Finding] = []
    for finding in _findings(offline=offline):
        found.append(finding)
        if not as_json:
            say(f"{_MARKS[finding.verdict]}  {finding.about}: {finding.what}")
            if finding.next and finding.verdict is not Verdict.OK:
                say(f"      ▸ {finding.next}")
    code = _exit_code(found)
    if as_json:
        rows = [
            {"about": one.about, "verdict": one.verdict.value, "what": one.what, "next": one.next or None}
            for one in found
        ]
        say_json({"healthy": code == DONE, "exit_code": code, "findings": rows})
    return code


def _exit_code(found: list[Finding]) -> int:
    verdicts = {one.verdict for one in found}
    if Verdict.AWAY in verdicts:
        return NOT_REACHABLE
    return NO if Verdict.FAIL in verdicts else DONE


def _findings(*, offline: bool) -> Iterator[Finding]:
    try:
        # Each finding says what a log line would.
        settings = quiet_settings("CRITICAL")
    except SettingsError as error:
        for problem in error.problems:
            yield fail(f"settings: {problem.where}", problem.what, problem.fix)
        return
    yield from check_settings(settings)
    clock = SystemClock()
    yield from _ledger(settings, clock)
    yield from _redis(settings, clock)
    if not offline:
        yield from check_mtn(settings, clock)


def _ledger(settings: Settings, clock: SystemClock) -> Iterator[Finding]:
    try:
        with ledger_of(settings) as ledger:
            yield from check_ledger(ledger, settings, clock)
    except (Refusal, LedgerError, DBAPIError) as error:
        yield _of(error, "ledger")


def _redis(settings: Settings, clock: SystemClock) -> Iterator[Finding]:
    client = connect(settings.redis_address)
    try:
        yield from check_redis(client, _ledger_id(settings), clock)
    except (redis.RedisError, OSError) as error:
        yield _of(error, "redis")
    finally:
        client.close()


def _ledger_id(settings: Settings) -> str | None:
    """None where the ledger can't be read; why was told above."""
    try:
        with ledger_of(settings) as ledger, ledger.read() as tx:
            us = installation.read(tx)
    except (Refusal, LedgerError, DBAPIError):
        return None
    return us.ledger_id if us else None


def _of(error: Exception, about: str) -> Finding:
    """An exception as a finding: its message names what to do already."""
    refusal = as_refusal(error)
    what, _, then = (refusal.message if refusal else str(error)).partition("; ")
    if refusal is not None and refusal.exit_code == NOT_REACHABLE:
        return away(about, what, then or _CHECK_AGAIN)
    return fail(about, what, then or _CHECK_AGAIN)
