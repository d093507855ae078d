"""The token with a real server and real HTTP: one request for everybody, sealed in Redis, and life without Redis."""

import itertools
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.mtn_world import API_KEY, API_USER, SUBSCRIPTION_KEY, a_token_source, an_account
from tests.support.raw_server import Line, RawServer, Request, answer, token_answer
from tests.support.valkey import Valkey

from momo_worker.accounts import Credentials
from momo_worker.mtn.errors import CredentialsRefusedError, MtnError, NotReachableError
from momo_worker.mtn.token import COPY_SECONDS_MAX, TokenSource
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause

ROOT = Path(__file__).resolve().parents[2]


class Mtn:
    """A token endpoint that numbers its tokens; `life_seconds` and `says` may be changed while it runs."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.life_seconds = 3600
        self.says: bytes | None = None
        self.hold: threading.Event | None = None
        self.server = RawServer(lambda _request, line: line.say(answer(404)), token_script=self._token)

    def _token(self, _request: Request, line: Line) -> None:
        if self.hold is not None:
            self.hold.wait(10)
        line.say(self.says or token_answer(f"token-{next(self.numbers)}", self.life_seconds))

    @property
    def asked(self) -> int:
        return len(self.server.token_requests)


@pytest.fixture
def mtn() -> Iterator[Mtn]:
    running = Mtn()
    with running.server:
        yield running


Build = Callable[..., TokenSource]


@pytest.fixture
def source(mtn: Mtn, redis_client: redis.Redis) -> Iterator[Build]:
    """A source as another process would have it; `client` None is a process without Redis."""
    made: list[TokenSource] = []

    def build(**options: Any) -> TokenSource:
        options.setdefault("client", redis_client)
        account = options.pop("account", an_account(mtn.server.url))
        made.append(a_token_source(account, **options))
        return made[-1]

    yield build
    for one in made:
        one.close()


def look_again(source: TokenSource) -> None:
    """As if the process-local copy's five seconds were over."""
    source._look_again_at = 0.0


def test_a_token_is_asked_for_with_an_explicit_empty_body(mtn: Mtn, source: Build) -> None:
    requested: list[None] = []
    assert source(requested=lambda: requested.append(None)).current().value == "token-1"
    [seen] = mtn.server.token_requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/disbursement/token/", b"")
    assert seen.headers["content-length"] == "0"
    assert seen.headers["authorization"].startswith("Basic ")
    assert seen.headers["ocp-apim-subscription-key"] == SUBSCRIPTION_KEY
    assert "x-target-environment" not in seen.headers
    assert len(requested) == 1


def test_all_processes_share_one_token(mtn: Mtn, source: Build) -> None:
    tokens = {source().current().value for _ in range(5)}
    assert (tokens, mtn.asked) == ({"token-1"}, 1)


def test_products_and_api_users_have_tokens_of_their_own(mtn: Mtn, source: Build) -> None:
    rotated = {Product.DISBURSEMENT: Credentials(SUBSCRIPTION_KEY, "another-user", API_KEY)}
    values = [
        source().current().value,
        source(product=Product.COLLECTION).current().value,
        source(account=an_account(mtn.server.url, credentials=rotated)).current().value,
    ]
    assert values == ["token-1", "token-2", "token-3"]


def test_what_lies_in_redis_tells_nothing(mtn: Mtn, source: Build, redis_client: redis.Redis) -> None:
    token = source().current()
    names = redis_client.keys("*")
    values = [redis_client.get(name) or "" for name in names]
    for secret in ("token-1", API_KEY, API_USER, SUBSCRIPTION_KEY):
        assert not any(secret in text for text in (*names, *values))
    assert [redis_client.pttl(name) > 0 for name in names] == [True]
    assert "token-1" not in repr(token)


def test_who_has_another_api_key_cannot_read_it_and_asks_for_its_own(mtn: Mtn, source: Build) -> None:
    source().current()
    other = {Product.DISBURSEMENT: Credentials(SUBSCRIPTION_KEY, API_USER, "another-api-key")}
    assert source(account=an_account(mtn.server.url, credentials=other)).current().value == "token-2"


