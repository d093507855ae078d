"""A folder and options come in, the whole corridor on real parts goes out: Valkey, a ledger, a fake MTN, pumps and workers, each its own process.

Ends only what it started, by pid. Times are short but keep the rules' own order (lease over twice the deadline, three looks within the grace).
"""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import redis
import requests
from sqlalchemy import text
from tests.support.consumer import Consumer
from tests.support.simulator import UGANDA_COLLECTION, UGANDA_DISBURSEMENT, SimulatorControl, running_simulator
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import eventually

from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate
from momo_worker.ledger.views import find, listed
from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import FINAL_STATES, State

QUICK_RULES = {
    "CALL_DEADLINE_SECONDS": "3",
    "LEASE_SECONDS": "7",
    "RELEASE_SECONDS": "3",
    "FIRST_LOOK_COLLECTION_SECONDS": "0.3",
    "FIRST_LOOK_DISBURSEMENT_SECONDS": "0.3",
    "FIRST_LOOK_UNKNOWN_SECONDS": "0.3",
    "LOOK_FACTOR": "1.3",
    "LOOK_CEILING_MINUTES": "0.02",
    "HELD_LOOK_MINUTES": "0.02",
    "NOT_FOUND_APART_SECONDS": "0.7",
    # Over the two seconds by which a request of the fake MTN may come late.
    "NOT_FOUND_GRACE_SECONDS": "2.5",
    "VANISHED_AFTER_MINUTES": "0.05",
    "NOT_NOW_DELAY_SECONDS": "0.2",
    "NOT_NOW_CEILING_SECONDS": "1",
    "ABOUT_US_DELAY_SECONDS": "0.2",
    "ABOUT_US_CEILING_MINUTES": "0.02",
    "CIRCUIT_PROBE_SECONDS": "0.5",
    "PROBE_DELAYS_MINUTES": "0.02",
}
#: Everything that may run and be waited for, on a machine that other people use too.
PATIENCE_SECONDS = 90.0
QUICK_SETTLING = {"settle_seconds_min": 0.05, "settle_seconds_max": 0.3}


