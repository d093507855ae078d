"""A fault comes in, the reply it puts in the place of MTN's goes out. Never changes a payment."""

from collections.abc import Callable

from momo_worker.simulator import answers
from momo_worker.simulator.faults import Rule
from momo_worker.simulator.messages import CUT, Reply, empty_reply, html_reply

_QUOTA_SECONDS = 60.0
_ACCEPTED_PAGE = "<html><body>Accepted, or so it seems</body></html>"


def _coded(rule: Rule) -> Reply:
    return answers.coded(rule.status or 500, rule.code or "INTERNAL_PROCESSING_ERROR")


# The request went no further than this.
_INSTEAD: dict[str, Callable[[Rule], Reply]] = {
    "lost_before_creation": lambda _: Reply(0, delivery=CUT),
    "late_creation": lambda _: Reply(0, delivery=CUT),
    "error_before_creation": _coded,
    "bad_gateway": lambda _: answers.proxy_page(502),
    "service_unavailable": lambda _: answers.proxy_page(503),
    "service_unavailable_code": lambda _: answers.coded(503, "SERVICE_UNAVAILABLE"),
    "html_200": lambda _: answers.request_rejected(),
    "redirect": lambda _: Reply(302, {"Location": "/elsewhere", "Content-Type": "text/html"}, b"<html>Moved</html>"),
    "rate_limited": lambda rule: answers.too_many(round(rule.seconds_or(1.0))),
    "quota_exceeded": lambda rule: answers.quota_used_up(round(rule.seconds_or(_QUOTA_SECONDS))),
    "forbidden_ip": lambda _: answers.gateway(403, "FORBIDDEN IP"),
    "gateway_not_found": lambda _: answers.no_such_path(),
    "bad_request": lambda _: answers.bad_request(),
    "unauthorised": lambda _: empty_reply(401),
    "wrong_key": lambda _: answers.wrong_key(),
    "not_found": lambda _: answers.unknown_reference(),
}

# The request was handled, and this is what becomes of the answer.
_AFTERWARDS: dict[str, Callable[[Rule, Reply], Reply]] = {
    "lost_after_creation": lambda _, reply: reply.delivered("cut"),
    "lost_answer": lambda _, reply: reply.delivered("cut"),
    "halfway_answer": lambda _, reply: reply.delivered("halfway"),
    "slow_answer": lambda rule, reply: reply.delayed(rule.seconds_or(5.0)),
    "error_after_creation": lambda rule, _: _coded(rule),
    "bad_gateway_after_creation": lambda *_: answers.proxy_page(502),
    "gateway_timeout_after_creation": lambda *_: answers.proxy_page(504),
    "html_200_after_creation": lambda *_: html_reply(200, _ACCEPTED_PAGE),
    "ok_200_after_creation": lambda *_: empty_reply(200),
    "empty_answer": lambda _, reply: empty_reply(reply.status),
    "empty_conflict": lambda *_: empty_reply(409),
}


def instead_of_handling(rule: Rule) -> Reply:
    return _INSTEAD[rule.fault](rule)


def altered_answer(rule: Rule, reply: Reply) -> Reply:
    return _AFTERWARDS[rule.fault](rule, reply)
