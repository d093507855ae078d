"""A report to print: outcomes come in by pieces, one HTML file goes out that loads nothing and runs nothing; every text of others is escaped.

Rows are kept in a temporary file until the totals above them are known.
"""

import shutil
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

from momo_worker.runs.export import writable
from momo_worker.runs.outcomes import Outcome, Totals
from momo_worker.runs.report import OVERRIDES, WORDS, Subject, cells, override_cells
from momo_worker.runs.report_chart import bars

_STYLE = """
@page { size: A4 landscape; margin: 12mm }
* { box-sizing: border-box }
body { font: 10pt/1.35 Georgia, "Times New Roman", serif; color: #111; background: #fff; margin: 1.5rem auto; max-width: 62rem }
h1 { font-size: 17pt; margin: 0 0 .6rem } h2 { font-size: 12pt; margin: 1.4rem 0 .4rem; break-after: avoid }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0 } dt { font-weight: bold } dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% } thead { display: table-header-group } tr { break-inside: avoid }
th, td { text-align: left; vertical-align: top; padding: .2rem .4rem; border-bottom: 1px solid #999; overflow-wrap: anywhere }
th { border-bottom: 2px solid #111 } .n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.rows { font-size: 7.5pt; table-layout: fixed } .ids { font-family: "Courier New", monospace; font-size: 6.5pt }
.not { font-weight: bold } small { color: #333 } svg { width: 100%; max-width: 46rem; height: auto; font: 12px Georgia, serif }
@media print { body { margin: 0; max-width: none } }
"""
#: What each column of a row holds, and how much of the width it gets.
_HEADS = (("#", 5), ("id", 8), ("name", 14), ("number", 10), ("amount", 9), ("state", 10), ("reason", 17), ("references", 16), ("times", 11))  # fmt: skip


class HtmlReport:
    """A page on its way."""

    def __init__(self, path: Path, subject: Subject) -> None:
        self._path = path
        self._subject = subject
        self._rows = tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent)  # noqa: SIM115 - `close` closes it

    def rows(self, piece: Sequence[Outcome]) -> None:
        """Keep a piece of the rows."""
        self._rows.writelines(_row(one, self._subject) for one in piece)

    def finish(self, totals: Totals) -> None:
        """Write the page: facts, picture, totals, reasons, then the rows."""
        with self._path.open("w", encoding="utf-8") as page:
            page.write(_top(self._subject, totals))
            self._rows.seek(0)
            shutil.copyfileobj(self._rows, page)
            page.write("</tbody></table>\n</body></html>\n")

    def close(self) -> None:
        """Let the temporary file go, finished or not."""
        self._rows.close()


def _text(value: str) -> str:
    return escape(writable(value), quote=True)


def _row(one: Outcome, subject: Subject) -> str:
    told = [_text(cell) for cell in cells(one, subject)]
    place, _, row_id, name, number, amount, _, state, reason, advice, _, attempts, reference, mtn, accepted, sent, ended, _, _, check, by, _, answer = told  # fmt: skip
    more = f"<br><small>{advice}</small>" if advice else ""
    word = f"<br><small>check {check}; {by}: {answer}</small>" if check else ""
    tries = f"<br><small>{attempts} attempts</small>" if one.payment is not None and one.payment.attempt > 1 else ""
    references = "<br>".join(part for part in (reference, f"MTN {mtn}" if mtn else "") if part)
    times = "<br>".join(
        f"{word} {at.removesuffix(' UTC')}"
        for word, at in (("accepted", accepted), ("sent", sent), ("ended", ended))
        if at
    )
    mark = "" if one.state == "successful" else ' class="not"'
    return (
        f'<tr><td class="n">{place}<td>{row_id}<td>{name}<td>{number}<td class="n">{amount}<td{mark}>{state}{tries}'
        f'<td>{reason}{more}{word}<td class="ids">{references}<td>{times}</tr>\n'
    )


def _top(subject: Subject, totals: Totals) -> str:
    run = subject.run
    title = f"Run {_text(run.name)}: {_text(run.state)}"
    facts = "".join(f"<dt>{_text(word)}<dd>{_text(value)}" for word, value in subject.facts())
    counted = [(state, WORDS[state], count.rows, f"{subject.money(count.minor)} {run.currency}") for state, count in totals.by_state()]  # fmt: skip
    columns = "".join(f'<col style="width:{width}%">' for _, width in _HEADS)
    heads = "".join(f'<th scope="col">{head}' for head, _ in _HEADS)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n<dl>{facts}</dl>\n"
        f"<h2>Rows by state</h2>\n{bars(counted, totals.all.rows)}\n{_totals(subject, totals)}{_reasons(subject, totals)}{_overrides(subject, totals)}"
        f'<h2>Rows</h2>\n<table class="rows"><colgroup>{columns}</colgroup><thead><tr>{heads}</tr></thead>\n<tbody>\n'
    )


def _totals(subject: Subject, totals: Totals) -> str:
    lines = [(WORDS[state], count) for state, count in totals.by_state()]
    body = "".join(
        f'<tr><td>{_text(word)}<td class="n">{count.rows:,}<td class="n">{_text(subject.money(count.minor))}</tr>\n'
        for word, count in (*lines, ("all", totals.all))
    )
    money = f"amount ({_text(subject.run.currency)})"
    return f'<table><thead><tr><th scope="col">state<th scope="col" class="n">rows<th scope="col" class="n">{money}</tr></thead>\n<tbody>{body}</tbody></table>\n'


def _reasons(subject: Subject, totals: Totals) -> str:
    found = totals.why_not()
    if not found:
        return ""
    body = "".join(
        f'<tr><td>{_text(WORDS[state])}<td class="n">{count.rows:,}<td class="n">{_text(subject.money(count.minor))}'
        f"<td>{_text(reason)}<td>{_text(advice)}</tr>\n"
        for (state, _, reason, advice), count in found
    )
    heads = ("state", "rows", "amount", "reason", "what to do")
    head = "".join(f'<th scope="col">{word}' for word in heads)
    return f"<h2>What isn't paid, and why</h2>\n<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n"


def _overrides(subject: Subject, totals: Totals) -> str:
    """Rows that the check would have stopped, with who answers for them."""
    if not totals.overrides:
        return ""
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(cell)}' for cell in override_cells(one, subject))}</tr>\n"
        for one in totals.overrides
    )
    head = "".join(f'<th scope="col">{word}' for word in OVERRIDES)
    left = totals.overridden.rows - len(totals.overrides)
    more = f"<p>and {left:,} more, which are marked among the rows</p>\n" if left else ""
    return f"<h2>Who answers for rows against the check</h2>\n<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n{more}"
