"""The environment and the current folder come in, one frozen `Settings` goes out; reads files only, starts nothing, prints no secret.

Environment first, then `.env` in the home, then `config/*.toml`, then defaults that run on one machine with the embedded server.
A load that finds anything wrong raises one `SettingsError` that lists all of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote
from uuid import UUID

from pydantic import BaseModel, ValidationError

from momo_worker import settings_files
from momo_worker.accounts import Account
from momo_worker.approval.people import Entry, PeopleError, first_approver
from momo_worker.payment.payment import Product
from momo_worker.payment.rules import DAY, HOUR, SECOND, Rules, RulesError
from momo_worker.redis_url import check_redis_url
from momo_worker.scrubbing import register_basic, register_secret
from momo_worker.settings_accounts import Read, loopback, read_accounts, read_markets
from momo_worker.settings_check import CheckRules, read_check
from momo_worker.settings_problems import Problems, SettingsError
from momo_worker.settings_schedules import Etiquette, read_etiquette
from momo_worker.settings_schema import RULE_KEYS, SECRET_KEYS, AccountSection, Written, known_variables, rule_of

__all__ = ["EMBEDDED_REDIS_URL", "Settings", "SettingsError", "load"]

#: Where `momo up` starts its server; every command's default.
EMBEDDED_REDIS_URL = "redis://127.0.0.1:6388/0"

METRICS_PORT_PUMP = 9464
METRICS_PORT_WORKER = 9474

_TIME_MS_MAX = 3650 * DAY
_URL_KEYS = frozenset({"database_url", "redis_url"})

#: Where real money moves, these rules may be made stricter than their defaults and never laxer (M1, M5, M13; one open prompt).
_NO_LESS = (
    "not_found_needed",
    "not_found_apart_seconds",
    "not_found_grace_seconds",
    "resolve_after_hours",
    "prompt_minutes",
)
_NO_MORE = ("permit_age_ms", "permission_age_minutes", "sends_max", "send_window_hours", "attempts_max")


@dataclass(frozen=True, slots=True)
class Settings:
    """What every part is made from. URLs hold passwords and accounts hold keys: repr shows neither."""

    home: Path
    config_folder: Path
    database_url: str = field(repr=False)
    #: None: the embedded server.
    redis_url: str | None = field(repr=False)
    #: M2's namespace; None only where no account moves real money (sandbox, simulator): one is then drawn with the ledger.
    namespace: UUID | None
    accounts: Mapping[str, Account]
    rules: Rules
    #: Where the metrics door listens: this machine only, unless Prometheus scrapes from another.
    metrics_host: str
    #: First of ten ports tried; None: the process's own default.
    metrics_port: int | None
    log_level: str
    #: Batches that one worker process works on at a time.
    threads: int
    #: Calls to MTN that one worker process has on the wire at a time.
    call_threads: int
    jobs_keep_ms: int
    #: What a pump has taken and not acknowledged for so long is taken over by another.
    jobs_take_over_ms: int
    results_keep_ms: int
    results_replay_ms: int
    #: How long the ledger keeps published results, to be published again by `momo results replay`; each payment's latest for ever.
    outbox_keep_ms: int
    results_max_bytes: int
    #: Due work, and results, that are allowed and later than this aren't moving: /healthz goes red.
    health_late_ms: int
    health_results_late_ms: int
    #: Whom every approver's chain of signatures begins with; None: nobody can approve a run.
    first_approver: Entry | None
    maker_signs: bool
    #: How many rows of a run stand ready to be sent at a time.
    run_ahead_rows: int
    #: What is kept for fees when a balance is held against what a run needs.
    fee_margin: Decimal
    check: CheckRules
    etiquette: Etiquette
    #: How much of a schedule's list of payers may change without a word; more is held back.
    schedule_changed_percent_max: int
    #: Sandbox products that have a subscription key and wait for `momo provision`.
    subscription_keys: Mapping[tuple[str, Product], str] = field(repr=False)

    @property
    def redis_address(self) -> str:
        """The Redis to connect to."""
        return self.redis_url or EMBEDDED_REDIS_URL


def load(environ: Mapping[str, str], cwd: Path) -> Settings:
    """Read everything, or raise a SettingsError that names each problem with its place and its fix."""
    problems = Problems()
    home = settings_files.find_home(environ, problems)
    dotenv = settings_files.read_dotenv(home, problems)
    config = settings_files.find_config({**dotenv, **_filled(environ)}, home, cwd, problems)
    document = settings_files.read_toml(config / "worker.toml", problems)
    accounts = document.get("accounts", {})
    accounts = accounts if isinstance(accounts, dict) else {}
    _refuse_secrets_in(document, problems)
    laid = settings_files.lay_over([environ, dotenv], {"default": None, **accounts}, home, problems)
    places = known_variables({"default": None, **accounts})
    where = _Where({places[name]: name for name in laid}, places, document)
    for name, text in laid.items():
        _put(document, places[name], text, problems)
        _hide(places[name][-1], text)
    written = _validated(document, where, problems)
    settings = _settings(home, config, written, where, problems)
    problems.raise_if_any()
    return settings


def _filled(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if text}


class _Where:
    """Names the place of a value as its reader knows it."""

    def __init__(
        self,
        came_from: Mapping[tuple[str, ...], str],
        variables: Mapping[str, tuple[str, ...]],
        document: Mapping[str, Any],
    ) -> None:
        self._came_from = came_from
        self._usual = {path: name for name, path in variables.items() if "__" not in name or path[-1] in SECRET_KEYS}
        self._document = document

    def __call__(self, *path: str) -> str:
        """The variable that set it, or the key of the file that does; if none does, the one to set it by."""
        if path in self._came_from:
            return self._came_from[path]
        if path in self._usual and not self._in_file(path):
            return self._usual[path]
        return f"worker.toml: {'.'.join(path)}"

    def _in_file(self, path: tuple[str, ...]) -> bool:
        found: Any = self._document
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        return found is not None


def _refuse_secrets_in(document: Mapping[str, Any], problems: Problems, *path: str) -> None:
    for key, value in document.items():
        if isinstance(value, dict):
            _refuse_secrets_in(value, problems, *path, key)
        elif key in SECRET_KEYS:
            _hide(key, str(value))
            problems.add(
                f"worker.toml: {'.'.join((*path, key))}",
                "is a secret in a file that is copied and committed",
                "set it as a variable, or as a variable ending in _FILE; config/env.example names them",
            )


def _hide(key: str, value: str) -> None:
    """From here on no log shows a secret; of a URL its passwords are secret and not its host."""
    if key not in _URL_KEYS:
        if key in SECRET_KEYS:
            register_secret(value)
        return
    for userinfo in re.findall(r"//([^/@]*)@", value):
        register_secret(unquote(userinfo.partition(":")[2]))
    for name, values in parse_qs(value.partition("?")[2]).items():
        if "password" in name:
            register_secret(values[0])


def _put(document: dict[str, Any], path: tuple[str, ...], text: str, problems: Problems) -> None:
    for depth, part in enumerate(path[:-1], start=1):
        if not isinstance(document.setdefault(part, {}), dict):
            place = ".".join(path[:depth])
            problems.add(
                f"worker.toml: {place}", "is a value and must be a section", f"write [{place}] on a line of its own"
            )
            document[part] = {}
        document = document[part]
    document[path[-1]] = text


def _validated(document: dict[str, Any], where: _Where, problems: Problems) -> Written:
    """The document as typed values; keys that are wrong are named and then left at their defaults, so that the rest is checked too."""
    for _ in range(200):  # each round takes at least one wrong key out
        try:
            return Written.model_validate(document)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                path = _real_path(document, each["loc"])
                problems.add(where(*path), *_told(each))
                _drop(document, path)
    return Written()


def _real_path(document: Any, loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """Pydantic's path, cut where the document has no more tables: an item of a list is reported as the list."""
    path: list[str] = []
    for part in loc:
        path.append(str(part))
        if not isinstance(document, dict) or not isinstance(document.get(part), dict):
            break
        document = document[part]
    return tuple(path)


