"""Starts the fake MTN as a process of its own on a free port, and speaks to its control door. Never imports the simulator's inside."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

_START_SECONDS_MAX = 20.0
_CALL_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Credentials:
    """What a client of one product needs; copies of the published constants in momo_worker/simulator/accounts.py."""

    account: str
    product: str
    target_environment: str
    currency: str
    subscription_key: str
    secondary_key: str
    api_user: str
    api_key: str


SANDBOX_COLLECTION = Credentials(
    "sandbox",
    "collection",
    "sandbox",
    "EUR",
    "51c0113c710000000000000000000001",
    "51c0113c710000000000000000000002",
    "5a5d0001-0000-4000-8000-00000000c011",
    "a0a0a0a0a0a0a0a0a0a0a0a0a0a0c011",
)
SANDBOX_DISBURSEMENT = Credentials(
    "sandbox",
    "disbursement",
    "sandbox",
    "EUR",
    "51d15b0000000000000000000000d001",
    "51d15b0000000000000000000000d002",
    "5a5d0002-0000-4000-8000-00000000d15b",
    "a0a0a0a0a0a0a0a0a0a0a0a0a0a0d15b",
)
UGANDA_COLLECTION = Credentials(
    "uganda",
    "collection",
    "mtnuganda",
    "UGX",
    "256c0113c71000000000000000000001",
    "256c0113c71000000000000000000002",
    "25600001-0000-4000-8000-00000000c011",
    "b0b0b0b0b0b0b0b0b0b0b0b0b0b0c011",
)
UGANDA_DISBURSEMENT = Credentials(
    "uganda",
    "disbursement",
    "mtnuganda",
    "UGX",
    "256d15b000000000000000000000d001",
    "256d15b000000000000000000000d002",
    "25600002-0000-4000-8000-00000000d15b",
    "b0b0b0b0b0b0b0b0b0b0b0b0b0b0d15b",
)
ALL_CREDENTIALS = (SANDBOX_COLLECTION, SANDBOX_DISBURSEMENT, UGANDA_COLLECTION, UGANDA_DISBURSEMENT)


@dataclass
class SimulatorControl:
    """The control door. Every call raises if the simulator refuses it, so that a misspelt fault can't pass for a quiet one."""

    url: str
    process: subprocess.Popen[str]
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def call(self, method: str, door: str, **options: Any) -> Any:
        answer = self.session.request(method, f"{self.url}/_simulator/{door}", timeout=_CALL_SECONDS_MAX, **options)
        if answer.status_code != 200:
            raise AssertionError(f"the simulator refused {method} {door}: {answer.text}")
        return answer.json()

    def fault(self, name: str, **conditions: Any) -> None:
        """`count`, `probability`, `for_seconds`, `operation`, `method`, `product`, `account`, `msisdn`, `reference`, `external_id`, `seconds`, `code`."""
        self.call("POST", "faults", json={"fault": name, **conditions})

    def chaos(self, probability: float) -> None:
        self.call("POST", "faults", json={"chaos": probability})

    def clear_faults(self) -> None:
        self.call("DELETE", "faults")

    def settings(self, **values: Any) -> dict[str, Any]:
        changed: dict[str, Any] = self.call("POST", "settings", json=values)
        return changed

    def set_balance(self, account: str, product: str, amount: str) -> None:
        self.call("POST", "balances", json={"account": account, "product": product, "amount": amount})

    def holders(self, *people: dict[str, Any]) -> None:
        """Who has which number: `msisdn`, `given_name`, `family_name`, `active`, `known`."""
        self.call("POST", "holders", json=list(people))

    def end_tokens(self) -> None:
        self.call("DELETE", "tokens")

    def reset(self) -> None:
        self.call("POST", "reset")

    def movements(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "movements")
        return found

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "record")
        return found

    def requests(self, since: float = 0.0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "requests", params={"since": since})["requests"]
        return found

    def callbacks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "callbacks")["callbacks"]
        return found

    def kill(self) -> None:
        """kill -9: whatever the simulator hadn't committed is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.session.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            code = -9
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def start_simulator(
    *,
    data: Path | str = ":memory:",
    port: int = 0,
    mode: str = "both",
    accounts: Path | None = None,
    seed: int = 0,
    chaos: float = 0.0,
    settings: dict[str, Any] | None = None,
) -> SimulatorControl:
    """Give back a simulator that takes requests; whoever starts one stops it."""
    command = [sys.executable, "-m", "momo_worker.simulator", "--port", str(port), "--data", str(data), "--mode", mode]
    command += ["--seed", str(seed), "--chaos", str(chaos), "--settings", json.dumps(settings or {})]
    command += ["--accounts", str(accounts)] if accounts is not None else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise AssertionError(f"the simulator did not start: exit code {process.wait(_START_SECONDS_MAX)}")
    return SimulatorControl(json.loads(line)["url"], process)


@contextmanager
def running_simulator(**options: Any) -> Iterator[SimulatorControl]:
    control = start_simulator(**options)
    try:
        yield control
    finally:
        control.stop()


class MtnCaller:
    """A plain HTTP client of the fake MTN, written from MTN's documents and not from our client: it repeats nothing."""

    def __init__(self, url: str, who: Credentials) -> None:
        self.url, self.who = url, who
        self.session = requests.Session()
        self.session.trust_env = False

    def close(self) -> None:
        self.session.close()

    def token(self) -> str:
        """The token itself; `ask_token` gives the whole answer."""
        token: str = self.ask_token().json()["access_token"]
        return token

    def ask_token(self, **options: Any) -> requests.Response:
        options.setdefault("auth", (self.who.api_user, self.who.api_key))
        options.setdefault("data", b"")
        return self._send(
            "POST", f"/{self.who.product}/token/", {"Ocp-Apim-Subscription-Key": self.who.subscription_key}, options
        )

    def log_in(self) -> "MtnCaller":
        self.session.headers["Authorization"] = f"Bearer {self.token()}"
        return self

    def post(
        self, operation: str, reference: str, body: Any, *, version: str = "v1_0", **options: Any
    ) -> requests.Response:
        headers = {**self._headers(), "X-Reference-Id": reference}
        return self._send("POST", f"/{self.who.product}/{version}/{operation}", headers, {"json": body, **options})

    def get(self, path: str, **options: Any) -> requests.Response:
        """`path` begins behind the version: 'transfer/<reference>', 'account/balance'."""
        return self._send("GET", f"/{self.who.product}/v1_0/{path}", self._headers(), options)

    def status(self, operation: str, reference: str) -> dict[str, Any]:
        body: dict[str, Any] = self.get(f"{operation}/{reference}").json()
        return body

    def _headers(self) -> dict[str, str]:
        return {
            "Ocp-Apim-Subscription-Key": self.who.subscription_key,
            "X-Target-Environment": self.who.target_environment,
        }

    def _send(self, method: str, path: str, headers: dict[str, str], options: dict[str, Any]) -> requests.Response:
        merged = {name: value for name, value in {**headers, **options.pop("headers", {})}.items() if value is not None}
        options.setdefault("timeout", _CALL_SECONDS_MAX)
        return self.session.request(method, self.url + path, headers=merged, allow_redirects=False, **options)


def a_body(
    operation: str, who: Credentials, *, amount: str = "1000", number: str = "256772123456", **changes: Any
) -> dict[str, Any]:
    """The body of a POST; `changes` replace or, with None, remove fields."""
    body: dict[str, Any] = {"amount": amount, "currency": who.currency, "externalId": "EMP-0042"}
    body |= {"payerMessage": "Salary November", "payeeNote": "Salary November"}
    if operation == "refund":
        body["referenceIdToRefund"] = number
    else:
        body["payer" if operation == "requesttopay" else "payee"] = {"partyIdType": "MSISDN", "partyId": number}
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def wait_for_status(caller: MtnCaller, operation: str, reference: str, *, seconds_max: float = 10.0) -> dict[str, Any]:
    """Ask until the payment is final; fails with the last answer when the time is over."""
    deadline = time.monotonic() + seconds_max
    while True:
        body = caller.status(operation, reference)
        if body.get("status") in {"SUCCESSFUL", "FAILED"}:
            return body
        if time.monotonic() > deadline:
            raise AssertionError(f"{operation} {reference} is not final after {seconds_max} s: {body}")
        time.sleep(0.02)
