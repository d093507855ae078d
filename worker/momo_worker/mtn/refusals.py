"""An answer to a call that moves no money, which isn't the one hoped for, comes in; a sentence for a person goes out."""

from http import HTTPStatus

from momo_worker.mtn.adapter import Answer
from momo_worker.mtn.errors import (
    ConfigurationError,
    CredentialsRefusedError,
    MtnError,
    NotReachableError,
    UnexpectedAnswerError,
)
from momo_worker.mtn.reasons import explain, look_class
from momo_worker.mtn.wire import Said, read, retry_after_seconds
from momo_worker.payment.verdict import Cause


def refusal(answer: Answer, where: str) -> MtnError:
    """The error for an answer that doesn't hold what was asked for."""
    said = read(answer.headers, answer.body)
    cause = look_class(answer.status, said.shape, said.code, said.message, gateway=said.gateway)[1]
    what = _what(answer.status, said)
    if cause in (Cause.TOKEN_REFUSED, Cause.KEY_REFUSED):
        advice = "check subscription key, API user and API key of this product"
        return CredentialsRefusedError(what, where=where, advice=advice, cause=cause)
    if cause is Cause.FORBIDDEN:
        advice = "have MTN whitelist the address that your calls leave from"
        return ConfigurationError(what, where=where, advice=advice, cause=cause)
    # A 400 says nothing of a product in a status read, where it is about that one id; here it is about what we asked.
    if cause is Cause.CONFIGURATION or answer.status == HTTPStatus.BAD_REQUEST:
        advice = explain(said.code).advice if said.code else "check MOMO_BASE_URL and MOMO_TARGET_ENVIRONMENT"
        return ConfigurationError(what, where=where, advice=advice, cause=Cause.CONFIGURATION)
    if cause is Cause.NONE:
        advice = "ask MTN's support"
        return UnexpectedAnswerError(
            f"{what}, without what was asked for", where=where, advice=advice, cause=Cause.FAULT
        )
    wait = retry_after_seconds(answer.status, answer.headers, said.message, None)
    return NotReachableError(what, where=where, advice="try again in a minute", cause=cause, retry_after_seconds=wait)


def _what(status: int, said: Said) -> str:
    if said.code:
        return f"HTTP {status}, {explain(said.code, said.message).message} ({said.code})"
    return f"HTTP {status}, {said.message or f'a body that is {said.shape.value}'}"
