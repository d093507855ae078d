"""Books of stages come in, Markdown goes out: what was paid, what was killed where, how soon all was well again. Decides nothing."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.support.chaos_books import Books
from tests.support.chaos_disasters import DISASTERS
from tests.support.chaos_monkey import SLEEPS_AT, Felt
from tests.support.chaos_points import POINTS

from momo_worker.simulator.faults import CHAOS


def report(books: Sequence[Books], seed: int, machine: str, commit: str) -> str:
    """Everything of one run."""
    totals = {
        "kills": sum(one.kill_count for one in books),
        "payments": sum(one.jobs for one in books),
        "references paid twice": sum(one.double_references for one in books),
        "keys paid twice": sum(one.double_keys for one in books),
        "lost": sum(one.lost for one in books),
        "breaches": sum(len(one.breaches) for one in books),
    }
    minutes = sum(one.seconds for one in books) / 60
    parts = [
        f"Seed {seed}; commit {commit}; {machine}; {minutes:.0f} minutes.",
        f"**{', '.join(f'{number:,} {what}' for what, number in totals.items())}.**",
        _stages(books),
        _kills(books),
        _faults(books),
        _recoveries(books),
    ]
    left_out = [f"{one.plan.name}: {', '.join(one.left_out)}" for one in books if one.left_out]
    if left_out:
        parts.append("Not possible there, and left out: " + "; ".join(left_out) + ".")
    return "\n\n".join(parts)


def _stages(books: Sequence[Books]) -> str:
    rows = [
        ("jobs, each under its own key", [one.jobs for one in books]),
        ("sent again for want of an answer", [one.sent_again for one in books]),
        ("broken jobs, each rejected", [one.bad_jobs for one in books]),
        ("kill -9", [one.kill_count for one in books]),
        ("SIGSTOP for longer than a lease", [one.sleeps.total() for one in books]),
        ("faults of MTN's", [one.faults.total() for one in books]),
        ("status reads of one subscription in its busiest second", [_peak(one) for one in books]),
        ("leases that ended wordless", [one.leases_over for one in books]),
        ("sent again under the same reference", [one.resends for one in books]),
        ("payments successful, failed, on a desk", [_states(one.states) for one in books]),
        ("money movements in MTN's own record", [one.movements for one in books]),
        ("sum that MTN moved, UGX", [f"{one.moved_sum:,}" for one in books]),
        ("sum that the ledger calls successful", [f"{one.paid_sum:,}" for one in books]),
        ("references paid twice", [one.double_references for one in books]),
        ("keys paid twice", [one.double_keys for one in books]),
        ("jobs lost", [one.lost for one in books]),
        ("seconds until nothing was open any more", [f"{one.heal_seconds:.0f}" for one in books]),
    ]
    return _table(["", *(one.plan.name for one in books)], [[name, *map(str, values)] for name, values in rows])


def _states(states: Counter[str]) -> str:
    return f"{states['successful']}, {states['failed']}, {states['held']}"


def _peak(one: Books) -> int:
    return max(one.status_read_peaks.values(), default=0)


def _faults(books: Sequence[Books]) -> str:
    """Of every kind, those that never came too."""
    kinds = sorted({*CHAOS, *(kind for one in books for kind in one.faults)})
    rows = [[kind, *(str(one.faults[kind]) for one in books)] for kind in kinds]
    return _table(["faults of MTN's by kind", *(one.plan.name for one in books)], rows)


def _kills(books: Sequence[Books]) -> str:
    """By kind and place: points first, in the order of the corridor."""
    names = {name: point.kind for name, point in POINTS.items()}
    rows = [[f"{kind}: {name}", *(str(one.kills[kind, name]) for one in books)] for name, kind in names.items()]
    others = sorted({where for one in books for where in one.kills if where[1] not in names})
    rows += [[f"{kind}: {how}", *(str(one.kills[kind, how]) for one in books)] for kind, how in others]
    servers = [name for name in DISASTERS if any(one.server_kills[name] for one in books)]
    rows += [[f"server: {name}", *(str(one.server_kills[name]) for one in books)] for name in servers]
    stops = sorted(
        {*((POINTS[name].kind, name) for name in SLEEPS_AT), *(where for one in books for where in one.sleeps)}
    )
    rows += [[f"stopped {kind}: {how}", *(str(one.sleeps[kind, how]) for one in books)] for kind, how in stops]
    return _table(["killed", *(one.plan.name for one in books)], rows)


def _recoveries(books: Sequence[Books]) -> str:
    rows = []
    for name in DISASTERS:
        found = [felt for one in books for felt in one.felt if felt.name == name]
        if found:
            rows.append([name, str(len(found)), *_seconds(found)])
    head = [
        "after",
        "times",
        "it lasted, s",
        "first payment, s",
        "payments at full speed, s",
        "results at full speed, s",
    ]
    return _table(head, rows)


def _seconds(found: Sequence[Felt]) -> list[str]:
    columns: tuple[list[float | None], ...] = (
        [one.lasted_seconds for one in found],
        [one.first_seconds for one in found],
        [one.full_seconds for one in found],
        [one.results_seconds for one in found],
    )
    return [_middle_and_worst(column) for column in columns]


def _middle_and_worst(values: Iterable[float | None]) -> str:
    listed = list(values)
    if None in listed:
        return "not within the time"
    known = [value for value in listed if value is not None]
    return f"{statistics.median(known):.1f} ({max(known):.1f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
