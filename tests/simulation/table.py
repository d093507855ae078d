"""Totals come in, tables in Markdown go out: what was lived through, what of it broke, and which fault, outcome and move occurred how often."""

from collections.abc import Mapping

from tests.simulation.totals import Totals

#: Checkers that speak of the four zeros; the others are told together.
_TWICE = ("one_movement",)
_LOST = ("entries", "consumer", "taken")
_WRONG = ("finals", "sums", "mtn_said")
_NO_OWNER = ("liveness",)


def tables(totals: Totals, heads: Mapping[str, object]) -> str:
    """Everything, for a page; `heads` stands first."""
    broken = totals.broken
    zeros = {
        "paid twice": _TWICE,
        "lost (jobs, acceptances, results)": _LOST,
        "finals wrong": _WRONG,
        "without an owner": _NO_OWNER,
    }
    counted = {name: sum(broken[checker] for checker in checkers) for name, checkers in zeros.items()}
    sums = {
        **heads,
        "payments": f"{totals.payments:,}",
        "of them at an MTN that remembers and takes no reference twice": f"{totals.payments_usual:,}",
        "POSTs that left": f"{totals.posts:,}",
        "status reads that left": f"{totals.looks:,}",
        **{f"**{name}**": f"**{count}**" for name, count in counted.items()},
        "faults and odd deeds": f"{totals.faults_and_deeds:,}",
        "other properties broken": sum(broken.values()) - sum(counted.values()),
        "moved twice because MTN forgot or raced (only M5's bounds are promised)": totals.moved_twice_when_mtn_forgets,
    }
    checked = {name: f"{count:,} | {broken[name]}" for name, count in sorted(totals.judged.items())}
    parts = [
        _rows("what", "count", sums),
        _rows("checker", "payments judged | broken", checked),
        _rows("outcome", "count", _sorted(totals.outcomes)),
        _rows("held because", "count", _sorted(totals.held)),
        _rows("moved by", "count", _sorted(totals.triggers)),
        _rows("fault or deed", "count", _sorted(totals.faults)),
    ]
    return "\n\n".join(parts)


def summary(totals: Totals, seeds: str, code: str) -> str:
    """One sentence, for the README."""
    broken = totals.broken
    zeros = [sum(broken[name] for name in names) for names in (_TWICE, _LOST, _WRONG, _NO_OWNER)]
    return (
        f"**{zeros[0]} paid twice, {zeros[1]} lost, {zeros[2]} finals wrong, {zeros[3]} left without an owner**, over "
        f"{totals.payments_usual:,} simulated payments (seeds {seeds}, code `{code}`: {totals.seeds:,} lives, {totals.faults_and_deeds:,} faults and odd deeds). "
        f"In {totals.payments - totals.payments_usual:,} further ones MTN itself forgot references or took one twice, and moved the money "
        f"of {totals.moved_twice_when_mtn_forgets:,} twice, which nobody can prevent."
    )


def _sorted(values: Mapping[str, int]) -> dict[str, str]:
    return {name: f"{count:,}" for name, count in sorted(values.items())}


def _rows(left: str, right: str, values: Mapping[str, object]) -> str:
    columns = right.count("|") + 2
    lines = [
        f"| {left} | {right} |",
        f"|{' --- |' * columns}",
        *(f"| {name} | {value} |" for name, value in values.items()),
    ]
    return "\n".join(lines)
