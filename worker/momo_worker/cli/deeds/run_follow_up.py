"""`momo run follow-up`: a run comes in, a CSV of its rows that failed or were refused goes out, to be corrected and imported as a run of its own."""

import csv
from pathlib import Path

from momo_worker.cli.deeds.bars import bar
from momo_worker.cli.deeds.reading import ledger_of, quiet_settings
from momo_worker.cli.deeds.run_report import explained
from momo_worker.cli.deeds.runs import named
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import schedule_dues
from momo_worker.ledger.runs import Run
from momo_worker.payment.money import format_amount
from momo_worker.runs.follow_up import Left, header, lines
from momo_worker.runs.outcomes import outcomes
from momo_worker.runs.whole_file import FileIsThereError, NotWrittenError, beside, put, refuse_what_is_there


def follow_up(name: str, *, file: str, force: bool, account: str, as_json: bool) -> None:
    """Write the file, or say that there is nothing to correct."""
    if not file:
        raise WrongUse("--file is missing: name the CSV to write, such as retry.csv")
    path, left = Path(file), Left()
    with ledger_of(quiet_settings()) as ledger, bar(quiet=as_json) as progress:
        with ledger.read() as tx:
            run = named(tx, account, name)
            if schedule_dues.round_of(tx, run.id) is not None:
                raise AnswerIsNo(
                    f"the run {name} was made by a schedule, which asks again by itself; what is paid by another run doesn't count "
                    "there: `momo schedule arrears` shows who owes, `momo schedule settle` takes what came in otherwise"
                )
        try:
            refuse_what_is_there(path, force=force)
            with beside(path) as made:
                with made.open("w", encoding="utf-8-sig", newline="") as out:
                    writer = csv.writer(out)
                    writer.writerow(header(run))
                    done = 0
                    for piece in outcomes(ledger, run, explained):
                        writer.writerows(lines(ledger, run, piece, left))
                        done += len(piece)
                        progress.tell("looked at", done, run.rows)
                if not left.rows:
                    raise AnswerIsNo(
                        f"no row of {name} failed and can be corrected; nothing was written{_left_out(left)}"
                    )
                put(made, path, force=force)
        except (FileIsThereError, NotWrittenError) as error:
            raise AnswerIsNo(str(error)) from None
    _tell(run, left, file, as_json=as_json)


def _left_out(left: Left) -> str:
    told = [
        f"{count:,} {why}"
        for count, why in (
            (left.open, "haven't ended yet"),
            (left.corrected, "are corrected by another payment already"),
            (left.contradicted, "failed and MTN said something against it"),
            (left.never_sent, "were cancelled before they were sent"),
        )
        if count
    ]
    return f". Not among them: {'; '.join(told)}" if told else ""


def _tell(run: Run, left: Left, file: str, *, as_json: bool) -> None:
    total = format_amount(left.minor, run.exponent)
    if as_json:
        say_json(
            {
                "run_id": run.id,
                "name": run.name,
                "file": file,
                "rows": left.rows,
                "total": total,
                "failed": left.failed,
                "rejected": left.rejected,
                "open": left.open,
                "corrected_already": left.corrected,
                "contradicted": left.contradicted,
                "never_sent": left.never_sent,
            }
        )
        return
    say(
        f"{file} is written: {left.rows:,} rows, {total} {run.currency} ({left.failed:,} failed, {left.rejected:,} rejected)"
        f"{_left_out(left)}."
    )
    operation = "" if run.operation == "disburse" else f" --operation {run.operation}"
    say(
        "Whole phone numbers stand in it. Correct it, leave the column `replaces` as it is, and import it under another name:"
    )
    say(f"  momo run import {file} --name {run.name}-again{operation}")