def test_rubbish_in_redis_is_replaced(mtn: Mtn, source: Build, redis_client: redis.Redis) -> None:
    source().current()
    [name] = redis_client.keys("*")
    redis_client.set(name, "rubbish", px=100_000)
    assert source().current().value == "token-2"


def test_four_processes_of_32_threads_want_a_token_at_once_and_ask_once(mtn: Mtn, redis_url: str) -> None:
    mtn.hold = threading.Event()
    command = [sys.executable, "-m", "tests.support.token_storm", mtn.server.url, redis_url, "32"]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        until(lambda: mtn.asked > 0)
        mtn.hold.set()
        got: list[str] = []
        for process in running:
            assert process.stdout is not None
            lines = [line for line in process.stdout if line.startswith("[")]
            got += json.loads(lines[-1])
    finally:
        mtn.hold.set()
        for process in running:
            process.kill()
            process.communicate()
    assert got == ["token-1"] * 128
    assert mtn.asked == 1


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)


def test_near_its_end_one_refreshes_and_the_others_go_on_with_the_old(mtn: Mtn, source: Build) -> None:
    mtn.life_seconds = 600
    first, second = source(), source()
    old = first.current()
    assert second.current().value == old.value
    for one in (first, second):
        look_again(one)
        one._held = None  # read anew, as a process that has just started
    mtn.hold = threading.Event()
    # 500 s later: Redis says that 99 s are left, and of a life of 600 s the last 100 are for refreshing.
    client = first._redis
    client.pexpire(first._key, 99_000)
    got: list[str] = []
    refreshing = threading.Thread(target=lambda: got.append(first.current().value))
    refreshing.start()
    until(lambda: mtn.asked == 2)
    assert second.current().value == old.value
    mtn.hold.set()
    refreshing.join(10)
    assert got == ["token-2"]
    look_again(second)
    assert second.current().value == "token-2"
    assert mtn.asked == 2


def test_a_token_of_an_hour_is_refreshed_ten_minutes_before_its_end(mtn: Mtn, source: Build) -> None:
    token = source().current()
    assert 599 <= token.ends_at - token.refresh_at <= 601


def test_when_refreshing_fails_the_old_one_is_used_to_its_end(mtn: Mtn, source: Build) -> None:
    one = source()
    old = one.current()
    one._redis.pexpire(one._key, 300_000)
    mtn.says = answer(503)
    for _ in range(3):
        look_again(one)
        assert one.current().value == old.value
    assert mtn.asked == 2  # the refusal is remembered for a moment
    one._redis.delete(one._key)
    one._held = None
    with pytest.raises(NotReachableError):
        one.current()


def test_only_the_token_that_failed_is_dropped(mtn: Mtn, source: Build) -> None:
    first, second = source(), source()
    failed = first.current()
    second.current()
    first.drop(failed)
    assert first.current().value == "token-2"
    # The other process meets the same 401 later: it takes the current one and mints nothing.
    second.drop(failed)
    assert second.current().value == "token-2"
    first.drop(failed)
    assert first.current().value == "token-2"
    assert mtn.asked == 2


