"""What may be written in worker.toml and in MOMO_ variables: names, types, defaults and units; reads nothing.

Numbers carry their unit in the name. The defaults of `[rules]` and `[pace]` are those of `Rules` and `Pace`, written once, there.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from momo_worker.accounts import Pace
from momo_worker.payment.rules import DAY, HOUR, MINUTE, SECOND, Rules

UNITS_MS = {"ms": 1, "seconds": SECOND, "minutes": MINUTE, "hours": HOUR, "days": DAY}


def _split(value: object) -> object:
    """A variable can hold a list only as text: "1, 24, 72"."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Duration = Annotated[Decimal, Field(gt=0, le=10_000_000, allow_inf_nan=False)]
Durations = Annotated[tuple[Duration, ...], BeforeValidator(_split), Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Percent = Annotated[int, Field(ge=0, le=100)]
Factor = Annotated[float, Field(ge=1, le=10)]


class Section(BaseModel):
    """A table of worker.toml: a key that isn't here is a typo."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


#: `[rules]`, in the order in which worker.toml tells them.
RULE_KEYS = (
    "call_deadline_seconds",
    "lease_seconds",
    "permit_age_ms",
    "release_seconds",
    "not_found_needed",
    "not_found_apart_seconds",
    "not_found_grace_seconds",
    "permission_age_minutes",
    "sends_max",
    "send_window_hours",
    "vanished_after_minutes",
    "vanished_pause_count",
    "bad_requests_in_a_row",
    "claims_alone",
    "claims_held",
    "first_look_collection_seconds",
    "first_look_disbursement_seconds",
    "first_look_unknown_seconds",
    "look_factor",
    "look_ceiling_minutes",
    "look_ceiling_late_minutes",
    "look_late_after_hours",
    "held_look_minutes",
    "held_look_late_after_days",
    "held_look_late_hours",
    "held_look_end_days",
    "late_looks_hours",
    "attempts_max",
    "resolve_after_hours",
    "hint_apart_seconds",
    "not_now_delay_seconds",
    "not_now_ceiling_seconds",
    "about_us_delay_seconds",
    "about_us_ceiling_minutes",
    "prompt_minutes",
    "prompt_wait_seconds",
    "prompt_wait_bulk_seconds",
    "collect_expires_minutes",
    "expires_days",
    "same_again_minutes",
    "unknown_account_minutes",
    "waiting_job_first_seconds",
    "waiting_job_last_minutes",
    "circuit_payments",
    "circuit_window_seconds",
    "probe_delays_minutes",
    "circuit_probe_seconds",
    "recovery_jobs_margin_minutes",
    "recovery_failed_days",
    "recovery_adopt_days",
    "many_leases_min",
)


def rule_of(key: str) -> tuple[str, int | None]:
    """The field of `Rules` that a key of `[rules]` fills, and its unit in milliseconds (None: not a time)."""
    stem, _, unit = key.rpartition("_")
    if stem and unit in UNITS_MS:
        return f"{stem}_ms", UNITS_MS[unit]
    return key, None


def _rule_field(key: str) -> tuple[Any, Any]:
    name, unit_ms = rule_of(key)
    default = getattr(Rules(), name)
    if isinstance(default, tuple):
        return Durations, tuple(Decimal(item) / (unit_ms or 1) for item in default)
    if unit_ms is not None:
        return Duration, Decimal(default) / unit_ms
    return (Factor if isinstance(default, float) else Count), default


_rule_fields: dict[str, Any] = {key: _rule_field(key) for key in RULE_KEYS}
RulesSection: type[BaseModel] = create_model("RulesSection", __base__=Section, **_rule_fields)


class WorkerSection(Section):
    threads: Annotated[int, Field(ge=1, le=256)] = 8
    call_threads: Annotated[int, Field(ge=1, le=512)] = 32


class LogSection(Section):
    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"


class JobsSection(Section):
    keep_days: Duration = Decimal(7)
    take_over_seconds: Duration = Decimal(30)


class ResultsSection(Section):
    keep_days: Duration = Decimal(7)
    replay_hours: Duration = Decimal(24)
    outbox_keep_days: Duration = Decimal(30)
    max_megabytes: Count = 512


class HealthSection(Section):
    late_seconds: Duration = Decimal(120)
    results_late_seconds: Duration = Decimal(60)


class ApprovalsSection(Section):
    first_approver: str = ""
    maker_signs: bool = True
    ahead_rows: Annotated[int, Field(ge=1, le=10_000)] = 300
    fee_margin_percent: Annotated[Decimal, Field(ge=0, le=50, allow_inf_nan=False)] = Decimal(1)


class CheckSection(Section):
    pass_score: Percent = 90
    review_score: Percent = 60
    keep_days: Duration = Decimal(30)
    apart_ms: Annotated[int, Field(ge=0, le=60_000)] = 210


class SchedulesSection(Section):
    quiet_hours: str = "20:00-07:00"
    ask_hours: list[int] = [9, 18]
    expired_again_hours: int = 3
    declined_again_days: int = 3
    declines_max: int = 2
    asks_max: int = 4
    pay_days: list[int] = [25, 28, 30, 1]
    stop_after_days: int = 21
    changed_share_max_percent: Percent = 30


class PaceSection(Section):
    look_apart_ms: Annotated[int, Field(ge=0, le=60_000)] = Pace().look_apart_ms
    send_apart_ms: Annotated[int, Field(ge=0, le=60_000)] = Pace().send_apart_ms


class AccountPaceSection(Section):
    """As `[pace]`, for one account; what is left out is `[pace]`'s."""

    look_apart_ms: Annotated[int, Field(ge=0, le=60_000)] | None = None
    send_apart_ms: Annotated[int, Field(ge=0, le=60_000)] | None = None


class ProductSection(Section):
    """Credentials of one product."""

    subscription_key: str | None = Field(default=None, repr=False)
    secondary_key: str | None = Field(default=None, repr=False)
    api_user: str | None = None
    api_key: str | None = Field(default=None, repr=False)


class AccountSection(Section):
    market: str | None = None
    label: str | None = None
    base_url: str | None = None
    target_environment: str | None = None
    currency: str | None = None
    callback_url: str | None = None
    callback_secret: str | None = Field(default=None, repr=False)
    same_again: Literal["off", "warn", "hold"] = "warn"
    direct_limit_per_payment: str | None = None
    direct_limit_per_day: str | None = None
    second_approval_above: str | None = None
    refund_by: Literal["refund", "transfer"] = "refund"
    check_before_paying: Literal["off", "needed"] = "off"
    pace: AccountPaceSection = AccountPaceSection()
    collection: ProductSection = ProductSection()
    disbursement: ProductSection = ProductSection()


class Written(Section):
    """Everything that was written down anywhere, variables laid over worker.toml."""

    database_url: str = Field(default="sqlite:///momo.db", repr=False)
    redis_url: str | None = Field(default=None, repr=False)
    namespace: UUID | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=1, le=65_526)] | None = None
    log: LogSection = LogSection()
    worker: WorkerSection = WorkerSection()
    jobs: JobsSection = JobsSection()
    results: ResultsSection = ResultsSection()
    health: HealthSection = HealthSection()
    rules: RulesSection = RulesSection()  # type: ignore[valid-type]  # made from RULE_KEYS above
    pace: PaceSection = PaceSection()
    approvals: ApprovalsSection = ApprovalsSection()
    schedules: SchedulesSection = SchedulesSection()
    check: CheckSection = CheckSection()
    accounts: dict[str, AccountSection] = Field(default_factory=dict)


