"""`python -m momo_worker.cli.leash PID COMMAND…`: becomes the command, and ends when the process PID ends, even by kill -9. Standard library only.

Linux sends the signal (PR_SET_PDEATHSIG survives exec). Elsewhere the command runs without a leash: what a killed `momo up` leaves
behind there does no harm, since any number of workers and pumps may run, and the embedded server's next starter ends it.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LOST = 3


def main() -> None:
    """Tie this process to its parent and become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        # It may have died before the line above took hold.
        if os.getppid() != parent:
            sys.exit(_LOST)
    os.execvp(command[0], command)  # noqa: S606 - the supervisor's own command, without a shell


if __name__ == "__main__":
    main()
