"""The fake MTN without a socket, with a clock that only the test moves; for tests of the model itself."""

import base64
import json
import random
from collections.abc import Mapping
from typing import Any

from tests.support.simulator import UGANDA_DISBURSEMENT, Credentials, a_body

from momo_worker.simulator.behaviour import Behaviour
from momo_worker.simulator.control import Control
from momo_worker.simulator.faults import rule_from_json
from momo_worker.simulator.messages import Reply, Request
from momo_worker.simulator.model import Model
from momo_worker.simulator.store import Store

START = 1_800_000_000.0

#: What a test has opened. It is closed at the test's end, in the test's own thread: SQLite takes a close from no other, and the garbage
#: collector runs in whichever thread it likes.
_OPEN: list[Store] = []


def close_all() -> None:
    """Close every store that was opened here; twice does no harm."""
    while _OPEN:
        _OPEN.pop().close()


class InProcessMtn:
    """One caller of one product; `other(...)` gives a second caller of the same MTN."""

    def __init__(
        self, who: Credentials = UGANDA_DISBURSEMENT, *, seed: int = 1, data: str = ":memory:", **settings: Any
    ) -> None:
        self.now = START
        self.who = who
        quick = {"settle_seconds_min": 1.0, "settle_seconds_max": 1.0}
        behaviour = Behaviour().changed({**quick, **settings})
        store = Store(data)
        _OPEN.append(store)
        self.model = Model(store, lambda: self.now, random.Random(seed), behaviour=behaviour)
        self.control = Control(self.model)
        self.bearer = self.token()
        self._references = random.Random(seed + 1)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def send(self, method: str, path: str, headers: Mapping[str, str | None] | None = None, body: bytes = b"") -> Reply:
        kept = {name: value for name, value in (headers or {}).items() if value is not None}
        return self.model.handle(Request.of(method, path, kept, body))

    def ask_token(self, who: Credentials | None = None, **headers: str | None) -> Reply:
        who = who or self.who
        basic = base64.b64encode(f"{who.api_user}:{who.api_key}".encode()).decode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {"authorization": f"Basic {basic}", "ocp-apim-subscription-key": who.subscription_key, **named}
        return self.send("POST", f"/{who.product}/token/", merged)

    def token(self, who: Credentials | None = None) -> str:
        token: str = self.ask_token(who).json()["access_token"]
        return token

    def headers(self, **changes: str | None) -> dict[str, str | None]:
        """`changes` replace or, with None, remove a header; underscores stand for hyphens."""
        usual = {
            "authorization": f"Bearer {self.bearer}",
            "ocp-apim-subscription-key": self.who.subscription_key,
            "x-target-environment": self.who.target_environment,
        }
        return {**usual, **{name.replace("_", "-"): value for name, value in changes.items()}}

    def reference(self) -> str:
        bits = (self._references.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
        text = f"{bits:032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def post(
        self, operation: str, reference: str, body: Any = None, *, version: str = "v1_0", **headers: str | None
    ) -> Reply:
        payload = (
            body
            if isinstance(body, bytes)
            else json.dumps(body if body is not None else a_body(operation, self.who)).encode()
        )
        merged = self.headers(**{"x_reference_id": reference, **headers})
        return self.send("POST", f"/{self.who.product}/{version}/{operation}", merged, payload)

    def pay(self, operation: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> str:
        """Post a payment that MTN is expected to take, and give its reference."""
        reference = self.reference()
        reply = self.post(operation, reference, a_body(operation, self.who, **body), **(headers or {}))
        assert reply.status == 202, reply
        return reference

    def get(self, path: str, **headers: str | None) -> Reply:
        return self.send("GET", f"/{self.who.product}/v1_0/{path}", self.headers(**headers))

    def status(self, operation: str, reference: str) -> Any:
        return self.get(f"{operation}/{reference}").json()

    def fault(self, name: str, **conditions: Any) -> None:
        self.model.faults.add(rule_from_json({"fault": name, **conditions}, self.now))

    def door(self, method: str, name: str, body: Any = None) -> Any:
        reply = self.control.handle(
            Request.of(method, f"/_simulator/{name}", {}, json.dumps(body).encode() if body is not None else b"")
        )
        assert reply.status == 200, reply
        return reply.json()

    def movements(self) -> list[dict[str, Any]]:
        self.model.advance(self.now)
        found: list[dict[str, Any]] = self.door("GET", "movements")["movements"]
        return found

    def balance(self) -> str:
        amount: str = self.get("account/balance").json()["availableBalance"]
        return amount


def as_caller(mtn: InProcessMtn, who: Credentials) -> InProcessMtn:
    """The same MTN, seen by another caller: clock, money and faults are shared."""
    mtn.who = who
    mtn.bearer = mtn.token()
    return mtn