#: Sections of worker.toml each key of which may also be a variable, `MOMO_RULES__LEASE_SECONDS`.
SECTIONS: Mapping[str, type[BaseModel]] = {
    "worker": WorkerSection,
    "jobs": JobsSection,
    "results": ResultsSection,
    "health": HealthSection,
    "rules": RulesSection,
    "pace": PaceSection,
    "approvals": ApprovalsSection,
    "schedules": SchedulesSection,
    "check": CheckSection,
}

#: Leaves whose value is a secret: never in worker.toml, never in an error, and each may come as `…_FILE`.
SECRET_KEYS = frozenset(
    {"subscription_key", "secondary_key", "api_key", "callback_secret", "database_url", "redis_url"}
)

#: Variables that say where everything else is; read before there is anything to lay over.
PLACES = ("MOMO_HOME", "MOMO_CONFIG")

_PRODUCTS = ("collection", "disbursement")

#: Variables with a short name, and the place of their value.
SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "MOMO_DATABASE_URL": ("database_url",),
    "MOMO_REDIS_URL": ("redis_url",),
    "MOMO_NAMESPACE": ("namespace",),
    "MOMO_MARKET": ("accounts", "default", "market"),
    "MOMO_BASE_URL": ("accounts", "default", "base_url"),
    "MOMO_TARGET_ENVIRONMENT": ("accounts", "default", "target_environment"),
    "MOMO_CURRENCY": ("accounts", "default", "currency"),
    **{
        f"MOMO_{product}_{key}".upper(): ("accounts", "default", product, key)
        for product in _PRODUCTS
        for key in ProductSection.model_fields
    },
    "MOMO_CALLBACK_URL": ("accounts", "default", "callback_url"),
    "MOMO_CALLBACK_SECRET": ("accounts", "default", "callback_secret"),
    "MOMO_METRICS_HOST": ("metrics_host",),
    "MOMO_METRICS_PORT": ("metrics_port",),
    "MOMO_LOG_LEVEL": ("log", "level"),
}


def account_leaves() -> Iterator[tuple[str, ...]]:
    """Every key an account may have, as a path below `[accounts.NAME]`."""
    for key, field in AccountSection.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from ((key, leaf) for leaf in inner.model_fields)
        else:
            yield (key,)


def known_variables(accounts: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Every variable that is read, and the place of its value, given the accounts of worker.toml."""
    known = dict(SHORT_NAMES)
    for section, model in SECTIONS.items():
        known.update({f"MOMO_{section}__{key}".upper(): (section, key) for key in model.model_fields})
    short = set(SHORT_NAMES.values())
    for name in accounts:
        for leaf in account_leaves():
            path = ("accounts", name, *leaf)
            if path not in short:
                known["__".join(("MOMO_ACCOUNTS", name.replace("-", "_"), *leaf)).upper()] = path
    return known
