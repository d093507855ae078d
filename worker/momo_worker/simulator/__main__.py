"""`python -m momo_worker.simulator`: arguments come in, a fake MTN on 127.0.0.1 goes out, until SIGTERM."""

import sys

from momo_worker.simulator.server import main

if __name__ == "__main__":
    sys.exit(main())