def _told(error: Any) -> tuple[str, str]:
    """What is wrong and what to do; the value itself may be a secret and isn't shown."""
    if error["type"] == "extra_forbidden":
        return "is read by nothing", "take it out, or compare its spelling with the shipped worker.toml"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{message[:1].lower()}{message[1:]}", "correct it, or take it out for the default"


def _drop(document: dict[str, Any], path: tuple[str, ...]) -> None:
    for part in path[:-1]:
        document = document[part]
    document.pop(path[-1], None)


def _settings(home: Path, config: Path, written: Written, where: _Where, problems: Problems) -> Settings:
    read = _accounts(config, written, where, problems)
    if written.redis_url is not None:
        check_redis_url(written.redis_url, where("redis_url"), problems)
    _hide_basic(read)
    _check_namespace(written, read.accounts, where, problems)
    return Settings(
        home=home,
        config_folder=config,
        database_url=_database_url(written.database_url, home, where, problems),
        redis_url=written.redis_url,
        namespace=written.namespace,
        accounts=read.accounts,
        rules=_rules(written.rules, read.accounts, where, problems),
        metrics_host=written.metrics_host,
        metrics_port=written.metrics_port,
        log_level=written.log.level,
        threads=written.worker.threads,
        call_threads=written.worker.call_threads,
        jobs_keep_ms=_in_ms(written.jobs.keep_days, DAY, where("jobs", "keep_days"), problems),
        jobs_take_over_ms=_in_ms(written.jobs.take_over_seconds, SECOND, where("jobs", "take_over_seconds"), problems),
        results_keep_ms=_in_ms(written.results.keep_days, DAY, where("results", "keep_days"), problems),
        results_replay_ms=_in_ms(written.results.replay_hours, HOUR, where("results", "replay_hours"), problems),
        outbox_keep_ms=_outbox_keep_ms(written, where, problems),
        results_max_bytes=written.results.max_megabytes * 1_000_000,
        health_late_ms=_in_ms(written.health.late_seconds, SECOND, where("health", "late_seconds"), problems),
        health_results_late_ms=_in_ms(
            written.health.results_late_seconds, SECOND, where("health", "results_late_seconds"), problems
        ),
        first_approver=_first_approver(written.approvals.first_approver, where, problems),
        maker_signs=written.approvals.maker_signs,
        run_ahead_rows=written.approvals.ahead_rows,
        fee_margin=written.approvals.fee_margin_percent / 100,
        check=read_check(
            written.check, _in_ms(written.check.keep_days, DAY, where("check", "keep_days"), problems), where, problems
        ),
        etiquette=read_etiquette(written.schedules, where, problems),
        schedule_changed_percent_max=written.schedules.changed_share_max_percent,
        subscription_keys=read.subscription_keys,
    )


