"""`python -m tests.support.hanging_worker MARKER POINT`: a worker whose first life hangs at a named point; the marker tells that it was lived."""

import sys
from pathlib import Path

from tests.support import chaos_points

from momo_worker.cli.app import run


def main() -> int:
    marker, point = Path(sys.argv[1]), sys.argv[2]
    if not marker.exists():
        marker.touch()
        chaos_points.arm(point, act=chaos_points.HANG)
    return run(["worker"])


if __name__ == "__main__":
    sys.exit(main())
