"""A script's words come in, its tables go out on stdout or into a file; the frame of every script of the bench."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.measure import machine
from tests.benchmarks.stage import BenchError, end_on_sigterm
from tests.benchmarks.tables import Table

SEED = 20_261_124


def bench(
    about: str | None,
    arguments: Callable[[argparse.ArgumentParser], None],
    measure: Callable[[argparse.Namespace], Sequence[Table]],
) -> None:
    """Run one script: exit code 0 with its tables, 1 with why there are none, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--save", type=Path, help="write the tables to this file as well")
    arguments(parser)
    options = parser.parse_args()
    end_on_sigterm()
    began, where = time.monotonic(), machine(Path(tempfile.gettempdir()))
    try:
        tables = measure(options)
    except BenchError as error:
        sys.exit(f"no figures: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    text = "\n".join([f"{where}. {time.monotonic() - began:.0f} s in all.\n", *(table.markdown() for table in tables)])
    print(text)
    if options.save:
        options.save.write_text(text, encoding="utf-8")
