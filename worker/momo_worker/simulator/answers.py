"""The words that MTN and its gateway answer with, each with the source that reported it (keys of mtn-api.md). Values only."""

from momo_worker.simulator.messages import Reply, empty_reply, html_reply, json_reply

MESSAGES = {
    "RESOURCE_NOT_FOUND": "Requested resource was not found.",
    "RESOURCE_ALREADY_EXIST": "Duplicated reference id. Creation of resource failed.",
    "INTERNAL_PROCESSING_ERROR": "An internal error occurred while processing.",
    "INVALID_CURRENCY": "Currency not supported.",
    "NOT_ALLOWED": "Authorization failed. Insufficient permissions.",
    "NOT_ALLOWED_TARGET_ENVIRONMENT": "Access to target environment is forbidden.",
    "INVALID_CALLBACK_URL_HOST": "Callback URL with different host name then configured for API User",
    "SERVICE_UNAVAILABLE": "Service temporarily unavailable, try again later.",
    "NOT_ENOUGH_FUNDS": "The payer does not have enough funds.",
    "PAYER_LIMIT_REACHED": "The payer's limit has been breached.",
    "PAYEE_NOT_FOUND": "Payee does not exist",
    "PAYER_NOT_FOUND": "Payer does not exist",
    "APPROVAL_REJECTED": "The approval was rejected.",
    "EXPIRED": "The approval has expired.",
    "COULD_NOT_PERFORM_TRANSACTION": "The transaction could not be performed.",
}

# Answers that MTN's specifications don't list for the operation but that its gateway or its operators' pages do.
# status -> where it was seen; a contract test holds every answer against the specification or against this table.
GATEWAY_ANSWERS = {
    200: "HTML with status 200: web application firewall (VPAY; NKAP; IMIS)",
    302: "derived: no redirect was reported, a client must not follow one",
    400: "ERR: wrong or missing headers, unsupported characters, notes over 160",
    401: "ERR, CATI: subscription key; OAS: bearer token",
    403: "ERR: address not whitelisted; APIM: call volume quota",
    404: "APIM, SDK: no such path behind the gateway",
    411: "NKAP, VPAY: POST without Content-Length",
    429: "APIM, PQ: rate limit with Retry-After",
    500: "LMM#46, NB: login_failed; ERR",
    502: "NKAP, VPAY: HTML from the proxy",
    503: "ERR, NB#4: SERVICE_UNAVAILABLE, or HTML",
    504: "derived: a proxy's timeout",
}


def coded(status: int, code: str) -> Reply:
    """The wallet platform's shape (OAS ErrorReason)."""
    return json_reply(status, {"code": code, "message": MESSAGES.get(code, code)})


def gateway(status: int, message: str, **headers: str) -> Reply:
    """The gateway's shape (APIM, SDK)."""
    return json_reply(status, {"statusCode": status, "message": message}, **headers)


def bad_request() -> Reply:
    """Many 400s carry no body at all (NKAP, CATI)."""
    return empty_reply(400)


def no_such_path() -> Reply:
    return gateway(404, "Resource not found")


def unknown_reference() -> Reply:
    return coded(404, "RESOURCE_NOT_FOUND")


def used_reference() -> Reply:
    return coded(409, "RESOURCE_ALREADY_EXIST")


def missing_key() -> Reply:
    message = "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API."
    return gateway(401, message)


def wrong_key() -> Reply:
    message = (
        "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."
    )
    return gateway(401, message)


def wrong_token() -> Reply:
    return json_reply(401, {"error": "invalid_token"})


def login_failed(status: int) -> Reply:
    return json_reply(status, {"error": "login_failed"})


def too_many(seconds: int) -> Reply:
    return gateway(429, f"Rate limit is exceeded. Try again in {seconds} seconds.", Retry_After=str(seconds))


def quota_used_up(seconds: int) -> Reply:
    left = f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    return gateway(403, f"Out of call volume quota. Quota will be replenished in {left}.")


def length_required() -> Reply:
    return html_reply(
        411,
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN"><html><head><title>Length Required</title></head>'
        "<body><h2>Length Required</h2><hr><p>HTTP Error 411. The request must be chunked or have a content length.</p></body></html>",
    )


def request_rejected() -> Reply:
    return html_reply(
        200,
        "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult with your "
        "administrator.<br><br>Your support ID is: 0000000000000000000</body></html>",
    )


def proxy_page(status: int) -> Reply:
    words = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}[status]
    return html_reply(
        status,
        f"<html><head><title>{status} {words}</title></head><body><center><h1>{status} {words}</h1></center></body></html>",
    )