def test_an_early_death_that_many_threads_meet_costs_one_token(mtn: Mtn, source: Build) -> None:
    one = source()
    dead = one.current()
    together = threading.Barrier(32)
    got: list[str] = []

    def meets_401() -> None:
        together.wait()
        one.drop(dead)
        got.append(one.current().value)

    threads = [threading.Thread(target=meets_401) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(got) == {"token-2"}
    assert mtn.asked == 2


def test_a_drop_elsewhere_is_noticed_within_five_seconds(mtn: Mtn, source: Build) -> None:
    first, second = source(), source()
    first.current()
    second.drop(second.current())
    assert first._look_again_at - first._clock.elapsed() <= COPY_SECONDS_MAX
    look_again(first)
    assert first.current().value == "token-2"


# ---- refused


def test_refused_credentials_are_asked_for_once_by_all(mtn: Mtn, source: Build) -> None:
    mtn.says = answer(500, {"error": "login_failed"})
    for one in (source(), source()):
        for _ in range(3):
            with pytest.raises(CredentialsRefusedError) as caught:
                one.current()
            assert caught.value.cause is Cause.LOGIN_REFUSED
    assert mtn.asked == 1


def test_a_storm_of_threads_with_wrong_credentials_asks_once(mtn: Mtn, source: Build) -> None:
    mtn.says = answer(401, {"error": "unauthorized"})
    one = source()
    causes: list[Cause] = []

    def want() -> None:
        try:
            one.current()
        except MtnError as error:
            causes.append(error.cause)

    threads = [threading.Thread(target=want) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert causes == [Cause.LOGIN_REFUSED] * 32
    assert mtn.asked == 1


def test_the_probe_asks_although_it_was_refused_and_others_may_then_go_on(mtn: Mtn, source: Build) -> None:
    mtn.says = answer(500, {"error": "login_failed"})
    one, other = source(), source()
    for each in (one, other):
        with pytest.raises(CredentialsRefusedError):
            each.current()
    mtn.says = None
    assert one.forced().value == "token-1"
    assert mtn.asked == 2
    other._refusal = None  # its own memory of the refusal ends after half a minute
    assert other.current().value == "token-1"


# ---- without Redis


def test_a_process_without_redis_has_a_token_of_its_own(mtn: Mtn, source: Build) -> None:
    one = source(client=None)
    assert {one.current().value for _ in range(3)} == {"token-1"}
    look_again(one)
    assert one.current().value == "token-1"
    one.drop(one.current())
    assert one.current().value == "token-2"
    with pytest.raises(redis.ConnectionError):
        _ = one._redis


def test_when_redis_goes_away_a_process_goes_on_with_its_copy(mtn: Mtn, valkey: Valkey) -> None:
    client = redis.Redis(port=valkey.port, socket_timeout=0.3, socket_connect_timeout=0.3, retry=Retry(NoBackoff(), 0))
    one = a_token_source(an_account(mtn.server.url), client=client)
    other = a_token_source(an_account(mtn.server.url), client=client)
    assert one.current().value == "token-1"
    valkey.kill()
    look_again(one)
    assert one.current().value == "token-1"
    assert other.current().value == "token-2"  # it had none, so it asks for its own
    other.drop(other.current())
    assert other.current().value == "token-3"
    assert mtn.asked == 3
    valkey.start()
    look_again(one)
    one.current()
    one.close()
    other.close()
    client.close()


def test_a_frozen_redis_holds_up_one_thread_and_not_the_others(mtn: Mtn, valkey: Valkey) -> None:
    client = redis.Redis(port=valkey.port, socket_timeout=3, retry=Retry(NoBackoff(), 0))
    one = a_token_source(an_account(mtn.server.url), client=client)
    token = one.current()
    look_again(one)
    valkey.freeze()
    looking = threading.Thread(target=one.current)
    looking.start()
    until(one._lock.locked)
    began = time.monotonic()
    assert one.current() is token
    assert time.monotonic() - began < 0.5
    valkey.resume()
    looking.join(10)
    one.close()
    client.close()


# ---- nothing shows


def test_no_log_and_no_error_shows_a_token_or_a_key(
    mtn: Mtn, source: Build, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    one = source()
    one.drop(one.current())
    one.current()
    mtn.says = answer(500, {"error": "login_failed"})
    one.drop(one.current())
    with pytest.raises(MtnError) as caught:
        one.current()
    shown = capsys.readouterr().out + caplog.text + repr(caught.value) + str(caught.value) + repr(one) + repr(one._mint)
    assert "token_minted" in shown
    for secret in ("token-1", "token-2", API_KEY, SUBSCRIPTION_KEY, API_USER):
        assert secret not in shown
