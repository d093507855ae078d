"""`momo up`: the settings come in, every process of the Procfile runs under a supervisor until SIGTERM or Ctrl-C, then all of them end."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from rich.table import Table
from sqlalchemy.exc import OperationalError

from momo_worker import logs
from momo_worker.cli import household
from momo_worker.cli.deeds.reading import is_made
from momo_worker.cli.deeds.showing import wide_console
from momo_worker.cli.homes import SIMULATOR_FOLDER
from momo_worker.cli.saying import DONE, NO, AnswerIsNo, WrongUse, say, say_json
from momo_worker.cli.supervisor import BACKOFF_FIRST_SECONDS, BACKOFF_MOST_SECONDS, Supervisor, leashed
from momo_worker.clock import SystemClock
from momo_worker.embedded import EmbeddedError, EmbeddedValkey
from momo_worker.ledger import installation
from momo_worker.ledger.engine import Ledger, LedgerError
from momo_worker.ledger.revision import current, unreachable
from momo_worker.settings import EMBEDDED_REDIS_URL, METRICS_PORT_PUMP, METRICS_PORT_WORKER, Settings, load
from momo_worker.settings_files import find_home
from momo_worker.settings_problems import Problems

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    simulator: bool
    workers: int
    pumps: int
    simulator_port: int
    redis_port: int
    as_json: bool


def up(wanted: Wanted) -> int:
    """Run everything; returns when all has ended."""
    logs.configure("INFO", "up")
    own = _of_the_simulator(wanted) if wanted.simulator else {}
    settings = load({**os.environ, **own}, Path.cwd())
    logs.configure(settings.log_level, "up")
    if not any(account.credentials for account in settings.accounts.values()):
        raise WrongUse(_no_credentials(settings))
    settings.home.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.home):
        refuse_another_ledger(settings, simulator=wanted.simulator)
        if wanted.simulator:
            os.environ["MOMO_HOME"] = str(settings.home)
            _write_dotenv(settings.home, own)
            settings = load(os.environ, Path.cwd())
        return _run(wanted, settings, _environment(wanted, settings))


def refuse_another_ledger(settings: Settings, *, simulator: bool) -> None:
    """A pump or a worker would end at once on a ledger that paid under other settings, and be started again for ever."""
    if not is_made(settings):
        return
    ledger = Ledger(settings.database_url, SystemClock(), pool_size=1)
    try:
        # One that was never migrated has paid nothing yet.
        if current(ledger) is not None:
            with ledger.read() as tx:
                installation.refuse_other_settings(tx, settings.namespace, settings.accounts.values())
    except OperationalError as error:
        raise unreachable(ledger, error) from None
    except LedgerError as error:
        advice = (
            "; start this one under the MOMO_MARKET and --simulator-port of before, or with another MOMO_HOME"
            if simulator
            else ""
        )
        raise WrongUse(f"nothing was started: the ledger at {ledger.where} {error}{advice}") from None
    finally:
        ledger.close()


def _no_credentials(settings: Settings) -> str:
    provision = (
        "`momo provision` makes API user and key from the subscription key that is set"
        if settings.subscription_keys
        else "`momo init` writes an .env to fill in, and `momo provision` makes API user and key in MTN's sandbox"
    )
    return (
        f"no account has credentials, so nothing could be paid (looked at the environment and {settings.home / '.env'}). "
        f"`momo up --simulator` needs none; {provision}"
    )


def _of_the_simulator(wanted: Wanted) -> dict[str, str]:
    """The variables of the simulator's own home: where it is, and as whom it pays. Writes nothing yet."""
    own = household.Money(_market(), f"http://127.0.0.1:{wanted.simulator_port}").variables()
    in_the_way = sorted(name for name, text in os.environ.items() if _speaks_of_money(name) and own.get(name) != text)
    if in_the_way:
        raise WrongUse(
            f"--simulator pays with constants of its own, and the environment would win over them: unset {', '.join(in_the_way)}, "
            "or leave --simulator out"
        )
    embedded = f"redis://127.0.0.1:{wanted.redis_port}/0"
    if embedded != EMBEDDED_REDIS_URL:
        own["MOMO_REDIS_URL"] = embedded
    return {**own, "MOMO_HOME": str(_simulator_home())}


def _write_dotenv(home: Path, own: Mapping[str, str]) -> None:
    """The home's .env, made anew at each start but for what others have put into it."""
    ours = {name: text for name, text in own.items() if name != "MOMO_HOME"}
    lines = ["# Written by `momo up --simulator` at each start: published constants, no secrets."]
    lines += [f"{name}={text}" for name, text in ours.items()]
    lines += _added(home / ".env", ours)
    (home / ".env").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (home / ".env").chmod(0o600)


def _added(path: Path, own: Mapping[str, str]) -> list[str]:
    """What people, or `momo approver add --first`, have put into it since."""
    if not path.exists():
        return []
    ours = ("#", "MOMO_REDIS_URL=", *(f"{name}=" for name in own))
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith(ours)]


def _simulator_home() -> Path:
    problems = Problems()
    home = find_home(os.environ, problems)
    problems.raise_if_any()
    return home if home.name == SIMULATOR_FOLDER else home / SIMULATOR_FOLDER


def _market() -> str:
    name = os.environ.get("MOMO_MARKET") or "sandbox"
    if name not in household.SIMULATED_MARKETS:
        raise WrongUse(
            f"the simulator has no market {name}; set MOMO_MARKET to one of {', '.join(household.SIMULATED_MARKETS)}, or unset it"
        )
    return name