def _first_approver(text: str, where: _Where, problems: Problems) -> Entry | None:
    if not text:
        return None
    try:
        return first_approver(text)
    except PeopleError as error:
        problems.add(where("approvals", "first_approver"), str(error), "`momo approver add NAME` prints it")
        return None


def _accounts(config: Path, written: Written, where: _Where, problems: Problems) -> Read:
    own = config / "markets.toml"
    path = own if settings_files.is_file(own) else settings_files.shipped_config() / "markets.toml"
    markets = read_markets(settings_files.read_toml(path, problems), problems)
    sections: Mapping[str, AccountSection] = written.accounts
    return read_accounts(sections, markets, written.pace, where, problems)


def _outbox_keep_ms(written: Written, where: _Where, problems: Problems) -> int:
    """What Redis may lose, and what a consumer may still read there, must still be in the ledger."""
    results, place = written.results, where("results", "outbox_keep_days")
    least_days = max(results.keep_days, results.replay_hours / 24)
    if results.outbox_keep_days < least_days:
        problems.add(
            place,
            f"{results.outbox_keep_days} is less than the stream keeps or a loss replays",
            f"set at least {least_days}",
        )
    kept_ms: int = _in_ms(results.outbox_keep_days, DAY, place, problems)
    return kept_ms


def _hide_basic(read: Read) -> None:
    for account in read.accounts.values():
        for credentials in account.credentials.values():
            register_basic(credentials.api_user, credentials.api_key)


