"""The switches of the fake MTN: each a question that MTN's documents leave open or a speed that a test wants to set. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

CHOICES = {
    "login_failed_status": (500, 401),
    "reason_form": ("string", "object"),
    "short_float_reason": ("NOT_ENOUGH_FUNDS", "INTERNAL_PROCESSING_ERROR"),
    "refund_check": ("at_settlement", "at_post", "none"),
    "reference_scope": ("environment", "product", "api_user"),
    "callback_mode": ("once", "twice", "never"),
    "callback_verb": ("by_version", "PUT", "POST"),
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One line each: what it sets. Anything marked 'open' is not published by MTN (mtn-api 11)."""

    token_seconds: int = 3600  # expires_in, and how long a token really lives unless a fault ends it
    new_token_ends_older: bool = False  # open: whether a new token invalidates the one before
    login_failed_status: int = 500  # LMM#46 saw 500, the specification says 401
    settle_seconds_min: float = 0.5  # a payment that will succeed does so between these two, drawn from the seed
    settle_seconds_max: float = 2.0
    approval_seconds: float = 300.0  # the payer's five minutes (ERR, BP)
    delayed_transfer_seconds_min: float = 4.0  # test number ...454 on a transfer (CATI: between 4 and 45 s)
    delayed_transfer_seconds_max: float = 45.0
    delayed_collection_seconds: float = (
        90.0  # ...454 on a request to pay: CREATED, unmoved at 40 s (NKAP); the end is our guess
    )
    status_reads_per_second: int = 10  # BP
    status_cap_enforced: bool = False  # above the cap: always counted; answered 429 only when this is on
    reason_form: str = "string"  # E186, NKAP, CATI: a bare string; the specification: an object
    short_float_reason: str = "NOT_ENOUGH_FUNDS"  # ERR, LMM#81: may come as the generic error
    refund_check: str = "at_settlement"  # open: when, if at all, MTN compares a refund with its collection
    reference_scope: str = "product"  # open: within what a reference must be unique
    forget_after_seconds: float | None = None  # open: how long references are remembered
    racing_window_seconds: float = 0.0  # open: a second POST of a reference within this window is accepted as well
    refused_post_uses_reference: bool = False  # open: whether a 400 or 500 uses up the reference
    empty_conflict: bool = False  # 409 without a body
    callback_mode: str = "once"  # CB: once; NKAP got two; E: none without X-Callback-Url
    callback_verb: str = "by_version"  # OAS: v1 POST, v2 PUT; CB: accept both
    callback_delay_seconds: float = 0.0
    callback_repeat_seconds: float = 1.0  # NKAP: three minutes apart; short here so that a test need not wait

    def changed(self, values: Mapping[str, Any]) -> "Behaviour":
        """A copy with these values; refuses unknown names and values of the wrong kind with a sentence."""
        known = {one.name: one for one in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"{name!r} is no setting; the settings are {', '.join(sorted(known))}")
            _check(name, value, str(known[name].type))
        return replace(self, **values)


def _check(name: str, value: Any, kind: str) -> None:
    if name in CHOICES and value not in CHOICES[name]:
        raise ValueError(f"{name} is {value!r}; it may be one of {', '.join(map(str, CHOICES[name]))}")
    if value is None and "None" in kind:
        return
    if "bool" in kind:
        right = isinstance(value, bool)
    elif "float" in kind or "int" in kind:
        right = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    else:
        right = isinstance(value, str)
    if not right:
        raise ValueError(f"{name} is {value!r}; it must be {kind.replace('<class ', '').strip('>')}, not negative")
