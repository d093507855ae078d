"""What was written under `[schedules]` comes in, when and how often people are asked goes out; what can't be is a problem, with the fix."""

from dataclasses import dataclass

from momo_worker.settings_accounts import Where
from momo_worker.settings_problems import Problems
from momo_worker.settings_schema import SchedulesSection
from momo_worker.timing.asking_again import Policy
from momo_worker.timing.asking_again import problems as problems_of
from momo_worker.timing.problems import QuietError
from momo_worker.timing.quiet import QuietHours, quiet_hours


@dataclass(frozen=True, slots=True)
class Etiquette:
    """When people are asked by schedules, and how often."""

    policy: Policy
    #: None: at any hour.
    quiet: QuietHours | None


def read_etiquette(section: SchedulesSection, where: Where, problems: Problems) -> Etiquette:
    """The rules of asking."""
    policy = Policy(
        ask_hours=tuple(section.ask_hours),
        expired_again_hours=section.expired_again_hours,
        declined_again_days=section.declined_again_days,
        declines_max=section.declines_max,
        asks_max=section.asks_max,
        pay_days=tuple(section.pay_days),
        stop_after_days=section.stop_after_days,
    )
    for key, what, fix in problems_of(policy):
        problems.add(where("schedules", key), what, fix)
    return Etiquette(policy, _quiet(section.quiet_hours, where, problems))


def _quiet(text: str, where: Where, problems: Problems) -> QuietHours | None:
    try:
        return quiet_hours(text)
    except QuietError as error:
        problems.add(where("schedules", "quiet_hours"), error.reason, error.advice)
        return None
