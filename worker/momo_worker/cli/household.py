"""What `momo up` and `momo demo` run: a home and ports come in, parts ready for the supervisor go out. Starts nothing itself."""

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from momo_worker.celery_settings import CALL_DEADLINE_SECONDS
from momo_worker.cli.saying import NotReachable
from momo_worker.cli.supervisor import Part
from momo_worker.clock import Clock
from momo_worker.payment.payment import Product
from momo_worker.simulator.accounts import SANDBOX, UGANDA
from momo_worker.simulator.accounts import Account as SimulatedAccount

#: A running call gets its deadline, and the rest a little more.
WORKER_STOP_SECONDS = CALL_DEADLINE_SECONDS + 10.0
PUMP_STOP_SECONDS = WORKER_STOP_SECONDS
#: A busy machine takes long to start a Python; one whose simulator ended is told at once.
_READY_SECONDS = 60.0

SIMULATED_MARKETS: Mapping[str, SimulatedAccount] = {"sandbox": SANDBOX, "uganda": UGANDA}


@dataclass(frozen=True, slots=True)
class Money:
    """The settings under which the account `default` pays at a simulated MTN: published constants, no secrets."""

    market: str
    url: str

    def variables(self) -> dict[str, str]:
        """As variables of the environment, or lines of an .env."""
        account = SIMULATED_MARKETS[self.market]
        found = {"MOMO_MARKET": self.market, "MOMO_BASE_URL": self.url}
        users = dict(zip(Product, account.api_users, strict=True))
        for subscription in account.subscriptions:
            name = f"MOMO_{subscription.product.upper()}"
            user = users[Product(subscription.product)]
            found[f"{name}_SUBSCRIPTION_KEY"] = subscription.primary_key
            found[f"{name}_SECONDARY_KEY"] = subscription.secondary_key
            found[f"{name}_API_USER"] = user.user_id
            found[f"{name}_API_KEY"] = user.api_key
        return found


def momo(*words: str) -> tuple[str, ...]:
    """A command of our own, under this very Python."""
    return (sys.executable, "-m", "momo_worker", *words)


def simulator_part(environment: Mapping[str, str], port: int, data: Path, settings: Mapping[str, object]) -> Part:
    """The fake MTN."""
    words = momo("simulator", "--port", str(port), "--data", str(data), "--settings", json.dumps(dict(settings)))
    # Its one line on standard output is for whoever asked for a free port.
    return Part("simulator", words, environment, output=subprocess.DEVNULL)


# Celery says its last words on standard output, which belongs to the answer of `momo up --json`.


def pump_part(environment: Mapping[str, str], number: int) -> Part:
    """One pump."""
    return Part(f"pump-{number}", momo("pump"), environment, PUMP_STOP_SECONDS, sys.stderr)


def worker_part(environment: Mapping[str, str], number: int) -> Part:
    """One worker."""
    return Part(f"worker-{number}", momo("worker"), environment, WORKER_STOP_SECONDS, sys.stderr)


def wait_for_simulator(process: subprocess.Popen[str], port: int, clock: Clock) -> None:
    """Return when the very process that was started answers; a process comes up in real time."""
    give_up_at = clock.elapsed() + _READY_SECONDS
    while clock.elapsed() < give_up_at:
        if process.poll() is not None:
            raise NotReachable(
                f"the simulator ended at once (code {process.returncode}); what it said stands above. "
                f"Is port {port} taken? Choose another with --simulator-port"
            )
        if _answers(port):
            return
        clock.sleep(0.02)
    raise NotReachable(f"the simulator didn't answer on port {port} within {_READY_SECONDS:.0f} s")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def migrate(environment: Mapping[str, str]) -> int:
    """Bring the ledger up to date in a process of its own, so that the supervisor stays small; its complaints go where ours go."""
    return subprocess.run(  # noqa: S603 - our own command
        momo("migrate"), env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
    ).returncode