def _speaks_of_money(name: str) -> bool:
    """Variables that say where and as whom the account `default` pays."""
    return name.startswith(("MOMO_BASE_URL", "MOMO_TARGET_", "MOMO_CURRENCY", "MOMO_COLLECTION_", "MOMO_DISBURSEMENT_"))


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Refuse a second one on the same home; the lock ends with the process, however it ends."""
    with (home / "up.lock").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AnswerIsNo(
                f"`momo up` runs on {home} already, as process {lock.read().strip() or 'unknown'}; "
                "stop that one first, or give this one another MOMO_HOME"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _environment(wanted: Wanted, settings: Settings) -> dict[str, str]:
    environment = {**os.environ, "MOMO_HOME": str(settings.home)}
    if settings.redis_url is None and wanted.redis_port != _port(EMBEDDED_REDIS_URL):
        environment["MOMO_REDIS_URL"] = f"redis://127.0.0.1:{wanted.redis_port}/0"
    return environment


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def _run(wanted: Wanted, settings: Settings, environment: Mapping[str, str]) -> int:
    clock = SystemClock()
    supervisor = Supervisor(clock)
    supervisor.stop_on_signals()
    server = _server(wanted, settings)
    whole = True
    try:
        if server is not None:
            server.start()
            log.info("part started", part="redis", pid=server.pid, action="started")
        code = household.migrate(environment)
        if code:
            return code
        if wanted.simulator:
            process = supervisor.start(
                household.simulator_part(environment, wanted.simulator_port, settings.home / "mtn.db", {})
            )
            household.wait_for_simulator(process, wanted.simulator_port, clock)
        for number in range(1, wanted.pumps + 1):
            supervisor.start(household.pump_part(environment, number))
        for number in range(1, wanted.workers + 1):
            supervisor.start(household.worker_part(environment, number))
        _tell(wanted, settings, server, supervisor)
        _watch(supervisor, server)
    finally:
        whole = supervisor.stop()
        if server is not None:
            server.stop()
        log.info("everything ended", action="stopped")
    return DONE if whole else NO


def _server(wanted: Wanted, settings: Settings) -> EmbeddedValkey | None:
    """The embedded server, where no other Redis is named."""
    if settings.redis_url not in (None, f"redis://127.0.0.1:{wanted.redis_port}/0"):
        return None
    return EmbeddedValkey(settings.home / "valkey", wanted.redis_port, launcher=leashed([]))


def _watch(supervisor: Supervisor, server: EmbeddedValkey | None) -> None:
    """Watch everything; the embedded server, which all others speak with, is started again in place."""
    delay = BACKOFF_FIRST_SECONDS
    while not supervisor.asked_to_stop:
        supervisor.watch(until=lambda: server is not None and not server.running())
        if server is None or supervisor.asked_to_stop:
            return
        log.error("a part ended and is started again", part="redis", again_in_seconds=delay, action="restart")
        if _started_again(server):
            delay = BACKOFF_FIRST_SECONDS
            continue
        supervisor.pause(delay)
        delay = min(delay * 2, BACKOFF_MOST_SECONDS)


def _started_again(server: EmbeddedValkey) -> bool:
    server.stop()
    try:
        server.start()
    except EmbeddedError as error:
        # Its sentence says all that a trace would.
        log.error("the embedded server doesn't start", part="redis", why=str(error), action="retry")  # noqa: TRY400
        return False
    log.info("part started", part="redis", pid=server.pid, action="started")
    return True


def _tell(wanted: Wanted, settings: Settings, server: EmbeddedValkey | None, supervisor: Supervisor) -> None:
    """Where everything is."""
    pids = {**({"redis": server.pid} if server else {}), **supervisor.pids()}
    pump_port, worker_port = (settings.metrics_port or port for port in (METRICS_PORT_PUMP, METRICS_PORT_WORKER))
    facts: dict[str, object] = {
        "home": str(settings.home),
        "ledger": logs.scrub(settings.database_url),
        "redis": server.url if server else logs.scrub(settings.redis_address),
        "simulator": f"http://127.0.0.1:{wanted.simulator_port}" if wanted.simulator else None,
        "accounts": {
            account.name: {
                "market": account.market.name,
                "environment": account.market.target_environment,
                "currency": account.market.currency.code,
                "base_url": account.market.base_url,
                "products": [product.value for product in account.credentials],
            }
            for account in settings.accounts.values()
        },
        "metrics": {"pump": f"http://127.0.0.1:{pump_port}", "worker": f"http://127.0.0.1:{worker_port}"},
        "pids": pids,
    }
    if wanted.as_json:
        say_json(facts)
        return
    table = Table(title="Momo worker is up", show_header=False, title_justify="left")
    for name in ("home", "ledger", "redis", "simulator"):
        if facts[name]:
            table.add_row(name, str(facts[name]))
    for account in settings.accounts.values():
        products = ", ".join(product.value for product in account.credentials) or "no credentials"
        market = account.market
        table.add_row(
            f"account {account.name}",
            f"{market.target_environment} {market.currency.code} at {market.base_url}: {products}",
        )
    table.add_row("metrics", f"from {pump_port} (pumps) and {worker_port} (workers) on: /metrics, /healthz")
    table.add_row("processes", ", ".join(f"{name} {pid}" for name, pid in pids.items()))
    wide_console().print(table)
    if wanted.simulator:
        say(f"In another terminal:  export MOMO_HOME={settings.home}")
    say("Ctrl-C ends it all.")
