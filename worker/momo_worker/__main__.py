"""`momo …` and `python -m momo_worker …`: arguments come in, one command runs, its exit code goes out; loads nothing that the command doesn't need."""

import sys

from momo_worker.cli.app import run


def main() -> int:
    """Run the command line of this process."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