class Process:
    """One of our processes. `start` after its end brings it back; everything it ever said is in one file."""

    def __init__(self, name: str, words: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.words = words
        self.environment = dict(environment)
        self.folder = folder
        self.log_path = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._began_at = 0

    def start(self) -> Self:
        self._began_at = len(self.log())
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "momo_worker", *self.words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ended(self) -> int | None:
        """Its exit code, if it was started and has ended."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask_to_end(self) -> None:
        """SIGTERM, and no waiting."""
        assert self._process is not None
        self._process.terminate()

    def terminate(self, *, within_seconds: float = PATIENCE_SECONDS) -> int:
        """SIGTERM; its exit code."""
        self.ask_to_end()
        return self.exit_code(within_seconds=within_seconds)

    def exit_code(self, *, within_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end."""
        assert self._process is not None
        return self._process.wait(within_seconds)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        """The log's lines, each of which must be JSON: what isn't fails the test that looks (a line cut by kill -9 is passed over)."""
        return [json.loads(line) for line in self.log().splitlines() if line.endswith("}")]

    def port(self) -> int:
        """The metrics door of the process that runs now."""
        opened = eventually(self._opened, within_seconds=PATIENCE_SECONDS, otherwise=self.log)
        return int(opened[-1])

    def _opened(self) -> list[str]:
        return re.findall(r'"metrics door open".*?"port": ?(\d+)', self.log()[self._began_at :])

    def metrics(self) -> str:
        return requests.get(f"http://127.0.0.1:{self.port()}/metrics", timeout=10).text

    def health(self) -> tuple[int, list[str]]:
        answer = requests.get(f"http://127.0.0.1:{self.port()}/healthz", timeout=10)
        return answer.status_code, answer.json()["reasons"]


@dataclass
class Corridor:
    """Everything, running."""

    folder: Path
    valkey: Valkey
    simulator: SimulatorControl
    environment: dict[str, str]
    ledger: Ledger
    client: redis.Redis
    consumer: Consumer
    pumps: list[Process]
    workers: list[Process]
    commands: int = 0

    @property
    def processes(self) -> list[Process]:
        return [*self.pumps, *self.workers]

    def momo(self, *words: str, within_seconds: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
        """One command, as a person types it; what it said is kept beside the logs."""
        done = subprocess.run(
            [sys.executable, "-m", "momo_worker", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=within_seconds,
            check=False,
        )
        self.commands += 1
        (self.folder / f"command-{self.commands}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        return done

    def xadd(self, **job: Any) -> str:
        """A job by door 1; returns the source that a rejection would name."""
        return self.xadd_raw(json.dumps(a_job(**job)))

    def xadd_raw(self, payload: str | bytes) -> str:
        return f"momo:jobs/{self.client.xadd('momo:jobs', {'job': payload})}"

    def xadd_many(self, jobs: list[dict[str, Any]]) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.xadd("momo:jobs", {"job": json.dumps(job)})
            pipe.execute()

    def payment(self, key: str) -> Payment | None:
        with self.ledger.read() as tx:
            found = find(tx, key)
        return found[0] if found else None

    def payments(self) -> dict[str, Payment]:
        with self.ledger.read() as tx:
            return {payment.idempotency_key: payment for payment in listed(tx, states=(), account=None, limit=100_000)}

    def count(self, sql: str) -> int:
        with self.ledger.read() as tx:
            return int(tx.conn.execute(text(sql)).scalar_one())

    def ends(self, *keys: str, within_seconds: float = PATIENCE_SECONDS) -> list[Payment]:
        """Wait until each of these is final or held, the ledger's word."""
        return [self.comes_to(key, *FINAL_STATES, State.HELD, within_seconds=within_seconds) for key in keys]

    def comes_to(self, key: str, *states: State, within_seconds: float = PATIENCE_SECONDS) -> Payment:
        def there() -> Payment | None:
            payment = self.payment(key)
            return payment if payment is not None and payment.state in states else None

        return eventually(there, within_seconds=within_seconds, otherwise=lambda: self.tell(key))

    def hears(self, key: str, *kinds: str, within_seconds: float = PATIENCE_SECONDS) -> list[str]:
        """Wait until the application's last word of a payment is one of these; gives all it heard, in order."""
        self.until(
            lambda: self.consumer.read().story[key][-1:] in [[kind] for kind in kinds],
            within_seconds=within_seconds,
            key=key,
        )
        return self.consumer.story[key]

    def until(
        self, condition: Callable[[], Any], *, within_seconds: float = PATIENCE_SECONDS, key: str | None = None
    ) -> Any:
        return eventually(condition, within_seconds=within_seconds, otherwise=lambda: self.tell(key))

    def movements(self, key: str) -> list[dict[str, Any]]:
        """What the fake MTN moved under the reference of this payment, by its own count."""
        payment = self.payment(key)
        assert payment is not None
        moved: list[dict[str, Any]] = self.simulator.movements()["movements"]
        return [one for one in moved if one["reference"] == payment.reference_id]

    def story(self, payment_id: str) -> list[dict[str, Any]]:
        """One payment's lines of all logs, in the order of their time."""
        lines = [line for process in self.processes for line in process.lines() if line.get("payment_id") == payment_id]
        return sorted(lines, key=lambda line: str(line["time"]))

    def output(self) -> dict[str, str]:
        """Everything our processes and commands ever wrote, by file."""
        return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in self.folder.glob("*.log")}

    def tell(self, key: str | None = None) -> str:
        """For a failure's message."""
        states = Counter(payment.state.value for payment in self.payments().values())
        about = [f"{self.payment(key)}", *map(str, self.story(getattr(self.payment(key), "id", "")))] if key else []
        tails = [f"--- {process.name}, alive: {process.alive()}\n{process.log()[-3000:]}" for process in self.processes]
        return "\n".join([str(states), *about, *tails])

    def books_agree(self) -> None:
        """The fake MTN's own count against ours: nothing twice, every movement a successful payment's, to the shilling."""
        moved = self.simulator.movements()
        assert moved["doubles"] == {"references": {}, "external_ids": {}}
        ours: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        successful = [payment for payment in self.payments().values() if payment.state is State.SUCCESSFUL]
        for payment in successful:
            ours[_THEIR_WORD[payment.operation.value], payment.currency] += Decimal(payment.amount_minor)
        theirs = {(total["operation"], total["currency"]): Decimal(total["amount"]) for total in moved["totals"]}
        assert dict(ours) == theirs
        assert {one["reference"] for one in moved["movements"]} == {payment.reference_id for payment in successful}

    def consumer_agrees(self) -> None:
        """What the application knows at last is what the ledger says, payment by payment."""

        def same() -> bool:
            return self.consumer.read().states == {key: each.state.value for key, each in self.payments().items()}

        self.until(same)


def a_key() -> str:
    return f"key-{uuid.uuid4().hex[:12]}"


def rejection(corridor: Corridor, source: str) -> dict[str, Any]:
    """The first problem of a rejected entry, as the application reads it."""
    errors: list[dict[str, Any]] = corridor.until(lambda: corridor.consumer.read().rejected.get(source))
    return errors[0]


_THEIR_WORD = {"collect": "requesttopay", "disburse": "transfer", "deposit": "deposit", "refund": "refund"}


def a_job(**changes: Any) -> dict[str, Any]:
    """A salary; `None` removes a field."""
    job = {"operation": "disburse", "amount": "1500", "currency": "UGX", "msisdn": "256772100001", **changes}
    return {name: value for name, value in job.items() if value is not None}


def environment_of(
    folder: Path, valkey_url: str, simulator_url: str, ledger_url: str, rules: Mapping[str, str]
) -> dict[str, str]:
    """Settings as variables; nothing of the caller's own."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("MOMO_")}
    for who in (UGANDA_COLLECTION, UGANDA_DISBURSEMENT):
        name = f"MOMO_{who.product.upper()}"
        found[f"{name}_SUBSCRIPTION_KEY"] = who.subscription_key
        found[f"{name}_SECONDARY_KEY"] = who.secondary_key
        found[f"{name}_API_USER"] = who.api_user
        found[f"{name}_API_KEY"] = who.api_key
    found |= {
        "MOMO_HOME": str(folder),
        "MOMO_MARKET": "uganda",
        "MOMO_BASE_URL": simulator_url,
        "MOMO_REDIS_URL": valkey_url,
        "MOMO_DATABASE_URL": ledger_url,
        "MOMO_PACE__LOOK_APART_MS": "5",
        "MOMO_PACE__SEND_APART_MS": "2",
    }
    return found | {f"MOMO_RULES__{name}": value for name, value in rules.items()}


@contextmanager
def a_corridor(
    folder: Path,
    *,
    ledger_url: str | None = None,
    pumps: int = 1,
    workers: int = 1,
    seed: int = 7,
    rules: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    started: bool = True,
) -> Iterator[Corridor]:
    """Everything started, the ledger migrated; at the end everything stopped. `rules` and `environment` lie over the quick ones."""
    with ExitStack() as stack:
        valkey = Valkey(folder / "valkey").start()
        stack.callback(valkey.stop)
        data = folder / "mtn.db"
        found = running_simulator(data=data, seed=seed, settings={**QUICK_SETTLING, **(settings or {})})
        simulator = stack.enter_context(found)
        url = ledger_url or f"sqlite:///{folder / 'momo.db'}"
        ledger = Ledger(url, SystemClock())
        stack.callback(ledger.close)
        migrate(ledger)
        everything = environment_of(folder, valkey.url, simulator.url, url, {**QUICK_RULES, **(rules or {})})
        everything |= environment or {}
        client = stack.enter_context(valkey.client())
        corridor = Corridor(folder, valkey, simulator, everything, ledger, client, Consumer(client), [], [])
        for kind, many, number in (("pump", corridor.pumps, pumps), ("worker", corridor.workers, workers)):
            for at in range(1, number + 1):
                mine = {**everything, "MOMO_METRICS_PORT": str(free_port())}
                many.append(Process(f"{kind}-{at}", [kind], mine, folder))
        stack.callback(lambda: [process.kill() for process in corridor.processes])
        if started:
            for process in corridor.processes:
                process.start()
        yield corridor