def _moves_money(account: Account) -> bool:
    """Neither the sandbox nor a simulator on this machine."""
    return not account.market.sandbox and not loopback(account.market.base_url)


def _check_namespace(written: Written, accounts: Mapping[str, Account], where: _Where, problems: Problems) -> None:
    real = [account.name for account in accounts.values() if _moves_money(account)]
    if (
        real
        and written.namespace is None
        and not any(problem.where == where("namespace") for problem in problems.found)
    ):
        problems.add(
            "MOMO_NAMESPACE",
            f"is missing, and the account {real[0]} moves real money",
            "draw one once (python3 -c 'import uuid; print(uuid.uuid4())'), keep it with the credentials and never change it",
        )


def _database_url(written: str, home: Path, where: _Where, problems: Problems) -> str:
    """SQLAlchemy's URL: PostgreSQL by psycopg 3, or an SQLite file at an absolute path."""
    scheme, _, rest = written.partition("://")
    if scheme in {"postgres", "postgresql", "postgresql+psycopg"}:
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") not in {"", ":memory:"}:
        if any(sign in rest for sign in "?#%"):
            problems.add(
                where("database_url"),
                "has ? # or % in the file's name",
                "name a file without them: options belong to PostgreSQL only",
            )
        return f"sqlite:///{home / rest[1:]}"
    if scheme == "sqlite":
        problems.add(
            where("database_url"), "names no file, so that the ledger would be lost", "write sqlite:///momo.db"
        )
    else:
        problems.add(
            where("database_url"),
            f"{scheme} is no ledger that we know" if rest else "is not a URL",
            "write postgresql://user:password@host/database, or sqlite:///momo.db",
        )
    return ""


def _rules(section: BaseModel, accounts: Mapping[str, Account], where: _Where, problems: Problems) -> Rules:
    values: dict[str, Any] = {}
    for key in RULE_KEYS:
        name, unit_ms = rule_of(key)
        values[name] = _in_ms(getattr(section, key), unit_ms, where("rules", key), problems)
    if any(_moves_money(account) for account in accounts.values()):
        _refuse_laxer(section, where, problems)
    try:
        return Rules(**values)
    except RulesError as error:
        problems.add("worker.toml: rules", str(error), "correct the numbers under [rules]")
        return Rules()


def _in_ms(value: Any, unit_ms: int | None, where: str, problems: Problems) -> Any:
    """A time in whole milliseconds; what isn't a time goes through as it is."""
    if isinstance(value, tuple):
        return tuple(_in_ms(item, unit_ms, where, problems) for item in value)
    if unit_ms is None or not isinstance(value, Decimal):
        return value
    if value * unit_ms != int(value * unit_ms):
        problems.add(where, f"{value} is no whole number of milliseconds", "round it")
    if value * unit_ms > _TIME_MS_MAX:
        problems.add(where, f"{value} is over ten years", "write a time that somebody will live to see")
    return int(value * unit_ms)


def _refuse_laxer(section: BaseModel, where: _Where, problems: Problems) -> None:
    defaults = type(section)()
    for key in (*_NO_LESS, *_NO_MORE):
        value, default = getattr(section, key), getattr(defaults, key)
        if value < default if key in _NO_LESS else value > default:
            side = "at least" if key in _NO_LESS else "at most"
            problems.add(
                where("rules", key),
                f"{value} is laxer than {default}, and real money moves here",
                f"set {side} {default}: these numbers keep a payment from being made twice, and a person from being asked twice",
            )
