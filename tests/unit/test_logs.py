"""What a log line holds, who may speak through it, and what never gets into one."""

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog

from momo_worker import logs

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Everything a configuration touches is as before afterwards."""
    root = logging.getLogger()
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    before = root.handlers[:], root.level
    yield io.StringIO()
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logs.forget_secrets()
    for name in (*logs._TALKATIVE, *logs._NEVER_BELOW_WARNING):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    logs.configure("INFO", "worker", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_event_first(lines: Lines, stream: io.StringIO) -> None:
    structlog.get_logger().bind(payment_id="p-1").info(
        "payment moved", amount=150000, action="poll", to="pending", **{"from": "sending"}
    )
    (line,) = lines()
    leading = ["time", "level", "event", "process", "payment_id", "from", "to", "action", "amount"]
    assert list(line) == leading
    assert stream.getvalue().endswith("}\n")
    assert line["level"] == "info"
    assert line["process"] == "worker"
    assert line["time"].endswith("Z")
    assert datetime.fromisoformat(line["time"]).utcoffset().total_seconds() == 0


def test_what_was_bound_to_the_context_is_in_every_line(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(payment_id="p-2"):
        structlog.get_logger().info("one")
    structlog.get_logger().info("two")
    assert [line.get("payment_id") for line in lines()] == ["p-2", None]


def test_below_the_level_nothing_is_written(lines: Lines) -> None:
    structlog.get_logger().debug("quiet")
    logging.getLogger("anybody").debug("quiet")
    assert lines() == []


def test_libraries_speak_through_the_same_lines(lines: Lines) -> None:
    logging.getLogger("celery.worker").warning("lost %s", "Redis")
    (line,) = lines()
    assert (line["level"], line["event"], line["logger"]) == ("warning", "lost Redis", "celery.worker")


def test_libraries_that_talk_much_are_heard_from_warning_on(lines: Lines) -> None:
    for name in ("celery.app.trace", "kombu.transport", "urllib3.connectionpool"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).error("trouble")
    assert [line["event"] for line in lines()] == ["trouble"] * 3


def test_the_database_never_prints_its_rows_even_at_debug(stream: io.StringIO) -> None:
    logs.configure("DEBUG", "worker", stream)
    logging.getLogger("sqlalchemy.engine.Engine").info("INSERT … ('256772123456')")
    logging.getLogger("urllib3").debug("heard")
    assert "256772123456" not in stream.getvalue()
    assert "heard" in stream.getvalue()


@pytest.mark.parametrize(
    "where", ["event", "value", "key", "nested", "repr", "exception", "library", "library argument"]
)
def test_a_registered_secret_is_hidden_wherever_it_stands(lines: Lines, stream: io.StringIO, where: str) -> None:
    secret = "k3y-of-the-house"
    logs.register_secret(secret)
    log = structlog.get_logger()
    sentence = f"GET /?key={secret}"

    @dataclass
    class Thing:
        key: str

    speak: dict[str, Callable[[], object]] = {
        "event": lambda: log.info(sentence),
        "value": lambda: log.info("sent", key=secret),
        "key": lambda: log.info("sent", **{secret: 1}),
        "nested": lambda: log.info("sent", headers={"X": [secret]}),
        "repr": lambda: log.info("sent", thing=Thing(secret)),
        "exception": lambda: log.error("no", exc_info=ValueError(f"bad {secret}")),
        "library": lambda: logging.getLogger("urllib3").error(sentence),
        "library argument": lambda: logging.getLogger("urllib3").error("GET %s", Thing(secret)),
    }
    speak[where]()
    assert len(lines()) == 1
    assert secret not in stream.getvalue()
    assert logs.HIDDEN in stream.getvalue()


def test_numbers_are_masked_under_their_keys_and_in_bodies(lines: Lines, stream: io.StringIO) -> None:
    structlog.get_logger().info(
        "sent",
        msisdn="256772123456",
        body={"payer": {"partyId": "256772123456"}},
        at=1795500000000,
        amount="256772123456",
    )
    (line,) = lines()
    assert line["msisdn"] == "256…56"
    assert line["body"] == {"payer": {"partyId": "256…56"}}
    assert (line["at"], line["amount"]) == (1795500000000, "256772123456")


def test_a_traceback_is_in_its_line(lines: Lines) -> None:
    try:
        {}["x"]
    except KeyError:
        structlog.get_logger().exception("it broke", payment_id="p-3")
        logging.getLogger("kombu").exception("there too")
    ours, theirs = lines()
    for line in (ours, theirs):
        assert line["level"] == "error"
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith("KeyError: 'x'")


def test_values_that_json_does_not_know_are_written_as_text(lines: Lines) -> None:
    structlog.get_logger().info("x", a=Decimal("1.50"), b=UUID(int=1), c=Path("/srv"), d=b"\xff", e={1: object})
    (line,) = lines()
    assert (line["a"], line["b"], line["c"]) == ("1.50", str(UUID(int=1)), "/srv")
    assert (line["d"], line["e"]["1"]) == (r"b'\xff'", "<class 'object'>")


@pytest.mark.parametrize("text", ["a\nb", "a\u2028b", "a\x85b", "a\u202eb", "\ud800", "a\x1b[31mb", "\x00", "Zoé 👍🏾"])
def test_no_text_of_a_stranger_ends_a_line_or_turns_it_around(lines: Lines, stream: io.StringIO, text: str) -> None:
    structlog.get_logger().info(text, note=text)
    (line,) = lines()
    assert (line["event"], line["note"]) == (text, text)
    assert not set(stream.getvalue()[:-1]) & set("\n\u2028\x85\u202e\x1b\x00")


def test_a_line_that_cannot_be_made_is_told_of_without_its_content(lines: Lines, stream: io.StringIO) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if isinstance(handler, logs._Handler)]  # pytest's raises
    arguments = ("topsecret-argument",)
    logging.getLogger("broken").error("%d of %s", *arguments)
    (line,) = lines()
    assert (line["event"], line["logger"], line["because"]) == ("a log line could not be made", "broken", "TypeError")
    assert "topsecret" not in stream.getvalue()


def test_warnings_are_lines(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    (line,) = lines()
    assert line["logger"] == "py.warnings"


def test_configuring_again_writes_each_line_once(stream: io.StringIO, lines: Lines) -> None:
    logs.configure("INFO", "pump", stream)
    structlog.get_logger().info("one")
    logging.getLogger("anybody").warning("two")
    assert [(line["event"], line["process"]) for line in lines()] == [("one", "pump"), ("two", "pump")]


_UNCAUGHT = """
import sys, threading
from momo_worker import logs
logs.configure("INFO", "worker")
logs.register_secret("k3y-of-the-house")
def fail():
    raise RuntimeError("Authorization: Bearer abcdefghijkl, k3y-of-the-house, Zo\\u00e9")
class Fails:
    def __del__(self):
        fail()
thread = threading.Thread(target=fail, name="caller")
thread.start()
thread.join()
Fails()
fail()
"""


def test_what_nobody_caught_is_a_line_too_and_hides_secrets_in_any_locale() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNCAUGHT],
        capture_output=True,
        check=False,
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stdout == b""
    text = done.stderr.decode("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["where"] for line in lines] == ["caller", "clean-up", "main thread"]
    assert all(line["level"] == "error" and "RuntimeError" in line["exception"] for line in lines)
    shown = "".join(line["exception"].rpartition("RuntimeError:")[2] for line in lines)
    assert shown == f" Authorization: Bearer {logs.HIDDEN}, {logs.HIDDEN}, Zoé" * 3
    assert "k3y-of" not in text


def test_threads_never_mix_their_lines(lines: Lines) -> None:
    def speak(number: int) -> None:
        for _ in range(50):
            structlog.get_logger().info("word " * 50, thread=number)

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines()) == 400
