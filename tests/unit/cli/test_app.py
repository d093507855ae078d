"""The table of commands and what every one of them owes: help without heavy modules, --json, one message instead of a traceback."""

import json
import subprocess
import sys

import pytest
import redis
import sqlalchemy.exc
import typer
from kombu.exceptions import OperationalError as BrokerError

from momo_worker.cli import app, failures
from momo_worker.cli.app import COMMANDS, _with_seconds
from momo_worker.cli.options import WAIT_SECONDS
from momo_worker.cli.saying import AnswerIsNo, NotReachable, WrongUse
from momo_worker.embedded import EmbeddedError
from momo_worker.ledger.engine import LedgerError, OtherLedgerError
from momo_worker.ledger.moves import MoveLostError
from momo_worker.mtn.errors import ConfigurationError, CredentialsRefusedError, NotReachableError, UnexpectedAnswerError
from momo_worker.payment.verdict import Cause
from momo_worker.settings_problems import Problem, SettingsError
from momo_worker.streams import WrongTypeError

#: Typer checks options with pydantic by itself, at 0.1 s; whatever else is slow must wait for the deed.
HEAVY = (
    "sqlalchemy",
    "celery",
    "kombu",
    "redis",
    "requests",
    "phonenumbers",
    "structlog",
    "alembic",
    "rich",
)


def leaves(command, name):
    """A command itself, or the commands of a group."""
    inner = getattr(command, "commands", None)
    return [(name, command)] if not inner else [(f"{name} {key}", one) for key, one in inner.items()]


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_nothing_heavy(words):
    code = (
        "import json, sys\nfrom momo_worker.__main__ import main\n"
        f"sys.argv = ['momo', *{words!r}]\ncode = main()\n"
        "print('\\n' + json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, loaded = json.loads(done.stdout.splitlines()[-1])

    assert exit_code == 0
    assert set(HEAVY) & set(loaded) == set()


def test_every_command_can_be_loaded_explains_itself_and_answers_with_json():
    for name, entry in COMMANDS.items():
        for words, command in leaves(app._command(name, entry), name):
            options = {option for parameter in command.params for option in parameter.opts}
            assert "--json" in options, words
            assert command.help, words


def test_a_wait_without_a_number_gets_one():
    assert _with_seconds(["collect", "--wait", "--json"]) == ["collect", "--wait", str(WAIT_SECONDS), "--json"]
    assert _with_seconds(["collect", "--wait"]) == ["collect", "--wait", str(WAIT_SECONDS)]
    assert _with_seconds(["collect", "--wait", "5"]) == ["collect", "--wait", "5"]


def _mtn(kind):
    return kind("what", where="where", advice="advice", cause=Cause.FAULT)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SettingsError([Problem("MOMO_X", "is wrong", "correct it")]), WrongUse),
        (LedgerError("the ledger at x can't be reached: no"), NotReachable),
        (LedgerError("the ledger at x has schema none; run `momo migrate`"), AnswerIsNo),
        (LedgerError("is new and MOMO_NAMESPACE isn't set"), WrongUse),
        (OtherLedgerError("this Redis belongs to the ledger a"), WrongUse),
        (MoveLostError("lost"), AnswerIsNo),
        (WrongTypeError("a key holds another type"), AnswerIsNo),
        (EmbeddedError("no server"), NotReachable),
        (_mtn(NotReachableError), NotReachable),
        (_mtn(ConfigurationError), WrongUse),
        (_mtn(CredentialsRefusedError), WrongUse),
        (_mtn(UnexpectedAnswerError), AnswerIsNo),
        (redis.ConnectionError("refused"), NotReachable),
        (redis.TimeoutError("slow"), NotReachable),
        (redis.AuthenticationError("WRONGPASS"), WrongUse),
        (redis.exceptions.InvalidResponse("Protocol Error: b'HTTP/1.0'"), WrongUse),
        (redis.exceptions.NoPermissionError("NOPERM"), AnswerIsNo),
        (redis.ResponseError("WRONGTYPE"), AnswerIsNo),
        (redis.ResponseError("DB index is out of range"), WrongUse),
        (BrokerError("refused"), NotReachable),
        (sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("gone")), NotReachable),
        (sqlalchemy.exc.TimeoutError("no connection"), NotReachable),
        (PermissionError(13, "Permission denied", "/srv/momo"), AnswerIsNo),
    ],
)
def test_every_failure_that_is_expected_becomes_a_message_with_an_exit_code(error, kind):
    refusal = failures.as_refusal(error)

    assert type(refusal) is kind
    assert refusal.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.ResponseError("DB index is out of range"), "at the end of MOMO_REDIS_URL"),
        (redis.ResponseError("unknown command 'SENTINEL', with args beginning with: 'MASTERS'"), "no Sentinel"),
        (redis.ConnectionError("Connection refused."), "Connection refused; check MOMO_REDIS_URL"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"), "clean UTF-8 text"),
    ],
)
def test_a_failure_says_what_to_change(error, words):
    assert words in failures.as_refusal(error).message


def test_a_message_shows_no_password():
    refusal = failures.as_refusal(LedgerError("the ledger at postgresql://momo:hunter2-pass@db/x can't be reached"))

    assert "hunter2-pass" not in refusal.message


def test_a_mistake_of_ours_is_told_without_a_traceback(monkeypatch, capsys):
    def broken(_name, _entry):
        command = typer.Typer(add_completion=False)
        command.command()(lambda: 1 / 0)
        return typer.main.get_command(command)

    monkeypatch.setattr(app, "_command", broken)

    assert app.run(["states"]) == 1
    told = capsys.readouterr()
    assert "a mistake of ours: ZeroDivisionError" in told.err
    assert "Traceback" not in told.out + told.err
