"""Events of ours and of the libraries come in, one JSON line each goes out to stderr; no secret and no whole phone number ever does.

A line holds `time` (RFC 3339, UTC), `level`, `event`, then what was bound: payment_id, from, to, action … ERROR means that
somebody is woken: write WARNING for what the worker deals with by itself.
"""

import contextlib
import io
import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from momo_worker.scrubbing import HIDDEN, forget_secrets, register_basic, register_secret, scrub

__all__ = ["HIDDEN", "configure", "forget_secrets", "register_basic", "register_secret", "scrub"]

#: First in every line, in this order.
_LEADING = ("time", "level", "event", "process", "payment_id", "from", "to", "action")

#: Their INFO is two lines a message and a line a connection.
_TALKATIVE = ("celery", "kombu", "amqp", "urllib3", "requests", "redis", "alembic", "asyncio")

#: Below WARNING it prints the parameters of every statement: whole rows, with numbers and names.
_NEVER_BELOW_WARNING = ("sqlalchemy",)

#: By the name of the method that was called.
_LEVELS = {
    **{name.lower(): number for name, number in logging.getLevelNamesMapping().items()},
    "exception": logging.ERROR,
}

# Characters at which some reader would end the line, or that turn the text around on a screen; JSON lets them stand as they are.
_UNSAFE = re.compile("[\u0085\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\u007f-\u009f]")


def configure(level: str, process: str, stream: TextIO | None = None) -> None:
    """Send everything this process logs to `stream` (default: stderr). Call once, first; calling again replaces the former."""
    _out.become(_stream(stream), process, logging.getLevelNamesMapping()[level])
    structlog.configure(
        processors=[
            _out.admit,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _out.line,
        ],
        logger_factory=structlog.WriteLoggerFactory(_out),  # type: ignore[arg-type]  # it asks for write and flush only
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        # Made anew for each line, a logger cost as much as its line.
        cache_logger_on_first_use=True,
    )
    _take_over(_Handler(_out), level)
    _catch_what_nobody_caught()


class _Out:
    """Makes lines of events and writes them whole: several threads speak at once.

    One a process: loggers are kept from their first use on, and find here what `configure` said last.
    """

    def __init__(self) -> None:
        self._stream: TextIO = sys.stderr
        self._process = ""
        self._level = logging.INFO
        self._lock = threading.Lock()

    def become(self, stream: TextIO, process: str, level: int) -> None:
        """What is logged from now on, and where it goes."""
        with self._lock:
            self._stream, self._process, self._level = stream, process, level

    def admit(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Drop what is below the level."""
        if _LEVELS[method] < self._level:
            raise structlog.DropEvent
        return event

    def line(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        """One line. Scrubbed when rendered, so that keys, nested values and reprs are covered too."""
        event.setdefault("process", self._process)
        event["time"] = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        ordered = {key: event.pop(key) for key in _LEADING if key in event}
        ordered.update(event)
        line = scrub(_encode(ordered))
        return line if line.isascii() else _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)

    def write(self, text: str) -> None:
        with self._lock:
            self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


_out = _Out()


def _stream(stream: TextIO | None) -> TextIO:
    chosen = sys.stderr if stream is None else stream
    if isinstance(chosen, io.TextIOWrapper):
        # Under LANG=C a terminal's stream would write bytes that are no JSON.
        chosen.reconfigure(encoding="utf-8", errors="backslashreplace")
    return chosen


def _take_over(handler: logging.Handler, level: str) -> None:
    """The standard library's loggers speak through our handler only."""
    root = logging.getLogger()
    for former in list(root.handlers):
        if type(former) in {logging.StreamHandler, _Handler}:
            root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "DEBUG" else logging.WARNING)
    for name in _NEVER_BELOW_WARNING:
        logging.getLogger(name).setLevel(logging.WARNING)


class _Handler(logging.StreamHandler[_Out]):
    """Makes the same lines of what libraries log through the standard library."""

    def __init__(self, out: _Out) -> None:
        super().__init__(out)
        self._out = out

    def format(self, record: logging.LogRecord) -> str:
        event: EventDict = {"level": record.levelname.lower(), "event": record.getMessage(), "logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            event["exc_info"] = record.exc_info
            event = dict(structlog.processors.format_exc_info(None, "", event))
        return self._out.line(None, "", event)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Tell of a line that can't be made without its content: logging's own way would print it raw."""
        kind = sys.exc_info()[0]
        event: EventDict = {
            "level": "error",
            "event": "a log line could not be made",
            "logger": record.name,
            "where": f"{record.filename}:{record.lineno}",
            "because": kind.__name__ if kind is not None else None,
        }
        # Where not even this can be written (a closed stderr) there is nobody left to tell.
        with contextlib.suppress(OSError, ValueError):
            self._out.write(self._out.line(None, "", event) + "\n")


def _shown(value: object) -> str:
    """What JSON doesn't know as text: ids, paths and amounts plainly, all else as it presents itself."""
    return repr(value) if type(value).__str__ is object.__str__ else str(value)


_encode = json.JSONEncoder(ensure_ascii=False, default=_shown).encode


def _catch_what_nobody_caught() -> None:
    """Python prints uncaught exceptions raw: they go through the scrubber instead."""
    log = structlog.get_logger()

    def report(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None, where: str) -> None:
        if error is not None and not issubclass(kind, KeyboardInterrupt | SystemExit):
            log.error("an error that nobody caught", where=where, action="none", exc_info=(kind, error, trace))

    sys.excepthook = lambda kind, error, trace: report(kind, error, trace, "main thread")
    threading.excepthook = lambda args: report(
        args.exc_type, args.exc_value, args.exc_traceback, args.thread.name if args.thread else "a thread"
    )
    sys.unraisablehook = lambda args: report(args.exc_type, args.exc_value, args.exc_traceback, "clean-up")
